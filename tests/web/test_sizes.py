"""How much disk a category needs, for people who plan one: as text, by release."""

from __future__ import annotations

from redirector.registry.public import PublicList
from redirector.web.pages.pages import sizes_text
from redirector.web.pages.shown import CategoryShown, Shown


def test_sizes_are_told_by_release_and_in_all() -> None:
    scanned = CategoryShown("Example Linux", "Example Linux", "pub/linux", 5, (("10", 3_000), ("9", 2_000), ("", 10)))
    unknown = CategoryShown("Example Old", "Example Linux", "pub/old", 0)
    lines = sizes_text(Shown(0, PublicList(0, ()), categories=[scanned, unknown])).decode().splitlines()
    assert "hard links count once" in lines[0]
    assert lines[1:] == [
        "3000\tExample Linux\t10",
        "2000\tExample Linux\t9",
        "10\tExample Linux\t-",
        "5010\tExample Linux\ttotal",
    ]

"""Numbers with what they count, and lines on a terminal."""

from __future__ import annotations

import pytest

from redirector.cli.output import fold
from redirector.counted import counted


@pytest.mark.parametrize(
    ("number", "plural", "text"),
    [
        (0, "hosts", "0 hosts"),
        (1, "hosts", "1 host"),
        (1, "more warnings", "1 more warning"),
        (1, "repositories", "1 repository"),
        (1, "addresses", "1 address"),
        (1, "broken", "1 broken"),
        (2, "directories", "2 directories"),
        (1234567, "asns", "1,234,567 asns"),
    ],
)
def test_one_thing_is_no_plural(number: int, plural: str, text: str) -> None:
    assert counted(number, plural) == text


def test_a_long_line_goes_on_further_in_and_no_word_is_cut() -> None:
    url = "https://mirror.example.org/" + "a" * 40
    line = f"  - of {url}: warning: a text that is longer than any line of this terminal"
    assert fold(line, None) == [line] == fold(line, len(line))
    folded = fold(line, 40)
    assert folded[0].startswith("  - ") and all(part.startswith("      ") for part in folded[1:])
    assert all(len(part) <= 40 for part in folded if url not in part)
    assert " ".join(part.strip() for part in folded) == line.strip()

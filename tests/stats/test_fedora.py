"""Ours and Fedora's own count of `countme` agree, and differ where they are meant to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.stats.fedora import count_by_fedora, count_by_us, make_lines
from tests.stats.rig import TARGET, Line

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
"""Its databases are left open."""

SAID = Line(f"{TARGET}&countme=1")
LATER = replace(SAID, time="08/Dec/2026:12:00:00 +0000")


def counts_of(tmp_path: Path, content: bytes) -> tuple[int, int]:
    """Systems by ours and by theirs."""
    log = tmp_path / "access.log"
    log.write_bytes(content)
    return count_by_us(log).total(), count_by_fedora(log, tmp_path).total()


def test_both_count_the_same(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(make_lines(10_000)))
    ours = count_by_us(log)
    assert ours == count_by_fedora(log, tmp_path)
    assert ours.total() > 1000 and len(ours) > 500
    assert len({row.weeknum for row in ours}) == 4


@pytest.mark.parametrize("second", ["00:09:59", "00:10:00"])
def test_both_find_the_same_weeks_past(tmp_path: Path, second: str) -> None:
    late = replace(SAID, time=f"30/Nov/2026:{second} +0000")
    ours, theirs = counts_of(tmp_path, SAID.combined() + late.combined())
    assert ours == theirs == (second == "00:10:00")


DIFFERENT = {
    "another age": (replace(SAID, target=f"{TARGET}&countme=5"), 0, 1),
    "an age of two digits": (replace(SAID, target=f"{TARGET}&countme=01"), 0, 1),
    "a prefix": (replace(SAID, target=f"/pub{SAID.target}"), 1, 0),
    "a slash at the end": (replace(SAID, target=SAID.target.replace("?", "/?")), 1, 0),
    "path style": (replace(SAID, target="/mirrorlist/9/baseos?countme=1"), 1, 0),
    "a whole URL": (replace(SAID, target=f"http://mirrors.example.org{SAID.target}"), 1, 0),
    "HTTP/3 without a point": (replace(SAID, version="HTTP/3"), 1, 0),
    "a quotation mark in the agent": (replace(SAID, agent=r"a \"b\""), 1, 0),
    "an empty referer": (replace(SAID, referer=""), 1, 0),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_where_ours_is_meant_to_differ(tmp_path: Path, name: str) -> None:
    line, ours, theirs = DIFFERENT[name]
    assert counts_of(tmp_path, line.combined() + LATER.combined()) == (ours, theirs)

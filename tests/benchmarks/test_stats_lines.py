"""What counting lines is measured with: the counts are checked, and a table says what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.stats_lines import CASES, Case, measure, measure_all, render


def test_every_case_is_measured() -> None:
    told: list[str] = []
    measured = list(measure_all(500, told.append))
    assert [case for case, _ in measured] == list(CASES) and len(told) == len(CASES)
    assert all(rate > 0 for _, rate in measured)
    assert all(case.what in render(measured) for case in CASES)


def test_wrong_counts_are_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.stats_lines.make_log", make_another_log)
    with pytest.raises(RuntimeError, match="1 made"):
        measure("json", tmp_path, 10)


def make_another_log(path: Path, form: str, lines: int) -> str:
    path.write_bytes(b"")
    return "1"


@pytest.mark.parametrize(("rate", "short"), [(0.2, False), (0.14, True), (0.09, True)])
def test_what_falls_short_is_said(rate: float, short: bool) -> None:
    assert ("short" in render([(Case("json", "json", 0.15), rate)])) == short

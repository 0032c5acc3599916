"""The benchmark of `scan` measures scans that find what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scan_list
from benchmarks.scan_list import measure_all, render


def test_a_small_list_is_measured(tmp_path: Path) -> None:
    costs = list(measure_all(2_000, tmp_path))
    assert [cost.what for cost in costs] == ["first scan", "unchanged", "after a push"]
    assert all(cost.seconds > 0 and cost.peak_mb > 10 for cost in costs)
    table = render(costs, 2_000)
    assert "a list of 2,000 entries" in table and table.count("\n") == 4


def test_a_scan_that_finds_something_else_is_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = scan_list.make_list
    monkeypatch.setattr(scan_list, "make_list", lambda path, entries, push=0: make(path, entries - 1, push))
    with pytest.raises(SystemExit, match=r"first scan: .* instead of"):
        list(measure_all(2_000, tmp_path))

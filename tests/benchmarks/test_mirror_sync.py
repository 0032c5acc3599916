"""The benchmark of a mirror's synchronization measures what it says."""

from __future__ import annotations

import pytest

from benchmarks import mirror_sync
from benchmarks.mirror_sync import measure_all, render


def test_a_small_list_is_measured() -> None:
    rows = list(measure_all(1_000))
    assert [(row.what, row.requests) for row in rows] == [
        ("an unchanged list of 1,000 entries", 1),
        ("a second start", 0),
    ]
    assert all(row.seconds > 0 for row in rows) and render(rows).count("\n") == 4


def test_a_list_that_is_read_anew_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_sync, "run", lambda script: (0.1, "metadata"))
    with pytest.raises(SystemExit, match="taken for a new one"):
        list(measure_all(10))

"""What may take the place of what serves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from redirector.server.between.messages import Extent, LoadReport
from redirector.server.supervisor.replacement import check_replacement

COUNTS = {
    "hosts": 10,
    "urls": 30,
    "directories": 100,
    "repositories": 8,
    "details": 50,
    "netblocks": 4,
    "asns": 1_000_000,
    "geoip_nodes": 1_000_000,
}
SERVED = Extent(COUNTS, built=1_790_000_000, dated=True)


def report(built: int = SERVED.built, counts: Mapping[str, int] = {}, dated: bool = True) -> LoadReport:
    extent = Extent(COUNTS | dict(counts), built, dated)
    return LoadReport("/srv/snapshot.pb", extent, 0, 0, (), (), {}, None, None, (), ())


def keys(new: LoadReport, *allowed: str) -> list[str]:
    return [problem.key for problem in check_replacement(SERVED, new, allowed)]


@pytest.mark.parametrize("name", COUNTS)
def test_half_of_anything_is_enough_and_less_is_not(name: str) -> None:
    half = COUNTS[name] // 2
    assert keys(report(counts={name: half})) == []
    assert keys(report(counts={name: half - 1})) == [name]
    assert keys(report(counts={name: half - 1}), "older") == [name]
    assert keys(report(counts={name: half - 1}), "shrink") == []


def test_what_was_nothing_cannot_shrink() -> None:
    nothing = Extent(dict.fromkeys(COUNTS, 0), 0, False)
    assert check_replacement(nothing, report(), ()) == ()


def test_equal_age_is_fine_and_older_is_not() -> None:
    assert keys(report()) == []
    assert keys(report(SERVED.built - 1)) == ["Time"]
    assert keys(report(SERVED.built - 1), "shrink") == ["Time"]
    assert keys(report(SERVED.built - 1), "older") == []


def test_data_that_do_not_say_their_age_are_never_older() -> None:
    assert keys(report(SERVED.built - 1, dated=False)) == []


def test_all_reasons_are_given_at_once_and_say_the_way_out() -> None:
    problems = check_replacement(SERVED, report(SERVED.built - 1, {"hosts": 1, "urls": 1}), ())
    assert [problem.key for problem in problems] == ["hosts", "urls", "Time"]
    assert all(problem.fatal and problem.path == "snapshot.pb" and "?allow=" in problem.text for problem in problems)

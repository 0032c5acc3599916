"""A month of visits to a mirror, by a clock of their own: how much is asked, and what is found how soon."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from benchmarks.simulated import BEGIN, DAY, HOUR, SimulatedMaster, SimulatedMirror, Visited, make_master, simulate
from redirector.health.evidence import Ask
from redirector.health.hysteresis import State
from redirector.health.rules import Rules

DAYS = 30


def master(repositories: int = 64, days: int = DAYS) -> SimulatedMaster:
    return make_master(repositories, 0, days, Random(5), changed=8, changed_others=0)


@pytest.fixture(scope="module")
def month() -> tuple[SimulatedMirror, list[Visited]]:
    mirror = SimulatedMirror(master(), offset_s=5000)
    return mirror, list(simulate(mirror, BEGIN, BEGIN + DAYS * DAY, Rules()))


def test_a_good_mirror_stays_ok_for_a_month(month: tuple[SimulatedMirror, list[Visited]]) -> None:
    _, visits = month
    assert {visited.state for visited in visits} == {State.OK}
    assert max(visited.result.lag_s or 0 for visited in visits) <= 3 * HOUR + 1200
    assert not any(state & 8 for visited in visits for state in visited.result.categories[0].held.states)


def test_a_day_takes_a_hundredth_of_asking_for_everything(month: tuple[SimulatedMirror, list[Visited]]) -> None:
    mirror, _ = month
    by_day = Counter(int((at - BEGIN) // DAY) for at in mirror.requests)
    assert max(by_day.values()) <= 1500
    everything = 96 * 64 * 3
    assert sum(by_day.values()) / DAYS < everything / 15


def test_every_directory_is_looked_at_once_a_day(month: tuple[SimulatedMirror, list[Visited]]) -> None:
    _, visits = month
    looked = Counter(
        (int((seen.at - BEGIN) // DAY), seen.path)
        for visited in visits
        for seen in visited.result.evidence
        if seen.ask is Ask.INDEX
    )
    assert len(looked) == DAYS * 64


def test_a_stuck_mirror_is_found_within_the_bound_and_comes_back() -> None:
    stuck = (BEGIN + 2 * DAY, BEGIN + 5 * DAY)
    mirror = SimulatedMirror(master(days=8), offset_s=5000, stuck=stuck)
    visits = list(simulate(mirror, BEGIN, BEGIN + 8 * DAY, Rules()))
    pushed = min(time for times in mirror.master.pushes for time in times if time > stuck[0])
    late = [visited for visited in visits if visited.result.lag_s]
    assert min(visited.result.at for visited in late if visited.result.at > pushed) - pushed <= 16 * 60
    out = [at for at, lacking in _lacking(visits) if lacking]
    assert pushed + 12 * HOUR < min(out) <= pushed + 12 * HOUR + 40 * 60
    assert max(out) <= stuck[1] + 3 * HOUR + 20 * 60
    assert {visited.state for visited in visits} == {State.OK}


def _lacking(visits: list[Visited]) -> list[tuple[float, int]]:
    return [
        (visited.result.at, sum(bool(state & 8) for state in visited.result.categories[0].held.states))
        for visited in visits
    ]


def test_an_outage_takes_a_mirror_out_in_a_quarter_of_an_hour_and_is_asked_less_and_less() -> None:
    down = (BEGIN + DAY, BEGIN + 13 * DAY)
    mirror = SimulatedMirror(master(days=14), offset_s=5000, down=(down,))
    visits = list(simulate(mirror, BEGIN, BEGIN + 14 * DAY, Rules()))
    out = [visited.result.at for visited in visits if visited.state is State.UNREACHABLE]
    assert 10 * 60 <= min(out) - down[0] <= 32 * 60
    assert max(out) <= down[1] + 5 * HOUR
    by_day = Counter(int((at - BEGIN) // DAY) for at in mirror.requests if down[0] + HOUR <= at < down[1])
    assert by_day[3] <= 24 * 2 * 1.25
    assert by_day[11] < by_day[3]


def test_a_short_outage_takes_nobody_out() -> None:
    mirror = SimulatedMirror(master(days=3), offset_s=5000, down=((BEGIN + DAY, BEGIN + DAY + 9 * 60),))
    assert {visited.state for visited in simulate(mirror, BEGIN, BEGIN + 3 * DAY, Rules())} == {State.OK}


def test_a_large_tree_stays_within_the_budget_of_an_address() -> None:
    large = make_master(600, 3000, 3, Random(5), changed=60, changed_others=200)
    mirror = SimulatedMirror(large, offset_s=5000)
    assert {visited.state for visited in simulate(mirror, BEGIN, BEGIN + 2 * DAY, Rules())} == {State.OK}
    for begin in range(0, 2 * DAY, HOUR):
        assert sum(BEGIN + begin <= at < BEGIN + begin + DAY for at in mirror.requests) <= 5000


def test_one_run_of_rsync_replaces_thousands_of_requests() -> None:
    large = make_master(100, 2000, 2, Random(5), changed=20, changed_others=200)
    plain, listed = (SimulatedMirror(large, offset_s=5000, rsync=rsync) for rsync in (False, True))
    for mirror in (plain, listed):
        for visited in simulate(mirror, BEGIN, BEGIN + 2 * DAY, Rules()):
            assert visited.state is State.OK
    assert len(listed.requests) * 3 < len(plain.requests)

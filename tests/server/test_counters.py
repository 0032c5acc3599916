"""Counting in shared memory, and adding up by name."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from redirector.answer.answer import Answer, Kind, Tier
from redirector.model import HostId
from redirector.server.between.counters import (
    BOUNDS_S,
    BUCKETS,
    COUNTRY,
    FIRST_HOST,
    FIRST_TIER,
    OPEN,
    OTHER,
    RELAXED,
    REQUESTS,
    UNKNOWN,
    CounterMemory,
    Counters,
    Layout,
    make_counter_file,
)
from redirector.server.supervisor.metrics import MAX_LEFT_HOSTS, Totals

HOSTS = ("a.example", "b.example")
COUNTRIES = ("DE", "FR")


def make_memory(hosts: Sequence[str] = HOSTS, slots: int = 1) -> CounterMemory:
    layout = Layout(hosts, COUNTRIES)
    descriptor = make_counter_file(layout, slots)
    try:
        return CounterMemory(layout, slots, descriptor)
    finally:
        os.close(descriptor)


def counters_of(memory: CounterMemory, slot: int = 0) -> Counters:
    return Counters(memory.layout, memory.cells(slot))


def test_every_series_has_one_cell_of_its_own() -> None:
    layout = Layout(HOSTS, COUNTRIES)
    assert len(set(layout.series)) == len(layout.series)
    cells = [layout.request_cell(kind, status) for kind in Kind for status in (200, 404, 799)]
    cells += [layout.tier_cell(tier) for tier in Tier] + [layout.host_cell(n, tier) for n in (0, 1) for tier in Tier]
    cells += [layout.country_cell("DE"), layout.country_cell("FR"), layout.country_cell(None)]
    cells += [layout.wish_cell("country"), layout.wish_cell("protocol"), layout.open, layout.lost, layout.beat]
    assert len(set(cells)) == len(cells)


@pytest.mark.parametrize(
    ("answer", "series"),
    [
        pytest.param(
            Answer(200, Kind.METALINK, b"", tier=Tier.COUNTRY, first=HostId(1), country="FR", relaxed=("protocol",)),
            {
                (REQUESTS, "metalink", "200"),
                (FIRST_TIER, "country"),
                (FIRST_HOST, "b.example", "country"),
                (COUNTRY, "FR"),
                (RELAXED, "protocol"),
            },
            id="a list",
        ),
        pytest.param(Answer(404, Kind.MIRRORLIST, b""), {(REQUESTS, "mirrorlist", "404")}, id="an error"),
        pytest.param(Answer(200, Kind.PAGE, b""), {(REQUESTS, "page", "200")}, id="a page"),
        pytest.param(Answer(799, Kind.OTHER, b""), {(REQUESTS, "other", OTHER)}, id="another status"),
        pytest.param(
            Answer(200, Kind.ISOLIST, b"", country="XX", relaxed=("tea",)),
            {(REQUESTS, "isolist", "200"), (FIRST_TIER, "none"), (COUNTRY, UNKNOWN), (RELAXED, OTHER)},
            id="another country and wish",
        ),
    ],
)
def test_an_answer_is_counted(answer: Answer, series: set[tuple[str, ...]]) -> None:
    memory = make_memory()
    counters_of(memory).count(answer, 0.0003)
    counted = {name for name, value in memory.sum().items() if value}
    assert {name for name in counted if name[0] not in (BUCKETS, "nanoseconds")} == series
    assert (BUCKETS, answer.kind.value, str(BOUNDS_S.index(0.0005))) in counted
    assert memory.sum()[("nanoseconds", answer.kind.value)] == 300_000


@pytest.mark.parametrize(("duration_s", "bucket"), [(0.0, 0), (BOUNDS_S[0], 0), (BOUNDS_S[-1], 12), (99.0, 13)])
def test_a_bucket_holds_what_is_not_above_its_bound(duration_s: float, bucket: int) -> None:
    memory = make_memory()
    counters_of(memory).count(Answer(200, Kind.PAGE, b""), duration_s)
    assert memory.sum()[(BUCKETS, "page", str(bucket))] == 1


def test_workers_are_added_up_and_a_successor_goes_on_in_the_same_block() -> None:
    memory = make_memory(slots=3)
    for slot in (0, 1, 2, 1):
        counters = counters_of(memory, slot)
        counters.cells[memory.layout.open] = 5
        counters.count(Answer(200, Kind.PAGE, b""), 0)
    counters_of(memory, 1)
    assert memory.sum()[(REQUESTS, "page", "200")] == 4
    assert memory.sum()[(OPEN,)] == 10, "a new worker has no connection yet"


def test_totals_go_on_when_an_age_ends_and_gauges_do_not() -> None:
    totals, first, second = Totals(), make_memory(), make_memory(("b.example", "c.example"))
    answer = Answer(200, Kind.MIRRORLIST, b"", first=HostId(0))
    counters = counters_of(first)
    counters.count(answer, 0)
    counters.cells[first.layout.open] = 7
    counters_of(second).count(answer, 0)
    assert totals.sum([first, second])[(REQUESTS, "mirrorlist", "200")] == 2
    totals.fold(first, ("b.example", "c.example"))
    after = totals.sum([second])
    assert after[(REQUESTS, "mirrorlist", "200")] == 2
    assert (after[(FIRST_HOST, "a.example", "none")], after[(FIRST_HOST, "b.example", "none")]) == (1, 1)
    assert after[(OPEN,)] == 0


def test_hosts_that_left_are_kept_up_to_a_bound_and_none_is_lost() -> None:
    totals = Totals()
    for age in range(4):
        names = [f"{age}-{number}.example" for number in range(200)]
        memory = make_memory(names)
        counters = counters_of(memory)
        for number in range(200):
            counters.count(Answer(200, Kind.MIRRORLIST, b"", first=HostId(number)), 0)
        totals.fold(memory, names)
    counted = {series: value for series, value in totals.sum([]).items() if series[0] == FIRST_HOST}
    assert sum(counted.values()) == 800
    assert len(counted) == 200 + MAX_LEFT_HOSTS + 1
    assert counted[(FIRST_HOST, OTHER, "none")] == 300

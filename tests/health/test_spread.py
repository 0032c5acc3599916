from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from redirector.health.expected import Expected, Master
from redirector.health.hysteresis import State
from redirector.health.report import HostHealth
from redirector.health.spread import RAREST, Push, count_mirrors, last_pushes, render_spread
from redirector.health.subjects import Carried, Subject

NAMES = ("9/os", "9/extra", "10/os", "10/os/debug")
MASTER = Master("main", tuple(Expected(name, f"{name}/repomd.xml") for name in sorted(NAMES)), "pub/")


def subject(key: str, only: frozenset[str] | None = None, **more: object) -> Subject:
    return Subject(key, key, (Carried("main", ("http://a/",), only),), **more)  # type: ignore[arg-type]


def entry(state: State = State.OK, *lacking: str) -> HostHealth:
    return HostHealth(state, 0, "", 0, lacking=lacking)


def test_a_repository_is_counted_where_it_is_served() -> None:
    subjects = [subject("a"), subject("b"), subject("c", frozenset({"9/os"})), subject("out"), subject("never")]
    entries = {
        "a": entry(),
        "b": entry(State.OK, "pub/10/os"),
        "c": entry(),
        "out": entry(State.STALE),
    }
    assert count_mirrors(entries, subjects, {"main": MASTER}) == {
        "pub/9/os": 3,
        "pub/9/extra": 2,
        "pub/10/os": 1,
        "pub/10/os/debug": 1,
    }


@given(st.lists(st.sampled_from(["pub", "pub/9", "pub/9/os", "pub/10", "pub/10/o", "pub/10/os/debug", "other"])))
def test_lacking_is_all_below(lacking: list[str]) -> None:
    counts = count_mirrors({"a": entry(State.OK, *lacking)}, [subject("a")], {"main": MASTER})
    for name in NAMES:
        below = any(f"pub/{name}/".startswith(f"{each}/") for each in lacking)
        assert counts[f"pub/{name}"] == (0 if below else 1)


def test_the_last_push_of_each_category_counts_the_mirrors_that_are_visited() -> None:
    delays = {
        ("main", 100): {"a": 1},
        ("main", 200): {"b": 50, "a": 20, "gone": 3, "private": 1},
        ("other", 5): {"x": 1},
    }
    subjects = [subject("a"), subject("b"), subject("c"), subject("private", private=True), subject("d", unvisited="x")]
    assert last_pushes(delays, subjects) == (Push("main", 200, (20, 50), 3), Push("other", 5, (), 0))


@pytest.mark.parametrize(("percent", "reached"), [(50, 40), (90, None), (100, None)])
def test_how_long_until_a_share_had_it(percent: int, reached: int | None) -> None:
    assert Push("main", 0, (10, 20, 30, 40, 50), 8).reached_s(percent) == reached


def test_nobody_has_nothing() -> None:
    push = Push("main", 0, (), 0)
    assert (push.share, push.reached_s(50)) == (0.0, None)


def test_prometheus_reads_it_and_is_told_the_rarest_alone() -> None:
    counts = {f'repo "{number}"\n': number for number in range(200)}
    shuffled = list(counts.items())
    random.Random(1).shuffle(shuffled)
    text = render_spread(dict(shuffled), [Push("main", 7, (1, 2), 2), Push("x", 9, (), 3)]).decode()
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    told = families["redirector_repository_mirrors"]
    assert [sample.value for sample in told] == list(range(RAREST))
    assert told[0].labels == {"repository": 'repo "0"\n'}
    assert [sample.value for sample in families["redirector_push_spread_ratio"]] == [1.0, 0.0]
    assert [(s.labels["percent"], s.value) for s in families["redirector_push_spread_seconds"]] == [
        ("50", 1.0), ("90", 2.0), ("100", 2.0),
    ]  # fmt: skip
    assert render_spread({}, []) == b""

"""One bad moment takes nobody out: the table of states, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.health.hysteresis import (
    Content,
    Event,
    Overall,
    Reached,
    Seen,
    Standing,
    State,
    agree,
    combine,
    is_void,
    next_visit,
    step,
)
from redirector.health.rules import Rules

RULES = Rules()
MINUTE = 60.0
HOUR = 3600.0


def after(*visits: tuple[float, str], begin: Standing | None = None, rules: Rules = RULES) -> Standing:
    """The standing after visits at minutes, each `good`, `failed`, `quiet`, `stale` (good, but stale)."""
    standing = begin or Standing()
    for minute, what in visits:
        event = Event.GOOD if what == "stale" else Event(what)
        content = {"good": Content.FRESH, "stale": Content.STALE}.get(what, Content.NONE)
        standing = step(standing, Seen(1e9 + minute * MINUTE, event, content, "it failed", "it is stale"), rules)
    return standing


OK = after((0, "good"))
OUT = after((0, "good"), (10, "failed"), (15, "failed"), (20, "failed"))
STALE = after((0, "stale"), (10, "stale"))


@pytest.mark.parametrize(
    ("visits", "state"),
    [
        pytest.param((), State.UNCHECKED, id="never looked at"),
        pytest.param(((0, "good"),), State.OK, id="first: one good visit"),
        pytest.param(((0, "failed"), (2, "failed")), State.UNCHECKED, id="two failures say nothing yet"),
        pytest.param(((0, "failed"), (5, "failed"), (10, "failed")), State.UNREACHABLE, id="three over ten minutes"),
        pytest.param(((0, "failed"), (2, "failed"), (7, "failed")), State.UNCHECKED, id="three within seven minutes"),
        pytest.param(
            ((0, "failed"), (2, "failed"), (7, "failed"), (17, "failed")), State.UNREACHABLE, id="four, as they come"
        ),
        pytest.param(
            ((0, "good"), (1, "failed"), (6, "failed"), (7, "good"), (12, "failed")), State.OK, id="a row is broken"
        ),
        pytest.param(
            ((0, "good"), (1, "failed"), (6, "quiet"), (8, "failed"), (11, "failed")),
            State.UNREACHABLE,
            id="busy neither counts nor breaks",
        ),
        pytest.param(((0, "quiet"), (30, "quiet"), (2000, "quiet")), State.UNCHECKED, id="busy from the first day"),
        pytest.param(((0, "good"), (1439, "quiet")), State.OK, id="quiet for less than a day"),
        pytest.param(((0, "good"), (1440, "quiet")), State.UNKNOWN, id="quiet for a day"),
        pytest.param(((0, "stale"),), State.OK, id="stale at first sight: served until the second look"),
        pytest.param(((0, "stale"), (9, "stale")), State.OK, id="two looks within nine minutes"),
        pytest.param(((0, "stale"), (10, "stale")), State.STALE, id="two looks ten minutes apart"),
        pytest.param(((0, "stale"), (5, "good"), (11, "stale")), State.OK, id="fresh in between"),
        pytest.param(((0, "stale"), (10, "stale"), (11, "good")), State.OK, id="fresh again: at once"),
        pytest.param(((0, "stale"), (10, "stale"), (11, "failed")), State.STALE, id="a failure changes nothing yet"),
    ],
)
def test_states(visits: tuple[tuple[float, str], ...], state: State) -> None:
    assert after(*visits).state is state


@pytest.mark.parametrize(
    ("visits", "state"),
    [
        pytest.param(((30, "good"),), State.UNREACHABLE, id="one good visit"),
        pytest.param(((30, "good"), (34, "good")), State.UNREACHABLE, id="two within four minutes"),
        pytest.param(((30, "good"), (35, "good")), State.OK, id="two, five minutes apart"),
        pytest.param(((30, "good"), (33, "failed"), (36, "good")), State.UNREACHABLE, id="a failure between"),
        pytest.param(((30, "stale"), (40, "stale")), State.STALE, id="back, and stale"),
        pytest.param(((30, "quiet"), (3000, "quiet")), State.UNREACHABLE, id="busy does not make it unknown"),
    ],
)
def test_the_unreachable_come_back(visits: tuple[tuple[float, str], ...], state: State) -> None:
    assert OUT.state is State.UNREACHABLE
    assert after(*visits, begin=OUT).state is state


def test_who_was_unknown_needs_two_good_visits() -> None:
    unknown = after((0, "good"), (1500, "quiet"))
    assert after((1510, "good"), begin=unknown).state is State.UNKNOWN
    assert after((1510, "good"), (1515, "good"), begin=unknown).state is State.OK


def test_since_and_reason_tell_of_the_state() -> None:
    assert OUT.since == 1e9 + 20 * MINUTE
    assert OUT.reason == "it failed"
    again = after((60, "failed"), begin=OUT)
    assert again.since == OUT.since
    assert STALE.reason == "it is stale"
    assert after((20, "good"), begin=STALE).reason == ""


def test_pace_shortens_every_time() -> None:
    quick = RULES.paced(0.01)
    assert quick.interval_s == 9
    assert quick.retry_s == (1.2, 3, 6)
    assert after((0, "failed"), (0.05, "failed"), (0.1, "failed"), rules=quick).state is State.UNREACHABLE
    assert quick.down_after == 3


EVENTS = st.lists(st.tuples(st.floats(0, 400), st.sampled_from(["good", "failed", "quiet", "stale"])), max_size=30)


@given(EVENTS)
def test_nobody_goes_out_for_less_than_the_rules_say(steps: list[tuple[float, str]]) -> None:
    now, standing = 0.0, Standing()
    failures: list[float] = []
    looks: list[float] = []
    for wait, what in steps:
        now += wait
        before, standing = standing, after((now, what), begin=standing)
        failures = [*failures, now] if what == "failed" else [] if what in ("good", "stale") else failures
        looks = [*looks, now] if what == "stale" else [] if what == "good" else looks
        if standing.state is State.UNREACHABLE and before.state is not State.UNREACHABLE:
            assert len(failures) >= 3
            assert failures[-1] - failures[0] >= 10 - 1e-6
        if standing.stale and not before.stale:
            assert len(looks) >= 2
            assert looks[-1] - looks[0] >= 10 - 1e-6


@given(EVENTS)
def test_a_quiet_visit_within_the_day_changes_nothing(steps: list[tuple[float, str]]) -> None:
    now, standing = 0.0, Standing()
    for wait, what in steps:
        now += wait
        standing = after((now, what), begin=standing)
    if standing.learnt:
        quiet = step(standing, Seen(standing.learnt + 100, Event.QUIET, reason="busy"), RULES)
        assert replace(quiet, reason="", since=0) == replace(standing, reason="", since=0)


# -- A host of its categories, and vantage points ----------------------------------------------------------------------


def test_a_host_is_out_when_all_that_it_carries_is() -> None:
    assert combine([("a", OK), ("b", OUT)]).state is State.OK
    assert combine([("a", OK), ("b", OUT)]).out == {"b"}
    assert combine([("a", OUT), ("b", OUT)]).state is State.UNREACHABLE
    assert combine([("a", STALE), ("b", OUT)]).state is State.STALE
    assert combine([]).state is State.UNCHECKED


def test_order_of_categories_makes_no_difference() -> None:
    pairs = [("a", OUT), ("b", STALE), ("c", OUT)]
    assert combine(pairs) == combine(pairs[::-1])


def word(state: State, since: float = 0) -> Overall:
    return Overall(state, since, state.value)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        pytest.param([(0, State.UNREACHABLE)], State.UNREACHABLE, id="the only one"),
        pytest.param([(0, State.UNREACHABLE), (0, State.OK)], State.OK, id="one against one"),
        pytest.param([(0, State.UNREACHABLE), (0, State.STALE), (0, State.OK)], State.STALE, id="two agree"),
        pytest.param([(0, State.UNREACHABLE), (61, State.OK)], State.UNREACHABLE, id="the other looked long ago"),
        pytest.param([(61, State.UNREACHABLE)], None, id="nobody looked lately"),
        pytest.param([(0, State.UNREACHABLE), (-6, State.OK)], State.UNREACHABLE, id="the other's clock is ahead"),
        pytest.param([(0, State.UNREACHABLE), (-4, State.OK)], State.OK, id="a little ahead is now"),
        pytest.param([(0, State.OK), (0, State.UNCHECKED)], State.OK, id="judged beats unchecked"),
    ],
)
def test_two_out_of_three(words: list[tuple[float, State]], state: State | None) -> None:
    now = 1e9
    said = [(now - minutes * MINUTE, word(each, n)) for n, (minutes, each) in enumerate(words)]
    agreed = agree(said, now, RULES)
    assert (agreed.state if agreed else None) is state
    assert agree(said[::-1], now, RULES) == agreed


@pytest.mark.parametrize(
    ("results", "void"),
    [
        pytest.param([("ok", "failed"), ("ok", "failed")], True, id="all fail"),
        pytest.param([("ok", "failed"), ("ok", "good"), ("ok", "failed")], False, id="two of three were ok"),
        pytest.param([("ok", "failed")] * 3 + [("ok", "good")] * 2, True, id="three of five that were ok"),
        pytest.param([("ok", "failed")] * 2 + [("ok", "good")] * 2, False, id="half of four is not more than half"),
        pytest.param([("unreachable", "failed")] * 9 + [("ok", "good")] * 4, False, id="the dead do not count"),
        pytest.param([("ok", "quiet")] * 4, True, id="nothing learnt"),
        pytest.param([("ok", "quiet")] * 5 + [("ok", "good")], False, id="one learnt"),
    ],
)
def test_void_rounds(results: list[tuple[str, str]], void: bool) -> None:
    assert bool(is_void([(State(state), Event(event)) for state, event in results], master_read=True)) is void


def test_an_unread_master_voids() -> None:
    assert is_void([(State.OK, Event.GOOD)], master_read=False)


# -- When next ---------------------------------------------------------------------------------------------------------


def pause(standing: Standing, event: Event, *, at: float | None = None, chance: float = 0.5, busy: float = 0) -> float:
    now = standing.failures.last if at is None else at
    return (next_visit([standing], event, now, busy, RULES, chance) - now) / MINUTE


def test_pauses_after_failures() -> None:
    assert pause(OK, Event.GOOD, at=1e9) == 15
    assert pause(after((0, "failed")), Event.FAILED) == 2
    assert pause(after((0, "failed"), (2, "failed")), Event.FAILED) == 5
    assert pause(after((0, "failed"), (2, "failed"), (7, "failed")), Event.FAILED) == 10


def test_pauses_while_out_grow() -> None:
    visits = [(0.0, "failed"), (2.0, "failed"), (7.0, "failed"), (17.0, "failed")]
    found = []
    for _ in range(4):
        standing = after(*visits)
        found.append(pause(standing, Event.FAILED))
        visits.append((visits[-1][0] + found[-1], "failed"))
    assert found == [15, 30, 60, 60]
    weeks = [pause(after(*visits, (days * 1440, "failed")), Event.FAILED) for days in (6, 9, 16, 30, 90)]
    assert weeks == [60, 120, 240, 240, 240]
    assert pause(OUT, Event.FAILED, chance=0.0) == pytest.approx(15 * 0.8)
    assert pause(OUT, Event.FAILED, chance=1.0) == pytest.approx(15 * 1.2)


def test_who_comes_back_is_looked_at_soon() -> None:
    assert pause(after((40, "good"), begin=OUT), Event.GOOD, at=1e9) == 5
    assert pause(after((0, "stale")), Event.GOOD, at=1e9) == 10
    assert pause(OK, Event.QUIET, at=1e9, busy=1e9 + 3600) == 60


def test_unknown_is_a_state_of_its_own() -> None:
    assert after((0, "good"), (1500, "quiet")).answers is Reached.UNKNOWN

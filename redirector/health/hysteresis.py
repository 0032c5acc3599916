"""One bad moment takes nobody out: states, and what it takes to move between them.

A *standing* is how one category of one host stands, as one vantage point sees it. It has two sides, whether it answers
and whether what it has is fresh, which move apart from each other:

    side     from         on       becomes      when
    answers  new          good     ok           at once
    answers  new, ok      failed   unreachable  `down_after` in a row, `down_span_s` from the first to the last
    answers  unreachable  good     ok           `up_after`, `up_span_s` from the first to the last
    answers  unknown      good     ok           likewise
    answers  ok           quiet    unknown      nothing learnt for `unknown_s`
    fresh    fresh        stale    stale        `looks`, `look_span_s` from the first to the last
    fresh    stale        fresh    fresh        at once

Busy visits, and those in which nothing could be asked, are quiet: they neither count nor break a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from redirector.health.rules import FUTURE_S, Rules


class State(StrEnum):
    """How a host, or a category of one, stands."""

    UNCHECKED = "unchecked"
    OK = "ok"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"

    @property
    def out(self) -> bool:
        return self in (State.STALE, State.UNREACHABLE, State.UNKNOWN)


class Event(StrEnum):
    """What a visit came to: it answered, it failed, or nothing was learnt (busy, or our own fault)."""

    GOOD = "good"
    FAILED = "failed"
    QUIET = "quiet"


class Content(StrEnum):
    """What a visit says of the whole of a category; NONE when it looked at nothing."""

    FRESH = "fresh"
    STALE = "stale"
    NONE = "none"


class Reached(StrEnum):
    NEW = "new"
    OK = "ok"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """Things of one kind in a row: how many, when the first and the last of them."""

    count: int = 0
    first: float = 0
    last: float = 0

    def add(self, at: float) -> Row:
        """One more. A clock that was set back begins anew: from then on times mean something again."""
        if at < self.last:
            return Row(1, at, at)
        return Row(self.count + 1, self.first if self.count else at, at)

    def reaches(self, count: int, span_s: float) -> bool:
        return self.count >= count and self.last - self.first >= span_s


NONE = Row()


@dataclass(frozen=True, slots=True)
class Seen:
    """A visit, as far as standing is concerned. *reason* says why it failed; *stale_reason* why it is stale."""

    at: float
    event: Event
    content: Content = Content.NONE
    reason: str = ""
    stale_reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a category of a host stands.

    failures, goods, looks  the rows that run
    learnt        when something was last learnt, epoch seconds; 0: never
    state, since  what follows of it, and since when
    reason        why it is out, or about to be; "" when all is well
    """

    answers: Reached = Reached.NEW
    stale: bool = False
    failures: Row = NONE
    goods: Row = NONE
    looks: Row = NONE
    learnt: float = 0
    state: State = State.UNCHECKED
    since: float = 0
    reason: str = ""


def step(standing: Standing, seen: Seen, rules: Rules) -> Standing:
    """The standing after a visit."""
    moved = _move_content(_move_answers(standing, seen, rules), seen, rules)
    state = _state_of(moved)
    since = standing.since if state is standing.state and standing.since else seen.at
    return replace(moved, state=state, since=since, reason=_reason_of(moved, state, seen, standing))


def _move_answers(standing: Standing, seen: Seen, rules: Rules) -> Standing:
    match seen.event:
        case Event.QUIET:
            silent = standing.learnt and seen.at - standing.learnt >= rules.unknown_s
            if silent and standing.answers is not Reached.UNREACHABLE:
                return replace(standing, answers=Reached.UNKNOWN, goods=NONE)
            return standing
        case Event.FAILED:
            failures = standing.failures.add(seen.at)
            down = failures.reaches(rules.down_after, rules.down_span_s)
            answers = Reached.UNREACHABLE if down else standing.answers
            return replace(standing, answers=answers, failures=failures, goods=NONE, learnt=seen.at)
        case Event.GOOD:
            goods = standing.goods.add(seen.at)
            again = standing.answers in (Reached.UNREACHABLE, Reached.UNKNOWN)
            back = not again or goods.reaches(rules.up_after, rules.up_span_s)
            answers = Reached.OK if back else standing.answers
            return replace(standing, answers=answers, failures=NONE, goods=NONE if back else goods, learnt=seen.at)


def _move_content(standing: Standing, seen: Seen, rules: Rules) -> Standing:
    match seen.content:
        case Content.NONE:
            return standing
        case Content.FRESH:
            return replace(standing, stale=False, looks=NONE)
        case Content.STALE:
            looks = standing.looks.add(seen.at)
            return replace(standing, stale=standing.stale or looks.reaches(rules.looks, rules.look_span_s), looks=looks)


def _state_of(standing: Standing) -> State:
    match standing.answers:
        case Reached.UNREACHABLE:
            return State.UNREACHABLE
        case Reached.UNKNOWN:
            return State.UNKNOWN
        case Reached.NEW:
            return State.STALE if standing.stale else State.UNCHECKED
        case Reached.OK:
            return State.STALE if standing.stale else State.OK


def _reason_of(moved: Standing, state: State, seen: Seen, before: Standing) -> str:
    if state is State.UNKNOWN:
        return before.reason if before.state is state else seen.reason or "nothing could be learnt for a day"
    if seen.event is Event.FAILED:
        return seen.reason
    if state is State.UNREACHABLE:
        return before.reason
    if moved.looks.count:
        return seen.stale_reason or before.reason
    return before.reason if seen.event is Event.QUIET else ""


@dataclass(frozen=True, slots=True)
class Overall:
    """What a host is as a whole. *out* are the categories left out while others serve."""

    state: State
    since: float
    reason: str
    out: frozenset[str] = frozenset()


def combine(standings: Iterable[tuple[str, Standing]]) -> Overall:
    """A host of its categories: it is out when all that it carries is."""
    pairs = sorted(standings, key=lambda pair: pair[0])
    serving = [standing for _, standing in pairs if not standing.state.out]
    if not pairs:
        return Overall(State.UNCHECKED, 0, "")
    if serving:
        best = min(serving, key=lambda standing: (standing.state is not State.OK, standing.since))
        reason = next((standing.reason for standing in serving if standing.reason), "")
        return Overall(best.state, best.since, reason, frozenset(name for name, each in pairs if each.state.out))
    states = {standing.state for _, standing in pairs}
    state = next(each for each in (State.STALE, State.UNREACHABLE, State.UNKNOWN) if each in states)
    of_state = [standing for _, standing in pairs if standing.state is state]
    latest = max(pairs, key=lambda pair: pair[1].since)[1]
    return Overall(state, latest.since, of_state[0].reason)


def agree(words: Iterable[tuple[float, Overall]], now: float, rules: Rules) -> Overall | None:
    """One host by what vantage points said and when: out when two say so, or the only one that looked lately.

    None when nobody looked lately: it stays as it is. Who looked later than now has a clock that is, or was, ahead.
    """
    lately = [said for at, said in words if -FUTURE_S <= now - at <= rules.vantage_s]
    out = [said for said in lately if said.state.out]
    serving = [said for said in lately if not said.state.out]
    if len(out) >= 2 or (out and not serving):
        return max(out, key=lambda said: said.since) if len(out) < 2 else sorted(out, key=lambda said: said.since)[1]
    if not serving:
        return None
    return min(serving, key=lambda said: (said.state is not State.OK, said.since, said.reason))


def is_void(results: Iterable[tuple[State, Event]], *, master_read: bool) -> str:
    """Why nothing may be concluded from the visits of one interval; "" when it may.

    results  for each host visited: what it was, and what the visit came to
    """
    if not master_read:
        return "the master cannot be read"
    told = [(state, event) for state, event in results if event is not Event.QUIET]
    failed = sum(event is Event.FAILED for _, event in told)
    if told and failed == len(told):
        return f"all {failed} visits failed" if failed > 1 else "the only visit failed"
    if not told:
        return "no visit taught anything"
    were_ok = [event for state, event in told if state is State.OK]
    failed_ok = sum(event is Event.FAILED for event in were_ok)
    if len(were_ok) >= 4 and failed_ok * 2 > len(were_ok):
        return f"{failed_ok} of {len(were_ok)} mirrors that were ok failed at once"
    return ""


def next_visit(
    standings: Iterable[Standing], event: Event, at: float, busy_until: float, rules: Rules, chance: float
) -> float:
    """When a host is visited again, epoch seconds.

    standings   of its categories, after the visit
    busy_until  what its `Retry-After` said; 0 without one
    chance      0 to 1
    """
    kept = list(standings)
    states = {each.state for each in kept}
    if states and states <= {State.UNREACHABLE} and event is not Event.GOOD:
        return at + _pause_while_out(kept, at, rules) * (1 + rules.jitter * (2 * chance - 1))
    if event is Event.FAILED:
        failures = max((each.failures.count for each in kept), default=1)
        pauses = rules.retry_s
        return at + pauses[min(max(failures, 1), len(pauses)) - 1]
    returning = any(each.goods.count and each.state.out for each in kept)
    pause = rules.up_span_s if returning and event is Event.GOOD else rules.interval_s
    looking = any(each.looks.count and not each.stale for each in kept)
    if looking and event is Event.GOOD:
        pause = min(pause, rules.look_span_s)
    return max(at + pause, busy_until)


def _pause_while_out(standings: list[Standing], at: float, rules: Rules) -> float:
    """By how long it has been out, less the jitter that may have brought the visit forward."""
    out_s = at - min(each.since for each in standings)
    pause, waited = rules.out_retry_s[0], 0.0
    for each in rules.out_retry_s:
        pause = each
        if out_s / (1 - rules.jitter) < waited + each:
            break
        waited += each
    weeks = int(out_s // rules.out_week_s) if rules.out_week_s else 0
    return min(pause * float(1 << min(weeks, 8)), rules.out_longest_s)

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.health.evidence import Ask, Evidence, Family, Outcome, Scheme
from redirector.health.hysteresis import State
from redirector.health.notices import (
    DAY_S,
    HOUR_S,
    Kind,
    Memo,
    Mirror,
    Notice,
    decide,
    log_line,
    message_of,
    write_letter,
)

T = 1_795_000_000
MINUTE_S = 60


class Story:
    """A mirror over time: it is judged every ten minutes, and what is told is kept."""

    def __init__(self, state: State = State.OK, **known: object) -> None:
        self.now = T
        self.mirror = Mirror("m", "mirror.example", state, T, **known)  # type: ignore[arg-type]
        self.others: list[Mirror] = []
        self.memos: dict[str, Memo] = {}
        self.told: list[tuple[int, Kind]] = []
        self.notices: list[Notice] = []
        self.judge()

    def judge(self, *, void: bool = False) -> None:
        changed, notices = decide([self.mirror, *self.others], self.memos, self.now, void=void)
        self.memos |= changed
        self.told += [(self.now - T, notice.kind) for notice in notices]
        self.notices += notices

    def becomes(self, state: State, **changes: object) -> Story:
        self.mirror = replace(self.mirror, state=state, since=self.now, **changes)  # type: ignore[arg-type]
        self.judge()
        return self

    def lasts(self, seconds: int, *, void: bool = False) -> Story:
        for _ in range(seconds // (10 * MINUTE_S)):
            self.now += 10 * MINUTE_S
            self.judge(void=void)
        return self

    @property
    def kinds(self) -> list[Kind]:
        return [kind for _, kind in self.told]


@pytest.mark.parametrize(("state", "kind"), [(State.UNREACHABLE, Kind.UNREACHABLE), (State.STALE, Kind.STALE)])
def test_a_trouble_is_told_once_it_has_lasted_an_hour(state: State, kind: Kind) -> None:
    story = Story().lasts(HOUR_S).becomes(state).lasts(6 * DAY_S)
    assert story.told == [(2 * HOUR_S, kind)]
    assert story.notices[0].since == T + HOUR_S


def test_a_rehearsal_tells_sooner() -> None:
    mirror = Mirror("m", "m", State.OK, T)
    memos, _ = decide([mirror], {}, T, pace=0.01)
    out = replace(mirror, state=State.UNREACHABLE, since=T + 10)
    for second, told in ((10, 0), (45, 0), (46, 1), (200, 0), (46 + 6048, 1)):
        changed, notices = decide([out], memos, T + second, pace=0.01)
        memos |= changed
        assert len(notices) == told, second


def test_what_a_clock_told_that_was_a_year_ahead_delays_nothing() -> None:
    story = Story().becomes(State.UNREACHABLE).lasts(2 * HOUR_S)
    story.now += 365 * DAY_S
    story.becomes(State.OK).becomes(State.UNREACHABLE).lasts(2 * DAY_S)
    story.now -= 366 * DAY_S
    begun = len(story.told)
    story.becomes(State.OK).lasts(2 * DAY_S).becomes(State.UNREACHABLE).lasts(2 * HOUR_S)
    assert [kind for _, kind in story.told[begun:]] == [Kind.RECOVERED, Kind.UNREACHABLE]


def test_one_that_is_over_within_an_hour_is_told_to_nobody() -> None:
    story = Story().becomes(State.UNREACHABLE).lasts(50 * MINUTE_S).becomes(State.OK).lasts(DAY_S)
    assert story.told == []


def test_it_is_told_again_each_week() -> None:
    story = Story().becomes(State.STALE).lasts(22 * DAY_S)
    assert [at for at, _ in story.told] == [HOUR_S + week * 7 * DAY_S for week in range(4)]
    assert [notice.reminder for notice in story.notices] == [False, True, True, True]


def test_its_end_is_told_where_its_begin_was() -> None:
    story = Story().becomes(State.UNREACHABLE).lasts(2 * HOUR_S).becomes(State.OK).lasts(30 * DAY_S)
    assert story.told == [(HOUR_S, Kind.UNREACHABLE), (2 * HOUR_S, Kind.RECOVERED)]


def test_the_first_judgement_is_told_to_nobody_nor_what_follows_from_it() -> None:
    story = Story(State.STALE).lasts(30 * DAY_S).becomes(State.OK).lasts(DAY_S)
    assert story.told == []
    story.becomes(State.STALE).lasts(DAY_S)
    assert story.kinds == [Kind.STALE]


def test_a_mirror_that_was_changed_is_judged_for_the_first_time_again() -> None:
    story = Story().lasts(DAY_S).becomes(State.UNCHECKED).becomes(State.STALE).lasts(2 * DAY_S)
    assert story.told == []


def test_maintenance_is_no_trouble_and_after_it_there_is_an_hour() -> None:
    story = Story(maintenance=True).becomes(State.UNREACHABLE).lasts(3 * DAY_S)
    assert story.told == []
    story.mirror = replace(story.mirror, maintenance=False)
    story.lasts(50 * MINUTE_S)
    assert story.told == []
    assert story.lasts(20 * MINUTE_S).kinds == [Kind.UNREACHABLE]


def test_a_void_round_tells_and_changes_nothing() -> None:
    story = Story().becomes(State.UNREACHABLE)
    before = dict(story.memos)
    assert story.lasts(3 * DAY_S, void=True).told == []
    assert story.memos == before


@pytest.mark.parametrize("above", [State.STALE, State.UNREACHABLE])
def test_what_the_mirror_above_caused_is_told_to_that_one_alone(above: State) -> None:
    story = Story(pulls_from="top")
    story.others = [Mirror("top", "top.example", above, T)]
    story.becomes(State.STALE).lasts(2 * DAY_S)
    assert story.told == []
    story.others = [Mirror("top", "top.example", State.OK, story.now)]
    assert story.lasts(2 * HOUR_S).kinds == [Kind.STALE]


def test_no_mirror_above_makes_another_one_unreachable() -> None:
    story = Story(pulls_from="top")
    story.others = [Mirror("top", "top.example", State.STALE, T)]
    assert story.becomes(State.UNREACHABLE).lasts(2 * HOUR_S).kinds == [Kind.UNREACHABLE]


def test_one_that_comes_and_goes_is_told_once_a_day() -> None:
    story = Story()
    for _ in range(24):
        story.becomes(State.UNREACHABLE).lasts(2 * HOUR_S).becomes(State.OK).lasts(HOUR_S)
    days = 24 * 3 * HOUR_S / DAY_S
    assert 2 * (days - 1) <= len(story.told) <= 2 * (days + 1)


def test_when_it_is_unknown_the_trouble_goes_on() -> None:
    story = Story().becomes(State.STALE).lasts(2 * HOUR_S).becomes(State.UNKNOWN).lasts(DAY_S).becomes(State.OK)
    assert story.kinds == [Kind.STALE, Kind.RECOVERED]


def test_another_trouble_is_another_incident() -> None:
    story = Story().becomes(State.UNREACHABLE).lasts(2 * HOUR_S).becomes(State.STALE).lasts(2 * HOUR_S)
    assert story.becomes(State.OK).kinds == [Kind.UNREACHABLE, Kind.STALE, Kind.RECOVERED]


@pytest.mark.parametrize(
    ("lifetime_days", "left_days", "told"),
    [(90, 20, [14, 7, 1]), (365, 10, [10, 7, 1]), (44, 20, [1]), (45, 20, [14, 7, 1]), (6, 5, [1]), (90, 0.5, [0.5])],
)
def test_certificates_are_told_of_before_their_end(lifetime_days: int, left_days: float, told: list[float]) -> None:
    ends = T + int(left_days * DAY_S)
    story = Story(certificate_made=ends - lifetime_days * DAY_S, certificate_expires=ends).lasts(30 * DAY_S)
    assert set(story.kinds) == {Kind.CERTIFICATE}
    assert [(ends - T - at) / DAY_S for at, _ in story.told] == pytest.approx(told, abs=0.01)


def test_a_new_certificate_begins_anew_and_an_unknown_age_is_a_long_one() -> None:
    story = Story(certificate_expires=T + 10 * DAY_S).lasts(HOUR_S)
    assert story.kinds == [Kind.CERTIFICATE]
    story.mirror = replace(story.mirror, certificate_expires=T + 40 * DAY_S)
    story.lasts(30 * DAY_S)
    assert story.kinds == [Kind.CERTIFICATE] * 2
    assert "ends in" in story.notices[0].reason


def test_a_certificate_is_not_told_of_at_the_first_judgement_or_in_maintenance() -> None:
    story = Story(certificate_expires=T + 10 * DAY_S, maintenance=True)
    assert story.lasts(DAY_S).told == []


@given(
    st.lists(st.tuples(st.sampled_from(list(State)), st.integers(1, 2000), st.booleans()), max_size=20),
)
def test_whatever_happens_notices_of_a_kind_are_a_day_apart_and_an_end_has_a_begin(
    turns: list[tuple[State, int, bool]],
) -> None:
    story = Story()
    for state, minutes, maintenance in turns:
        story.mirror = replace(story.mirror, maintenance=maintenance)
        story.becomes(state).lasts(minutes * MINUTE_S)
    for kind in Kind:
        times = [at for at, each in story.told if each is kind]
        assert all(later - earlier >= DAY_S for earlier, later in pairwise(times))
    open_troubles = 0
    for _, kind in story.told:
        if kind is Kind.RECOVERED:
            assert open_troubles
            open_troubles = 0
        elif kind in (Kind.UNREACHABLE, Kind.STALE):
            open_troubles += 1
    for notice in story.notices:
        if notice.kind in (Kind.UNREACHABLE, Kind.STALE):
            assert notice.at - notice.since >= HOUR_S


def seen(outcome: Outcome = Outcome.TIMEOUT, at: int = T, **more: object) -> Evidence:
    return Evidence(
        at, "here", "m", "", Ask.MARKER, "https://mirror.example/pub/", "TIME", outcome, Scheme.HTTPS,
        Family.IPV4, "192.0.2.7", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def notice(kind: Kind = Kind.UNREACHABLE, **more: object) -> Notice:
    usual: dict[str, object] = {"name": "mirror.example", "site": "Example", "since": T, "reason": "no answer"}
    return Notice(kind, "m", at=T + HOUR_S, **{**usual, **more})  # type: ignore[arg-type]


def test_a_letter_says_what_was_asked_what_came_since_when_and_what_ends_it() -> None:
    letter = write_letter(notice(), [seen()], "Example Linux", "https://mirrors.example.org/mirrors/mirror.example")
    assert letter.subject == "[Example Linux] mirror.example cannot be reached"
    for part in (
        "https://mirror.example/pub/TIME by ipv4, 192.0.2.7",
        "no answer",
        "since 2026-11-18 11:06 UTC",
        "What ends it",
        "https://mirrors.example.org/mirrors/mirror.example",
    ):
        assert part in letter.text, letter.text


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_words(kind: Kind) -> None:
    letter = write_letter(notice(kind), [seen(Outcome.OK)])
    assert "mirror.example" in letter.subject
    assert all(len(line) < 400 for line in letter.text.splitlines())


def test_the_last_twenty_lines_of_the_log_are_there() -> None:
    letter = write_letter(notice(), [seen(at=T - number) for number in range(30)])
    assert sum("https://mirror.example/pub/TIME ipv4" in line for line in letter.text.splitlines()) == 20


def test_a_reminder_says_so() -> None:
    assert write_letter(notice(reminder=True), []).subject == "Still: mirror.example cannot be reached"


@given(st.text(), st.text(), st.text())
def test_strangers_add_no_lines_to_a_letter(name: str, reason: str, finding: str) -> None:
    plain = write_letter(notice(name="x", reason="x"), [seen(finding="x")])
    odd = write_letter(notice(name=name, reason=reason or "x"), [seen(finding=finding[:200] or "x")])
    assert len(odd.text.splitlines()) == len(plain.text.splitlines())
    assert odd.subject.isprintable()
    assert log_line(seen(finding=finding)).isprintable()


def test_programs_get_seven_fields() -> None:
    assert message_of(notice(), None) == {
        "kind": "unreachable",
        "host": "mirror.example",
        "site": "Example",
        "since": T,
        "reason": "no answer",
        "at": T + HOUR_S,
        "logs_url": None,
    }

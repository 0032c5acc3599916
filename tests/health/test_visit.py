"""Visits without sockets: what is asked in which order, and what is concluded, for mirrors that misbehave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.health.evidence import Ask, Evidence, Family, Outcome, Probe
from redirector.health.expected import Expected, Master, NamedFile
from redirector.health.hysteresis import Content, Event
from redirector.health.judge import Content as Judged
from redirector.health.memory import (
    EVER,
    OUT,
    PENDING,
    VERIFIED,
    FamilyNote,
    Held,
    Memory,
    Trouble,
    bits_of,
    content_of,
    digest_of,
    renumber,
    settle,
)
from redirector.health.rules import Rules
from redirector.health.subjects import Carried, Subject
from redirector.health.visit import Result, Visit
from tests.health.seen import HOUR, NOW, master, repository, sum_of

HTTP, HTTPS, RSYNC = (f"{scheme}://mirror.example.net/" for scheme in ("http", "https", "rsync"))
NAMES = tuple(f"r{n}" for n in range(6))
MASTER = master(*(repository(("new", 2), ("old", 30), name=name) for name in NAMES))
Answer = Callable[[Probe], Mapping[str, Any] | Outcome]


def visit(
    answer: Answer,
    *,
    urls: tuple[str, ...] = (HTTP,),
    masters: Master = MASTER,
    memory: Memory | None = None,
    held: Held | None = None,
    at: float = NOW,
    **changes: Any,
) -> tuple[Result, list[Probe]]:
    """What a visit comes to, and what it asked. *answer* gives an outcome, or fields of evidence."""
    subject = Subject("mirror.example.net", "mirror.example.net", (Carried("", urls),))
    held = held or Held(directories=digest_of([each.name for each in masters.directories]))
    asking = Visit(subject, {"": masters}, memory or Memory(), {"": held}, Rules(), lambda: at, **changes)
    asked = []
    while probes := asking.next():
        assert len(probes) <= 2
        for probe in probes:
            asked.append(probe)
            asking.take(probe, (evidence_of(probe, answer(probe), int(at)),))
    return asking.finish(), asked


def evidence_of(probe: Probe, said: Mapping[str, Any] | Outcome, at: int) -> Evidence:
    fields: Mapping[str, Any] = {"outcome": said} if isinstance(said, Outcome) else said
    seen = Evidence(
        at, "main", probe.host, probe.category, probe.ask, probe.base, probe.path, Outcome.OK, probe.scheme,
        probe.family or Family.IPV4,
    )  # fmt: skip
    return replace(seen, **fields)


def fine(probe: Probe) -> Mapping[str, Any] | Outcome:
    """A mirror that has everything, over IPv4 alone."""
    if probe.family is Family.IPV6:
        return Outcome.NO_NAME
    if probe.ask is Ask.CONTROL:
        return Outcome.MISSING
    return {"sha256": sum_of("new"), "stamp": float(NOW)} if probe.ask is not Ask.FILE else {"size_bytes": 100}


def but(**outcomes: Outcome) -> Answer:
    """Fine, but for probes of these kinds."""
    return lambda probe: outcomes.get(probe.ask.value) or fine(probe)


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        pytest.param(fine, Event.GOOD, id="fine"),
        pytest.param(but(marker=Outcome.MISSING), Event.GOOD, id="no marker"),
        pytest.param(but(marker=Outcome.DENIED), Event.GOOD, id="the marker is denied, nothing else"),
        pytest.param(but(index=Outcome.MISSING), Event.GOOD, id="has nothing: it answers"),
        pytest.param(but(index=Outcome.TIMEOUT), Event.FAILED, id="a timeout"),
        pytest.param(but(index=Outcome.SERVER_ERROR), Event.FAILED, id="every index fails"),
        pytest.param(but(index=Outcome.BUSY), Event.QUIET, id="busy after the marker"),
        pytest.param(lambda probe: Outcome.BUSY, Event.QUIET, id="busy"),
        pytest.param(lambda probe: Outcome.NO_ROUTE, Event.QUIET, id="no route"),
        pytest.param(lambda probe: Outcome.UNASKED, Event.QUIET, id="budget spent"),
        pytest.param(lambda probe: Outcome.OURS, Event.QUIET, id="our own fault"),
        pytest.param(lambda probe: Outcome.NO_NAME, Event.FAILED, id="no name"),
        pytest.param(lambda probe: Outcome.TLS_EXPIRED, Event.FAILED, id="expired"),
        pytest.param(lambda probe: Outcome.FORBIDDEN, Event.FAILED, id="an inner address"),
        pytest.param(lambda probe: {"html": True}, Event.FAILED, id="every answer is HTML"),
    ],
)
def test_what_a_visit_comes_to(answer: Answer, event: Event) -> None:
    result, _ = visit(answer)
    assert result.event is event
    assert bool(result.reason) is (event is not Event.GOOD or result.categories[0].whole is Content.STALE)


def test_a_visit_ends_at_its_first_timeout() -> None:
    _, asked = visit(but(index=Outcome.TIMEOUT))
    assert sum(probe.ask is Ask.INDEX for probe in asked) <= 2
    _, asked = visit(lambda probe: Outcome.TIMEOUT, urls=("http://192.0.2.1/",))
    assert len(asked) == 1


def test_a_mirror_that_fails_throughout_is_not_asked_for_everything() -> None:
    _, asked = visit(lambda probe: Outcome.SERVER_ERROR, urls=("http://192.0.2.1/",))
    assert len(asked) <= 5


def test_one_scheme_suffices_and_the_other_is_marked() -> None:
    def answer(probe: Probe) -> Mapping[str, Any] | Outcome:
        return Outcome.TLS_EXPIRED if probe.base == HTTPS else fine(probe)

    result, asked = visit(answer, urls=(HTTPS, HTTP))
    assert result.event is Event.GOOD
    assert {probe.base for probe in asked if probe.ask is Ask.INDEX} == {HTTP}
    notes = result.memory.urls
    assert (notes[HTTPS].up, notes[HTTP].up) == (False, True)
    assert "expired" in notes[HTTPS].reason


def test_https_is_asked_for_content_where_both_answer() -> None:
    _, asked = visit(fine, urls=(HTTP, HTTPS))
    assert {probe.base for probe in asked if probe.ask is Ask.INDEX} == {HTTPS}


def test_a_redirect_to_another_host_is_a_finding() -> None:
    def answer(probe: Probe) -> Mapping[str, Any] | Outcome:
        said = fine(probe)
        return said if isinstance(said, Outcome) else {**said, "redirected": "near.example.org"}

    result, _ = visit(answer)
    assert result.event is Event.GOOD
    assert result.memory.urls[HTTP].up
    assert "near.example.org" in result.memory.urls[HTTP].reason


def test_families() -> None:
    both = visit(lambda probe: fine(replace(probe, family=Family.IPV4)))[0].memory.families
    assert both[Family.IPV4].answered == both[Family.IPV6].answered == NOW
    one = visit(fine)[0].memory.families
    assert (one[Family.IPV4].answered, one[Family.IPV6].absent) == (NOW, True)

    def broken(probe: Probe) -> Mapping[str, Any] | Outcome:
        return Outcome.NO_CONNECTION if probe.family is Family.IPV6 else fine(probe)

    memory = Memory()
    for number in range(3):
        result, _ = visit(broken, memory=memory, at=NOW + number * 900)
        memory = result.memory
        assert result.event is Event.GOOD
    assert memory.families[Family.IPV6].failures == 3
    unroutable = visit(lambda p: Outcome.NO_ROUTE if p.family is Family.IPV6 else fine(p))[0].memory
    assert unroutable.families[Family.IPV6] == FamilyNote()
    literal = visit(fine, urls=("http://192.0.2.1/",))[0].memory.families
    assert literal[Family.IPV6].absent


def test_a_redirect_of_busy_says_when_to_come_again() -> None:
    result, _ = visit(lambda probe: {"outcome": Outcome.BUSY, "retry_after": NOW + 500})
    assert result.memory.busy_until == NOW + 500


def test_what_is_secret_is_not_asked_for() -> None:
    secret = replace(MASTER, directories=(replace(MASTER.directories[0], judged=False), *MASTER.directories[1:]))
    result, asked = visit(fine, masters=secret)
    assert not any(probe.path.startswith("r0/") for probe in asked)
    assert content_of(result.categories[0].held.states[0]) is Judged.NOT_JUDGED


def test_unchanged_is_asked_for_and_believed() -> None:
    def answer(probe: Probe) -> Mapping[str, Any] | Outcome:
        said = fine(probe)
        if isinstance(said, Outcome):
            return said
        return Outcome.UNCHANGED if probe.etag else {**said, "etag": '"1"'}

    first, _ = visit(answer)
    again, asked = visit(
        answer, memory=first.memory, held=first.categories[0].held, at=NOW + 900, everything=False, eager=True
    )
    assert {probe.etag for probe in asked if probe.ask in (Ask.MARKER, Ask.INDEX)} == {'"1"'}
    assert again.event is Event.GOOD
    assert again.categories[0].held.stamp == NOW
    late, asked = visit(answer, memory=first.memory, held=first.categories[0].held, at=NOW + 86401)
    assert {probe.etag for probe in asked} == {""}
    assert late.event is Event.GOOD


# -- Looks and their order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sha256", ["", sum_of("new")], ids=["too large", "its master has no checksum"])
def test_as_it_was_is_asked_for_only_where_a_checksum_is_known(sha256: str) -> None:
    whole = repository(("new", 2), name="r0")
    versions = whole.versions if not sha256 else (replace(whole.versions[0], sha256=""),)
    large = replace(MASTER, directories=(replace(whole, versions=versions),))

    def answer(probe: Probe) -> Mapping[str, Any] | Outcome:
        return {"size_bytes": 3000, "sha256": sha256, "etag": '"e"'} if probe.ask is Ask.INDEX else fine(probe)

    first, _ = visit(answer, masters=large)
    second, asked = visit(
        answer, masters=large, memory=first.memory, held=first.categories[0].held, at=NOW + 900, eager=True
    )
    assert [probe.etag for probe in asked if probe.ask is Ask.INDEX] == [""]
    assert content_of(second.categories[0].held.states[0]) is Judged.CURRENT


def test_what_was_pushed_last_is_asked_first() -> None:
    pushed = master(*(repository(("new", hours), name=f"r{hours}") for hours in (9, 1, 5)))
    _, asked = visit(fine, masters=pushed)
    assert [probe.path[:2] for probe in asked if probe.ask is Ask.INDEX] == ["r1", "r5", "r9"]


def test_a_mirror_of_rsync_alone_is_asked_in_one_run_and_judged_by_it() -> None:
    files = (NamedFile("r0/p.rpm", 100), NamedFile("r0/primary", 100))
    expected = (repository(("new", 2), ("old", 30), name="r0", files=files), repository(("new", 2), name="r1"))
    late = replace(MASTER, directories=expected)

    def listed(probe: Probe) -> list[Mapping[str, Any]]:
        told: dict[str, dict[str, Any]] = {"r0/primary": {"outcome": Outcome.MISSING}, "r0/p.rpm": {"size_bytes": 100}}
        size = {"modified": NOW - 2 * HOUR, "size_bytes": 3000}
        return [{"path": path, **size, **told.get(path, {})} for path in probe.paths]

    result, asked = visit_listed(listed, late)
    assert [probe.ask for probe in asked] == [Ask.FILES, Ask.FILES]
    assert set(asked[1].paths) == {"r0/repodata/repomd.xml", "r0/p.rpm", "r0/primary", "r1/repodata/repomd.xml"}
    assert (result.event, result.requests, result.lag_s) == (Event.GOOD, 2, 2 * HOUR)
    states = result.categories[0].held.states
    assert [content_of(state) for state in states] == [Judged.BEHIND, Judged.CURRENT]
    failed, _ = visit_listed(lambda probe: [{"outcome": Outcome.NO_CONNECTION, "path": probe.paths[0]}], late)
    assert failed.event is Event.FAILED


def visit_listed(answer: Callable[[Probe], list[Mapping[str, Any]]], masters: Master) -> tuple[Result, list[Probe]]:
    subject = Subject("mirror.example.net", "mirror.example.net", (Carried("", (RSYNC,)),))
    held = Held(directories=digest_of([each.name for each in masters.directories]))
    asking = Visit(subject, {"": masters}, Memory(), {"": held}, Rules(), lambda: NOW)
    asked = []
    while probes := asking.next():
        for probe in probes:
            asked.append(probe)
            asking.take(probe, tuple(evidence_of(probe, said, NOW) for said in answer(probe)))
    return asking.finish(), asked


def test_behind_is_sampled_while_the_marker_stands_still() -> None:
    late = master(*(repository(("newer", 0), ("new", 2), name=name) for name in NAMES))
    first, _ = visit(fine, masters=late)
    held = first.categories[0].held
    assert {content_of(state) for state in held.states} == {Judged.BEHIND}
    asked = visit(fine, masters=late, memory=first.memory, held=held, at=NOW + 3600)[1]
    assert sum(probe.ask is Ask.INDEX for probe in asked) < len(NAMES)

    def moved(probe: Probe) -> Mapping[str, Any] | Outcome:
        return (
            {"stamp": float(NOW + 60)} if probe.ask is Ask.MARKER and probe.family is not Family.IPV6 else fine(probe)
        )

    asked = visit(moved, masters=late, memory=first.memory, held=held, at=NOW + 3600)[1]
    assert sum(probe.ask is Ask.INDEX for probe in asked) == len(NAMES)


def test_where_all_is_well_one_family_is_asked_and_the_other_next_time() -> None:
    def both(probe: Probe) -> Mapping[str, Any] | Outcome:
        return fine(replace(probe, family=Family.IPV4))

    def families(asked: list[Probe]) -> list[Family | None]:
        return [probe.family for probe in asked if probe.ask is Ask.MARKER]

    first, asked = visit(both)
    assert families(asked) == [Family.IPV4, Family.IPV6]
    second, asked = visit(both, memory=first.memory, held=first.categories[0].held, at=NOW + 900)
    third, other = visit(both, memory=second.memory, held=second.categories[0].held, at=NOW + 1800)
    assert sorted(str(each) for each in families(asked) + families(other)) == ["ipv4", "ipv6"]
    _, asked = visit(fine, memory=third.memory, held=third.categories[0].held, at=NOW + 2700)
    _, again = visit(fine, memory=second.memory, held=second.categories[0].held, at=NOW + 2700)
    assert sorted(len(families(each)) for each in (asked, again)) == [1, 2], "where one fails the other is asked too"


def test_a_push_is_asked_for_at_the_next_visit() -> None:
    first, _ = visit(fine)
    newer = repository(("newer", 0), ("new", 2), name="r3")
    pushed = replace(MASTER, directories=(*MASTER.directories[:3], newer, *MASTER.directories[4:]))
    second, asked = visit(fine, masters=pushed, memory=first.memory, held=first.categories[0].held, at=NOW + 1800)
    assert next(probe.path for probe in asked if probe.ask is Ask.INDEX).startswith("r3/")
    assert second.lag_s == 1800
    assert content_of(second.categories[0].held.states[3]) is Judged.BEHIND


def test_sixteen_repositories_a_visit_are_verified() -> None:
    from redirector.health.expected import NamedFile

    names = [f"r{n:02}" for n in range(40)]
    files = {name: (NamedFile(f"{name}/p", 100), NamedFile(f"{name}/q", 100)) for name in names}
    many = master(*(repository(("new", n), name=name, files=files[name]) for n, name in enumerate(names)))
    result, asked = visit(fine, masters=many)
    assert sum(probe.ask is Ask.FILE for probe in asked) == 32
    assert {probe.path[:3] for probe in asked if probe.ask is Ask.FILE} == set(names[:16])
    verified = sum(bool(state & VERIFIED) for state in result.categories[0].held.states)
    assert verified == 16
    again, asked = visit(
        fine, masters=many, memory=result.memory, held=result.categories[0].held, at=NOW + 900, eager=True
    )
    assert sum(bool(state & VERIFIED) for state in again.categories[0].held.states) > 16
    assert len(asked) <= 12


# -- The memory of a directory -----------------------------------------------------------------------------------------

CONTENTS = st.sampled_from([Judged.CURRENT, Judged.BEHIND, Judged.AHEAD, Judged.STALE, Judged.ABSENT, Judged.NO_ANSWER])


@given(st.lists(st.tuples(st.integers(0, 2000), CONTENTS), max_size=25))
def test_a_directory_is_out_after_two_bad_looks_and_in_after_one(looks: list[tuple[int, Judged]]) -> None:
    from redirector.health.judge import Finding

    now, state, trouble = NOW, 0, None
    bad: list[int] = []
    silent: int | None = None
    for wait, content in looks:
        now += wait
        before = state
        state, trouble = settle(state, trouble, Finding(content, now, "why", sha256="x"), Rules())
        if content is Judged.NO_ANSWER:
            silent = silent if silent is not None else now
            if now - silent < 86400:
                assert state == before
            continue
        silent = None
        bad = [*bad, now] if content.bad else []
        assert content_of(state) is content
        if state & OUT and not before & OUT:
            assert len(bad) >= 2
            assert bad[-1] - bad[0] >= 600
        if not content.bad:
            assert not state & OUT
        if content is Judged.CURRENT:
            assert trouble is None


def test_a_day_of_silence_makes_a_directory_unknown() -> None:
    from redirector.health.judge import Finding

    state, trouble = settle(Judged.CURRENT | EVER, None, Finding(Judged.NO_ANSWER, NOW), Rules())
    assert state == Judged.CURRENT | EVER
    state, trouble = settle(state, trouble, Finding(Judged.NO_ANSWER, NOW + 86400), Rules())
    assert content_of(state) is Judged.UNKNOWN
    assert state & OUT
    state, trouble = settle(state, trouble, Finding(Judged.CURRENT, NOW + 90000), Rules())
    assert (content_of(state), state & OUT, trouble) == (Judged.CURRENT, 0, None)


@given(st.lists(st.sampled_from("abcdefgh"), unique=True), st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_renumbering_keeps_what_is_known_by_name(old: list[str], new: list[str]) -> None:
    states = bytes(ord(name) % 7 + EVER for name in old)
    troubles = {n: Trouble(1, reason=name) for n, name in enumerate(old)}
    held = renumber(Held(states=states, troubles=troubles), old, new, "d")
    for number, name in enumerate(new):
        assert held.states[number] == (states[old.index(name)] if name in old else 0)
        assert (held.troubles[number].reason if number in held.troubles else None) == (name if name in old else None)


def test_bits_say_what_is_served() -> None:
    states = bytes(
        [0, Judged.CURRENT | EVER, Judged.STALE | EVER, Judged.STALE | EVER | OUT, Judged.ABSENT | EVER, PENDING]
    )
    assert bits_of(states) == bytes([0b000110])


# -- Properties of whole visits ----------------------------------------------------------------------------------------

OUTCOMES = st.sampled_from([Outcome.OK, Outcome.MISSING, Outcome.SERVER_ERROR, Outcome.DENIED, Outcome.CUT])


@given(st.dictionaries(st.sampled_from(NAMES), OUTCOMES), st.randoms(use_true_random=False))
def test_the_order_in_which_evidence_comes_makes_no_difference(outcomes: dict[str, Outcome], random: Random) -> None:
    def answer(probe: Probe) -> Mapping[str, Any] | Outcome:
        outcome = outcomes.get(probe.path.partition("/")[0], Outcome.OK)
        return fine(probe) if probe.ask is not Ask.INDEX or outcome is Outcome.OK else outcome

    def run(*, swapped: bool) -> Result:
        subject = Subject("m", "m", (Carried("", (HTTP,)),))
        asking = Visit(subject, {"": MASTER}, Memory(), {"": Held()}, Rules(), lambda: NOW)
        while probes := asking.next():
            for probe in probes[::-1] if swapped else probes:
                asking.take(probe, (evidence_of(probe, answer(probe), NOW),))
        return asking.finish()

    assert run(swapped=True).categories == run(swapped=False).categories


@given(st.sampled_from([Outcome.NO_ROUTE, Outcome.UNASKED, Outcome.BUSY, Outcome.OURS]), st.integers(1, 80_000))
def test_a_verdict_never_changes_without_evidence(outcome: Outcome, later: int) -> None:
    first, _ = visit(fine)
    held = first.categories[0].held
    result, _ = visit(lambda probe: outcome, memory=first.memory, held=held, at=NOW + later)
    after = result.categories[0].held
    assert (after.states, after.troubles, after.standing.state) == (held.states, held.troubles, held.standing.state)


def test_a_host_without_what_the_master_has_is_left_alone() -> None:
    only = master(Expected("x", "x/repodata/repomd.xml", pushed=NOW - HOUR))
    subject = Subject("m", "m", (Carried("", (HTTP,), frozenset({"other"})),))
    asking = Visit(subject, {"": only}, Memory(), {"": Held()}, Rules(), lambda: NOW)
    asked = []
    while probes := asking.next():
        for probe in probes:
            asked.append(probe.ask)
            asking.take(probe, (evidence_of(probe, fine(probe), NOW),))
    assert Ask.INDEX not in asked
    assert asking.finish().event is Event.GOOD

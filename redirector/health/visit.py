"""One visit, without sockets: it says which probes come next, takes what they saw, and at last what is remembered.

It opens with the marker over each base URL and address family, goes on over the one that answered best, and ends at the
first timeout there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from redirector.health.evidence import ANSWERED, FAILED, OUR_OWN, Ask, Evidence, Family, Outcome, Probe, Scheme
from redirector.health.expected import Expected, Master
from redirector.health.hysteresis import Content as Whole
from redirector.health.hysteresis import Event, Seen, step
from redirector.health.judge import (
    Before,
    Content,
    Finding,
    Marker,
    explain,
    judge_files,
    judge_index,
    judge_listed,
    judge_marker,
    judge_verification,
    span,
)
from redirector.health.memory import (
    CONTENT,
    PENDING,
    FamilyNote,
    Held,
    Memory,
    Trouble,
    UrlNote,
    Validator,
    content_of,
    settle,
)
from redirector.health.plan import (
    FULL_S,
    Looks,
    control_name,
    literal_family,
    mark_pushes,
    mine_of,
    plan_families,
    plan_looks,
    worn_off,
)
from redirector.health.rules import Rules
from redirector.health.subjects import Carried, Subject

LOST = frozenset(
    {
        Outcome.NO_NAME,
        Outcome.NO_CONNECTION,
        Outcome.TIMEOUT,
        Outcome.TLS,
        Outcome.TLS_EXPIRED,
        Outcome.TLS_NAME,
        Outcome.TLS_UNTRUSTED,
        Outcome.FORBIDDEN,
        Outcome.BUSY,
        *OUR_OWN,
    }
)
"""After these nothing else is asked over that URL and family."""

BREAKS = 3
"""Connections that a mirror may close during a visit, and failures without an answer, before the rest is left for the
next one."""


@dataclass(frozen=True, slots=True)
class Visited:
    """What came of a visit to one category."""

    category: str
    event: Event
    whole: Whole
    held: Held
    seen: Seen
    ahead: bool
    requests: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a visit.

    evidence  all of it, in the order of asking
    ahead     the mirror has what the master's scan does not know: it should be scanned again
    """

    subject: Subject
    at: float
    event: Event
    memory: Memory
    categories: tuple[Visited, ...]
    evidence: tuple[Evidence, ...]
    requests: int
    ahead: bool

    @property
    def reason(self) -> str:
        """Why it failed, or is late; "" when all is well."""
        reasons = (each.seen.reason or each.seen.stale_reason for each in self.categories)
        return next(filter(None, reasons), "")

    @property
    def lag_s(self) -> float | None:
        return max((each.held.lag_s for each in self.categories if each.held.lag_s is not None), default=None)


@dataclass(frozen=True, slots=True)
class Pair:
    """A way to a mirror: a base URL and an address family."""

    base: str
    family: Family | None


Steps = Iterator[tuple[Probe, ...]]
T = TypeVar("T")


@dataclass(eq=False)
class _Asking:
    """One category while it is visited."""

    carried: Carried
    master: Master
    held: Held
    mine: NDArray[np.bool_]
    opening: list[tuple[Pair, Evidence]] = field(default_factory=list)
    content: list[Evidence] = field(default_factory=list)
    findings: dict[int, Finding] = field(default_factory=dict)
    validators: dict[int, Validator] = field(default_factory=dict)
    looks: Looks = field(default_factory=Looks)
    marker: Evidence | None = None
    listed: bool = False
    requests: int = 0


class Visit:
    """Asks one host. `next` gives probes that may go out together, `take` what came; `finish` when there are none.

    masters     category -> what its master holds
    held        category -> what is remembered, numbered as the master numbers
    now         the clock, epoch seconds
    eager       somebody asked for this visit: what is not well is looked at, due or not
    everything  all there is is looked at
    """

    def __init__(
        self,
        subject: Subject,
        masters: Mapping[str, Master],
        memory: Memory,
        held: Mapping[str, Held],
        rules: Rules,
        now: Callable[[], float],
        *,
        eager: bool = False,
        everything: bool = False,
    ) -> None:
        self._subject = subject
        self._memory = memory
        self._rules = rules
        self._now = now
        self._eager = eager
        self._everything = everything
        self._begun = now()
        self._owed = worn_off(memory.owed, self._begun - memory.visited)
        self._evidence: list[Evidence] = []
        self._soft404 = memory.soft404
        self._controlled = memory.controlled
        self._ports = frozenset(
            port for each in subject.categories for url in each.urls if (port := _port_of(url)) is not None
        )
        self._asking = [
            _Asking(
                each,
                masters[each.category],
                held.get(each.category, Held()),
                mine_of(masters[each.category], each.only),
            )
            for each in subject.categories
            if each.category in masters and each.urls
        ]
        self._answers: dict[Probe, tuple[Evidence, ...]] = {}
        self._steps = self._run()

    def next(self) -> tuple[Probe, ...]:
        """The next probes, at most two; () when the visit is over."""
        return next(self._steps, ())

    def take(self, probe: Probe, seen: tuple[Evidence, ...]) -> None:
        """What came of *probe*."""
        self._evidence.extend(seen)
        self._answers[probe] = seen

    def _taken(self, probe: Probe) -> tuple[Evidence, ...]:
        return self._answers.pop(probe, ())

    def _run(self) -> Steps:
        for number, asking in enumerate(self._asking):
            yield from self._open(asking, first=number == 0)
            yield from self._look(asking)

    # -- The opening: does it answer, and how ----------------------------------------------------------------------

    def _open(self, asking: _Asking, *, first: bool) -> Steps:
        asking.held = self._marked(asking)
        web = [url for url in asking.carried.urls if not url.startswith("rsync:")]
        for turn, url in enumerate(web or asking.carried.urls[:1]):
            families = self._families(url, turn, first=first, many=len(web) > 1)
            for family in families:
                pair = Pair(url, family)
                probe = self._opening_probe(asking, pair)
                yield (probe,)
                for seen in self._taken(probe)[:1]:
                    asking.opening.append((pair, seen))
                    asking.requests += 1
                if len(web) == 1 and self._well and asking.opening[-1][1].outcome in ANSWERED:
                    break  # the other family's turn is next time

    def _marked(self, asking: _Asking) -> Held:
        states, seen_push = mark_pushes(asking.master, asking.held, asking.mine)
        return replace(asking.held, states=states, seen_push=seen_push)

    @property
    def _well(self) -> bool:
        """All that was asked last time answered, by both families; and nobody wants to see everything now."""
        memory = self._memory
        if self._eager or not memory.visits or not all(note.up for note in memory.urls.values()):
            return False
        return not any(note.failures for note in memory.families.values())

    def _families(self, url: str, turn: int, *, first: bool, many: bool) -> tuple[Family | None, ...]:
        """Each URL is asked by one family, by the other next time; by both where something was amiss."""
        families = plan_families(self._memory, urlsplit(url).hostname or "", self._begun, self._rules)
        if url.startswith("rsync:") or not first:
            return families[:1] if len(families) == 1 else (None,)
        if not self._well or len(families) < 2:
            return families
        begin = (turn + self._memory.visits) % len(families)
        ordered = families[begin:] + families[:begin]
        return ordered[:1] if many else ordered

    def _opening_probe(self, asking: _Asking, pair: Pair) -> Probe:
        master = asking.master
        if pair.base.startswith("rsync:"):
            names = tuple(filter(None, (master.marker, *(each.index for each in master.directories[:1]))))
            return self._probe(asking, Ask.FILES, pair, paths=names)
        if master.marker:
            known = asking.held.marker_validator
            fresh = known is not None and self._begun - known.full < FULL_S and pair.base == _first_web(asking.carried)
            etag, modified = (known.etag, known.modified) if known and fresh else ("", "")
            return self._probe(asking, Ask.MARKER, pair, master.marker, etag=etag, modified=modified)
        indexes = np.flatnonzero(asking.mine & master.columns.indexed)
        if len(indexes):
            newest = int(indexes[np.argmax(master.columns.pushed[indexes])])
            return self._probe(asking, Ask.INDEX, pair, master.directories[newest].index)
        return self._probe(asking, Ask.FOLDER, pair)

    def _probe(
        self,
        asking: _Asking,
        ask: Ask,
        pair: Pair,
        path: str = "",
        *,
        paths: tuple[str, ...] = (),
        etag: str = "",
        modified: str = "",
    ) -> Probe:
        return Probe(
            self._subject.key, asking.carried.category, ask, pair.base, path, paths, pair.family, etag, modified,
            self._ports,
        )  # fmt: skip

    # -- The looks: what it has ------------------------------------------------------------------------------------

    def _look(self, asking: _Asking) -> Steps:
        pair = _best(asking)
        asking.marker = _marker_of(asking, pair)
        told = asking.marker is not None and asking.marker.outcome is Outcome.OK
        moved = self._moved(asking)
        rsync = next((url for url in asking.carried.urls if url.startswith("rsync:")), "")
        asking.looks = plan_looks(
            asking.master, asking.held, asking.mine, self._memory.visited, self._begun, self._rules,
            self._subject.key, moved=moved, still=told and not moved, rsync=bool(rsync), owed=self._owed,
            eager=self._eager, everything=self._everything,
        )  # fmt: skip
        if pair is None:
            return
        if pair.base.startswith("rsync:"):
            yield from self._look_at_list(asking, pair, alone=True)
            return
        lost = _Lost()
        if all(seen.outcome in ANSWERED for other, seen in asking.opening if other == pair):
            yield from self._control(asking, pair)
        yield from self._look_at_indexes(asking, pair, lost)
        yield from self._look_at_files(asking, pair, lost)
        if rsync and asking.looks.listed and not lost:
            yield from self._look_at_list(asking, Pair(rsync, None))

    def _moved(self, asking: _Asking) -> bool:
        seen = asking.marker
        if seen is None or seen.outcome is not Outcome.OK:
            return False
        return _marker_text(seen) != asking.held.marker

    def _control(self, asking: _Asking, pair: Pair) -> Steps:
        if self._controlled and self._begun - self._controlled < self._rules.control_s:
            return
        probe = self._probe(asking, Ask.CONTROL, pair, control_name(self._subject.key, int(self._begun // 86400)))
        yield (probe,)
        for seen in self._taken(probe)[:1]:
            asking.requests += 1
            if seen.outcome not in LOST:
                self._soft404 = seen.outcome is Outcome.OK
                self._controlled = seen.at

    def _look_at_indexes(self, asking: _Asking, pair: Pair, lost: _Lost) -> Steps:
        directories = asking.master.directories
        fresh: list[int] = []
        opened = {seen.path: seen for other, seen in asking.opening if other == pair and seen.ask is Ask.INDEX}
        for batch in _pairs(asking.looks.indexes):
            probes = {}
            for number in batch:
                if seen := opened.get(directories[number].index):
                    self._take_index(asking, number, seen, fresh)
                else:
                    probes[number] = self._index_probe(asking, pair, number)
            if probes:
                yield tuple(probes.values())
            for number, probe in probes.items():
                for seen in self._taken(probe)[:1]:
                    asking.requests += 1
                    asking.content.append(seen)
                    self._take_index(asking, number, seen, fresh)
                    lost.add(seen)
            if lost:
                return
        fresh.sort(key=lambda n: (-directories[n].pushed, n))
        for number in (fresh or list(asking.looks.backlog))[: self._rules.verified_a_visit]:
            yield from self._verify(asking, pair, number, lost)
            if lost:
                return

    def _index_probe(self, asking: _Asking, pair: Pair, number: int) -> Probe:
        known = asking.held.validators.get(number)
        etag = modified = ""
        if known and self._begun - known.full < FULL_S and not self._everything:
            etag, modified = known.etag, known.modified
        return self._probe(
            asking, Ask.INDEX, pair, asking.master.directories[number].index, etag=etag, modified=modified
        )

    def _take_index(self, asking: _Asking, number: int, seen: Evidence, fresh: list[int]) -> None:
        expected = asking.master.directories[number]
        trouble = asking.held.troubles.get(number)
        known = asking.held.validators.get(number)
        before = Before(
            trouble.ahead_since if trouble else 0, known.sha256 if known else "", known.valid_until if known else 0
        )
        found = judge_index(expected, seen, before, self._rules, soft404=self._soft404)
        asking.findings[number] = found
        if seen.outcome is Outcome.OK and (seen.etag or seen.last_modified):
            asking.validators[number] = Validator(
                seen.etag, seen.last_modified, seen.sha256, seen.at, seen.valid_until or 0
            )
        new = bool(asking.held.states[number] & PENDING) or trouble is not None
        if found.content is Content.CURRENT and expected.files and new:
            fresh.append(number)

    def _verify(self, asking: _Asking, pair: Pair, number: int, lost: _Lost) -> Steps:
        expected = asking.master.directories[number]
        known = asking.held.validators.get(number)
        found = asking.findings.get(number) or Finding(
            Content.CURRENT, int(self._begun), sha256=known.sha256 if known else ""
        )
        if found.content is not Content.CURRENT:
            return
        probes = [self._probe(asking, Ask.FILE, pair, file.path) for file in expected.files]
        seen: list[Evidence] = []
        for batch in _pairs(probes):
            yield tuple(batch)
            for probe in batch:
                for each in self._taken(probe)[:1]:
                    asking.requests += 1
                    asking.content.append(each)
                    seen.append(each)
                    lost.add(each)
            if lost:
                return
        asking.findings[number] = judge_verification(expected, found, seen, soft404=self._soft404)

    def _look_at_files(self, asking: _Asking, pair: Pair, lost: _Lost) -> Steps:
        if lost or self._soft404:
            return
        for number in asking.looks.files:
            expected = asking.master.directories[number]
            probes = [self._probe(asking, Ask.FILE, pair, file.path) for file in expected.files]
            seen: list[Evidence] = []
            for batch in _pairs(probes):
                yield tuple(batch)
                for probe in batch:
                    for each in self._taken(probe)[:1]:
                        asking.requests += 1
                        asking.content.append(each)
                        seen.append(each)
                        lost.add(each)
                if lost:
                    return
            if seen:
                asking.findings[number] = judge_files(expected, seen, self._rules, soft404=self._soft404)

    def _look_at_list(self, asking: _Asking, pair: Pair, *, alone: bool = False) -> Steps:
        """By rsync, in one run. No verdict is made of a list that failed.

        alone  the mirror offers nothing else: indexes are told by their size and time, and by the files beside them
        """
        directories, looks = asking.master.directories, asking.looks
        numbers = looks.indexes + looks.files + looks.listed if alone else looks.listed
        names = dict.fromkeys(path for number in numbers for path in _paths_of(directories[number]))
        if not names:
            return
        probe = self._probe(asking, Ask.FILES, pair, paths=tuple(names))
        yield (probe,)
        listed = self._taken(probe)
        asking.requests += 1
        if alone:
            asking.content.extend(listed)
        seen = {each.path: each for each in listed}
        if not any(each.outcome in (Outcome.OK, Outcome.MISSING) for each in listed):
            return
        asking.listed = bool(looks.listed)
        for number in numbers:
            expected = directories[number]
            files = [seen[file.path] for file in expected.files if file.path in seen]
            if expected.index and expected.index in seen:
                trouble = asking.held.troubles.get(number)
                before = Before(trouble.ahead_since if trouble else 0)
                asking.findings[number] = judge_listed(expected, seen[expected.index], files, before, self._rules)
            elif files:
                asking.findings[number] = judge_files(expected, files, self._rules, soft404=False)

    # -- The end ----------------------------------------------------------------------------------------------------

    def finish(self) -> Result:
        """What came of it, however far it got."""
        at = self._now()
        visited = tuple(self._conclude(asking, at) for asking in self._asking)
        events = {each.event for each in visited}
        event = next((each for each in (Event.GOOD, Event.FAILED) if each in events), Event.QUIET)
        return Result(
            subject=self._subject,
            at=at,
            event=event,
            memory=self._remember(at),
            categories=visited,
            evidence=tuple(self._evidence),
            requests=sum(each.requests for each in visited),
            ahead=any(each.ahead for each in visited),
        )

    def _conclude(self, asking: _Asking, at: float) -> Visited:
        event, reason = _event_of(asking)
        held, master = asking.held, asking.master
        states, troubles = bytearray(held.states), dict(held.troubles)
        if event is not Event.FAILED or any(seen.outcome in ANSWERED for _, seen in asking.opening):
            for number, found in asking.findings.items():
                state, trouble = settle(states[number], troubles.pop(number, None), found, self._rules)
                states[number] = state
                if trouble is not None:
                    troubles[number] = trouble
        silent = set(asking.looks.indexes + asking.looks.files) - asking.findings.keys()
        marker = judge_marker(master, asking.marker) if asking.marker else None
        whole, stale_reason = _whole_of(asking, bytes(states), marker, self._rules)
        if event is not Event.GOOD:
            whole = Whole.NONE
        seen = Seen(at, event, whole, reason, stale_reason)
        held = replace(
            held,
            standing=step(held.standing, seen, self._rules),
            states=bytes(states),
            troubles=troubles,
            validators=held.validators | asking.validators,
            cursor=asking.looks.cursor if not silent else held.cursor,
            carry=asking.looks.carry,
            whole=at if asking.looks.everything and not silent else held.whole,
            listed=at if asking.listed else held.listed,
            lag_s=_lag_of(asking, bytes(states), troubles, marker, at),
        )
        if asking.marker is not None and marker is not None and asking.marker.outcome is Outcome.OK:
            text = _marker_text(asking.marker)
            held = replace(
                held,
                marker=text,
                marker_since=held.marker_since if text == held.marker else self._begun,
                marker_age_s=marker.age_s,
                stamp=marker.stamp,
                marker_validator=_validator_of(asking.marker) or held.marker_validator,
            )
        ahead = any(found.content is Content.AHEAD for found in asking.findings.values())
        return Visited(asking.carried.category, event, whole, held, seen, ahead, asking.requests)

    def _remember(self, at: float) -> Memory:
        busy = [each.retry_after for each in self._evidence if each.outcome is Outcome.BUSY and each.retry_after]
        certificates = [
            (each.certificate_expires, each.certificate_made) for each in self._evidence if each.certificate_expires
        ]
        expires, made = min(
            certificates,
            key=lambda validity: validity[0],
            default=(self._memory.certificate_expires, self._memory.certificate_made),
        )
        durations = [
            each.duration_s for each in self._evidence if each.outcome in ANSWERED and each.ask is Ask.MARKER
        ] or [each.duration_s for each in self._evidence if each.outcome in ANSWERED]
        return replace(
            self._memory,
            name=self._subject.name,
            country=self._subject.country,
            private=self._subject.private,
            tree=self._subject.tree,
            visited=at,
            visits=self._memory.visits + 1,
            urls=self._note_urls(at),
            families=self._note_families(),
            soft404=self._soft404,
            controlled=self._controlled,
            certificate_made=made,
            certificate_expires=expires,
            duration_s=min(durations, default=None),
            busy_until=max(busy, default=0),
            owed=self._owed + sum(asking.requests for asking in self._asking),
        )

    def _note_urls(self, at: float) -> dict[str, UrlNote]:
        notes: dict[str, UrlNote] = {}
        for asking in self._asking:
            for url in asking.carried.urls:
                seen = [each for pair, each in asking.opening if pair.base == url]
                seen = seen or [each for each in self._evidence if each.base == url]
                note = _note_url(self._memory.urls.get(url), seen, at)
                if note is not None:
                    notes[url] = note
        return notes

    def _note_families(self) -> dict[str, FamilyNote]:
        notes = dict(self._memory.families)
        opening = [(pair.family, seen) for asking in self._asking for pair, seen in asking.opening]
        asked = {family for family, _ in opening if family is not None}
        answered = {seen.family for _, seen in opening if seen.outcome in ANSWERED}
        bases = {pair.base for asking in self._asking for pair, _ in asking.opening}
        literal = {literal_family(urlsplit(base).hostname or "") for base in bases}
        if len(literal) == 1 and (only := literal.pop()) is not None:
            other = Family.IPV6 if only is Family.IPV4 else Family.IPV4
            notes[other] = FamilyNote(absent=True, asked=self._begun)
        for family in filter(None, asked | answered):
            mine = [seen for asked_by, seen in opening if asked_by is family or seen.family is family]
            notes[family] = _note_family(notes.get(family, FamilyNote()), family, mine, answered)
        return notes


@dataclass(eq=False)
class _Lost:
    """Whether the way to the mirror is lost for this visit."""

    breaks: int = 0
    failures: int = 0
    answered: bool = False
    over: bool = False

    def add(self, seen: Evidence) -> None:
        self.answered = self.answered or seen.outcome in ANSWERED
        self.failures += seen.outcome in FAILED
        if not self.answered and self.failures >= BREAKS:
            self.over = True
        if seen.outcome is Outcome.NO_CONNECTION:
            self.breaks += 1
            self.over = self.over or self.breaks >= BREAKS
        elif seen.outcome in LOST:
            self.over = True

    def __bool__(self) -> bool:
        return self.over


def _pairs(items: Iterable[T]) -> Iterator[list[T]]:
    """Two at a time: as many connections as an address may have."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == 2:
            yield batch
            batch = []
    if batch:
        yield batch


def _paths_of(expected: Expected) -> Iterator[str]:
    """All that tells how a directory stands."""
    if expected.index:
        yield expected.index
    yield from (file.path for file in expected.files)


def _port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def _first_web(carried: Carried) -> str:
    return next((url for url in carried.urls if not url.startswith("rsync:")), "")


def _best(asking: _Asking) -> Pair | None:
    """The way to go on: the one that answered, https before http; else one that at least speaks."""
    ways = [
        (
            seen.outcome not in (Outcome.OK, Outcome.UNCHANGED),
            seen.outcome not in ANSWERED,
            seen.html,
            pair.base[:6] != "https:",
            n,
        )
        for n, (pair, seen) in enumerate(asking.opening)
        if seen.outcome not in LOST
    ]
    return asking.opening[min(ways)[-1]][0] if ways else None


def _marker_of(asking: _Asking, pair: Pair | None) -> Evidence | None:
    """The marker as seen on the way that was taken; an older one on another way makes no difference."""
    if not asking.master.marker:
        return None
    found = [each for other, each in asking.opening if other == pair and each.path == asking.master.marker]
    if found and found[0].scheme is Scheme.RSYNC and found[0].modified and asking.master.stamp is not None:
        # Its content does not come; but whoever copies times with rsync has the one at which it was written.
        return replace(found[0], stamp=float(found[0].modified))
    if not found or found[0].outcome is not Outcome.UNCHANGED:
        return found[0] if found else None
    held = asking.held
    known = held.marker_validator
    return replace(
        found[0],
        outcome=Outcome.OK,
        stamp=held.stamp,
        text=held.marker if held.stamp is None else "",
        sha256=known.sha256 if known else "",
    )


def _marker_text(seen: Evidence) -> str:
    return str(seen.stamp) if seen.stamp is not None else seen.text


def _validator_of(seen: Evidence) -> Validator | None:
    if not (seen.etag or seen.last_modified):
        return None
    return Validator(seen.etag, seen.last_modified, seen.sha256, seen.at)


def _event_of(asking: _Asking) -> tuple[Event, str]:
    """Whether a category answered, and if not, why."""
    opening = [seen for _, seen in asking.opening]
    seen = opening + asking.content
    if not opening or all(each.outcome in OUR_OWN for each in opening):
        return Event.QUIET, explain(opening[0]) if opening else ""
    spoke = [each for each in opening if each.outcome not in LOST]
    if not spoke:
        failed = [each for each in opening if each.outcome in FAILED]
        if any(each.outcome is Outcome.BUSY for each in opening) or not failed:
            return Event.QUIET, explain(next(each for each in opening if each.outcome not in FAILED))
        return Event.FAILED, explain(failed[0])
    bodies = [each for each in seen if each.outcome is Outcome.OK and each.ask in (Ask.MARKER, Ask.INDEX)]
    if bodies and all(each.html for each in bodies) and not any(each.outcome is Outcome.UNCHANGED for each in seen):
        return Event.FAILED, "every answer is a page of HTML"
    content = [each for each in asking.content if each.outcome not in OUR_OWN]
    secret = {each.index for each in asking.master.directories if not each.judged}
    bad = [each for each in content if each.outcome in FAILED and each.path not in secret]
    timeout = next((each for each in bad if each.outcome is Outcome.TIMEOUT), None)
    if timeout is not None:
        return Event.FAILED, explain(timeout)
    if bad and len(bad) * 2 > len(content):
        return Event.FAILED, explain(next(each for each in seen if each.outcome in FAILED))
    if any(each.outcome is Outcome.BUSY for each in content):
        busy = next(each for each in content if each.outcome is Outcome.BUSY)
        answered = any(each.outcome in ANSWERED for each in content)
        return (Event.GOOD, "") if answered else (Event.QUIET, explain(busy))
    if not any(each.outcome in ANSWERED for each in seen):
        return Event.FAILED, explain(next(each for each in seen if each.outcome in FAILED))
    return Event.GOOD, ""


def _whole_of(asking: _Asking, states: bytes, marker: Marker | None, rules: Rules) -> tuple[Whole, str]:
    """A category as a whole: stale when all that was looked at is, or where only the marker tells, when that is."""
    master = asking.master
    contents = np.frombuffer(states, np.uint8) & CONTENT
    judged = contents != Content.NOT_JUDGED
    by_sum = bool((judged & master.columns.known).any())
    age_s = marker.age_s if marker is not None else None
    if age_s is not None and age_s > rules.outdate_s and not by_sum:
        return Whole.STALE, f"{master.marker}: {span(age_s)} old"
    looked = [found for found in asking.findings.values() if found.content is not Content.NO_ANSWER]
    if not looked and (age_s is None or by_sum):
        return Whole.NONE, ""
    if judged.any() and bool(np.isin(contents[judged], _BAD).all()):
        reason = max(looked, key=lambda found: (found.content is Content.STALE, found.reason)).reason if looked else ""
        count = int(judged.sum())
        return Whole.STALE, reason if count == 1 else f"all {count} directories: {reason}"
    return Whole.FRESH, ""


_BAD = np.array([content for content in Content if content.bad], np.uint8)


def _lag_of(
    asking: _Asking, states: bytes, troubles: Mapping[int, Trouble], marker: Marker | None, at: float
) -> float | None:
    """The longest that anything carried is late; by the marker where nothing else tells; None when nothing is known.

    What was not looked at in this visit is as late as it was, unless the mirror's marker says that nothing came since.
    """
    judged = (np.frombuffer(states, np.uint8) & CONTENT) != Content.NOT_JUDGED
    if not bool((judged & asking.master.columns.known).any()):
        if marker is not None and marker.age_s is not None:
            return marker.age_s
        return 0.0 if judged.any() else None
    still = asking.marker is not None and _marker_text(asking.marker) == asking.held.marker
    since = asking.held.marker_since if still else math.inf
    lags = [
        (at if n in asking.findings or trouble.at >= since else trouble.at) - trouble.lacked
        for n, trouble in troubles.items()
        if trouble.lacked and content_of(states[n]) in (Content.BEHIND, Content.STALE)
    ]
    return max(0.0, *lags) if lags else 0.0


def _note_url(before: UrlNote | None, seen: list[Evidence], at: float) -> UrlNote | None:
    """What is to be said of a base URL after what was seen of it; as before when that says nothing."""
    telling = [each for each in seen if each.outcome not in OUR_OWN and each.outcome is not Outcome.BUSY]
    if not telling:
        return before
    failed = [each for each in telling if each.outcome in FAILED]
    up = len(failed) < len(telling)
    reason = "" if up else explain(failed[0])
    if up and (elsewhere := next((each.redirected for each in telling if each.redirected), "")):
        reason = f"redirects to {elsewhere}"
    since = before.since if before and before.up is up else at
    return UrlNote(up, since, reason)


def _note_family(note: FamilyNote, family: Family, seen: list[Evidence], answered: set[Family | None]) -> FamilyNote:
    asked = max((each.at for each in seen), default=0)
    if family in answered:
        return FamilyNote(answered=asked, asked=asked)
    telling = [each for each in seen if each.outcome in FAILED]
    if not telling:
        return note
    absent = all(each.outcome is Outcome.NO_NAME for each in telling) and bool(answered)
    failures = note.failures + 1 if answered else note.failures
    return replace(note, failures=failures, absent=absent, asked=asked)

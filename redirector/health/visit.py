"""One visit, without sockets: it says which probes come next, takes what they saw, and at last what is remembered.

It opens with the marker over each base URL and address family, goes on over the one that answered best, and ends at the
first timeout there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import numpy as np

from redirector.health.asking import LOST, Asking, Lost, Pair, first_web, pairs, paths_of, port_of
from redirector.health.conclude import (
    best_way,
    event_of,
    lag_of,
    marker_of,
    marker_text,
    note_family,
    note_url,
    validator_of,
    whole_of,
)
from redirector.health.evidence import ANSWERED, Ask, Evidence, Family, Outcome, Probe, printable_reason
from redirector.health.expected import Expected, Master
from redirector.health.hysteresis import Content as Whole
from redirector.health.hysteresis import Event, Seen, step
from redirector.health.judge import (
    Before,
    Content,
    Finding,
    judge_files,
    judge_index,
    judge_listed,
    judge_marker,
    judge_verification,
)
from redirector.health.memory import (
    PENDING,
    FamilyNote,
    Held,
    Memory,
    UrlNote,
    Validator,
    settle,
)
from redirector.health.plan import (
    FULL_S,
    control_name,
    literal_family,
    mark_pushes,
    mine_of,
    plan_families,
    plan_looks,
    worn_off,
)
from redirector.health.rules import Rules
from redirector.health.subjects import Subject


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


Steps = Iterator[tuple[Probe, ...]]


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
        self._owed = worn_off(memory.owed, self._begun - memory.visited, rules)
        self._evidence: list[Evidence] = []
        self._soft404 = memory.soft404
        self._controlled = memory.controlled
        self._ports = frozenset(
            port for each in subject.categories for url in each.urls if (port := port_of(url)) is not None
        )
        self._asking = [
            Asking(
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

    def _open(self, asking: Asking, *, first: bool) -> Steps:
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

    def _marked(self, asking: Asking) -> Held:
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

    def _opening_probe(self, asking: Asking, pair: Pair) -> Probe:
        master = asking.master
        index = _newest_index(asking)
        if pair.base.startswith("rsync:"):
            names = tuple(filter(None, (master.marker, index)))
            return self._probe(asking, Ask.FILES if names else Ask.FOLDER, pair, paths=names)
        if master.marker:
            known = asking.held.marker_validator
            fresh = known is not None and self._begun - known.full < FULL_S and pair.base == first_web(asking.carried)
            etag, modified = (known.etag, known.modified) if known and fresh else ("", "")
            return self._probe(asking, Ask.MARKER, pair, master.marker, etag=etag, modified=modified)
        return self._probe(asking, Ask.INDEX, pair, index) if index else self._probe(asking, Ask.FOLDER, pair)

    def _probe(
        self,
        asking: Asking,
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

    def _look(self, asking: Asking) -> Steps:
        pair = best_way(asking)
        asking.marker = marker_of(asking, pair)
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
        lost = Lost()
        if all(seen.outcome in ANSWERED for other, seen in asking.opening if other == pair):
            yield from self._control(asking, pair)
        yield from self._look_at_indexes(asking, pair, lost)
        yield from self._look_at_files(asking, pair, lost)
        if rsync and asking.looks.listed and not lost:
            yield from self._look_at_list(asking, Pair(rsync, None))

    def _moved(self, asking: Asking) -> bool:
        seen = asking.marker
        if seen is None or seen.outcome is not Outcome.OK:
            return False
        return marker_text(seen) != asking.held.marker

    def _control(self, asking: Asking, pair: Pair) -> Steps:
        if self._controlled and self._begun - self._controlled < self._rules.control_s:
            return
        probe = self._probe(asking, Ask.CONTROL, pair, control_name(self._subject.key, int(self._begun // 86400)))
        yield (probe,)
        for seen in self._taken(probe)[:1]:
            asking.requests += 1
            if seen.outcome not in LOST:
                self._soft404 = seen.outcome is Outcome.OK
                self._controlled = seen.at

    def _look_at_indexes(self, asking: Asking, pair: Pair, lost: Lost) -> Steps:
        directories = asking.master.directories
        fresh: list[int] = []
        opened = {seen.path: seen for other, seen in asking.opening if other == pair and seen.ask is Ask.INDEX}
        for batch in pairs(asking.looks.indexes):
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

    def _index_probe(self, asking: Asking, pair: Pair, number: int) -> Probe:
        known = asking.held.validators.get(number)
        etag = modified = ""
        expected = asking.master.directories[number]
        summed = not expected.versions or any(version.sha256 for version in expected.versions)
        if known and summed and self._begun - known.full < FULL_S and not self._everything:
            etag, modified = known.etag, known.modified  # "as it was" says something where its checksum is known
        return self._probe(asking, Ask.INDEX, pair, expected.index, etag=etag, modified=modified)

    def _take_index(self, asking: Asking, number: int, seen: Evidence, fresh: list[int]) -> None:
        expected = asking.master.directories[number]
        trouble = asking.held.troubles.get(number)
        known = asking.held.validators.get(number)
        before = Before(
            trouble.ahead_since if trouble else 0,
            known.sha256 if known else "",
            known.valid_until if known else 0,
            asking.master.checked,
        )
        found = judge_index(expected, seen, before, self._rules, soft404=self._soft404)
        asking.findings[number] = found
        if seen.outcome is Outcome.OK and seen.sha256 and (seen.etag or seen.last_modified):
            asking.validators[number] = Validator(
                seen.etag, seen.last_modified, seen.sha256, seen.at, seen.valid_until or 0
            )
        new = bool(asking.held.states[number] & PENDING) or trouble is not None
        if found.content is Content.CURRENT and expected.files and new:
            fresh.append(number)

    def _verify(self, asking: Asking, pair: Pair, number: int, lost: Lost) -> Steps:
        expected = asking.master.directories[number]
        known = asking.held.validators.get(number)
        found = asking.findings.get(number) or Finding(
            Content.CURRENT, int(self._begun), sha256=known.sha256 if known else ""
        )
        if found.content is not Content.CURRENT:
            return
        seen = yield from self._ask_for_files(asking, pair, expected, lost)
        if lost:
            return
        asking.findings[number] = judge_verification(expected, found, seen, soft404=self._soft404)

    def _ask_for_files(
        self, asking: Asking, pair: Pair, expected: Expected, lost: Lost
    ) -> Generator[tuple[Probe, ...], None, list[Evidence]]:
        """What is seen of the files of a directory, until *lost* says to stop."""
        seen: list[Evidence] = []
        for batch in pairs([self._probe(asking, Ask.FILE, pair, file.path) for file in expected.files]):
            yield tuple(batch)
            for probe in batch:
                for each in self._taken(probe)[:1]:
                    asking.requests += 1
                    asking.content.append(each)
                    seen.append(each)
                    lost.add(each)
            if lost:
                break
        return seen

    def _look_at_files(self, asking: Asking, pair: Pair, lost: Lost) -> Steps:
        if lost or self._soft404:
            return
        for number in asking.looks.files:
            expected = asking.master.directories[number]
            seen = yield from self._ask_for_files(asking, pair, expected, lost)
            if lost:
                return
            if seen:
                asking.findings[number] = judge_files(expected, seen, self._rules, soft404=self._soft404)

    def _look_at_list(self, asking: Asking, pair: Pair, *, alone: bool = False) -> Steps:
        """By rsync, in one run. No verdict is made of a list that failed.

        alone  the mirror offers nothing else: indexes are told by their size and time, and by the files beside them
        """
        directories, looks = asking.master.directories, asking.looks
        numbers = looks.indexes + looks.files + looks.listed if alone else looks.listed
        names = dict.fromkeys(path for number in numbers for path in paths_of(directories[number]))
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
                before = Before(trouble.ahead_since if trouble else 0, known_at=asking.master.checked)
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

    def _conclude(self, asking: Asking, at: float) -> Visited:
        event, reason = event_of(asking)
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
        whole, stale_reason = whole_of(asking, bytes(states), marker, self._rules)
        if event is not Event.GOOD:
            whole = Whole.NONE
        seen = Seen(at, event, whole, printable_reason(reason), printable_reason(stale_reason))
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
            lag_s=lag_of(asking, bytes(states), troubles, marker, at),
        )
        if asking.marker is not None and marker is not None and asking.marker.outcome is Outcome.OK:
            text = marker_text(asking.marker)
            held = replace(
                held,
                marker=text,
                marker_since=held.marker_since if text == held.marker else self._begun,
                marker_age_s=marker.age_s,
                stamp=marker.stamp,
                marker_validator=validator_of(asking.marker) or held.marker_validator,
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
                note = note_url(self._memory.urls.get(url), seen, at)
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
            notes[family] = note_family(notes.get(family, FamilyNote()), family, mine, answered)
        return notes


def _newest_index(asking: Asking) -> str:
    """The index that the master changed last, of those that the host is asked for; "" where there is none."""
    indexes = np.flatnonzero(asking.mine & asking.master.columns.indexed)
    if not len(indexes):
        return ""
    return asking.master.directories[int(indexes[np.argmax(asking.master.columns.pushed[indexes])])].index

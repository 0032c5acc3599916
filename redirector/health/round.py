"""Rounds: whoever is due is visited, what was seen is kept, and then all of it is judged together.

One round runs at a time on one store and vantage point, by a lock in the store; who is due is read under it, so two
crawlers never visit a mirror twice. Evidence is written as it comes, judgement at the end: a crawler that is killed
loses no evidence, and its mirrors are due again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from redirector.errors import StoreError
from redirector.health.evidence import Evidence, Probe
from redirector.health.hysteresis import Event, Overall, State, combine, is_void, next_visit
from redirector.health.judge import Content
from redirector.health.keeping import (
    Known,
    pack_delays,
    pack_held,
    pack_known,
    pack_memory,
    pack_names,
    unpack_delays,
    unpack_held,
    unpack_known,
    unpack_memory,
    unpack_names,
)
from redirector.health.memory import PENDING, Held, Memory, content_of, digest_of, renumber, set_back, set_back_held
from redirector.health.published import judge_all
from redirector.health.report import HostHealth
from redirector.health.rows import evidence_rows, visit_row
from redirector.health.rules import DAY_S, FUTURE_S
from redirector.health.spread import Push, last_pushes
from redirector.health.subjects import Subject
from redirector.health.visit import Result, Visit
from redirector.health.world import World
from redirector.store import evidence as kept
from redirector.store.opening import Store

log = logging.getLogger("redirector.health")

VISITS_AT_ONCE = 200
WRITTEN_EVERY_S = 1.0
"""Evidence of visits that are over waits no longer: who kills the crawler loses no more than what is under way."""

PUSHES_FOLLOWED_S = 14 * DAY_S
THINNED_EVERY_S = 3600.0


class Prober(Protocol):
    """Whoever asks mirrors."""

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        """What was seen."""

    async def leave(self, evidence: Sequence[Evidence]) -> None:
        """A visit is over."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round.

    void     why nothing was concluded; "" when something was
    results  of the visits
    entries  what is to be published of every host that was ever judged, private ones not among them
    changes  hosts whose state changed: before, after
    pushes   the last one of each category, and how far it has spread
    """

    at: float
    took_s: float
    void: str
    results: tuple[Result, ...]
    entries: Mapping[str, HostHealth] = field(default_factory=dict)
    changes: Mapping[str, tuple[State, Overall]] = field(default_factory=dict)
    world: World | None = None
    pushes: tuple[Push, ...] = ()

    @property
    def requests(self) -> int:
        return sum(result.requests for result in self.results)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a round visits: those that are due, or everybody not visited since *since*, or one host.

    host        key of the one host, visited now
    since       all that were not visited since then, due or not
    everything  all of a host's directories
    """

    host: str = ""
    since: float | None = None
    everything: bool = False


class Crawler:
    """Makes rounds.

    load   reads the world anew; called in a thread
    now    the clock, epoch seconds
    tell   is told of each visit that is over, and how many there are
    """

    def __init__(
        self,
        store: Store,
        prober: Prober,
        load: Callable[[Mapping[str, Known], float], World],
        vantage: str,
        pace: float,
        now: Callable[[], float],
        tell: Callable[[Result, int], None] = lambda result, total: None,
    ) -> None:
        self._store = store
        self._prober = prober
        self._load = load
        self._vantage = vantage
        self._pace = pace
        self._now = now
        self._tell = tell
        self._thinned = 0.0
        self._writing = asyncio.Lock()
        self.counts: dict[tuple[str, str], int] = {}

    async def round(self, wanted: Wanted, *, wait: bool = True) -> Round | None:
        """One round; None when somebody else makes one and *wait* is False.

        raises  SnapshotError when the source cannot be read; StoreError
        """
        digest = hashlib.blake2b(self._vantage.encode(), digest_size=6).hexdigest()
        async with self._store.lock(f"crawl-{digest}", wait_s=None if wait else 0) as held:
            return await self._round(wanted, held=held) if held else None

    async def look(self, wanted: Wanted) -> Round:
        """A round that changes nothing: what a visit to one host would come to."""
        return await self._round(wanted, held=False)

    async def _round(self, wanted: Wanted, *, held: bool) -> Round:
        begun = self._now()
        async with self._store.read() as connection:
            known = {name: unpack_known(raw) for name, raw in (await kept.find_known(connection)).items()}
        world = await asyncio.to_thread(self._load, known, begun)
        world = replace(world, rules=world.rules.paced(self._pace))
        memories, states = await self._remembered(begun)
        due = [subject for subject in world.subjects if self._is_due(subject, memories, wanted, begun)]
        helds = await self._held_of(due, world, begun)
        results = await self._visit_all(due, world, memories, helds, wanted, held=held)
        at = self._now()
        window = await self._window(world, states, results, at)
        void = "" if wanted.host else is_void(window, master_read=world.read)
        if wanted.host and results and all(result.event is Event.QUIET for result in results):
            void = "the visit taught nothing"
        made = Round(at, at - begun, void if results else "", tuple(results), world=world)
        if not held:
            return made
        return await self._conclude(made, world, memories, wanted)

    async def _remembered(self, now: float) -> tuple[dict[str, Memory], dict[str, State]]:
        async with self._store.read() as connection:
            rows = [row for row in await kept.find_hosts(connection) if row.vantage == self._vantage]
        memories = {row.host: set_back(_with_next_visit(row), now) for row in rows}
        return memories, {row.host: State(row.state) for row in rows}

    def _is_due(self, subject: Subject, memories: Mapping[str, Memory], wanted: Wanted, now: float) -> bool:
        if wanted.host:
            return wanted.host == subject.key and bool(subject.categories)
        if subject.unvisited or subject.off or not subject.categories:
            return False
        memory = memories.get(subject.key)
        if memory is None:
            return True
        return memory.visited < wanted.since if wanted.since is not None else memory.next_visit <= now

    async def _held_of(self, due: Iterable[Subject], world: World, now: float) -> dict[str, dict[str, Held]]:
        """What is remembered of the categories of those hosts, in the numbers of the masters' present lists."""
        lists = {name: tuple(each.name for each in master.directories) for name, master in world.masters.items()}
        digests = {name: digest_of(names) for name, names in lists.items()}
        found: dict[str, dict[str, Held]] = {}
        old: dict[str, tuple[str, ...]] = {}
        async with self._store.read() as connection:
            rows = await kept.find_contents(connection, self._vantage, [subject.key for subject in due])
            for row in rows:
                if row.category not in digests:
                    continue
                held = set_back_held(unpack_held(row.memory), now)
                if held.directories != digests[row.category]:
                    if held.directories not in old:
                        raw = await kept.find_names(connection, held.directories)
                        old[held.directories] = unpack_names(raw) if raw else ()
                    held = renumber(held, old[held.directories], lists[row.category], digests[row.category])
                found.setdefault(row.host, {})[row.category] = held
        for subject in due:
            categories = found.setdefault(subject.key, {})
            for carried in subject.categories:
                if carried.category in digests and carried.category not in categories:
                    categories[carried.category] = Held(directories=digests[carried.category])
        return found

    async def _visit_all(
        self,
        due: list[Subject],
        world: World,
        memories: Mapping[str, Memory],
        helds: Mapping[str, Mapping[str, Held]],
        wanted: Wanted,
        *,
        held: bool,
    ) -> list[Result]:
        results: list[Result] = []
        waiting: list[Result] = []
        gate = asyncio.Semaphore(VISITS_AT_ONCE)

        async def one(subject: Subject) -> None:
            async with gate:
                memory = memories.get(subject.key, Memory())
                result = await self._visit(subject, world, memory, helds[subject.key], wanted)
            results.append(result)
            waiting.append(result)
            self._tell(result, len(due))

        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                if held:
                    both.create_task(self._write_meanwhile(waiting, over))
                async with asyncio.TaskGroup() as visits:
                    for subject in due:
                        visits.create_task(one(subject))
                over.set()
        except* StoreError as failed:
            raise _first_of(failed) from failed
        finally:
            if held:
                await self._write_last(waiting)
        return results

    async def _visit(
        self, subject: Subject, world: World, memory: Memory, held: Mapping[str, Held], wanted: Wanted
    ) -> Result:
        eager = wanted.since is not None or bool(wanted.host)
        visit = Visit(
            subject, world.masters, memory, held, world.rules, self._now, eager=eager, everything=wanted.everything
        )
        evidence: list[Evidence] = []
        while probes := visit.next():
            answers = await asyncio.gather(*(self._prober.probe(probe) for probe in probes))
            for probe, seen in zip(probes, answers, strict=True):
                visit.take(probe, seen)
                evidence.extend(seen)
                for each in seen[:1]:
                    key = (each.scheme.value, each.outcome.value)
                    self.counts[key] = self.counts.get(key, 0) + 1
        await self._prober.leave(evidence)
        return visit.finish()

    async def _write_meanwhile(self, waiting: list[Result], over: asyncio.Event) -> None:
        """Writes what is there, until the visits are *over*."""
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), WRITTEN_EVERY_S)
            await self._write_evidence(waiting)

    async def _write_last(self, waiting: list[Result]) -> None:
        """What is left once the visits are over, or called off. Who calls this off as well waits no longer for it."""
        writing = asyncio.ensure_future(self._write_evidence(waiting))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.cancel()
            await asyncio.wait({writing})
            raise

    async def _write_evidence(self, waiting: list[Result]) -> None:
        """One at a time: SQLite has one writer, and who waits in a thread of its own for it may wait too long."""
        async with self._writing:
            if waiting:
                await self._write_waiting(waiting)

    async def _write_waiting(self, waiting: list[Result]) -> None:
        """What was not written, being called off or refused, still waits then."""
        written = list(waiting)
        rows = [row for result in written for row in evidence_rows(result, self._vantage)]
        visits = [visit_row(result, self._vantage, counted=False) for result in written]
        async with self._store.write() as connection:
            await kept.add_evidence(connection, rows)
            await kept.add_visits(connection, visits)
        del waiting[: len(written)]

    async def _window(
        self, world: World, states: Mapping[str, State], results: Iterable[Result], now: float
    ) -> list[tuple[State, Event]]:
        """The last visit of each host in the last interval, with the state that it had before."""
        latest: dict[str, tuple[State, Event]] = {}
        since = int(now - world.rules.interval_s * 1.2)
        wanted = {subject.key for subject in world.subjects}
        async with self._store.read() as connection:
            for row in await kept.find_visits(connection, since, until=int(now + FUTURE_S)):
                if row.vantage == self._vantage and row.host in wanted:
                    latest[row.host] = (states.get(row.host, State.UNCHECKED), Event(row.event))
        for result in results:
            latest[result.subject.key] = (states.get(result.subject.key, State.UNCHECKED), result.event)
        return list(latest.values())

    async def _conclude(self, made: Round, world: World, memories: Mapping[str, Memory], wanted: Wanted) -> Round:
        rules, now = world.rules, made.at
        host_rows: list[kept.MemoryRow] = []
        content_rows: list[kept.ContentRow] = []
        concluded: list[Result] = []
        for result in made.results:
            chance = int.from_bytes(
                hashlib.blake2b(f"{result.subject.key} {result.at}".encode(), digest_size=4).digest()
            )
            if made.void:
                if wanted.since is None:
                    before = memories.get(result.subject.key, Memory())
                    again = replace(before, next_visit=result.at + rules.retry_s[0], visited=result.at)
                    host_rows.append(await self._old_row(result.subject.key, again))
                continue
            standings = [each.held.standing for each in result.categories]
            following = next_visit(standings, result.event, result.at, result.memory.busy_until, rules, chance / 2**32)
            memory = replace(result.memory, next_visit=following)
            concluded.append(replace(result, memory=memory))
            overall = combine((each.category, each.held.standing) for each in result.categories)
            host_rows.append(
                kept.MemoryRow(
                    host=result.subject.key,
                    vantage=self._vantage,
                    visited=int(result.at),
                    next_visit=int(following),
                    state=overall.state.value,
                    since=int(overall.since),
                    reason=overall.reason,
                    lag_s=None if result.lag_s is None else int(result.lag_s),
                    memory=pack_memory(memory),
                )
            )
            for each in result.categories:
                served, packed = pack_held(each.held)
                content_rows.append(
                    kept.ContentRow(
                        result.subject.key, self._vantage, each.category, each.held.directories, served, packed
                    )
                )
        async with self._store.write() as connection:
            if not made.void:
                await kept.put_known(connection, {name: pack_known(each) for name, each in world.known.items()})
                for master in world.masters.values():
                    names = tuple(each.name for each in master.directories)
                    await kept.add_names(connection, digest_of(names), int(now), pack_names(names))
                await kept.add_visits(
                    connection, [visit_row(each, self._vantage, counted=True) for each in made.results]
                )
            await kept.put_memories(connection, host_rows, content_rows)
            if made.results:
                failed = sum(each.event is Event.FAILED for each in made.results)
                row = kept.RoundRow(
                    self._vantage, int(now), made.took_s, len(made.results), failed, made.requests, made.void
                )
                await kept.add_round(connection, row)
        if made.void:
            return made
        entries, changes = await self._publishable(world, now)
        pushes = await self._follow_pushes(world, made, now)
        if now - self._thinned >= THINNED_EVERY_S:
            self._thinned = now
            async with self._store.write() as connection:
                await kept.forget_hosts(connection, (each.key for each in world.subjects), int(now - DAY_S))
                await kept.thin_out(connection, int(now))
        return replace(made, results=tuple(concluded), entries=entries, changes=changes, pushes=pushes)

    async def _old_row(self, host: str, memory: Memory) -> kept.MemoryRow:
        async with self._store.read() as connection:
            rows = await kept.find_hosts(connection)
        for row in rows:
            if row.host == host and row.vantage == self._vantage:
                return replace(row, next_visit=int(memory.next_visit), memory=pack_memory(memory))
        return kept.MemoryRow(
            host, self._vantage, int(memory.visited), int(memory.next_visit), State.UNCHECKED.value, 0, "", None,
            pack_memory(memory),
        )  # fmt: skip

    async def _publishable(
        self, world: World, now: float
    ) -> tuple[dict[str, HostHealth], dict[str, tuple[State, Overall]]]:
        """What all vantage points together say of each host, and whose state changed by it."""
        async with self._store.read() as connection:
            entries, overalls = await judge_all(connection, world, now)
            before = await kept.find_states(connection, int(now + FUTURE_S))
        changes: dict[str, tuple[State, Overall]] = {}
        rows = []
        for key, overall in overalls.items():
            old = before.get(key)
            if old is None or old.state != overall.state.value:
                changes[key] = (State(old.state) if old else State.UNCHECKED, overall)
                lacking = len(entries[key].lacking) if key in entries else 0
                rows.append(kept.HistoryRow(key, int(now), overall.state.value, overall.reason, lacking))
        if rows:
            async with self._store.write() as connection:
                await kept.add_history(connection, rows)
        return entries, changes

    async def _follow_pushes(self, world: World, made: Round, now: float) -> tuple[Push, ...]:
        """Notes which hosts were seen with which push for the first time; the last one of each category."""
        since = int(now - PUSHES_FOLLOWED_S)
        until = int(now + FUTURE_S)
        async with self._store.read() as connection:
            known = {(row.category, row.pushed): row for row in await kept.find_pushes(connection, since, until)}
        delays = {key: unpack_delays(row.delays) for key, row in known.items()}
        changed: set[tuple[str, int]] = set()
        for category, master in world.masters.items():
            by_push: dict[int, list[int]] = {}
            for number, expected in enumerate(master.directories):
                if expected.pushed >= since and expected.judged:
                    by_push.setdefault(expected.pushed, []).append(number)
            for pushed, numbers in by_push.items():
                key = (category, pushed)
                found = delays.setdefault(key, {})
                for result in made.results:
                    if result.subject.key not in found and not result.subject.private:
                        held = next((each.held for each in result.categories if each.category == category), None)
                        if held is not None and _has_all(held, numbers):
                            found[result.subject.key] = max(0, int(result.at - pushed))
                            changed.add(key)
        rows = [
            kept.PushRow(
                category,
                pushed,
                sum(each.pushed == pushed for each in world.masters[category].directories),
                pack_delays(delays[category, pushed]),
            )
            for category, pushed in sorted(changed)
        ]
        if rows:
            async with self._store.write() as connection:
                await kept.put_pushes(connection, rows)
        return last_pushes(delays, world.subjects)


def _first_of(group: BaseExceptionGroup[StoreError]) -> StoreError:
    first = group.exceptions[0]
    return first if isinstance(first, StoreError) else _first_of(first)


def _with_next_visit(row: kept.MemoryRow) -> Memory:
    """What is remembered of a host. Its check-in may have brought the next visit forward, but no busy host's."""
    memory = unpack_memory(row.memory)
    soon = max(float(row.next_visit), memory.busy_until)
    return replace(memory, next_visit=min(memory.next_visit, soon))


def _has_all(held: Held, numbers: Iterable[int]) -> bool:
    return all(
        content_of(held.states[n]) is Content.CURRENT and not held.states[n] & PENDING and n not in held.troubles
        for n in numbers
        if n < len(held.states)
    )

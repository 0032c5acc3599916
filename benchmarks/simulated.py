"""Mirrors without sockets: a master that is pushed to, mirrors that follow it, and visits by a clock of their own.

What is asked, when, and what comes of it is decided by the same code as in a crawl; only the answers are made up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random

from redirector.health.evidence import Ask, Evidence, Family, Outcome, Probe
from redirector.health.expected import Expected, Master, NamedFile, Version
from redirector.health.hysteresis import State, combine, next_visit
from redirector.health.memory import Held, Memory, digest_of
from redirector.health.rules import Rules
from redirector.health.subjects import Carried, Subject
from redirector.health.visit import Result, Visit

BEGIN = 1_795_000_000
DAY = 86_400
HOUR = 3_600
VERSIONS_KEPT = 12
BASE = "https://mirror.example.net/pub/"
RSYNC = "rsync://mirror.example.net/pub/"


@dataclass(eq=False)
class SimulatedMaster:
    """A master's whole history.

    pushes  directory number -> when it was pushed, ascending
    """

    names: Sequence[str]
    repositories: int
    pushes: list[list[int]]
    marker: str = "TIME"
    made: dict[int, Master] = field(default_factory=dict)

    def at(self, now: float) -> Master:
        """What a scan finds at the time *now*."""
        newest = max((times[bisect_right(times, now) - 1] for times in self.pushes), default=0)
        if newest not in self.made:
            self.made.clear()
            expected = tuple(self._expected(number, now) for number in range(len(self.names)))
            self.made[newest] = Master("", expected, marker=self.marker, stamp=float(newest))
        return replace_stamp(self.made[newest], now)

    def _expected(self, number: int, now: float) -> Expected:
        name = self.names[number]
        times = self.pushes[number]
        seen = times[: bisect_right(times, now)][::-1][:VERSIONS_KEPT]
        if number < self.repositories:
            versions = tuple(Version(sum_of(name, time), 3000, time, time) for time in seen)
            files = tuple(NamedFile(f"{name}/{what}-{seen[0]}", 100) for what in ("primary", "package"))
            return Expected(name, f"{name}/repodata/repomd.xml", versions, files, seen[0])
        return Expected(name, files=(NamedFile(f"{name}/file-{seen[0]}", 100),), pushed=seen[0])

    def pushed(self, number: int, synced: float) -> int:
        """The push of a directory that a mirror has which synchronised at *synced*."""
        times = self.pushes[number]
        return times[max(0, bisect_right(times, synced) - 1)]


def replace_stamp(master: Master, now: float) -> Master:
    """The master writes its time anew each hour."""
    stamp = float(now // HOUR * HOUR)
    return master if master.stamp == stamp else replace(master, stamp=stamp)


def sum_of(name: str, time: int) -> str:
    return sha256(f"{name} {time}".encode()).hexdigest()


@dataclass(eq=False)
class SimulatedMirror:
    """A mirror that synchronises every *every_s*, from *offset_s* on, but not between *stuck* and its end."""

    master: SimulatedMaster
    every_s: float = 3 * HOUR
    offset_s: float = 0.0
    stuck: tuple[float, float] = (0, 0)
    down: Sequence[tuple[float, float]] = ()
    rsync: bool = False
    numbers: dict[str, int] = field(init=False)
    requests: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.numbers = {name: number for number, name in enumerate(self.master.names)}

    def synced(self, now: float) -> float:
        last = (now - self.offset_s) // self.every_s * self.every_s + self.offset_s
        begin, end = self.stuck
        return (begin - self.offset_s) // self.every_s * self.every_s + self.offset_s if begin <= last < end else last

    def answer(self, probe: Probe, now: float) -> tuple[Evidence, ...]:
        """What it shows."""
        self.requests.append(now)
        if any(begin <= now < end for begin, end in self.down):
            return (self._evidence(probe, probe.path, now, Outcome.NO_CONNECTION),)
        synced = self.synced(now)
        if probe.ask is Ask.FILES:
            return tuple(self._file(probe, path, now, synced) for path in probe.paths)
        if probe.ask is Ask.MARKER:
            seen = self._evidence(probe, probe.path, now, Outcome.OK)
            return (replace(seen, stamp=float(synced // HOUR * HOUR), etag=f"{synced}"),)
        if probe.ask is Ask.CONTROL:
            return (self._evidence(probe, probe.path, now, Outcome.MISSING),)
        if probe.ask is Ask.INDEX:
            name = probe.path.removesuffix("/repodata/repomd.xml")
            time = self.master.pushed(self.numbers[name], synced)
            etag = f'"{time}"'
            if probe.etag == etag:
                return (self._evidence(probe, probe.path, now, Outcome.UNCHANGED),)
            seen = self._evidence(probe, probe.path, now, Outcome.OK)
            return (replace(seen, sha256=sum_of(name, time), stamp=float(time), etag=etag),)
        return (self._file(probe, probe.path, now, synced),)

    def _file(self, probe: Probe, path: str, now: float, synced: float) -> Evidence:
        name, _, file = path.rpartition("/")
        time = int(file.rpartition("-")[2])
        has = time <= self.master.pushed(self.numbers[name], synced)
        seen = self._evidence(probe, path, now, Outcome.OK if has else Outcome.MISSING)
        return replace(seen, size_bytes=100 if has else None)

    def _evidence(self, probe: Probe, path: str, now: float, outcome: Outcome) -> Evidence:
        return Evidence(
            at=int(now),
            vantage="main",
            host=probe.host,
            category=probe.category,
            ask=probe.ask,
            base=probe.base,
            path=path,
            outcome=outcome,
            scheme=probe.scheme,
            family=probe.family or Family.IPV4,
            status=None,
            duration_s=0.1,
        )


@dataclass(frozen=True, slots=True)
class Visited:
    """One visit of a simulation: what it came to, and how the mirror stands after it."""

    result: Result
    state: State


def simulate(mirror: SimulatedMirror, begin: float, end: float, rules: Rules, seed: int = 1) -> Iterator[Visited]:
    """Visits from *begin* to *end*, each when the one before said."""
    random = Random(seed)
    urls = (BASE, RSYNC) if mirror.rsync else (BASE,)
    subject = Subject(f"mirror{seed}", f"mirror{seed}", (Carried("", urls),))
    digest = digest_of(mirror.master.names)
    memory, held = Memory(), Held(directories=digest)
    now = begin
    while now < end:
        result = visit_once(mirror, subject, memory, {"": held}, rules, now)
        held, memory = result.categories[0].held, result.memory
        standings = [held.standing]
        yield Visited(result, combine([("", held.standing)]).state)
        now = next_visit(standings, result.event, result.at, 0, rules, random.random())


def visit_once(
    mirror: SimulatedMirror, subject: Subject, memory: Memory, held: Mapping[str, Held], rules: Rules, now: float
) -> Result:
    """A visit that takes a quarter of a second for each request, as the promised pace has it."""
    clock = [now]
    visit = Visit(subject, {"": mirror.master.at(now)}, memory, held, rules, lambda: clock[0])
    while probes := visit.next():
        for probe in probes:
            clock[0] += 0.25
            visit.take(probe, mirror.answer(probe, clock[0]))
    return visit.finish()


def make_master(
    repositories: int, others: int, days: int, random: Random, *, changed: int, changed_others: int, a_day: int = 1
) -> SimulatedMaster:
    """A master that has *a_day* pushes a day, each of them of so many directories; the rest is from before."""
    count = repositories + others
    names = [f"{n % 40}/{'os' if n < repositories else 'dir'}{n:05}" for n in range(count)]
    pushes = [[BEGIN - random.randrange(1, 90) * DAY] for _ in range(count)]
    busy = random.sample(range(repositories), min(repositories, changed * 2))
    for day in range(-2, days):
        for part in range(a_day):
            time = BEGIN + day * DAY + int((part + 0.2) * DAY / a_day)
            for number in random.sample(busy, min(changed, len(busy))):
                pushes[number].append(time)
            for number in random.sample(range(repositories, count), min(changed_others, others)):
                pushes[number].append(time)
    for times in pushes:
        times.sort()
    return SimulatedMaster(names, repositories, pushes)

"""Adding logs to what was counted: each line once, however often its log is added, and under whatever name."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from ipaddress import ip_network

from redirector.locate.geoip import load_geoip
from redirector.locate.ranges import table_of_networks
from redirector.stats.counts import Counts, counts_from_bytes, first_open_week
from redirector.stats.identity import Fingerprint, fingerprint_of
from redirector.stats.lines import Reading
from redirector.stats.logs import Log, Part, open_log, read_range, split_file
from redirector.store.opening import Store
from redirector.store.statistics import KeptLog, add_access, add_countme, find_logs, find_newest, keep_log

LOCK = "statistics"
"""Only one process adds logs at a time: two that add the same log would both count it."""

RANGE_BYTES = 32 << 20
"""What a process is worth being given of a log."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How lines are to be read, in words that can be sent and kept.

    fold    countries that count as unknown
    ignore  networks whose lines are left out, as CIDR
    geoip   an MMDB that gives countries to lines that have none; None: without
    """

    fold: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()
    geoip: str | None = None

    def reading(self) -> Reading:
        """What the lines are read with. Raises SnapshotError when the database cannot be used."""
        ignored = table_of_networks((ip_network(each), 1) for each in self.ignore)
        geoip = None if self.geoip is None else load_geoip(self.geoip)
        return Reading(
            fold=self.fold,
            ignores=None if not self.ignore else lambda address: ignored.find(address) != 0,
            country_of=None if geoip is None else lambda address: geoip.find(address).country,
        )

    def text(self) -> str:
        """What is kept of them: the same text, the same counts (but for a newer database of the same kind). A digest,
        since what is ignored are addresses, and as many as one likes."""
        rules = {"fold": sorted(self.fold), "ignore": sorted(self.ignore), "geoip": self.geoip is not None}
        return blake2b(json.dumps(rules).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one log.

    lines      read now; likewise the others
    replaced   they had been counted by other rules before, and count by these now
    trouble    why it was not read, or not all of it; "" when all went well
    """

    path: str
    lines: int = 0
    requests: int = 0
    systems: int = 0
    unread: int = 0
    wrong_age: int = 0
    replaced: bool = False
    trouble: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a log is to be read.

    start     the first byte; None: nothing is new
    replaces  all of it is read anew, and takes the place of what was counted
    """

    start: int | None
    kept: KeptLog | None = None
    replaces: bool = False


async def add_logs(
    store: Store,
    paths: Sequence[str],
    server: str,
    rules: Rules,
    jobs: int = 1,
    tell: Callable[[Added], None] = lambda added: None,
) -> list[Added]:
    """Count what is new in *paths*, each in one transaction of its own.

    server  who wrote these logs; the same lines of another server count beside them
    jobs    processes that read
    tell    called as soon as a log is done
    raises  StoreError, SnapshotError; a log that cannot be read is told of in its place
    """
    reading = rules.reading()
    pool = None
    if jobs > 1:
        context = multiprocessing.get_context("spawn")  # a fork would take the store's threads along half
        pool = ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=(rules,))
    try:
        async with store.lock(LOCK, wait_s=None):
            return await _Adding(store, server, rules.text(), reading, pool, jobs, tell).add(paths)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Adding:
    """One call of `add_logs`."""

    store: Store
    server: str
    options: str
    reading: Reading
    pool: Executor | None
    jobs: int
    tell: Callable[[Added], None]

    async def add(self, paths: Sequence[str]) -> list[Added]:
        """All of them; logs that begin alike one after the other, since they may be the same."""
        under_way: dict[str, asyncio.Task[Added]] = {}
        tasks: list[asyncio.Task[Added]] = []
        try:
            for path in paths:
                while sum(not task.done() for task in tasks) >= 2 * self.jobs:
                    _ = await asyncio.wait([task for task in tasks if not task.done()], return_when="FIRST_COMPLETED")
                try:
                    log = open_log(path)
                except OSError as error:
                    tasks.append(asyncio.create_task(self._fail(path, error)))
                    continue
                first = log.digests[0] if log.digests else ""
                before = under_way.get(first)
                tasks.append(asyncio.create_task(self._add(log, before)))
                under_way[first] = tasks[-1]
                if self.pool is None or not log.is_file:
                    _ = await asyncio.wait([tasks[-1]])
            return [await task for task in tasks]
        finally:
            for task in tasks:
                task.cancel()

    async def _fail(self, path: str, error: OSError) -> Added:
        added = Added(path, trouble=error.strerror or str(error), failed=True)
        self.tell(added)
        return added

    async def _add(self, log: Log, before: asyncio.Task[Added] | None) -> Added:
        with log:
            if before is not None:
                _ = await asyncio.wait([before])
            plan = await self._plan(log)
            try:
                part = Part(Counts(), 0) if plan.start is None else await self._read(log, plan.start)
            except OSError as error:
                return await self._fail(log.path, error)
            is_shorter = plan.replaces and plan.kept is not None and part.end < plan.kept.end
            replaced = plan.replaces and not is_shorter
            if plan.start is not None and (part.end or part.tail_bytes) and not is_shorter:
                await self._keep(log, plan, part)
            counts = Counts() if is_shorter else part.counts
        added = Added(
            log.path,
            counts.lines,
            counts.access.total(),
            counts.countme.total(),
            counts.unread,
            counts.wrong_age,
            replaced,
            "the packed file is damaged or ends too early; what comes before was counted" if part.cut else "",
        )
        self.tell(added)
        return added

    async def _plan(self, log: Log) -> Plan:
        if not log.digests:
            return Plan(None)
        async with self.store.read() as connection:
            found = await find_logs(connection, self.server, log.digests[0])
        same = [kept for kept in found if self._is_of(kept, log)]
        kept = max(same, key=lambda each: max(each.marks), default=None)
        return plan_of(kept, log.size, self.options)

    @staticmethod
    def _is_of(kept: KeptLog, log: Log) -> bool:
        if kept.end == 0:  # what was counted as its first line may have been the beginning of it
            return (kept.marks[1],) == log.digests_of_first(kept.tail_bytes)
        return Fingerprint(max(kept.marks), kept.marks).is_of(log.digests)

    async def _read(self, log: Log, start: int) -> Part:
        if self.pool is None or not log.is_file:
            return await asyncio.to_thread(log.read, start, self.reading)
        loop = asyncio.get_running_loop()
        if log.size is None:
            return await loop.run_in_executor(self.pool, _read_packed, log.path, start)
        parts = min(self.jobs, max(1, (log.size - start) // RANGE_BYTES))
        ranges = split_file(log.path, start, log.size, parts)
        counted = [loop.run_in_executor(self.pool, _read_range, log.path, *each) for each in ranges]
        counts = Counts()
        for each in counted:
            counts.add(await each)
        rest = log.read(ranges[-1][1] if ranges else start, self.reading)
        counts.add(rest.counts)
        return replace(rest, counts=counts.bounded())

    async def _keep(self, log: Log, plan: Plan, part: Part) -> None:
        """Write what changed, and how far the log is counted, in one transaction."""
        kept = plan.kept
        total, change = Counts(), part.counts
        counted: bytes | None
        if kept is not None and kept.counted is not None:
            before = counts_from_bytes(kept.counted)
            if plan.replaces:
                change = Counts(newest=part.counts.newest)
                change.access.update(part.counts.access)
                change.access.subtract(before.access)
                change.countme.update(part.counts.countme)
                change.countme.subtract(before.countme)
            else:
                total.add(before)
        total.add(part.counts)
        counted = total.bounded().to_bytes() if kept is None or kept.counted is not None else None
        marks = dict(fingerprint_of(log.digests).marks)
        if kept is not None and max(kept.marks) > max(marks):
            marks = dict(kept.marks)
        newest = max(part.counts.newest, kept.newest if kept is not None else 0)
        number = None if kept is None else kept.number
        row = KeptLog(number, self.server, marks, part.end, part.tail_bytes, self.options, newest, counted)
        async with self.store.write() as connection:
            await add_access(connection, change.access.items())
            newest_of_server = max(newest, await find_newest(connection, self.server))
            first_open = first_open_week(newest_of_server)
            await add_countme(connection, self.server, newest_of_server, first_open, change.countme.items())
            await keep_log(connection, row)


def plan_of(kept: KeptLog | None, size: int | None, options: str) -> Plan:
    """What of a log is to be read that was counted as *kept* says.

    size  of a plain file, None of others, whose size only reading tells
    """
    if kept is None:
        return Plan(0)
    known_end = kept.end + kept.tail_bytes
    if size is not None and (size < kept.end or (size == known_end and kept.options == options)):
        return Plan(None, kept)
    if kept.counted is not None and (kept.options != options or kept.tail_bytes):
        return Plan(0, kept, replaces=True)
    return Plan(known_end, kept)


_reading = Reading()
"""In a process that reads: what it reads with."""


def _prepare(rules: Rules) -> None:
    global _reading
    _reading = rules.reading()


def _read_packed(path: str, start: int) -> Part:
    with open_log(path) as log:
        return log.read(start, _reading)


def _read_range(path: str, start: int, stop: int) -> Counts:
    return read_range(path, start, stop, _reading)

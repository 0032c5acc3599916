"""One age of the server, as the supervisor sees it: a snapshot in a nursery, and the workers that answer from it."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from redirector.answer.answer import Tier
from redirector.errors import ConfigError, SnapshotError
from redirector.model import Problem, Severity
from redirector.server.between.channel import Channel, make_pair
from redirector.server.between.counters import CounterMemory, Layout, make_counter_file
from redirector.server.between.messages import (
    Accepting,
    Adopt,
    Before,
    Born,
    Count,
    Describe,
    Described,
    DescribedHost,
    Drain,
    Ended,
    Explain,
    Explained,
    Failed,
    Finish,
    Fork,
    Forked,
    Loaded,
    LoadReport,
    NotForked,
    Renew,
    Start,
    Stopped,
    Take,
)
from redirector.server.between.processes import Children, name_exit, start_nursery
from redirector.settings.serving import Config
from redirector.sources.switched_off import SwitchedOff

_log = logging.getLogger("redirector.server")

NOTHING_BEFORE = Before()

START_TIMEOUT_S = 30.0
"""How long new workers may take until they accept; they take milliseconds."""

HANG_S = 20.0
"""A worker whose clock has stood still for so long is killed; it ticks once a second."""

NURSERY_HANG_S = 4.0
"""A nursery that has not forked for so long when it was told to is killed; it takes milliseconds."""

END_TIMEOUT_S = 2.0
"""How long to wait for a killed nursery: one that reads from a dead mount ends when the mount does."""

_HUNG_UP = (errno.EPIPE, errno.ECONNRESET, errno.EBADF)
"""What sending to a nursery that has ended fails with."""

EXTRA_DRAIN_S = 2.0
"""How much longer than the drain time-out a worker may take to end."""

EXPLAIN_TIMEOUT_S = 2.0

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 5.0
RAPID_S = 2.0
"""A process that lived less than this died rapidly: its successor waits, longer each time."""


class Backoff:
    """How long to wait before a process that died is started again."""

    def __init__(self) -> None:
        self._delay_s = 0.0

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived for *lived_s*: none, then 0.1 to 5 while deaths are rapid."""
        rapid = lived_s < RAPID_S
        self._delay_s = min(MAX_DELAY_S, max(FIRST_DELAY_S, self._delay_s * 2)) if rapid else 0.0
        return self._delay_s


@dataclass(eq=False)
class WorkerProcess:
    """A worker process, from the order to fork it until its channel closes."""

    slot: int
    channel: Channel
    pid: int | None = None
    began: float = field(default_factory=time.monotonic)
    accepting: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)


class Age:
    """A nursery and its workers.

    report    None until `load` has succeeded
    before    what the next load is told of this one, see `Loaded`
    off       the hosts that are switched off in it
    restarts  called whenever a worker is replaced
    """

    def __init__(
        self,
        config: Config,
        listeners: Sequence[socket.socket],
        log_sink: socket.socket,
        children: Children,
        restarts: Callable[[], None],
    ) -> None:
        self.config = config
        self.report: LoadReport | None = None
        self.before = Before()
        self.off: tuple[SwitchedOff, ...] = ()
        self.memory: CounterMemory | None = None
        self.nursery_ended = asyncio.Event()
        self.draining = False
        self._listeners = listeners
        self._log_sink = log_sink
        self._children = children
        self._restarts = restarts
        self._control: Channel | None = None
        self._pid: int | None = None
        self._exit_code: asyncio.Future[int] | None = None
        self._outcome: asyncio.Future[LoadReport] = asyncio.get_running_loop().create_future()
        self._workers: dict[int, WorkerProcess] = {}
        self._changed = asyncio.Event()
        self._forking: list[WorkerProcess] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._reader: asyncio.Task[None] | None = None
        self._questions: dict[int, asyncio.Future[Explained | Described]] = {}
        self._numbers = itertools.count()

    async def load(self, before: Before = NOTHING_BEFORE, off: tuple[SwitchedOff, ...] = ()) -> LoadReport:
        """Have a nursery load and check what the configuration names. Raises SnapshotError or ConfigError.

        before  that of the age before
        off     hosts that are given to nobody
        """
        try:
            kept, given = make_pair()
            with given:
                self._pid = start_nursery(given)
            self._exit_code = self._children.ending(self._pid)
            self._control = Channel(kept)
            descriptors = [self._log_sink.fileno(), *(each.fileno() for each in self._listeners)]
            self.off = off
            self._control.send(Start(self.config, before, off), descriptors)
        except OSError as error:
            raise SnapshotError([_complaint("nursery", f"it cannot be started: {error.strerror}")]) from None
        return await self._hear_outcome(self._control)

    @property
    def can_be_renewed(self) -> bool:
        """Whether its nursery is there to have a child."""
        return self._control is not None and not self.nursery_ended.is_set() and not self.draining

    async def renew(self, parent: Age, off: tuple[SwitchedOff, ...]) -> LoadReport:
        """Have a child of *parent*'s nursery make this age of what that one has read: only health is read anew.

        off     hosts that are given to nobody
        raises  as `load`
        """
        assert parent._control is not None
        self.off, self.before = off, parent.before
        try:
            kept, given = make_pair()
            self._control = Channel(kept)
            with given:
                parent._control.send(Renew(off), [given.fileno()])
        except OSError as error:
            raise SnapshotError([_complaint("nursery", f"it cannot have a child: {error.strerror}")]) from None
        return await self._hear_outcome(self._control)

    async def _hear_outcome(self, control: Channel) -> LoadReport:
        self._reader = asyncio.create_task(self._follow_nursery(control))
        self.report = await self._outcome
        return self.report

    async def start(self) -> None:
        """Start the workers, and return when all of them accept. Raises SnapshotError when they do not."""
        assert self.report is not None and self._control is not None
        layout = Layout(self.report.hosts, self.report.countries)
        try:
            descriptor = make_counter_file(layout, self.config.workers)
            self.memory = CounterMemory(layout, self.config.workers, descriptor)
            self._control.send(Count(self.config.workers), [descriptor])
            os.close(descriptor)
        except OSError as error:
            raise SnapshotError([_complaint("counters", f"there is no room for them: {error.strerror}")]) from None
        self._tasks = [asyncio.create_task(self._keep_worker(slot)) for slot in range(self.config.workers)]
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while self.accepting < self.config.workers and not self.nursery_ended.is_set():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise SnapshotError([_complaint("workers", "they do not begin to accept connections")]) from None
        if self.nursery_ended.is_set():
            raise SnapshotError([_complaint("nursery", "it ended while its workers started")])

    @property
    def accepting(self) -> int:
        """How many workers accept connections."""
        return sum(worker.accepting.is_set() for worker in self._workers.values())

    async def _follow_nursery(self, control: Channel) -> None:
        """Read what the nursery says until it ends."""
        try:
            while (received := await control.receive_soon()) is not None:
                self._hear(received.message)
        except Exception:
            _log.exception("the nursery (process %s) says what nobody understands", self._pid)
            if self._pid is not None:
                _kill(self._pid)
        how = "it was not born" if self._exit_code is None else name_exit(await self._exit_code)
        self._settle(Failed((_complaint("nursery", f"it ended while it was loading: {how}"),)))
        if self.report is not None and not self.draining:
            _log.error("the nursery (process %s) ended: %s", self._pid, how)
        self.nursery_ended.set()
        self._changed.set()
        control.close()

    def _hear(self, message: object) -> None:
        match message:
            case Born(pid):
                self._pid, self._exit_code = pid, self._children.ending(pid)
                if self.draining:
                    _kill(pid)
            case Loaded() | Failed():
                self._settle(message)
            case Forked(_, pid):
                self._forking.pop(0).pid = pid
            case NotForked(slot, reason):
                self._forking.pop(0)
                _log.error("worker %d cannot be started: %s; it is tried again", slot, reason)
            case Ended(pid, code):
                if code and not self.draining:
                    _log.warning("worker %d ended: %s", pid, name_exit(code))
            case Explained(number) | Described(number):
                question = self._questions.get(number)
                if question is not None and not question.done():
                    question.set_result(message)
            case _:
                raise AssertionError(message)

    def _settle(self, outcome: Loaded | Failed) -> None:
        """Tell `load` how it ended, if it has not been told yet and still waits."""
        if self._outcome.done():
            return
        match outcome:
            case Loaded(report, before):
                self.before = before
                self._outcome.set_result(report)
            case Failed(problems, option):
                self._outcome.set_exception(ConfigError(*option) if option else SnapshotError(problems))

    async def _keep_worker(self, slot: int) -> None:
        """Fork the worker of *slot*, and again whenever it dies, for as long as there is a nursery."""
        backoff = Backoff()
        while not self.draining:
            began = time.monotonic()
            try:
                worker = self._fork(slot)
            except OSError as error:
                if self.nursery_ended.is_set() or error.errno in _HUNG_UP:
                    return
                _log.error("worker %d cannot be started: %s; it is tried again", slot, error.strerror)
                await asyncio.sleep(backoff.after(time.monotonic() - began))
                continue
            await self._follow(worker)
            del self._workers[slot]
            if self.draining:
                return
            self._restarts()
            await asyncio.sleep(backoff.after(time.monotonic() - worker.began))

    def _fork(self, slot: int) -> WorkerProcess:
        assert self._control is not None
        kept, given = make_pair()
        with given:
            self._control.send(Fork(slot), [given.fileno()])
        worker = WorkerProcess(slot, Channel(kept))
        self._workers[slot] = worker
        self._forking.append(worker)
        return worker

    async def _follow(self, worker: WorkerProcess) -> None:
        """Read what *worker* says until it ends."""
        while (received := await worker.channel.receive_soon()) is not None:
            match received.message:
                case Accepting():
                    worker.accepting.set()
                    self._changed.set()
                case Stopped():
                    worker.accepting.clear()
                    worker.stopped.set()
                case _:
                    raise AssertionError(received.message)
        worker.accepting.clear()
        worker.stopped.set()
        worker.channel.close()

    def kill_hanging(self, now: float, awake: float) -> None:
        """Kill workers whose clock stands still, and a nursery that does not fork.

        now    `time.monotonic()`
        awake  since when the machine has not stood still: what was to be done before counts from then
        """
        if self._forking and self._pid is not None and now - max(self._forking[0].began, awake) > NURSERY_HANG_S:
            _log.error("the nursery (process %d) does not start workers any more and is killed", self._pid)
            self._forking.clear()
            _kill(self._pid)
        for worker in self._workers.values():
            if worker.accepting.is_set() and worker.pid is not None and self.memory is not None:
                beat = self.memory.cells(worker.slot)[self.memory.layout.beat]
                if now - max(beat, worker.began, awake) > HANG_S:
                    _log.error("worker %d does not answer any more and is killed", worker.pid)
                    _kill(worker.pid)

    async def explain(self, target: str, client: str) -> Explained | None:
        """What the nursery says about an answer; None when it does not say it in time."""
        found = await self._ask(lambda number: Explain(number, target, client))
        return found if isinstance(found, Explained) else None

    async def describe(self) -> tuple[DescribedHost, ...] | None:
        """The hosts, as the nursery tells them; None when it does not in time."""
        found = await self._ask(Describe)
        return found.hosts if isinstance(found, Described) else None

    async def _ask(self, ask: Callable[[int], Explain | Describe]) -> Explained | Described | None:
        if self._control is None or self.nursery_ended.is_set():
            return None
        number = next(self._numbers)
        self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            self._control.send(ask(number))
            return await asyncio.wait_for(self._questions[number], EXPLAIN_TIMEOUT_S)
        except (OSError, TimeoutError):
            return None
        finally:
            self._questions.pop(number, None)

    def firsts(self) -> list[int]:
        """How often each host was given first in each tier: a row of tiers for each host id, all workers together."""
        if self.memory is None or self.report is None:
            return []
        begin = self.memory.layout.host_cell(0, next(iter(Tier)))
        cells = [self.memory.cells(slot)[begin:].tolist() for slot in range(self.config.workers)]
        return [sum(column) for column in zip(*cells, strict=True)]

    async def drain(self, successor: Age | None, timeout_s: float, more: bool = False) -> None:
        """Have the workers stop accepting, hand over to *successor* if there is one, finish, and end.

        The nursery ends first: it holds the listening sockets too, and is of no more use.

        more  connections may still come; nobody ends before `finish`
        """
        self.draining = True
        await self._end_nursery()
        for worker in list(self._workers.values()):
            with suppress(OSError):
                if successor is None or not self._introduce(worker, successor, timeout_s):
                    worker.channel.send(Drain(timeout_s))
                    if not more:
                        worker.channel.send(Finish())
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s + EXTRA_DRAIN_S)
            if late:
                self._kill_workers()
                await asyncio.wait(late)

    def _introduce(self, worker: WorkerProcess, successor: Age, timeout_s: float) -> bool:
        """Connect *worker* with one of *successor*'s and have it drain; False when there is none."""
        heirs = [each for each in successor._workers.values() if each.accepting.is_set()]
        if not heirs:
            return False
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with first, second:
            heirs[worker.slot % len(heirs)].channel.send(Adopt(), [second.fileno()])
            worker.channel.send(Drain(timeout_s), [first.fileno()])
        return True

    async def stopped(self) -> None:
        """Wait until no worker accepts any more."""
        for worker in list(self._workers.values()):
            await worker.stopped.wait()

    def finish(self, connections: Sequence[socket.socket]) -> None:
        """Give *connections* to some worker, and let all of them end when they have answered."""
        workers = list(self._workers.values())
        for worker in workers:
            with suppress(OSError):
                if connections:
                    worker.channel.send(Take(), [each.fileno() for each in connections])
                    connections = ()
        for worker in workers:
            with suppress(OSError):
                worker.channel.send(Finish())

    async def kill(self) -> None:
        """End all of it at once."""
        self.draining = True
        await self._end_nursery()
        self._kill_workers()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _kill_workers(self) -> None:
        for worker in self._workers.values():
            if worker.pid is not None:
                _kill(worker.pid)

    async def _end_nursery(self) -> None:
        if self._pid is not None and not self.nursery_ended.is_set():
            _kill(self._pid)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.nursery_ended.wait(), END_TIMEOUT_S)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _complaint(key: str, text: str) -> Problem:
    return Problem(Severity.ERROR, "redirector", key, text, fatal=True)

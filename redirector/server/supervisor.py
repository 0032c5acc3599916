"""The supervisor: owns the sockets, the signals and the admin listener, and sees that workers answer.

It holds no snapshot and is never forked: each age is a nursery, started as a program of its own (`age.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace

from redirector.config import Config, restart_keys
from redirector.errors import ConfigError, SnapshotError
from redirector.model import Problem, Severity
from redirector.server.age import Age, Backoff
from redirector.server.channel import make_pair
from redirector.server.listeners import Listener, handed_over, open_listeners
from redirector.server.logs import announce, configure_logging
from redirector.server.messages import Report
from redirector.server.processes import Children, become_subreaper, name_process, raise_descriptor_limit
from redirector.server.replacement import Outcome, check_replacement
from redirector.server.systemd import Notifier

_log = logging.getLogger("redirector.server")

GUARD_S = 1.0
"""How often workers are looked after."""

NO_WORKER_S = 60.0
"""How long nobody may answer before the supervisor gives up."""

SHOWN_PROBLEMS = 20
"""How many problems of a load are logged; `check` and `/snapshot` show all."""

PUBLIC_MODE = 0o666
"""A unix socket for clients: whoever may reach its directory may connect, as with a port."""


def serve(config: Config, reread: Callable[[], Config]) -> int:
    """Serve until SIGTERM, and return the exit code.

    reread  gives the configuration as the file says it now; called at each reload; raises ConfigError
    """
    configure_logging(config.log_level, config.log_format)
    become_subreaper()
    name_process("redirector")
    raise_descriptor_limit()
    return asyncio.run(Supervisor(config, reread).run())


class Supervisor:
    """See the module."""

    def __init__(self, config: Config, reread: Callable[[], Config]) -> None:
        self.config = config
        self.current: Age | None = None
        self.ages: list[Age] = []
        self.restarts = 0
        self._reread = reread
        self._code = 0
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._listeners: tuple[Listener, ...] = ()
        self._children = Children()
        self._notifier = Notifier(os.environ)
        self._tasks: set[asyncio.Task[None]] = set()
        self._retiring: asyncio.Task[None] | None = None
        self._next: asyncio.Future[Outcome] | None = None
        self._allowed: set[str] = set()
        self._wanted = asyncio.Event()

    async def run(self) -> int:
        """Everything, from the first socket to the last."""
        self._handle_signals()
        try:
            self._open()
        except OSError as error:
            _log.error("%s", error.strerror)
            return 1
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and self.current is not None:
            await stopping
        starting.cancel()
        stopping.cancel()
        await self._shut_down()
        return self._code

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._children.reap)
        loop.add_signal_handler(signal.SIGTERM, self._end)
        loop.add_signal_handler(signal.SIGINT, self._end)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self._reopen_log)

    def _end(self) -> None:
        """Drain and end; the second time, end at once."""
        (self._hurried if self._stopping.is_set() else self._stopping).set()

    def _open(self) -> None:
        given, _admin = handed_over(os.environ)
        self._listeners = given or open_listeners(self.config.listen, PUBLIC_MODE)
        self._log_source, self._log_sink = make_pair(socket.SOCK_DGRAM)

    def _new_age(self, config: Config) -> Age:
        def count_restart() -> None:
            self.restarts += 1

        sockets = [listener.socket for listener in self._listeners]
        age = Age(config, sockets, self._log_sink, self._children, count_restart)
        self.ages.append(age)
        return age

    async def _start(self) -> None:
        """Bring up the first age."""
        age = self._new_age(self.config)
        try:
            report = await age.load()
            await age.start()
        except SnapshotError as error:
            _log_problems(error.problems)
            self._code = 2 if age.usage else 1
            self._stopping.set()
            return
        _log_problems(report.problems)
        self._promote(age)
        self._announce(age, report)
        for work in (self._reload_forever(), self._guard()):
            self._begin(work)

    def _announce(self, age: Age, report: Report) -> None:
        where = ", ".join(listener.name for listener in self._listeners)
        counts = f"{report.counts['hosts']} mirrors, {report.counts['repositories']} repositories"
        announce(
            f"ready on {where} (admin none): {counts}, {age.config.workers} workers, "
            f"loaded in {report.duration_s:.1f} s"
        )
        self._notifier.ready(counts)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- reloading ---

    def reload(self, allowed: Iterable[str] = ()) -> asyncio.Future[Outcome]:
        """Ask for a reload. Reloads asked for while one runs become the one that follows it."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self._allowed.update(allowed)
        self._wanted.set()
        return self._next

    async def _reload_forever(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            assert self._next is not None
            asked, self._next = self._next, None
            allowed, self._allowed = self._allowed, set()
            outcome = await self._reload(allowed)
            if not asked.done():
                asked.set_result(outcome)

    async def _reload(self, allowed: set[str]) -> Outcome:
        began = time.time()
        self._notifier.reloading()
        age: Age | None = None
        try:
            config = self._read_config()
            age = self._new_age(config)
            report = await age.load()
            assert self.current is not None and self.current.report is not None
            if reasons := check_replacement(self.current.report, report, allowed):
                raise SnapshotError(reasons)
            if self._retiring is not None:
                await self._retiring
            await age.start()
        except (ConfigError, SnapshotError) as error:
            if age is not None:
                await self._discard(age)
            problems = _problems_of(error)
            _log_problems(problems)
            _log.error("reload refused: the old snapshot goes on")
            outcome = Outcome(False, began, time.time() - began, problems)
        else:
            self.config = config
            self._promote(age)
            outcome = Outcome(True, began, time.time() - began, report.problems)
            _log_problems(report.problems)
            _log.info("reloaded in %.1f s: %d mirrors", outcome.duration_s, report.counts["hosts"])
        self._notifier.ready(f"last reload {outcome.name}")
        return outcome

    def _read_config(self) -> Config:
        """The configuration as it is now, but for what a reload cannot change."""
        fresh = self._reread()
        fixed = restart_keys(self.config, fresh)
        if fixed:
            _log.warning("cannot change without a restart: %s", ", ".join(fixed))
        return replace(fresh, **{key: getattr(self.config, key) for key in fixed})

    def _promote(self, age: Age) -> None:
        """Let *age* be the one that serves, and retire its predecessor."""
        old, self.current = self.current, age
        self._begin(self._replace_nursery(age))
        if old is not None:
            self._retiring = asyncio.create_task(self._retire(old, age))

    async def _retire(self, old: Age, successor: Age) -> None:
        await old.drain(successor, self.config.drain_timeout_s)
        self.ages.remove(old)

    async def _discard(self, age: Age) -> None:
        await age.kill()
        self.ages.remove(age)

    async def _replace_nursery(self, age: Age) -> None:
        """When the nursery of *age* dies, load again; until that succeeds, its workers go on."""
        backoff = Backoff()
        began = time.monotonic()
        await age.nursery_ended.wait()
        while self.current is age and not self._stopping.is_set():
            await asyncio.sleep(backoff.after(time.monotonic() - began))
            began = time.monotonic()
            await self.reload()

    # --- looking after ---

    async def _guard(self) -> None:
        """Kill workers that hang; end when nobody has answered for long."""
        answered = time.monotonic()
        while True:
            now = time.monotonic()
            self._notifier.alive()
            if self.current is not None:
                self.current.kill_hanging(now)
                if self.current.accepting:
                    answered = now
            if now - answered > NO_WORKER_S:
                _log.error("no worker for %d s: giving up", NO_WORKER_S)
                self._code = 1
                self._stopping.set()
                return
            await asyncio.sleep(GUARD_S)

    def _reopen_log(self) -> None:
        pass

    # --- ending ---

    async def _shut_down(self) -> None:
        """Not ready, accept for a while, drain, and close the admin listener last."""
        for task in list(self._tasks):
            task.cancel()
        self._notifier.stopping()
        draining = asyncio.create_task(self._drain())
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not draining.done():
            draining.cancel()
            self._code = 1
        for age in self.ages:
            await age.kill()

    async def _drain(self) -> None:
        current = self.current
        for age in [age for age in self.ages if age is not current and not age.draining]:
            await self._discard(age)
        if current is None:
            return
        await asyncio.sleep(self.config.shutdown_delay_s)
        ending = asyncio.create_task(current.drain(None, self.config.drain_timeout_s))
        await current.stopped()
        waiting = [connection for listener in self._listeners for connection in _accept_all(listener.socket)]
        for listener in self._listeners:
            listener.close()
        current.finish(waiting)
        for connection in waiting:
            connection.close()
        await ending
        if self._retiring is not None:
            await self._retiring


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    """All connections that wait at *listener*."""
    listener.setblocking(False)
    waiting: list[socket.socket] = []
    with suppress(OSError):
        while True:
            waiting.append(listener.accept()[0])
    return waiting


def _problems_of(error: ConfigError | SnapshotError) -> tuple[Problem, ...]:
    if isinstance(error, SnapshotError):
        return tuple(error.problems)
    text = f"{error.value!r}: {error.way_out}"
    return (Problem(Severity.ERROR, error.path, error.key, text, fatal=True),)


def _log_problems(problems: Iterable[Problem]) -> None:
    """One line for each, the fatal ones first."""
    ordered = sorted(problems, key=lambda problem: (not problem.fatal, problem.severity is not Severity.ERROR))
    for problem in ordered[:SHOWN_PROBLEMS]:
        _log.log(logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING, "%s", problem)
    if len(ordered) > SHOWN_PROBLEMS:
        _log.warning("and %d more problems; `redirector check` shows all", len(ordered) - SHOWN_PROBLEMS)

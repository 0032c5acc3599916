"""The supervisor: owns the sockets, the signals, the admin listener and the log, and sees that somebody answers.

It holds no snapshot and is never forked: each age is a nursery, started as a program of its own (`age.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiohttp import web

from redirector.counted import counted
from redirector.errors import ConfigError, SnapshotError
from redirector.server.between.access_log import LogReceiver
from redirector.server.between.channel import make_pair
from redirector.server.between.listeners import Listener, handed_over, open_listeners, show_at_once
from redirector.server.between.logs import announce, configure_logging
from redirector.server.between.processes import Children, become_subreaper, name_process, raise_descriptor_limit
from redirector.server.supervisor.admin import open_admin
from redirector.server.supervisor.age import Age
from redirector.server.supervisor.metrics import State
from redirector.server.supervisor.replacement import Outcome
from redirector.server.supervisor.silence import Silence
from redirector.server.supervisor.succession import ReloadState, Succession, Take, log_problems
from redirector.server.supervisor.systemd import Notifier
from redirector.settings.serving import Config

_log = logging.getLogger("redirector.server")

GUARD_S = 1.0
"""How often workers are looked after."""

NO_WORKER_S = 60.0
"""How long nobody may answer before the supervisor gives up."""

UNDER_WAY_S = 0.25
"""How long a first packet may be under way that the kernel waits for when the server is told to end."""

PUBLIC_MODE = 0o666
"""A unix socket for clients: whoever may reach its directory may connect, as with a port."""

ADMIN_MODE = 0o660
"""A unix socket for operators: peers on it may do everything."""


def serve(config: Config, reread: Callable[[], Config]) -> int:
    """Serve until SIGTERM, and return the exit code.

    reread  gives the configuration as the file says it now; called at each reload; raises ConfigError
    """
    configure_logging(config.log_level, config.log_format)
    become_subreaper()
    name_process("redirector")
    raise_descriptor_limit()
    return asyncio.run(_supervise(config, reread))


async def _supervise(config: Config, reread: Callable[[], Config]) -> int:
    try:
        given, given_admin = handed_over(os.environ)
        listeners = given or open_listeners(config.listen, PUBLIC_MODE)
        admin = given_admin
        if admin is None and config.admin is not None:
            (admin,) = open_listeners((config.admin,), ADMIN_MODE)
        supervisor = Supervisor(config, reread, listeners, admin)
        supervisor.write_access_log(config)
    except OSError as error:
        _log.error("%s", error.strerror)
        return 1
    return await supervisor.run()


class Supervisor:
    """The process that operators start: it owns the sockets, starts nurseries, acts on signals, ends when told to.

    ready  workers answer, and the end has not begun
    """

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        listeners: tuple[Listener, ...],
        admin: Listener | None,
    ) -> None:
        self._listeners = listeners
        self._admin = admin
        self._children = Children()
        self._notifier = Notifier(os.environ)
        self._log_source, self._log_sink = make_pair(socket.SOCK_DGRAM)
        self._receiver = LogReceiver(self._log_source)
        self.succession = Succession(config, reread, self._make_age, self._take_over, self._notifier)
        self._code = 0
        self._ending = asyncio.Event()
        self._hurried = asyncio.Event()

    def _make_age(self, config: Config, on_restart: Callable[[], None]) -> Age:
        sockets = [listener.socket for listener in self._listeners]
        return Age(config, sockets, self._log_sink, self._children, on_restart)

    def _take_over(self, config: Config) -> None:
        """Follow the configuration of an age that begins to serve."""
        configure_logging(config.log_level, config.log_format)
        try:
            self.write_access_log(config)
        except OSError as error:
            _log.error("%s: the old access log goes on", error.strerror)

    def write_access_log(self, config: Config) -> None:
        """Write the access log to where *config* says. Raises OSError, naming the file."""
        try:
            self._receiver.direct(config.access_log)
        except OSError as error:
            raise OSError(error.errno, f"access log {config.access_log}: {error.strerror}") from None

    @property
    def config(self) -> Config:
        return self.succession.config

    @property
    def ready(self) -> bool:
        current = self.succession.current
        return current is not None and current.accepting > 0 and not self._ending.is_set()

    def state(self) -> State:
        """What the metrics tell."""
        current = self.succession.current
        return State(
            counts=self.succession.counts(),
            report=None if current is None else current.report,
            fallback=self.succession.fallback,
            workers=0 if current is None else current.accepting,
            restarts=self.succession.restarts,
            reloads=self.succession.durations,
            reloading=self.succession.state is not ReloadState.IDLE,
            lost=self._receiver.lost_lines,
        )

    async def run(self) -> int:
        """Everything from the first signal handler to the last listener; returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._children.reap)
        loop.add_signal_handler(signal.SIGTERM, self._end)
        loop.add_signal_handler(signal.SIGINT, self._end)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self._receiver.reopen)
        loop.add_reader(self._log_source, self._receiver.read)
        runner = None if self._admin is None else await open_admin(self, self._admin)
        work = asyncio.create_task(self._work())
        ending = asyncio.create_task(self._ending.wait())
        await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
        self._ending.set()
        work.cancel()
        with suppress(asyncio.CancelledError):
            self._code = await work
        await self._shut_down()
        await self._close(runner)
        return self._code

    def _end(self) -> None:
        """Drain and end; the second time, end at once."""
        (self._hurried if self._ending.is_set() else self._ending).set()

    def reload(self, allowed: Iterable[str] = (), take: Take = Take.FRESH) -> asyncio.Future[Outcome]:
        """Ask for a reload, see `Succession.reload`."""
        return self.succession.reload(allowed, take=take)

    async def _work(self) -> int:
        """Serve until cancelled, or return an exit code."""
        try:
            await self.succession.begin()
        except SnapshotError as error:
            log_problems(error.problems)
            _log.error("nothing can be served")
            return 1
        except ConfigError as error:
            _log.error("%s", error)
            return 2
        self._announce()
        background = [
            asyncio.create_task(self.succession.reload_forever()),
            asyncio.create_task(self.succession.watch()),
            asyncio.create_task(self.succession.watch_health()),
            asyncio.create_task(self.succession.watch_off()),
        ]
        try:
            await self._guard()
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)
        _log.error("nobody has answered for %d s: giving up", NO_WORKER_S)
        return 1

    def _announce(self) -> None:
        current = self.succession.current
        assert current is not None and current.report is not None
        where = ", ".join(listener.name for listener in self._listeners)
        admin = "none" if self._admin is None else self._admin.name
        counts = current.report.extent.counts
        numbers = {
            "mirrors": counts["hosts"],
            "repositories": counts["repositories"],
            "workers": current.config.workers,
        }
        text = ", ".join(counted(number, name) for name, number in numbers.items())
        announce(f"ready on {where} (admin {admin}): {text}, loaded in {current.report.duration_s:.1f} s")
        self._notifier.ready(text)

    async def _guard(self) -> None:
        """Tell systemd that we live, kill workers that hang, and return when nobody has answered for long."""
        silence = Silence(time.monotonic())
        while silence.silent_s < NO_WORKER_S:
            self._notifier.alive()
            current = self.succession.current
            assert current is not None
            silence.note(time.monotonic(), bool(current.accepting))
            current.kill_hanging(silence.last, silence.awake)
            await asyncio.sleep(GUARD_S)

    async def _shut_down(self) -> None:
        """Go on accepting for a while, then drain; at once if told so again."""
        self._notifier.stopping()
        draining = asyncio.create_task(self._drain())
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            _log.warning("ending at once")
            self._code = 1
        draining.cancel()
        hurried.cancel()
        await self.succession.kill()

    async def _drain(self) -> None:
        if self.succession.current is not None:
            hidden = [show_at_once(listener.socket) for listener in self._listeners]
            await asyncio.sleep(max(self.config.shutdown_delay_s, UNDER_WAY_S if any(hidden) else 0))
        await self.succession.drain(self._close_listeners)

    def _close_listeners(self) -> list[socket.socket]:
        """Close the listening sockets, and return the connections that waited at them."""
        waiting = [connection for listener in self._listeners for connection in _accept_all(listener.socket)]
        for listener in self._listeners:
            listener.close()
        return waiting

    async def _close(self, runner: web.AppRunner | None) -> None:
        """Write the last lines of the access log, and close the admin listener last."""
        self._receiver.read()
        await asyncio.to_thread(self._receiver.close)
        for listener in self._listeners:
            listener.close()
        if runner is not None and self._admin is not None:
            await runner.cleanup()
            self._admin.close()


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    """All connections that wait at *listener*."""
    listener.setblocking(False)
    waiting: list[socket.socket] = []
    with suppress(OSError):
        while True:
            waiting.append(listener.accept()[0])
    return waiting

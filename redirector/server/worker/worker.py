"""A worker: one event loop that accepts, answers, and at its end hands its quiet connections over."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial

import uvloop
from aiohttp import web

from redirector.answer.serve import Responder
from redirector.server.between.access_log import FORMATS, AccessLog
from redirector.server.between.channel import MAX_DESCRIPTORS, Channel
from redirector.server.between.counters import Counters
from redirector.server.between.listeners import BACKLOG, defer
from redirector.server.between.messages import Accepting, Adopt, Drain, Finish, Stopped, Take
from redirector.server.worker.app import TICK_S, Service
from redirector.server.worker.door import MOST_AT_ONCE, Door
from redirector.server.worker.lane import Lane, LaneConnection
from redirector.server.worker.plain import Tables
from redirector.settings.serving import Config

_log = logging.getLogger("redirector.server")

FLUSH_S = 0.25
"""How long a line of the access log waits at most."""

SWEEP_S = 0.01
"""How often a draining worker looks for connections that have fallen quiet."""

LAST_FLUSH_S = 1.0
"""How long a worker that ends waits until the supervisor has taken its last lines of the access log."""


GC_THRESHOLDS = (10_000, 20, 100)
"""Answering leaves no cycles behind; the default, 700 objects, looks for some every fifty answers."""


def run_worker(
    config: Config,
    responder: Responder,
    counters: Counters,
    channel: Channel,
    listeners: Sequence[socket.socket],
    log_sink: socket.socket,
    tables: Tables | None,
) -> None:
    """Be a worker until the supervisor has one drain, or is gone."""

    async def work() -> None:
        access_log = None
        if config.access_log is not None:
            access_log = AccessLog(FORMATS[config.access_log_format], log_sink, counters.lost, config.mask_addresses)
        await Worker(Service(config, responder, counters, access_log, tables), channel, listeners).run()

    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


class Worker:
    """Moves connections: accepts them, takes them from other workers, hands them over, ends them."""

    def __init__(self, service: Service, channel: Channel, listeners: Sequence[socket.socket]) -> None:
        self._service = service
        service.when_full = self._close_doors
        service.keep = lambda descriptor, unsent: self._meet(descriptor, unsent=unsent)
        self._channel = channel
        self._listeners = listeners
        self._loop = service.loop
        self._doors: list[asyncio.AbstractServer | Door] = []
        self._server = web.Server(service.handle)
        self._lane = Lane(service)
        self._connecting = 0
        self._complete = asyncio.Event()
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Serve until the supervisor says otherwise."""
        if self._lane.accept is not None:
            for listener in self._listeners:
                defer(listener)
        await self._open_doors()
        self._loop.add_reader(self._channel.fileno(), self._read_channel)
        self._tick()
        self._flush()
        self._channel.send(Accepting())
        await self._ended.wait()
        await self._say_goodbye()

    def _protocol(self, unsent: bytes = b"") -> LaneConnection:
        return LaneConnection(self._server, self._service, self._lane, unsent)

    async def _open_doors(self) -> None:
        for listener in self._listeners:
            if self._lane.accept is not None:
                self._doors.append(Door(self._loop, listener, self._lane.accept, self._let_in))
                continue
            copy = listener.dup()
            if copy.family == socket.AF_UNIX:
                door = await self._loop.create_unix_server(self._protocol, sock=copy, backlog=BACKLOG)
            else:
                door = await self._loop.create_server(self._protocol, sock=copy, backlog=BACKLOG)
            self._doors.append(door)

    def _let_in(self, door: Door) -> None:
        """Meet who waits, but for those who have their only answer already."""
        try:
            descriptor = door.accept(min(MOST_AT_ONCE, self._service.room - self._connecting))
        except OSError as error:
            _log.warning("nobody can connect for a moment: %s", error)
            self._close_doors()  # the next tick opens them
            return
        if descriptor is not None:
            self._meet(descriptor)

    def _close_doors(self) -> None:
        """Stop accepting. What waits to be accepted stays with the other holders of the socket."""
        for door in self._doors:
            door.close()
        self._doors.clear()

    def _tick(self) -> None:
        self._service.tick()
        if not (self._doors or self._service.full or self._service.draining):
            self._start(self._open_doors())
        self._loop.call_later(TICK_S, self._tick)

    def _flush(self) -> None:
        if self._service.access_log is not None:
            self._service.access_log.flush()
            self._loop.call_later(FLUSH_S, self._flush)

    def _start(self, work: Coroutine[object, object, object]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _read_channel(self) -> None:
        with suppress(BlockingIOError):
            received = self._channel.receive()
            if received is None:
                self._loop.remove_reader(self._channel.fileno())
                self._ended.set()
                return
            match received.message:
                case Adopt():
                    self._follow(Channel(_adopt_end(received.descriptors[0])))
                case Take():
                    self._take(received.descriptors)
                case Drain(timeout_s):
                    ends = [Channel(_adopt_end(descriptor)) for descriptor in received.descriptors]
                    self._start(self._drain(timeout_s, ends[0] if ends else None))
                case Finish():
                    self._complete.set()
                case _:
                    raise AssertionError(received.message)

    def _follow(self, predecessor: Channel) -> None:
        """Take the connections that come through *predecessor* until it is closed."""

        def read() -> None:
            with suppress(BlockingIOError):
                received = predecessor.receive()
                if received is None:
                    self._loop.remove_reader(predecessor.fileno())
                    predecessor.close()
                else:
                    self._take(received.descriptors)

        self._loop.add_reader(predecessor.fileno(), read)

    def _take(self, descriptors: Sequence[int]) -> None:
        for descriptor in descriptors:
            self._meet(descriptor, has_asked=True)

    def _meet(self, descriptor: int, unsent: bytes = b"", has_asked: bool = False) -> None:
        """Have a connection for a socket.

        unsent     what is still to be sent before it is closed
        has_asked  before, at the worker that it comes from
        """
        self._connecting += 1
        self._start(self._connect(descriptor, partial(self._protocol, unsent), has_asked))

    async def _connect(self, descriptor: int, protocol: Callable[[], LaneConnection], has_asked: bool) -> None:
        taken = socket.socket(fileno=descriptor)
        try:
            _, connection = await self._loop.connect_accepted_socket(protocol, taken)
            if has_asked:
                connection.deadline = self._service.idle_deadline
        except OSError:
            taken.close()
        finally:
            self._connecting -= 1

    async def _drain(self, timeout_s: float, successor: Channel | None) -> None:
        """Stop accepting; let what is under way end; hand quiet connections to *successor*, or let them go."""
        end = self._loop.time() + timeout_s
        self._close_doors()
        for listener in self._listeners:
            listener.close()
        self._service.drain(quiet=successor is None)
        with suppress(OSError):
            self._channel.send(Stopped())
        if successor is None:
            await self._complete.wait()
        while True:
            await asyncio.sleep(SWEEP_S)  # at first for connections that were accepted and are not made yet
            if not (self._service.connections or self._connecting) or self._loop.time() > end:
                break
            if successor is None:
                self._service.tick()
            elif not self._hand_over(successor):
                successor = None
                self._service.drain(quiet=True)
        self._ended.set()

    def _hand_over(self, successor: Channel) -> bool:
        """Send the quiet connections to *successor*; False when it is gone."""
        self._service.outbox.send()
        quiet = [connection for connection in self._service.connections if connection.idle]
        for begin in range(0, len(quiet), MAX_DESCRIPTORS):
            batch = quiet[begin : begin + MAX_DESCRIPTORS]
            descriptors = [connection.pause() for connection in batch]
            try:
                successor.send(Take(), descriptors)
            except BlockingIOError:
                for connection in batch:
                    connection.go_on()
                return True
            except OSError:
                for connection in batch:
                    connection.go_on()
                return False
            for connection in batch:
                connection.leave()
        return True

    async def _say_goodbye(self) -> None:
        """End what is left, and send the last lines of the access log."""
        self._close_doors()
        self._service.outbox.send()
        for connection in list(self._service.connections):
            connection.abort()
        log = self._service.access_log
        end = self._loop.time() + LAST_FLUSH_S
        while log is not None and not log.flush() and self._loop.time() < end:
            await asyncio.sleep(SWEEP_S)


def _adopt_end(descriptor: int) -> socket.socket:
    end = socket.socket(fileno=descriptor)
    end.setblocking(False)
    return end

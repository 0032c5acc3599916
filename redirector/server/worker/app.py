"""What one worker answers with, and the general way through the house: aiohttp's request in, `answer`, response out."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import cast

from aiohttp import hdrs, web

from redirector.answer.answer import Answer, Kind, Request
from redirector.answer.ask.query import kind_of
from redirector.answer.serve import Responder
from redirector.locate.proxies import Client, find_client, is_proxy, read_forwarded, scheme_of, trusted_proxies_of
from redirector.server.between.access_log import AccessLog, LogEntry
from redirector.server.between.admission import find_foreign, is_within
from redirector.server.between.counters import Counters
from redirector.server.worker.connection import Connection, Stall
from redirector.server.worker.plain import Tables, make_outbox
from redirector.settings.serving import CLIENT_HEADERS, Config

_log = logging.getLogger("redirector.server")

SERVER = "redirector"

FORWARDING = (*CLIENT_HEADERS, "Via", hdrs.X_FORWARDED_PROTO, hdrs.X_FORWARDED_HOST)
"""Headers that proxies add: who sends one of them asks for somebody else."""

CACHE_CONTROL = "private, no-store"
METHODS = ("GET", "HEAD")

MAX_DISBELIEVED = 5
"""Peers of a worker that the log names: strangers may write the header too."""

TICK_S = 1.0
"""How often the clock is read and deadlines are looked at; a connection lives up to two of these too long."""

ROOM_PART = 8
"""What part of a full worker's connections is cut in a second where so many are quiet."""

SPARE_DESCRIPTORS = 100
"""What the limit of open files must leave for listening sockets, channels, and connections that are handed over."""

LAST_REQUEST_S = 1.0
"""How long a quiet connection may still send a request while the server shuts down: one that is under way arrives."""

_ANSWER = web.ResponseKey("answer", Answer)
_CLIENT = web.ResponseKey("client", Client)
_NOBODY = Client(None)


class Service:
    """What all connections of a worker share.

    tables         what plain requests are answered from; None: they are answered like others
    now            the loop's clock at the last tick
    idle_deadline  when a connection that falls quiet now is cut
    silent_deadline  when one that opens now is cut unless it asks something
    draining       every answer is its connection's last
    stalled        connections whose clients do not read as fast as they ask
    when_full      called when another connection has made it `full`
    keep           called with a descriptor that only the lane has met, and what is still to be sent before it is closed
    """

    def __init__(
        self,
        config: Config,
        responder: Responder,
        counters: Counters,
        access_log: AccessLog | None,
        tables: Tables | None = None,
    ) -> None:
        self.config = config
        self.responder = responder
        self.snapshot = responder.snapshot
        self.tables = tables
        self.trusted = trusted_proxies_of(config.trusted_proxies)
        self.counters = counters
        self.access_log = access_log
        self.loop = asyncio.get_running_loop()
        self.keep: Callable[[int, bytes], None] = lambda descriptor, _: os.close(descriptor)
        self.outbox = make_outbox(self.loop, counters, lambda descriptor, unsent: self.keep(descriptor, unsent))
        self.connections: set[Connection] = set()
        self.stalled: dict[Connection, Stall] = {}
        self.draining = False
        self._disbelieved: set[str] = set()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._max_connections = min(config.max_connections, max(1, descriptors - SPARE_DESCRIPTORS))
        self.when_full: Callable[[], None] = lambda: None
        self.now = 0.0
        self.idle_deadline = 0.0
        self.silent_deadline = 0.0
        self._keep_alive_s = config.keep_alive_s
        self.tick()

    def tick(self) -> None:
        """Once a second: read the clock and cut what is overdue."""
        self.outbox.send()
        idle_before, silent_before = self.idle_deadline, self.silent_deadline
        self.now = self.loop.time()
        self.idle_deadline = self.now + self._keep_alive_s + TICK_S
        self.silent_deadline = min(self.idle_deadline, self.now + self.config.header_timeout_s + TICK_S)
        self.counters.cells[self.counters.layout.beat] = int(time.monotonic())
        if self.access_log is not None:
            self.access_log.moment.refresh(time.time())
        for connection in [each for each in self.connections if each.deadline < self.now]:
            connection.expire()
        if self.full and not self.draining:
            self._make_room(idle_before, silent_before)
        for connection, stall in list(self.stalled.items()):
            unread_bytes = connection.unread_bytes()
            if unread_bytes < stall.unread_bytes:
                self.stalled[connection] = Stall(unread_bytes, self.now)
            elif self.now - stall.since > self.config.write_timeout_s:
                connection.abort()

    def _make_room(self, idle_before: float, silent_before: float) -> None:
        """Cut quiet connections so that others are let in: all that never asked, and of those that did, the longest
        quiet ones; none that has been quiet for less than a tick, so *before*: the deadlines that the last one gave.
        """
        quiet = [each for each in self.connections if each.deadline < idle_before and each.idle]
        quiet = sorted((each for each in quiet if each.deadline != silent_before), key=lambda each: each.deadline)
        silent = sum(each.deadline < silent_before for each in quiet)
        for connection in quiet[: max(silent, self._max_connections // ROOM_PART, 1)]:
            connection.expire()

    @property
    def room(self) -> int:
        """How many more connections there may be."""
        return self._max_connections - len(self.connections)

    @property
    def full(self) -> bool:
        """There are as many connections as there may be."""
        return self.room <= 0

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.counters.cells[self.counters.layout.open] = len(self.connections)
        if self.full:
            self.when_full()

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.stalled.pop(connection, None)
        self.counters.cells[self.counters.layout.open] = len(self.connections)

    def drain(self, quiet: bool) -> None:
        """Make every answer from now on its connection's last; with *quiet*, cut soon those that ask nothing."""
        self.draining = True
        if quiet:
            self._keep_alive_s = LAST_REQUEST_S
            self.tick()
            for connection in self.connections:
                if connection.idle:
                    connection.deadline = min(connection.deadline, self.idle_deadline)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The handler of aiohttp's server."""
        peer = cast(Connection, request.protocol).peer
        lines, said = self.forwarded(request)
        client = find_client(peer, lines, self.trusted)
        scheme = scheme_of(said) if said and is_proxy(peer, self.trusted) else ""
        if lines and not is_proxy(peer, self.trusted):
            self.disbelieve(peer)
        response = self.respond(self.answer(request, client, scheme, peer))
        response[_CLIENT] = client
        if self.draining or request.body_exists:
            response.force_close()
        return response

    def forwarded(self, request: web.BaseRequest) -> tuple[Sequence[str], str]:
        """Whom a proxy speaks for, by the header that it is said in; and how it was asked."""
        header = self.config.client_header
        lines: Sequence[str] = request.headers.getall(header, ())
        scheme = request.headers.get(hdrs.X_FORWARDED_PROTO, "")
        if header == hdrs.FORWARDED:
            lines, said = read_forwarded(lines)
            scheme = said or scheme
        return lines, scheme

    def is_operator(self, peer: str | None) -> bool:
        """Whether *peer*, who asks for nobody else, may see what operators do. One on a unix socket is a proxy."""
        return peer is not None and is_within(peer, self.config.admin_allow)

    def disbelieve(self, peer: str | None) -> None:
        """Say once of each of the first few peers that its header is not believed, and what would make it so."""
        if peer and peer not in self._disbelieved and len(self._disbelieved) < MAX_DISBELIEVED:
            self._disbelieved.add(peer)
            _log.warning(
                "%s says %s, which is not believed: if it is a proxy of yours, write trusted_proxies: [%s]",
                peer,
                self.config.client_header,
                peer,
            )

    def answer(self, request: web.BaseRequest, client: Client, scheme: str = "", peer: str | None = None) -> Answer:
        """What *request* gets; never raises."""
        target = request.raw_path.encode("utf-8", "surrogateescape")
        if request.method not in METHODS:
            return self.not_allowed(target)
        if request.body_exists:
            return Answer(413, kind_of(target), b"a request must not have a body\n")
        if request.headers.get(hdrs.EXPECT, "100-continue").lower() != "100-continue":
            return Answer(417, kind_of(target), b"the only expectation that is met is 100-continue\n")
        forwarded = any(name in request.headers for name in FORWARDING)
        operator = not forwarded and self.is_operator(peer)
        question = Request(
            target,
            client,
            time.time(),
            random.getrandbits(64),
            accept=", ".join(request.headers.getall(hdrs.ACCEPT, ())),
            host=request.headers.get(hdrs.HOST, ""),
            scheme=scheme,
            operator=operator and find_foreign(request.headers, self.config.admin_hosts) is None,
        )
        try:
            return self.responder.answer(question)
        except Exception:
            _log.exception("a request could not be answered: %.200r", target)
            return Answer(500, kind_of(target), b"this should not have happened, and is in the server's log\n")

    @staticmethod
    def not_allowed(target: bytes) -> Answer:
        """The answer to any method but those of `METHODS`."""
        allow = (("Allow", ", ".join(METHODS)),)
        return Answer(405, kind_of(target), b"only GET and HEAD are answered\n", headers=allow)

    def respond(self, answer: Answer) -> web.Response:
        """aiohttp's response for *answer*, with the headers that all answers have."""
        response = web.Response(status=answer.status, body=answer.body, headers=header_fields(answer))
        response[_ANSWER] = answer
        return response

    def refuse(self, answer: Answer) -> web.Response:
        """*answer* as the last one on its connection."""
        response = self.respond(answer)
        response.force_close()
        return response

    def refuse_raw(self, status: int, text: str) -> bytes:
        """The bytes of a last answer where no request could be read; counted here."""
        answer = Answer(status, Kind.OTHER, text.encode() + b"\n")
        self.counters.count(answer, 0.0)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in header_fields(answer)]
        lines += [f"Content-Length: {len(answer.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + answer.body

    def record(self, connection: Connection, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Count *response*, which has just been written, and log it."""
        answer = response.get(_ANSWER)
        if answer is None:
            return
        duration_s = time.perf_counter() - connection.received
        self.counters.count(answer, duration_s)
        if self.access_log is not None:
            self.access_log.add(
                LogEntry(
                    client=response.get(_CLIENT, _NOBODY).address,
                    method=request.method,
                    target=request.raw_path,
                    version=f"HTTP/{request.version.major}.{request.version.minor}",
                    answer=answer,
                    sent_bytes=0 if request.method == "HEAD" else len(answer.body),
                    duration_s=duration_s,
                    first=None if answer.first is None else self.snapshot.hosts[answer.first].name,
                    referer=request.headers.get(hdrs.REFERER, ""),
                    agent=request.headers.get(hdrs.USER_AGENT, ""),
                )
            )


def header_fields(answer: Answer) -> Iterable[tuple[str, str]]:
    """The headers of *answer* that do not depend on the connection; aiohttp adds length, date and keep-alive."""
    content_type = answer.content_type or "text/plain"
    return (("Content-Type", content_type), *answer.headers, ("Cache-Control", CACHE_CONTROL), ("Server", SERVER))

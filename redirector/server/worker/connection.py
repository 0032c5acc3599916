"""One client's connection: aiohttp's protocol, and what it leaves out.

aiohttp has one timer, for an idle connection, and waits for ever for a client that sends half a request or reads no
answer. Here each connection has one deadline, in seconds of the loop's clock as it was at the last tick, and the
worker cuts those that are overdue once a second: a deadline costs an attribute, not a timer.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import struct
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from redirector.answer.answer import Answer, Kind
from redirector.server.between.listeners import NOBODY, peer_of
from redirector.settings.serving import Config

_log = logging.getLogger("redirector.server")

END_OF_HEADERS = b"\r\n\r\n"
VERSIONS = (HttpVersion10, HttpVersion11)

_WRONG_VERSION = BadStatusLine("a version of HTTP that is not spoken here")

MAX_HEADER_BYTES = 65_536
"""How much of a request is read before its end must have come; aiohttp limits a line, and the number of lines."""

_REQUEST_LINE = re.compile(rb"[A-Z-]+ ([!-~]+) HTTP/1\.[01]\r?\n")
"""A request line that is right but for a method which nobody knows."""

LINGER_S = 5.0
"""How long a body that was refused is still read, so that the client sees the answer and not a reset."""


@dataclass(frozen=True, slots=True)
class Stall:
    """What a client had not read when it was last seen to read, by the loop's clock."""

    unread_bytes: int
    since: float


class Keeper(Protocol):
    """What a connection needs of the worker that all of its connections share: see `Service`, which is one."""

    config: Config
    loop: asyncio.AbstractEventLoop
    now: float
    idle_deadline: float
    silent_deadline: float
    stalled: dict[Connection, Stall]

    def opened(self, connection: Connection) -> None:
        """Count *connection*, which has just begun."""

    def closed(self, connection: Connection) -> None:
        """Forget *connection*, which has ended."""

    def not_allowed(self, target: bytes) -> Answer:
        """The answer to a method that is not known."""

    def refuse(self, answer: Answer) -> web.Response:
        """*answer* as the last one on its connection."""

    def refuse_raw(self, status: int, text: str) -> bytes:
        """The bytes of a last answer where no request could be read."""

    def record(self, connection: Connection, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Count and log *response*, which has just been written."""


class Connection(RequestHandler):
    """A connection whose requests aiohttp parses and answers.

    service   the worker's; shared by all its connections
    peer      the address on the other side; None for a unix socket, "" when it left before anybody looked
    deadline  when it is cut
    whole     what was read so far is whole requests without a body (`docs/measured.md`, section 2, rule 2)
    received  when its last bytes were read, by `time.perf_counter`
    """

    __slots__ = ("_asked", "_ending", "_held_bytes", "deadline", "peer", "received", "service", "whole")

    def __init__(self, server: web.Server, service: Keeper) -> None:
        limit = service.config.max_target_bytes
        super().__init__(
            server,
            loop=service.loop,
            keepalive_timeout=0,
            access_log=cast(Any, None),
            max_line_size=limit,
            max_field_size=limit + 1,  # not the same, so that the two errors can be told apart
            lingering_time=LINGER_S,
            auto_decompress=False,
        )
        self.service = service
        self.peer: str | None = NOBODY
        self.deadline = 0.0
        self.whole = True
        self.received = 0.0
        self._ending = b""
        self._asked = b""
        self._held_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.meet(transport)

    def meet(self, transport: asyncio.BaseTransport) -> None:
        """Learn who is there, and count the connection. Until its first request it has the time of one, and no more."""
        self.peer = peer_of(transport)
        self.deadline = self.service.silent_deadline
        self.service.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.service.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand *data* to aiohttp, and remember whether it may hold a part of a request back."""
        before = len(self._messages)
        was_whole = self.whole
        if data:
            self.received = time.perf_counter()
        for part in self._split(data):
            super().data_received(part)
            self._upgraded, self._message_tail = False, b""  # an offer that nobody takes up (RFC 9110, 7.8)
            if len(self._messages) > before and isinstance(self._messages[-1][0], _ErrInfo):
                self._asked = part  # aiohttp reads nothing more of this connection
        for place in range(before, len(self._messages)):
            message, _ = self._messages[place]
            if not isinstance(message, _ErrInfo) and message.version not in VERSIONS:
                self._messages[place] = (_ErrInfo(505, _WRONG_VERSION, ""), EMPTY_PAYLOAD)
        messages = list(self._messages)[before:]
        if not data and not messages:
            return
        self.whole = (
            bool(data and messages)
            and self._ending == END_OF_HEADERS
            and all(payload is EMPTY_PAYLOAD for _, payload in messages)
            and len(self._messages) < self._max_msg_queue_size
            and not self._upgraded
        )
        if was_whole:
            self.deadline = self.service.now + self.service.config.header_timeout_s
        self._held_bytes = 0 if messages or was_whole else self._held_bytes + len(data)
        if self._held_bytes > MAX_HEADER_BYTES and not self.whole and self._awaits_request:
            self.hang_up(431, "the headers are too long")

    def _split(self, data: bytes) -> Iterator[bytes]:
        """*data* cut behind each end of headers, as far as a parser should see it at once.

        aiohttp's parser forgets a request that it has read when what stands behind it is wrong, or is behind a request
        for the connection to be closed.
        """
        if not data:
            yield data
        while data:
            seen = self._ending + data
            end = seen.find(END_OF_HEADERS, max(0, len(self._ending) - len(END_OF_HEADERS) + 1))
            cut = len(data) if end < 0 else end + len(END_OF_HEADERS) - len(self._ending)
            part, data = data[:cut], data[cut:]
            self._ending = (self._ending + part)[-len(END_OF_HEADERS) :]
            yield part

    @property
    def idle(self) -> bool:
        """Nothing was read that is not answered, and nothing is answered that is not sent."""
        return (
            self.whole
            and self.transport is not None
            and not (self._close or self._force_close or self._messages)
            and (self._awaits_request or self._request_count == 0)
            and self.transport.get_write_buffer_size() == 0
        )

    @property
    def _awaits_request(self) -> bool:
        """aiohttp has answered all it has read, and waits."""
        return self._waiter is not None and not self._waiter.done()

    def pause_writing(self) -> None:
        """The client does not read: stop reading from it too, and watch it."""
        super().pause_writing()
        self.service.stalled[self] = Stall(self.unread_bytes(), self.service.now)
        self._pause_transport_reading()

    def unread_bytes(self) -> int:
        """How much of what was written has not reached the client, in our buffer and in the kernel's."""
        if self.transport is None or self.transport.is_closing():
            return 0
        descriptor = self.transport.get_extra_info("socket").fileno()
        (in_kernel,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
        return self.transport.get_write_buffer_size() + int(in_kernel)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.service.stalled.pop(self, None)
        self.deadline = self.service.idle_deadline
        if not (self._reading_paused or self._buffer_paused):
            self._resume_transport_reading()

    def expire(self) -> None:
        """The deadline has passed: say so to a client that began a request, drop one that does not read."""
        transport = self.transport
        if transport is None or self in self.service.stalled:
            return
        if transport.get_write_buffer_size():
            transport.abort()
            return
        if not self.whole and self._awaits_request:
            self.hang_up(408, "the request did not end in time")
        else:
            self.force_close()

    def hang_up(self, status: int, text: str) -> None:
        """Say why in a last answer, and close."""
        if self.transport is not None:
            self.transport.write(self.service.refuse_raw(status, text))
        self.force_close()

    def pause(self) -> int:
        """Stop reading, and return the socket's descriptor: what arrives from now on waits in the kernel."""
        assert self.transport is not None
        self.transport.pause_reading()
        return int(self.transport.get_extra_info("socket").fileno())

    def go_on(self) -> None:
        """Read again after `pause`."""
        assert self.transport is not None
        self.transport.resume_reading()

    def leave(self) -> None:
        """Let go of a connection that another process now has: nothing is sent to the client."""
        self._force_close = True
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """Count and log what aiohttp has just written; the next request has its own time to arrive."""
        if self.whole and not self._messages:
            self.deadline = self.service.idle_deadline
        self.service.record(self, request, response)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, with neither a line nor a stack trace: it is the client's doing."""
        if status == 505:
            text = b"HTTP/1.1 and HTTP/1.0 are spoken here\n"
        elif status >= 500:
            _log.error("a request failed outside its handler", exc_info=exc)
            text = b"this should not have happened, and is in the server's log\n"
        elif isinstance(exc, LineTooLong):
            in_target = exc.args[1] == self.max_line_size
            status, text = (414, b"the target is too long\n") if in_target else (431, b"a header is too long\n")
        elif isinstance(exc, BadHttpMethod) and (line := _REQUEST_LINE.match(self._asked)):
            return self.service.refuse(self.service.not_allowed(line[1]))
        else:
            text = b"this is not HTTP/1.1\n"
        return self.service.refuse(Answer(status, Kind.OTHER, text))

    def _process_keepalive(self) -> None:
        """aiohttp's own timer: the deadline has taken its place."""

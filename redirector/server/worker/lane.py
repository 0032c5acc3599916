"""The narrow lane: a plain `GET` that arrives whole is answered without aiohttp.

Nothing is decided here that the general way does not decide: the same frames, audiences, seeds and orders give the same
bytes, and whatever is out of the ordinary is handed to aiohttp untouched. What a request looks like besides its target
and its client's address, its *shape*, is examined strictly once and then recognised by one look-up.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from dataclasses import dataclass
from http import HTTPStatus
from random import getrandbits
from time import perf_counter_ns
from time import time as clock
from typing import cast

from aiohttp import web

from redirector.answer.answer import Answer, Form, Kind, Request, Tier
from redirector.answer.choose.lineup import Lineup
from redirector.answer.show.frames import Frame, compose
from redirector.answer.show.metalink import METALINK_TYPE
from redirector.locate.addresses import parse_address
from redirector.locate.proxies import find_client, find_forwarded, find_peer, is_proxy, scheme_of
from redirector.server.between.access_log import LogEntry
from redirector.server.worker.app import Service, header_fields
from redirector.server.worker.connection import Connection
from redirector.server.worker.door import Accept
from redirector.server.worker.plain import Cells, Learner, PlainLane, Spelling, Tables, make_plain_lane
from redirector.settings.serving import X_FORWARDED_FOR

LONG_BYTES = 12_000
"""From here on to have the kernel gather headers and body costs less than to copy them together."""

MAX_SHAPES = 1024
"""Shapes that are remembered; there are about as many as there are kinds and versions of clients and proxies."""

MAX_SHAPE_BYTES = 2048
"""Longer ones are left to aiohttp, which knows what is too long; so all shapes together are some 4 MB at most."""

_FORWARDED = b"\r\nX-Forwarded-For: "
_FORWARDED_LOW = _FORWARDED.lower()
_VERSION = b" HTTP/1.1\r\n"
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*)\Z")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_TARGET = re.compile(rb"[!-~]+")
"""A request line ends at its line, and so does what is cut out of the others: each part is held to the rule for it."""

UNKNOWN, NONE = -2, -1
"""In place of a descriptor: nobody has asked for it yet, which costs 1 µs; there is none."""

_DEBUG = b"/debug/"
"""The general way knows who may look there."""
_GENERAL = frozenset(("content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer"))
"""Headers that only the general way understands."""


@dataclass(frozen=True, slots=True)
class Shape:
    """All of a request but its target and its client's address, found to be ordinary.

    last   the client wants the connection closed behind the answer
    """

    last: bool
    accept: str
    host: str
    scheme: str
    referer: str
    agent: str


class LaneConnection(Connection):
    """A connection that may take the lane whenever aiohttp has nothing under way on it."""

    __slots__ = ("_unsent", "address", "descriptor", "is_started", "lane", "trusts")

    service: Service

    def __init__(self, server: web.Server, service: Service, lane: Lane, unsent: bytes = b"") -> None:
        """*unsent*: the rest of its only answer."""
        super().__init__(server, service)
        self.lane = lane
        self._unsent = unsent
        self.address: bytes | None = None
        self.trusts = False
        self.descriptor = UNKNOWN
        self.is_started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Meet the client. aiohttp starts its task when it has something to do: it costs as much as two answers."""
        self.transport = cast(asyncio.Transport, transport)
        self.meet(transport)
        self.address = find_peer(self.peer, self.service.trusted).address
        self.trusts = is_proxy(self.peer, self.service.trusted)
        if self._unsent:
            self.deadline = self.service.idle_deadline
            self.transport.write(self._unsent)
            self.transport.close()
            self._unsent = b""

    def data_received(self, data: bytes) -> None:
        """Answer *data* at once, or hand it on (`docs/measured.md`, section 2, rules 1 to 3 and 10)."""
        waiter = self._waiter
        if (
            self.whole
            and (not waiter.done() if waiter is not None else self._request_count == 0)
            and not (self._messages or self._close or self._force_close or self.service.draining)
        ):
            lane = self.lane
            if lane.answer_plainly(data, self.transport, self.descriptor, self.address, self.trusts):
                if self.descriptor == UNKNOWN:
                    self.descriptor = _descriptor_of(self.transport)
                self.deadline = self.service.idle_deadline
                return
            if lane.answer(self, data):
                return
        self.service.outbox.send()
        if not self.is_started and self.transport is not None:
            self.is_started = True
            web.RequestHandler.connection_made(self, self.transport)
        super().data_received(data)


def _descriptor_of(transport: asyncio.Transport | None) -> int:
    """Of its socket; `NONE` where it has none."""
    found = None if transport is None else transport.get_extra_info("socket")
    return NONE if found is None else int(found.fileno())


_TIERS = len(Tier)


class Lane:
    """What the connections of one worker share in the lane."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._frames = service.responder.frames
        self._sit = service.responder.reader.sit
        self._orders = service.responder.orders
        self._shapes: dict[bytes, Shape] = {}
        snapshot, layout = service.snapshot, service.counters.layout
        self._window_s = snapshot.order_window_s
        self._by_distance = snapshot.policy.by_distance
        self._cells = service.counters.cells
        countries, country_of = [code or None for code in snapshot.audiences.countries], snapshot.audiences.country_of
        codes = [*map(layout.country_cell, countries)]
        self._countries = [countries[number] for number in country_of]
        self._country_cells = array("H", (codes[number] for number in country_of))
        self._tier_cells = {tier: layout.tier_cell(tier) for tier in Tier}
        self._host_cells = {tier: layout.host_cell(0, tier) for tier in Tier}
        kinds = {Form.MIRRORLIST: (Kind.MIRRORLIST, "text/plain"), Form.METALINK: (Kind.METALINK, METALINK_TYPE)}
        self._kinds = {
            form: (
                layout.request_cell(kind, 200),
                layout.duration_cells(kind),
                _head(Answer(200, kind, b"", content_type)),
            )
            for form, (kind, content_type) in kinds.items()
        }
        self._max_field = service.config.max_target_bytes
        self._is_other_header = service.config.client_header != X_FORWARDED_FOR
        self._spelling = Spelling()
        self._plain: PlainLane | None = None
        self._learner: Learner | None = None
        self.answer_plainly = _leave
        self.accept: Accept | None = None
        if service.tables is not None:
            self._plain = self._make_plain(service.tables)
            self._learner = Learner(self._plain, service.tables.packer, snapshot.pool_bytes // 4)
            self.answer_plainly = self._plain.answer
            self.accept = self._plain.accept

    def _make_plain(self, tables: Tables) -> PlainLane:
        cells = Cells(
            {form: kind[0] for form, kind in self._kinds.items()},
            {form: kind[1] for form, kind in self._kinds.items()},
            self._country_cells,
            tuple(self._tier_cells[tier] for tier in Tier),
            tuple(self._host_cells[tier] for tier in Tier),
        )
        heads = {form: kind[2] for form, kind in self._kinds.items()}
        service = self._service
        log, proxies = service.access_log, service.config.trusted_proxies
        return make_plain_lane(tables, service.outbox, cells, service.snapshot, heads, log, proxies)

    def answer(self, connection: LaneConnection, data: bytes) -> bool:
        """Answer the request *data*; False: nothing was done, and it must go the general way.

        cost  12 µs for a mirrorlist of 65 URLs, 20 µs for a metalink of 140, the system call not counted; half as much
              again when a hundred other clients came before
        """
        if self._is_other_header or not data.startswith(b"GET /"):
            return False
        began = perf_counter_ns()
        end = data.find(_VERSION, 5)
        target = data[4:end]
        address, forwarded = connection.address, None
        at = data.find(_FORWARDED, end)
        if at < 0:
            at = data.find(_FORWARDED_LOW, end)
        if at < 0:
            rest = data[end:]
        else:
            at += len(_FORWARDED)
            forwarded = data[at : data.find(b"\r\n", at)]
            rest = data[end:at] + data[at + len(forwarded) :]
            text = forwarded.decode("latin-1")
            plain = parse_address(text)
            if plain is None and (len(forwarded) > self._max_field or _VALUE.fullmatch(text) is None):
                return False
            if not connection.trusts:
                self._service.disbelieve(connection.peer)
            else:
                address = plain or find_forwarded((text,), self._service.trusted).address
        shape = self._shapes.get(rest)
        if shape is None:
            shape = self._examine(rest, at >= 0)
            if shape is None:
                return False
            if self._plain is not None:
                self._plain.learn(data, shape.last)
        frame = self._frames.get(target)
        if frame is None or address is None:
            return self._answer_any(connection, target, forwarded, shape, began)

        now = int(clock())
        audience, family, seed = self._sit(address, now, 0 if self._window_s else getrandbits(64))
        form = frame.form
        lineup = self._find_lineup(frame, audience, family)
        entries, first = lineup.read(seed)
        if not entries:
            return self._answer_any(connection, target, forwarded, shape, began)
        body = compose(frame, entries, now, lineup.comment)
        self._spelling.refresh(now)
        request_cell, duration_cells, head = self._kinds[form]
        cells = self._cells  # counted before it is sent: whoever has the answer finds it in the metrics
        cells[request_cell] += 1
        cells[self._country_cells[audience]] += 1
        tier = lineup.tier_of(first)
        cells[self._tier_cells[tier]] += 1
        if first is not None:
            cells[self._host_cells[tier] + first * _TIERS] += 1
        self._write(connection, head, body, shape.last, began, duration_cells)
        log = self._service.access_log
        if log is not None and log.is_mirrormanager:
            if asked := frame.listing.asked:
                log.add_facts(address, self._countries[audience], asked)
        elif log is not None:
            kind = Kind.METALINK if form is Form.METALINK else Kind.MIRRORLIST
            country = self._countries[audience]
            answer = Answer(200, kind, body, tier=tier, first=first, country=country, asked=frame.listing.asked)
            self._log(answer, address, target, shape, began)
        return True

    def _find_lineup(self, frame: Frame, audience: int, family: int) -> Lineup:
        """The line-up of an audience; kept packed, where that can be, and otherwise by the orders."""
        asked, orders = (frame.listing.host_set, frame.form, audience, family), self._orders
        if self._learner is None:
            return orders.line_up(*asked)
        if orders.is_kept(audience):
            lineup = orders.line_up_once(*asked)
            return lineup if self._learner.learn(lineup, *asked) else orders.line_up(*asked)
        lineup = orders.line_up(*asked)
        if self._by_distance:  # there are no fronts, and mostly few lists: they are packed whole
            self._learner.learn(lineup, *asked)
        else:
            self._learner.learn_front(orders, *asked)
        return lineup

    def _answer_any(
        self, connection: LaneConnection, target: bytes, forwarded: bytes | None, shape: Shape, began: int
    ) -> bool:
        """Answer a target that is not known beforehand, just as the general way would.

        cost  20 to 200 µs: less than aiohttp takes for an empty answer
        """
        if target.startswith(_DEBUG):
            return False
        if len(target) > self._service.config.max_target_bytes or _TARGET.fullmatch(target) is None:
            return False
        lines = () if forwarded is None else (forwarded.decode("latin-1"),)
        client = find_client(connection.peer, lines, self._service.trusted)
        now = clock()
        try:
            scheme = scheme_of(shape.scheme) if shape.scheme and connection.trusts else ""
            question = Request(target, client, now, getrandbits(64), shape.accept, shape.host, scheme)
            answer = self._service.responder.answer(question)
        except Exception:
            return False  # the general way meets it too, and says so
        self._spelling.refresh(int(now))
        counters = self._service.counters
        counters.count_answer(answer)
        duration_cells = counters.layout.duration_cells(answer.kind)
        self._write(connection, _head(answer), answer.body, shape.last, began, duration_cells)
        if self._service.access_log is not None:
            self._log(answer, client.address, target, shape, began)
        return True

    def _write(
        self, connection: LaneConnection, head: bytes, body: bytes, last: bool, began: int, duration_cells: int
    ) -> None:
        """Have an answer sent, and its duration counted then."""
        assert connection.transport is not None
        end = self._spelling.last_end if last else self._spelling.end
        if len(body) < LONG_BYTES:
            answer: tuple[bytes, ...] = (b"%b%d%b%b" % (head, len(body), end, body),)
        else:
            answer = (b"%b%d%b" % (head, len(body), end), body)
        self._service.outbox.put(connection.transport, answer, last, began, duration_cells)
        connection.deadline = self._service.idle_deadline

    def _log(self, answer: Answer, address: bytes | None, target: bytes, shape: Shape, began: int) -> None:
        log, first = self._service.access_log, answer.first
        assert log is not None
        log.add(
            LogEntry(
                client=address,
                method="GET",
                target=target.decode("utf-8", "surrogateescape"),
                version="HTTP/1.1",
                answer=answer,
                sent_bytes=len(answer.body),
                duration_s=(perf_counter_ns() - began) / 1e9,
                first=None if first is None else self._service.snapshot.hosts[first].name,
                referer=shape.referer,
                agent=shape.agent,
            )
        )

    def _examine(self, rest: bytes, forwarded: bool) -> Shape | None:
        """What the request is besides target and address, if it is ordinary; remembered then.

        rest       from the version on, with the value of `X-Forwarded-For` cut out
        forwarded  there was one
        """
        if len(rest) > MAX_SHAPE_BYTES:
            return None
        lines = rest.decode("latin-1")[len(_VERSION) :].split("\r\n")
        if lines[-2:] != ["", ""]:
            return None
        fields: dict[str, str] = {}
        for line in lines[:-2]:
            match = _HEADER.match(line)
            name = match[1].lower() if match else ""
            if match is None or name in fields or name in _GENERAL:
                return None
            fields[name] = match[2]
        connection = fields.get("connection", "keep-alive").lower()
        if "host" not in fields or connection not in ("keep-alive", "close"):
            return None
        if ("x-forwarded-for" in fields) != forwarded or fields.get("x-forwarded-for"):
            return None
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        shape = Shape(
            last=connection == "close",
            accept=fields.get("accept", ""),
            host=fields.get("host", ""),
            scheme=fields.get("x-forwarded-proto", ""),
            referer=fields.get("referer", ""),
            agent=fields.get("user-agent", ""),
        )
        self._shapes[rest] = shape
        return shape


def _leave(data: bytes, transport: object, descriptor: int, peer: bytes | None, trusts: bool, now: int = 0, /) -> bool:
    """In place of the part in C where there is none: no request is plain."""
    return False


def _head(answer: Answer) -> bytes:
    """The start of an answer, up to the length; the same fields in the same order as aiohttp writes them."""
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in header_fields(answer)]
    return "\r\n".join([*lines, "Content-Length: "]).encode()

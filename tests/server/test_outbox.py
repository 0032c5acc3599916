"""Answers of one turn are sent together, in their order, and none is forgotten."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from redirector.answer.answer import Kind
from redirector.server.between.counters import BOUNDS_S, DURATION_SUM
from redirector.server.worker.app import Service
from redirector.server.worker.lane import Lane, LaneConnection
from redirector.server.worker.outbox import MAX_HELD_BYTES, Outbox
from tests.server.test_connection import LIST, Wire
from tests.server.test_connection import service as made

__all__ = ["made"]

CELLS = 0
"""Where durations are counted that nobody looks at."""


@pytest.fixture(params=[False, True], ids=["in Python", "as built"])
def service(made: Service, request: pytest.FixtureRequest) -> Service:
    """One with an outbox of each kind."""
    if not request.param:
        made.outbox = Outbox(made.loop, made.counters)
    return made


async def test_answers_are_sent_when_the_turn_ends(service: Service) -> None:
    outbox, wires = service.outbox, [Wire(), Wire()]
    for number, wire in enumerate([*wires, *wires]):
        outbox.put(wire, (b"%d" % number,), number == 2, 0, CELLS)
    assert [wire.written for wire in wires] == [b"", b""]
    await asyncio.sleep(0)
    assert [(wire.written, wire.closed) for wire in wires] == [(b"02", True), (b"13", False)]


async def test_each_turn_has_its_own_end(service: Service) -> None:
    outbox, wire = service.outbox, Wire()
    for number in range(3):
        outbox.put(wire, (b"%d" % number,), False, 0, CELLS)
        await asyncio.sleep(0)
        assert len(wire.written) == number + 1


async def test_much_is_sent_at_once(service: Service) -> None:
    outbox, wire = service.outbox, Wire()
    outbox.put(wire, (b"x", bytes(MAX_HELD_BYTES - 1)), False, 0, CELLS)
    assert wire.written == b""
    outbox.put(wire, (b"xyz",), False, 0, CELLS)
    assert len(wire.written) == MAX_HELD_BYTES + 3
    await asyncio.sleep(0)
    assert len(wire.written) == MAX_HELD_BYTES + 3


async def test_who_has_gone_gets_nothing(service: Service) -> None:
    outbox, gone, there = service.outbox, Wire(), Wire()
    for wire in (gone, there):
        outbox.put(wire, (b"x",), False, 0, CELLS)
    gone.close()
    await asyncio.sleep(0)
    assert (gone.written, there.written) == (b"", b"x")


async def test_the_lane_holds_its_answers_and_a_tick_sends_them(service: Service) -> None:
    lane, server = Lane(service), web.Server(service.handle)
    connections = [(LaneConnection(server, service, lane), Wire()) for _ in range(3)]
    for connection, wire in connections:
        connection.connection_made(wire)
        connection.data_received(LIST)
        assert wire.written == b""
    service.tick()
    for connection, wire in connections:
        assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")
        connection.connection_lost(None)
    await asyncio.sleep(0)


async def test_a_duration_ends_when_the_answer_is_sent(service: Service) -> None:
    first = service.counters.layout.duration_cells(Kind.MIRRORLIST)
    cells = service.counters.cells[first : first + DURATION_SUM + 1]
    service.outbox.put(Wire(), (b"x",), False, time.perf_counter_ns(), first)
    assert not any(cells)
    time.sleep(BOUNDS_S[4])
    await asyncio.sleep(0)
    assert sum(cells[:DURATION_SUM]) == 1
    assert cells[DURATION_SUM] > BOUNDS_S[4] * 1e9
    assert sum(cells[:5]) == 0

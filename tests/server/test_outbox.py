"""Answers of one turn are sent together, in their order, and none is forgotten."""

from __future__ import annotations

import asyncio

from aiohttp import web

from redirector.server.app import Service
from redirector.server.lane import Lane, LaneConnection
from redirector.server.outbox import MAX_HELD_BYTES, Outbox
from tests.server.test_connection import LIST, Wire, service

__all__ = ["service"]


async def test_answers_are_sent_when_the_turn_ends() -> None:
    outbox, wires = Outbox(asyncio.get_running_loop()), [Wire(), Wire()]
    for number, wire in enumerate([*wires, *wires]):
        outbox.put(wire, (b"%d" % number,), last=number == 2)
    assert [wire.written for wire in wires] == [b"", b""]
    await asyncio.sleep(0)
    assert [(wire.written, wire.closed) for wire in wires] == [(b"02", True), (b"13", False)]


async def test_each_turn_has_its_own_end() -> None:
    outbox, wire = Outbox(asyncio.get_running_loop()), Wire()
    for number in range(3):
        outbox.put(wire, (b"%d" % number,), last=False)
        await asyncio.sleep(0)
        assert len(wire.written) == number + 1


async def test_much_is_sent_at_once() -> None:
    outbox, wire = Outbox(asyncio.get_running_loop()), Wire()
    outbox.put(wire, (b"x", bytes(MAX_HELD_BYTES)), last=False)
    assert wire.written == b""
    outbox.put(wire, (b"x",), last=False)
    assert len(wire.written) == MAX_HELD_BYTES + 2
    await asyncio.sleep(0)
    assert len(wire.written) == MAX_HELD_BYTES + 2


async def test_who_has_gone_gets_nothing() -> None:
    outbox, gone, there = Outbox(asyncio.get_running_loop()), Wire(), Wire()
    for wire in (gone, there):
        outbox.put(wire, (b"x",), last=False)
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

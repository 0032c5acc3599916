"""A connection knows when it is idle: the moment at which it may be handed over, or answered beside aiohttp."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

import pytest
from aiohttp import web

from redirector.server.between.counters import CounterMemory, Counters, Layout, make_counter_file
from redirector.server.worker.app import Service
from redirector.server.worker.connection import Connection
from redirector.server.worker.lane import Lane, LaneConnection
from redirector.settings.serving import Config
from tests.rig import mirror, rig

LIST = b"GET /mirrorlist?repo=fedora-40&arch=x86_64 HTTP/1.1\r\nHost: test\r\n\r\n"
PAGE = b"GET /nothing HTTP/1.1\r\nHost: test\r\nA: b\r\n\r\n"
LENGTH = b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx\r\n\r\n\r\n\r\n"
CHUNKS = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and sends it when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent_bytes = 0
        self.closed = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


Connect = Callable[[], tuple[Connection, Wire]]


@pytest.fixture
async def service() -> Service:
    responder = rig(mirror("a.example", "DE"), mirror("b.example", "FR")).responder
    layout = Layout((host.name for host in responder.snapshot.hosts), responder.snapshot.countries)
    descriptor = make_counter_file(layout, 1)
    counters = Counters(layout, CounterMemory(layout, 1, descriptor).cells(0))
    os.close(descriptor)
    return Service(Config("made-up"), responder, counters, None)


@pytest.fixture(params=["general", "lane"])
async def connect(request: pytest.FixtureRequest, service: Service) -> Connect:
    server = web.Server(service.handle)
    lane = Lane(service)

    def make() -> tuple[Connection, Wire]:
        wire = Wire()
        connection = (
            Connection(server, service) if request.param == "general" else LaneConnection(server, service, lane)
        )
        connection.connection_made(wire)
        return connection, wire

    return make


async def settle() -> None:
    """Let aiohttp do what it can do."""
    for _ in range(10):
        await asyncio.sleep(0)


def pieces(stream: bytes, cuts: tuple[int, ...]) -> Iterator[bytes]:
    for begin, end in zip((0, *cuts), (*cuts, len(stream)), strict=True):
        yield stream[begin:end]


async def end(connection: Connection) -> None:
    connection.connection_lost(None)
    await settle()


@pytest.mark.parametrize("stream", [LIST + PAGE + LIST, PAGE + LIST + PAGE], ids=["list first", "page first"])
async def test_idle_means_that_all_that_was_read_is_answered_wherever_packets_end(
    connect: Connect, stream: bytes
) -> None:
    ends = {0, *(at + 4 for at in range(len(stream)) if stream[at : at + 4] == b"\r\n\r\n")}
    for cuts in combinations(range(1, len(stream), 5), 2):
        connection, wire = connect()
        read = 0
        for piece in pieces(stream, cuts):
            connection.data_received(piece)
            await settle()
            read += len(piece)
            if connection.idle:
                assert read in ends, cuts
        assert connection.idle, cuts
        assert wire.written.count(b"HTTP/1.1 ") == 3, cuts
        await end(connection)


@pytest.mark.parametrize("stream", [LENGTH, CHUNKS], ids=["length", "chunked"])
async def test_a_connection_with_a_body_is_never_idle_and_ends(connect: Connect, stream: bytes) -> None:
    for cut in range(1, len(stream)):
        connection, wire = connect()
        for piece in pieces(stream, (cut,)):
            connection.data_received(piece)
            await settle()
            assert not connection.idle or wire.written == b"", cut
        assert wire.closed, cut
        assert wire.written.count(b"HTTP/1.1 ") == 1, cut
        await end(connection)


async def test_a_new_connection_is_idle_and_an_unsent_answer_is_not(connect: Connect) -> None:
    connection, wire = connect()
    assert connection.idle
    await settle()
    assert connection.idle
    connection.data_received(LIST)
    wire.unsent_bytes = 1
    await settle()
    assert not connection.idle
    wire.unsent_bytes = 0
    assert connection.idle
    await end(connection)
    assert not connection.idle


async def test_a_connection_that_was_left_says_nothing_any_more(connect: Connect) -> None:
    connection, wire = connect()
    connection.leave()
    connection.data_received(LIST)
    await settle()
    assert (wire.written, wire.closed) == (b"", True)
    await end(connection)


@pytest.mark.parametrize("request_line", [LIST, PAGE])
async def test_the_last_answer_of_a_worker_that_drains_says_so(
    connect: Connect, service: Service, request_line: bytes
) -> None:
    connection, wire = connect()
    service.drain(quiet=False)
    connection.data_received(request_line)
    await settle()
    assert b"\r\nConnection: close\r\n" in wire.written
    assert wire.closed
    await end(connection)


async def test_the_deadline_of_a_request_is_not_put_off_by_its_bytes(connect: Connect, service: Service) -> None:
    connection, _ = connect()
    connection.data_received(LIST[:1])
    deadline = connection.deadline
    assert deadline == service.now + service.config.header_timeout_s
    service.now += 5
    for byte in LIST[1:-1]:
        connection.data_received(bytes([byte]))
    assert connection.deadline == deadline
    connection.data_received(LIST[-1:])
    await settle()
    assert connection.deadline == service.idle_deadline
    await end(connection)


async def test_an_answer_that_cannot_be_found_is_500_and_one_line(
    connect: Connect, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.responder, "answer", fail)
    connection, wire = connect()
    connection.data_received(PAGE)
    await settle()
    assert wire.written.startswith(b"HTTP/1.1 500 ")
    assert [record.getMessage() for record in caplog.records] == ["a request could not be answered: b'/nothing'"]
    assert connection.idle, "the client is not to blame"
    await end(connection)


async def test_limits_are_the_operators(service: Service) -> None:
    service.config = replace(service.config, max_target_bytes=300)
    connection, wire = Connection(web.Server(service.handle), service), Wire()
    connection.connection_made(wire)
    connection.data_received(b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: test\r\n\r\n")
    await settle()
    assert wire.written.split()[1] == b"414"
    await end(connection)

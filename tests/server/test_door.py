"""Who asks plainly, once, and for the last time is answered at the door, just as inside; everybody else comes in."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redirector.server.between.listeners import defer, show_at_once
from redirector.server.worker import plain
from redirector.server.worker.lane import Lane
from redirector.server.worker.plain import make_tables
from tests.rig import NOW, rig
from tests.server.load import Crowd
from tests.server.running import METALINK, TARGET, serving
from tests.server.test_plain import ADDRESSES, LISTED, PIECES, Way, needs_c, request_of

LAST = "Connection: close"
LIST = b"/mirrorlist?repo=fedora-40&arch=x86_64"
LINK = b"/metalink?repo=fedora-40&arch=x86_64"


class Doorstep:
    """A lane in C with a listening socket, and one in Python that clients at it are asked of too."""

    def __init__(self, listener: socket.socket, peer: str = "127.0.0.1", **options: Any) -> None:
        served = rig(*LISTED)
        self.inside, self.at_door = Way(served, False, peer=peer, **options), Way(served, True, peer=peer, **options)
        self.kept: list[tuple[int, bytes]] = []
        self.at_door.service.keep = lambda descriptor, unsent: self.kept.append((descriptor, unsent))
        self.listener = listener
        listener.setblocking(False)

    def connect(self, source: str | None = None) -> socket.socket:
        client = socket.socket(self.listener.family)
        client.settimeout(20)
        if source is not None:
            client.bind((source, 0))
        client.connect(self.listener.getsockname())
        return client

    def let_in(self, most: int = 64) -> int | None:
        """Who is not answered."""
        accept = self.at_door.lane.accept
        assert accept is not None
        left = accept(self.listener.fileno(), most, NOW)  # type: ignore[call-arg]
        self.at_door.service.outbox.send()
        return left

    def ask_inside(self, raw: bytes) -> bytes:
        """What the lane in Python answers."""
        self.inside.wire.closed = False
        return self.inside.ask(raw)[2]

    def learn(self, *raws: bytes) -> None:
        for raw in raws:
            self.at_door.ask(raw)
            self.ask_inside(raw)

    def close(self) -> None:
        self.inside.close()
        self.at_door.close()
        self.listener.close()


def everything(client: socket.socket) -> bytes:
    """All that comes up to the end."""
    received = b""
    while part := client.recv(65_536):
        received += part
    return received


def visit(step: Doorstep, raw: bytes, source: str | None = None) -> bool:
    """Whether *raw* is answered at the door; then as inside, or else nothing of it is touched."""
    expected = step.ask_inside(raw)
    with step.connect(source) as client:
        client.sendall(raw)
        left = step.let_in()
        if left is None:
            assert everything(client) == expected != b""
            assert f"\r\n{LAST}\r\n\r\n".encode() in expected
            return True
        with socket.socket(fileno=left) as taken:
            assert not os.get_blocking(taken.fileno())
            assert not os.get_inheritable(taken.fileno())
            if raw:
                assert taken.recv(len(raw) + 1) == raw
        return False


def listener_of(family: str, folder: Path) -> socket.socket:
    if family == "tcp":
        return socket.create_server(("127.0.0.1", 0))
    if family == "tcp6":
        return socket.create_server(("::1", 0), family=socket.AF_INET6)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "door"))
    listener.listen()
    return listener


@pytest.fixture(params=["tcp", "tcp6", "unix"])
async def step(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Doorstep]:
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    made = Doorstep(listener_of(request.param, tmp_path), "::1" if request.param == "tcp6" else "127.0.0.1")
    if request.param == "unix":
        for way in (made.inside, made.at_door):
            way.connection.address = None
    yield made
    made.close()


@needs_c
async def test_a_last_request_is_answered_as_inside_counted_and_logged(step: Doorstep) -> None:
    chance = Random(4)
    targets = list(step.inside.service.responder.frames)
    for headers in ((LAST,), ()):
        step.learn(*(request_of(LIST, address, *headers) for address in (None, "10.1.0.1")))
    answered = 0
    for _ in range(150):
        raw = request_of(chance.choice(targets), chance.choice((*ADDRESSES, None)), *chance.choice(((LAST,), ())))
        at_door = visit(step, raw)
        if not at_door:
            step.at_door.ask(raw)
        assert not at_door or LAST.encode() in raw
        answered += at_door
    assert answered > 30
    assert step.inside.counted() == step.at_door.counted()
    assert step.inside.logged() == step.at_door.logged() != []


@needs_c
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.lists(PIECES, max_size=8).map(b"".join), st.binary(max_size=80)))
async def test_any_bytes_are_answered_as_inside_or_left_alone(step: Doorstep, raw: bytes) -> None:
    visit(step, raw)
    visit(step, raw)


@needs_c
async def test_a_request_that_is_not_there_as_a_whole_is_left_alone_wherever_it_is_cut(step: Doorstep) -> None:
    raw = request_of(LIST, "10.1.0.1", LAST)
    step.learn(raw)
    assert visit(step, raw)
    assert not any(visit(step, raw[:cut]) for cut in range(0, len(raw), 9))
    assert not visit(step, raw + b"G")
    assert not visit(step, raw + raw)
    assert not visit(step, raw[:-2] + b"X: " + b"y" * 5000 + b"\r\n\r\n")


@needs_c
async def test_who_half_closes_is_answered_and_who_resets_or_leaves_harms_nobody(step: Doorstep) -> None:
    raw = request_of(LINK, "10.1.0.1", LAST)
    step.learn(raw)
    halves, leaving, resetting = ([step.connect() for _ in range(5)] for _ in range(3))
    for client in (*halves, *leaving, *resetting):
        client.sendall(raw)
    for client in halves:
        client.shutdown(socket.SHUT_WR)
    for client in leaving:
        client.close()
    for client in resetting:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    while (descriptor := step.let_in()) is not None:
        os.close(descriptor)
    expected = step.ask_inside(raw)
    for client in halves:
        assert everything(client) == expected
        client.close()
    assert step.kept == []


@needs_c
async def test_what_comes_behind_a_last_request_makes_no_reset_of_it(step: Doorstep) -> None:
    raw = request_of(LINK, "10.1.0.1", LAST)
    step.learn(raw)
    accept = step.at_door.lane.accept
    assert accept is not None
    with step.connect() as client:
        client.sendall(raw)
        assert accept(step.listener.fileno(), 64, NOW) is None  # type: ignore[call-arg]
        client.sendall(raw * 30)  # while the answer is held
        step.at_door.service.outbox.send()
        assert everything(client) == step.ask_inside(raw)


@needs_c
async def test_as_many_are_answered_as_are_asked_for_and_whoever_stays_comes_alone(step: Doorstep) -> None:
    raw = request_of(LIST, "10.1.0.1", LAST)
    step.learn(raw)
    clients = [step.connect() for _ in range(6)]
    for client, sent in zip(clients, (raw, raw, raw, b"GET", b"GET", raw), strict=True):
        client.sendall(sent)
    left = [step.let_in(most) for most in (-1, 0, 2, 2, 2, 2, 2)]
    assert [descriptor is not None for descriptor in left] == [False, False, False, True, True, False, False]
    for descriptor in filter(None, left):
        os.close(descriptor)
    for number in (0, 1, 2, 5):
        assert everything(clients[number]) == step.ask_inside(raw)
    for client in clients:
        client.close()


@needs_c
async def test_what_the_socket_does_not_take_is_kept_for_others_to_send(step: Doorstep) -> None:
    step.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    raw = request_of(LINK, "10.1.0.1", LAST)
    step.learn(raw)
    with step.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(raw)
        assert step.let_in() is None
        expected = step.ask_inside(raw)
        if not step.kept:  # the kernel took it all the same
            assert everything(client) == expected
            return
        ((descriptor, unsent),) = step.kept
        with socket.socket(fileno=descriptor) as taken:
            taken.settimeout(20)
            sent = await asyncio.gather(
                asyncio.to_thread(taken.sendall, unsent), asyncio.to_thread(client.recv, 1 << 20)
            )
            taken.shutdown(socket.SHUT_WR)
            assert sent[1] + everything(client) == expected


@needs_c
async def test_a_lane_that_ends_closes_whom_it_has_not_answered(step: Doorstep) -> None:
    raw = request_of(LIST, "10.1.0.1", LAST)
    step.learn(raw)
    before = len(os.listdir("/proc/self/fd"))
    with step.connect() as client:
        client.sendall(raw)
        accept = step.at_door.lane.accept
        assert accept is not None
        assert accept(step.listener.fileno(), 64, NOW) is None  # type: ignore[call-arg]
        assert len(os.listdir("/proc/self/fd")) == before + 2
        step.at_door.service.outbox.send()
        everything(client)
    assert len(os.listdir("/proc/self/fd")) == before


PROXIES = ("127.1.0.0/16", "127.2.3.0/25", "127.3.3.3/32", "::ffff:127.4.0.0/110", "::/0")
SOURCES = ("127.0.0.1", "127.1.2.3", "127.2.3.127", "127.2.3.128", "127.3.3.3", "127.3.3.2", "127.4.0.1", "127.8.0.1")


@needs_c
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("forwarded", [None, "10.1.0.1"], ids=["for itself", "for another"])
async def test_peers_are_believed_as_inside(
    monkeypatch: pytest.MonkeyPatch, source: str, forwarded: str | None
) -> None:
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    listener = socket.create_server(("127.0.0.1", 0))
    step = Doorstep(listener, source, trusted_proxies=tuple(map(ip_network, PROXIES)))
    raw = request_of(LIST, forwarded, LAST)
    elsewhere = Way(rig(*LISTED), True)  # where the peer is believed, to learn what the request looks like
    assert elsewhere.ask(raw)[0]
    plain = step.at_door.lane._plain
    assert plain is not None
    plain.learn(raw, True)
    assert visit(step, raw, source) == (forwarded is None or step.inside.connection.trusts)
    elsewhere.close()
    step.close()


@contextmanager
def descriptors_end() -> Iterator[None]:
    """No more can be had."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@needs_c
async def test_without_descriptors_nobody_is_let_in_and_nobody_is_lost(step: Doorstep) -> None:
    with step.connect() as client:
        client.sendall(b"GET")
        with descriptors_end(), pytest.raises(OSError) as caught:
            step.let_in()
        assert caught.value.errno == errno.EMFILE
        descriptor = step.let_in()
        assert descriptor is not None
        os.close(descriptor)


@needs_c
async def test_no_door_opens_for_what_is_none(step: Doorstep) -> None:
    accept = step.at_door.lane.accept
    assert accept is not None
    for asked in ((), (1,), (None, 1), (2**70, 1), (1, 2**70), (1, 1, -1), (1, 1, 2**63), (1, 1, None), (1, 1, 1, 1)):
        with pytest.raises((TypeError, OverflowError, ValueError)):
            accept(*asked)
    for descriptor in (-1, 9999):
        with pytest.raises(OSError):
            accept(descriptor, 1)


@needs_c
@pytest.mark.parametrize(
    "packed", [b"\x04\x21" + bytes(16), b"\x05\x01" + bytes(16), b"\x04\x08" + bytes(15)], ids=["long", "odd", "half"]
)
async def test_networks_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, packed: bytes) -> None:
    monkeypatch.setattr(plain, "_pack_network", lambda _: packed)
    way = Way(rig(*LISTED), False, trusted_proxies=(ip_network("::1"),))
    way.service.tables = make_tables(way.service.config, way.service.responder)
    with pytest.raises(ValueError):
        Lane(way.service)
    way.close()


# -- A server ----------------------------------------------------------------------------------------------------------


def test_the_kernel_shows_connections_with_their_first_packet_until_told_otherwise() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as local:
        assert not show_at_once(listener)
        defer(listener)
        defer(local)
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as silent:
            with pytest.raises(BlockingIOError):
                listener.accept()
            silent.sendall(b"G")
            listener.setblocking(True)
            listener.accept()[0].close()
        assert show_at_once(listener)
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()
        assert not show_at_once(local)


async def test_a_server_loses_nobody_who_asks_once_at_reloads_and_at_its_end(source: Path) -> None:
    with serving(source, "--workers", "2") as server:
        crowd = Crowd(server.address, 0, 16)
        await crowd.reach(200)
        for _ in range(2):
            assert (await asyncio.to_thread(server.reload)).status == 200
            await crowd.reach(100)
        server.process.terminate()
        assert await asyncio.to_thread(server.wait) == 0
        tally = await crowd.stop()
    assert [failure for failure in tally.failures if "ConnectionRefusedError" not in failure] == []


def test_a_server_counts_and_logs_every_answer_once(source: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(source, "--access-log", str(log)) as server:
        answers = {server.ask(TARGET, Connection="close").body for _ in range(30)}
        answers |= {server.ask(TARGET).body for _ in range(5)}
        assert server.requests() == 35
        assert len({len(answer) for answer in answers}) == 1
        assert server.metrics()["redirector_open_connections"] == 0
        server.process.terminate()
        assert server.wait() == 0
    assert len(log.read_text().splitlines()) == 35


def test_a_server_without_descriptors_lets_others_wait(source: Path) -> None:
    with serving(source) as server:
        (worker,) = server.workers(1)
        assert server.ask(METALINK).status == 200
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, before[1]))
        with socket.create_connection(server.address, timeout=20) as client:
            client.sendall(b"GET /nothing HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            server.wait_for("nobody can connect for a moment: .*Too many open files")
            resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
            assert everything(client).startswith(b"HTTP/1.1 404")

"""The plain request in C says, counts and logs what the lane in Python does, for any bytes; nothing unsafe is read."""

from __future__ import annotations

import asyncio
import os
import socket
from array import array
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from types import ModuleType
from typing import Any

import pytest
import uvloop
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redirector.answer.packed import Packer
from redirector.built import refuse_stale_build
from redirector.errors import StaleBuildError
from redirector.locate.addresses import parse_address
from redirector.locate.geoip import Location
from redirector.model import Choice, Place
from redirector.server.between.access_log import AccessLog, render_mirrormanager
from redirector.server.between.channel import make_pair
from redirector.server.between.counters import CounterMemory, Counters, Layout, make_counter_file
from redirector.server.worker import plain
from redirector.server.worker.app import Service
from redirector.server.worker.lane import Lane, LaneConnection
from redirector.server.worker.plain import make_tables
from redirector.settings.serving import Config
from tests.answer.trees import tree_of
from tests.patience import PATIENCE_S
from tests.rig import NOW, Mirror, Rig, catalog_of, mirror, rig, rig_of
from tests.server.test_connection import Wire

IS_BUILT = make_tables(Config("made-up"), rig(mirror("a.example", "DE")).responder) is not None

needs_c = pytest.mark.skipif(not IS_BUILT and not os.environ.get("CI"), reason="there was no compiler")
pytestmark = needs_c

LONDON, PARIS, TOKYO = Place(51.5, -0.1), Place(48.85, 2.35), Place(35.7, 139.7)
PLACED = {
    "10.1.0.0/16": Location("GB", LONDON.latitude, LONDON.longitude),
    "10.2.0.0/16": Location("FR", PARIS.latitude, PARIS.longitude),
    "10.3.0.0/16": Location("JP"),
    "2001:db8:1::/48": Location("GB", LONDON.latitude, LONDON.longitude),
    "2001:db8:1:1:8000::/65": Location("JP"),
}
NETWORKS = {"10.1.64.0/18": 64496, "10.9.0.0/16": 64497}


def crowd(count: int, country: str, **facts: object) -> tuple[Mirror, ...]:
    return tuple(
        mirror(f"{country.lower()}{n}.example", country, bandwidth_mbit=1 + 37 * n % 1000, **facts)
        for n in range(count)
    )


LISTED = (
    *crowd(30, "DE"),
    *crowd(4, "FR", ipv6=False),
    *crowd(120, "US"),
    mirror("rsync.example", "DE", "rsync://rsync.example/pub"),
    mirror("both.example", "DE", "rsync://both.example/pub", "ftp://both.example/pub", "http://both.example/pub"),
    mirror("private.example", "DE", private=True, netblocks=("10.1.2.0/24",)),
    mirror("near.example", "DE", netblocks=("10.1.3.0/24", "2001:db8:1:2::/64")),
    mirror("as.example", "FR", asns=(64496,)),
    mirror("as2.example", "US", asns=(64496, 64497)),
    mirror("alone.example", "JP", asns=(64499,), netblocks=("10.4.4.0/24",)),
    mirror("down.example", "DE", netblocks=("10.1.5.0/24",), up=False),
)
TREE = (
    *(mirror(f"gb{n}.example", "GB", place=LONDON, bandwidth_mbit=100 + n) for n in range(9)),
    *(mirror(f"fr{n}.example", "FR", place=PARIS, bandwidth_mbit=1000) for n in range(5)),
    mirror("jp.example", "JP", place=TOKYO),
    mirror("placeless.example", "GB"),
    mirror("as.example", "FR", asns=(64496,), place=PARIS),
)
NETWORKED = (
    *crowd(14, "GB"),
    *crowd(9, "FR", ipv6=False),
    *crowd(30, "JP"),
    *crowd(3, "DE"),
    mirror("block.example", "GB", netblocks=("10.1.2.0/24", "10.1.4.0/23", "2001:db8:1:2::/64")),
    mirror("inside.example", "FR", netblocks=("10.1.2.0/25", "10.2.3.0/24"), asns=(64496,)),
    mirror("as.example", "GB", asns=(64496, 64497), bandwidth_mbit=900),
    mirror("as2.example", "GB", asns=(64496,), bandwidth_mbit=1),
    mirror("as3.example", "JP", asns=(64497,)),
    mirror("private.example", "DE", private=True, netblocks=("10.1.3.0/24",)),
    mirror("heavy.example", "FR", netblocks=("10.2.9.0/24",), bandwidth_mbit=90_000),
    mirror("down.example", "GB", netblocks=("10.2.5.0/24", "10.1.4.0/24"), up=False),
)
"""All that clients on hosts' own networks may meet, and host sets that are regular."""
ORIGIN = mirror("origin.example", None, origin=True)

RIGS: Mapping[str, Callable[[], Rig]] = {
    "tiers": lambda: rig(*LISTED),
    "compatible": lambda: rig(*LISTED, compatibility="mirrormanager"),
    "networks": lambda: rig_of(catalog_of(NETWORKED), geo=PLACED, asns=NETWORKS),
    "networks, compatible": lambda: rig_of(
        catalog_of(NETWORKED), geo=PLACED, asns=NETWORKS, compatibility="mirrormanager"
    ),
    "few": lambda: rig(mirror("a.example", "DE"), mirror("b.example", "JP", netblocks=("10.1.3.0/24",))),
    "distance": lambda: rig_of(tree_of(*TREE, ORIGIN, list_length=7), geo=PLACED, asns=NETWORKS),
    "nearness": lambda: rig_of(
        tree_of(*TREE, ORIGIN, list_length=4, choice=Choice.NEARNESS), geo=PLACED, asns=NETWORKS
    ),
    "nearness, long": lambda: rig_of(tree_of(*TREE, choice=Choice.NEARNESS, list_length=99), geo=PLACED),
}


@pytest.fixture(scope="module", params=RIGS)
def served(request: pytest.FixtureRequest) -> Rig:
    return RIGS[request.param]()


class Way:
    """A lane with counters, a log and a wire of its own."""

    def __init__(self, served: Rig, in_c: bool, masked: bool = False, peer: str = "127.0.0.1", **options: Any) -> None:
        responder = served.responder
        layout = Layout((host.name for host in responder.snapshot.hosts), responder.snapshot.countries)
        descriptor = make_counter_file(layout, 1)
        self.counters = Counters(layout, CounterMemory(layout, 1, descriptor).cells(0))
        os.close(descriptor)
        sink, self.source = make_pair(socket.SOCK_DGRAM)
        self.source.setblocking(False)
        self.sink = sink
        self.log = AccessLog(render_mirrormanager, sink, self.counters.lost, masked)
        config = Config("made-up", access_log="-", **options)
        tables = make_tables(config, responder) if in_c else None
        self.service = Service(config, responder, self.counters, self.log, tables)
        self.log.moment.refresh(NOW)
        self.lane = Lane(self.service)
        self.wire = Wire()
        self.connection = LaneConnection(web.Server(self.service.handle), self.service, self.lane)
        self.wire._extra["peername"] = (peer, 1)  # type: ignore[attr-defined]
        self.connection.connection_made(self.wire)

    def ask(self, data: bytes) -> tuple[bool, bool, bytes]:
        """Whether it was answered, and in C; and what was written."""
        connection, before = self.connection, len(self.wire.written)
        asked = (data, self.wire, -1, connection.address, connection.trusts)
        in_c = self.lane.answer_plainly(*asked, NOW)
        answered = in_c or self.lane.answer(connection, data)
        self.service.outbox.send()
        return answered, in_c, self.wire.written[before:]

    def counted(self) -> list[int]:
        """All cells but how long something took."""
        layout = self.counters.layout
        return [
            value
            for series, value in zip(layout.series, self.counters.cells.tolist(), strict=True)
            if series[0] not in ("buckets", "nanoseconds", "beat")
        ]

    def logged(self) -> list[str]:
        """Lines of the log, sorted."""
        self.log.flush()
        lines = []
        while True:
            try:
                lines += self.source.recv(200_000).decode().splitlines()
            except BlockingIOError:
                return sorted(lines)

    def close(self) -> None:
        self.connection.connection_lost(None)
        self.sink.close()
        self.source.close()


@pytest.fixture
async def ways(served: Rig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Way, Way]]:
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    both = Way(served, False), Way(served, True)
    yield both
    for way in both:
        way.close()


def request_of(target: bytes, address: str | None, *headers: str) -> bytes:
    lines = ["Host: test", *([] if address is None else [f"X-Forwarded-For: {address}"]), *headers, "", ""]
    return b"GET " + target + b" HTTP/1.1\r\n" + "\r\n".join(lines).encode("latin-1")


ADDRESSES = (
    *(f"10.{net}.{part}.{host}" for net in (1, 2, 3, 4, 9, 200) for part in (0, 2, 3, 4, 5, 65) for host in (1, 77)),
    *("2001:db8:1::1", "2001:db8:1:2::5", "2001:db8:1:1:8000::1", "2001:db8:1:1::1", "::ffff:10.1.3.1", "::1"),
    *("127.0.0.1", "fe80::1", "::", "255.255.255.255", "0.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
)


async def test_both_answer_count_and_log_alike(served: Rig, ways: tuple[Way, Way]) -> None:
    slow, fast = ways
    chance = Random(1)
    targets = list(served.responder.frames)
    in_c = 0
    for _ in range(1_500):
        headers = chance.choice(((), ("Accept: */*",), ("Connection: close",)))
        raw = request_of(chance.choice(targets), chance.choice((*ADDRESSES, None)), *headers)
        one, other = slow.ask(raw), fast.ask(raw)
        assert (one[0], one[2]) == (other[0], other[2]), raw
        in_c += other[1]
    assert in_c > 1_000
    assert slow.counted() == fast.counted()
    assert slow.logged() == fast.logged() != []


async def test_masked_addresses_are_masked_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    served = rig(*LISTED)
    slow, fast = Way(served, False, masked=True), Way(served, True, masked=True)
    for address in ADDRESSES * 2:
        raw = request_of(b"/mirrorlist?repo=fedora-40&arch=x86_64", address)
        assert slow.ask(raw)[2] == fast.ask(raw)[2]
    lines = fast.logged()
    assert lines == slow.logged()
    assert any(line.startswith("IP: 10.1.3.0;") for line in lines)
    slow.close()
    fast.close()


PIECES = st.sampled_from(
    [
        *(
            b"GET /",
            b"mirrorlist?repo=fedora-40&arch=x86_64",
            b"GET /mirrorlist?repo=fedora-40&arch=x86_64 HTTP/1.1\r\n",
        ),
        *(
            b"GET /mirrorlist/9/baseos HTTP/1.1\r\n",
            b" HTTP/1.1\r\n",
            b"\r\n",
            b"Host: test\r\n",
            b"\r\n\r\n",
            b"\0",
            b" ",
        ),
        *(
            b"X-Forwarded-For: ",
            b"x-forwarded-for: 10.1.0.1\r\n",
            b"X-Forwarded-For: 10.1.3.4\r\n",
            b"10.1.0.1",
            b"::1",
        ),
        *(b"\r\nX-Forwarded-For: 10.1.0.1", b"X-Forwarded-For: 2001:db8:1::7\r\n", b"Connection: close\r\n", b"\xff"),
        *(
            b"10.1.0.256\r\n",
            b"010.1.0.1\r\n",
            b"1.2\r\n",
            b"10.1.0.1 \r\n",
            b"::ffff:1.2.3.4\r\n",
            b"1" * 60 + b"\r\n",
        ),
    ]
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.lists(PIECES, max_size=8).map(b"".join), st.binary(max_size=80)))
async def test_any_bytes_are_answered_alike(ways: tuple[Way, Way], raw: bytes) -> None:
    slow, fast = ways
    for _ in range(2):
        one, other = slow.ask(raw), fast.ask(raw)
        assert (one[0], one[2]) == (other[0], other[2])


async def test_a_worker_learns_within_its_limit_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    monkeypatch.setattr("redirector.answer.packed.MAX_PACKED", 0)
    served = rig(*LISTED, pool_bytes=24_000)
    slow, fast = Way(served, False), Way(served, True)
    chance = Random(2)
    in_c = 0
    for _ in range(400):
        raw = request_of(chance.choice(list(served.responder.frames)), chance.choice(ADDRESSES))
        one, other = slow.ask(raw), fast.ask(raw)
        assert one[2] == other[2]
        in_c += other[1]
    assert 50 < in_c < 390
    slow.close()
    fast.close()


async def test_only_the_first_of_a_kind_goes_the_longer_way() -> None:
    way = Way(rig(*LISTED), True)
    raw = request_of(b"/metalink?repo=fedora-40&arch=x86_64", "10.1.0.1", "User-Agent: x")
    assert [way.ask(raw)[:2] for _ in range(3)] == [(True, False), (True, True), (True, True)]
    unlike = request_of(b"/metalink?repo=fedora-40&arch=x86_64", "10.1.0.1", "User-Agent: y")
    assert way.ask(unlike)[:2] == (True, False)
    way.close()


async def test_clients_on_hosts_own_networks_are_answered_in_c_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but those who get the rest of the world too, or whose hosts are too heavy for others to stay as they are."""
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    served = RIGS["networks"]()
    slow, fast = Way(served, False), Way(served, True)
    places = {address: served.responder.snapshot.audiences.find(parse_address(address)) for address in ADDRESSES}
    own = [address for address, place in places.items() if not served.responder.orders.is_kept(place)]
    in_c: list[bool] = []
    for _ in range(2):
        in_c.clear()
        for address in own:
            for target in served.responder.frames:
                raw = request_of(target, address)
                one, other = slow.ask(raw), fast.ask(raw)
                assert one[2] == other[2]
                in_c.append(other[1])
    assert len(in_c) > 100
    assert sum(in_c) > len(in_c) / 3
    assert slow.counted() == fast.counted()
    assert slow.logged() == fast.logged() != []
    slow.close()
    fast.close()


@pytest.mark.parametrize("name", ["distance", "nearness"])
async def test_in_trees_they_are_answered_in_c_from_their_second_request_on(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("redirector.server.worker.lane.clock", lambda: float(NOW))
    served = RIGS[name]()
    slow, fast = Way(served, False), Way(served, True)
    find, orders = served.responder.snapshot.audiences.find, served.responder.orders
    own = [address for address in ADDRESSES if not orders.is_kept(find(parse_address(address)))]
    assert own
    for raw in [request_of(target, address) for address in own for target in served.responder.frames]:
        asked = [(slow.ask(raw), fast.ask(raw)) for _ in range(3)]
        assert all(one[2] == other[2] for one, other in asked)
        assert [other[1] for _, other in asked][1:] == [True, True]
    assert slow.counted() == fast.counted()
    slow.close()
    fast.close()


async def test_fronts_that_are_none_are_not_learned() -> None:
    served = RIGS["networks"]()
    way = Way(served, True)
    lane, tables = way.lane._plain, way.service.tables
    assert lane is not None and tables is not None
    packer, orders = tables.packer, served.responder.orders
    (host_set, form), *_ = packer._sheets
    learned = 0
    for audience, (_, hosts) in packer._own.items():
        front = orders.front(host_set, form, audience, 0)
        shown = packer.shown_own(audience, host_set, form)
        assert lane.learn_lineup(*packer.pack_front(front, shown, audience, 0), 100_000)
        for wrong in (packer.pack_front(front, 0, audience, 0), packer.pack_front(front, shown, 0, 0)):
            if front.hosts:
                with pytest.raises(ValueError):
                    lane.learn_lineup(*wrong, 100_000)
                learned += 1
        with pytest.raises(ValueError):
            lane.learn_lineup(*packer.pack_front(front, shown, 60_000, 0), 100_000)
        assert len(hosts) <= 16
    assert learned > 5
    way.close()


async def test_many_shapes_push_each_other_out() -> None:
    way = Way(rig(*LISTED), True)
    raws = [request_of(b"/mirrorlist?repo=fedora-40&arch=x86_64", "10.1.0.1", f"User-Agent: {n}") for n in range(1_500)]
    for raw in raws:
        assert way.ask(raw)[:2] == (True, False)
    assert way.ask(raws[-1])[:2] == (True, True)
    assert way.ask(raws[0])[:2] == (True, False)
    way.close()


# -- What is not safe is refused ---------------------------------------------------------------------------------------


def columns_of(served: Rig) -> tuple[list[bytearray], int, int]:
    packed = Packer(served.responder).pack()
    return [bytearray(column) for column in packed.columns], packed.hosts, packed.audiences


async def test_spoiled_columns_are_refused_or_harmless(served: Rig) -> None:
    """Whatever is spoiled: tables are refused, or answer something without a step outside of them."""
    columns, hosts, audiences = columns_of(served)
    way = Way(served, True)
    tables = way.service.tables
    assert tables is not None
    chance = Random(3)
    targets = list(served.responder.frames)
    refused = asked = 0
    for _ in range(200):
        spoiled = [bytearray(column) for column in columns]
        column = chance.choice([each for each in spoiled if each])
        for _ in range(chance.choice((1, 1, 3))):
            column[chance.randrange(len(column))] = chance.choice((0, 1, 127, 255, chance.randrange(256)))
        if chance.random() < 0.2:
            del column[chance.randrange(len(column)) :]
        try:
            compiled = plain._module.Tables(tuple(spoiled), hosts, audiences)
            way.service.tables = replace(tables, compiled=compiled)
            lane = Lane(way.service)._plain
        except ValueError:
            refused += 1
            continue
        assert lane is not None
        lane.learn(request_of(targets[0], "10.1.0.1"), False)
        for address in chance.sample(ADDRESSES, 12):
            asked += lane.answer(request_of(chance.choice(targets), address), way.wire, -1, None, True, NOW)
        way.service.outbox.send()
    assert refused > 20
    assert asked > 100
    way.close()


@pytest.mark.parametrize(("hosts", "audiences"), [(0, 5), (-1, 5), (7, 0), (40_000, 5), (1, 1)])
def test_sizes_that_do_not_fit_are_refused(hosts: int, audiences: int) -> None:
    columns, _, _ = columns_of(rig(*LISTED))
    with pytest.raises(ValueError):
        plain._module.Tables(tuple(columns), hosts, audiences)


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("GET /", None, -1, None, True),
        (b"GET /", None, -1, None),
        (b"GET /", None, None, None, True),
        (b"GET /", None, 2**70, None, True),
        (b"GET /", None, -1, None, True, -5),
        (b"GET /", None, -1, None, True, 2**70),
        (b"GET /", None, -1, None, True, None),
    ],
)
async def test_no_answer_to_what_is_not_asked(asked: Sequence[object]) -> None:
    way = Way(rig(*LISTED), True)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        way.lane.answer_plainly(*asked)  # type: ignore[arg-type]
    way.close()


async def test_records_that_are_none_are_not_learned() -> None:
    way = Way(rig(*LISTED), True)
    lane = way.lane._plain
    assert lane is not None
    for record in (b"", bytes(8), bytes(32), b"\xff" * 64, bytes(31)):
        with pytest.raises(ValueError):
            lane.learn_lineup(record, b"", b"", 10_000)
    with pytest.raises(ValueError):
        lane.learn_lineup(bytes(32), array("H", [60_000] * 1024).tobytes(), b"", 10_000)
    way.close()


def test_a_stale_build_is_named() -> None:
    stale = ModuleType("stale")
    stale.__file__ = "/somewhere/_fast.so"
    with pytest.raises(StaleBuildError, match=r"/somewhere/_fast\.so was compiled .* make install"):
        refuse_stale_build(stale, 1)
    stale.INTERFACE = 2  # type: ignore[attr-defined]
    with pytest.raises(StaleBuildError):
        refuse_stale_build(stale, 1)
    refuse_stale_build(stale, 2)


# -- Sending -----------------------------------------------------------------------------------------------------------


class Quiet(asyncio.Protocol):
    """Knows its transport."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


def test_what_the_socket_does_not_take_follows_in_order() -> None:
    """Straight to the socket while that takes it, and by the transport from then on: no byte is lost or overtaken."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        for end in (ours, theirs):
            end.setblocking(False)
        transport, _ = await loop.create_connection(Quiet, sock=ours)
        way = Way(rig(*LISTED), True)
        lane = way.lane._plain
        assert lane is not None
        raw = request_of(b"/metalink?repo=fedora-40&arch=x86_64", "10.1.0.1")
        way.ask(raw)
        expected = b""
        for n in range(60):
            descriptor = transport.get_extra_info("socket").fileno() if n % 3 else -1
            assert lane.answer(raw, transport, descriptor, None, True, NOW)
            way.service.outbox.send()
            expected += way.ask(raw)[2]
        received = b""
        while len(received) < len(expected):
            received += await asyncio.wait_for(loop.sock_recv(theirs, 65_536), PATIENCE_S)
        assert received == expected
        assert lane.answer(raw, transport, transport.get_extra_info("socket").fileno(), None, True, NOW)
        transport.abort()
        way.service.outbox.send()
        assert await asyncio.wait_for(loop.sock_recv(theirs, 10), PATIENCE_S) == b""
        way.close()
        theirs.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())

"""The lane and the general way give the same bytes, whatever the request and however it is cut into packets."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from functools import cache

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redirector.answer.serve import Responder
from redirector.server.between.counters import CounterMemory, Counters, Layout, make_counter_file
from redirector.server.worker.app import Service
from redirector.server.worker.connection import Connection
from redirector.server.worker.lane import Lane, LaneConnection
from redirector.server.worker.plain import make_tables
from redirector.settings.serving import Config
from tests.rig import mirror, rig
from tests.server.test_connection import Wire

LIST = "/mirrorlist?repo=fedora-40&arch=x86_64"
METALINK = "/metalink?repo=fedora-40&arch=x86_64"

MIRRORS = (
    mirror("a.example", "DE", bandwidth_mbit=100),
    mirror("b.example", "DE", "rsync://b.example/pub", "http://b.example/pub", bandwidth_mbit=300),
    mirror("c.example", "FR"),
    mirror("d.example", "US"),
    mirror("p.example", "DE", private=True, netblocks=("10.1.2.0/24",)),
    mirror("n.example", "DE", netblocks=("10.1.3.0/24",)),
    mirror("s.example", "FR", asns=(64496,)),
)

_TURNS = 200
"""More turns of the loop than any answer takes."""


@pytest.fixture(autouse=True)
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways draw the same bits where an order hangs on chance."""
    monkeypatch.setattr("redirector.server.worker.lane.getrandbits", lambda bits: 12345)
    monkeypatch.setattr("random.getrandbits", lambda bits: 12345)


@cache
def responder_of(compatibility: str | None) -> Responder:
    return rig(*MIRRORS, compatibility=compatibility, window_s=3600).responder


@pytest.fixture(params=[None, "mirrormanager"], ids=["ours", "compatible"])
async def service(request: pytest.FixtureRequest) -> Service:
    responder = responder_of(request.param)
    layout = Layout((host.name for host in responder.snapshot.hosts), responder.snapshot.countries)
    descriptor = make_counter_file(layout, 1)
    counters = Counters(layout, CounterMemory(layout, 1, descriptor).cells(0))
    os.close(descriptor)
    config = replace(Config("made-up"), workers=1)
    return Service(config, responder, counters, None, make_tables(config, responder))


async def exchange(
    service: Service, lane: Lane | bool, packets: list[bytes], peer: str = "127.0.0.1"
) -> tuple[bytes, bool]:
    """What is written in answer to *packets*, without the time of day; and whether the connection was closed.

    lane  the one that is taken; True: a new one, which has not met any shape; False: none
    """
    server = web.Server(service.handle)
    taken = Lane(service) if lane is True else lane
    connection = LaneConnection(server, service, taken) if taken else Connection(server, service)
    wire = Wire()
    wire._extra["peername"] = (peer, 1)  # type: ignore[attr-defined]
    connection.connection_made(wire)
    for packet in packets:
        connection.data_received(packet)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    await server.shutdown(0)
    written = re.sub(rb"Date: [^\r]+", b"Date:", wire.written)
    return re.sub(rb'pubdate="[^"]+"', b"pubdate", written), wire.closed


async def assert_same(service: Service, packets: list[bytes], peer: str = "127.0.0.1") -> bytes:
    """All ways give the same: the general one, the lane in Python, and the one in C, which knows what it met before."""
    general = await exchange(service, False, packets, peer)
    tables, service.tables = service.tables, None
    assert await exchange(service, True, packets, peer) == general
    service.tables = tables
    lane = Lane(service)
    for _ in range(2):
        assert await exchange(service, lane, packets, peer) == general
    return general[0]


def request_of(target: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: test", *headers, "", ""]).encode("latin-1")


REQUESTS = {
    "list": request_of(LIST, "X-Forwarded-For: 10.1.0.1"),
    "metalink": request_of(METALINK, "X-Forwarded-For: 10.2.0.1"),
    "other order": request_of("/mirrorlist?arch=x86_64&repo=fedora-40", "X-Forwarded-For: 10.1.0.1"),
    "unknown parameter": request_of(LIST + "&countme=1", "X-Forwarded-For: 10.1.0.1"),
    "redirect": request_of(LIST + "&redirect", "X-Forwarded-For: 10.1.0.1"),
    "wish": request_of(LIST + "&country=fr&protocol=ftp", "X-Forwarded-For: 10.1.0.1"),
    "private": request_of(METALINK, "X-Forwarded-For: 10.1.2.1"),
    "netblock of a public host": request_of(METALINK, "X-Forwarded-For: 10.1.3.1"),
    "AS": request_of(LIST, "X-Forwarded-For: 10.1.64.1"),
    "IPv6": request_of(LIST, "X-Forwarded-For: 2001:db8:1::1"),
    "mapped": request_of(LIST, "X-Forwarded-For: ::ffff:10.1.0.1"),
    "low header": request_of(LIST, "x-forwarded-for: 10.1.0.1"),
    "odd header": request_of(LIST, "X-FORWARDED-FOR: 10.1.0.1"),
    "two proxies": request_of(LIST, "X-Forwarded-For: 10.1.0.1, 127.0.0.9"),
    "two lines": request_of(LIST, "X-Forwarded-For: 10.1.0.1", "X-Forwarded-For: 127.0.0.9"),
    "empty header": request_of(LIST, "X-Forwarded-For: "),
    "ip=": request_of(LIST + "&ip=10.1.2.1", "X-Forwarded-For: 10.1.0.1"),
    "unreadable ip=": request_of(LIST + "&ip=x", "X-Forwarded-For: 10.1.0.1"),
    "missing": request_of("/mirrorlist?repo=x&arch=y", "X-Forwarded-For: 10.1.0.1"),
    "unknown page": request_of("/x", "X-Forwarded-For: 10.1.0.1"),
    "escape": request_of("/mirrorlist?repo=fedora%2D40&arch=x86_64", "X-Forwarded-For: 10.1.0.1"),
    "broken escape": request_of("/mirrorlist?repo=%zz&arch=x86_64", "X-Forwarded-For: 10.1.0.1"),
    "not UTF-8": request_of("/mirrorlist?repo=%ff&arch=x86_64", "X-Forwarded-For: 10.1.0.1"),
    "fragment": request_of(LIST + "#x", "X-Forwarded-For: 10.1.0.1"),
    "close": request_of(LIST, "X-Forwarded-For: 10.1.0.1", "Connection: close"),
    "close of an error": request_of("/x", "X-Forwarded-For: 10.1.0.1", "Connection: close"),
    "keep-alive": request_of(LIST, "X-Forwarded-For: 10.1.0.1", "Connection: keep-alive"),
    "HTTP/1.0": request_of(LIST, "X-Forwarded-For: 10.1.0.1", version="1.0"),
    "HEAD": request_of(LIST, "X-Forwarded-For: 10.1.0.1", method="HEAD"),
    "POST": request_of(LIST, "X-Forwarded-For: 10.1.0.1", "Content-Length: 0", method="POST"),
    "length": request_of(LIST, "X-Forwarded-For: 10.1.0.1", "Content-Length: 0"),
    "no host": b"GET /mirrorlist?repo=fedora-40&arch=x86_64 HTTP/1.1\r\nX-Forwarded-For: 10.1.0.1\r\n\r\n",
    "folded": request_of(LIST, "X-Forwarded-For: 10.1.0.1", "A: b\r\n c"),
    "no HTTP": b"GET /mirrorlist?repo=fedora-40&arch=x86_64\r\n\r\n",
    "two requests": request_of(LIST, "X-Forwarded-For: 10.1.0.1") + request_of(METALINK, "X-Forwarded-For: 10.2.0.1"),
    "keep-alive of HTTP/1.0, then 1.1": request_of(LIST, "Connection: keep-alive", version="1.0")
    + request_of(METALINK),
    "behind a close": request_of(LIST, "Connection: close") + request_of(METALINK),
    "rubbish behind a close": request_of(LIST, "Connection: close") + b"\x00\x01 rubbish\r\n\r\n",
    "rubbish behind a request": request_of(LIST) + b"\x00\x01 rubbish\r\n\r\n",
    "offered upgrade": request_of(LIST, "Connection: Upgrade", "Upgrade: h2c") + request_of(METALINK),
    "offered web socket": request_of(LIST, "Connection: Upgrade", "Upgrade: websocket") + request_of(METALINK),
    "HTTP/2.0": request_of(LIST, version="2.0"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": request_of(LIST, version="1.2"),
    "HTTP/0.9": request_of(LIST, version="0.9"),
    "space in the target": request_of(LIST + " x"),
    "tab in the target": request_of(LIST + "\tx"),
    "line end in the target": request_of(LIST + "\nX: a"),
    "request line within a header": b"GET /x HTTP/1.0\r\nX: /y HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in the address": request_of(LIST, "X-Forwarded-For: 10.1.0.1\0"),
    "CR in the address": request_of(LIST, "X-Forwarded-For: 10.1.0.1\rX: y"),
    "LF in the address": request_of(LIST, "X-Forwarded-For: 10.1.0.1\nX: y"),
    "long address": request_of(LIST, "X-Forwarded-For: " + "10.1.0.1, " * 900),
    "address at the limit": request_of(LIST, "X-Forwarded-For: " + " " * 8100 + "10.1.0.1"),
    "8-bit address": request_of(LIST, "X-Forwarded-For: \xe4"),
    "two at once, one odd": request_of(LIST, "X-Forwarded-For: 10.1.0.1")
    + request_of("/x", "X-Forwarded-For: 10.2.0.1"),
}


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
async def test_both_ways_give_the_same_bytes(service: Service, raw: bytes) -> None:
    assert (await assert_same(service, [raw])).startswith(b"HTTP/")


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
async def test_both_ways_give_the_same_bytes_to_a_stranger(service: Service, raw: bytes) -> None:
    await assert_same(service, [raw], peer="10.1.2.9")


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
async def test_an_answer_that_is_held_comes_before_all_that_follows(service: Service, raw: bytes) -> None:
    await assert_same(service, [REQUESTS["list"], raw, REQUESTS["metalink"]])


@pytest.mark.parametrize("name", ["list", "two requests", "close"])
async def test_a_request_may_be_cut_at_every_byte(service: Service, name: str) -> None:
    raw = REQUESTS[name]
    whole = await exchange(service, False, [raw])
    for place in range(1, len(raw), 5):
        assert await exchange(service, True, [raw[:place], raw[place:]]) == whole, place


async def test_the_lane_opens_again_behind_the_general_way(service: Service) -> None:
    packets = [REQUESTS["HEAD"], REQUESTS["list"], REQUESTS["two requests"], REQUESTS["metalink"]]
    await assert_same(service, packets)


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("keep-alive of HTTP/1.0, then 1.1", [200, 200]),
        ("behind a close", [200]),
        ("rubbish behind a close", [200]),
        ("rubbish behind a request", [200, 400]),
        ("offered upgrade", [200, 200]),
        ("offered web socket", [200, 200]),
        ("HTTP/2.0", [505]),
        ("preface of HTTP/2", [400]),
        ("space in the target", [400]),
        ("line end in the target", [505]),
        ("request line within a header", [404]),
        ("NUL in the address", [400]),
        ("CR in the address", [400]),
        ("LF in the address", [400]),
        ("long address", [431]),
    ],
)
async def test_each_request_has_its_answer_and_nothing_else_has_one(
    service: Service, name: str, statuses: list[int]
) -> None:
    for lane in (False, True):
        written, _ = await exchange(service, lane, [REQUESTS[name]])
        assert [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d+) ", written, re.M)] == statuses


PIECES = st.sampled_from(
    [*REQUESTS.values(), b"\r\n", b"\n", b"\0", b" ", b"GET ", b" HTTP/1.1\r\n", b"Host: a\r\n", b"X-Forwarded-For: "]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packets=st.lists(st.lists(PIECES, min_size=1, max_size=4).map(b"".join), min_size=1, max_size=4))
async def test_any_pieces_give_the_same_bytes(service: Service, packets: list[bytes]) -> None:
    await assert_same(service, packets)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=60),
    headers=st.lists(
        st.sampled_from(["A: b", "X-Forwarded-For: 10.1.0.1", "Accept: */*", "connection: close"]), max_size=4
    ),
)
async def test_any_target_gives_the_same_bytes(service: Service, target: str, headers: list[str]) -> None:
    await assert_same(service, [request_of(f"/{target}", *headers)], peer="10.1.0.7")

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redirector.health.evidence import Ask, Outcome, Probe
from redirector.health.safety import Refusal, Safety, is_public, parse_networks
from tests.health.hostile import Request, answer, http, mirror, names

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255
198.51.100.1 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 100::1 fc00::1 fd00::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 ff02::1 ff0e::1
2001::1 2001:2::1 2001:10::1 2001:db8::1 3fff::1 5f00::1 4000::1 8000::1 e000::1 1000::1 400::1 200::1
64:ff9b:1::1 64:ff9b:1::808:808 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 64:ff9b::ffff:0:1 64:ff9c::808:808
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:224.0.0.1 ::ffff:240.0.0.1 ::ffff:0:127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::192.0.2.1
2002:7f00:1:: 2002:a00:1::1 2002:c0a8:101:: 2002:a9fe:a9fe::1 2002:e000:1:: 2002:ffff:ffff::
""".split()

ALLOWED = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
172.15.255.255 172.32.0.0 192.0.1.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
2000::1 2001:200::1 2001:470::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 2600::1 2a01:4f8::1 3ffe::1 3fff:1000::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
""".split()


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    assert Safety().refusal(text, 80) is Refusal.ADDRESS


@pytest.mark.parametrize("text", ALLOWED)
def test_allowed(text: str) -> None:
    assert Safety().refusal(text, 443) is None


@given(st.ip_addresses(v=4))
def test_what_pythons_table_calls_inner_is_inner(address: IPv4Address) -> None:
    """Its table may be older than ours, but never knows better what is private."""
    inner = not address.is_global or address.is_multicast or address.is_reserved
    assert not (inner and is_public(address))


@given(st.ip_addresses(v=6))
def test_what_pythons_table_calls_inner_is_inner_in_the_new_family_too(address: IPv6Address) -> None:
    if not any(address in ip_network(net) for net in ("::ffff:0:0/96", "64:ff9b::/96", "2002::/16")):
        inner = not address.is_global or address.is_multicast or address.is_reserved or address.is_site_local
        assert not (inner and is_public(address))


@given(st.ip_addresses(v=4))
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("192.88.99.0"))
def test_an_address_inside_another_is_judged_by_itself(address: IPv4Address) -> None:
    number = int(address)
    outer = [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x64FF9B << 96 | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
    ]
    assert {is_public(each) for each in outer} == {is_public(address)}


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9a-fx.]{1,12}", fullmatch=True)))
def test_what_is_no_number_is_never_allowed(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        assert not Safety(parse_networks(["0.0.0.0/0", "::/0"])).allows(text)


def test_only_the_usual_ports_and_the_mirrors_own() -> None:
    safety = Safety()
    assert [safety.refusal("8.8.8.8", port) for port in (80, 443, 873)] == [None] * 3
    for port in (0, 22, 25, 81, 6379, 8080, 65535):
        assert safety.refusal("8.8.8.8", port) is Refusal.PORT
    assert safety.refusal("8.8.8.8", 8080, {8080}) is None
    assert safety.refusal("10.0.0.1", 8080, {8080}) is Refusal.ADDRESS


def test_an_operator_can_exempt_networks_and_no_more_than_those() -> None:
    safety = Safety(parse_networks(["10.1.0.0/16", " 192.168.7.7 ", "fd00:1::/32"]))
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "192.168.7.7", "fd00:1::9", "8.8.8.8"):
        assert safety.allows(text)
    for text in ("10.2.0.1", "192.168.7.8", "fd00:2::9", "64:ff9b::10.1.2.3", "2002:a01:203::1"):
        assert not safety.allows(text)


@pytest.mark.parametrize("text", ["10.1.0.1/16", "10.1", "mirror.example", "10.0.0.0/33", ""])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_networks([text])


_connected: list[tuple[Any, ...]] = []
_watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        _connected.append(arguments[1])


sys.addaudithook(_watch)


@pytest.fixture
def connected() -> Iterator[list[tuple[Any, ...]]]:
    """Every address that any socket of this process was pointed at meanwhile."""
    global _watching
    _connected.clear()
    _watching = True
    yield _connected
    _watching = False


NAMES = [f"n{number}.example" for number in range(4)]
NUMBERS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1", "::ffff:127.0.0.3", "0.0.0.0"]
PERMITTED = {"127.0.0.1", "127.0.0.2"}


def test_the_watch_sees_connections(connected: list[tuple[Any, ...]]) -> None:
    async def connect() -> None:
        async with mirror(lambda *_: asyncio.sleep(0)) as m:
            _, writer = await asyncio.open_connection(m.address, m.port)
            writer.close()
            await writer.wait_closed()
            assert (m.address, m.port) in connected

    asyncio.run(connect())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dns=st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3)),
    ways=st.lists(st.sampled_from([*NAMES, *NUMBERS]), min_size=1, max_size=5),
)
def test_whatever_dns_and_redirects_say_no_socket_goes_where_it_may_not(
    connected: list[tuple[Any, ...]], dns: dict[str, list[str]], ways: list[str]
) -> None:
    async def run() -> None:
        ports: list[int] = []

        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            step = request.target.count("/x") + 1
            if step < len(ways):
                host = f"[{ways[step]}]" if ":" in ways[step] else ways[step]
                writer.write(answer(b"", "302 F", f"Location: http://{host}:{ports[0]}{'/x' * step}/TIME"))
            else:
                writer.write(answer(b"1795000000"))

        async with mirror(behave) as m:
            ports.append(m.port)
            host = f"[{ways[0]}]" if ":" in ways[0] else ways[0]
            probe = Probe("m", "", Ask.MARKER, f"http://{host}:{m.port}/", "TIME", ports=frozenset({m.port}))
            prober = http(names(dns), safety=Safety(parse_networks(PERMITTED)))
            connected.clear()
            (evidence,) = await prober.probe(probe)
            await prober.close()
        assert {address[0] for address in connected} <= PERMITTED
        assert evidence.address in {"", *PERMITTED}
        if evidence.outcome is Outcome.OK:
            assert connected

    asyncio.run(run())

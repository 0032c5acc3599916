from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redirector.locate.addresses import parse_address
from redirector.locate.proxies import (
    UNKNOWN,
    UNREADABLE,
    Client,
    find_client,
    find_forwarded,
    find_peer,
    is_proxy,
    read_forwarded,
    scheme_of,
    trusted_proxies_of,
)

LOOPBACK = trusted_proxies_of([ip_network("127.0.0.0/8"), ip_network("::1/128")])
BALANCED = trusted_proxies_of(map(ip_network, ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "2001:db8:f::/48")))
NOBODY = trusted_proxies_of([])


def packed(text: str) -> bytes:
    return ip_address(text).packed


@pytest.mark.parametrize(
    ("peer", "forwarded", "address", "trusted"),
    [
        ("203.0.113.9", [], "203.0.113.9", False),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9", False),
        ("203.0.113.9", ["rubbish"], "203.0.113.9", False),
        ("::ffff:203.0.113.9", [], "203.0.113.9", False),
        ("fe80::1%eth0", [], "fe80::1", False),
        ("127.0.0.1", [], "127.0.0.1", False),
        ("::ffff:127.0.0.1", [], "127.0.0.1", False),
        ("::1", [], "::1", False),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1", False),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1", False),
        (None, ["198.51.100.1"], "198.51.100.1", False),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1", False),
        ("10.0.0.1", ["192.0.2.7, 198.51.100.1"], "198.51.100.1", False),
        ("10.0.0.1", ["192.0.2.7", "198.51.100.1"], "198.51.100.1", False),
        ("10.0.0.1", ["192.0.2.7,198.51.100.1,10.0.0.2"], "198.51.100.1", False),
        ("10.0.0.1", ["192.0.2.7 ,\t198.51.100.1", "10.0.0.3 , 10.0.0.2"], "198.51.100.1", False),
        ("10.0.0.1", ["rubbish, 198.51.100.1"], "198.51.100.1", False),
        ("10.0.0.1", ["10.0.0.4, 10.0.0.3"], "10.0.0.4", True),
        ("10.0.0.1", ["10.0.0.4", "127.0.0.1"], "10.0.0.4", True),
        (None, ["10.0.0.4"], "10.0.0.4", True),
        ("10.0.0.1", ["::ffff:10.0.0.4, ::ffff:10.0.0.3"], "10.0.0.4", True),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1", False),
        ("2001:db8:f::1", ["2001:db8::7"], "2001:db8::7", False),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1", False),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7", False),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7", False),
        ("10.0.0.1", ["[::ffff:198.51.100.1]:443"], "198.51.100.1", False),
        ("10.0.0.1", ["fe80::7%eth0"], "fe80::7", False),
        ("10.0.0.1", ["[fe80::7%25eth0]:443"], "fe80::7", False),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2:80"], "198.51.100.1", False),
    ],
)  # fmt: skip
def test_walk_ends_at_the_first_address_that_is_no_proxy(
    peer: str | None, forwarded: Sequence[str], address: str, trusted: bool
) -> None:
    assert find_client(peer, forwarded, BALANCED) == Client(packed(address), trusted)


@pytest.mark.parametrize(
    "element",
    [
        "", " ", "unknown", "_hidden", "-", "for=198.51.100.1", '"198.51.100.1"', "198.51.100", "198.51.100.256",
        "198.51.100.01", "0306.51.100.1", "0xc6.51.100.1", "3325256705", "198.51.100.1:", "198.51.100.1:http",
        "198.51.100.1:123456", "198.51.100.1:80:80", "198.51.100.1%eth0", "[198.51.100.1]", "[2001:db8::7", "[]",
        "[2001:db8::7]443", "[2001:db8::7]:", "2001:db8::7]", "2001:db8:::7", "fe80::7%", "198.51.100.1 80",
        "198.51.100.1\0", "198.51.100.1\u0660", "\udcff", "١٩٨.51.100.1", "localhost", "198.51.100.1/32",
    ],
)  # fmt: skip
def test_what_cannot_be_read_ends_the_walk(element: str) -> None:
    assert find_client("10.0.0.1", [element], BALANCED) == UNREADABLE
    assert find_client(None, ["192.0.2.7", f"{element}, 10.0.0.2"], BALANCED) == UNREADABLE
    assert find_client("10.0.0.1", [f"{element}, 192.0.2.7"], BALANCED) == Client(packed("192.0.2.7"))


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8:f::1", None])
def test_proxy_that_says_nothing_hides_its_client(peer: str | None) -> None:
    assert find_client(peer, [], BALANCED) == UNKNOWN


def test_only_loopback_is_trusted_by_default_and_nobody_if_so_configured() -> None:
    assert find_client("10.0.0.1", ["192.0.2.7"], LOOPBACK) == Client(packed("10.0.0.1"))
    assert find_client("127.0.0.1", ["192.0.2.7"], NOBODY) == Client(packed("127.0.0.1"))
    assert find_client(None, ["192.0.2.7"], NOBODY) == Client(packed("192.0.2.7"))


def test_peer_that_is_no_address_is_unknown() -> None:
    assert find_client("", [], BALANCED) == UNKNOWN
    assert find_client("@abstract", ["192.0.2.7"], BALANCED) == UNKNOWN


@pytest.mark.parametrize("network", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
def test_network_of_mapped_addresses_means_the_ipv4_network(network: str) -> None:
    trusted = trusted_proxies_of([ip_network(network)])
    assert packed("10.255.255.255") in trusted
    assert packed("11.0.0.0") not in trusted


def test_ipv6_networks_do_not_cover_ipv4() -> None:
    assert packed("192.0.2.7") not in trusted_proxies_of([ip_network("::/0")])


ELEMENTS = st.one_of(
    st.sampled_from(["10.0.0.1", "127.0.0.1", "::1", "2001:db8:f::9", "::ffff:10.1.1.1"]),
    st.ip_addresses().map(str),
    st.text(alphabet="0123456789abcdef.:[]%, \t/x\0", max_size=30),
    st.text(max_size=20),
)


@given(st.none() | ELEMENTS, st.lists(ELEMENTS, max_size=5))
@example("127.0.0.1", ["[", "%", ":", "]:"])
def test_any_text_gives_a_client_or_nobody(peer: str | None, forwarded: list[str]) -> None:
    client = find_client(peer, forwarded, BALANCED)
    assert client.address is None or len(client.address) in (4, 16)
    forwards = bool(forwarded) and is_proxy(peer, BALANCED)
    assert client.trusted == (forwards and client.address is not None and client.address in BALANCED)
    assert client.readable or client.address is None
    assert client == (
        find_forwarded(forwarded, BALANCED) if forwarded and is_proxy(peer, BALANCED) else find_peer(peer, BALANCED)
    )


@given(
    st.lists(st.ip_addresses(v=4) | st.sampled_from([IPv4Address("10.0.0.1"), IPv4Address("127.0.0.1")]), min_size=1)
)
def test_mapped_addresses_are_their_ipv4_addresses(addresses: list[IPv4Address]) -> None:
    peer, *others = map(str, addresses)
    mapped = [f"::ffff:{other}" for other in others]
    written_out = [str(IPv6Address(0xFFFF << 32 | int(address))) for address in addresses[1:]]
    expected = find_client(peer, others, BALANCED)
    assert find_client(f"::ffff:{peer}", mapped, BALANCED) == expected
    assert find_client(peer, [", ".join(written_out)] if others else [], BALANCED) == expected


@given(st.ip_addresses())
def test_written_addresses_are_read(address: IPv4Address | IPv6Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    assert parse_address(str(address)) == (mapped or address).packed


@given(st.text(alphabet="0123456789abcdefF.: x%", max_size=25) | st.text(max_size=20))
@example("1.2.3.4 ")
@example("1.2.3.04")
@example("fe80::1%eth0")
def test_addresses_are_read_as_strictly_as_the_standard_library_does(text: str) -> None:
    try:
        address = ip_address(text)
    except ValueError:
        assert parse_address(text) is None
        return
    if "%" in text:
        assert parse_address(text) is None
    else:
        assert parse_address(text) in (address.packed, getattr(address, "ipv4_mapped", None) and address.packed[12:])


@pytest.mark.parametrize(
    ("lines", "clients", "scheme"),
    [
        (["for=192.0.2.60;proto=http;by=203.0.113.43"], ("192.0.2.60",), "http"),
        (['For="[2001:db8:cafe::17]:4711"'], ("[2001:db8:cafe::17]:4711",), ""),
        (["for=192.0.2.43;proto=HTTPS, for=198.51.100.17;proto=http"], ("192.0.2.43", "198.51.100.17"), "https"),
        (["for=192.0.2.43", "for=10.0.0.1"], ("192.0.2.43", "10.0.0.1"), ""),
        (['for="_a,b;c"; by=x, for=192.0.2.1'], ("_a,b;c", "192.0.2.1"), ""),
        (["proto=https"], ("unknown",), "https"),
        ([], (), ""),
    ],
)
def test_forwarded_says_who_asked_each_proxy(lines: list[str], clients: tuple[str, ...], scheme: str) -> None:
    assert read_forwarded(lines) == (clients, scheme)


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_forwarded_can_be_read(lines: list[str]) -> None:
    clients, _ = read_forwarded(lines)
    find_client("127.0.0.1", clients, trusted_proxies_of([ip_network("127.0.0.0/8")]))


@pytest.mark.parametrize(("said", "scheme"), [("https", "https"), ("HTTPS, http", "https"), ("", ""), ("http", "http")])
def test_the_first_proxy_says_how_it_was_asked(said: str, scheme: str) -> None:
    assert scheme_of(said) == scheme

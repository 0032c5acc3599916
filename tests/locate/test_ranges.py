from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from itertools import pairwise
from socket import AF_INET, AF_INET6

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytricia import PyTricia  # type: ignore[import-not-found]  # a C extension without stubs

from redirector.locate.addresses import unwrap_network
from redirector.locate.ranges import (
    DEEP,
    RangeTable,
    V4Prefixes,
    V6Prefixes,
    merge,
    table_of,
    table_of_networks,
)
from redirector.model import Network

EVERYTHING_V4 = ip_network("0.0.0.0/0")
EVERYTHING_V6 = ip_network("::/0")

# Few different bits, at both ends and around the 64th, so that prefixes nest, touch and repeat.
V4_NUMBERS = st.builds(
    lambda top, bottom: top << 29 | bottom, st.integers(0, 7), st.sampled_from([0, 1, 2, 255, 256, 2**29 - 1])
)
V6_NUMBERS = st.builds(
    lambda top, middle, bottom: top << 126 | middle << 62 | bottom,
    st.integers(0, 3),
    st.sampled_from([0, 1, 3, 4, 5, 7, 2**64 - 1]),
    st.sampled_from([0, 1, 2, 2**61, 2**62 - 1]),
)
V4_LENGTHS = st.sampled_from([0, 1, 2, 3, 4, 16, 23, 24, 25, 30, 31, 32])
V6_LENGTHS = st.sampled_from([0, 1, 2, 3, 32, 61, 62, 63, 64, 65, 66, 67, 96, 126, 127, 128])
NETWORKS: st.SearchStrategy[Network] = st.one_of(
    st.builds(lambda number, length: IPv4Network((number, length), strict=False), V4_NUMBERS, V4_LENGTHS),
    st.builds(lambda number, length: IPv6Network((number, length), strict=False), V6_NUMBERS, V6_LENGTHS),
)
PREFIXES = st.lists(st.tuples(NETWORKS, st.integers(0, 5)), max_size=20)


def scan(prefixes: Iterable[tuple[Network, int]], address: IPv4Address | IPv6Address) -> int:
    """The naive model: the longest prefix wins, of equal ones the last."""
    best, found = -1, 0
    for network, value in prefixes:
        if address in network and network.prefixlen >= best:
            best, found = network.prefixlen, value
    return found


def probes(networks: Iterable[Network]) -> list[IPv4Address | IPv6Address]:
    """First and last address of each network, their neighbours, and both ends of both families."""
    found: set[IPv4Address | IPv6Address] = set()
    for network in (*networks, EVERYTHING_V4, EVERYTHING_V6):
        kind = type(network.network_address)
        for number in (int(network.network_address), int(network.broadcast_address)):
            found.update(kind(number + step) for step in (-1, 0, 1) if 0 <= number + step < 2**network.max_prefixlen)
    return sorted(found, key=lambda address: (address.version, int(address)))


def assert_well_formed(table: RangeTable) -> None:
    lines = [(table.v4_starts, table.v4_values), (table.v6_starts, table.v6_values), *table.deep.values()]
    for starts, values in lines:
        assert starts[0] == 0
        assert len(starts) == len(values)
        assert all(a < b for a, b in pairwise(starts))
        assert all(a != b or a == DEEP for a, b in pairwise(values)), "neighbours are not folded"
    marked = {start for start, value in zip(table.v6_starts, table.v6_values, strict=True) if value == DEEP}
    assert marked == set(table.deep)
    assert all(len(starts) > 1 for starts, _ in table.deep.values())


@given(PREFIXES)
def test_table_answers_as_a_linear_scan_does(prefixes: list[tuple[Network, int]]) -> None:
    table = table_of_networks(prefixes)
    assert_well_formed(table)
    for address in probes(network for network, _ in prefixes):
        assert table.find(address.packed) == scan(prefixes, address), address


@given(PREFIXES)
def test_table_answers_as_a_trie_does(prefixes: list[tuple[Network, int]]) -> None:
    tries = {4: PyTricia(32, AF_INET), 6: PyTricia(128, AF_INET6)}
    for network, value in prefixes:
        tries[network.version][network] = value
    table = table_of_networks(prefixes)
    for address in probes(network for network, _ in prefixes):
        assert table.find(address.packed) == tries[address.version].get(str(address), 0), address


@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/0", "0.0.0.0/32", "255.255.255.255/32", "255.255.0.0/16", "128.0.0.0/1", "10.1.2.3/32",
        "::/0", "::/64", "::/128", "8000::/1", "2001:db8::/64", "2001:db8::/65", "2001:db8:0:0:8000::/65",
        "ffff:ffff:ffff:ffff::/64", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "2001:db8::1/128", "fe80::/10",
    ],
)  # fmt: skip
def test_one_network_covers_its_own_addresses_and_no_neighbour(network: str) -> None:
    table = table_of_networks([(ip_network(network), 7)])
    assert_well_formed(table)
    for address in probes([ip_network(network)]):
        assert table.find(address.packed) == (7 if address in ip_network(network) else 0), address


def test_zero_cuts_a_hole() -> None:
    prefixes = {"10.0.0.0/8": 3, "10.1.0.0/16": 0, "2001:db8::/32": 4, "2001:db8::5/128": 0}
    table = table_of_networks((ip_network(prefix), value) for prefix, value in prefixes.items())
    assert table.find(IPv4Address("10.1.2.3").packed) == 0
    assert table.find(IPv4Address("10.2.2.3").packed) == 3
    assert table.find(IPv6Address("2001:db8::5").packed) == 0
    assert table.find(IPv6Address("2001:db8::6").packed) == 4


@pytest.mark.parametrize(
    ("network", "unwrapped"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:10.0.0.1/128", "10.0.0.1/32"),
        ("::fffe:0:0/95", "::fffe:0:0/95"),
        ("::fffe:0:0/96", "::fffe:0:0/96"),
        ("::/0", "::/0"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_networks_of_mapped_addresses_mean_ipv4(network: str, unwrapped: str) -> None:
    assert unwrap_network(ip_network(network)) == ip_network(unwrapped)
    assert table_of_networks([(ip_network(network), 7)]) == table_of_networks([(ip_network(unwrapped), 7)])


def test_bits_beyond_the_length_are_ignored() -> None:
    length, value = np.array([8], np.uint8), np.array([9], np.uint32)
    halves = np.array([0x2A01_0203_0405_0607], np.uint64), np.array([1], np.uint64)
    table = table_of(V4Prefixes(np.array([0x0A010203], np.uint32), length, value), V6Prefixes(*halves, length, value))
    assert table.find(IPv4Address("10.0.0.0").packed) == 9
    assert table.find(IPv6Address("2a00::").packed) == 9
    assert table.rows == 6


def test_empty_table_knows_nobody() -> None:
    table = table_of()
    assert_well_formed(table)
    assert table.rows == 2
    assert table.numbers() == {0}
    assert table.find(bytes(4)) == table.find(b"\xff" * 4) == table.find(bytes(16)) == table.find(b"\xff" * 16) == 0


@given(PREFIXES)
def test_numbers_are_those_that_addresses_have(prefixes: list[tuple[Network, int]]) -> None:
    table = table_of_networks(prefixes)
    addresses = probes(network for network, _ in prefixes)
    assert table.numbers() == {table.find(address.packed) for address in addresses}


@given(PREFIXES, st.dictionaries(st.integers(0, 5), st.integers(0, 3)), st.sampled_from([1, 3, 1 << 19]))
def test_translation_changes_each_number(
    prefixes: list[tuple[Network, int]], numbers: dict[int, int], small: int
) -> None:
    """Whether numbers are small, or as large as new AS numbers."""
    table = table_of_networks(prefixes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redirector.locate.ranges._SMALL", small)
        translated = table.translated(numbers)
    assert_well_formed(translated)
    for address in probes(network for network, _ in prefixes):
        assert translated.find(address.packed) == numbers.get(table.find(address.packed), 0)


@given(st.lists(PREFIXES, min_size=1, max_size=4))
def test_merged_table_answers_for_all_layers(layers: list[list[tuple[Network, int]]]) -> None:
    tables = [table_of_networks(layer) for layer in layers]
    merged, combinations = merge(tables)
    assert_well_formed(merged)
    seen = {0}
    for address in probes(network for layer in layers for network, _ in layer):
        number = merged.find(address.packed)
        seen.add(number)
        assert combinations[number] == tuple(table.find(address.packed) for table in tables)
    assert combinations[0] == (0,) * len(layers)
    assert seen == set(range(len(combinations))), "a combination that no address has"
    assert len(set(combinations)) == len(combinations)


def table_with(values: Sequence[int]) -> RangeTable:
    return table_of_networks([(IPv4Network((i << 8, 24)), value) for i, value in enumerate(values)])


def test_layers_with_large_numbers_do_not_collide() -> None:
    """Three layers of 32-bit numbers do not fit one key of 64 bits side by side."""
    layers = [table_with([DEEP - 1, 1, DEEP - 1]), table_with([DEEP - 1, 2, 1]), table_with([DEEP - 1, 3, DEEP - 1])]
    merged, combinations = merge(layers)
    found = [combinations[merged.find((i << 8).to_bytes(4))] for i in range(4)]
    assert found == [(DEEP - 1,) * 3, (1, 2, 3), (DEEP - 1, 1, DEEP - 1), (0, 0, 0)]

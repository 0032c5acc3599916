"""Who comes first, over many clients: by bandwidth, stable when hosts come and go, the same on every server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from redirector.answer.answer import Form, Tier
from redirector.answer.seed import client_seed
from redirector.model import Catalog, HostId, HostSet, HostSetId
from tests.rig import NOW, Mirror, Rig, catalog_of, mirror, rig, rig_of

CLIENTS = 40_000
POINT = 0.01
"""One percentage point: what is promised."""

REPO = "/mirrorlist?repo=fedora-40&arch=x86_64"


def addresses(count: int = CLIENTS) -> list[bytes]:
    """Clients of one country (10.1.0.0/16), one after the other."""
    return [bytes((10, 1, n >> 8, n & 255)) for n in range(count)]


def seeds(served: Rig, count: int = CLIENTS, now: int = NOW) -> list[int]:
    window_s = served.responder.snapshot.order_window_s
    return [client_seed(address, now, window_s) for address in addresses(count)]


def orders(served: Rig, seeds: list[int], client: bytes = b"\x0a\x01\x00\x01", host_set: int = 0) -> list[list[HostId]]:
    """The hosts in the order that each of *seeds* gets them, for an audience without wishes."""
    responder = served.responder
    order = responder.orders.find(HostSetId(host_set), responder.snapshot.audiences.find(client), 0)
    sheet = responder.sheets.find(HostSetId(host_set), Form.MIRRORLIST)
    marks: list[HostId | None] = [HostId(n) if entry else None for n, entry in enumerate(sheet.entries)]
    boxed = [None if mark is None else (mark,) for mark in marks]
    return [[host for (host,) in order.read(boxed, seed)[0]] for seed in seeds]


def shares(firsts: list[HostId]) -> dict[HostId, float]:
    return {host: count / len(firsts) for host, count in Counter(firsts).items()}


def assert_by_bandwidth(served: Rig, firsts: list[HostId]) -> None:
    facts = served.responder.snapshot.hosts
    members = set(firsts)
    total = sum(facts[host].bandwidth_mbit for host in members)
    for host, share in shares(firsts).items():
        assert abs(share - facts[host].bandwidth_mbit / total) < POINT, facts[host]


GERMAN = [mirror(f"de{n}.example", "DE", bandwidth_mbit=bandwidth) for n, bandwidth in enumerate(
    (10_000, 10_000, 1000, 1000, 1000, 500, 100, 100, 40, 1)
)]  # fmt: skip
FRENCH = [mirror(f"fr{n}.example", "FR", bandwidth_mbit=bandwidth) for n, bandwidth in enumerate((3000, 2000, 1000))]


def test_first_places_are_shared_by_bandwidth() -> None:
    served = rig(*GERMAN, *FRENCH)
    found = orders(served, seeds(served))
    assert_by_bandwidth(served, [order[0] for order in found])
    assert all(sorted(order) == list(range(13)) for order in found[:100])


def test_first_places_of_the_second_tier_are_shared_by_bandwidth_too() -> None:
    served = rig(*GERMAN, *FRENCH)
    assert_by_bandwidth(served, [order[len(GERMAN)] for order in orders(served, seeds(served))])


def test_first_places_are_shared_by_bandwidth_with_a_fresh_draw_per_request() -> None:
    served = rig(*GERMAN, *FRENCH, window_s=0)
    names = {host.name: HostId(n) for n, host in enumerate(served.responder.snapshot.hosts)}
    found = [served.get(REPO) for _ in range(CLIENTS)]
    assert all(answer.tier is Tier.COUNTRY for answer in found[:10])
    assert_by_bandwidth(served, [answer.first for answer in found if answer.first is not None])
    assert len(names) == 13


def test_first_places_of_an_even_tier_are_shared_evenly() -> None:
    served = rig(*(replace_netblock(each) for each in GERMAN[:7]), *FRENCH)
    found = shares([order[0] for order in orders(served, seeds(served))])
    assert all(abs(share - 1 / 7) < POINT for share in found.values())
    assert len(found) == 7


def replace_netblock(each: Mirror) -> Mirror:
    return mirror(each.host.name, "DE", netblocks=("10.1.0.0/16",), bandwidth_mbit=each.host.bandwidth_mbit)


def with_small_set(catalog: Catalog, members: list[int]) -> Catalog:
    """The catalog with a second host set, of *members* alone."""
    first = catalog.host_sets[0]
    hosts = [HostId(n) for n in members]
    by_country = {
        country: tuple(host for host in there if host in hosts)
        for country, there in first.by_country.items()
        if set(there) & set(hosts)
    }
    small = HostSet({host: first.urls[host] for host in hosts}, tuple(hosts), by_country)
    return replace(catalog, host_sets=(first, small))


@pytest.mark.parametrize("members", [[7, 8, 9], [0, 9], [2, 3, 4, 5, 6], [8, 9]], ids=str)
def test_first_places_are_shared_by_bandwidth_where_few_hosts_carry_a_directory(members: list[int]) -> None:
    served = rig_of(with_small_set(catalog_of([*GERMAN, *FRENCH]), members))
    found = orders(served, seeds(served), host_set=1)
    assert_by_bandwidth(served, [order[0] for order in found])
    assert all(sorted(order) == members for order in found[:100])

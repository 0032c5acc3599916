"""Who comes first, over many clients: by bandwidth, stable when hosts come and go, the same on every server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from redirector.answer.answer import Form, Tier
from redirector.answer.reading import client_seed
from redirector.model import Catalog, HostId, HostSetId
from tests.answer.catalogs import part_of
from tests.answer.trees import tree_rig
from tests.rig import NOW, Mirror, Rig, catalog_of, mirror, rig, rig_of

CLIENTS = 40_000
POINT = 0.01
"""One percentage point: what is promised."""

REPO = "/mirrorlist?repo=fedora-40&arch=x86_64"


def clients(count: int = CLIENTS) -> list[bytes]:
    """Clients of one country (10.1.0.0/16), one after the other."""
    return [bytes((10, 1, n >> 8, n & 255)) for n in range(count)]


def seeds(count: int = CLIENTS, now: int = NOW, window_s: int = 3600) -> list[int]:
    return [client_seed(address, now, window_s) for address in clients(count)]


def orders(served: Rig, seeds: list[int], host_set: int = 0) -> list[list[HostId]]:
    """The hosts of a list in the orders that clients with these *seeds* in 10.1.0.0/16 get."""
    responder = served.responder
    audience = responder.snapshot.audiences.find(clients(1)[0])
    sheet = responder.orders.sheets.find(HostSetId(host_set), Form.MIRRORLIST)
    hosts = {entry: HostId(number) for number, entry in enumerate(sheet.entries) if entry is not None}
    lineup = responder.orders.line_up(HostSetId(host_set), Form.MIRRORLIST, audience, 0)
    return [[hosts[entry] for entry in lineup.read(seed)[0]] for seed in seeds]


def names_of(served: Rig, found: list[list[HostId]]) -> list[list[str]]:
    return [[served.responder.snapshot.hosts[host].name for host in order] for order in found]


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
    found = orders(served, seeds())
    assert_by_bandwidth(served, [order[0] for order in found])
    assert all(sorted(order) == list(range(13)) for order in found[:100])


def test_first_places_of_the_second_tier_are_shared_by_bandwidth_too() -> None:
    served = rig(*GERMAN, *FRENCH)
    assert_by_bandwidth(served, [order[len(GERMAN)] for order in orders(served, seeds())])


def test_first_places_are_shared_by_bandwidth_with_a_fresh_draw_per_request() -> None:
    served = rig(*GERMAN, *FRENCH, window_s=0)
    found = [served.get(REPO) for _ in range(CLIENTS)]
    assert all(answer.tier is Tier.COUNTRY for answer in found[:10])
    assert_by_bandwidth(served, [answer.first for answer in found if answer.first is not None])


def test_first_places_of_an_even_tier_are_shared_evenly() -> None:
    served = rig(*(replace_netblock(each) for each in GERMAN[:7]), *FRENCH)
    found = shares([order[0] for order in orders(served, seeds())])
    assert all(abs(share - 1 / 7) < POINT for share in found.values())
    assert len(found) == 7


def replace_netblock(each: Mirror) -> Mirror:
    return mirror(each.host.name, "DE", netblocks=("10.1.0.0/16",), bandwidth_mbit=each.host.bandwidth_mbit)


def test_first_places_of_a_tree_are_shared_evenly_within_a_country() -> None:
    served = tree_rig(*(mirror(f"de{n}.example", "DE") for n in range(21)))
    found = shares([order[0] for order in orders(served, seeds())])
    assert len(found) == 21
    assert all(abs(share - 1 / 21) < POINT for share in found.values())


def with_small_set(catalog: Catalog, members: list[int]) -> Catalog:
    """The catalog with a second host set, of *members* alone."""
    whole = catalog.host_sets[0]
    return replace(catalog, host_sets=(whole, part_of(whole, members, members)))


@pytest.mark.parametrize("members", [[7, 8, 9], [0, 9], [2, 3, 4, 5, 6], [8, 9]], ids=str)
def test_first_places_are_shared_by_bandwidth_where_few_hosts_carry_a_directory(members: list[int]) -> None:
    served = rig_of(with_small_set(catalog_of([*GERMAN, *FRENCH]), members))
    found = orders(served, seeds(), host_set=1)
    assert_by_bandwidth(served, [order[0] for order in found])
    assert all(sorted(order) == members for order in found[:100])


def test_an_order_is_the_same_on_every_server() -> None:
    one, other = rig(*GERMAN, *FRENCH), rig(*FRENCH, *reversed(GERMAN))
    some = seeds(500)
    assert names_of(one, orders(one, some)) == names_of(other, orders(other, some))


def test_a_host_that_joins_takes_its_share_and_moves_little_else() -> None:
    before, after = rig(*GERMAN, *FRENCH), rig(*GERMAN, mirror("new.example", "DE", bandwidth_mbit=2000), *FRENCH)
    share = 2000 / (2000 + sum(each.host.bandwidth_mbit for each in GERMAN))
    old = [order[0] for order in names_of(before, orders(before, seeds()))]
    new = [order[0] for order in names_of(after, orders(after, seeds()))]
    moved = [name for name, first in zip(new, old, strict=True) if name != first]
    assert abs(moved.count("new.example") / CLIENTS - share) < POINT
    assert len(moved) / CLIENTS < 1.5 * share


def test_far_hosts_leave_the_order_of_near_ones_alone() -> None:
    """Of one tier, and of all that come before it."""
    with_far, without = rig(*GERMAN, *FRENCH, mirror("us.example", "US"), minimum=99), rig(*GERMAN, *FRENCH)
    some = seeds(500)
    assert [order[:-1] for order in orders(with_far, some)] == orders(without, some)


def test_second_places_spread_over_the_tier() -> None:
    served = rig(*GERMAN, *FRENCH)
    behind = Counter(order[1] for order in orders(served, seeds(4000)) if order[0] == 0)
    assert len(behind) >= 3
    assert max(behind.values()) < 0.8 * sum(behind.values())


def test_a_client_keeps_one_order_for_all_repositories() -> None:
    catalog = with_small_set(catalog_of([*GERMAN, *FRENCH]), [0, 2, 4, 6, 8, 10])
    served = rig_of(catalog)
    for whole, part in zip(orders(served, seeds(2000)), orders(served, seeds(2000), host_set=1), strict=True):
        if whole[0] in part:
            assert part == [host for host in whole if host in part]


def lists(served: Rig, client: str, now: float = NOW) -> str:
    return served.get(REPO, client, now=now).body.decode()


def test_a_client_keeps_its_order_for_a_window_and_gets_others_later() -> None:
    served = rig(*GERMAN, *FRENCH)
    found = [lists(served, "10.1.2.3", NOW + second) for second in range(0, 10 * 3600, 60)]
    changes = [minute for minute in range(1, len(found)) if found[minute] != found[minute - 1]]
    assert changes
    assert all(later - earlier >= 60 for earlier, later in pairwise(changes))
    assert {(minute - changes[0]) % 60 for minute in changes} == {0}


def test_windows_of_different_clients_end_at_different_times() -> None:
    ends: Counter[int] = Counter()
    for address in clients(600):
        at = [client_seed(address, NOW + second, 3600) for second in range(0, 3600, 60)]
        assert len(set(at)) <= 2
        ends[next((minute for minute in range(1, 60) if at[minute] != at[0]), 0)] += 1
    assert len(ends) == 60
    assert max(ends.values()) < 5 * 600 / 60


def test_an_ipv6_network_of_64_bits_keeps_one_order() -> None:
    served = rig(*GERMAN, *FRENCH)
    assert lists(served, "2001:db8:1:7::1") == lists(served, "2001:db8:1:7:ffff:ffff:ffff:ffff")
    neighbours = {lists(served, f"2001:db8:1:{n:x}::1") for n in range(20)}
    assert len(neighbours) > 5


def test_without_a_window_every_request_draws_anew() -> None:
    served = rig(*GERMAN, *FRENCH, window_s=0)
    assert len({lists(served, "10.1.2.3") for _ in range(40)}) > 5


def test_unknown_clients_are_drawn_anew_too() -> None:
    served = rig(*GERMAN, *FRENCH)
    assert len({served.get(REPO, client=None).body for _ in range(40)}) > 5


def test_seeds_of_neighbouring_clients_have_nothing_in_common() -> None:
    """Every bit of a seed is set for half of the clients, and no two bits agree more often than by chance."""
    found = seeds(4000)
    for bit in range(64):
        assert abs(sum(seed >> bit & 1 for seed in found) / 4000 - 0.5) < 0.05
    for bit in range(63):
        assert abs(sum((seed >> bit ^ seed >> bit + 1) & 1 for seed in found) / 4000 - 0.5) < 0.05

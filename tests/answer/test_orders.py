"""Orders that are kept say what ranking says anew: for every audience, in both dialects, warm or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given

from redirector.answer.answer import Form, Tier
from redirector.answer.choose.lineup import Lineup
from redirector.answer.choose.rank import rank
from redirector.answer.serve import Responder
from redirector.locate.geoip import Location
from redirector.model import Catalog, Dialect, HostSetId
from tests.answer.catalogs import catalogs, part_of
from tests.answer.trees import tree_rig
from tests.rig import GEO, Mirror, Rig, catalog_of, mirror, rig, rig_of

SEEDS = [n * 0x9E3779B97F4A7C15 % 2**64 for n in range(1, 40)]

PLACES = {
    "10.1.0.0/17": Location("DE", 52.5, 13.4),
    "10.1.128.0/17": Location("DE", 48.1, 11.6),
    "10.2.0.0/16": Location("FR", 48.9, 2.4),
    "10.3.0.0/16": Location("US"),
}


def lists(responder: Responder, form: Form) -> Iterator[tuple[list[object], list[object]]]:
    """What each audience gets, kept and ranked anew, for some seeds."""
    snapshot, orders = responder.snapshot, responder.orders
    for number in range(len(snapshot.audiences.combinations)):
        for host_set in map(HostSetId, range(len(snapshot.host_sets))):
            for family in (4, 6) if snapshot.families_known else (0,):
                kept = orders.line_up(host_set, form, number, family)
                audience = snapshot.audiences.audience(number)
                ranking = rank(snapshot, snapshot.host_sets[host_set], audience, family=family or None)
                anew = Lineup.of(orders.of(ranking), orders.sheets.find(host_set, form))
                yield [kept.read(seed) for seed in SEEDS], [anew.read(seed) for seed in SEEDS]
                yield [kept.tier, kept.comment], [anew.tier, ranking.comment.encode()]


@given(catalogs())
def test_a_snapshot_s_orders_are_those_of_its_rankings(catalog: Catalog) -> None:
    for kept, anew in lists(rig_of(catalog).responder, Form.METALINK):
        assert kept == anew


@given(catalogs(Dialect.ALMALINUX))
def test_a_tree_s_orders_are_those_of_its_rankings(catalog: Catalog) -> None:
    for geo in (GEO, PLACES):
        for kept, anew in lists(rig_of(catalog, geo=geo).responder, Form.MIRRORLIST):
            assert kept == anew


def test_hosts_of_one_bandwidth_are_weighed_as_those_that_left_them_behind() -> None:
    mirrors = [mirror("a.example", bandwidth_mbit=1), mirror("b.example", bandwidth_mbit=1)]
    mirrors.append(mirror("c.example", bandwidth_mbit=10, asns=(64496,)))
    for kept, anew in lists(rig(*mirrors).responder, Form.METALINK):
        assert kept == anew


def test_hosts_on_the_client_s_network_that_cannot_serve_it_are_drawn_over_as_in_its_ranking() -> None:
    mirrors = [mirror("a.example", bandwidth_mbit=1, asns=(64496,)), mirror("b.example", asns=(64496,))]
    for unable in (mirror("c.example", asns=(64496,), ipv6=False), mirror("c.example", asns=(64496,), up=False)):
        for hosts in ([*mirrors, unable], [mirror("a.example"), unable]):
            for kept, anew in lists(rig(*hosts).responder, Form.METALINK):
                assert kept == anew


def mirrors_of(count: int) -> list[Mirror]:
    return [mirror(f"m{n}.example", "DE FR US".split()[n % 3], bandwidth_mbit=10 + n) for n in range(count)]


def answers(served: Rig) -> list[bytes]:
    target = (
        "/mirrorlist?repo=fedora-40&arch=x86_64"
        if served.responder.snapshot.releases is None
        else "/mirrorlist/9/baseos"
    )
    return [served.get(target, client).body for client in ("10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1", "192.0.2.1")]


@pytest.mark.parametrize("make", [rig, tree_rig])
def test_what_is_made_beforehand_changes_no_answer(make: Callable[..., Rig]) -> None:
    cold, warm = make(*mirrors_of(40)), make(*mirrors_of(40))
    warm.responder.warm()
    assert warm.responder.orders.pool.young
    assert answers(warm) == answers(cold)
    misses = warm.responder.orders.pool.misses
    answers(warm)
    assert warm.responder.orders.pool.misses == misses


def test_what_is_made_beforehand_leaves_room() -> None:
    served = rig(*mirrors_of(300), pool_bytes=40_000)
    served.responder.warm()
    made = len(served.responder.orders.pool.young)
    assert 0 < made < len(GEO)


def test_networks_whose_hosts_lack_the_content_share_the_line_up_of_their_place() -> None:
    private = mirror("private.example", "DE", private=True, netblocks=("10.1.2.0/24",))
    catalog = catalog_of([*mirrors_of(9), private])
    without = part_of(catalog.host_sets[0], range(9), range(9))
    responder = rig_of(replace(catalog, host_sets=(catalog.host_sets[0], without))).responder
    inside, outside = (responder.snapshot.audiences.find(bytes((10, 1, n, 1))) for n in (2, 3))

    def line_up(host_set: int, audience: int) -> Lineup:
        return responder.orders.line_up(HostSetId(host_set), Form.MIRRORLIST, audience, 0)

    assert line_up(1, inside) is line_up(1, outside)
    assert line_up(0, inside).tier is Tier.NETBLOCK
    assert line_up(0, outside).tier is Tier.COUNTRY

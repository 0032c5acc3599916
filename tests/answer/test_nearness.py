"""Nearness: drawn by weight in the client's reach, exactly, one order for each client; over trees of a few mirrors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address

import numpy as np
import pytest

from redirector.answer.answer import Form, Tier
from redirector.answer.choose.rank import Ranking, rank
from redirector.answer.explain import explain
from redirector.answer.reading import client_seed
from redirector.locate.geoip import Location
from redirector.locate.places import distance_km
from redirector.model import Catalog, Choice, HostId, HostSetId, Place
from redirector.snapshot.nearness import weigh
from tests.answer.trees import tree_of
from tests.rig import NOW, Mirror, Rig, mirror, rig_of

LONDON, MANCHESTER, EDINBURGH = Place(51.5, -0.1), Place(53.48, -2.24), Place(55.95, -3.19)
PARIS, BRUSSELS, BERLIN = Place(48.85, 2.35), Place(50.85, 4.35), Place(52.52, 13.4)
TOKYO, SYDNEY = Place(35.7, 139.7), Place(-33.9, 151.2)

GEO = {
    "10.1.0.0/16": Location("GB", LONDON.latitude, LONDON.longitude),
    "10.2.0.0/16": Location("GB"),
    "10.3.0.0/16": Location("AU", SYDNEY.latitude, SYDNEY.longitude),
    "10.4.0.0/16": Location("AQ"),
}
ASNS = {"10.1.64.0/18": 64496, "10.2.64.0/18": 64496}
IN_LONDON, IN_BRITAIN, IN_SYDNEY, IN_ANTARCTICA, NOWHERE = "10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1", "192.0.2.1"

TREE = "/mirrorlist/9/baseos"
CLIENTS = 20_000
POINT = 0.01
"""One percentage point: what is promised."""


def at(name: str, country: str | None, place: Place | None, **facts: object) -> Mirror:
    return mirror(name, country, place=place, **facts)


WORLD = (
    at("london", "GB", LONDON),
    at("manchester", "GB", MANCHESTER),
    at("edinburgh", "GB", EDINBURGH),
    at("paris", "FR", PARIS),
    at("brussels", "BE", BRUSSELS),
    at("berlin", "DE", BERLIN),
    at("tokyo", "JP", TOKYO),
)


def near_tree(*mirrors: Mirror, **fields: object) -> Catalog:
    return tree_of(*mirrors, choice=Choice.NEARNESS, **fields)


def served_by(*mirrors: Mirror, asns: Mapping[str, int] = ASNS, **fields: object) -> Rig:
    return rig_of(near_tree(*mirrors, **fields), geo=GEO, asns=asns)


def ranking_of(served: Rig, client: str) -> Ranking:
    snapshot = served.responder.snapshot
    audience = snapshot.audiences.audience(snapshot.audiences.find(ip_address(client).packed))
    return rank(snapshot, snapshot.host_sets[0], audience)


def named(served: Rig, hosts: tuple[HostId, ...]) -> list[str]:
    return [served.responder.snapshot.hosts[host].name for host in hosts]


def orders(served: Rig, client: str, count: int = CLIENTS) -> list[list[str]]:
    """The lists of *count* clients who are where *client* is."""
    responder, packed = served.responder, ip_address(client).packed
    audience = responder.snapshot.audiences.find(packed)
    lineup = responder.orders.line_up(HostSetId(0), Form.MIRRORLIST, audience, 0)
    seeds = (client_seed(n.to_bytes(4), NOW, 3600) for n in range(count))
    return [[entry.split(b"/")[2].decode() for entry in lineup.read(seed)[0]] for seed in seeds]


def test_first_places_are_shared_as_weights_say() -> None:
    served = served_by(*WORLD)
    firsts = Counter(order[0] for order in orders(served, IN_LONDON))
    weights = {
        each.host.name: (4.0 if each.host.country == "GB" else 1.0) / (50 + km) ** 4
        for each in WORLD
        if each.host.place and (km := distance_km(LONDON, each.host.place)) <= 200
    }
    assert set(firsts) == set(weights) == {"london"}
    spread = served_by(*WORLD[1:])
    firsts = Counter(order[0] for order in orders(spread, IN_LONDON))
    nearest = distance_km(LONDON, MANCHESTER)
    weights = {
        each.host.name: (4.0 if each.host.country == "GB" else 1.0) / (50 + km) ** 4
        for each in WORLD[1:]
        if each.host.place and (km := distance_km(LONDON, each.host.place)) <= 1.65 * nearest + 200
    }
    factors = dict(zip([each.host.name for each in WORLD[1:]], balance_of(spread), strict=True))
    total = sum(weight * factors[name] for name, weight in weights.items())
    assert set(weights) == {"manchester", "edinburgh", "paris", "brussels"}
    for name, weight in weights.items():
        assert abs(firsts[name] / CLIENTS - weight * factors[name] / total) < POINT, name


def balance_of(served: Rig) -> list[float]:
    balance = served.responder.snapshot.balance
    assert balance is not None
    factors: list[float] = balance.factors.tolist()
    return factors


@pytest.mark.parametrize("client", [IN_LONDON, IN_BRITAIN, IN_SYDNEY, IN_ANTARCTICA, NOWHERE])
def test_first_places_come_out_as_ranking_says(client: str) -> None:
    mirrors = [
        at(f"m{n}", "GB" if n % 3 else "FR", Place(48 + n / 4, n % 7 / 3), bandwidth_mbit=10 ** (n % 3 + 2))
        for n in range(24)
    ]
    served = served_by(*mirrors, at("nowhere", None, None))
    (group, *_) = ranking_of(served, client).groups
    assert group.weights is not None
    firsts = Counter(order[0] for order in orders(served, client))
    for name, weight in zip(named(served, group.hosts), group.weights, strict=True):
        assert abs(firsts[name] / CLIENTS - weight / sum(group.weights)) < POINT, name
    assert set(firsts) <= set(named(served, group.hosts))


def test_bandwidth_weighs() -> None:
    served = served_by(at("thin", "GB", LONDON, bandwidth_mbit=1000), at("wide", "GB", LONDON, bandwidth_mbit=4000))
    firsts = Counter(order[0] for order in orders(served, IN_LONDON))
    assert abs(firsts["wide"] / CLIENTS - 0.8) < POINT


def test_a_list_is_filled_up_with_the_next_by_nearness_and_ends_with_those_without_a_place() -> None:
    served = served_by(*WORLD, at("nowhere", None, None))
    for order in orders(served, IN_LONDON, 300):
        assert order[0] == "london"
        assert order[-1] == "nowhere"
        assert sorted(order) == sorted([each.host.name for each in WORLD] + ["nowhere"])
    assert order[1:4] == ["manchester", "brussels", "paris"], "at home first, unless others are much nearer"


@pytest.mark.parametrize("length", [1, 3, 7, 12])
def test_a_list_has_the_length_that_the_tree_says(length: int) -> None:
    served = served_by(*WORLD, list_length=length)
    assert len(served.hosts(TREE, IN_LONDON)) == min(length, len(WORLD))
    assert served.hosts(TREE, IN_LONDON) == served_by(*WORLD).hosts(TREE, IN_LONDON)[:length]


def test_a_client_keeps_one_order_on_every_server() -> None:
    mirrors = [at(f"m{n}", "GB", Place(50 + n / 5, n / 9)) for n in range(20)]
    one, other = served_by(*mirrors), served_by(*reversed(mirrors))
    assert orders(one, IN_LONDON, 500) == orders(other, IN_LONDON, 500)


def test_a_host_that_joins_moves_few() -> None:
    mirrors = [at(f"m{n}", "GB", Place(51 + n / 20, n / 30)) for n in range(20)]
    before, after = served_by(*mirrors), served_by(*mirrors, at("new", "GB", LONDON))
    pairs = list(zip(orders(before, IN_LONDON, 5000), orders(after, IN_LONDON, 5000), strict=True))
    moved = [new[0] for old, new in pairs if old[0] != new[0]]
    assert len(moved) < 1.2 * sum(new[0] == "new" for _, new in pairs) + 50


def test_the_answer_s_tier_says_whether_the_first_is_at_home() -> None:
    served = served_by(*(each for each in WORLD if each.host.name != "london"))
    tiers: dict[str | None, set[Tier]] = {}
    for n in range(400):
        answer = served.get(TREE, f"10.1.{n // 200}.{n % 200}")
        assert answer.first is not None
        tiers.setdefault(served.responder.snapshot.hosts[answer.first].country, set()).add(answer.tier)
    assert tiers == {"GB": {Tier.COUNTRY}, "FR": {Tier.GLOBAL}, "BE": {Tier.GLOBAL}}


def test_a_host_in_the_client_s_as_comes_first_while_it_is_in_reach() -> None:
    served = served_by(*WORLD, at("same-as", "FR", PARIS, own_asn=64496), at("far-as", "JP", TOKYO, own_asn=64496))
    assert orders(served, IN_LONDON, 50)[0][0] == "london"
    spread = served_by(*WORLD[1:], at("same-as", "FR", PARIS, own_asn=64496), at("far-as", "JP", TOKYO, own_asn=64496))
    assert {order[0] for order in orders(spread, "10.1.64.1", 200)} == {"same-as"}


def test_hosts_of_the_network_come_before_everything() -> None:
    served = served_by(*WORLD, at("net", "JP", TOKYO, netblocks=("10.1.2.0/24",)), at("as", "JP", TOKYO, asns=(64496,)))
    assert served.hosts(TREE, "10.1.2.3")[0] == "net"
    assert served.hosts(TREE, "10.1.64.3")[0] == "as"
    assert served.hosts(TREE, "10.1.64.3")[1] == "london"


def test_a_country_alone_is_shared_as_its_people_live() -> None:
    """Half of Australia is nearer to Melbourne than to Sydney, its largest city."""
    geo = {"10.9.0.0/16": Location("AU")}
    served = rig_of(near_tree(at("sydney", "AU", SYDNEY), at("melbourne", "AU", Place(-37.8, 145.0))), geo=geo)
    firsts = Counter(order[0] for order in orders(served, "10.9.0.1"))
    assert 0.3 < firsts["melbourne"] / CLIENTS < 0.6


def test_hosts_that_a_country_may_not_have_are_not_given() -> None:
    served = served_by(*WORLD, at("not-for-gb", "GB", LONDON, excluded=frozenset({"GB"})))
    assert all("not-for-gb" not in served.hosts(TREE, f"10.1.0.{n}") for n in range(1, 60))
    assert "not-for-gb" in served.hosts(TREE, IN_SYDNEY)


def test_a_host_that_is_down_is_relieved_by_the_next() -> None:
    served = served_by(*WORLD[1:], at("london", "GB", LONDON, up=False))
    assert all("london" not in order for order in orders(served, IN_LONDON, 100))


def test_a_host_without_a_place_of_its_own_stands_in_its_country_s_largest_city() -> None:
    served = served_by(at("britain", "GB", None), at("berlin", "DE", BERLIN))
    assert orders(served, IN_LONDON, 50)[0] == ["britain", "berlin"]


def test_wishes_narrow_what_is_drawn_from() -> None:
    served = served_by(*WORLD)
    assert served.hosts(f"{TREE}?country=de", IN_LONDON) == ["berlin"]
    assert set(served.hosts(f"{TREE}?country=fr,be&limit=1", IN_LONDON)) <= {"paris", "brussels"}
    assert served.hosts(f"{TREE}?exclude_host=london", IN_LONDON)[0] != "london"


def test_explain_says_weight_factor_and_chance() -> None:
    served = served_by(*WORLD[1:])
    told = explain(served.responder, TREE, IN_LONDON, NOW)
    drawn = [verdict for verdict in told.hosts if verdict.odds is not None]
    assert {verdict.host for verdict in drawn} == {"manchester", "edinburgh", "paris", "brussels"}
    assert sum(verdict.odds.chance for verdict in drawn if verdict.odds) == pytest.approx(1.0)
    assert max(verdict.odds.weight for verdict in drawn if verdict.odds) == 1.0
    text = told.as_text()
    assert "near, drawn by weight" in text and "chance" in text and "factor" in text
    assert '"chance"' in told.as_json()


def test_distances_are_said() -> None:
    served = served_by(*WORLD)
    assert ranking_of(served, IN_LONDON).km[HostId(3)] == pytest.approx(distance_km(LONDON, PARIS), abs=0.01)


def test_a_weight_without_a_place_is_none() -> None:
    weight = weigh(np.array([0.0, np.nan]), np.array([True, False]), np.ones(2))
    assert weight[0] == 4.0 / 50.0**4 and np.isnan(weight[1])

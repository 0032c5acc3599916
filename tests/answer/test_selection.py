"""MirrorManager's selection, stage by stage: which hosts, in which tier, and why the others are left out."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from redirector.answer.answer import Tier
from redirector.answer.ask.wishes import NO_WISHES, Wishes
from redirector.answer.choose.rank import Ranking, rank
from redirector.model import Catalog, HostId
from redirector.snapshot.snapshot import Snapshot
from tests.answer.catalogs import part_of
from tests.rig import Mirror, catalog_of, mirror, snapshot_of

POLICIES = pytest.mark.parametrize("compatibility", [None, "mirrormanager"])

NET, ASN, COUNTRY, CONTINENT, GLOBAL = Tier.NETBLOCK, Tier.ASN, Tier.COUNTRY, Tier.CONTINENT, Tier.GLOBAL

WORLD = (
    mirror("long", "US", netblocks=("10.1.2.0/24",), private=True),
    mirror("short", "US", netblocks=("10.1.0.0/16",), private=True),
    mirror("as", "JP", asns=(64496,), private=True),
    mirror("de1", "DE"),
    mirror("de2", "DE"),
    mirror("fr", "FR"),
    mirror("us", "US"),
    mirror("jp", "JP"),
)


def ranked(
    snapshot: Snapshot, client: str | None, wishes: Wishes = NO_WISHES
) -> tuple[list[tuple[Tier, set[str]]], Ranking]:
    """The groups, by the names of their hosts; and the whole ranking, of which each host must be one part."""
    address = ip_address(client).packed if client else None
    audience = snapshot.audiences.audience(snapshot.audiences.find(address))
    ranking = rank(snapshot, snapshot.host_sets[0], audience, wishes)
    groups = [(group.tier, {snapshot.hosts[host].name for host in group.hosts}) for group in ranking.groups]
    listed = [host for group in ranking.groups for host in group.hosts]
    assert sorted([*listed, *ranking.dropped]) == sorted(snapshot.host_sets[0].urls), "each host is told once"
    return groups, ranking


def reasons(snapshot: Snapshot, ranking: Ranking) -> dict[str, str]:
    return {snapshot.hosts[host].name: reason.name for host, reason in ranking.dropped.items()}


def of_world(compatibility: str | None, minimum: int = 1, mirrors: tuple[Mirror, ...] = WORLD) -> Snapshot:
    return snapshot_of(catalog_of(mirrors), compatibility, minimum=minimum)


@POLICIES
def test_every_stage_in_its_order(compatibility: str | None) -> None:
    groups, _ = ranked(of_world(compatibility, minimum=99), "10.1.2.1")
    near = [(NET, {"long"}), (NET, {"short"}), (COUNTRY, {"de1", "de2"}), (CONTINENT, {"fr"})]
    assert groups == [*near, (GLOBAL, {"us", "jp"})]
    groups, _ = ranked(of_world(compatibility, minimum=99), "10.1.64.1")
    near = [(NET, {"short"}), (ASN, {"as"}), (COUNTRY, {"de1", "de2"}), (CONTINENT, {"fr"})]
    assert groups == [*near, (GLOBAL, {"us", "jp"})]


@POLICIES
def test_continent_is_added_whatever_the_count_and_global_is_not(compatibility: str | None) -> None:
    groups, ranking = ranked(of_world(compatibility, minimum=3), "10.1.255.1")
    assert groups == [(NET, {"short"}), (COUNTRY, {"de1", "de2"}), (CONTINENT, {"fr"})]
    told = reasons(of_world(compatibility), ranking)
    assert told == {"long": "PRIVATE", "as": "PRIVATE", "us": "FAR", "jp": "FAR"}


@POLICIES
def test_minimum_counts_every_stage_before_the_global_one(compatibility: str | None) -> None:
    for minimum, tiers in ((4, [NET, COUNTRY, CONTINENT]), (5, [NET, COUNTRY, CONTINENT, GLOBAL])):
        groups, _ = ranked(of_world(compatibility, minimum=minimum), "10.1.255.1")
        assert [tier for tier, _ in groups] == tiers


@POLICIES
def test_minimum_counts_after_the_protocol_filter(compatibility: str | None) -> None:
    mirrors = (
        mirror("de1", "DE", "rsync://de1/pub", "http://de1/pub"),
        mirror("de2", "DE"),
        mirror("jp", "JP", "rsync://jp/pub"),
    )
    snapshot = of_world(compatibility, 2, mirrors)
    assert ranked(snapshot, "10.1.0.1")[0] == [(COUNTRY, {"de1", "de2"})]
    groups, ranking = ranked(snapshot, "10.1.0.1", Wishes(protocols=("rsync",)))
    assert groups == [(COUNTRY, {"de1"}), (GLOBAL, {"jp"})]
    assert reasons(snapshot, ranking) == {"de2": "PROTOCOL"}


def test_a_host_without_http_does_not_count_towards_the_minimum_by_default() -> None:
    mirrors = (mirror("de1", "DE", "ftp://de1/pub"), mirror("de2", "DE", "rsync://de2/pub"), mirror("jp", "JP"))
    assert ranked(of_world(None, 2, mirrors), "10.1.0.1")[0] == [(COUNTRY, {"de1", "de2"}), (GLOBAL, {"jp"})]
    assert ranked(of_world("mirrormanager", 2, mirrors), "10.1.0.1")[0] == [(COUNTRY, {"de1", "de2"})]


@POLICIES
@pytest.mark.parametrize(
    "wishes", [Wishes(networks=False), Wishes(countries=("de",)), Wishes(countries=("zz",))], ids=["off", "de", "zz"]
)
def test_netblock_and_asn_need_the_wish_and_no_country(compatibility: str | None, wishes: Wishes) -> None:
    groups, ranking = ranked(of_world(compatibility), "10.1.2.1", wishes)
    assert not {NET, ASN} & {tier for tier, _ in groups}
    assert {"long", "short", "as"} <= {
        name for name, reason in reasons(of_world(compatibility), ranking).items() if reason == "PRIVATE"
    }


@POLICIES
def test_requested_countries_come_alone(compatibility: str | None) -> None:
    groups, ranking = ranked(of_world(compatibility, minimum=99), "10.1.2.1", Wishes(countries=("JP", "fr")))
    assert groups == [(COUNTRY, {"fr", "jp"})]
    assert reasons(of_world(compatibility), ranking)["de1"] == "COUNTRY"


@POLICIES
def test_global_is_every_public_host(compatibility: str | None) -> None:
    groups, _ = ranked(of_world(compatibility), "10.1.2.1", Wishes(countries=("global",)))
    assert groups == [(GLOBAL, {"de1", "de2", "fr", "us", "jp"})]


@POLICIES
def test_a_country_without_hosts_is_answered_by_its_continent_alone(compatibility: str | None) -> None:
    groups, ranking = ranked(of_world(compatibility, minimum=99), "10.3.0.1", Wishes(countries=("cz",)))
    assert groups == [(CONTINENT, {"de1", "de2", "fr"})]
    assert ranking.relaxed == ("country",)


@POLICIES
def test_an_unknown_country_falls_through_to_the_usual_tiers(compatibility: str | None) -> None:
    groups, ranking = ranked(of_world(compatibility, minimum=99), "10.1.2.1", Wishes(countries=("zz",)))
    assert groups == [(COUNTRY, {"de1", "de2"}), (CONTINENT, {"fr"}), (GLOBAL, {"us", "jp"})]
    assert ranking.relaxed == ("country",)


@POLICIES
def test_a_client_from_nowhere_gets_the_public_hosts(compatibility: str | None) -> None:
    for client in ("192.0.2.1", None):
        assert ranked(of_world(compatibility), client)[0] == [(GLOBAL, {"de1", "de2", "fr", "us", "jp"})]


@POLICIES
def test_a_host_stands_once_at_its_first_stage(compatibility: str | None) -> None:
    mirrors = (mirror("a", "DE", netblocks=("10.1.0.0/16", "10.1.2.0/24"), asns=(64496,)), mirror("b", "DE"))
    groups, _ = ranked(of_world(compatibility, 99, mirrors), "10.1.2.1")
    assert groups == [(NET, {"a"}), (COUNTRY, {"b"})]


@POLICIES
def test_hosts_of_one_netblock_or_as_are_drawn_evenly_and_others_by_bandwidth(compatibility: str | None) -> None:
    mirrors = (
        mirror("a", "DE", netblocks=("10.1.0.0/16",), bandwidth_mbit=10),
        mirror("b", "DE", netblocks=("10.1.0.0/16",), bandwidth_mbit=1000),
        mirror("c", "DE", asns=(64496,), bandwidth_mbit=100),
        mirror("d", "DE", bandwidth_mbit=7),
    )
    _, ranking = ranked(of_world(compatibility, 1, mirrors), "10.1.64.1")
    assert [group.weights for group in ranking.groups] == [(1, 1), (1,), (7,)]


@POLICIES
def test_only_hosts_that_carry_the_directory_count(compatibility: str | None) -> None:
    catalog = catalog_of(WORLD)
    members = [n for n, host in enumerate(catalog.hosts) if host.name in ("short", "de2", "jp")]
    some = part_of(catalog.host_sets[0], members, members)
    snapshot = snapshot_of(replace(catalog, host_sets=(some,)), compatibility)
    assert ranked(snapshot, "10.1.2.1")[0] == [(NET, {"short"}), (COUNTRY, {"de2"}), (GLOBAL, {"jp"})]


def with_client_country(catalog: Catalog) -> Catalog:
    network = catalog.hosts[0].netblocks[0]
    return replace(catalog, client_countries=((network, "FR"),))


@POLICIES
def test_the_snapshot_s_own_country_table_comes_before_geoip(compatibility: str | None) -> None:
    snapshot = snapshot_of(with_client_country(catalog_of(WORLD)), compatibility, minimum=1)
    groups, _ = ranked(snapshot, "10.1.2.1")
    assert groups[2:] == [(COUNTRY, {"fr"}), (CONTINENT, {"de1", "de2"})]
    assert snapshot.audiences.country(snapshot.audiences.find(ip_address("10.1.2.1").packed)) == "FR"


@POLICIES
def test_the_snapshot_s_own_continents_come_before_the_file(compatibility: str | None) -> None:
    catalog = replace(catalog_of(WORLD), continents={"DE": "NA"})
    groups, _ = ranked(snapshot_of(catalog, compatibility, minimum=1), "10.1.255.1")
    assert groups[1:] == [(COUNTRY, {"de1", "de2"}), (CONTINENT, {"us"})]


ALLOWED = (
    mirror("de-open", "DE"),
    mirror("de-for-de", "DE", allowed=frozenset({"DE"})),
    mirror("fr-for-de", "FR", allowed=frozenset({"DE", "CZ"})),
    mirror("jp-for-jp", "JP", allowed=frozenset({"JP"})),
    mirror("jp-open", "JP"),
    mirror("net-for-jp", "DE", allowed=frozenset({"JP"}), netblocks=("10.2.0.0/16",)),
)


def test_allowed_countries_hold_in_every_stage_by_default() -> None:
    snapshot = of_world(None, 99, ALLOWED)
    assert ranked(snapshot, "10.2.0.1")[0] == [(NET, {"net-for-jp"}), (CONTINENT, {"de-open"}), (GLOBAL, {"jp-open"})]
    groups, ranking = ranked(snapshot, "10.1.0.1")
    assert groups == [(COUNTRY, {"de-open", "de-for-de"}), (CONTINENT, {"fr-for-de"}), (GLOBAL, {"jp-open"})]
    assert reasons(snapshot, ranking) == {"jp-for-jp": "DISALLOWED", "net-for-jp": "DISALLOWED"}


def test_today_allowed_countries_hold_for_requested_and_global_hosts_only() -> None:
    snapshot = of_world("mirrormanager", 99, ALLOWED)
    assert ranked(snapshot, "10.2.0.1")[0] == [
        (NET, {"net-for-jp"}),
        (COUNTRY, {"fr-for-de"}),
        (CONTINENT, {"de-open", "de-for-de"}),
        (GLOBAL, {"jp-open"}),
    ]
    groups, _ = ranked(snapshot, "10.2.0.1", Wishes(countries=("de", "jp")))
    assert groups == [(COUNTRY, {"de-open", "jp-open"})]


def test_a_requested_country_whose_hosts_are_not_allowed_is_relaxed_by_default() -> None:
    mirrors = (mirror("de", "DE", allowed=frozenset({"DE"})), mirror("fr", "FR"), mirror("us", "US"))
    groups, ranking = ranked(of_world(None, 1, mirrors), "10.3.0.1", Wishes(countries=("de",)))
    assert (groups, ranking.relaxed) == ([(CONTINENT, {"fr"})], ("country",))
    assert ranked(of_world("mirrormanager", 1, mirrors), "10.3.0.1", Wishes(countries=("de",)))[0] == []


def test_neighbours_come_before_the_rest_of_a_continent_by_default() -> None:
    mirrors = (mirror("ae", "AE"), mirror("jp", "JP"), mirror("jp2", "JP"))
    groups, _ = ranked(of_world(None, 1, mirrors), "10.5.0.1")
    assert groups == [(CONTINENT, {"ae"}), (CONTINENT, {"jp", "jp2"})]
    groups, _ = ranked(of_world("mirrormanager", 1, mirrors), "10.5.0.1")
    assert groups == [(CONTINENT, {"ae", "jp", "jp2"})]


@POLICIES
def test_host_number_zero_is_a_host(compatibility: str | None) -> None:
    mirrors = (mirror("zero", "DE", netblocks=("10.1.0.0/16",), asns=(64496,)), mirror("other", "FR"))
    groups, _ = ranked(of_world(compatibility, 1, mirrors), "10.1.64.1")
    assert groups == [(NET, {"zero"}), (CONTINENT, {"other"})]
    assert HostId(0) in ranked(of_world(compatibility, 1, mirrors), "10.1.64.1")[1].groups[0].hosts


def test_only_ftp_in_a_requested_country_is_no_list_while_there_is_http() -> None:
    mirrors = (mirror("de", "DE", "ftp://de/pub", "rsync://de/pub"), mirror("fr", "FR"), mirror("us", "US"))
    groups, ranking = ranked(of_world(None, 1, mirrors), "10.3.0.1", Wishes(countries=("de",)))
    assert (groups, ranking.relaxed) == ([(CONTINENT, {"fr"})], ("country",))
    wishes = Wishes(countries=("de",), protocols=("ftp",))
    groups, ranking = ranked(of_world(None, 1, mirrors), "10.3.0.1", wishes)
    assert (groups, ranking.relaxed) == ([(COUNTRY, {"de"})], ())
    assert ranked(of_world("mirrormanager", 1, mirrors), "10.3.0.1", Wishes(countries=("de",)))[0] == [
        (COUNTRY, {"de"})
    ]


def test_today_global_hosts_that_are_not_allowed_leave_the_request_to_the_usual_tiers() -> None:
    mirrors = (mirror("us", "US", allowed=frozenset({"DE"})), mirror("fr", "FR", allowed=frozenset({"DE"})))
    groups, _ = ranked(of_world("mirrormanager", 0, mirrors), "10.3.0.1", Wishes(countries=("global",)))
    assert groups == [(COUNTRY, {"us"})]

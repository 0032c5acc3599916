"""What compiling works out: audiences, the best URLs first, names for exclusion, places."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.locate.geoip import Location
from redirector.locate.places import EARTH_RADIUS_KM, distance_km
from redirector.locate.vectors import vector_of
from redirector.model import Catalog, HostId, Place
from redirector.snapshot.audiences import STRANGER, Audience
from redirector.snapshot.snapshot import Snapshot
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.trees import tree_of
from tests.rig import ASNS, GEO, NOW, catalog_of, mirror, snapshot_of


def audience(snapshot: Snapshot, client: str) -> Audience:
    number = snapshot.audiences.find(ip_address(client).packed)
    found = snapshot.audiences.audience(number)
    assert snapshot.audiences.country(number) == found.country
    return found


@given(catalogs(), st.sampled_from(CLIENTS))
def test_an_audience_is_what_a_linear_scan_finds(catalog: Catalog, client: str) -> None:
    found = audience(snapshot_of(catalog), client)
    address = ip_address(client)
    assert found.country == next((at.country for text, at in GEO.items() if address in ip_network(text)), None)
    longest: dict[int, int] = {}
    for n, host in enumerate(catalog.hosts):
        lengths = [network.prefixlen for network in host.netblocks if address in network]
        if lengths:
            longest[n] = max(lengths)
    groups = {length: {n for n, own in longest.items() if own == length} for length in longest.values()}
    assert [(length, set(hosts)) for length, hosts in found.netblocks] == sorted(groups.items(), reverse=True)
    asn = max(
        ((ip_network(text).prefixlen, asn) for text, asn in ASNS.items() if address in ip_network(text)), default=(0, 0)
    )[1]
    members = {n for n, host in enumerate(catalog.hosts) if asn in host.asns}
    assert set(found.asn_hosts) == members
    assert found.asn == (asn if members else None)


@given(catalogs())
def test_who_is_nowhere_is_a_stranger(catalog: Catalog) -> None:
    audiences = snapshot_of(catalog).audiences
    for address in (None, ip_address("192.0.2.1").packed, ip_address("2001:db8:ffff::").packed):
        assert audiences.find(address) == 0
    assert audiences.audience(0) == STRANGER


def test_netblocks_of_more_than_64_bits_count() -> None:
    snapshot = snapshot_of(catalog_of([mirror("a", "DE", netblocks=("2001:db8:1:2:3::/80", "10.1.2.3/32"))]))
    assert audience(snapshot, "2001:db8:1:2:3::9").netblocks == ((80, (HostId(0),)),)
    assert audience(snapshot, "2001:db8:1:2:4::9").netblocks == ()
    assert audience(snapshot, "10.1.2.3").netblocks == ((32, (HostId(0),)),)


def test_urls_are_ordered_https_http_ftp_and_the_rest_as_listed() -> None:
    listed = ("rsync://a/x", "ftp://a/x", "http://a/x", "https://a/x", "http://a/y")
    catalog = catalog_of([mirror("a", "DE", *listed), mirror("b", "DE", "http://b/x")])
    best = ("https://a/x", "http://a/x", "http://a/y", "ftp://a/x", "rsync://a/x")
    assert snapshot_of(catalog).host_sets[0].urls[HostId(0)] == best
    assert snapshot_of(catalog, "mirrormanager").host_sets[0].urls[HostId(0)] == listed


def test_hosts_are_found_by_their_name_and_by_those_of_their_urls() -> None:
    catalog = catalog_of(
        [
            mirror("A.example", "DE", "https://CDN.example:8443/a"),
            mirror("b", "DE", "http://cdn.example/b", "ftp://[2001:db8::1]/b"),
        ]
    )
    names = snapshot_of(catalog).url_names
    assert names == {"a.example": {0}, "b": {1}, "cdn.example": {0, 1}, "2001:db8::1": {1}, "example": {0, 1}}


def test_a_stranger_s_continents_come_from_the_source_before_the_file() -> None:
    snapshot = snapshot_of(replace(catalog_of([]), continents={"DE": "XX", "QQ": "XX"}))
    assert (snapshot.continents["DE"], snapshot.continents["FR"]) == ("XX", "EU")
    assert snapshot.by_continent["XX"] == ("DE", "QQ")
    assert "DE" not in snapshot.by_continent["EU"]


def test_countries_are_all_that_a_client_can_come_from() -> None:
    catalog = replace(catalog_of([]), client_countries=((ip_network("192.0.2.0/24"), "QQ"),))
    snapshot = snapshot_of(catalog)
    assert set(snapshot.countries) == {"QQ", *(at.country for at in GEO.values())}
    assert audience(snapshot, "192.0.2.7").country == "QQ"


def test_a_place_goes_with_the_database_s_country_only() -> None:
    geo = {"10.1.0.0/16": Location("DE", 52.5, 13.4)}
    tree = tree_of(mirror("a", "DE", place=Place(50.0, 8.0)))
    assert audience(snapshot_of(tree, geo=geo), "10.1.0.1").place == Place(52.5, 13.4)
    elsewhere = replace(tree, client_countries=((ip_network("10.1.0.0/24"), "US"),))
    found = audience(snapshot_of(elsewhere, geo=geo), "10.1.0.1")
    assert (found.country, found.place) == ("US", None)


def test_nobody_has_a_place_where_no_mirror_has_one() -> None:
    geo = {"10.1.0.0/16": Location("DE", 52.5, 13.4)}
    assert audience(snapshot_of(tree_of(mirror("a", "DE")), geo=geo), "10.1.0.1").place is None


DEGREES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(DEGREES, DEGREES)
def test_the_product_of_vectors_is_the_distance(a: tuple[float, float], b: tuple[float, float]) -> None:
    cosine = float(np.clip(vector_of(Place(*a)) @ vector_of(Place(*b)), -1, 1))
    assert EARTH_RADIUS_KM * np.arccos(cosine) == pytest.approx(distance_km(Place(*a), Place(*b)), abs=0.2)


def test_a_snapshot_without_anything_is_a_snapshot() -> None:
    snapshot = snapshot_of(catalog_of([]), geo={}, asns={})
    assert (snapshot.counts.hosts, snapshot.loaded, snapshot.countries) == (0, NOW, ())
    assert audience(snapshot, "10.1.0.1").country is None

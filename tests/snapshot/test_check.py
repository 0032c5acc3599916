"""Lint of a whole catalog: each finding with a tiny catalog that has it, and one that has it not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from redirector.model import Catalog, Directory, HostSetId, Place, Severity
from redirector.snapshot.check import NAMED, check_catalog
from tests.answer.catalogs import part_of
from tests.answer.trees import RELEASES, tree_of
from tests.rig import Mirror, catalog_of, mirror

BERLIN, SYDNEY = Place(52.5, 13.4), Place(-33.9, 151.2)


def found(catalog: Catalog, proxies: tuple[str, ...] = ()) -> list[str]:
    problems = check_catalog(catalog, [ip_network(proxy) for proxy in proxies])
    assert all(problem.severity is Severity.WARNING for problem in problems)
    assert not any(problem.fatal or "\n" in str(problem) for problem in problems)
    return [f"{problem.key}: {problem.text}" for problem in problems]


def manager(*mirrors: Mirror) -> Catalog:
    return catalog_of([mirror("whole", "DE"), *mirrors])


def test_a_catalog_without_faults_has_no_problems() -> None:
    mirrors = [mirror("a", "DE", netblocks=("192.0.2.0/24", "2001:db8::/32")), mirror("b", "FR", asns=(64496,))]
    assert found(catalog_of(mirrors), ("127.0.0.0/8",)) == []
    assert found(tree_of(*(mirror(f"m{n}", "DE", place=BERLIN) for n in range(3)))) == []


@pytest.mark.parametrize(
    ("prefix", "share"),
    [
        ("0.0.0.0/0", "100"),
        ("128.0.0.0/1", "50"),
        ("10.0.0.0/7", "0.781"),
        ("2000::/3", "12.5"),
        ("2000::/19", "0.000191"),
    ],
)
def test_a_netblock_far_too_wide_is_named_with_its_share_of_the_world(prefix: str, share: str) -> None:
    line = f"netblock {prefix}: of wide: far too wide, {share} % of all addresses; kept"
    assert found(manager(mirror("wide", "DE", netblocks=(prefix,)))) == [line]


@pytest.mark.parametrize("prefix", ["10.0.0.0/8", "2000::/20"])
def test_what_a_registry_hands_out_is_not_too_wide(prefix: str) -> None:
    assert found(manager(mirror("wide", "DE", netblocks=(prefix,)))) == []


def test_overlapping_netblocks_of_two_hosts_are_named() -> None:
    both = manager(mirror("a", "DE", netblocks=("192.0.2.0/24",)), mirror("b", "DE", netblocks=("192.0.2.0/24",)))
    assert found(both) == ["netblock 192.0.2.0/24: belongs to a, b: their clients get them in random order"]
    nested = manager(mirror("a", "DE", netblocks=("192.0.2.0/24",)), mirror("b", "DE", netblocks=("192.0.2.128/25",)))
    assert found(nested) == ["netblock 192.0.2.128/25: of b lies in 192.0.2.0/24 of a: the longer prefix comes first"]
    own = manager(mirror("a", "DE", netblocks=("192.0.2.0/24", "192.0.2.128/25")))
    assert found(own) == []


def test_a_netblock_that_overlaps_a_trusted_proxy_is_named() -> None:
    catalog = manager(mirror("a", "DE", netblocks=("10.0.0.0/8",)), mirror("b", "DE", netblocks=("2001:db8::/32",)))
    assert found(catalog, ("10.1.2.0/24", "192.0.2.0/24", "::1/128")) == [
        "netblock 10.0.0.0/8: of a overlaps the trusted proxy 10.1.2.0/24: its clients may pose as anybody"
    ]


def test_a_country_that_does_not_exist_is_named() -> None:
    catalog = manager(mirror("a", "XX"), mirror("b", "DE", allowed=frozenset({"DE", "YY"})))
    assert found(catalog) == [
        "country XX: of a does not exist: no client comes from there",
        "country YY: of those that may have b does not exist: no client comes from there",
    ]


def test_coordinates_that_contradict_the_country_are_named() -> None:
    catalog = manager(mirror("a", "DE", place=SYDNEY), mirror("b", "AU", place=SYDNEY), mirror("c", "DE", place=BERLIN))
    assert found(catalog) == [
        "geolocation a: its coordinates -33.90, 151.20 are far from every city of its country DE; kept"
    ]


def test_a_host_without_http_is_named() -> None:
    catalog = manager(mirror("a", "DE", "rsync://a/pub", "ftp://a/pub"), mirror("b", "DE", "http://b/pub"))
    assert found(catalog) == ["address a: has no http or https URL, only ftp, rsync"]


def test_a_private_host_without_networks_is_named() -> None:
    catalog = manager(mirror("a", "DE", private=True), mirror("b", "DE", private=True, asns=(64496,)))
    assert found(catalog) == [
        "private a: private, and names neither a netblock nor an AS number: no client is ever given it"
    ]


def test_a_host_that_carries_nothing_is_named() -> None:
    catalog = manager(mirror("idle", "DE"))
    catalog = replace(catalog, host_sets=(part_of(catalog.host_sets[0], [0], [0]),))
    assert found(catalog) == ["private idle: carries nothing: no client is ever given it"]


def test_a_repository_that_no_public_host_carries_is_named() -> None:
    catalog = manager(mirror("a", "DE", private=True, asns=(64496,)))
    hidden = part_of(catalog.host_sets[0], [1], [])
    directories = {**catalog.directories, "pub/hidden": Directory(HostSetId(1))}
    catalog = replace(
        catalog,
        host_sets=(catalog.host_sets[0], hidden),
        directories=directories,
        repositories={**catalog.repositories, ("hidden", "x86_64"): "pub/hidden"},
    )
    assert found(catalog) == ["repository hidden x86_64: no public host carries its directory pub/hidden"]


def test_a_version_that_no_public_mirror_carries_is_named() -> None:
    tree = tree_of(mirror("a", "DE", place=BERLIN))
    empty = part_of(tree.host_sets[0], [], [])
    releases = replace(RELEASES, module_sets={"kitten": HostSetId(1)})
    assert found(replace(tree, host_sets=(tree.host_sets[0], empty), releases=releases)) == [
        "version 10-kitten: no public mirror carries it",
    ]


def test_of_many_findings_of_a_kind_the_first_are_named_and_the_others_counted() -> None:
    catalog = manager(*(mirror(f"m{n}", "XX") for n in range(NAMED + 7)))
    lines = found(catalog)
    assert lines[:NAMED] == [f"country XX: of m{n} does not exist: no client comes from there" for n in range(NAMED)]
    assert lines[NAMED:] == [
        "country: 7 more of this kind, the last one: of m11 does not exist: no client comes from there"
    ]


def test_problems_bear_the_path_of_the_source() -> None:
    (problem,) = check_catalog(replace(manager(mirror("a", "XX")), path="/srv/snapshot"), ())
    assert str(problem).startswith("/srv/snapshot: country XX: ")


def test_directories_that_nobody_carries_are_named() -> None:
    catalog = manager(mirror("a", "DE"))
    nobody = part_of(catalog.host_sets[0], [], [])
    catalog = replace(
        catalog,
        host_sets=(*catalog.host_sets, nobody),
        directories={**catalog.directories, "pub/empty": Directory(HostSetId(1))},
    )
    assert found(catalog) == ["directory pub/empty: no host carries it: no client can get it"]

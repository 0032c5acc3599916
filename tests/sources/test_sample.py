from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from redirector.model import Catalog
from redirector.snapshot.check import check_catalog
from redirector.sources.mirrors_d.load import load_tree
from tests.rig import NOW
from tests.sources.tree import DAY_S

DATA = Path(__file__).resolve().parents[2] / "data"
DOCUMENTATION = [ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]
"""RFC 5737 and RFC 3849."""

DOCUMENTATION_ASNS = {*range(64496, 64512), *range(65536, 65552)}
"""RFC 5398."""


@pytest.fixture(scope="module")
def sample() -> Catalog:
    return load_tree(str(DATA / "tree"), NOW)


def test_the_sample_has_no_problem(sample: Catalog) -> None:
    assert sample.problems == ()
    assert list(check_catalog(sample, (ip_network("127.0.0.0/8"), ip_network("::1/128")))) == []


def test_the_sample_names_nobody_real(sample: Catalog) -> None:
    for host in sample.hosts:
        assert host.name.endswith(".example.org")
        assert set(host.asns) <= DOCUMENTATION_ASNS
        for network in host.netblocks:
            assert any(ip_address(network[0]) in reserved for reserved in DOCUMENTATION)
    urls = [url for host_set in sample.host_sets for bases in host_set.urls.values() for url in bases]
    assert all(url.partition("://")[2].partition("/")[0].endswith(".example.org") for url in urls)


def test_the_sample_shows_every_kind_of_mirror(sample: Catalog) -> None:
    mirrors = [host for host in sample.hosts if not host.origin]
    assert len(mirrors) == 25
    assert any(host.private and host.monopoly and host.netblocks for host in mirrors)
    assert any(host.private and not host.monopoly and host.asns for host in mirrors)
    assert any(host.local and host.netblocks for host in mirrors)
    assert all(host.place for host in mirrors)
    assert sample.hosts[-1].origin
    assert sample.releases is not None
    assert sample.releases.modules and sample.releases.vault


def test_metalinks_of_the_sample_have_alternates_now_and_in_years(sample: Catalog) -> None:
    later = load_tree(str(DATA / "tree"), NOW + 20 * 365 * DAY_S)
    assert later.details == sample.details
    for versions in sample.details.values():
        times = [detail.timestamp for detail in versions]
        assert len(times) >= 2 and times == sorted(times, reverse=True)
        assert all(detail.sha512 and detail.size_bytes for detail in versions)


@pytest.mark.parametrize(
    ("table", "digest"),
    [
        ("country", "88717d83b14179adeb2c7d2b5945ef550cf7ddab06331d3c61143c1b962ed128"),
        ("asn", "dc293ea466b649d99a781d7857e2617881b4e84e3c0ad1f74387cc6a152ae99d"),
    ],
)
def test_the_tables_are_the_real_ones_with_their_licence_beside_them(table: str, digest: str) -> None:
    assert sha256((DATA / "geoip" / f"{table}.mmdb").read_bytes()).hexdigest() == digest
    licence = (DATA / "geoip" / "LICENSE.md").read_text()
    assert f"{table}.mmdb" in licence and "CC BY-SA 4.0" in licence and "IPFire" in licence


def test_the_readme_names_everything_that_lies_there() -> None:
    readme = (DATA / "README.md").read_text()
    for path in (*DATA.iterdir(), *(DATA / "tree").iterdir()):
        if path.name != "README.md":
            assert path.name in readme, path

"""`redirector place`: which mirrors are looked up, what is believed, and what becomes of the places file."""

from __future__ import annotations

import json
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.cli.main import main
from redirector.cli.output import Exit
from redirector.cli.placing import Resolver, place_mirrors, resolve
from redirector.errors import ConfigError, SnapshotError
from redirector.plain_yaml import parse_yaml
from redirector.settings.serving import Config
from redirector.sources.mirrors_d.load import load_tree
from tests.real import GEOIP

NOW = 1_790_000_000
CITY = str(GEOIP / "GeoLite2-City-Test.mmdb")
COUNTRY = str(GEOIP / "GeoLite2-Country-Test.mmdb")

LONDON, LINKOEPING, NOWHERE = "81.2.69.142", "89.160.20.112", "192.0.2.1"

TREE = """\
versions: [9.8]
arches: {9.8: [x86_64]}
repos: [{name: baseos, path: BaseOS/$basearch/os}]
"""
MIRROR = """\
name: {name}
address: {{https: 'https://www.{name}/alma'}}
update_frequency: 3h
sponsor: Example
sponsor_url: https://example.org
"""


def tree(folder: Path, *names: str, places: str | None = None, **more: str) -> str:
    """A tree of mirrors without geolocation; *more* are lines to add to the file of a mirror of that name."""
    (folder / "mirrors.d").mkdir()
    (folder / "config.yml").write_text(TREE + "places: places.yml\n")
    for name in (*names, *more):
        (folder / f"mirrors.d/{name}.example.yml").write_text(
            MIRROR.format(name=f"{name}.example") + more.get(name, "") + "\n"
        )
    if places is not None:
        (folder / "places.yml").write_text(places)
    return str(folder)


def resolver(**addresses: str) -> Resolver:
    """A resolver that knows the name of each mirror's web address, and no other."""
    known = {
        f"www.{name}.example": [ip_address(text).packed for text in texts.split()] for name, texts in addresses.items()
    }
    return lambda name: known.get(name, ())


def places(folder: Path) -> object:
    return parse_yaml((folder / "places.yml").read_bytes()).value


def test_what_is_found_is_what_the_next_load_reads(tmp_path: Path) -> None:
    source = tree(tmp_path, "a", "b")
    placement = place_mirrors(Config(source=source, geoip=CITY), NOW, resolver(a=LONDON, b=LINKOEPING))
    assert sorted(placement.placed) == ["a.example", "b.example"]
    assert placement.missing == {}
    hosts = {host.name: host for host in load_tree(source, NOW).hosts}
    assert [hosts[name].country for name in ("a.example", "b.example")] == ["GB", "SE"]
    assert hosts["a.example"].place == placement.placed["a.example"].place
    assert (tmp_path / "places.yml").read_text().startswith("# Where mirrors are")


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ("", "no address"),
        (NOWHERE, "does not know its addresses"),
        (f"{LONDON} {LINKOEPING}", "its addresses are in GB and SE"),
    ],
)
def test_a_mirror_that_cannot_be_placed_is_named_with_the_reason(tmp_path: Path, addresses: str, reason: str) -> None:
    placement = place_mirrors(Config(source=tree(tmp_path, "a"), geoip=CITY), NOW, resolver(a=addresses))
    assert reason in placement.missing["a.example"]
    assert not (tmp_path / "places.yml").exists()


def test_one_known_address_is_enough(tmp_path: Path) -> None:
    placement = place_mirrors(Config(source=tree(tmp_path, "a"), geoip=CITY), NOW, resolver(a=f"{NOWHERE} {LONDON}"))
    assert placement.placed["a.example"].country == "GB"


def test_only_public_mirrors_without_geolocation_are_looked_up(tmp_path: Path) -> None:
    asked: list[str] = []

    def resolve(name: str) -> Collection[bytes]:
        asked.append(name)
        return ()

    source = tree(
        tmp_path,
        "plain",
        settled="geolocation: {country: DE}",
        private="private: true\nasn: 64496",
        cloud="cloud_type: aws\ncloud_regions: [all]",
        known="",
        places="known.example: {country: DE, latitude: 50, longitude: 10}",
    )
    place_mirrors(Config(source=source, geoip=CITY), NOW, resolve)
    assert asked == ["www.plain.example"]


def test_entries_are_kept_and_rough_ones_are_refined_within_their_country(tmp_path: Path) -> None:
    before = (
        "# by hand\n# and with care\n"
        "rough.example: {country: GB}\n"
        "moved.example: {country: 'NO'}\n"
        "exact.example: {country: FR, latitude: 1.5, longitude: 2}\n"
        "stranger.example: {country: JP} # not a mirror\n"
    )
    source = tree(tmp_path, "rough", "moved", "exact", places=before)
    found = resolver(rough=LONDON, moved=LONDON, exact=LONDON)
    placement = place_mirrors(Config(source=source, geoip=CITY), NOW, found)
    assert list(placement.placed) == ["rough.example"]
    assert "the database says GB, and the places file NO" in placement.missing["moved.example"]
    assert (tmp_path / "places.yml").read_text().startswith("# by hand\n# and with care\n")
    rough = placement.placed["rough.example"].place
    assert rough is not None
    assert places(tmp_path) == {
        "exact.example": {"country": "FR", "latitude": "1.5", "longitude": "2.0"},
        "moved.example": {"country": "NO"},
        "rough.example": {"country": "GB", "latitude": str(rough.latitude), "longitude": str(rough.longitude)},
        "stranger.example": {"country": "JP"},
    }


def test_a_country_database_gives_countries_once(tmp_path: Path) -> None:
    config = Config(source=tree(tmp_path, "a"), geoip=COUNTRY)
    assert list(place_mirrors(config, NOW, resolver(a=LONDON)).placed) == ["a.example"]
    assert places(tmp_path) == {"a.example": {"country": "GB"}}
    written = (tmp_path / "places.yml").stat()
    again = place_mirrors(config, NOW, resolver(a=LONDON))
    assert (again.placed, again.missing) == ({}, {})
    assert (tmp_path / "places.yml").stat() == written


@pytest.mark.parametrize("text", ["a.example: {country: Atlantis}\n", "- a\n", "a: [1\n"])
def test_a_places_file_that_cannot_be_read_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    source = tree(tmp_path, "a", places=text)
    with pytest.raises(SnapshotError) as caught:
        place_mirrors(Config(source=source, geoip=CITY), NOW, resolver(a=LONDON))
    assert "places.yml" in str(caught.value)
    assert (tmp_path / "places.yml").read_text() == text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = tree(tmp_path, "a")
    (tmp_path / "config.yml").write_text(TREE + "places: absent/places.yml\n")
    with pytest.raises(SnapshotError, match=r"absent/places\.yml: file: cannot be written: No such file"):
        place_mirrors(Config(source=source, geoip=CITY), NOW, resolver(a=LONDON))


def test_what_it_needs_is_said(tmp_path: Path) -> None:
    source = tree(tmp_path, "a")
    with pytest.raises(ConfigError, match="--geoip"):
        place_mirrors(Config(source=source), NOW)
    with pytest.raises(ConfigError, match="a tree is needed"):
        place_mirrors(Config(source=str(tmp_path / "places.yml"), geoip=CITY), NOW)
    (tmp_path / "config.yml").write_text(TREE)
    with pytest.raises(ConfigError, match=r"places: places\.yml"):
        place_mirrors(Config(source=source, geoip=CITY), NOW)


def test_the_systems_resolver_reads_names_and_addresses() -> None:
    assert ip_address("127.0.0.1").packed in resolve("localhost")
    assert resolve("::1") == (ip_address("::1").packed,)
    assert resolve("under..dots") == ()


def test_the_command_prints_what_it_wrote_and_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tree(tmp_path, "a", "b")
    monkeypatch.setattr(place_mirrors, "__defaults__", (resolver(a=LONDON),))
    assert main(["place", "--source", source, "--geoip", COUNTRY]) == Exit.DONE
    captured = capsys.readouterr()
    assert captured.out == f'a.example: country: "GB"\n{tmp_path}/places.yml: 1 placed, 1 not found\n'
    assert captured.err == "redirector: b.example: its name has no address\n"
    assert main(["place", "--source", source, "--geoip", COUNTRY, "--json"]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert told == {"path": f"{tmp_path}/places.yml", "placed": {}, "missing": {"b.example": "its name has no address"}}
    assert main(["place", "--source", source]) == Exit.WRONG_USAGE
    assert main(["place", "--source", source, "--geoip", str(tmp_path / "absent")]) == Exit.FAILED


def test_with_an_as_table_every_public_mirror_gets_the_as_of_its_address(tmp_path: Path) -> None:
    line = "geolocation: {country: GB, city: London}"
    source = tree(tmp_path, "a", b=line, c=line + "\nown_asn: 64511", d=line + "\nprivate: true", e=line)
    (tmp_path / "asn.txt").write_text("81.2.69.0/24 64500\n89.160.20.0/24 64501\n")
    config = Config(source=source, geoip=CITY, asn=str(tmp_path / "asn.txt"))
    known = resolver(a=LONDON, b=LINKOEPING, c=LONDON, d=LONDON, e=f"{LONDON} {LINKOEPING}")
    assert sorted(place_mirrors(config, NOW, known).placed) == ["a.example", "b.example"]
    hosts = {host.name: host for host in load_tree(source, NOW).hosts}
    assert [hosts[f"{name}.example"].own_asn for name in "abcde"] == [64500, 64501, 64511, None, None]
    assert hosts["a.example"].country == "GB"
    assert place_mirrors(config, NOW, known).placed == {}

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from redirector.errors import SnapshotError
from redirector.locate.places import distance_km
from redirector.model import Catalog, Dialect, FileDetail, HostId, Place
from redirector.sources.mirrors_d.load import load_tree
from redirector.sources.mirrors_d.remembered import render_details
from tests.sources.tree import (
    CONFIG,
    DAY_S,
    NOW,
    health_text,
    hosts_of,
    load,
    mirror_files,
    mirror_text,
    problems_of,
    repomd,
    write_tree,
)

BERLIN = Place(52.52437, 13.41053)


@pytest.fixture(scope="module")
def real(real_tree: Path) -> Catalog:
    return load_tree(str(real_tree), NOW)


def test_a_small_tree_without_oddity_has_no_problem(tmp_path: Path) -> None:
    catalog = load(tmp_path, mirror_files("a.example.org", "b.example.org"))
    assert catalog.problems == ()
    assert catalog.dialect is Dialect.ALMALINUX
    assert [host.name for host in catalog.hosts] == ["a.example.org", "b.example.org"]
    assert catalog.hosts[0].place == BERLIN
    assert sorted(os.path.relpath(path, tmp_path) for path in catalog.inputs) == [
        "config.yml",
        "mirrors.d/a.example.org.yml",
        "mirrors.d/b.example.org.yml",
    ]


def test_a_tree_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    write_tree(tmp_path, mirror_files("a.example.org", "b.example.org"))
    for mtime, name in (
        (100, "config.yml"),
        (300, "mirrors.d/a.example.org.yml"),
        (200, "mirrors.d/b.example.org.yml"),
    ):
        os.utime(tmp_path / name, (mtime, mtime))
    assert load_tree(str(tmp_path), NOW).built == 300


# The directories


def test_directories_bear_listed_mapped_and_module_versions_but_none_of_the_vault(tmp_path: Path) -> None:
    catalog = load(tmp_path, mirror_files("a.example.org"))
    versions = {name.partition("/")[0] for name in catalog.directories}
    assert versions == {"8", "8.10", "9", "9.8", "10-kitten"}
    assert {name for name in catalog.directories if name.startswith("9.8/")} == {
        "9.8/BaseOS/$basearch/os",
        "9.8/BaseOS/x86_64/os",
        "9.8/BaseOS/x86_64/os/repodata",
        "9.8/BaseOS/aarch64/os",
        "9.8/BaseOS/aarch64/os/repodata",
        "9.8/CRB/$basearch/os",
        "9.8/CRB/x86_64/os",
        "9.8/CRB/x86_64/os/repodata",
        "9.8/CRB/aarch64/os",
        "9.8/CRB/aarch64/os/repodata",
        "9.8/isos/x86_64",
        "9.8/isos/aarch64",
    }
    assert "8.10/CRB/x86_64/os" not in catalog.directories
    assert "10-kitten/CRB/x86_64/os" in catalog.directories


def test_a_short_version_names_the_directory_of_the_full_one(tmp_path: Path) -> None:
    directories = load(tmp_path, mirror_files("a.example.org")).directories
    for name in ("9/BaseOS/x86_64/os", "9/BaseOS/x86_64/os/repodata", "9/isos/x86_64"):
        assert directories[name].subpath_of(name) == f"9.8{name[1:]}"
        full = f"9.8{name[1:]}"
        assert directories[full].subpath_of(full) == full


def test_modules_are_carried_by_those_that_have_an_address_for_them(tmp_path: Path) -> None:
    files = mirror_files("a.example.org", "b.example.org")
    line = "address_optional: {kitten: {https: 'https://b.example.org/kitten/'}}"
    files["mirrors.d/b.example.org.yml"] = mirror_text("b.example.org", line)
    catalog = load(tmp_path, files, CONFIG + "primary_url: https://origin.example.org/\n")
    assert catalog.releases is not None
    kitten = catalog.host_sets[catalog.releases.module_sets["kitten"]]
    assert kitten.urls == {1: ("https://b.example.org/kitten",), 2: ("https://origin.example.org",)}
    assert catalog.directories["10-kitten/BaseOS/x86_64/os"].host_set == catalog.releases.module_sets["kitten"]


# The hosts


def test_private_mirrors_and_those_of_clouds_are_not_for_strangers(tmp_path: Path) -> None:
    files = mirror_files("a.example.org")
    files["mirrors.d/p.example.org.yml"] = mirror_text("p.example.org", "private: true", "asn: 64500")
    files["mirrors.d/c.example.org.yml"] = mirror_text("c.example.org", "cloud_type: aws", "cloud_regions: [all]")
    files["aws.json"] = json.dumps({"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "us-east-1"}]})
    catalog = load(tmp_path, files, CONFIG + "cloud_ranges: {aws: aws.json}\n")
    assert catalog.problems == ()
    hosts = hosts_of(catalog)
    assert (hosts["p.example.org"].private, hosts["p.example.org"].asns) == (True, (64500,))
    assert hosts["c.example.org"].local
    assert hosts["c.example.org"].netblocks == (ip_network("192.0.2.0/24"),)
    standard = catalog.host_sets[0]
    assert [catalog.hosts[host].name for host in standard.urls] == ["a.example.org", "c.example.org", "p.example.org"]
    assert standard.public == (HostId(0),)
    assert standard.by_country == {"DE": (HostId(0),)}


def test_a_private_mirror_without_networks_stays_private_and_is_reported(tmp_path: Path) -> None:
    catalog = load(tmp_path, {"mirrors.d/p.yml": mirror_text("p", "private: true")})
    assert catalog.hosts[0].private
    assert catalog.host_sets[0].public == ()
    assert problems_of(catalog) == [
        "mirrors.d/p.yml: private: true without subnets, asn or cloud ranges: given to nobody"
    ]


@pytest.mark.parametrize(
    ("config", "ranges", "problem"),
    [
        ("", "{}", "cloud_type: aws has no list in cloud_ranges of config.yml: no ranges are known"),
        (
            "cloud_ranges: {aws: none.json}\n",
            "{}",
            "none.json: file: No such file or directory: no ranges of aws are known",
        ),
        ("cloud_ranges: {aws: aws.json}\n", "{}", "aws.json: file: Object missing required field `prefixes`"),
        (
            "cloud_ranges: {aws: aws.json}\n",
            '{"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "mars"}]}',
            "cloud_regions: moon: not in the list of aws",
        ),
    ],
)
def test_a_mirror_whose_cloud_is_not_known_is_reported_and_given_to_nobody(
    tmp_path: Path, config: str, ranges: str, problem: str
) -> None:
    mirror = mirror_text("c", "cloud_type: aws", "cloud_regions: [moon]")
    catalog = load(tmp_path, {"mirrors.d/c.yml": mirror, "aws.json": ranges}, CONFIG + config)
    assert any(problem in line for line in problems_of(catalog))
    assert catalog.hosts[0].local and catalog.hosts[0].netblocks == ()


def test_the_origin_is_the_last_host_and_carries_everything(tmp_path: Path) -> None:
    catalog = load(
        tmp_path, mirror_files("a.example.org"), CONFIG + "primary_url: https://origin.example.org:8443/all/\n"
    )
    origin = catalog.hosts[-1]
    assert (origin.name, origin.origin, origin.private) == ("origin.example.org:8443", True, False)
    assert all(host_set.urls[HostId(1)] == ("https://origin.example.org:8443/all",) for host_set in catalog.host_sets)


def test_an_origin_that_is_a_mirror_too_has_a_name_of_its_own(tmp_path: Path) -> None:
    catalog = load(tmp_path, mirror_files("a.example.org"), CONFIG + "primary_url: https://A.example.org/pub\n")
    assert [host.name for host in catalog.hosts] == ["a.example.org", "primary_url"]
    assert problems_of(catalog) == []
    same = load(tmp_path, mirror_files("a.example.org"), CONFIG + "primary_url: https://a.example.org/pub\n")
    assert problems_of(same) == [
        "config.yml: primary_url: https://a.example.org/pub is a mirror too: listed once, last"
    ]


# Places


PLACED = {
    "{country: DE, latitude: 1.5, longitude: -2.5}": Place(1.5, -2.5),
    "{country: DE, latitude: 1.5, longitude: -2.5, city: Munich}": Place(1.5, -2.5),
    "{country: DE, city: Munich}": Place(48.137, 11.575),
    "{country: DE, city: MÜNCHEN}": Place(48.137, 11.575),
    "{country: US, city: Portland}": Place(45.523, -122.676),
    "{country: US, state_province: Maine, city: Portland}": Place(43.657, -70.259),
    "{country: US, state_province: ME, city: Nowhere}": Place(43.657, -70.259),
    "{country: PT, state_province: Lisbon, city: Nowhere}": Place(38.725, -9.150),
    "{country: DE, city: Nowhere}": BERLIN,
    "{country: DE}": BERLIN,
}


def test_a_mirror_stands_where_it_says_or_in_its_city_state_or_country(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"mirrors.d/m{number}.yml": mirror_text(f"m{number}", f"geolocation: {geolocation}")
        for number, geolocation in enumerate(PLACED)
    }
    catalog = load(tmp_path, files)
    for host, expected in zip(catalog.hosts, PLACED.values(), strict=True):
        assert host.place is not None and distance_km(host.place, expected) < 1, host
    reported = [problem.text for problem in catalog.problems if problem.key == "geolocation.city"]
    assert reported == [f"'Nowhere' is not in the gazetteer: placed in {where}" for where in ("ME", "Lisbon", "DE")]


def test_the_places_file_places_those_that_do_not_say_where_they_are(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"mirrors.d/{name}.yml": mirror_text(name, "geolocation:") for name in "abcd"}
    files |= mirror_files("e")
    files["places.yml"] = """\
a: {country: FR, latitude: 48.85, longitude: 2.35}
b: {country: UK}
c: {latitude: 1, longitude: x}
e: {country: FR, latitude: 10, longitude: 20}
z: {country: FR}
"""
    catalog = load(tmp_path, files, CONFIG + "places: places.yml\n")
    hosts = hosts_of(catalog)
    assert (hosts["a"].country, hosts["a"].place) == ("FR", Place(48.85, 2.35))
    assert hosts["b"].country == "GB" and hosts["b"].place is not None
    assert (hosts["c"].place, hosts["d"].place) == (None, None)
    assert (hosts["e"].country, hosts["e"].place) == ("DE", Place(10, 20))
    assert problems_of(catalog) == [
        "mirrors.d/c.yml: geolocation: c cannot be placed: it comes after those that can",
        "mirrors.d/d.yml: geolocation: d cannot be placed: it comes after those that can",
        "places.yml: file: no such mirror: z: left out",
        "places.yml: b.country: 'UK': taken as GB",
        "places.yml: c.longitude: 'x' is no number from -180 to 180: left out",
    ]


# Health


def test_health_marks_hosts_and_the_versions_that_they_lack(tmp_path: Path) -> None:
    files = mirror_files("a", "b", "c")
    line = "address_optional: {kitten: {https: 'https://a/kitten/'}}"
    files["mirrors.d/a.yml"] = mirror_text("a", line)
    entries = {
        "a": {"versions": ["8.10", "9"]},
        "b": {"up": False, "reason": "TIME is old", "versions": ["8"], "ipv6": True},
        "c": {"versions": ["8", "9.8", "77"]},
    }
    files["health.json"] = health_text(entries)
    catalog = load(tmp_path, files, CONFIG + "health: health.json\n")
    hosts, releases = hosts_of(catalog), catalog.releases
    assert releases is not None
    assert (hosts["b"].up, hosts["b"].down_reason, hosts["b"].ipv6) == (False, "TIME is old", True)
    assert {name.partition("/")[0] for name in releases.directory_sets} == {"9.8"}
    nine = catalog.directories["9/BaseOS/x86_64/os"].host_set
    assert {releases.directory_sets[name] for name in releases.directory_sets} == {nine}
    assert set(catalog.host_sets[nine].urls) == {0, 2}
    assert catalog.host_sets[nine].lacking == (1,)
    assert catalog.directories["8/BaseOS/x86_64/os"].host_set == releases.standard_set
    assert problems_of(catalog) == [
        "health.json: mirrors.c.versions: no such version '77'",
        "health.json: lacking: nobody would have 10-kitten/BaseOS/$basearch/os, 10-kitten/BaseOS/x86_64/os, "
        "10-kitten/BaseOS/x86_64/os/repodata, 10-kitten/BaseOS/aarch64/os, 10-kitten/BaseOS/aarch64/os/repodata "
        "and 7 more: "
        "not believed of these",
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("none.json", "No such file or directory"), ("empty.json", "no JSON (Input data was truncated)")],
)
def test_a_health_file_that_is_missing_or_empty_is_reported(tmp_path: Path, name: str, problem: str) -> None:
    catalog = load(tmp_path, {**mirror_files("a"), "empty.json": ""}, CONFIG + f"health: {name}\n")
    assert problems_of(catalog) == [f"{name}: file: {problem}: health is ignored"]
    assert catalog.hosts[0].up


# The master tree


def test_details_come_from_the_master_tree_and_alternates_from_its_history(tmp_path: Path) -> None:
    files = mirror_files("a")
    base = "BaseOS/x86_64/os/repodata/repomd.xml"
    newest, before = int(NOW - DAY_S), int(NOW - 2 * DAY_S)
    files[f"master/9.8/{base}"] = repomd(newest)
    files[f"history/1/9.8/{base}"] = repomd(before)
    files["master/8/CRB/x86_64/os/repodata/repomd.xml"] = repomd(newest)
    files["master/8.3/CRB/x86_64/os/repodata/repomd.xml"] = repomd(newest)
    files["master/9/BaseOS/Source/repodata/repomd.xml"] = repomd(newest)
    files["master/10-kitten/CRB/x86_64/os/repodata/repomd.xml"] = b"<html/>"
    catalog = load(tmp_path, files, CONFIG + "primary: master\nprimary_history: history\n")
    assert set(catalog.details) == {
        ("9.8/BaseOS/x86_64/os/repodata", "repomd.xml"),
        ("9/BaseOS/x86_64/os/repodata", "repomd.xml"),
        ("8.3/CRB/x86_64/os/repodata", "repomd.xml"),
        ("9.8/BaseOS/Source/repodata", "repomd.xml"),
        ("9/BaseOS/Source/repodata", "repomd.xml"),
    }
    versions = catalog.details["9.8/BaseOS/x86_64/os/repodata", "repomd.xml"]
    assert [detail.timestamp for detail in versions] == [newest, before]
    assert [problem.key for problem in catalog.problems] == ["file"]
    assert sum(path.endswith("repomd.xml") for path in catalog.inputs) == 5


def test_details_come_from_a_scan_where_the_master_is_elsewhere(tmp_path: Path) -> None:
    newest, before = (FileDetail(int(NOW - age * DAY_S), 5, sha256=digit * 64) for age, digit in ((1, "a"), (2, "b")))
    files = mirror_files("a")
    files["details.json"] = render_details({"9.8/BaseOS/x86_64/os": (newest, before), "9.8/unknown": (newest,)})
    catalog = load(tmp_path, files, CONFIG + "details: details.json\n")
    assert set(catalog.details) == {
        ("9.8/BaseOS/x86_64/os/repodata", "repomd.xml"),
        ("9/BaseOS/x86_64/os/repodata", "repomd.xml"),
    }
    assert catalog.details["9/BaseOS/x86_64/os/repodata", "repomd.xml"] == (newest, before)
    assert any(path.endswith("details.json") for path in catalog.inputs) and not catalog.problems


def test_where_a_scan_and_the_master_are_there_the_scan_adds_alternates(tmp_path: Path) -> None:
    newest, before = int(NOW - DAY_S), FileDetail(int(NOW - 2 * DAY_S), 5, sha256="b" * 64)
    files = mirror_files("a")
    files["master/9.8/BaseOS/x86_64/os/repodata/repomd.xml"] = repomd(newest)
    files["details.json"] = render_details({"9.8/BaseOS/x86_64/os": (before,)})
    catalog = load(tmp_path, files, CONFIG + "primary: master\ndetails: details.json\n")
    versions = catalog.details["9.8/BaseOS/x86_64/os/repodata", "repomd.xml"]
    assert versions[0].timestamp == newest and versions[1] == before


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"format":2,"directories":{}}', b"<html>"])
def test_details_that_cannot_be_read_are_a_problem_and_no_more(tmp_path: Path, raw: bytes) -> None:
    catalog = load(tmp_path, {**mirror_files("a"), "details.json": raw}, CONFIG + "details: details.json\n")
    assert catalog.details == {}
    (problem,) = problems_of(catalog)
    assert problem.startswith("details.json: file: ") and problem.endswith(": metalinks do without it")


def test_keys_of_the_config_say_how_long_alternates_stay(tmp_path: Path) -> None:
    files = mirror_files("a")
    for push, age_days in (("master", 10), ("history/1", 20), ("history/2", 30)):
        files[f"{push}/9.8/BaseOS/Source/repodata/repomd.xml"] = repomd(int(NOW - age_days * DAY_S))
    config = CONFIG + "primary: master\nprimary_history: history\n"

    def count(more: str) -> int:
        return len(load(tmp_path, files, config + more).details["9.8/BaseOS/Source/repodata", "repomd.xml"])

    assert count("") == 1
    assert count("alternates_second_days: 11\n") == 2
    assert count("alternates_second_days: 11\nalternates_other_days: 31\n") == 3


# Broken files


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize("make", [make_directory, make_pipe, make_dangling_link, make_loop, make_huge])
def test_what_is_no_file_of_moderate_size_never_stops_the_rest(tmp_path: Path, make: Callable[[Path], None]) -> None:
    write_tree(tmp_path, mirror_files("a", "z"))
    make(tmp_path / "mirrors.d" / "m.yml")
    catalog = load_tree(str(tmp_path), NOW)
    assert [host.name for host in catalog.hosts] == ["a", "z"]
    assert [(Path(problem.path).name, problem.key) for problem in catalog.problems] == [("m.yml", "file")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02",
        b"\xff\xfe\xfd",
        b"just a text",
        b"- a\n- b\n",
        b"name: [",
        b"name: b\n---\nname: c\n",
        b"[" * 50_000,
        b"a: &a [x]\nb: *c\n",
        b"!!python/object/apply:os.abort []",
        mirror_text("b").encode("utf-16"),
    ],
)
def test_a_broken_mirror_file_never_stops_the_rest(tmp_path: Path, content: bytes) -> None:
    catalog = load(tmp_path, {**mirror_files("a", "z"), "mirrors.d/b.yml": content})
    assert [host.name for host in catalog.hosts] == ["a", "z"]
    assert {Path(problem.path).name for problem in catalog.problems} == {"b.yml"}


def test_the_first_of_two_files_with_one_name_counts(tmp_path: Path) -> None:
    files = mirror_files("a.example.org")
    files["mirrors.d/b.yml"] = mirror_text("A.Example.org", "geolocation: {country: FR}")
    catalog = load(tmp_path, files)
    assert [host.country for host in catalog.hosts] == ["DE"]
    assert problems_of(catalog)[-1] == (
        "mirrors.d/b.yml: name: A.Example.org is in mirrors.d/a.example.org.yml already: left out"
    )


def test_files_that_are_no_mirror_files_are_left_out(tmp_path: Path) -> None:
    catalog = load(tmp_path, {**mirror_files("a"), "mirrors.d/.hidden.yml": "x", "mirrors.d/README.md": "x"})
    assert len(catalog.hosts) == 1
    assert problems_of(catalog) == ["mirrors.d/README.md: file: its name does not end in .yml: left out"]


def test_mirror_files_in_folders_are_read(tmp_path: Path) -> None:
    files = mirror_files("b.example.org", "de/a.example.org", "de/north/c.example.org", ".git/x.example.org")
    files = {name: str(text).replace("de/north/", "").replace("de/", "") for name, text in files.items()}
    files["mirrors.d/d.YAML"] = mirror_text("d")
    (tmp_path / "mirrors.d/de").mkdir(parents=True)
    (tmp_path / "mirrors.d/de/up").symlink_to(tmp_path / "mirrors.d")
    catalog = load(tmp_path, files)
    assert [host.name for host in catalog.hosts] == ["b.example.org", "d", "a.example.org", "c.example.org"]
    assert problems_of(catalog) == []


@pytest.mark.parametrize("text", [mirror_text("a") + "---\n", "---\n---\n" + mirror_text("a") + "...\n---\n~\n"])
def test_documents_that_hold_nothing_cost_no_mirror(tmp_path: Path, text: str) -> None:
    catalog = load(tmp_path, {"mirrors.d/a.yml": text})
    assert [host.name for host in catalog.hosts] == ["a"]
    (problem,) = problems_of(catalog)
    assert problem.startswith("mirrors.d/a.yml: file: documents begin in lines ")


def test_words_are_what_stands_in_the_file(tmp_path: Path) -> None:
    config = CONFIG.replace("versions: [8, 8.10, 9, 9.8]", "versions: [8, 8.10, 9, 9.8, on]")
    config += "  - {name: yes, path: On/$basearch}\n"
    catalog = load(tmp_path, {"mirrors.d/a.yml": mirror_text("a", "sponsor: Off")}, config)
    assert catalog.releases is not None
    assert "on" in catalog.releases.versions and catalog.releases.repositories["yes"].path == "On/$basearch"
    assert catalog.hosts[0].sponsor == "Off"


def test_a_withheld_mirror_stays_in_the_catalog_and_is_given_to_nobody(tmp_path: Path) -> None:
    files = mirror_files("a")
    files["mirrors.d/b.yml"] = mirror_text("b", "geolocation: {country: DE, private: true}", "subnets: [192.0.2.0/24]")
    files["mirrors.d/c.yml"] = mirror_text("c", "disabled: true", "asn: 64500")
    catalog = load(tmp_path, files)
    hosts = hosts_of(catalog)
    assert catalog.host_sets[0].public == (HostId(0),)
    assert all(hosts[name].private and not hosts[name].netblocks + hosts[name].asns for name in "bc")
    assert [str(problem.severity) for problem in catalog.problems] == ["Severity.ERROR"]


def test_line_ends_marks_and_document_marks_make_no_difference(tmp_path: Path) -> None:
    text = "---\n" + mirror_text("a", "sponsor: Universität") + "...\n"
    unix = load(tmp_path / "unix", {"mirrors.d/a.yml": text})
    windows = load(tmp_path / "windows", {"mirrors.d/a.yml": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()})
    assert [replace(host, file="") for host in windows.hosts] == [replace(host, file="") for host in unix.hosts]
    assert problems_of(windows) == ["mirrors.d/a.yml: line ends: CRLF instead of LF: read all the same"]


def test_a_file_name_that_cannot_be_printed_stands_escaped_in_one_line(tmp_path: Path) -> None:
    write_tree(tmp_path, mirror_files("a"))
    with open(os.fsencode(tmp_path) + b"/mirrors.d/\xff\n.yml", "wb") as file:
        file.write(b"[")
    (problem,) = load_tree(str(tmp_path), NOW).problems
    assert problem.path.endswith("/mirrors.d/\\udcff\\n.yml")
    assert str(problem).isprintable()


# What cannot be served


@pytest.mark.parametrize(
    ("files", "config", "keys"),
    [
        (mirror_files("a"), "[", {"file"}),
        (mirror_files("a"), "versions: ['9']", {"arches", "repos"}),
        ({}, CONFIG, {"mirrors_dir"}),
        ({"mirrors.d/a.yml": "["}, CONFIG, {"mirrors_dir"}),
        (mirror_files("a"), CONFIG + "mirrors_dir: none\n", {"mirrors_dir"}),
    ],
)
def test_a_tree_without_versions_or_mirrors_cannot_be_served(
    tmp_path: Path, files: dict[str, str | bytes], config: str, keys: set[str]
) -> None:
    with pytest.raises(SnapshotError) as refused:
        load(tmp_path, files, config)
    fatal = [problem for problem in refused.value.problems if problem.fatal]
    assert {problem.key for problem in fatal} == keys
    assert {Path(problem.path).name for problem in fatal} == {"config.yml"}


def test_all_problems_are_told_when_a_tree_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError) as refused:
        load(tmp_path, {"mirrors.d/a.yml": "[", "mirrors.d/b.yml": "{"}, CONFIG + "colour: red\n")
    assert [(Path(problem.path).name, problem.key) for problem in refused.value.problems] == [
        ("config.yml", "colour"),
        ("a.yml", "file"),
        ("b.yml", "file"),
        ("config.yml", "mirrors_dir"),
    ]


def test_a_directory_without_config_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"config.yml: file: No such file or directory: nothing can be served"):
        load_tree(str(tmp_path), NOW)


# The real tree


def test_all_files_of_the_real_tree_load(real: Catalog) -> None:
    assert len(real.hosts) == 530
    assert len(real.inputs) == 531
    assert not any(problem.fatal for problem in real.problems)
    assert real.releases is not None
    assert len(real.releases.repositories) == 61
    assert len(real.host_sets[real.releases.module_sets["kitten"]].urls) == 50
    countries = Counter(host.country for host in real.hosts)
    assert (countries["US"], countries["CA"], countries["NL"], countries["DE"]) == (107, 21, 21, 20)
    assert (countries["GB"], countries["UK"], countries[None]) == (13, 0, 81)


def test_the_real_tree_takes_no_time_out_of_proportion(real: Catalog) -> None:
    started = time.process_time()
    load_tree(real.path, NOW)
    assert time.process_time() - started < 20, "it takes one on a busy machine: something goes with the square"


ODDITIES = {
    "address.http": 4,
    "address.https": 2,
    "address": 11,
    "name": 36,
    "address.rsync": 6,
    "address_options": 1,
    "geolocation.country": 6,
    "geolocation.City": 1,
    "geolocation.asn": 1,
    "geolocation.continent": 1,
    "sponsor_url": 5 + 1,
    "private": 21,
    "line ends": 5,
    "geolocation": 78 + 2,
    "cloud_type": 2,
    "repos.versions": 1,
}
"""Key -> files where the contract knows of one; 1 and 2 more write a key twice."""


def test_every_oddity_of_the_real_tree_is_named(real: Catalog) -> None:
    found = Counter(problem.key for problem in real.problems)
    assert {key: found[key] for key in ODDITIES} == ODDITIES


REAL_PROBLEMS = """
alma.binaryracks.com.yml: geolocation.country: 'UK': taken as GB
syd.mirror.rackspace.com.yml: geolocation.country: 'Australia': taken as AU
de.mirrors.cicku.me.yml: geolocation.country: 'Germany': taken as DE
ftp.tc.edu.tw.yml: address.http: 'https://ftp.tc.edu.tw/Linux/almalinux' is https: taken as such
mirror.sg.gs.yml: address.http: 'https://mirror.sg.gs/almalinux' is https, of which there is one already: left out
dfw.mirror.rackspace.com.yml: geolocation.City: unknown key: taken as city
ftp.arnes.si.yml: address.rsync: 'ftp.arnes.si::almalinux': taken as rsync://ftp.arnes.si/almalinux
mirror.init7.net.yml: address.rsync: 'rsync://mirror.init7.net::almalinux': taken as rsync://mirror.init7.net/almalinux
mirror.vtti.vt.edu.yml: geolocation.city: empty: placed by state or country
"""


@pytest.mark.parametrize("line", REAL_PROBLEMS.strip().splitlines())
def test_a_real_oddity_is_reported_with_what_was_done(real: Catalog, line: str) -> None:
    assert f"mirrors.d/{line}" in problems_of(real)


def test_real_networks_belong_to_their_mirrors(real: Catalog) -> None:
    hosts = hosts_of(real)
    mcgill = hosts["mirror.it.mcgill.ca"]
    assert (mcgill.private, mcgill.monopoly) == (True, True)
    assert any(ip_address("132.206.1.1") in network for network in mcgill.netblocks)
    assert hosts["linux-mirrors.fnal.gov"].netblocks == (
        ip_network("131.225.0.0/16"),
        ip_network("2001:400:2410::/48"),
        ip_network("2620:6a::/44"),
    )
    assert 24940 in hosts["mirror.hetzner.com"].asns
    assert sum(len(host.netblocks) for host in real.hosts) == 38
    assert [host.name for host in real.hosts if host.local] == ["aws.repo.almalinux.org", "gcp.repo.almalinux.org"]


def test_no_mail_address_is_in_the_catalog(real: Catalog) -> None:
    assert "mirror-admin@" not in repr(real.hosts)
    assert "mirror-admin@" not in repr(real.problems)

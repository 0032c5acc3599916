"""What operators really write, from their files to what clients are given."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.answer.answer import Request
from redirector.locate.geoip import Location
from redirector.locate.proxies import Client
from redirector.model import Problem, Severity
from redirector.snapshot.check import check_catalog
from tests.rig import GEO, NOW, Rig, mirror, rig, rig_of
from tests.sources.tree import load, mirror_text, problems_of

CONFIG = """\
versions: ["9", "9.8"]
duplicated_versions: {"8": "8.10", "9": "9.8"}
vault_versions: ["8.9", "8.10"]
vault_mirror: https://vault.example.org/linux/
arches: {"8": [x86_64], "9": [x86_64]}
repos:
  - {name: baseos, path: BaseOS/$basearch/os/}
"""
BASEOS = "/mirrorlist/9/baseos"


def serve(folder: Path, files: dict[str, str], config: str = CONFIG, **options: object) -> tuple[Rig, list[str]]:
    """A rig over a tree of these mirror files, and what was reported of it."""
    catalog = load(folder, {f"mirrors.d/{name}.yml": text for name, text in files.items()}, config)
    return rig_of(catalog, **options), problems_of(catalog)


def test_a_private_mirror_whose_key_is_indented_too_deep_is_given_to_nobody(tmp_path: Path) -> None:
    deep = mirror_text("inside", "geolocation: {country: DE, city: Berlin, private: true}", "subnets: [10.1.9.0/24]")
    served, problems = serve(tmp_path, {"inside": deep, "open": mirror_text("open")})
    for client in ("10.1.0.1", "10.1.9.1", "10.3.0.1", None):
        assert served.hosts(BASEOS, client) == ["open"]
    assert problems[-1].startswith("mirrors.d/inside.yml: geolocation.private: private belongs at the top level")


def test_a_slip_in_a_scheme_never_makes_a_host(tmp_path: Path) -> None:
    files = {
        "a": mirror_text("a", "address: {https: 'https://https://a/linux', http: 'http://a/linux'}"),
        "b": mirror_text("b", "address: {http: 'http:/b.example.net/linux'}"),
        "c": mirror_text("c", "address: {https: 'https://None/linux', http: 'http://c/linux'}"),
    }
    served, problems = serve(tmp_path, files)
    assert sorted(served.urls(BASEOS)) == [
        "http://a/linux/9.8/BaseOS/$basearch/os/",
        "http://b.example.net/linux/9.8/BaseOS/$basearch/os/",
        "http://c/linux/9.8/BaseOS/$basearch/os/",
    ]
    assert "mirrors.d/c.yml: address.https: 'https://None/linux': None is no host: left out" in problems


@pytest.mark.parametrize(
    "target",
    [
        "/mirrorlist/8/baseos?arch=x86_64",
        "/mirrorlist/8.4/baseos?arch=x86_64",
        "/mirrorlist/8.10/baseos?arch=x86_64",
        "/mirrorlist?repo=baseos-8&arch=x86_64",
        "/mirrorlist?path=8/BaseOS/x86_64/os",
        "/mirrorlist?path=8.10/BaseOS/x86_64/os",
    ],
)
def test_a_short_version_whose_release_moved_to_the_vault_leads_there(tmp_path: Path, target: str) -> None:
    served, _ = serve(tmp_path, {"a": mirror_text("a")})
    assert served.urls(target) == ["https://vault.example.org/linux/8.10/BaseOS/x86_64/os/"]


@pytest.mark.parametrize("version", ["8", "8.10"])
def test_files_and_images_of_a_release_in_the_vault_come_from_there(tmp_path: Path, version: str) -> None:
    served, _ = serve(tmp_path, {"a": mirror_text("a")})
    assert json.loads(served.get(f"/isolist/{version}/x86_64").body) == [
        "https://vault.example.org/linux/8.10/isos/x86_64/"
    ]
    for path in ("BaseOS/x86_64/os/", "BaseOS/x86_64/os/repodata/repomd.xml", "isos/x86_64/a.iso"):
        answer = served.get(f"/{version}/{path}")
        assert dict(answer.headers)["Location"] == f"https://vault.example.org/linux/8.10/{path}"
    assert served.get("/mirrorlist?path=8/BaseOS/x86_64/os/x.rpm").body.endswith(b"/8.10/BaseOS/x86_64/os/x.rpm\n")


def test_countries_that_a_mirror_does_not_serve_do_not_get_it(tmp_path: Path) -> None:
    files = {
        "a": mirror_text("a", "countries_excluded: [FR]"),
        "b": mirror_text("b", "countries_allowed: [DE]"),
        "c": mirror_text("c", "disabled: true"),
        "d": mirror_text("d"),
        "e": mirror_text("e", "countries_excluded: [FR]", "subnets: [10.2.9.0/24]"),
    }
    served, _ = serve(tmp_path, files)
    assert sorted(served.hosts(BASEOS, "10.1.0.1")) == ["a", "b", "d", "e"]
    assert sorted(served.hosts(BASEOS, "10.2.0.1")) == ["d"]
    assert sorted(served.hosts(BASEOS, "10.2.9.1")) == ["d", "e"]
    assert sorted(served.hosts(BASEOS, "10.3.0.1")) == ["a", "d", "e"]
    assert sorted(served.hosts(BASEOS, None)) == ["a", "d", "e"]


def test_what_a_mirror_lacks_is_not_asked_of_it(tmp_path: Path) -> None:
    files = {
        "a": mirror_text("a", "lacking: ['*/isos']"),
        "b": mirror_text("b", "lacking: [9.8/BaseOS/x86_64, 9/live]"),
        "c": mirror_text("c", "lacks: [isos]"),
        "d": mirror_text("d"),
    }
    served, problems = serve(tmp_path, files)
    assert sorted(json.loads(served.get("/isolist/9/x86_64").body)) == [
        f"https://{name}/pub/9.8/isos/x86_64/" for name in "bd"
    ]
    assert sorted(served.hosts("/mirrorlist/9/baseos?arch=x86_64")) == ["a", "c", "d"]
    assert sorted(served.hosts("/mirrorlist?path=9/BaseOS/x86_64/os/repodata")) == ["a", "c", "d"]
    assert sorted(served.hosts(BASEOS)) == ["a", "b", "c", "d"]
    hosts = {
        dict(served.get("/9/isos/x86_64/a.iso", f"10.1.0.{n}").headers)["Location"].split("/")[2] for n in range(60)
    }
    assert hosts == {"b", "d"}
    assert [problem for problem in problems if "lack" in problem] == [
        "mirrors.d/b.yml: lacking: '9/live' names no directory: without effect",
        "mirrors.d/c.yml: lacks: unknown key: taken as lacking",
        "mirrors.d/c.yml: lacking: 'isos' begins with no version: taken as */isos",
    ]


def test_near_mirrors_are_first_in_proportion_to_their_bandwidth(tmp_path: Path) -> None:
    files = {
        "a": mirror_text("a", "bandwidth_mbit: 300"),
        "b": mirror_text("b", "bandwidth_mbit: 100"),
        "c": mirror_text("c"),
    }
    served, _ = serve(tmp_path, files)
    firsts = Counter(served.hosts(BASEOS, f"10.1.{n // 250}.{n % 250}")[0] for n in range(5000))
    assert [round(firsts[name] / 5000, 1) for name in "abc"] == [0.6, 0.2, 0.2]


@pytest.mark.parametrize("coordinates", [False, True])
def test_near_mirrors_in_the_clients_own_as_come_before_the_others(tmp_path: Path, coordinates: bool) -> None:
    files = {name: mirror_text(name) for name in "abcd"}
    files["b"] = mirror_text("b", "own_asn: 64496")
    files["far"] = mirror_text("far", "geolocation: {country: JP}", "own_asn: 64496")
    geo = {"10.1.0.0/16": Location("DE", 52.5, 13.4)} if coordinates else GEO
    served, _ = serve(tmp_path, files, geo=geo)
    inside = [served.hosts(BASEOS, f"10.1.64.{n}") for n in range(40)]
    assert {hosts[0] for hosts in inside} == {"b"} and {hosts[-1] for hosts in inside} == {"far"}
    assert {served.hosts(BASEOS, f"10.1.1.{n}")[0] for n in range(60)} == set("abcd")


def test_one_url_of_two_entries_is_listed_once_and_counts_once(tmp_path: Path) -> None:
    shared = "address: {https: 'https://shared.example.net/linux/'}"
    files = {
        "east": mirror_text("east", shared),
        "west": mirror_text("west", shared, "geolocation: {country: US}"),
        "south": mirror_text("south", shared),
        "third": mirror_text("third"),
        "part": mirror_text("part", "address: {https: 'https://third/pub/', http: 'http://part/pub'}"),
    }
    served, _ = serve(tmp_path, files)
    orders = [served.hosts(BASEOS, f"10.1.{n // 250}.{n % 250}") for n in range(3000)]
    assert {tuple(sorted(order)) for order in orders} == {("shared.example.net", "third", "third")}
    assert abs(Counter(order[0] for order in orders)["shared.example.net"] / 3000 - 1 / 3) < 0.05
    assert served.hosts(BASEOS, "10.3.0.1")[0] == "shared.example.net"
    everything = served.urls("/mirrorlist/9/baseos?protocol=http,https")
    assert len(everything) == len(set(everything)) == 4
    assert [problem for problem in check_catalog(load(tmp_path, {}, CONFIG), ()) if problem.key.startswith("URL")] == [
        Problem(Severity.WARNING, str(tmp_path), f"URL {url}", f"is of {names}: listed once")
        for url, names in (
            ("https://shared.example.net/linux", "east, south, west"),
            ("https://third/pub", "part, third"),
        )
    ]


def test_a_mirror_at_the_primary_url_is_listed_once(tmp_path: Path) -> None:
    served, _ = serve(tmp_path, {"a": mirror_text("a"), "b": mirror_text("b")}, CONFIG + "primary_url: https://a/pub\n")
    assert served.hosts(BASEOS) == ["b", "a"]


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_two_hosts_of_a_snapshot_with_one_url_are_listed_once_but_as_today(compatibility: str | None) -> None:
    hosts = [mirror("a", "DE", "https://shared/pub"), mirror("b", "DE", "https://shared/pub"), mirror("c", "DE")]
    served = rig(*hosts, compatibility=compatibility)
    listed = served.hosts("/mirrorlist?repo=fedora-40&arch=x86_64")
    assert sorted(listed) == ["c", "shared"] if compatibility is None else ["c", "shared", "shared"]


def location(served: Rig, target: str, scheme: str, client: str = "10.1.0.1") -> str:
    request = Request(target.encode(), Client(ip_address(client).packed), NOW, 0, scheme=scheme)
    return dict(served.responder.answer(request).headers)["Location"]


def test_who_came_by_https_is_sent_on_by_https_where_a_mirror_has_it(tmp_path: Path) -> None:
    files = {
        "plain": mirror_text("plain", "address: {http: 'http://plain/pub'}"),
        "far": mirror_text("far", "geolocation: {country: JP}"),
    }
    repomd = "/9/BaseOS/x86_64/os/repodata/repomd.xml"
    served, _ = serve(tmp_path / "both", files)
    for target in (repomd, "/9/isos/x86_64/", "/mirrorlist/9/baseos?arch=x86_64&redirect"):
        assert location(served, target, "https").startswith("https://far/pub/")
        assert location(served, target, "http").startswith("http://plain/pub/")
        assert location(served, target, "").startswith("http://plain/pub/")
    assert location(served, f"{repomd}?protocol=http", "https").startswith("http://plain/pub/")
    alone, _ = serve(tmp_path / "alone", {"plain": files["plain"]})
    assert location(alone, repomd, "https").startswith("http://plain/pub/")
    last = "primary_url: [http://p/pub, https://p/pub]\n"
    vault = CONFIG.replace("https://vault.example.org/linux/", "[http://v/linux, https://v/linux]")
    last_resort, _ = serve(tmp_path / "last", {"plain": files["plain"]}, vault + last)
    assert location(last_resort, repomd, "https").startswith("https://p/pub/")
    assert location(last_resort, repomd.replace("9", "8"), "https").startswith("https://v/linux/")


def test_files_outside_of_repositories_are_redirected_if_the_primary_tree_has_them(tmp_path: Path) -> None:
    primary = tmp_path / "primary"
    for name in (
        "9.8/live/x86_64/a.iso",
        "9.8/isos/x86_64/Linux-9.8.iso",
        "TIME",
        "keys/RPM-GPG-KEY",
        "8.9/live/b.iso",
    ):
        (primary / name).parent.mkdir(parents=True, exist_ok=True)
        (primary / name).write_text("x")
    (primary / "9").symlink_to("9.8")
    (primary / "9.8/isos/x86_64/Linux-latest.iso").symlink_to("Linux-9.8.iso")
    (primary / "9.8/live/x86_64/latest.iso").symlink_to("a.iso")
    served, _ = serve(tmp_path, {"a": mirror_text("a")}, CONFIG + "primary: primary\n")
    for asked, given in {
        "9.8/live/x86_64/a.iso": "9.8/live/x86_64/a.iso",
        "9/live/x86_64/a.iso": "9.8/live/x86_64/a.iso",
        "9/live/": "9.8/live/",
        "9/live": "9.8/live/",
        "9/live/x86_64/latest.iso": "9.8/live/x86_64/a.iso",
        "9/isos/x86_64/Linux-latest.iso": "9.8/isos/x86_64/Linux-9.8.iso",
        "TIME": "TIME",
        "keys/RPM-GPG-KEY": "keys/RPM-GPG-KEY",
    }.items():
        assert dict(served.get(f"/{asked}").headers)["Location"] == f"https://a/pub/{given}"
    for asked in ("8/live/c.iso", "8.10/live/c.iso"):
        assert dict(served.get(f"/{asked}").headers)["Location"] == "https://vault.example.org/linux/8.10/live/c.iso"
    for unknown in ("9/live/none.iso", "other", "9.8/other/", "7/live/a.iso", ".hidden"):
        assert served.get(f"/{unknown}").status == 404

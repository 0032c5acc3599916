"""From names to directories: plain spellings, redirects, source repositories, and the nearest of wrong names."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.ask.listing import Listing
from redirector.answer.ask.query import parse_query
from redirector.answer.ask.resolve import resolve
from redirector.errors import QueryError
from redirector.model import Directory, HostSetId, TreeRepository
from redirector.near_names import find_nearest
from redirector.tree.resolve import resolve_version
from tests.answer.trees import RELEASES, tree_of, tree_rig
from tests.rig import Rig, catalog_of, mirror, rig, rig_of

DIRECTORY = "pub/linux/40/x86_64/os"


def listing(served: Rig, target: str) -> Listing:
    snapshot = served.responder.snapshot
    return resolve(snapshot, parse_query(target.encode(), snapshot.policy.decode))


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
@pytest.mark.parametrize("name", ["fedora-40", "a+b", "a b", "a%20b", "a&b", "a=b", "ä", "", "fedora-source-40", "a#b"])
def test_a_plain_target_means_what_the_general_way_says(compatibility: str | None, name: str) -> None:
    catalog = catalog_of(
        [mirror("a", "DE")],
        repositories={(name, "x86_64"): DIRECTORY, (name, "source"): DIRECTORY, (name, ""): DIRECTORY},
        redirects={"alias": name},
    )
    served = rig_of(catalog, compatibility=compatibility)
    frames = served.responder.frames
    for target, frame in frames.items():
        assert listing(served, target.decode()) == frame.listing
    is_plain = quote(name, safe="+") == name
    assert (f"/mirrorlist?repo={name}&arch=source".encode() in frames) == is_plain


def test_plain_targets_name_every_repository_in_both_orders() -> None:
    frames = rig(mirror("a", "DE")).responder.frames
    assert set(frames) == {
        f"/{kind}?{query}".encode()
        for kind in ("mirrorlist", "metalink")
        for repo in ("fedora-40", "fedora-rawhide")
        for query in (f"repo={repo}&arch=x86_64", f"arch=x86_64&repo={repo}")
    }


def test_plain_targets_of_a_tree() -> None:
    frames = tree_rig(mirror("a", "DE")).responder.frames
    for target in ("/mirrorlist/9/baseos", "/mirrorlist/9.8/baseos", "/mirrorlist/10-kitten/baseos"):
        assert target.encode() in frames
    assert b"/mirrorlist?repo=baseos-10-kitten&arch=x86_64" in frames
    assert b"/metalink?repo=baseos-9&arch=x86_64" in frames
    assert b"/metalink?repo=baseos-8&arch=x86_64" not in frames, "it has no details"
    assert b"/mirrorlist/9/powertools" not in frames


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_a_redirect_is_one_hop_and_keeps_what_was_asked(compatibility: str | None) -> None:
    catalog = catalog_of(
        [mirror("a", "DE")],
        repositories={("c", "x86_64"): DIRECTORY},
        redirects={"a": "b", "b": "c"},
    )
    served = rig_of(catalog, compatibility=compatibility)
    assert served.get("/mirrorlist?repo=a&arch=x86_64").status == 404
    answer = served.get("/mirrorlist?repo=b&arch=x86_64")
    assert (answer.status, answer.asked) == (200, ("b", "x86_64"))


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_source_anywhere_in_the_repository_is_the_arch(compatibility: str | None) -> None:
    catalog = catalog_of([mirror("a", "DE")], repositories={("x-source-y", "source"): DIRECTORY})
    answer = rig_of(catalog, compatibility=compatibility).get("/mirrorlist?repo=x-source-y&arch=x86_64")
    assert (answer.status, answer.asked) == (200, ("x-source-y", "source"))


def test_source_is_no_rule_of_a_tree() -> None:
    assert listing(tree_rig(), "/mirrorlist?repo=baseos-source-9&arch=x86_64").directory == "9.8/BaseOS/Source"


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_a_metalink_of_a_repodata_directory_stays_there(compatibility: str | None) -> None:
    catalog = catalog_of([mirror("a", "DE")], repositories={("r", "x86_64"): f"{DIRECTORY}/repodata"})
    body = rig_of(catalog, compatibility=compatibility).get("/metalink?repo=r&arch=x86_64").body
    assert b"/linux/40/x86_64/os/repodata/repomd.xml<" in body


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_the_root_directory_has_no_subpath(compatibility: str | None) -> None:
    catalog = catalog_of([mirror("a", "DE", "https://a/pub")], directories={"pub": Directory(HostSetId(0), subpath="")})
    served = rig_of(catalog, compatibility=compatibility)
    assert served.urls("/mirrorlist?path=pub") == ["https://a/pub/"]
    assert served.urls("/mirrorlist?path=pub/file.iso") == ["https://a/pub/file.iso"]
    assert served.get("/mirrorlist?path=file.iso").status == 404


def test_tree_names_over_a_mirrormanager_snapshot() -> None:
    served = rig(mirror("a", "DE"))
    assert listing(served, "/mirrorlist/40/fedora?arch=x86_64") == listing(
        served, "/mirrorlist?repo=fedora-40&arch=x86_64"
    )
    answer = served.get("/mirrorlist/40/fedora")
    assert (answer.status, answer.body) == (
        400,
        b"arch= must be specified: this stands for repo=fedora-40&arch=\n",
    )
    assert served.get("/isolist/9/x86_64").status == 404


@pytest.mark.parametrize(
    ("version", "full", "module", "vault"),
    [
        ("9", "9.8", None, False),
        ("9.8", "9.8", None, False),
        ("8.2", "8.10", None, False),
        ("10.7-beta", "10.2", None, False),
        ("10-kitten", "10-kitten", "kitten", False),
        ("8.5", "8.5", None, True),
        ("10.2-beta", "10.2-beta", None, True),
        ("7", "7.9", None, True),
        ("7.4", "7.9", None, True),
        ("next", "10-kitten", "kitten", False),
    ],
)
def test_versions(version: str, full: str, module: str | None, vault: bool) -> None:
    releases = replace(
        RELEASES, duplicated={**RELEASES.duplicated, "7": "7.9", "next": "10-kitten"}, vault=(*RELEASES.vault, "7.9")
    )
    found = resolve_version(releases, version)
    assert found is not None
    assert (found.full, found.module, found.vault) == (full, module, vault)


@pytest.mark.parametrize("version", ["7", "99.345", "", ".", "9.", ".8", "9-kitten", "kitten", "10-kitten.1", "１０"])
def test_unknown_versions(version: str) -> None:
    assert resolve_version(RELEASES, version) is None


def test_of_two_readings_of_a_name_the_one_with_the_longest_repository_counts() -> None:
    """Version 9 of `x-8.5`, although `8.5-9` would be a version of `x` too."""
    repositories = {name: TreeRepository(name, f"{name}/$basearch") for name in ("x", "x-8.5", "y", "y-source")}
    served = rig_of(tree_of(mirror("a", "DE"), releases=replace(RELEASES, repositories=repositories)))
    assert listing(served, "/mirrorlist?repo=x-8.5-9&arch=x86_64").directory == "9.8/x-8.5/x86_64"
    assert (
        listing(served, "/mirrorlist?repo=x-8.5&arch=x86_64").only_url
        == "https://vault.example/almalinux/8.5/x/x86_64/"
    )
    assert listing(served, "/mirrorlist?repo=y-source-9&arch=x86_64").directory == "9.8/y-source/x86_64"
    with pytest.raises(QueryError):
        listing(served, "/mirrorlist?repo=y-source&arch=x86_64")


@pytest.mark.parametrize("name", ["a b", "a%b", "a%20b", "a#b", "a?b", "ä", "a;b=c", "[a]", 'a"b'])
def test_a_file_is_named_in_its_url_as_it_was_in_the_request(name: str) -> None:
    served = rig(mirror("a", "DE", "https://a/pub"))
    (url,) = served.urls(f"/mirrorlist?path={DIRECTORY}/{quote(name, safe='')}")
    assert unquote(urlsplit(url).path) == f"/pub/linux/40/x86_64/os/{name}"
    today = rig(mirror("a", "DE", "https://a/pub"), compatibility="mirrormanager")
    (url,) = today.urls(f"/mirrorlist?path={DIRECTORY}/{quote(name, safe=';')}")
    assert unquote(urlsplit(url).path) == f"/pub/linux/40/x86_64/os/{name}"


MANY = tuple(
    f"{product}-{kind}-{version}"
    for product in ("fedora", "epel", "updates-released", "centos-baseos", "rawhide-modular")
    for kind in ("debug", "source", "x", "testing", "core", "net")
    for version in range(1, 38)
)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("fedora-debg-12", "fedora-debug-12"),
        ("FEDORA-debug-12", "fedora-debug-12"),
        ("epel-testing12", "epel-testing-12"),
        ("updates-release-core-9", "updates-released-core-9"),
        ("centos-basos-net-3", "centos-baseos-net-3"),
    ],
)
def test_the_nearest_name_comes_first(wrong: str, nearest: str) -> None:
    assert find_nearest(wrong, MANY)[0] == nearest


@pytest.mark.parametrize("wrong", ["", "zzz", "\0", "x" * 7000, "ä" * 100])
def test_nothing_is_near_to_nonsense(wrong: str) -> None:
    assert list(find_nearest(wrong, MANY)) == []


def test_there_may_be_no_names_at_all() -> None:
    assert list(find_nearest("fedora", ())) == []


@given(st.text(max_size=40), st.lists(st.text(max_size=12), max_size=8, unique=True))
def test_near_names_are_names_and_a_name_is_nearest_to_itself(wrong: str, names: list[str]) -> None:
    known = tuple(names)
    near = find_nearest(wrong, known, 3)
    assert set(near) <= set(known)
    assert len(near) <= 3
    for name in known:
        assert name.lower() in [each.lower() for each in find_nearest(name, known, len(known))]


def test_a_wrong_name_among_a_thousand_costs_less_than_a_millisecond() -> None:
    """A flood of wrong names must not keep others waiting."""
    served = rig_of(catalog_of([mirror("a", "DE")], repositories={(name, "x86_64"): DIRECTORY for name in MANY}))
    served.get("/mirrorlist?repo=wrong&arch=x86_64")
    best_s = 1.0
    for n in range(30):
        began = time.thread_time()
        answer = served.get(f"/mirrorlist?repo=updates-released-debg-{n}-and-some-more-of-it&arch=x86_64")
        best_s = min(best_s, time.thread_time() - began)
        assert answer.status == 404
    assert best_s < 0.001


@pytest.mark.parametrize("target", ["/mirrorlist/9.3/epel?arch=x86_64", "/mirrorlist?repo=epel-9.3&arch=x86_64"])
def test_a_minor_version_that_a_snapshot_lacks_is_its_major_one(target: str) -> None:
    catalog = catalog_of([mirror("a", "DE")])
    directory = catalog.repositories["fedora-40", "x86_64"]
    repositories = {("epel-9", "x86_64"): directory, ("epel-9.1", "x86_64"): "pub/none"}
    served = rig_of(replace(catalog, repositories=repositories, redirects={"alma-9": "epel-9"}))
    found = listing(served, target)
    assert (found.directory, found.asked) == (directory, ("epel-9.3", "x86_64"))
    assert listing(served, target.replace("epel", "alma")).directory == directory
    for unknown in ("9.3.x", "8.3", "x.3"):
        status = served.get(target.replace("9.3", unknown)).status
        assert status == (200 if unknown == "9.3.x" else 404)
    assert served.get(target.replace("9.3", "9.1")).status == 404


def test_as_today_a_version_is_its_own() -> None:
    catalog = catalog_of([mirror("a", "DE")])
    served = rig_of(catalog, compatibility="mirrormanager")
    assert served.get("/mirrorlist?repo=fedora-40.1&arch=x86_64").status == 404

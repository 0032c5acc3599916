"""Paths of the tree: redirected to the best mirror, with what is known about the file, or refused."""

from __future__ import annotations

import re
from array import array
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.answer import Answer, Kind, Tier
from redirector.answer.show.redirects import MAX_LINKS, wanted_metalink
from redirector.model import Catalog, Directory, FileDetail, FileIndex, HostSetId, path_key
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.forms import refuse_forged
from tests.answer.trees import tree_of, tree_rig
from tests.rig import DETAIL, NOW, Rig, catalog_of, mirror, rig, rig_of

OS = "/pub/linux/40/x86_64/os"
REPOMD = f"{OS}/repodata/repomd.xml"
TREE_OS = "9.8/BaseOS/x86_64/os"
HOURS_AGO = NOW - 3 * 3600
EUROPE = (mirror("a.de", "DE", bandwidth_mbit=9000), mirror("b.fr", "FR"), mirror("c", None, "http://c/x/y"))
ORIGIN = mirror("primary.example", None, "https://primary.example/tree", origin=True)


def ask(served: Rig, target: str, accept: str = "", client: str = "10.1.0.1") -> Answer:
    answer = served.get(target, client, accept=accept)
    refuse_forged(answer)
    return answer


def location(answer: Answer) -> str:
    assert (answer.status, answer.kind, answer.body) == (302, Kind.REDIRECT, b"")
    return dict(answer.headers)["Location"]


def index_of(files: Mapping[str, int], folders: Mapping[str, int]) -> FileIndex:
    """An index of *files* below the directory of BaseOS, and of folders, `""` for the directory itself."""
    values = {f"{TREE_OS}/{name}": written for name, written in files.items()}
    values |= {f"{TREE_OS}/{name}/".replace("//", "/"): whole for name, whole in folders.items()}
    rows = sorted((path_key(name.encode()), value) for name, value in values.items())
    return FileIndex(array("Q", (key for key, _ in rows)), array("Q", (value for _, value in rows)))


def indexed_rig(files: Mapping[str, int], folders: Mapping[str, int], *more: object, newest_s: float = 0.0) -> Rig:
    mirrors = (mirror("a", "DE"), *((ORIGIN,) if "origin" in more else ()))
    return rig_of(tree_of(*mirrors, files=index_of(files, folders)), newest_s=newest_s)


# ---- Where a path leads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "ending"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/a.rpm", "/a.rpm"),
        ("//a.rpm", "/a.rpm"),
        ("/repodata", "/repodata/"),
        ("/repodata/repomd.xml", "/repodata/repomd.xml"),
        ("/a%20b%C3%A9%2B+.rpm", "/a%20b%C3%A9++.rpm"),
        ("/a?limit=1", "/a"),
        ("/a%3Fb%23c", "/a%3Fb%23c"),
        ("/%252e%252e", "/%252e%252e"),
        ("/a%22%3C%3E%60%7B%7D", "/a%22%3C%3E%60%7B%7D"),
        ("/$arch&x=1;y", "/$arch&x=1;y"),
    ],
)
def test_a_known_directory_and_what_is_in_it_are_on_the_best_mirror(asked: str, ending: str) -> None:
    assert location(ask(rig(*EUROPE), OS + asked)) == f"https://a.de{OS}{ending}"


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("9.8/BaseOS/x86_64/os", "a/pub/9.8/BaseOS/x86_64/os/"),
        ("9/BaseOS/x86_64/os/", "a/pub/9.8/BaseOS/x86_64/os/"),
        ("9/BaseOS/x86_64/os/Packages/a.rpm", "a/pub/9.8/BaseOS/x86_64/os/Packages/a.rpm"),
        ("9/BaseOS/x86_64/os/Packages/", "a/pub/9.8/BaseOS/x86_64/os/Packages/"),
        ("9/BaseOS/x86_64/os/Packages", "a/pub/9.8/BaseOS/x86_64/os/Packages"),
        ("9/BaseOS/x86_64/os/repodata/x.xml.gz", "a/pub/9.8/BaseOS/x86_64/os/repodata/x.xml.gz"),
        ("8/isos/x86_64/x.iso", "a/pub/8.10/isos/x86_64/x.iso"),
        ("10-kitten/BaseOS/x86_64_v2/os/x", "a/pub/10-kitten/BaseOS/x86_64_v2/os/x"),
        ("8.5/BaseOS/x86_64/os/a/b%20c", "vault.example/almalinux/8.5/BaseOS/x86_64/os/a/b%20c"),
        ("8.5/isos/x86_64", "vault.example/almalinux/8.5/isos/x86_64/"),
        ("9/old/x86_64/a/", "vault.example/almalinux/9.8/old/x86_64/a/"),
    ],
)
def test_a_tree_s_repositories_and_all_below_them_lead_to_mirrors_or_the_vault(asked: str, url: str) -> None:
    served = tree_rig(mirror("a", "DE"))
    assert location(ask(served, f"/{asked}")) == f"https://{url}"


@pytest.mark.parametrize(
    "target",
    [
        "/pub",
        "/pub/linux/40/x86_64/os2",
        "/pub/linux/40/x86_64/os2/a.rpm",
        f"{OS}/Packages/a.rpm",
        f"{OS}/Packages/",
        f"{OS}/" + "é" * 128,
        "/" + "a/" * 4000,
    ],
)
def test_an_unknown_directory_is_not_found(target: str) -> None:
    answer = ask(rig(*EUROPE), target)
    assert (answer.status, answer.kind, answer.body) == (404, Kind.OTHER, b"We don't serve their kind here!\n")


@pytest.mark.parametrize(
    "target", ["/9.8", "/9.8/BaseOS", "/9.8/Nothing/x86_64/os/a.rpm", "/7/BaseOS/x86_64/os/a", "/8.5"]
)
def test_a_tree_s_unknown_directory_is_not_found(target: str) -> None:
    assert ask(tree_rig(mirror("a", "DE")), target).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/..",
        "/./a",
        "/%2e%2e/a",
        "/..%2fetc",
        "/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd",
        "/a\\b",
        "/a%5c..%5cb",
        "/%00",
        "/a%0d%0aLocation:%20http://evil.example/",
        "/%7f",
        "/%ff",
        "/%c0%ae%c0%ae/",
        "/%ed%a0%80",
        "/%",
        "/%4",
        "/%zz",
        "/%u0041",
    ],
)
def test_traversal_and_odd_encodings_are_refused(path: str) -> None:
    for target in (OS + path, path):
        answer = ask(rig(*EUROPE), target)
        assert answer.status == 400
        assert not answer.headers


def test_a_directory_may_lie_elsewhere_below_a_mirror() -> None:
    directories = {"pub/a/b": Directory(HostSetId(0), subpath="x"), "pub/top": Directory(HostSetId(0), subpath="")}
    served = rig_of(catalog_of(EUROPE, directories=directories))
    assert location(ask(served, "/pub/a/b/c.iso")) == "https://a.de/pub/x/c.iso"
    assert location(ask(served, "/pub/a/b")) == "https://a.de/pub/x/"
    assert location(ask(served, "/pub/top/c.iso")) == "https://a.de/pub/c.iso"
    assert location(ask(served, "/pub/top/")) == "https://a.de/pub/"


def test_wishes_count_and_what_is_relaxed_is_said() -> None:
    served = rig(*EUROPE)
    assert location(ask(served, f"{OS}/a?country=fr")).startswith("https://b.fr/")
    assert location(ask(served, f"{OS}/a?protocol=http")).startswith("http://a.de/")
    relaxed = ask(served, f"{OS}/a?country=zz")
    assert dict(relaxed.headers)["X-Relaxed"] == "country"
    assert location(relaxed).startswith("https://a.de/")
    assert ask(served, f"{OS}/a?country=zz&require=country").status == 404
    assert ask(served, f"{OS}/a?ip=nonsense").status == 400
    assert ask(served, f"{OS}/a?limit=0").status == 400


def test_a_file_that_no_mirror_has_by_http_is_not_found() -> None:
    assert ask(rig(mirror("a", "DE", "rsync://a/x"), minimum=0), f"{OS}/a").status == 404
    assert ask(rig(), f"{OS}/a").status == 404


def test_what_a_redirect_is_counted_as() -> None:
    answer = ask(rig(*EUROPE), f"{OS}/a")
    assert (answer.tier, answer.first, answer.country, answer.asked) == (Tier.COUNTRY, 0, "DE", None)


def test_today_s_server_redirects_no_files() -> None:
    served = rig(*EUROPE, compatibility="mirrormanager")
    answer = served.get(f"{OS}/a")
    assert (answer.status, answer.body) == (404, b"We don't serve their kind here!")
    redirect = served.get(f"/mirrorlist?path={REPOMD}&redirect=1")
    assert [name for name, _ in redirect.headers] == ["Location"]


# ---- Headers ---------------------------------------------------------------------------------------------------------


def test_a_redirect_names_the_other_mirrors_and_the_hashes() -> None:
    digest = b64encode(bytes.fromhex(DETAIL.sha256)).decode()
    for target in (REPOMD, f"/mirrorlist?path={REPOMD}&redirect=1"):
        headers = [header for header in ask(rig(*EUROPE), target).headers if header[0] != "Vary"]
        assert headers == [
            ("Location", f"https://a.de{REPOMD}"),
            ("Link", f"<https://a.de{REPOMD}>; rel=duplicate; pri=1; geo=de"),
            ("Link", f"<https://b.fr{REPOMD}>; rel=duplicate; pri=2; geo=fr"),
            ("Link", f"<http://c/x/y{REPOMD.removeprefix('/pub')}>; rel=duplicate; pri=3"),
            ("Digest", f"SHA-256={digest}"),
            ("Repr-Digest", f"sha-256=:{digest}:"),
        ]


@pytest.mark.parametrize(
    ("detail", "names"),
    [
        (FileDetail(1, 1, sha512="d" * 128), ["SHA-512", "sha-512"]),
        (FileDetail(1, 1, sha1="d" * 40), []),
        (FileDetail(1, 1, sha256="no hex"), []),
    ],
)
def test_other_hashes_are_used_where_sha_256_is_not_known(detail: FileDetail, names: list[str]) -> None:
    served = rig_of(catalog_of(EUROPE, details={(f"{OS[1:]}/repodata", "repomd.xml"): (detail,)}))
    headers = dict(ask(served, REPOMD).headers)
    found = [headers[name] for name in ("Digest", "Repr-Digest") if name in headers]
    assert [value.partition("=")[0] for value in found] == names


def test_there_are_few_links_however_many_mirrors() -> None:
    answer = ask(rig(*(mirror(f"m{n}", "DE") for n in range(50))), f"{OS}/a")
    links = [value for name, value in answer.headers if name == "Link"]
    assert len(links) == MAX_LINKS
    assert links[0].startswith(f"<{location(answer)}>")


def test_no_url_breaks_out_of_a_header() -> None:
    served = rig(mirror("m", "DE", 'https://m/a b">,<é\u2028;x'), minimum=0)
    answer = ask(served, f"{OS}/%E2%80%A8.rpm")
    assert location(answer) == "https://m/a%20b%22%3E,%3C%C3%A9%E2%80%A8;x/linux/40/x86_64/os/%E2%80%A8.rpm"


# ---- Metalinks by Accept ---------------------------------------------------------------------------------------------


V3, V4 = "application/metalink+xml", "application/metalink4+xml"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", None),
        ("*/*", None),
        ("application/*", None),
        ("application/xml", None),
        (V3, "metalink"),
        (V4, "meta4"),
        (f"*/*,{V4},{V3}", "meta4"),
        (f"*/*, {V3}, {V4}", "meta4"),
        (f"{V4};q=0.5, {V3}", "metalink"),
        (f"{V4};q=0, {V3}; q=0.1", "metalink"),
        (f"{V4};q=0", None),
        (f"{V4}; charset=utf-8 ;Q=1.0", "meta4"),
        (f"{V4};q=nonsense", None),
        (f"{V4};q=nan", None),
        (V4.upper(), "meta4"),
        (f"x{V4}", None),
        (",;,=;q", None),
    ],
)
def test_a_metalink_is_given_to_those_who_name_it(accept: str, wanted: str | None) -> None:
    assert wanted_metalink(accept) == wanted
    types = {"meta4": V4, "metalink": V3}
    for target, served in ((REPOMD, rig(*EUROPE)), ("/9/BaseOS/x86_64/os/repodata/repomd.xml", tree_rig(*EUROPE))):
        answer = ask(served, target, accept)
        assert answer.kind is Kind.REDIRECT
        assert ("Vary", "Accept") in answer.headers
        if wanted is None:
            assert location(answer)
        else:
            assert (answer.status, answer.content_type) == (200, types[wanted])
            form = f"/metalink?path={target}&format={wanted}"
            assert answer.body == ask(served, form).body


@given(st.text(max_size=40))
def test_any_accept_is_read(accept: str) -> None:
    assert wanted_metalink(accept) in (None, "meta4", "metalink")


def test_what_has_no_details_has_no_metalink_and_varies_by_nothing() -> None:
    for target in (f"{OS}/a.rpm", OS):
        answer = ask(rig(*EUROPE), target, V4)
        assert location(answer)
        assert "Vary" not in dict(answer.headers)


def test_accept_never_changes_a_list() -> None:
    for target in (
        "/mirrorlist?repo=fedora-40&arch=x86_64",
        "/metalink?repo=fedora-40&arch=x86_64",
        f"/mirrorlist?path={REPOMD}&redirect=1",
    ):
        served = rig(*EUROPE)
        assert ask(served, target, V4) == ask(served, target) == ask(served, target, "text/html")


# ---- The primary tree ------------------------------------------------------------------------------------------------

FILES = {"Packages/old.rpm": HOURS_AGO, "Packages/new.rpm": NOW - 60, "Packages/future.rpm": NOW + 900, "repodata/r": 1}
WHOLE = {"": 1, "Packages": 1, "repodata": 1}
METADATA = {"": 0, "repodata": 1}


@pytest.mark.parametrize(
    ("path", "folders", "status"),
    [
        ("Packages/old.rpm", WHOLE, 302),
        ("Packages/gone.rpm", WHOLE, 404),
        ("Packages/gone/", WHOLE, 404),
        ("gone/deep/er.rpm", WHOLE, 404),
        ("gone.rpm", WHOLE, 404),
        ("repodata/gone", WHOLE, 404),
        ("Packages/old.rpm/", WHOLE, 404),
        ("Packages/", WHOLE, 302),
        ("Packages", WHOLE, 302),
        ("", WHOLE, 302),
        ("gone.rpm", METADATA, 302),
        ("Packages/gone.rpm", METADATA, 302),
        ("Packages/gone/", METADATA, 302),
        ("repodata/gone", METADATA, 404),
        ("gone.rpm", {}, 302),
        ("repodata/gone", {}, 302),
    ],
)
def test_what_the_primary_tree_lacks_is_not_found(path: str, folders: dict[str, int], status: int) -> None:
    served = indexed_rig(FILES, folders)
    for version in ("9", "9.8"):
        answer = ask(served, f"/{version}/BaseOS/x86_64/os/{path}")
        assert (answer.status, answer.kind) == (status, Kind.REDIRECT)
        if status == 404:
            assert answer.body == f"{version}/BaseOS/x86_64/os/{path} is not in the primary tree\n".encode()


def test_a_folder_of_the_primary_tree_gets_its_slash() -> None:
    assert location(ask(indexed_rig(FILES, WHOLE), f"/{TREE_OS}/Packages")) == f"https://a/pub/{TREE_OS}/Packages/"


def test_the_vault_is_no_part_of_the_primary_tree() -> None:
    assert location(ask(indexed_rig(FILES, WHOLE), "/8.5/BaseOS/x86_64/os/x")).startswith("https://vault.example/")


@pytest.mark.parametrize(
    ("name", "newest_s", "host"),
    [
        ("old.rpm", 3600.0, "a"),
        ("new.rpm", 3600.0, "primary.example"),
        ("future.rpm", 3600.0, "primary.example"),
        ("new.rpm", 60.0, "a"),
        ("new.rpm", 0.0, "a"),
        ("future.rpm", 0.0, "a"),
    ],
)
def test_what_is_too_new_for_mirrors_is_fetched_from_the_primary(name: str, newest_s: float, host: str) -> None:
    answer = ask(indexed_rig(FILES, WHOLE, "origin", newest_s=newest_s), f"/9/BaseOS/x86_64/os/Packages/{name}")
    assert urlsplit(location(answer)).netloc == host
    if host == "primary.example":
        assert location(answer) == f"https://primary.example/tree/{TREE_OS}/Packages/{name}"
        assert (answer.tier, answer.first) == (Tier.GLOBAL, 1)


def test_without_a_primary_url_the_mirrors_are_asked_for_what_is_new() -> None:
    served = indexed_rig(FILES, WHOLE, newest_s=3600.0)
    assert urlsplit(location(ask(served, f"/{TREE_OS}/Packages/new.rpm"))).netloc == "a"


def test_what_no_mirror_carries_is_fetched_from_the_primary() -> None:
    served = rig_of(tree_of(ORIGIN))
    assert location(ask(served, f"/{TREE_OS}/a.rpm")) == f"https://primary.example/tree/{TREE_OS}/a.rpm"


# ---- Whatever there is, and whoever asks -----------------------------------------------------------------------------


@given(catalogs(), st.sampled_from(CLIENTS), st.sampled_from(("", "?country=fr", "?netblock=0", "?limit=1&ipv6=1")))
def test_a_redirect_goes_where_the_list_begins(catalog: Catalog, client: str, wishes: str) -> None:
    served = rig_of(catalog)
    answer = ask(served, f"{REPOMD}{wishes}", client=client)
    listed = [
        line.partition("\t")[0]
        for line in ask(served, f"/mirrorlist?path={REPOMD}&format=apt&{wishes[1:]}", client=client)
        .body.decode()
        .splitlines()
    ]
    readable = [url for url in listed if url.startswith("http")]
    if readable:
        links = [re.sub("[<>]|;.*", "", value) for name, value in answer.headers if name == "Link"]
        assert location(answer) == readable[0]
        assert links == readable[:MAX_LINKS]
    else:
        assert answer.status == 404


@given(st.text(max_size=30))
def test_a_location_names_the_file_that_was_asked_for(name: str) -> None:
    answer = ask(rig(*EUROPE), f"{OS}/{quote(name, safe='')}")
    if answer.status == 302 and name.strip("/") and "//" not in name:
        assert unquote(location(answer).partition("/os/")[2]).strip("/") == name.strip("/")


@given(st.binary(max_size=60))
def test_any_path_gets_a_well_formed_answer(path: bytes) -> None:
    for served in (rig(*EUROPE), tree_rig(*EUROPE)):
        for prefix in (b"/", OS.encode() + b"/", b"/9/BaseOS/x86_64/os/"):
            answer = served.get(prefix + path)
            refuse_forged(answer)
            assert answer.status in (200, 302, 400, 404)


@pytest.mark.parametrize(
    "path", ["9/BaseOS/x86_64/os/Packages/a.rpm", "9.8/BaseOS/x86_64/os/", "9.8/BaseOS/x86_64/os/x/y"]
)
def test_a_file_is_found_by_its_path_as_by_its_address(path: str) -> None:
    served = rig_of(tree_of(mirror("a.example", "DE")))
    by_address, by_path = served.get(f"/{path}"), served.get(f"/mirrorlist?path={path}&redirect=1")
    assert by_path.status == by_address.status == 302
    assert dict(by_path.headers)["Location"].rstrip("/") == dict(by_address.headers)["Location"].rstrip("/")
    missing = served.get("/mirrorlist?path=nowhere/a.rpm&redirect=1")
    assert (missing.status, missing.body) == (404, served.get("/nowhere/a.rpm").body)

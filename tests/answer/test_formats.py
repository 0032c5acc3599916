"""The formats that `format=` names: the hosts and the order of the mirrorlist, as each client reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]  # it has neither annotations nor stubs

from redirector import __version__
from redirector.answer.answer import Answer, Kind
from redirector.answer.ask.query import FORMATS
from redirector.answer.show.urls import plain_url
from redirector.model import Catalog, Dialect, FileDetail, Place
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.forms import refuse_forged
from tests.answer.trees import DETAILS, tree_of, tree_rig
from tests.real import METALINK4
from tests.rig import DETAIL, NOW, Rig, catalog_of, mirror, rig, rig_of

LIST = "/mirrorlist?repo=fedora-40&arch=x86_64"
LINK = "/metalink?repo=fedora-40&arch=x86_64"
V3 = "{http://www.metalinker.org/}"
V4 = "{urn:ietf:params:xml:ns:metalink}"

EUROPE = (mirror("a.de", "DE", bandwidth_mbit=9000), mirror("b.fr", "FR"), mirror("c.de", "DE", bandwidth_mbit=1))
TREE = (
    mirror("a.example", "DE", place=Place(50.1, 8.7)),
    mirror("b.example", "DE", place=Place(52.5, 13.4)),
    mirror("primary.example", None, "https://primary.example/tree", origin=True),
)

WISHES = st.sampled_from(
    (
        "",
        "&country=fr",
        "&country=zz",
        "&protocol=http",
        "&protocol=https,http",
        "&protocol=rsync",
        "&limit=2",
        "&exclude_host=h0",
        "&exclude_country=de",
        "&netblock=0",
        "&ipv6=1",
        "&ip=10.3.0.1",
    )
)
SPELLINGS = {
    Dialect.MIRRORMANAGER: (LIST, LINK, "/mirrorlist?path=pub/linux/40/x86_64/os/repodata/repomd.xml"),
    Dialect.ALMALINUX: ("/mirrorlist/9/baseos?arch=x86_64", "/metalink?repo=baseos-9&arch=x86_64"),
}


@pytest.fixture(scope="module")
def grammar() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(METALINK4))


def lines(answer: Answer) -> list[str]:
    assert (answer.status, answer.content_type) == (200, "text/plain")
    return [line for line in answer.body.decode().splitlines() if not line.startswith("#")]


def parse(answer: Answer) -> dict[str, object]:
    assert (answer.status, answer.content_type) == (200, "application/json")
    parsed: dict[str, object] = json.loads(answer.body)
    return parsed


def hosts_of(answer: Answer) -> list[dict[str, object]]:
    hosts = parse(answer)["hosts"]
    assert isinstance(hosts, list)
    return hosts


def urls_of(document: bytes, version: str) -> list[str]:
    return [url.text for url in etree.fromstring(document).iter(f"{version}url")]


def served_by(catalog: Catalog) -> Rig:
    """The catalog's own dialect; a tree gets versions and repositories."""
    if catalog.dialect is Dialect.ALMALINUX:
        return rig_of(tree_of(hosts=catalog.hosts, host_sets=catalog.host_sets[:1]))
    return rig_of(catalog)


# ---- One list in all formats -----------------------------------------------------------------------------------------


def test_apt_gets_lines_with_priorities_from_1() -> None:
    served = rig(*EUROPE)
    assert served.get(f"{LIST}&format=apt").body == (
        b"https://a.de/pub/linux/40/x86_64/os/\tpriority:1\n"
        b"https://c.de/pub/linux/40/x86_64/os/\tpriority:2\n"
        b"https://b.fr/pub/linux/40/x86_64/os/\tpriority:3\n"
    )


def test_apt_gets_no_url_that_it_cannot_read_unless_there_is_no_other() -> None:
    shown = rig(mirror("r", "DE", "rsync://r/x", "ftp://r/x"), mirror("h", "DE", "http://h/x"), minimum=0)
    assert lines(shown.get(f"{LIST}&format=apt")) == ["http://h/x/linux/40/x86_64/os/\tpriority:1"]
    alone = rig(mirror("f", "DE", "ftp://f/x"), minimum=0)
    assert lines(alone.get(f"{LIST}&format=apt")) == ["ftp://f/x/linux/40/x86_64/os/\tpriority:1"]


def test_pacman_gets_server_lines_without_a_slash_at_their_end() -> None:
    assert lines(rig(*EUROPE).get(f"{LIST}&format=pacman")) == [
        "Server = https://a.de/pub/linux/40/x86_64/os",
        "Server = https://c.de/pub/linux/40/x86_64/os",
        "Server = https://b.fr/pub/linux/40/x86_64/os",
    ]


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        ("pub/linux/40/x86_64/os", "os"),
        ("pub/linux/40/x86_64/os/$repo/os/$arch", "os/$repo/os/$arch"),
        ("/pub/linux/40/x86_64/os/%24repo/os/%24arch/", "os/$repo/os/$arch"),
        ("pub/linux/40/x86_64/os/$repo", "os/$repo"),
        ("pub/linux/40/x86_64/os/$a%20b%0", None),
        ("pub/linux/40/x86_64/os/$a b", "os/$a%20b"),
        ("$repo/os/$arch", None),
    ],
)
def test_what_pacman_fills_in_stands_behind_the_directory(path: str, ending: str | None) -> None:
    answer = rig(mirror("a.de", "DE"), minimum=0).get(f"/mirrorlist?path={path}&format=pacman")
    if ending is None:
        assert answer.status in (400, 404)
    else:
        assert lines(answer) == [f"Server = https://a.de/pub/linux/40/x86_64/{ending}"]


def test_only_pacman_fills_in_variables() -> None:
    path = "path=pub/linux/40/x86_64/os/$repo/os/$arch"
    for form in FORMATS:
        assert rig(*EUROPE).get(f"/mirrorlist?{path}&format={form}").status == (200 if form == "pacman" else 404)


def test_an_open_architecture_has_each_client_s_own_name() -> None:
    served = tree_rig(mirror("a", "DE"))
    assert lines(served.get("/mirrorlist/9/baseos?format=pacman")) == ["Server = https://a/pub/9.8/BaseOS/$arch/os"]
    assert lines(served.get("/mirrorlist/9/baseos?format=mirrorlist")) == ["https://a/pub/9.8/BaseOS/$basearch/os/"]


def test_json_says_who_is_listed_where_and_why() -> None:
    served = rig(
        mirror("inside", "DE", netblocks=["10.1.0.0/24"], private=True),
        *EUROPE[:2],
        mirror("mixed", None, "rsync://mixed/x", "http://mixed/x"),
    )
    assert parse(served.get(f"{LIST}&format=json")) == {
        "lists": "pub/linux/40/x86_64/os/",
        "client": {"country": "DE"},
        "relaxed": [],
        "hosts": [
            {
                "host": "inside",
                "tier": "netblock",
                "country": "DE",
                "distance_km": None,
                "reason": "the client is in its netblock or AS",
                "urls": [f"{scheme}://inside/pub/linux/40/x86_64/os/" for scheme in ("https", "http")],
            },
            {
                "host": "a.de",
                "tier": "country",
                "country": "DE",
                "distance_km": None,
                "reason": "in the client's country, or a requested one, weight 9000",
                "urls": [f"{scheme}://a.de/pub/linux/40/x86_64/os/" for scheme in ("https", "http")],
            },
            {
                "host": "b.fr",
                "tier": "continent",
                "country": "FR",
                "distance_km": None,
                "reason": "on the client's continent, weight 1",
                "urls": [f"{scheme}://b.fr/pub/linux/40/x86_64/os/" for scheme in ("https", "http")],
            },
            {
                "host": "mixed",
                "tier": "global",
                "country": None,
                "distance_km": None,
                "reason": "anywhere in the world, weight 1",
                "urls": [f"{scheme}://mixed/x/linux/40/x86_64/os/" for scheme in ("http", "rsync")],
            },
        ],
    }


def test_json_of_a_tree_has_distances_and_the_primary_last() -> None:
    hosts = hosts_of(tree_rig(*TREE).get("/mirrorlist/9/baseos?format=json"))
    assert [host["host"] for host in hosts] == ["a.example", "b.example", "primary.example"] or [
        host["host"] for host in hosts
    ] == ["b.example", "a.example", "primary.example"]
    assert hosts[-1]["reason"] == "primary_url: has everything, last of every list"
    assert all(isinstance(host["distance_km"], float) for host in hosts[:-1])
    assert hosts[-1]["distance_km"] is None


def test_json_of_a_stranger_knows_no_country_and_of_a_file_names_it() -> None:
    answer = rig(*EUROPE).get(
        "/mirrorlist?path=pub/linux/40/x86_64/os/repodata/repomd.xml&format=json", client="192.0.2.1"
    )
    assert parse(answer)["client"] == {"country": None}
    assert parse(answer)["lists"] == "pub/linux/40/x86_64/os/repodata/repomd.xml"


def test_json_with_a_protocol_shows_that_protocol_alone() -> None:
    urls = [host["urls"] for host in hosts_of(rig(*EUROPE).get(f"{LIST}&format=json&protocol=http"))]
    assert all(isinstance(each, list) and len(each) == 1 and each[0].startswith("http:") for each in urls)


def test_metalink_4_in_full(grammar: etree.RelaxNG) -> None:
    served = rig(mirror("a.de", "DE"), mirror("b", None, "https://b/x?a=1&b=2"), minimum=5)
    answer = served.get(f"{LINK}&format=meta4")
    assert (answer.status, answer.content_type, answer.kind) == (200, "application/metalink4+xml", Kind.METALINK)
    path = "linux/40/x86_64/os/repodata/repomd.xml"
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">\n'
        f"  <generator>redirector/{__version__}</generator>\n"
        "  <published>2026-09-21T14:13:20Z</published>\n"
        '  <file name="repomd.xml">\n'
        "    <size>1234</size>\n"
        f'    <hash type="sha-512">{DETAIL.sha512}</hash>\n'
        f'    <hash type="sha-256">{DETAIL.sha256}</hash>\n'
        f'    <hash type="sha-1">{DETAIL.sha1}</hash>\n'
        f'    <hash type="md5">{DETAIL.md5}</hash>\n'
        f'    <url location="de" priority="1">https://a.de/pub/{path}</url>\n'
        f'    <url location="de" priority="2">http://a.de/pub/{path}</url>\n'
        f'    <url priority="3">https://b/x?a=1&amp;b=2/{path}</url>\n'
        "  </file>\n"
        "</metalink>\n"
    )
    assert grammar.validate(etree.fromstring(answer.body)), grammar.error_log


@pytest.mark.parametrize("detail", [FileDetail(0, 0, sha256="c" * 64), FileDetail(1, 5), DETAIL])
def test_metalink_4_says_what_is_known(grammar: etree.RelaxNG, detail: FileDetail) -> None:
    name = "<&\">'é.iso"
    served = rig_of(catalog_of(EUROPE, details={("pub/linux/40/x86_64/os", name): (detail,)}))
    target = "/mirrorlist?path=pub/linux/40/x86_64/os/%3C%26%22%3E'%C3%A9.iso&format=meta4"
    root = etree.fromstring(served.get(target).body)
    assert grammar.validate(root), grammar.error_log
    assert root.find(f"{V4}file").get("name") == name
    known = {"sha-512": detail.sha512, "sha-256": detail.sha256, "sha-1": detail.sha1, "md5": detail.md5}
    assert {each.get("type"): each.text for each in root.iter(f"{V4}hash")} == {k: v for k, v in known.items() if v}
    assert [int(each.text) for each in root.iter(f"{V4}size")] == [size for size in [detail.size_bytes] if size]
    assert urls_of(etree.tostring(root), V4)[0] == "https://a.de/pub/linux/40/x86_64/os/%3C&%22%3E'%C3%A9.iso"


@pytest.mark.parametrize("target", [LIST.replace("repo=fedora-40&arch=x86_64", "path=pub/linux/40/x86_64/os"), None])
def test_there_is_no_metalink_4_without_details(target: str | None) -> None:
    served = rig_of(catalog_of(EUROPE, details={}) if target is None else catalog_of(EUROPE))
    answer = served.get(f"{target or LINK}&format=meta4")
    assert answer.status == 404
    assert b"not found or has not metalink" in answer.body


@pytest.mark.parametrize("form", ["json", "apt", "pacman", "mirrorlist"])
def test_what_the_vault_alone_has_is_one_url(form: str) -> None:
    answer = tree_rig(mirror("a", "DE")).get(f"/mirrorlist/8.5/baseos?arch=x86_64&format={form}")
    assert answer.status == 200
    urls = re.findall(rb"https?://[^\s\"]+", answer.body)
    assert [url.rstrip(b"/") for url in urls] == [b"https://vault.example/almalinux/8.5/BaseOS/x86_64/os"]


def test_the_vault_s_metalink_4(grammar: etree.RelaxNG) -> None:
    served = tree_rig(mirror("a", "DE"))
    root = etree.fromstring(served.get("/metalink?repo=baseos-9.0&arch=x86_64&format=meta4").body)
    assert grammar.validate(root), grammar.error_log
    (url,) = root.iter(f"{V4}url")
    assert url.text == "https://vault.example/almalinux/9.0/BaseOS/x86_64/os/repodata/repomd.xml"


# ---- Which format ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("path", [LIST, LINK, "/mirrorlist/40/fedora?arch=x86_64"])
def test_the_format_decides_whatever_the_path(form: str, path: str) -> None:
    types = {
        "mirrorlist": "text/plain",
        "metalink": "application/metalink+xml",
        "meta4": "application/metalink4+xml",
        "json": "application/json",
        "apt": "text/plain",
        "pacman": "text/plain",
    }
    answer = rig(*EUROPE).get(f"{path}&format={form}")
    assert (answer.status, answer.content_type) == (200, types[form])
    assert answer.kind is (Kind.METALINK if form in ("metalink", "meta4") else Kind.MIRRORLIST)


@pytest.mark.parametrize("form", FORMATS)
def test_a_wish_that_cannot_be_met_is_said_in_every_format(form: str) -> None:
    answer = rig(*EUROPE).get(f"{LIST}&country=zz&format={form}")
    assert (answer.status, answer.headers) == (200, (("X-Relaxed", "country"),))
    refused = rig(*EUROPE).get(f"{LIST}&country=zz&require=country&format={form}")
    assert refused.status == 404
    assert b"country" in refused.body


@pytest.mark.parametrize("form", FORMATS)
def test_today_s_server_knows_no_formats(form: str) -> None:
    served = rig(*EUROPE, compatibility="mirrormanager")
    assert lines(served.get(f"{LIST}&format={form}"))
    assert served.get(f"{LINK}&format={form}").content_type == "application/metalink+xml"


# ---- Whatever there is, and whoever asks -----------------------------------------------------------------------------


@given(st.data(), st.sampled_from(Dialect), WISHES, st.sampled_from((None, *CLIENTS)))
def test_every_format_lists_the_mirrorlist_s_hosts_in_its_order(
    data: st.DataObject, dialect: Dialect, wishes: str, client: str | None
) -> None:
    catalog = data.draw(catalogs(dialect))
    served = served_by(catalog)
    target = data.draw(st.sampled_from(SPELLINGS[dialect])) + wishes
    answers = {}
    for form in FORMATS:
        # Strangers have no order of their own: the same draw for every format.
        served.chance = 0
        answers[form] = served.get(f"{target}&format={form}", client)
        refuse_forged(answers[form])
    if answers["mirrorlist"].status != 200:
        assert answers["json"].status == answers["mirrorlist"].status
        return
    assert len({(answers[form].tier, answers[form].first) for form in ("mirrorlist", "json", "pacman")}) == 1
    assert len({answers[form].relaxed for form in ("mirrorlist", "json", "pacman")}) == 1
    listed = lines(answers["mirrorlist"])
    assert [line.removeprefix("Server = ") for line in lines(answers["pacman"])] == [
        url.removesuffix("/") for url in listed
    ]
    assert list(dict.fromkeys(host_in(url) for url in listed)) == [each["host"] for each in hosts_of(answers["json"])]
    check_apt(answers["apt"], listed, wishes)
    assert urls_of(answers["meta4"].body, V4) == urls_of(answers["metalink"].body, V3)


def host_in(url: str) -> str:
    return url.split("/")[2]


def check_apt(answer: Answer, listed: Sequence[str], wishes: str) -> None:
    """Every line has its priority, and the hosts that apt can read stand in the mirrorlist's order."""
    pairs = [line.split("\t") for line in lines(answer)]
    assert [priority for _, priority in pairs] == [f"priority:{n}" for n in range(1, len(pairs) + 1)]
    readable = [url for url in listed if url.startswith("http")]
    if readable and "protocol" not in wishes and "limit" not in wishes:
        assert [url for url, _ in pairs] == readable


def test_who_is_in_two_tiers_changes_no_order() -> None:
    both = mirror("both", None, netblocks=["10.1.64.0/18"], asns=(64496,))
    served = rig(both, *(mirror(f"as{n}", None, asns=(64496,)) for n in range(5)), minimum=0)
    for client in range(50):
        listed = lines(served.get(LIST, f"10.1.64.{client}"))
        assert [host_in(url) for url in listed] == [
            each["host"] for each in hosts_of(served.get(f"{LIST}&format=json", f"10.1.64.{client}"))
        ]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp", "Cn"]), min_size=1, max_size=20))
def test_any_url_makes_a_document_and_a_line(text: str) -> None:
    """What a URL cannot hold is percent-encoded; what XML or JSON would read as their own is escaped."""
    base = f"https://m/{text}".rstrip("/")
    served = rig(mirror("m", "DE", base), minimum=0)
    ending = "/linux/40/x86_64/os/repodata/repomd.xml"
    assert urls_of(served.get(f"{LINK}&format=meta4").body, V4) == [plain_url(base + ending)]
    assert hosts_of(served.get(f"{LINK}&format=json"))[0]["urls"] == [base + "/linux/40/x86_64/os/"]
    assert re.fullmatch(r"https://m/[\x21-\x7e]+\tpriority:1", lines(served.get(f"{LIST}&format=apt"))[0])
    assert re.fullmatch(r"Server = https://m/[\x21-\x7e]+", lines(served.get(f"{LIST}&format=pacman"))[0])


@given(catalogs(), st.sampled_from(CLIENTS))
def test_every_metalink_4_is_valid(grammar: etree.RelaxNG, catalog: Catalog, client: str) -> None:
    root = etree.fromstring(rig_of(catalog).get(f"{LINK}&format=meta4", client).body)
    assert grammar.validate(root), grammar.error_log
    assert [each.get("priority") for each in root.iter(f"{V4}url")] == [
        str(n) for n in range(1, len(list(root.iter(f"{V4}url"))) + 1)
    ]
    for each in root.iter(f"{V4}url"):
        assert re.fullmatch(r"[a-z]{2}", each.get("location", "de"))


def test_alternates_are_of_no_use_to_metalink_4() -> None:
    answer = tree_rig(mirror("a", "DE"), fields={"details": DETAILS}).get(
        "/metalink?repo=baseos-9&arch=x86_64&format=meta4", now=NOW
    )
    assert answer.body.count(b"<size>") == 1
    assert b"<size>1234</size>" in answer.body

"""The page for people: who is on it, what is to be copied from it, and what never gets there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from redirector.answer.answer import Kind, Request
from redirector.answer.serve import Responder
from redirector.answer.show.face import Face
from redirector.answer.show.samples import pick_sample
from redirector.locate.proxies import Client
from redirector.model import Catalog, Condition, Dialect, Directory, HostSetId
from tests.answer.catalogs import catalogs
from tests.answer.trees import DETAILS, tree_of
from tests.rig import NOW, Mirror, Rig, catalog_of, mirror, rig, rig_of

PROGRAMS = ["dnf", "zypper", "aria2", "curl"]
OTHER_PROGRAMS = ["apt", "pacman"]
VOID = {"meta", "link", "br"}


def page(served: Rig, host: str = "mirrors.example.org", scheme: str = "https") -> str:
    question = Request(b"/", Client(None), NOW, 0, host=host, scheme=scheme)
    answer = served.responder.answer(question)
    assert (answer.status, answer.kind, answer.content_type) == (200, Kind.PAGE, "text/html; charset=utf-8")
    return answer.body.decode()


def test_whose_data_says_where_addresses_are_is_named() -> None:
    assert ">Where addresses are: made-up places</p>" in page(tree_rig(mirror("a")))


def snapshot_rig(*mirrors: Mirror, **fields: object) -> Rig:
    return rig_of(catalog_of(mirrors, Dialect.MIRRORMANAGER, **fields))


def tree_rig(*mirrors: Mirror, **fields: object) -> Rig:
    return rig_of(tree_of(*mirrors, **{"details": DETAILS, **fields}))


BOTH = pytest.mark.parametrize("build", [snapshot_rig, tree_rig])


class Outline(HTMLParser):
    """Elements that are open, ids, links and texts; every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        values = dict(attrs)
        self.ids += [value for value in [values.get("id")] if value]
        self.links += [value for value in [values.get("href"), values.get("src")] if value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def outline(html: str) -> Outline:
    parsed = Outline()
    parsed.feed(html)
    parsed.close()
    assert parsed.open == []
    return parsed


def codes(html: str) -> list[str]:
    return [unescape(code) for code in re.findall(r"<pre><code>(.*?)</code></pre>", html, re.S)]


# ---- Form ------------------------------------------------------------------------------------------------------------


@BOTH
def test_the_page_is_plain_and_complete(build: Callable[..., Rig]) -> None:
    html = page(build(mirror("a.de", "DE"), mirror("b.fr", "FR")))
    assert html.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    seen = outline(html)
    assert {"title", "h1", "h2", "h3", "main", "header", "table", "caption", "thead", "tbody"} <= set(seen.seen)
    assert not {"script", "img", "iframe", "form", "link", "object"} & set(seen.seen)
    assert seen.seen.count("table") == seen.seen.count("caption") == 2
    assert seen.seen.count("h1") == 1
    assert len(set(seen.ids)) == len(seen.ids)
    assert {link[1:] for link in seen.links if link.startswith("#")} <= set(seen.ids)
    assert all(link.startswith(("#", "/isos/", "/kitten/isos/", "http://", "https://")) for link in seen.links)
    assert [identity for identity in seen.ids if identity in PROGRAMS + OTHER_PROGRAMS] == PROGRAMS
    assert "There is nothing for apt and pacman here." in html


def test_nothing_is_loaded_or_run() -> None:
    headers = dict(rig(mirror("a", "DE")).get("/").headers)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_it_reads_well_without_styles_and_says_how_many_there_are() -> None:
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "", page(rig(mirror("a.de", "DE"), mirror("b.fr", "FR"))), flags=re.S)
    assert "2 public mirrors in 2 countries." in text
    alone = re.sub("<[^>]+>", "", page(rig(mirror("a.de", "DE"))))
    assert "1 public mirror in 1 country." in alone


def test_no_template_is_compiled_once_a_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    served = tree_rig(mirror("a", "DE"))
    monkeypatch.setattr(Environment, "compile", None)
    statuses = {target: served.get(target).status for target in ("/", "/isos", "/isos/x86_64/9", "/kitten")}
    assert set(statuses.values()) == {200}, statuses


# ---- Who is on it ----------------------------------------------------------------------------------------------------


def test_mirrors_stand_by_country_with_their_protocols_and_who_provides_them() -> None:
    html = page(
        rig(
            mirror("z.de", "DE", sponsor="Zed & Co", sponsor_url="https://zed.example/?a=1&b=2"),
            mirror("a.de", "DE", "rsync://a.de/x"),
            mirror("b.fr", "FR", "http://b.fr/x", "rsync://b.fr/x", "https://b.fr/x"),
            mirror("nowhere", None),
            mirror("odd", "ZZ"),
        )
    )
    rows = re.findall(
        r'rowgroup">([^<]+?) <span|<tr><td>(.*?)</td><td class="schemes">(.*?)</td><td>(.*?)</td></tr>', html
    )
    assert [tuple(filter(None, row)) for row in rows] == [
        ("France",),
        ('<a href="https://b.fr/x/" rel="nofollow">b.fr</a>', "https http rsync"),
        ("Germany",),
        ("a.de", "rsync"),
        (
            '<a href="https://z.de/pub/" rel="nofollow">z.de</a>',
            "https http",
            '<a href="https://zed.example/?a=1&amp;b=2" rel="nofollow">Zed &amp; Co</a>',
        ),
        ("ZZ",),
        ('<a href="https://odd/pub/" rel="nofollow">odd</a>', "https http"),
        ("Unknown place",),
        ('<a href="https://nowhere/pub/" rel="nofollow">nowhere</a>', "https http"),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "mailto:admin@a.de",
        "a.de",
        "",
        "ftp://a.de/",
        "https://user@a.de/",
        "http://[",
        "//a.de/",
    ],
)
def test_only_addresses_of_the_web_are_linked(url: str) -> None:
    html = page(rig(mirror("m", "DE", sponsor="Sponsor", sponsor_url=url)))
    assert "<td>Sponsor</td>" in html


@pytest.mark.parametrize("sponsor", ["admin@a.de", "Jo <jo@a.de>", "write to jo@a.de", "a@b"])
def test_no_e_mail_address_is_shown(sponsor: str) -> None:
    html = page(rig(mirror("m", "DE", sponsor=sponsor, sponsor_url="https://a.de/")))
    assert "@" not in re.sub("<style>.*?</style>", "", html, flags=re.S)
    assert "a.de" not in html


def test_names_that_look_like_html_are_text() -> None:
    nasty = "<script>alert('x')</script>\"&"
    html = page(rig(mirror("m", "DE", sponsor=nasty), mirror("<b>", "<i")))
    assert "script" not in outline(html).seen
    assert "&lt;script&gt;" in html
    assert {"b", "i"}.isdisjoint(outline(html).seen)


@BOTH
def test_private_and_local_hosts_and_the_primary_are_not_on_it(build: Callable[..., Rig]) -> None:
    html = page(
        build(
            mirror("public.example", "DE"),
            mirror("private.example", "DE", private=True, netblocks=["10.0.0.0/8"], sponsor="Secret"),
            mirror("cloud.example", "DE", local=True, netblocks=["10.0.0.0/8"]),
            mirror("origin.example", None, "https://origin.example/x", origin=True),
        )
    )
    assert "public.example" in html
    for name in ("private.example", "Secret", "cloud.example", "origin.example"):
        assert name not in html


@given(st.data(), st.sampled_from(Dialect))
def test_no_private_host_is_ever_on_it(data: st.DataObject, dialect: Dialect) -> None:
    catalog: Catalog = data.draw(catalogs(dialect))
    served = rig_of(
        tree_of(hosts=catalog.hosts, host_sets=catalog.host_sets[:1]) if dialect is Dialect.ALMALINUX else catalog
    )
    shown = set(re.findall(r"\bh[0-9]\b(?=/|<)", re.sub("(?s)<style>.*?</style>|</?h[0-9]", "", page(served))))
    assert shown <= {host.name for host in catalog.hosts if not host.private}


# ---- What is to be copied --------------------------------------------------------------------------------------------


@BOTH
def test_every_address_in_a_snippet_answers(build: Callable[..., Rig]) -> None:
    served = build(mirror("a.de", "DE"))
    addresses = re.findall(r"https://mirrors\.example\.org(/[^\s']*)", "\n".join(codes(page(served))))
    assert len(addresses) == 5
    for target in addresses:
        answer = served.get(target.replace("$basearch", "x86_64"))
        assert answer.status in (200, 302), target
        assert b"a.de" in answer.body or "a.de" in dict(answer.headers)["Location"]


def test_snippets_of_a_tree_name_its_newest_version_with_hashes() -> None:
    dnf, zypper, *_ = codes(page(tree_rig(mirror("a", "DE"))))
    assert dnf.splitlines() == [
        "[baseos-9]",
        "name=baseos-9",
        "metalink=https://mirrors.example.org/metalink?repo=baseos-9&arch=$basearch",
        "enabled=1",
        "gpgcheck=1",
    ]
    assert "mirrorlist=https://mirrors.example.org/metalink?repo=baseos-9&arch=$basearch" in zypper


def test_without_hashes_snippets_name_mirrorlists() -> None:
    text = "\n".join(codes(page(tree_rig(mirror("a", "DE"), details={}))))
    assert "mirrorlist=https://mirrors.example.org/mirrorlist?repo=baseos-10&arch=$basearch" in text
    assert "metalink" not in text


@pytest.mark.parametrize(
    ("repositories", "expected"),
    [
        ({("epel-9", "x86_64"): "d"}, ("epel-9", "x86_64")),
        ({("f-9", "x86_64"): "d", ("f-40", "x86_64"): "d", ("f-41", "aarch64"): "d"}, ("f-40", "x86_64")),
        ({("updates-f-40", "x86_64"): "d", ("f-40", "x86_64"): "d"}, ("f-40", "x86_64")),
        ({("f-40", "x86_64"): "d", ("f-39", "x86_64"): "hashed"}, ("f-39", "x86_64")),
        ({("off", "x86_64"): "d", ("f", "s390x"): "d", ("gone", "x86_64"): "absent"}, ("f", "s390x")),
        ({("nobody", "x86_64"): "empty"}, ("", "x86_64")),
        ({}, ("", "x86_64")),
    ],
)
def test_the_sample_is_what_many_people_use(
    repositories: dict[tuple[str, str], str], expected: tuple[str, str]
) -> None:
    base = catalog_of([mirror("a", "DE")])
    (details,) = [each for (name, _), each in base.details.items() if "x86_64" in name]
    nobody = type(base.host_sets[0])({}, (), {})
    catalog = catalog_of(
        [mirror("a", "DE")],
        host_sets=(base.host_sets[0], nobody),
        directories={
            "d": Directory(HostSetId(0)),
            "hashed": Directory(HostSetId(0)),
            "empty": Directory(HostSetId(1)),
        },
        details={("hashed/repodata", "repomd.xml"): details},
        repositories=repositories,
    )
    served = rig_of(catalog)
    sample = pick_sample(served.responder.snapshot)
    assert (sample.repo, sample.arch) == expected
    assert page(served)


def test_archives_of_other_kinds_are_found_by_what_they_hold() -> None:
    names = ("pub/debian", "pub/debian/dists", "pub/arch", "pub/arch/core/os/x86_64", "pub/x/dists")
    text = "\n".join(
        codes(page(rig_of(catalog_of([mirror("a", "DE")], directories=dict.fromkeys(names, Directory(HostSetId(0)))))))
    )
    assert "deb mirror+https://mirrors.example.org/mirrorlist?path=pub/debian&format=apt stable main" in text
    assert "path=pub/arch/$repo/os/$arch&format=pacman" in text
    assert "mirror+" not in page(rig(mirror("a", "DE")))


def test_names_cannot_break_out_of_a_snippet() -> None:
    name = "a'; rm -rf / #"
    catalog = catalog_of(
        [mirror("a", "DE")], directories={name: Directory(HostSetId(0))}, repositories={(name, "x"): name}
    )
    for code in codes(page(rig_of(catalog)))[2:]:
        assert "rm -rf" not in code


@BOTH
def test_every_repository_is_listed_with_its_architectures(build: Callable[..., Rig]) -> None:
    served = build(mirror("a", "DE"))
    listed = re.findall(r"<tr><td>([^<]+)</td><td>([^<]+)</td></tr>", page(served))
    assert listed == sorted(listed)
    for repo, arches in listed:
        for arch in arches.split(", "):
            assert served.get(f"/mirrorlist?repo={repo}&arch={arch}").status == 200
    assert listed
    assert not {"off", "gone"} & dict(listed).keys()


# ---- Whom was asked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "scheme", "site"),
    [
        ("mirrors.example.org", "", "http://mirrors.example.org"),
        ("mirrors.example.org:8080", "http", "http://mirrors.example.org:8080"),
        ("mirrors.example.org", "HTTPS ", "https://mirrors.example.org"),
        ("192.0.2.1:80", "https, http", "http://192.0.2.1:80"),
        ("[2001:db8::1]:8080", "", "http://[2001:db8::1]:8080"),
        ("", "https", "http://mirrors.example"),
        ("a b", "", "http://mirrors.example"),
        ('a"><script>', "", "http://mirrors.example"),
        ("user@host", "", "http://mirrors.example"),
        ("host/path", "", "http://mirrors.example"),
        ("host:port", "", "http://mirrors.example"),
        ("host\n", "", "http://mirrors.example"),
        ("host", "javascript", "http://host"),
        ("é.example", "", "http://mirrors.example"),
    ],
)
def test_snippets_name_the_server_as_the_client_does(host: str, scheme: str, site: str) -> None:
    html = page(rig(mirror("a", "DE")), host, scheme)
    assert f"metalink={site}/metalink?" in html
    assert "\0" not in html


@given(st.text(max_size=40), st.text(max_size=10))
def test_no_host_header_breaks_the_page(host: str, scheme: str) -> None:
    html = page(rig(mirror("a", "DE")), host, scheme)
    assert outline(html).seen == outline(page(rig(mirror("a", "DE")))).seen


def test_the_page_is_compiled_once() -> None:
    served = rig(mirror("a", "DE"))
    pieces = served.responder.page
    page(served)
    assert served.responder.page is pieces
    assert len(pieces.before) + len(pieces.after) == 7


def test_the_page_stays_where_answers_are_today_s_server_s() -> None:
    answer = rig(mirror("a", "DE"), compatibility="mirrormanager").get("/")
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")


def faced(served: Rig, face: Face) -> Rig:
    return Rig(Responder(served.responder.snapshot, face))


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_there_is_no_page_where_nobody_wants_one(compatibility: str | None) -> None:
    served = faced(rig(mirror("a", "DE"), compatibility=compatibility), Face(shown=False))
    assert served.get("/").status == 404
    assert faced(tree_rig(mirror("a", "DE")), Face(shown=False)).get("/isos").status == 404


def test_operators_say_title_logo_links_and_keys() -> None:
    links = (("Status", "https://status.example"), ("<b>", "https://b.example"))
    face = Face(True, "Our & mirrors", "The <logo>", links, "https://keys.example/KEY")
    html = page(faced(tree_rig(mirror("a", "DE")), face))
    assert "<title>Our &amp; mirrors</title>" in html and "<h1>Our &amp; mirrors</h1>" in html
    assert "The &lt;logo&gt;" in html and "&lt;b&gt;</a>" in html
    assert '<a href="https://status.example" rel="nofollow">Status</a>' in html
    dnf, zypper, *_ = codes(html)
    assert dnf.endswith("gpgcheck=1\ngpgkey=https://keys.example/KEY")
    assert zypper.endswith("gpgcheck=1\ngpgkey=https://keys.example/KEY")


def test_a_visitor_sees_the_mirrors_that_its_programs_get() -> None:
    served = tree_rig(mirror("far.example", "FR"), mirror("near.example", "DE"))
    question = Request(b"/", Client(None), NOW, 0)
    html = served.responder.answer(question).body.decode()
    yours = html.partition('id="yours"')[2].partition("</section>")[0]
    assert "far.example" in yours and "near.example" in yours
    assert "Your mirrors" not in page(tree_rig(mirror("p", "DE", private=True, netblocks=["192.0.2.0/24"])))


def test_who_is_down_or_off_is_marked_with_since_when() -> None:
    ill = mirror("ill.example", "DE", up=False, condition=Condition("stale", since=NOW), down_reason="internal words")
    html = page(tree_rig(ill, mirror("well.example", "DE")))
    assert html.count("down since 2026-09-21 14:13 UTC") == 1 and "internal words" not in html


def test_anchors_stay_whatever_countries_there_are() -> None:
    one = outline(page(tree_rig(mirror("us.example", "US")))).ids
    more = outline(page(tree_rig(mirror("de.example", "DE"), mirror("us.example", "US")))).ids
    assert "in-united-states" in one and {"in-united-states", "in-germany"} <= set(more)


def test_what_browsers_and_robots_ask_for_is_what_they_expect() -> None:
    for compatibility in (None, "mirrormanager"):
        served = rig(mirror("a", "DE"), compatibility=compatibility)
        icon, robots = served.get("/favicon.ico"), served.get("/robots.txt")
        assert (icon.status, icon.content_type, icon.body[:4]) == (200, "image/x-icon", b"\0\0\1\0")
        assert len(icon.body) == 22 + 40 + 8 + 128
        assert robots.body.startswith(b"User-agent: *\n") and robots.content_type == "text/plain"


# ---- ISO images, modules, and what operators look at -----------------------------------------------------------------


def test_pages_of_iso_images_lead_to_mirrors() -> None:
    served = tree_rig(mirror("a.example", "DE"), mirror("p.example", "DE", private=True, netblocks=["192.0.2.0/24"]))
    index = served.get("/isos").body.decode()
    links = [link for link in outline(index).links if link.startswith("/isos/")]
    assert "/isos/x86_64/9.8" in links and all("kitten" not in link for link in links)
    for link in [*links, "/isos/x86_64/9", "/isos/x86_64/9.8/"]:
        answer = served.get(link)
        assert (answer.status, answer.kind) == (200, Kind.PAGE), link
        assert "https://a.example" in answer.body.decode() and b"p.example" not in answer.body
    assert any(link.endswith("/9.8/isos/x86_64/") for link in outline(served.get("/isos/x86_64/9").body.decode()).links)
    assert served.get("/isos/x86_64/77").status == served.get("/isos/z80/9").status == 404
    assert served.get("/isos/x86_64").status == 404
    assert snapshot_rig(mirror("a", "DE")).get("/isos").status == 404


@pytest.mark.parametrize("name", ["ip_info", "nearest_mirrors", "all_mirrors"])
def test_what_operators_look_at_is_for_them_alone(name: str) -> None:
    served = tree_rig(
        mirror("a.example", "DE"), mirror("p.example", "DE", private=True, netblocks=["192.0.2.0/24"], sponsor="S")
    )
    target = f"/debug/json/{name}".encode()
    stranger = served.responder.answer(Request(target, Client(None), NOW, 0))
    assert stranger.status == 403 and b"example" not in stranger.body
    operator = Request(target, Client(None), NOW, 0, operator=True)
    answer = served.responder.answer(operator)
    assert (answer.status, answer.content_type) == (200, "application/json")
    told = json.loads(answer.body)
    if name == "all_mirrors":
        assert [host["name"] for host in told] == ["a.example", "p.example"]
        assert told[1]["subnets"] == ["192.0.2.0/24"] and not any("mail" in key for key in told[0])
    elif name == "nearest_mirrors":
        assert [host["name"] for host in told] == ["a.example"]
    else:
        assert told["ip"] is None
        other = Request(target + b"?ip=192.0.2.1", Client(None), NOW, 0, operator=True)
        assert json.loads(served.responder.answer(other).body)["netblocks"] == [
            {"prefix": 24, "mirrors": ["p.example"]}
        ]
    assert served.responder.answer(replace(operator, target=b"/debug/json/else")).status == 404

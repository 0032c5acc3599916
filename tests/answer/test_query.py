"""From a request target to a query: routing, decoding, parameters, wishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.answer.answer import Kind
from redirector.answer.ask.query import Query, kind_of, parse_query
from redirector.answer.ask.wishes import NO_WISHES, Wishes
from redirector.errors import QueryError

LIST, LINK, ISOS, PAGE, OTHER = Kind.MIRRORLIST, Kind.METALINK, Kind.ISOLIST, Kind.PAGE, Kind.OTHER


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("/mirrorlist", Query(LIST)),
        ("/mirrorlist/", Query(LIST)),
        ("/metalink?repo=r&arch=a", Query(LINK, repo="r", arch="a")),
        ("/any/prefix/metalink?repo=r&arch=a", Query(LINK, repo="r", arch="a")),
        ("http://host.example/mirrorlist?repo=r&arch=a", Query(LIST, repo="r", arch="a")),
        ("/mirrorlist?repo=&arch=", Query(LIST, repo="", arch="")),
        ("/mirrorlist?repo&arch", Query(LIST, repo="", arch="")),
        ("/mirrorlist?repo=a=b&arch=c", Query(LIST, repo="a=b", arch="c")),
        ("/mirrorlist?repo=a&repo=b", Query(LIST, repo="b")),
        ("/mirrorlist?r%65po=%61%2Bb+c", Query(LIST, repo="a+b+c")),
        ("/mirrorlist?&&=x&", Query(LIST)),
        ("/mirrorlist?path=//a///b/", Query(LIST, path="a/b")),
        ("/mirrorlist?path=", Query(LIST, path="")),
        ("/mirrorlist?path=a%2Fb%20c", Query(LIST, path="a/b c")),
        ("/mirrorlist?redirect&time=0", Query(LIST, redirect=True, time=True)),
        ("/mirrorlist?ip=1.2.3.4", Query(LIST, address="1.2.3.4")),
        ("/mirrorlist?ip=", Query(LIST)),
        ("/mirrorlist?format=json", Query(LIST, format="json")),
        ("/mirrorlist?countme=1&infra=$infra&content=centos", Query(LIST)),
        ("/mirrorlist/9/baseos", Query(LIST, version="9", repository="baseos")),
        ("/mirrorlist/9/baseos/", Query(LIST, version="9", repository="baseos")),
        ("/mirrorlist/9/b%61seos?arch=x86_64", Query(LIST, version="9", repository="baseos", arch="x86_64")),
        ("/mirrorlist/9/mirrorlist?repo=r", Query(LIST, repo="r")),
        ("/isolist/9/x86_64", Query(ISOS, version="9", arch="x86_64")),
        ("/isolist/9/x86_64/?arch=other", Query(ISOS, version="9", arch="x86_64")),
        ("/isolist/9/x86_64?ip=1.2.3.4&country=de", Query(
            ISOS, version="9", arch="x86_64", address="1.2.3.4", wishes=Wishes(countries=("de",)))),
        ("/", Query(PAGE)),
        ("", Query(PAGE)),
        ("//", Query(PAGE)),
        ("/9/BaseOS/x86_64/os/repodata/repomd.xml", Query(OTHER, path="9/BaseOS/x86_64/os/repodata/repomd.xml")),
        ("//a///b", Query(OTHER, path="a/b")),
        ("/a/b/", Query(OTHER, path="a/b/")),
        ("http://host.example/a/b", Query(OTHER, path="a/b")),
        ("HTTPS://host.example:8443/", Query(PAGE)),
        ("http://host.example", Query(PAGE)),
        ("http://host.example/isolist/9/x86_64", Query(ISOS, version="9", arch="x86_64")),
        ("/a%20b?ip=1.2.3.4&country=de", Query(
            OTHER, path="a b", address="1.2.3.4", wishes=Wishes(countries=("de",)))),
    ],
)  # fmt: skip
def test_target_becomes_query(target: str, query: Query) -> None:
    assert parse_query(target.encode()) == query


@pytest.mark.parametrize(
    ("parameters", "wishes"),
    [
        ("", NO_WISHES),
        ("country=", NO_WISHES),
        ("country=,", NO_WISHES),
        ("country=us,De,global", Wishes(countries=("De", "global", "us"))),
        ("country=us,us, us", Wishes(countries=("us",))),
        ("country=GLOBAL", Wishes(countries=("GLOBAL",))),
        ("cc=us", Wishes(countries=("us",))),
        ("cc=us&country=de", Wishes(countries=("de",))),
        ("cc=us&country=", Wishes(countries=("us",))),
        ("protocol=", NO_WISHES),
        ("protocol=HTTPS,http,https", Wishes(protocols=("http", "https"))),
        ("netblock=1", NO_WISHES),
        ("netblock=", Wishes(networks=False)),
        ("netblock=0", Wishes(networks=False)),
        ("exclude_host=B.Example,a.example,", Wishes(exclude_hosts=frozenset({"a.example", "b.example"}))),
        ("exclude_country=de,Fr", Wishes(exclude_countries=frozenset({"DE", "FR"}))),
        ("limit=3", Wishes(limit=3)),
        ("limit=007", Wishes(limit=7)),
        ("limit=", NO_WISHES),
        ("ipv4=1", Wishes(family=4)),
        ("ipv6=1&ipv4=0", Wishes(family=6)),
        ("ipv4=1&ipv6=1", NO_WISHES),
        ("require=country", Wishes(demands=frozenset({"country"}))),
        ("require=https", Wishes(protocols=("https",), demands=frozenset({"protocol"}))),
        ("require=HTTPS,Protocol&protocol=ftp", Wishes(protocols=("https",), demands=frozenset({"protocol"}))),
        ("require=ipv6", Wishes(family=6, demands=frozenset({"ipv6"}))),
        ("require=ipv6&ipv4=1", Wishes(family=6, demands=frozenset({"ipv6"}))),
    ],
)
def test_parameters_become_wishes(parameters: str, wishes: Wishes) -> None:
    assert parse_query(f"/mirrorlist?{parameters}".encode()).wishes == wishes


def test_country_echoes_sixty_of_them() -> None:
    sixty = sorted({f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"})[:60]
    assert parse_query(f"/mirrorlist?country={','.join(sixty)}".encode()).wishes.countries == tuple(sixty)


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/mirrorlist?country=usa", 400, "country=usa: each value must be two letters or global"),
        ("/mirrorlist?country=u%31", 400, "country=u1: each value must be two letters or global"),
        ("/mirrorlist?country=de%0A", 400, "the query has a control character"),
        ("/mirrorlist?country=%C5%BFe", 400, "country=ſe: each value must be two letters or global"),
        ("/mirrorlist?country=de%E2%80%A8", 400, "country=de\u2028: each value must be two letters or global"),
        ("/mirrorlist?cc=x", 400, "cc=x: each value must be two letters or global"),
        ("/mirrorlist?exclude_country=global", 400, "exclude_country=global: each value must be two letters"),
        ("/mirrorlist?protocol=gopher", 400, "protocol=gopher: each value must be one of https, http, ftp, rsync"),
        (
            "/mirrorlist?require=speed",
            400,
            "require=speed: each value must be one of country, protocol, ipv4, ipv6, https, http, ftp, rsync",
        ),
        ("/mirrorlist?limit=0", 400, "limit=0: must be a whole number from 1 to 999999"),
        ("/mirrorlist?limit=-1", 400, "limit=-1: must be a whole number from 1 to 999999"),
        ("/mirrorlist?limit=1000000", 400, "limit=1000000: must be a whole number from 1 to 999999"),
        ("/mirrorlist?limit=%D9%A3", 400, "limit=٣: must be a whole number from 1 to 999999"),
        ("/mirrorlist?ipv4=yes", 400, "ipv4=yes: must be 0 or 1"),
        ("/mirrorlist?require=ipv4&ipv6=yes", 400, "ipv6=yes: must be 0 or 1"),
        (
            "/mirrorlist?format=yaml",
            400,
            "format=yaml: unknown; there are mirrorlist, metalink, meta4, json, apt, pacman",
        ),
        ("/mirrorlist?a=%zz", 400, "the query has a percent sign that no two hexadecimal digits follow"),
        ("/mirrorlist?a=%", 400, "the query has a percent sign that no two hexadecimal digits follow"),
        ("/%2/mirrorlist", 400, "the path has a percent sign that no two hexadecimal digits follow"),
        ("/mirrorlist?a=%FF", 400, "the query is not UTF-8"),
        ("/%C3/mirrorlist", 400, "the path is not UTF-8"),
        ("/mirrorlist?a=%00", 400, "the query has a control character"),
        ("/a%0D%0Ab", 400, "the path has a control character"),
        ("/mirrorlist/9", 404, "no such page: this path has the form /mirrorlist/<version>/<repository>"),
        ("/mirrorlist/9/a/b", 404, "no such page: this path has the form /mirrorlist/<version>/<repository>"),
        ("/isolist/9", 404, "no such page: this path has the form /isolist/<version>/<arch>"),
        ("/a/../b", 400, "the path may not hold '.', '..' or a backslash"),
        ("/a/%2E%2e/b", 400, "the path may not hold '.', '..' or a backslash"),
        ("/a\\b", 400, "the path may not hold '.', '..' or a backslash"),
        ("*", 400, "the path may not hold '.', '..' or a backslash"),
    ],
)
def test_what_is_malformed_is_refused(target: str, status: int, text: str) -> None:
    with pytest.raises(QueryError) as refusal:
        parse_query(target.encode())
    assert (refusal.value.status, str(refusal.value)) == (status, text)


@pytest.mark.parametrize("decode", [True, False])
@given(target=st.binary(max_size=200))
def test_any_bytes_become_a_query_or_a_refusal(decode: bool, target: bytes) -> None:
    for prefix in (b"", b"/mirrorlist?", b"/mirrorlist?country=", b"/mirrorlist/9/", b"/metalink?path="):
        try:
            query = parse_query(prefix + target, decode)
        except QueryError as refusal:
            assert refusal.status in (400, 404)
        else:
            assert query.kind in Kind


@given(st.binary(max_size=100))
def test_kind_needs_no_query(target: bytes) -> None:
    try:
        kind = parse_query(target).kind
    except QueryError:
        assert kind_of(target) in Kind
    else:
        assert kind_of(target) == kind or b"%" in target

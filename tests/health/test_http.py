from __future__ import annotations

import asyncio
import gzip
import hashlib
import ssl
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
import trustme

from redirector.health.evidence import INDEX_LIMIT_BYTES, Ask, Family, Outcome, Probe
from redirector.health.pace import Pace
from redirector.health.safety import Safety
from tests.health.hostile import (
    NOW,
    Behaviour,
    Request,
    always,
    answer,
    ask,
    files,
    http,
    listening,
    mirror,
    names,
    redirect,
)
from tests.patience import PATIENCE_S, SOON_S

BODY = b"<repomd>...</repomd>"
PATH = "9/BaseOS/x86_64/os/repodata/repomd.xml"


def chunked(*parts: bytes, end: bool = True) -> bytes:
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if end else b"")


def closing(*pieces: bytes, pause_s: float = 0.0) -> Behaviour:
    """Writes *pieces* with pauses, then closes."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> bool:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return False

    return behave


def endless(head: bytes, piece: bytes, pause_s: float = 0.0) -> Behaviour:
    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return behave


async def silent(_: Request, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        await asyncio.sleep(0.05)


async def test_an_index_comes_with_hash_size_validators_and_times() -> None:
    reply = answer(BODY, "200 OK", 'ETag: "a"', "Last-Modified: Sat, 28 Nov 2026 06:00:00 GMT")
    async with mirror(always(reply)) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert (found.outcome, found.status, found.size_bytes) == (Outcome.OK, 200, len(BODY))
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (found.etag, found.last_modified) == ('"a"', "Sat, 28 Nov 2026 06:00:00 GMT")
    assert found.modified == int(datetime(2026, 11, 28, 6, tzinfo=UTC).timestamp())
    assert (found.address, found.family, found.vantage, found.at) == ("127.0.0.1", Family.IPV4, "here", int(NOW))
    assert 0 < found.duration_s < 2


async def test_requests_carry_our_name_ask_for_the_file_as_it_is_and_have_no_cookies() -> None:
    async with mirror(always(answer(b"1", "200 OK", "Set-Cookie: a=b; Path=/"))) as m:
        prober = http()
        await prober.probe(m.probe(Ask.MARKER, "TIME"))
        await ask(prober, m.probe(Ask.MARKER, "TIME"))
    for request in m.requests:
        assert request.headers["user-agent"].startswith("redirector-crawler/")
        assert request.headers["accept-encoding"] == "identity"
        assert "cookie" not in request.headers and "authorization" not in request.headers


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mirror(always(answer(b"proxy"))) as proxy, mirror(always(answer(b"1"))) as m:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.origin}")
        assert (await ask(http(), m.probe(Ask.MARKER, "TIME"))).text == "1"
    assert not proxy.requests


async def test_paths_of_any_bytes_arrive_as_they_are() -> None:
    async with mirror(always(answer(b"1"))) as m:
        await ask(http(), m.probe(Ask.FILE, "a b/ä\udcff#?%41+.rpm"))
    assert m.requests[0].target == "/a%20b/%C3%A4%FF%23%3F%2541+.rpm"


async def test_one_connection_serves_a_visit() -> None:
    async with mirror(files({"/TIME": b"1"})) as m:
        prober = http()
        for _ in range(3):
            await prober.probe(m.probe(Ask.MARKER, "TIME"))
        await prober.probe(m.probe(Ask.FILE, "missing"))
        await ask(prober, m.probe(Ask.MARKER, "TIME"))
    assert len(m.requests) == 5
    assert m.connections == 1


async def test_a_kept_connection_that_is_gone_is_replaced_and_both_tries_are_counted() -> None:
    seen = 0

    async def behave(_: Request, writer: asyncio.StreamWriter) -> bool:
        nonlocal seen
        seen += 1
        if seen != 2:
            writer.write(answer(b"1"))
        return seen != 2

    pace = Pace(now=lambda: NOW, monotonic=time.monotonic)
    async with mirror(behave) as m:
        prober = http(pace=pace)
        await prober.probe(m.probe(Ask.MARKER, "TIME"))
        found = await ask(prober, m.probe(Ask.MARKER, "TIME"))
    assert found.outcome is Outcome.OK
    assert len(m.requests) == pace.requests_today("127.0.0.1") == 3


async def test_validators_are_sent_and_an_unchanged_file_has_no_body() -> None:
    async with mirror(always(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n')) as m:
        probe = m.probe(Ask.INDEX, PATH, etag='"a"', modified="Sat, 28 Nov 2026 06:00:00 GMT")
        found = await ask(http(), probe)
    assert (found.outcome, found.sha256) == (Outcome.UNCHANGED, "")
    assert m.requests[0].headers["if-none-match"] == '"a"'
    assert m.requests[0].headers["if-modified-since"] == "Sat, 28 Nov 2026 06:00:00 GMT"


async def test_a_file_is_asked_for_without_its_body() -> None:
    async with mirror(files({"/a.rpm": b"x" * 1000})) as m:
        found = await ask(http(), m.probe(Ask.FILE, "a.rpm"))
    assert (found.outcome, found.size_bytes, m.requests[0].method) == (Outcome.OK, 1000, "HEAD")


async def test_a_server_without_head_is_asked_otherwise_and_its_file_is_not_read() -> None:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "HEAD":
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(answer(b"x" * 1000, length=1 << 40))

    async with mirror(behave) as m:
        found = await ask(http(), m.probe(Ask.FILE, "a.iso"))
    assert (found.outcome, found.size_bytes) == (Outcome.OK, 1 << 40)


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        ("404 Not Found", (), Outcome.MISSING),
        ("410 Gone", (), Outcome.MISSING),
        ("401 Unauthorized", (), Outcome.DENIED),
        ("403 Forbidden", (), Outcome.DENIED),
        ("429 Too Many Requests", (), Outcome.BUSY),
        ("503 Service Unavailable", ("Retry-After: 120",), Outcome.BUSY),
        ("503 Service Unavailable", (), Outcome.SERVER_ERROR),
        ("503 Service Unavailable", ("Retry-After: soon",), Outcome.SERVER_ERROR),
        ("500 Internal Server Error", (), Outcome.SERVER_ERROR),
        ("599 Odd", (), Outcome.SERVER_ERROR),
        ("300 Multiple Choices", (), Outcome.UNREADABLE),
        ("418 Teapot", (), Outcome.UNREADABLE),
    ],
)
async def test_statuses_mean(status: str, headers: tuple[str, ...], outcome: Outcome) -> None:
    async with mirror(always(answer(b"no", status, *headers))) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert (found.outcome, found.status) == (outcome, int(status[:3]))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), (" 7 ", 7), ("0", 0), ("9" * 400, 86400), ("Fri, 18 Sep 2099 10:00:00 GMT", 86400)],
)
async def test_busy_mirrors_say_when_to_come_again(value: str, seconds: int) -> None:
    async with mirror(always(answer(b"", "429 Too Many", f"Retry-After: {value}"))) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert found.retry_after == int(NOW) + seconds


async def test_a_busy_address_is_left_alone_until_its_time_has_come() -> None:
    async with mirror(always(answer(b"", "429 Too Many", "Retry-After: 60"))) as m:
        prober = http()
        await prober.probe(m.probe(Ask.INDEX, PATH))
        found = await ask(prober, m.probe(Ask.INDEX, PATH))
    assert (found.outcome, found.retry_after, len(m.requests)) == (Outcome.BUSY, int(NOW) + 60, 1)


@pytest.mark.parametrize(
    "reply",
    [
        answer(BODY, length=len(BODY) + 1),
        chunked(BODY, end=False),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + BODY,
    ],
    ids=["length", "no-last-chunk", "short-chunk"],
)
async def test_cut_bodies_are_seen(reply: bytes) -> None:
    async with mirror(closing(reply)) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert (found.outcome, found.sha256) == (Outcome.CUT, "")


async def test_a_cut_file_sent_whole_is_another_hash() -> None:
    async with mirror(always(answer(BODY[:-3]))) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert (found.outcome, found.sha256) == (Outcome.OK, hashlib.sha256(BODY[:-3]).hexdigest())


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536), Outcome.HOSTILE),
        (
            endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
            Outcome.HOSTILE,
        ),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"x", 0.05), Outcome.TIMEOUT),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.05), Outcome.TIMEOUT),
        (endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01), Outcome.TIMEOUT),
        (silent, Outcome.TIMEOUT),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"), Outcome.HOSTILE),
        (closing(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000_000 + b"\r\n\r\n"), Outcome.HOSTILE),
        (closing(b"SSH-2.0-OpenSSH_9.9\r\n"), Outcome.UNREADABLE),
        (closing(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Outcome.UNREADABLE),
        (closing(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), Outcome.UNREADABLE),
        (closing(), Outcome.NO_CONNECTION),
        (closing(b"HTTP/1.1 200"), Outcome.NO_CONNECTION),
    ],
    ids=[
        "endless",
        "endless-chunks",
        "drip",
        "drip-of-headers",
        "endless-1xx",
        "silent",
        "many-headers",
        "10-MB-header",
        "no-http",
        "no-number",
        "two-lengths",
        "closed",
        "closed-in-the-head",
    ],
)
async def test_hostile_answers_end_soon(behaviour: Behaviour, outcome: Outcome) -> None:
    async with mirror(behaviour) as m:
        began = time.monotonic()
        prober = http(request_s=0.6 if outcome is Outcome.TIMEOUT else PATIENCE_S)
        found = await ask(prober, m.probe(Ask.INDEX, PATH))
        assert time.monotonic() - began < SOON_S
    assert found.outcome is outcome, found
    assert (found.sha256, found.entries) == ("", ())
    assert len(found.finding) <= 200 and found.finding.isprintable()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
async def test_bodies_packed_unasked_are_unpacked(encoding: str) -> None:
    packed = zlib.compress(BODY) if encoding == "deflate" else gzip.compress(BODY)
    async with mirror(always(answer(packed, "200 OK", f"Content-Encoding: {encoding}"))) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()


async def test_a_packed_file_is_not_unpacked_though_its_server_calls_that_an_encoding() -> None:
    packed = gzip.compress(BODY)
    async with mirror(always(answer(packed, "200 OK", "Content-Encoding: x-gzip"))) as m:
        found = await ask(http(), m.probe(Ask.INDEX, "v3.20/main/x86_64/APKINDEX.tar.gz"))
    assert found.sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize(
    ("body", "encoding", "outcome"),
    [
        (gzip.compress(bytes(64 << 20)), "gzip", Outcome.HOSTILE),
        (gzip.compress(BODY)[:-9], "gzip", Outcome.UNREADABLE),
        (b"none", "gzip", Outcome.UNREADABLE),
        (b"none", "br", Outcome.UNREADABLE),
    ],
    ids=["bomb", "cut", "none", "unknown"],
)
async def test_what_cannot_be_unpacked_within_bounds_is_discarded(body: bytes, encoding: str, outcome: Outcome) -> None:
    async with mirror(always(answer(body, "200 OK", f"Content-Encoding: {encoding}"))) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert (found.outcome, found.sha256) == (outcome, "")


async def test_an_index_that_says_it_is_too_long_is_left_unread_with_its_size() -> None:
    reply = answer(b"x", length=INDEX_LIMIT_BYTES + 1)
    async with mirror(always(reply)) as m:
        found = await ask(http(), m.probe(Ask.INDEX, "extra/os/x86_64/extra.db"))
    assert (found.outcome, found.size_bytes, found.sha256) == (Outcome.OK, INDEX_LIMIT_BYTES + 1, "")


@pytest.mark.parametrize(
    ("body", "headers", "html"),
    [
        (b"<!DOCTYPE html><title>Not here</title>", (), True),
        (b"\xef\xbb\xbf \n<HTML>", (), True),
        (b"1795000000", ("Content-Type: text/html; charset=x",), True),
        (b"1795000000", ("Content-Type: text/plain",), False),
        (b"<repomd>", (), False),
    ],
)
async def test_pages_for_people_are_told_apart(body: bytes, headers: tuple[str, ...], html: bool) -> None:
    async with mirror(always(answer(body, "200 OK", *headers))) as m:
        found = await ask(http(), m.probe(Ask.MARKER, "TIME"))
    assert (found.outcome, found.html) == (Outcome.OK, html)
    assert html is False or found.stamp is None


async def test_a_page_too_long_for_a_marker_is_a_page() -> None:
    page = b"<!doctype html>" + b"x" * 100_000
    async with mirror(closing(b"HTTP/1.1 200 OK\r\n\r\n" + page)) as m:
        found = await ask(http(), m.probe(Ask.MARKER, "TIME"))
    assert (found.outcome, found.html, found.sha256) == (Outcome.OK, True, "")


async def test_a_folder_shows_what_is_directly_in_it() -> None:
    page = (
        b'<html><a href="../">up</a><a href="?C=M">sort</a><a href="/pub/">top</a><a href="a%20b.rpm">x</a>'
        b'<a href="sub/">x</a><a href="//other/x">x</a><a href="a/../../etc">x</a><a href="%2e%2e">x</a>'
        b'<a href="./c.rpm">x</a><a href="c.rpm">again</a><a href="java:x">x</a><a href="b&amp;c">x</a>'
    )
    async with mirror(always(answer(page, "200 OK", "Content-Type: text/html"))) as m:
        found = await ask(http(), m.probe(Ask.FOLDER, "9/x"))
    assert m.requests[0].target == "/9/x/"
    assert [(each.path, each.folder) for each in found.entries] == [
        ("a b.rpm", False),
        ("sub", True),
        ("c.rpm", False),
        ("b&c", False),
    ]
    assert not found.html


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_another_host_is_followed_and_told(status: str) -> None:
    async with mirror(files({f"/other/{PATH}": BODY}), "127.0.0.2") as second:
        async with mirror(redirect(f"http://near.example:{second.port}/other/{PATH}", status)) as m:
            resolve = names({"mirror.example": ["127.0.0.1"], "near.example": ["127.0.0.2"]})
            probe = Probe(
                "m", "", Ask.INDEX, f"http://mirror.example:{m.port}/", PATH, ports=frozenset({m.port, second.port})
            )
            found = await ask(http(resolve), probe)
    assert (found.outcome, found.sha256) == (Outcome.OK, hashlib.sha256(BODY).hexdigest())
    assert (found.redirected, found.address) == (f"near.example:{second.port}", "127.0.0.2")
    assert second.requests[0].headers["host"] == f"near.example:{second.port}"


@pytest.mark.parametrize(
    "location",
    [
        "http://mirror.example:{port}/index.html",
        "/",
        "",
        "ftp://mirror.example/" + PATH,
        "file:///etc/" + PATH,
        "http://[::1",
    ],
)
async def test_redirects_no_mirror_would_send_are_failures(location: str) -> None:
    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", "302 Found", "Location: " + location.format(port=m.port)))

    async with mirror(behave) as m:
        found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert found.outcome is Outcome.REDIRECT
    assert len(m.requests) == 1


@pytest.mark.parametrize(("hops", "outcome"), [(3, Outcome.OK), (4, Outcome.REDIRECT)])
async def test_the_fourth_redirect_in_a_row_is_a_failure(hops: int, outcome: Outcome) -> None:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        depth = request.target.count("/x")
        writer.write(answer(BODY) if depth == hops else answer(b"", "302 F", "Location: /x" + request.target))

    async with mirror(behave) as m:
        found = await ask(http(), m.probe(Ask.INDEX, "repomd.xml"))
    assert found.outcome is outcome
    assert len(m.requests) == 4


@pytest.mark.parametrize(
    "inner",
    [
        "127.0.0.9",
        "[::1]",
        "10.1.2.3",
        "169.254.169.254",
        "[::ffff:127.0.0.9]",
        "[64:ff9b::7f00:9]",
        "2130706441",
        "inner.example",
        "[fe80::1]",
    ],
)
async def test_a_redirect_inward_is_not_followed(inner: str) -> None:
    async with mirror(always(answer(b"secret")), "127.0.0.9") as victim:
        async with mirror(redirect(f"http://{inner}:{victim.port}/{PATH}")) as m:
            known = {"mirror.example": ["127.0.0.1"], "inner.example": ["127.0.0.9"], "2130706441": ["127.0.0.9"]}
            probe = Probe(
                "m", "", Ask.INDEX, f"http://mirror.example:{m.port}/", PATH, ports=frozenset({m.port, victim.port})
            )
            found = await ask(http(names(known), safety=Safety((ip_network("127.0.0.1"),))), probe)
    assert found.outcome is Outcome.FORBIDDEN
    assert not victim.connections


async def test_ports_that_are_not_the_mirrors_own_are_not_knocked_at() -> None:
    async with mirror(always(answer(b"secret"))) as victim:
        async with mirror(redirect(f"http://mirror.example:{victim.port}/{PATH}")) as m:
            found = await ask(http(), m.probe(Ask.INDEX, PATH))
    assert found.outcome is Outcome.FORBIDDEN
    assert not victim.connections


@pytest.mark.parametrize("host", ["127.0.0.9", "[::ffff:127.0.0.9]", "lies.example"])
async def test_inner_addresses_are_not_connected_to_whatever_names_them(host: str) -> None:
    async with mirror(always(answer(b"secret")), "127.0.0.9") as victim:
        resolve = names({"lies.example": ["127.0.0.9", "10.0.0.1", "::1"]})
        found = await ask(http(resolve, safety=Safety()), victim.probe(Ask.MARKER, "TIME", host))
    assert (found.outcome, found.address, victim.connections) == (Outcome.FORBIDDEN, "", 0)


async def test_a_name_that_changes_its_mind_leads_nowhere_else() -> None:
    """The number that was judged is the one that is used, however often a name server is asked."""
    answers = iter(["127.0.0.1"] + ["127.0.0.9"] * 9)

    async def resolve(_: str) -> tuple[object, ...]:
        return await names({})(next(answers))

    async with mirror(always(answer(b"1"))) as m:
        safety = Safety((ip_network("127.0.0.1"),))
        prober = http(resolve, safety=safety)  # type: ignore[arg-type]
        assert (await prober.probe(m.probe(Ask.MARKER, "TIME")))[0].address == "127.0.0.1"
        assert (await ask(prober, m.probe(Ask.MARKER, "TIME"))).outcome is Outcome.FORBIDDEN


async def test_each_family_is_asked_for_itself() -> None:
    resolve = names({"mirror.example": ["::1", "127.0.0.1"]})
    async with mirror(always(answer(b"6")), "::1") as m:
        six = await ask(http(resolve), m.probe(Ask.MARKER, "TIME", family=Family.IPV6))
        four = await ask(http(resolve), m.probe(Ask.MARKER, "TIME", family=Family.IPV4))
    assert (six.outcome, six.family, six.address) == (Outcome.OK, Family.IPV6, "::1")
    assert (four.outcome, four.family, four.address) == (Outcome.NO_CONNECTION, Family.IPV4, "127.0.0.1")


async def test_the_next_address_of_a_name_is_tried_while_none_can_be_connected_to() -> None:
    resolve = names({"mirror.example": ["127.0.0.7", "127.0.0.1"]})
    async with mirror(always(answer(b"1"))) as m:
        assert (await ask(http(resolve), m.probe(Ask.MARKER, "TIME"))).address == "127.0.0.1"


async def test_a_name_without_the_family_has_no_name_there() -> None:
    found = await ask(http(), Probe("m", "", Ask.MARKER, "http://mirror.example/", "TIME", family=Family.IPV6))
    assert (found.outcome, found.finding) == (Outcome.NO_NAME, "mirror.example: no address of ipv6")
    found = await ask(http(), Probe("m", "", Ask.MARKER, "http://nowhere.example/", "TIME"))
    assert found.outcome is Outcome.NO_NAME


async def test_a_name_server_that_hangs_is_a_timeout() -> None:
    async def resolve(_: str) -> tuple[()]:
        await asyncio.sleep(60)
        return ()

    found = await ask(http(resolve, connect_s=0.1), Probe("m", "", Ask.MARKER, "http://mirror.example/", "TIME"))
    assert found.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize("source", [None, "fd00::2"])
async def test_a_family_that_we_have_no_route_for_says_nothing_about_the_mirror(source: str | None) -> None:
    """A local network without a way out is none either."""
    resolve = names({"mirror.example": ["2001:4860::1"]})
    prober = http(resolve, connect_s=0.2, route=lambda _: None if source is None else ip_address(source))
    probe = Probe("m", "", Ask.MARKER, "http://mirror.example/", "TIME", family=Family.IPV6)
    assert (await ask(prober, probe)).outcome is Outcome.NO_ROUTE


Tls = Callable[[trustme.CA], trustme.LeafCert]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize(
    ("leaf", "outcome"),
    [
        (lambda ca: ca.issue_cert("mirror.example"), Outcome.OK),
        (lambda ca: ca.issue_cert("other.example"), Outcome.TLS_NAME),
        (
            lambda ca: ca.issue_cert("mirror.example", not_after=LONG_AGO, not_before=LONG_AGO - timedelta(9)),
            Outcome.TLS_EXPIRED,
        ),
        (lambda _: trustme.CA().issue_cert("mirror.example"), Outcome.TLS_UNTRUSTED),
    ],
    ids=["good", "name", "expired", "untrusted"],
)
async def test_certificates(authority: trustme.CA, leaf: Tls, outcome: Outcome) -> None:
    async with mirror(always(answer(b"1")), tls=server(leaf(authority))) as m:
        found = await ask(http(tls=trusting(authority)), m.probe(Ask.MARKER, "TIME"))
    assert found.outcome is outcome, found.finding
    assert (found.certificate_expires is not None) == (outcome is Outcome.OK)


async def test_a_certificate_says_when_it_was_made_and_when_it_ends(authority: trustme.CA) -> None:
    made, ends = datetime(2026, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
    leaf = authority.issue_cert("mirror.example", not_before=made, not_after=ends)
    async with mirror(always(answer(b"")), tls=server(leaf)) as m:
        found = await ask(http(tls=trusting(authority)), m.probe(Ask.MARKER, "TIME"))
    assert (found.certificate_made, found.certificate_expires) == (made.timestamp(), ends.timestamp())


async def test_what_is_no_tls_is_told_apart(authority: trustme.CA) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(say) as port:
        probe = Probe("m", "", Ask.MARKER, f"https://mirror.example:{port}/", "TIME", ports=frozenset({port}))
        found = await ask(http(tls=trusting(authority)), probe)
    assert found.outcome is Outcome.TLS


async def test_a_handshake_that_never_ends_is_a_timeout(authority: trustme.CA) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(hang) as port:
        probe = Probe("m", "", Ask.MARKER, f"https://mirror.example:{port}/", "TIME", ports=frozenset({port}))
        began = time.monotonic()
        found = await ask(http(tls=trusting(authority), connect_s=0.3), probe)
        assert time.monotonic() - began < SOON_S
    assert found.outcome is Outcome.TIMEOUT


async def test_a_redirect_from_https_to_http_is_a_failure_and_the_other_way_is_not(authority: trustme.CA) -> None:
    tls = server(authority.issue_cert("mirror.example"))
    async with mirror(files({"/TIME": b"1"})) as plain, mirror(files({"/TIME": b"1"}), tls=tls) as safe:
        async with mirror(redirect(f"http://mirror.example:{plain.port}/TIME"), tls=tls) as down:
            found = await ask(http(tls=trusting(authority)), down.probe(Ask.MARKER, "TIME"))
            assert (found.outcome, len(plain.requests)) == (Outcome.REDIRECT, 0)
        async with mirror(redirect(f"https://mirror.example:{safe.port}/TIME")) as up:
            probe = Probe(
                "m", "", Ask.MARKER, f"http://mirror.example:{up.port}/", "TIME", ports=frozenset({up.port, safe.port})
            )
            found = await ask(http(tls=trusting(authority)), probe)
            assert (found.outcome, found.redirected) == (Outcome.OK, "")
            assert found.certificate_expires is not None


async def test_never_more_than_two_connections_and_four_requests_a_second_by_address() -> None:
    """Many names on one address, asked all at once."""
    async with mirror(files({"/TIME": b"1"})) as m:
        resolve = names({f"m{n}.example": ["127.0.0.1"] for n in range(4)})
        prober = http(resolve)
        await asyncio.gather(*(prober.probe(m.probe(Ask.MARKER, "TIME", f"m{n % 4}.example")) for n in range(10)))
        await prober.close()
    assert m.open_most <= 2
    times = sorted(request.at for request in m.requests)
    assert len(times) == 10
    for i, first in enumerate(times):
        for j in range(i, len(times)):
            assert j - i + 1 <= 4 * (times[j] - first) + 4

"""`mirror check` against the servers that mirrors run: well configured nothing is found, ill exactly what is ill."""

from __future__ import annotations

import shutil
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.health.safety import Address, Safety, parse_networks
from redirector.kit.checking import Look, check_mirror, open_tools
from redirector.kit.finding import CHECKS, Finding, Level, outcome_of
from tests.health.mirrors import write
from tests.kit_servers.servers import (
    NAME,
    REPOSITORY,
    Trees,
    apache,
    insert,
    lighttpd,
    make_tree,
    make_trees,
    nginx,
    replace,
    rsyncd,
    vsftpd,
)
from tests.kit_servers.test_trees import push_archive

NOW = int(time.time())
OLD = NOW - 2 * 86400
LOOPBACK = Safety(parse_networks(["127.0.0.0/8", "::1"]))
Serve = Callable[[Trees], AbstractAsyncContextManager[str]]
Ill = dict[str, Level]
E, W = Level.ERROR, Level.WARNING


@pytest.fixture
def trees() -> Iterator[Trees]:
    with make_trees(NOW - 600) as made:
        yield made


async def look_at(url: str, trees: Trees, **keys: object) -> list[Finding]:
    """What is found, at a pace a hundred times faster than a stranger's mirror is asked at."""

    async def resolve(name: str) -> tuple[Address, ...]:
        if name != NAME:
            return (ip_address(name),)
        return (ip_address("127.0.0.1"), ip_address("::1"))

    tls = ssl.create_default_context()
    trees.authority.configure_trust(tls)
    tools = open_tools(LOOPBACK, "test", time.time, lambda: time.monotonic() * 100, resolve=resolve, tls=tls)
    try:
        look = Look(**{"master": str(trees.master), **keys})  # type: ignore[arg-type]
        return [each async for each in check_mirror([url], look, tools)]
    finally:
        await tools.close()


def ill(findings: list[Finding]) -> Ill:
    """Check -> the worst of its levels, where that is not ok."""
    found: Ill = {}
    for each in findings:
        assert each.check in CHECKS
        if each.level is not Level.OK and found.get(each.check) is not Level.ERROR:
            found[each.check] = each.level
    return found


PAGE = "    location @page { default_type text/html; return %s; }\n"


def on_missing(answer: str) -> Callable[[str], str]:
    """nginx answers *answer* for what is missing."""

    def edit(text: str) -> str:
        text = insert("autoindex on;", "\n        error_page 404 = @page;")(text)
        return insert("server_tokens off;\n", PAGE % answer)(text)

    return edit


def stale(trees: Trees) -> None:
    make_tree(trees.mirror, OLD)


def behind(trees: Trees) -> None:
    make_tree(trees.mirror, NOW - 3 * 3600)


def wrong_bytes(trees: Trees) -> None:
    for path in trees.mirror.rglob("*-primary.xml.gz"):
        path.write_bytes(b"x" * path.stat().st_size)


def cut(trees: Trees) -> None:
    for path in trees.mirror.rglob("*-primary.xml.gz"):
        path.write_bytes(path.read_bytes()[:-5])


def show_staged(trees: Trees) -> None:
    (trees.mirror / "10.0").chmod(0o755)


def lose_marker(trees: Trees) -> None:
    (trees.mirror / "TIME").write_text("<html>gone</html>")


def lose_index(trees: Trees) -> None:
    for path in trees.mirror.rglob("repomd.xml"):
        path.unlink()


def page_for_index(trees: Trees) -> None:
    for path in trees.mirror.rglob("repomd.xml"):
        path.write_text("<!DOCTYPE html><title>Welcome</title>")


def ruin_index(trees: Trees) -> None:
    for path in trees.mirror.rglob("repomd.xml"):
        path.write_bytes(path.read_bytes()[:40])


def other_bytes_as_old(trees: Trees) -> None:
    for path in trees.mirror.rglob("repomd.xml"):
        path.write_text(path.read_text().replace("<revision>", "<revision>forged"))


def lose_named(trees: Trees) -> None:
    for path in trees.mirror.rglob("*-primary.xml.gz"):
        path.unlink()


def ahead(trees: Trees) -> None:
    make_tree(trees.mirror, NOW)


def very_late_stamp(trees: Trees) -> None:
    (trees.mirror / "TIME").write_text(f"{NOW - 30 * 3600}\n")


TREES: dict[str, tuple[Callable[[Trees], None] | None, Ill]] = {
    "well": (None, {}),
    "stale": (stale, {"age": E}),
    "behind": (behind, {}),
    "a late time stamp": (very_late_stamp, {"age": E}),
    "ahead": (ahead, {"hash": W}),
    "wrong bytes": (wrong_bytes, {"hash": E}),
    "cut": (cut, {"size": E, "hash": E}),
    "no time stamp": (lose_marker, {"age": E}),
    "no index": (lose_index, {"answer": E}),
    "a page for an index": (page_for_index, {"hash": E}),
    "an index cut": (ruin_index, {"hash": E}),
    "another index as old": (other_bytes_as_old, {"hash": E}),
    "what the index names is gone": (lose_named, {"size": E}),
    "staged shown": (show_staged, {"staged": E}),
}
SERVERS: dict[str, Serve] = {"nginx": nginx, "apache": apache, "lighttpd": lighttpd, "rsyncd": rsyncd, "vsftpd": vsftpd}


@pytest.mark.parametrize("fault", TREES)
@pytest.mark.parametrize("server", SERVERS)
async def test_each_server_shows_what_is_wrong_with_the_tree(trees: Trees, server: str, fault: str) -> None:
    await check(trees, SERVERS[server], *TREES[fault])


def make_archive(tree: Path) -> Path:
    push_archive(tree, NOW - 600)
    return tree / "dists/stable/main/binary-amd64/Packages.gz"


def make_plain(tree: Path) -> Path:
    write(tree / "v1" / "SHA256SUMS", b"sums", NOW - 600)
    write(tree / "v1" / "x.tar.xz", b"x" * 5000, NOW - 600)
    write(tree / "lastsync", f"{NOW - 600}\n".encode(), NOW - 600)
    return tree / "v1" / "SHA256SUMS"


@pytest.mark.parametrize("make", [make_archive, make_plain])
@pytest.mark.parametrize("server", SERVERS)
async def test_trees_of_other_kinds(trees: Trees, server: str, make: Callable[[Path], Path]) -> None:
    for tree in (trees.master, trees.mirror):
        for each in tree.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        make(tree)
    known = make(trees.mirror)
    async with SERVERS[server](trees) as url:
        found = await look_at(url, trees)
        # lighttpd is configured by hand here, for repomd.xml alone.
        assert ill(found) == ({"cache": W} if server == "lighttpd" else {}), "\n".join(map(str, found))
        assert {"size", "hash", "age", "missing", "temporary"} <= {each.check for each in found}
        known.write_bytes(known.read_bytes()[:-1] + b"!")
        found = await look_at(url, trees)
        assert ill(found).get("hash") is E, "\n".join(map(str, found))


@pytest.mark.parametrize("server", SERVERS)
async def test_what_is_announced_is_held_against_a_mirror(trees: Trees, server: str) -> None:
    make_tree(trees.mirror, NOW - 5 * 3600)
    async with SERVERS[server](trees) as url:
        assert ill(await look_at(url, trees, frequency_s=3600)) == {"age": W}
        assert ill(await look_at(url, trees, frequency_s=3 * 3600)) == {}


NGINX = [
    pytest.param(lambda t: nginx(t, on_missing('200 "<html>soft"')), None, {"missing": E}, id="soft 404"),
    pytest.param(lambda t: nginx(t, on_missing("302 /")), None, {"missing": W}, id="redirect"),
    pytest.param(
        lambda t: nginx(t, lambda c: on_missing("302 /pub/9.8/")(c)), None, {"missing": E}, id="redirect to a page"
    ),
    pytest.param(lambda t: nginx(t, on_missing("403")), None, {"missing": W}, id="403"),
    pytest.param(lambda t: nginx(t, on_missing("410")), None, {"missing": W}, id="410"),
    pytest.param(lambda t: nginx(t, on_missing("500")), None, {"missing": E}, id="500"),
    pytest.param(
        lambda t: nginx(t, replace(r'location ~ "/\(\\\.~tmp~.*?\}')), None, {"temporary": E}, id="unfinished shown"
    ),
    pytest.param(lambda t: nginx(t, replace("add_header [^\n]*")), None, {"cache": W}, id="no caching header"),
    pytest.param(
        lambda t: nginx(t, replace(r"add_header [^\n]*", "add_header Cache-Control no-cache;")),
        None,
        {"cache": W},
        id="packages not kept",
    ),
    pytest.param(
        lambda t: nginx(
            t, replace(r"types \{ \}\s+default_type application/octet-stream", "types { } default_type text/plain")
        ),
        None,
        {"type": W},
        id="types",
    ),
    pytest.param(
        lambda t: nginx(t, replace(r"keepalive_timeout 30s", "keepalive_timeout 0")),
        None,
        {"keep-alive": W},
        id="no keep-alive",
    ),
    pytest.param(
        lambda t: nginx(t, insert("server_tokens off;", " max_ranges 0;")), None, {"range": W}, id="no ranges"
    ),
    pytest.param(
        lambda t: nginx(t, insert("autoindex on;", "\n        location ~ gz$ { add_header Content-Encoding gzip; }")),
        None,
        {"encoding": W},
        id="packed twice by its word",
    ),
    pytest.param(lambda t: nginx(t, insert("server_tokens off;", " deny all;")), None, {"answer": E}, id="forbidden"),
    pytest.param(lambda t: nginx(t, replace(r"listen \[::\]:80;")), None, {"answer": E}, id="nobody listens on IPv6"),
    pytest.param(
        lambda t: nginx(t, replace(r"listen 80;", "listen 80; return 301 https://mirror.example.org$request_uri;")),
        None,
        {"answer": E, "redirect": W},
        id="forced to https, where nobody answers",
    ),
]


@pytest.mark.parametrize(("serve", "fault", "expected"), NGINX)
async def test_nginx(trees: Trees, serve: Serve, fault: Callable[[Trees], None] | None, expected: Ill) -> None:
    await check(trees, serve, fault, expected)


async def check(
    trees: Trees, serve: Serve, fault: Callable[[Trees], None] | None, expected: Ill, both: bool = True
) -> list[Finding]:
    if fault is not None:
        fault(trees)
    async with serve(trees) as url:
        found = await look_at(url, trees)
    said = "\n".join(map(str, found))
    assert ill(found) == expected, said
    assert outcome_of(found) == (2 if E in expected.values() else 1 if expected else 0)
    if both:
        assert {each.text[:4] for each in found} >= {"IPv4", "IPv6"}, said
    return found


CERTIFICATES = {
    "well": (NAME, timedelta(days=80), {}),
    "soon over": (NAME, timedelta(days=5), {"certificate": W}),
    "over": (NAME, timedelta(days=-5), {"certificate": E}),
    "of another name": ("other.example.org", timedelta(days=80), {"certificate": E}),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
async def test_certificates(trees: Trees, kind: str) -> None:
    name, left, expected = CERTIFICATES[kind]
    now = datetime.now(UTC)
    certificate = trees.authority.issue_cert(name, not_before=now - timedelta(days=100), not_after=now + left)
    await check(trees, lambda t: nginx(t, certificate=certificate), None, expected)


async def test_a_certificate_that_nobody_vouches_for(trees: Trees) -> None:
    import trustme

    certificate = trustme.CA().issue_cert(NAME)
    await check(trees, lambda t: nginx(t, certificate=certificate), None, {"certificate": E})


APACHE = [
    pytest.param(
        lambda t: apache(t, insert("AllowOverride None", "\n        FallbackResource /pub/TIME")),
        None,
        {"missing": E},
        id="a page for everything",
    ),
    pytest.param(
        lambda t: apache(t, insert("AllowOverride None", '\n        RedirectMatch 410 "/pub/[.]?redirector"')),
        None,
        {"missing": W},
        id="410",
    ),
    pytest.param(
        lambda t: apache(t, insert("AllowOverride None", '\n        RedirectMatch 503 "/pub/[.]?redirector"')),
        None,
        {"missing": E},
        id="503",
    ),
    pytest.param(
        lambda t: apache(t, insert("AllowOverride None", "\n        ErrorDocument 404 http://127.0.0.1:1/")),
        None,
        {"missing": W},
        id="redirect",
    ),
    pytest.param(
        lambda t: apache(t, replace(r"<LocationMatch.*?</LocationMatch>")),
        None,
        {"temporary": E},
        id="unfinished shown",
    ),
    pytest.param(
        lambda t: apache(t, replace(r"KeepAlive On", "KeepAlive Off")), None, {"keep-alive": W}, id="no keep-alive"
    ),
    pytest.param(lambda t: apache(t, replace(r"Header set [^\n]*")), None, {"cache": W}, id="no caching header"),
    pytest.param(
        lambda t: apache(t, replace(r"ForceType application/octet-stream", "ForceType application/x-rpm")),
        None,
        {"type": W},
        id="types",
    ),
    pytest.param(
        lambda t: apache(t, insert("AllowOverride None", "\n        MaxRanges none")),
        None,
        {"range": W},
        id="no ranges",
    ),
    pytest.param(
        lambda t: apache(t, replace("Require all granted", "Require all denied")), None, {"answer": E}, id="forbidden"
    ),
    pytest.param(
        lambda t: apache(t, replace(r"RemoveEncoding [^\n]*", "AddEncoding x-gzip .gz")),
        None,
        {"encoding": W},
        id="encoding",
    ),
]


@pytest.mark.parametrize(("serve", "fault", "expected"), APACHE)
async def test_apache(trees: Trees, serve: Serve, fault: Callable[[Trees], None] | None, expected: Ill) -> None:
    await check(trees, serve, fault, expected)


LIGHTTPD = [
    pytest.param(
        lambda t: lighttpd(t, more='url.rewrite-if-not-file = ("" => "/pub/TIME")', modules='"mod_rewrite", '),
        None,
        {"missing": E, "hash": E, "size": E},
        id="a page for everything",
    ),
    pytest.param(lambda t: lighttpd(t, deny='"", "-", "~"'), None, {"answer": E}, id="forbidden"),
    pytest.param(lambda t: lighttpd(t, cache=""), None, {"cache": W}, id="no caching header"),
    pytest.param(lambda t: lighttpd(t, types='".rpm" => "application/x-rpm",'), None, {"type": W}, id="types"),
    pytest.param(lambda t: lighttpd(t, temporary=""), None, {"temporary": E}, id="unfinished shown"),
    pytest.param(
        lambda t: lighttpd(t, more="server.max-keep-alive-requests = 0"), None, {"keep-alive": W}, id="no keep-alive"
    ),
    pytest.param(
        lambda t: lighttpd(t, more='server.error-handler-404 = "/pub/TIME"'), None, {"missing": E}, id="soft 404"
    ),
    pytest.param(lambda t: lighttpd(t, more='server.range-requests = "disable"'), None, {"range": W}, id="no ranges"),
]


@pytest.mark.parametrize(("serve", "fault", "expected"), LIGHTTPD)
async def test_lighttpd(trees: Trees, serve: Serve, fault: Callable[[Trees], None] | None, expected: Ill) -> None:
    await check(trees, serve, fault, expected)


RSYNCD = [
    pytest.param(lambda t: rsyncd(t, replace("refuse options[^\n]*")), None, {"checksum": W}, id="-c taken"),
    pytest.param(lambda t: rsyncd(t, replace("read only = yes", "read only = no")), None, {"write": E}, id="writable"),
    pytest.param(lambda t: rsyncd(t, replace("exclude[^\n]*")), None, {"temporary": E}, id="unfinished shown"),
    pytest.param(
        lambda t: rsyncd(t, lambda c: replace("uid = nobody", "uid = root")(replace("gid = nogroup", "gid = root")(c))),
        None,
        {"staged": E},
        id="served by who may read all",
    ),
    pytest.param(
        lambda t: rsyncd(t, replace("read only", "hosts deny = *\nread only")), None, {"answer": E}, id="refused"
    ),
    pytest.param(
        lambda t: rsyncd(t, replace("max connections = 100", "max connections = -1")), None, {"answer": W}, id="busy"
    ),
    pytest.param(lambda t: rsyncd(t, replace(r"\[mirror\]", "[other]")), None, {"answer": E}, id="no such module"),
]


@pytest.mark.parametrize(("serve", "fault", "expected"), RSYNCD)
async def test_rsyncd(trees: Trees, serve: Serve, fault: Callable[[Trees], None] | None, expected: Ill) -> None:
    await check(trees, serve, fault, expected)


async def test_the_tier_2_daemon_refuses_strangers_and_shows_what_is_staged_to_those_it_lists(trees: Trees) -> None:
    def serve(trees: Trees) -> AbstractAsyncContextManager[str]:
        return rsyncd(trees, replace("gid = mirror", "gid = root"), "rsyncd-tier2.conf")

    await check(trees, serve, None, {"answer": E})
    (trees.folder / "kit" / "tier2.acl").unlink()

    def listed(trees: Trees) -> AbstractAsyncContextManager[str]:
        def edit(text: str) -> str:
            (trees.folder / "kit" / "tier2.acl").write_text("hosts allow = 127.0.0.1 ::1\nhosts deny = *\n")
            return replace("gid = mirror", "gid = root")(text)

        return rsyncd(trees, edit, "rsyncd-tier2.conf")

    await check(trees, listed, None, {"staged": E})
    log = (trees.folder / "rsyncd-tier2.log").read_text()
    assert "Unknown Parameter" not in log and "rsync denied" in log


VSFTPD = [
    pytest.param(lambda t: vsftpd(t, ""), None, {"temporary": E}, id="unfinished shown"),
    pytest.param(lambda t: vsftpd(t, "anonymous_enable=NO\nlocal_enable=YES"), None, {"answer": E}, id="no anonymous"),
]


@pytest.mark.parametrize(("serve", "fault", "expected"), VSFTPD)
async def test_vsftpd(trees: Trees, serve: Serve, fault: Callable[[Trees], None] | None, expected: Ill) -> None:
    await check(trees, serve, fault, expected)


async def test_nobody_listens(trees: Trees) -> None:
    found = await look_at(f"http://{NAME}:1/pub/", trees)
    assert [each.text for each in found] == ["port must be 80, 443, 873, or from 1024 up"]
    found = await look_at(f"http://{NAME}:1025/pub/", trees)
    assert ill(found) == {"answer": E} and [each.check for each in found] == ["answer", "ports"] * 2


async def test_without_a_master_a_mirror_is_compared_with_itself(trees: Trees) -> None:
    async with nginx(trees) as url:
        found = await look_at(url, trees, master=None)
        assert ill(found) == {}, "\n".join(map(str, found))
        assert {"size", "hash", "age", "type", "missing", "cache"} <= {each.check for each in found}


async def test_a_master_by_url(trees: Trees) -> None:
    stale(trees)
    async with rsyncd(trees, replace("path = [^\n]*", f"path = {trees.master}")) as master, nginx(trees) as url:
        found = await look_at(url, trees, master=master)
        assert ill(found) == {"age": E}, "\n".join(map(str, found))


async def test_findings_come_as_they_are_found(trees: Trees) -> None:
    async with nginx(trees) as url:
        found: AsyncIterator[Finding]
        tools = open_tools(Safety(), "test", time.time, time.monotonic)
        found = check_mirror([url.replace(NAME, "127.0.0.1")], Look(str(trees.master)), tools)
        first = await anext(found)
        assert first.level is E and "not public" in first.text
        await tools.close()


def test_the_tree_has_what_is_looked_for(trees: Trees) -> None:
    assert (trees.mirror / REPOSITORY / "repodata" / "repomd.xml").exists()
    assert Path(trees.mirror / ".~tmp~" / "half.rpm").exists()

"""What is under embargo is named in nothing that a stranger can ask for, whatever it is called by, and wherever."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from redirector.health.hysteresis import Standing, State
from redirector.health.judge import Content
from redirector.health.keeping import pack_delays, pack_held, pack_memory, pack_names
from redirector.health.masters import read_contents
from redirector.health.memory import EVER, Held, Memory, digest_of
from redirector.registry.edit import carried, catalogue
from redirector.registry.edit.scanned import adopt_scans
from redirector.registry.exporting import NAMES, export_files
from redirector.registry.publish.embargo import embargo_at
from redirector.registry.publish.encode import encode
from redirector.settings.joining import Join
from redirector.store import evidence, statistics
from redirector.store.contents import keep_contents
from redirector.store.directories import Contents, MasterDirectory, MasterRepository, Packed, Push
from redirector.store.registry import queries
from redirector.store.registry.rows import CategoryRow, HostRow, ReleaseRow, RepositoryRow
from redirector.web.access import API
from redirector.web.pages.files import render_files
from redirector.web.pages.shown import read_pasts, read_shown
from tests.registry.rig import Registry
from tests.web.conftest import Api
from tests.web.test_forms import logged_in

VERSION = "47.11"

PATHS = (b"", b"1", b"1/x86_64", b"1/x86_64/os", b"47.11", b"47.11/x86_64", b"47.11/x86_64/os")

QUERIES = (
    "", "?format=json", "?format=hosts", "?limit=200", "?tier=1", "?version=1", "?sort=name",
    "?categories=Example%20Linux&since=1", "?categories=staged&since=1", "?repository=pub-linux-1",
)  # fmt: skip

NEEDY = {"/rsyncFilter", "/rsyncFilter/", f"{API}/export/rsync-filter"}
"""Without parameters they answer nothing."""

OPENLY = {
    "/mirrors", "/mirrors/mirror000.berlin.example.org", "/join", "/join/sizes.txt", "/propagation", "/statistics",
    f"{API}/categories", f"{API}/categories/2", f"{API}/repositories", f"{API}/redirects", f"{API}/mirrors",
    f"{API}/mirrors/mirror000.berlin.example.org", f"{API}/export/public", f"{API}/export/mirmon",
    f"{API}/export/tiers", f"{API}/export/rsync-filter", f"{API}/statistics/access", f"{API}/statistics/countme",
    f"{API}/statistics/propagation", "/rsyncFilter", "/api/repositories", "/mirrormanager/api/repositories",
}  # fmt: skip
"""Where the version is named once its time has come: a place that is not here was never tried."""


async def stage(registry: Registry) -> None:
    """A release whose name is everywhere: in directories, names, tops, URLs, findings and counts."""
    now = registry.now
    directories = tuple(
        MasterDirectory(path, now - 1000, 1, False, 1, 1, b"", b"", 5000 if path.endswith(b"os") else 0)
        for path in PATHS
    )
    scan = Contents(
        category="Example Linux", top="pub/linux", generation=1, push=1, checked=now - 500, read=now - 500,
        validator=b"", directories=directories, pushes=(Push(1, now - 1000, 9),),
        repositories=(MasterRepository("fresh", "x86_64", "Example Linux", b"47.11/x86_64/os"),),
    )  # fmt: skip
    async with registry.store.write() as connection:
        await keep_contents(connection, Packed.of(scan))
    await registry.do(adopt_scans)
    await registry.do(
        catalogue.create_category, {"name": f"Example {VERSION}", "top": f"pub/{VERSION}", "product": "Example Linux"}
    )
    await registry.do(catalogue.create_category, {"name": "Staged", "top": f"staged/{VERSION}/all"})
    for prefix, directory, enabled in (
        (f"linux-{VERSION}", f"pub/linux/{VERSION}/x86_64/os", True),
        (f"el{VERSION}-old", "pub/linux/1/x86_64/os", False),
        ("not-scanned", f"pub/linux/{VERSION}/aarch64/os", True),
        ("elsewhere", f"pub/{VERSION}/x86_64/os", False),
    ):
        body = {"prefix": prefix, "arch": "x86_64", "directory": directory, "enabled": enabled}
        await registry.do(catalogue.create_repository, body)
    for source, target in (
        ("next", f"linux-{VERSION}"), (f"alias-{VERSION}", "pub-linux-1"), ("hidden", "fresh"),
        ("plain", "pub-linux-1"),
    ):  # fmt: skip
        await registry.do(catalogue.create_redirect, {"kind": "repository", "source": source, "target": target})
    async with registry.store.read() as connection:
        host, second = (await queries.list_rows(connection, HostRow))[:2]
    url = f"https://{host.name}/{VERSION}/"
    await registry.carry(host, url, f"rsync://{host.name}/{VERSION}/", category=f"Example {VERSION}")
    await registry.carry(second, f"https://{second.name}/{VERSION}/", category="Staged")
    await registry.do(carried.delete_url, host.id, 1, None)
    await add_past(registry, scan, host.name)


async def add_past(registry: Registry, scan: Contents, host: str) -> None:
    """Findings and counts that name it."""
    now, reason = registry.now, f"{VERSION}/x86_64/os/repodata/repomd.xml: unknown to the master"
    names = tuple(each.name for each in read_contents(scan).directories)
    standing = Standing(state=State.OK, since=now - 100, reason=reason)
    bits, packed = pack_held(
        Held(standing=standing, directories=digest_of(names), states=bytes([EVER | Content.CURRENT] * len(names)))
    )
    seen = evidence.MemoryRow(
        host=host, vantage="main", visited=now - 50, next_visit=now, state="ok", since=now - 100, reason=reason,
        lag_s=60, memory=pack_memory(Memory(visited=now - 50)),
    )  # fmt: skip
    week = (now - 345_600) // 604_800 - 1
    systems = [
        ((week, "Example Linux", VERSION, "", "x86_64", 1, "pub-linux-1", "x86_64"), 7),
        ((week, "Example Linux", "1", "", "x86_64", 1, f"linux-{VERSION}", "x86_64"), 7),
    ]
    zeros = {"same_day": 20, "one_day": 0, "two_day": 0, "older": 0, "no_info": 0}
    async with registry.store.write() as connection:
        await evidence.add_names(connection, digest_of(names), now, pack_names(names))
        await evidence.put_memories(
            connection, [seen], [evidence.ContentRow(host, "main", "Example Linux", digest_of(names), bits, packed)]
        )
        await evidence.add_history(connection, [evidence.HistoryRow(host, now - 7200, "stale", reason, 0)])
        await evidence.put_pushes(
            connection, [evidence.PushRow(f"Example {VERSION}", now - 60, 3, pack_delays({host: 900}))]
        )
        await statistics.add_propagation(connection, [statistics.PropagationRow(now - 60, f"linux-{VERSION}", **zeros)])
        day = "2026-09-20"
        await statistics.add_access(connection, [((day, "DE", f"linux-{VERSION}", "x86_64"), 90)])
        await statistics.add_countme(connection, "main", now, week + 1, systems)


async def embargoed(network: Api) -> Api:
    """The made-up network, with a release of the next hour."""
    await stage(network.registry)
    body = {"product": "Example Linux", "version": VERSION, "not_before": "2026-09-21T15:13:20Z"}
    await network.registry.do(catalogue.create_release, body)
    return network


def paths_of(network: Api) -> list[str]:
    """Every route, with numbers and names in it that are there."""
    router = network.client.app.router
    paths = {f"{API}/export/{name}" for name in NAMES}
    for resource in router.resources():
        pattern = resource.canonical
        paths |= {re.sub(r"\{[^}]*\}", text, pattern) for text in ("1", "2", "3", "mirror000.berlin.example.org")}
    return sorted(paths)


async def naming(network: Api, **headers: str) -> set[str]:
    """Paths where the version is named."""
    found = set()
    for path in paths_of(network):
        network.registry.now += 1  # nobody asks too often
        for query in QUERIES:
            answer = await network.client.get(path + query, allow_redirects=False, headers=headers)
            assert answer.status < 500 and answer.status != 429, path
            if VERSION in await answer.text() or VERSION in str(answer.headers):
                found.add(path)
            if answer.status != 200 and query == QUERIES[0] and path not in NEEDY:
                break
    return found


@pytest.mark.parametrize("who", ["visitor", "token", "browser"])
async def test_no_answer_to_a_stranger_names_a_version_under_embargo(network: Api, who: str) -> None:
    await embargoed(network)
    headers = {}
    if who == "token":
        headers = {"Authorization": f"Bearer {(await network.person('fresh'))[1]}"}
    elif who == "browser":
        browser = await logged_in(network, "somebody")
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    assert await naming(network, **headers) == set()
    answer = await network.client.options(f"{API}/redirects", headers={"Origin": "https://elsewhere.example"})
    assert VERSION not in await answer.text() + str(answer.headers)


async def test_once_its_time_has_come_it_is_named_everywhere(network: Api) -> None:
    """Else the test above would try nothing."""
    await embargoed(network)
    network.registry.now += 3600
    found = await naming(network)
    assert found >= OPENLY, sorted(OPENLY - found)


async def test_nothing_that_is_published_names_it(network: Api) -> None:
    registry = (await embargoed(network)).registry
    told = b"".join(encode(await registry.publication()))
    assert b"pub-linux-1" in told and VERSION.encode() not in told
    holdings = await registry.holdings()
    async with registry.change() as change:
        files = await export_files(change, holdings)
        shown = await read_shown(change.connection, registry.now)
        pages = dict(render_files(shown, await read_pasts(change.connection, shown), Join(), "https://example.org/"))
    assert not [name for name, text in files.items() if VERSION in text]
    assert not [name for name, raw in pages.items() if VERSION.encode() in raw]


async def test_those_who_mirror_it_can_sign_up_for_it_and_others_cannot(network: Api) -> None:
    registry = (await embargoed(network)).registry
    approved, draft = await registry.site(name="Approved"), await registry.site(name="Draft", approved=False)
    answers = {}
    for login, site in (("ann", approved), ("bob", draft)):
        host = await registry.host(site, name=f"{login}.example.org")
        await registry.owner(login, site)
        token = await network.token(login)
        listed = await (await network.ask("GET", "/categories", token)).json()
        body = {"category": f"Example {VERSION}"}
        answer = await network.ask("POST", f"/hosts/{host.id}/categories", token, body)
        answers[login] = len(listed["items"]), answer.status
    assert answers == {"ann": (3, 201), "bob": (1, 422)}


# -- What names a version ----------------------------------------------------------------------------------------------


def embargo(version: str, product: str = "Example", arches: tuple[str, ...] = ()) -> Any:
    """Of one release; there are two products and two architectures."""
    edited: dict[str, Any] = {"version": 1, "edited": 0, "origin": None}
    release = ReleaseRow(id=1, product=product, version_name=version, arches=list(arches), not_before=10, **edited)
    categories = [
        CategoryRow(
            id=n, name=name, name_key=name, top=f"pub/{name}", product=name, for_people=True, joinable=True, **edited
        )
        for n, name in enumerate(("Example", "Other"))
    ]
    repositories = [
        RepositoryRow(
            id=n, prefix=arch, arch=arch, directory=f"pub/Other/{arch}", enabled=True, category=None, **edited
        )
        for n, arch in enumerate(("x86_64", "riscv64"))
    ]
    return embargo_at([release], categories, repositories, 9)


@pytest.mark.parametrize(
    ("version", "text", "named"),
    [
        ("10", "linux-10", True), ("10", "el10", True), ("10", "EL10-updates", True), ("10", "f10", True),
        ("10", "linux-10.1", False), ("10", "linux-2.10", False), ("10", "linux-110", False), 
        ("10", "linux-100", False),
        ("10.1", "linux-10.1", True), ("10.1", "linux-10.1.2", False), ("10.1", "linux-1011", False),
        ("noble", "ubuntu-Noble", True), ("noble", "ubuntu-noblesse", False), ("noble", "noble", True),
        ("44-beta", "fedora-44-beta", True), ("44-beta", "fedora-44", False), ("4.x", "linux-4zx", False),
    ],
)  # fmt: skip
def test_a_version_is_found_as_a_word_of_a_name(version: str, text: str, named: bool) -> None:
    assert embargo(version).names(text) is named


def test_a_release_counts_for_its_product_and_everywhere_where_no_category_has_it() -> None:
    assert embargo("10").hides("pub/10/x86_64", "Example") and not embargo("10").hides("pub/10/x86_64", "Other")
    assert embargo("10", "Exmaple").hides("pub/10/x86_64", "Other")
    assert embargo("10").hides("pub/10/x86_64") and embargo("10").names("linux-10")
    assert not embargo("10").names("linux-10", "other")


def test_a_release_of_some_architectures_hides_these_alone() -> None:
    found = embargo("10", arches=("riscv64",))
    assert found.hides("pub/10/riscv64/os") and found.hides("pub/10") and not found.hides("pub/10/x86_64/os")
    assert found.names("linux-10", arch="riscv64") and not found.names("linux-10", arch="x86_64")
    assert not found.names("linux-10")


def test_words_about_it_are_left_out_whole() -> None:
    found = embargo("10")
    assert found.clear("pub/10/x86_64/os/repodata/repomd.xml: 404") == ""
    assert found.clear("answered 503 10 times") == "answered 503 10 times"
    assert replace(found, waiting=()).clear("pub/10/os: 404") == "pub/10/os: 404"

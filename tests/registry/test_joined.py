"""A scan, a crawl and the registry together: what is current where, by whom it was seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redirector.health.hysteresis import Standing, State
from redirector.health.judge import Content
from redirector.health.keeping import pack_held, pack_memory, pack_names
from redirector.health.masters import read_contents
from redirector.health.memory import EVER, OUT, Held, Memory, digest_of
from redirector.health.rules import Rules
from redirector.model import FileDetail
from redirector.registry.edit import carried, catalogue, hosts
from redirector.registry.edit.scanned import adopt_scans
from redirector.registry.publish.contents import pack_names as pack_paths
from redirector.registry.world import read_world
from redirector.store import evidence
from redirector.store.contents import keep_contents
from redirector.store.directories import (
    Contents,
    MasterDirectory,
    MasterRepository,
    Packed,
    Push,
    Version,
    pack_versions,
)
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, CheckedInRow, HostRow
from tests.registry.rig import NOW, Registry

PATHS = (b"", b"1", b"1/os", b"1/os/Packages", b"1/os/repodata", b"2", b"2/os", b"2/os/repodata", b"3", b"3/os")
REPOMD = FileDetail(NOW - 1000, 10, "", "", "a" * 64, "")


def scan(**fields: object) -> Contents:
    """A category with two repositories and a secret directory."""
    directories = tuple(
        MasterDirectory(
            path=path,
            changed=NOW - 1000,
            push=1,
            secret=path.startswith(b"3"),
            count=0 if path in (b"", b"1", b"2", b"3") else 1,
            digest=1,
            packed_files=b"",
            packed_versions=pack_versions({b"repomd.xml": (Version(REPOMD, NOW - 1000, 1, NOW - 1000),)})
            if path.endswith(b"repodata")
            else b"",
        )
        for path in PATHS
    )
    made = Contents(
        category="Example Linux",
        top="pub/linux",
        generation=1,
        push=1,
        checked=NOW - 500,
        read=NOW - 500,
        validator=b"",
        directories=directories,
        pushes=(Push(1, NOW - 1000, 9),),
        repositories=tuple(
            MasterRepository(f"example-{version.decode()}", "x86_64", "Example", version + b"/os")
            for version in (b"1", b"2")
        ),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


async def scanned(registry: Registry) -> None:
    async with registry.store.write() as connection:
        await keep_contents(connection, Packed.of(scan()))
    await registry.do(adopt_scans)


async def seen(registry: Registry, host: str, states: dict[str, int], vantage: str = "main", **more: object) -> None:
    """A visit of *host* from *vantage*: directory -> its state's byte, current where it is not named.

    unlisted  a directory that the crawler's list did not have yet
    """
    names = tuple(each.name for each in read_contents(scan()).directories if each.name != more.get("unlisted"))
    good = EVER | Content.CURRENT
    raw = bytes(states.get(name, good) for name in names)
    standing = Standing(state=State(str(more.get("state", "ok"))), since=NOW - 100)
    held = Held(standing=standing, directories=digest_of(names), states=raw)
    bits, packed = pack_held(held)
    at = int(str(more.get("at", NOW - 50)))
    row = evidence.MemoryRow(
        host=host, vantage=vantage, visited=at, next_visit=NOW, state="ok", since=NOW - 100, reason="", lag_s=60,
        memory=pack_memory(Memory(visited=at)),
    )  # fmt: skip
    content = evidence.ContentRow(host, vantage, "Example Linux", digest_of(names), bits, packed)
    async with registry.store.write() as connection:
        await evidence.add_names(connection, digest_of(names), NOW, pack_names(names))
        await evidence.put_memories(connection, [row], [content])


async def current(registry: Registry) -> dict[str, set[str]]:
    """Host -> directories that are published of it."""
    found: dict[str, set[str]] = {}
    publication = await registry.publication()
    names = {host.id: host.row.name for host in publication.hosts}
    for category in publication.categories:
        for name, member in zip(category.names, category.members, strict=True):
            for number in category.sets[member].urls:
                found.setdefault(names[number], set()).add(name.removeprefix("pub/linux").strip("/"))
    return found


async def a_host(registry: Registry, **fields: object) -> HostRow:
    host = await registry.host(await registry.site(), **fields)
    await registry.carry(host, always=False)
    registry.now += 1
    return host


PUBLIC = {"", "1", "1/os", "1/os/Packages", "1/os/repodata", "2", "2/os", "2/os/repodata"}
ABSENT = int(Content.ABSENT)


async def test_a_scan_makes_categories_and_repositories(registry: Registry) -> None:
    await scanned(registry)
    (category,) = await registry.do(catalogue.list_categories)
    assert (category.name, category.top, category.product, category.joinable) == (
        "Example Linux", "pub/linux", "Example", True,
    )  # fmt: skip
    rows = await registry.do(catalogue.list_repositories)
    assert {(row.prefix, row.directory) for row in rows} == {
        ("example-1", "pub/linux/1/os"), ("example-2", "pub/linux/2/os"),
    }  # fmt: skip
    assert await registry.do(adopt_scans) == 0
    await registry.do(catalogue.edit_repository, rows[0].id, None, {"enabled": False})
    assert await registry.do(adopt_scans) == 0


async def test_a_good_visit_lists_a_host_with_all_but_the_secret(any_registry: Registry) -> None:
    registry = any_registry
    await scanned(registry)
    await a_host(registry)
    assert await current(registry) == {}
    registry.now = NOW + 60
    await seen(registry, "mirror.example.org", {}, at=NOW + 50)
    assert await current(registry) == {"mirror.example.org": PUBLIC}
    publication = await registry.publication()
    assert publication.built == NOW + 50
    assert publication.details["pub/linux/1/os/repodata", "repomd.xml"] == (REPOMD,)
    assert not any(name.startswith("pub/linux/3") for category in publication.categories for name in category.names)


async def test_what_a_host_lacks_is_left_out_with_what_stands_for_it(registry: Registry) -> None:
    await scanned(registry)
    await a_host(registry)
    await seen(registry, "mirror.example.org", {"1/os": EVER | OUT, "1/os/Packages": ABSENT}, at=NOW + 50)
    registry.now = NOW + 60
    assert await current(registry) == {"mirror.example.org": {"", "2", "2/os", "2/os/repodata"}}


async def test_each_visit_counts_by_the_list_of_directories_that_it_went_by(registry: Registry) -> None:
    await scanned(registry)
    site = await registry.site()
    for name in ("early.example.org", "late.example.org"):
        await registry.carry(await registry.host(site, name=name), always=False)
    registry.now += 1
    await seen(registry, "early.example.org", {}, at=NOW + 50, unlisted="1/os")
    await seen(registry, "late.example.org", {"1/os": EVER | OUT}, at=NOW + 50)
    registry.now = NOW + 60
    assert (await current(registry))["late.example.org"] == PUBLIC - {"1", "1/os", "1/os/repodata"}


@pytest.mark.parametrize("state", ["unreachable", "stale", "unknown"])
async def test_a_bad_host_is_listed_nowhere_with_its_reason(registry: Registry, state: str) -> None:
    await scanned(registry)
    await a_host(registry)
    await seen(registry, "mirror.example.org", {}, state=state, at=NOW + 50)
    registry.now = NOW + 60
    assert await current(registry) == {}
    (host,) = (await registry.publication()).hosts
    assert host.reason is not None and host.reason[0].value == state


async def test_a_visit_before_the_edit_that_unchecked_a_host_counts_no_more(registry: Registry) -> None:
    await scanned(registry)
    host = await a_host(registry)
    await seen(registry, "mirror.example.org", {}, at=NOW + 50)
    registry.now = NOW + 60
    await registry.do(hosts.edit_host, host.id, None, {"private": True})
    await registry.do(hosts.edit_host, host.id, None, {"private": False})
    assert await current(registry) == {}
    await seen(registry, "mirror.example.org", {}, at=NOW + 70)
    registry.now = NOW + 80
    assert await current(registry) == {"mirror.example.org": PUBLIC}


async def test_two_vantage_points_must_agree_that_something_is_missing(registry: Registry) -> None:
    await scanned(registry)
    await a_host(registry)
    registry.now = NOW + 60
    await seen(registry, "mirror.example.org", {"2/os": ABSENT}, vantage="one", at=NOW + 50)
    await seen(registry, "mirror.example.org", {}, vantage="two", at=NOW + 51)
    assert await current(registry) == {"mirror.example.org": PUBLIC}
    await seen(registry, "mirror.example.org", {"2/os": ABSENT}, vantage="two", at=NOW + 52)
    assert await current(registry) == {"mirror.example.org": PUBLIC - {"2", "2/os", "2/os/repodata"}}


async def test_a_name_that_comes_back_is_unchecked_whatever_its_history_says(registry: Registry) -> None:
    """Memory of a host that left is forgotten after a day, its history is not."""
    await scanned(registry)
    await a_host(registry)
    registry.now = NOW + 60
    async with registry.store.write() as connection:
        row = evidence.HistoryRow("mirror.example.org", NOW - 9000, "stale", "behind", 0)
        await evidence.add_history(connection, [row])
    holdings = await registry.holdings()
    assert holdings.hosts and not holdings.looks


async def test_private_hosts_are_never_visited_and_their_word_counts(registry: Registry) -> None:
    await scanned(registry)
    host = await a_host(registry, private=True)
    await registry.network(host, "8.8.8.0/24")
    async with registry.change() as change:
        (part,) = await queries.list_rows(change.connection, CarriedRow)
        paths = pack_paths(("", "1", "1/os", "1/os/repodata"))
        await queries.add(change.connection, CheckedInRow, carried=part.id, paths=paths, at=NOW + 5)
        world = await read_world(change.connection, Rules(), (), NOW)
    assert [subject.unvisited for subject in world.subjects] == ["private"]
    registry.now = NOW + 60
    assert await current(registry) == {"mirror.example.org": {"", "1", "1/os", "1/os/repodata"}}


async def test_a_crawl_visits_approved_public_hosts_that_are_not_trusted(registry: Registry) -> None:
    await scanned(registry)
    site = await registry.site(contacts=["ops@example.org"])
    draft = await registry.site(name="Draft", approved=False)
    upstream = await registry.host(site, name="up.example.org")
    await registry.carry(upstream, always=True)
    visited = await registry.host(site, name="visited.example.org", pulls_from="up.example.org")
    await registry.carry(visited, "http://a.example.org/", "https://a.example.org/", always=False, exclusions=["2/*"])
    for name, more in {"off": {"enabled": False}, "out": {}}.items():
        await registry.carry(await registry.host(site, name=f"{name}.example.org", **more), always=False)
    await registry.carry(await registry.host(draft, name="draft.example.org"), always=False)
    bare = await registry.host(site, name="bare.example.org")
    await registry.do(carried.add_carried, bare.id, {"category": "Example Linux"})
    async with registry.store.read() as connection:
        world = await read_world(connection, Rules(), ("out.example.org",), NOW)
    told = {subject.key: (subject.unvisited, subject.off) for subject in world.subjects}
    assert told == {
        "up.example.org": ("always current", False),
        "visited.example.org": ("", False),
        "off.example.org": ("", True),
        "out.example.org": ("opted out", False),
        "draft.example.org": ("its site is not approved", False),
        "bare.example.org": ("has no URL of http, https or rsync", False),
    }
    subject = next(each for each in world.subjects if each.key == "visited.example.org")
    assert (subject.pulls_from, subject.contacts, subject.country) == ("up.example.org", (), "DE")
    (part,) = subject.categories
    assert part.urls == ("https://a.example.org/", "http://a.example.org/")
    assert part.only is not None and "1/os" in part.only and "2/os" not in part.only

"""Everything that publishing reads, at one moment of the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.published import Judged
from redirector.health.rules import Rules
from redirector.registry.publish.contents import (
    Bits,
    CategoryContents,
    Look,
    renumber,
    unpack_bits,
    unpack_details,
    unpack_names,
    unpack_subpaths,
)
from redirector.registry.publish.scanned import contents_of, read_health, read_scans
from redirector.registry.world import Children, Rows, by_parent
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AsnRow,
    CarriedRow,
    CategoryRow,
    CheckedInRow,
    ContactRow,
    CountryRow,
    GatewayRow,
    HostRow,
    ImportedCategoryRow,
    ImportedContentRow,
    NetworkRow,
    RedirectRow,
    ReleaseRow,
    RepositoryRow,
    Row,
    SiteRow,
    UrlRow,
)

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Holdings(Rows):
    """The registry as it was read, with what is known of contents and hosts.

    contents  category -> what it holds
    looks     host -> what a checker says of it
    current   carried -> which directories are current there, over the names in `contents`
    addresses gateway's name -> addresses that count, and since when each was seen last
    edited    when the registry last changed by somebody's hand
    facts     single values that an import left
    """

    networks: Children[NetworkRow]
    asns: Children[AsnRow]
    countries: Children[CountryRow]
    repositories: Sequence[RepositoryRow]
    redirects: Sequence[RedirectRow]
    releases: Sequence[ReleaseRow]
    contents: Mapping[int, CategoryContents]
    looks: Mapping[int, Look]
    current: Mapping[int, Bits]
    addresses: Mapping[str, Sequence[GatewayRow]]
    edited: int
    facts: Mapping[str, str] = field(default_factory=dict)


TREE_FACT = "tree"

FACTS = ("config.yml", TREE_FACT)


async def read_holdings(
    connection: AsyncConnection, now: int, rules: Rules | None = None, judged: Judged | None = None
) -> Holdings:
    """Read it all, in the one transaction of *connection*. cost: 0.15 s for 700 hosts, half if all were *judged*

    now     epoch seconds: how old the word of a vantage point is
    rules   by which crawls judge
    judged  what was worked out before of the same evidence in the same minute, and is added to
    """

    async def rows(kind: type[R]) -> list[R]:
        return await queries.list_rows(connection, kind)

    carried = await rows(CarriedRow)
    crawled = Rows(
        sites={row.id: row for row in await rows(SiteRow)},
        contacts=by_parent(await rows(ContactRow), "site"),
        hosts={row.id: row for row in await rows(HostRow)},
        categories={row.id: row for row in await rows(CategoryRow)},
        carried=by_parent(carried, "host"),
        urls=by_parent(await rows(UrlRow), "carried"),
    )
    sites, hosts, categories = crawled.sites, crawled.hosts, crawled.categories
    repositories = await rows(RepositoryRow)
    imported = {row.category: row for row in await rows(ImportedCategoryRow)}
    scans = await read_scans(connection)
    contents: dict[int, CategoryContents] = {}
    kept_names: dict[int, tuple[str, ...]] = {}
    for number, row in categories.items():
        if number in imported:
            contents[number] = imported_contents(row, imported[number])
            kept_names[number] = contents[number].names
        if row.name_key in scans:
            contents[number] = contents_of(scans[row.name_key])
        contents.setdefault(number, bare_contents(row, repositories))
    looks, current = _imported_looks(hosts, carried, contents, kept_names, await rows(ImportedContentRow))
    _add_claims(sites, hosts, carried, contents, looks, current, await rows(CheckedInRow))
    seen, found = await read_health(connection, crawled, contents, rules or Rules(), now, judged)
    looks |= seen
    current |= found
    facts = {name: await queries.find_fact(connection, name) for name in FACTS}
    return Holdings(
        sites=sites,
        contacts=crawled.contacts,
        hosts=hosts,
        categories=categories,
        carried=crawled.carried,
        urls=crawled.urls,
        networks=by_parent(await rows(NetworkRow), "host"),
        asns=by_parent(await rows(AsnRow), "host"),
        countries=by_parent(await rows(CountryRow), "host"),
        repositories=repositories,
        redirects=await rows(RedirectRow),
        releases=await rows(ReleaseRow),
        contents=contents,
        looks=looks,
        current=current,
        addresses=_by_name(await rows(GatewayRow)),
        edited=await queries.newest_edit(connection),
        facts={name: value for name, value in facts.items() if value is not None},
    )


def _by_name(rows: Iterable[GatewayRow]) -> dict[str, list[GatewayRow]]:
    found: dict[str, list[GatewayRow]] = defaultdict(list)
    for row in rows:
        found[row.name].append(row)
    return dict(found)


def imported_contents(row: CategoryRow, kept: ImportedCategoryRow) -> CategoryContents:
    return CategoryContents(
        top=row.top,
        names=unpack_names(kept.paths),
        subpaths=unpack_subpaths(kept.subpaths),
        details=unpack_details(kept.details),
        made=row.edited,
    )


def bare_contents(row: CategoryRow, repositories: Iterable[RepositoryRow]) -> CategoryContents:
    """Before anybody scanned it: its top, and the directories that repositories name."""
    below = f"{row.top}/" if row.top else ""
    named = {each.directory for each in repositories if each.directory.startswith(below)}
    return CategoryContents(top=row.top, names=tuple(sorted({row.top, *named} - {""})), made=row.edited)


def _imported_looks(
    hosts: Mapping[int, HostRow],
    carried: Iterable[CarriedRow],
    contents: Mapping[int, CategoryContents],
    names: Mapping[int, tuple[str, ...]],
    kept: Iterable[ImportedContentRow],
) -> tuple[dict[int, Look], dict[int, Bits]]:
    """Hosts as an import's source gave them, until a visit says otherwise, or an edit takes that back."""
    looks: dict[int, Look] = {}
    current: dict[int, Bits] = {}
    by_number = {row.id: row for row in carried}
    for row in kept:
        part = by_number[row.carried]
        if hosts[part.host].unchecked_since <= row.at:
            old = names[part.category]
            current[part.id] = renumber(unpack_bits(row.current, len(old)), old, contents[part.category].names)
            looks[part.host] = Look(state="ok", since=row.at, checked=row.at)
    return looks, current


def _add_claims(
    sites: Mapping[int, SiteRow],
    hosts: Mapping[int, HostRow],
    carried: Iterable[CarriedRow],
    contents: Mapping[int, CategoryContents],
    looks: dict[int, Look],
    current: dict[int, Bits],
    claims: Iterable[CheckedInRow],
) -> None:
    """What private hosts say of themselves: nobody else can. What they said before an edit took it back is over."""
    by_number = {row.id: row for row in carried}
    for claim in claims:
        part = by_number[claim.carried]
        host = hosts[part.host]
        if not (host.private or sites[host.site].private) or claim.at < host.unchecked_since:
            continue
        has = frozenset(unpack_names(claim.paths))
        listed = contents[part.category]
        current[part.id] = np.fromiter((listed.subpath_of(name) in has for name in listed.names), np.bool_)
        before = looks.get(part.host, Look())
        looks[part.host] = Look(state="ok", since=before.since or claim.at, checked=max(before.checked, claim.at))

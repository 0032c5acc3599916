"""The registry as a crawl sees it: whom to visit, and what the scans of the masters expect there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.expected import Master
from redirector.health.masters import read_contents
from redirector.health.rules import Rules
from redirector.health.subjects import VISITED_SCHEMES, Carried, Subject
from redirector.health.world import World
from redirector.registry.listing import SiteState, in_maintenance
from redirector.registry.publish.contents import CategoryContents, Exclusions
from redirector.registry.rules import name_key
from redirector.store.contents import find_categories, find_contents
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    CarriedRow,
    CategoryRow,
    ContactRow,
    HostRow,
    Row,
    SiteRow,
    UrlRow,
)

R = TypeVar("R", bound=Row)

Children = Mapping[int, Sequence[R]]
"""Number of the parent -> its rows, by their numbers."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What of the registry a crawl needs to know; by their numbers, or their parents'."""

    sites: Mapping[int, SiteRow]
    contacts: Children[ContactRow]
    hosts: Mapping[int, HostRow]
    categories: Mapping[int, CategoryRow]
    carried: Children[CarriedRow]
    urls: Children[UrlRow]


def by_parent(rows: Iterable[R], parent: str) -> dict[int, list[R]]:
    """*rows* by the number in their column *parent*."""
    found: dict[int, list[R]] = {}
    for row in rows:
        found.setdefault(getattr(row, parent), []).append(row)
    return found


async def read_world(connection: AsyncConnection, rules: Rules, opted_out: Collection[str], now: int) -> World:
    """The hosts of the registry and the categories that were scanned, in the one transaction of *connection*.

    opted_out  names of hosts that nobody shall visit
    now        epoch seconds; says who is in maintenance
    """
    rows = Rows(
        sites={row.id: row for row in await queries.list_rows(connection, SiteRow)},
        contacts=by_parent(await queries.list_rows(connection, ContactRow), "site"),
        hosts={row.id: row for row in await queries.list_rows(connection, HostRow)},
        categories={row.id: row for row in await queries.list_rows(connection, CategoryRow)},
        carried=by_parent(await queries.list_rows(connection, CarriedRow), "host"),
        urls=by_parent(await queries.list_rows(connection, UrlRow), "carried"),
    )
    return await read_world_of(connection, rows, rules, opted_out, now)


async def read_world_of(
    connection: AsyncConnection, rows: Rows, rules: Rules, opted_out: Collection[str], now: int
) -> World:
    """The same where the *rows* were read before, by the same *connection*."""
    scanned: dict[str, Master] = {}
    for name in await find_categories(connection):
        contents = await find_contents(connection, name)
        if contents is not None:
            scanned[name_key(name)] = read_contents(contents)
    masters = {number: scanned[row.name_key] for number, row in rows.categories.items() if row.name_key in scanned}
    exclusions = {
        number: Exclusions(CategoryContents(top="", names=tuple(each.name for each in master.directories)))
        for number, master in masters.items()
    }
    sites, hosts, carried = rows.sites, rows.hosts, rows.carried
    subjects = []
    for row in hosts.values():
        site = sites[row.site]
        parts = [
            _carried(part, masters[part.category], rows.urls.get(part.id, ()), exclusions[part.category])
            for part in carried.get(row.id, ())
            if part.category in masters and not part.always_current
        ]
        source = hosts.get(row.pulls_from or 0)
        subjects.append(
            Subject(
                key=row.name,
                name=row.name,
                categories=tuple(part for part in parts if part.urls),
                site=site.name,
                unvisited=_unvisited(row, site, carried.get(row.id, ()), parts, opted_out, now),
                private=row.private or site.private,
                off=not row.enabled or not site.enabled or row.leaving is not None or site.leaving is not None,
                maintenance=in_maintenance(row.maintenance, now),
                pulls_from=source.name if source else "",
                contacts=tuple(each.mail for each in rows.contacts.get(site.id, ()) if each.verified is not None),
                country=row.country or "",
            )
        )
    return World(
        subjects=tuple(subjects),
        masters={master.category: master for master in scanned.values()},
        known={},
        rules=rules,
        tree=False,
    )


def _carried(part: CarriedRow, master: Master, urls: Collection[UrlRow], exclusions: Exclusions) -> Carried:
    fit = [url.url for url in urls if url.audience == "public" and url.url.startswith(VISITED_SCHEMES)]
    bases = sorted(dict.fromkeys(fit), key=lambda url: not url.startswith("https:"))
    return Carried(master.category, tuple(bases), exclusions.kept(part.exclusions) if part.exclusions else None)


def _unvisited(
    row: HostRow,
    site: SiteRow,
    carried: Collection[CarriedRow],
    parts: Collection[Carried],
    opted_out: Collection[str],
    now: int,
) -> str:
    """Why nobody goes there; "" when it is visited."""
    reasons: Mapping[str, bool] = {
        "private": row.private or site.private,
        "its site is not approved": site.state != SiteState.APPROVED.value,
        "in maintenance": in_maintenance(row.maintenance, now),
        "always current": bool(carried) and all(each.always_current for each in carried),
        "opted out": row.name in opted_out,
        "nothing that it carries was scanned: `redirector scan` reads what `masters` name": bool(carried) and not parts,
        "has no URL of http, https or rsync": not any(part.urls for part in parts),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")

"""Reads what an export needs, in one transaction, and renders it: for the command, for the URL and for files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from redirector.registry.edit.change import Change, find_host, pullers_of
from redirector.registry.exports import (
    FORMATS,
    Changed,
    admitted_hosts,
    order_addresses,
    pulling_hosts,
    render_addresses,
    render_filter,
    render_mirmon,
    render_tiers,
)
from redirector.registry.permits import Act
from redirector.registry.public import mirror_object, public_list
from redirector.registry.publish.holdings import Holdings, read_holdings
from redirector.registry.publish.selection import select
from redirector.registry.refusals import FieldProblem, Forbidden, Invalid
from redirector.registry.rules import name_key
from redirector.store.contents import find_contents
from redirector.store.registry import queries
from redirector.store.registry.rows import AclRow, HostRow

NAMES = ("rsync-acl", "rsync-filter", "tiers", "public", "mirmon")

TYPES = {"json": "application/json"}
"""Content types of formats; the others are plain text."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of an export, as texts.

    host        a host's name: who may pull from it
    tier        a number
    layout      of addresses, see `FORMATS`
    categories  names; what changed in them
    since       epoch seconds
    strip       what a module's paths leave out at their start
    mail        contacts, too: by command alone
    """

    host: str | None = None
    tier: str | None = None
    layout: str = "plain"
    categories: str = ""
    since: str = "0"
    strip: str = ""
    mail: bool = False


async def export(change: Change, name: str, wish: Wish) -> str:
    """The export *name*. Raises Invalid, Forbidden, Missing."""
    return await _render(change, name, wish, await read_holdings(change.connection, change.now))


async def _render(change: Change, name: str, wish: Wish, holdings: Holdings) -> str:
    match name:
        case "rsync-acl":
            return await _addresses(change, wish, holdings)
        case "rsync-filter":
            return await _filter(change, wish, holdings)
        case "tiers":
            return render_tiers(holdings)
        case "public":
            return _public(holdings, change.now)
        case _:
            return render_mirmon(holdings, wish.mail)


def _public(holdings: Holdings, now: int) -> str:
    """The mirrors as `/api/v1/mirrors` tells them, all at once."""
    mirrors = public_list(holdings, select(holdings, now), now).mirrors
    return json.dumps({"items": [mirror_object(mirror) for mirror in mirrors]}, ensure_ascii=False, indent=1) + "\n"


FILES = {
    "rsync-acl": Wish(),
    "rsync-acl.hosts": Wish(layout="hosts"),
    "rsync-acl.json": Wish(layout="json"),
    "tiers": Wish(),
    "public.json": Wish(),
    "mirmon": Wish(),
}
"""What `publish --exports` writes: file -> the export that its name begins with, and how."""


async def export_files(change: Change, holdings: Holdings) -> dict[str, str]:
    """The content of each of `FILES`, from what was read already: to read it takes longer than all of them."""
    return {file: await _render(change, file.partition(".")[0], wish, holdings) for file, wish in FILES.items()}


async def _addresses(change: Change, wish: Wish, holdings: Holdings) -> str:
    if wish.layout not in FORMATS:
        raise Invalid(problems=(FieldProblem("format", f"{', '.join(FORMATS)} are known"),))
    tier = _read_tier(wish.tier)
    if wish.host is None:
        if not change.actor.admin:
            raise Forbidden("all addresses are for distribution admins; host= gives those of who may pull from yours")
        hosts = admitted_hosts(holdings, tier)
    else:
        found = await queries.find(change.connection, HostRow, name=wish.host.lower())
        row, site = await find_host(change, Act.READ, found.id if found else 0)
        pulling = pulling_hosts(holdings, await pullers_of(change.connection, site))
        hosts = [each for each in pulling if tier in (None, each.tier) and each.id != row.id]
    return render_addresses(order_addresses(await _addresses_of(change, hosts)), wish.layout)


async def _addresses_of(change: Change, hosts: Iterable[HostRow]) -> list[str]:
    numbers = {host.id for host in hosts}
    return [row.address for row in await queries.list_rows(change.connection, AclRow) if row.host in numbers]


def _read_tier(text: str | None) -> int | None:
    if text is None:
        return None
    if text not in ("0", "1", "2"):
        raise Invalid(problems=(FieldProblem("tier", "0, 1 or 2 is needed"),))
    return int(text)


async def _filter(change: Change, wish: Wish, holdings: Holdings) -> str:
    """rsync's filter for what the named categories' masters changed. Raises Invalid for a name or time that is none."""
    if not (wish.since.isascii() and wish.since.isdecimal() and len(wish.since) < 12):
        raise Invalid(problems=(FieldProblem("since", "a time in epoch seconds is needed"),))
    named = [name.strip() for name in wish.categories.split(",") if name.strip()]
    if not named:
        raise Invalid(problems=(FieldProblem("categories", "names of categories are needed, with commas between"),))
    known = {name_key(row.name): number for number, row in holdings.categories.items()}
    if unknown := [name for name in named if name_key(name) not in known]:
        raise Invalid(problems=(FieldProblem("categories", f"there is no category {unknown[0][:100]!r}"),))
    shown = {name for category in select(holdings, change.now).categories for name in category.names}
    found = [await _changed(change, holdings, known[name_key(name)], shown) for name in named]
    return render_filter(found, int(wish.since), wish.strip.strip("/"))


async def _changed(change: Change, holdings: Holdings, number: int, shown: set[str]) -> Changed:
    """What the last scan says of a category; nothing of what is not public yet."""
    row = holdings.categories[number]
    contents = await find_contents(change.connection, row.name)
    times: dict[str, int] = {}
    for directory in contents.directories if contents else ():
        below = directory.path.decode(errors="replace")
        if "/".join(filter(None, (row.top, below))) in shown:
            times[below] = directory.changed
    return Changed(row.top, times)

"""Reads what an export needs, in one transaction, and renders it: for the command, for the URL and for files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redirector.registry.edit.catalogue import public_categories
from redirector.registry.edit.change import Change, find_host, pullers_of
from redirector.registry.exports import (
    FORMATS,
    Changed,
    admitted_hosts,
    order_addresses,
    pulling_hosts,
    render_addresses,
    render_exclusions,
    render_filter,
    render_mirmon,
    render_tiers,
)
from redirector.registry.permits import Act
from redirector.registry.public import mirror_object, public_list
from redirector.registry.publish.holdings import Holdings, read_holdings
from redirector.registry.publish.selection import embargo_of, select
from redirector.registry.refusals import FieldProblem, Forbidden, Invalid
from redirector.registry.rules import name_key
from redirector.store.contents import find_contents
from redirector.store.registry import queries
from redirector.store.registry.rows import AclRow, HostRow, SiteRow

NAMES = ("rsync-acl", "rsync-filter", "tiers", "public", "mirmon", "exclusions")

TYPES = {"json": "application/json"}
"""Content types of formats; the others are plain text."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of an export, as texts.

    host        a host's name: who may pull from it; what it leaves out
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


async def export(change: Change, name: str, wish: Wish, holdings: Holdings | None = None) -> str:
    """The export *name*. Raises Invalid, Forbidden, Missing.

    holdings  as they are at this moment; None: they are read, which takes longer than all the rest
    """
    await _refuse_wrong(change, name, wish)
    return await _render(change, name, wish, holdings or await read_holdings(change.connection, change.now))


async def _refuse_wrong(change: Change, name: str, wish: Wish) -> None:
    """Refuse what is wrong before all is read for it."""
    if name == "rsync-acl":
        _read_layout(wish.layout)
        _read_tier(wish.tier)
        if wish.host is None and not change.actor.admin:
            raise Forbidden("all addresses are for distribution admins; host= gives those of who may pull from yours")
        if wish.host is not None:
            await _find_host(change, wish.host)
    if name == "exclusions":
        await _asked_host(change, wish)
    if name == "rsync-filter":
        _read_since(wish.since)
        _read_categories(wish.categories, {row.name_key: row.id for row in await public_categories(change)})


async def _render(change: Change, name: str, wish: Wish, holdings: Holdings) -> str:
    match name:
        case "rsync-acl":
            return await _addresses(change, wish, holdings)
        case "rsync-filter":
            return await _filter(change, wish, holdings)
        case "tiers":
            return render_tiers(holdings, embargo_of(holdings, change.now))
        case "exclusions":
            return render_exclusions(holdings, await _asked_host(change, wish))
        case "public":
            return _public(holdings, change.now)
        case _:
            return render_mirmon(holdings, embargo_of(holdings, change.now), wish.mail)


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
    tier = _read_tier(wish.tier)
    if wish.host is None:
        hosts = admitted_hosts(holdings, tier)
    else:
        row, site = await _find_host(change, wish.host)
        pulling = pulling_hosts(holdings, await pullers_of(change.connection, site))
        hosts = [each for each in pulling if tier in (None, each.tier) and each.id != row.id]
    return render_addresses(order_addresses(await _addresses_of(change, hosts)), wish.layout)


async def _addresses_of(change: Change, hosts: Iterable[HostRow]) -> list[str]:
    numbers = {host.id for host in hosts}
    return [row.address for row in await queries.list_rows(change.connection, AclRow) if row.host in numbers]


async def _find_host(change: Change, name: str) -> tuple[HostRow, SiteRow]:
    found = await queries.find(change.connection, HostRow, name_key=name_key(name)) if name.isprintable() else None
    return await find_host(change, Act.READ, found.id if found else 0)


def _read_layout(text: str) -> None:
    if text not in FORMATS:
        raise Invalid(problems=(FieldProblem("format", f"{', '.join(FORMATS)} are known"),))


async def _asked_host(change: Change, wish: Wish) -> int:
    """The number of the host that the export is about. Raises Invalid, Forbidden, Missing."""
    if wish.host is None:
        raise Invalid(problems=(FieldProblem("host", "the name of a host is needed"),))
    row, _ = await _find_host(change, wish.host)
    return row.id


def _read_tier(text: str | None) -> int | None:
    if text is None:
        return None
    if text not in ("0", "1", "2"):
        raise Invalid(problems=(FieldProblem("tier", "0, 1 or 2 is needed"),))
    return int(text)


async def _filter(change: Change, wish: Wish, holdings: Holdings) -> str:
    """rsync's filter for what the named categories' masters changed. Raises Invalid for a name or time that is none."""
    numbers = _read_categories(wish.categories, {row.name_key: row.id for row in holdings.categories.values()})
    shown = {name for category in select(holdings, change.now).categories for name in category.names}
    found = [await _changed(change, holdings, number, shown) for number in numbers]
    return render_filter(found, _read_since(wish.since), wish.strip.strip("/"))


def _read_since(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise Invalid(problems=(FieldProblem("since", "a time in epoch seconds is needed"),))
    return int(text)


def _read_categories(text: str, known: Mapping[str, int]) -> list[int]:
    """Numbers of the categories named in *text*."""
    named = list(dict.fromkeys(name_key(name.strip()) for name in text.split(",") if name.strip()))
    if not named:
        raise Invalid(problems=(FieldProblem("categories", "names of categories are needed, with commas between"),))
    if unknown := [name for name in named if name not in known]:
        raise Invalid(problems=(FieldProblem("categories", f"there is no category {unknown[0][:100]!r}"),))
    return [known[name] for name in named]


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

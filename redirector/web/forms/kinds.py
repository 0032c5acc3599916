"""What belongs to a host and is entered one by one: each kind as a table of functions, so that one form serves all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redirector.registry import nouns, views
from redirector.registry.edit import asns, carried, networks
from redirector.registry.edit.change import Change
from redirector.registry.nouns import Noun
from redirector.registry.views import View

Listing = Callable[[Change, int], Awaitable[Sequence[View]]]
Adding = Callable[[Change, int, object], Awaitable[object]]
Editing = Callable[[Change, int, int, int | None, object], Awaitable[object]]
Deleting = Callable[[Change, int, int, int | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    prefix   of its fields' words
    columns  that its table has, with their headings
    fixed    fields that cannot be changed later
    """

    plural: str
    title: str
    prefix: str
    noun: type[Noun]
    columns: Mapping[str, str]
    listing: Listing
    add: Adding
    delete: Deleting
    edit: Editing | None = None
    fixed: tuple[str, ...] = ()
    text: str = ""


async def _carried(change: Change, host: int) -> list[View]:
    names = await carried.category_names(change)
    return [views.show_carried(row, names[row.category]) for row in await carried.list_carried(change, host)]


async def _urls(change: Change, host: int) -> list[View]:
    return [each.view() for each in await carried.list_urls(change, host)]


async def _networks(change: Change, host: int) -> list[View]:
    return [views.show_network(row) for row in await networks.list_networks(change, host)]


async def _asns(change: Change, host: int) -> list[View]:
    return [views.show_asn(row) for row in await asns.list_asns(change, host)]


async def _countries(change: Change, host: int) -> list[View]:
    return [views.show_country(row) for row in await networks.list_countries(change, host)]


async def _acl(change: Change, host: int) -> list[View]:
    return [views.show_acl(row) for row in await networks.list_acl(change, host)]


KINDS: Mapping[str, Kind] = {
    kind.plural: kind
    for kind in (
        Kind(
            "categories", "Categories", "carried", nouns.Carried,
            {"category": "Category", "exclusions": "Left out", "always_current": "Always current"},
            _carried, carried.add_carried, carried.delete_carried, carried.edit_carried, ("category",),
            "What the host carries. First this, then its URLs.",
        ),
        Kind(
            "urls", "URLs", "url", nouns.Url,
            {"category": "Category", "url": "URL", "audience": "For whom"},
            _urls, carried.add_url, carried.delete_url, carried.edit_url, ("category",),
            "Where a category's top directory is. A public http or https URL is needed to be listed.",
        ),
        Kind(
            "networks", "Networks", "network", nouns.Network,
            {"network": "Network", "name": "Label", "state": "State"},
            _networks, networks.add_network, networks.delete_network, networks.edit_network, (),
            "Clients in them are given this host first.",
        ),
        Kind(
            "asns", "AS numbers", "asn", nouns.AsnOf, {"asn": "AS", "own": "Its own", "state": "State"},
            _asns, asns.add_asn, asns.delete_asn, None, (), "Clients in them are given this host after its networks.",
        ),
        Kind(
            "countries", "Countries allowed", "country", nouns.CountryAllowed, {"country": "Country"},
            _countries, networks.add_country, networks.delete_country, None, (),
            "Empty: everybody. Else clients of these countries alone.",
        ),
        Kind(
            "acl", "Addresses that it pulls with", "acl", nouns.AclAddress, {"address": "Address"},
            _acl, networks.add_acl, networks.delete_acl, None, (),
            "The masters, and those that you pull from, let these in.",
        ),
    )
}  # fmt: skip


def show_cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {show_cell(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)

"""What is looked up for a request to the API before its transaction: name servers may take seconds."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from redirector.registry.edit.change import find_site
from redirector.registry.hints import Sighting
from redirector.registry.permits import Act
from redirector.registry.refusals import RegistryError
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow
from redirector.web.access import SITE, asking, bearer
from redirector.web.whereabouts import asked_names


async def look_at_site(request: web.Request, numbers: Mapping[str, int]) -> dict[int, list[Sighting]]:
    """Where the hosts of a site are: looked up while no transaction is open."""
    hinting = request.app[SITE].hinting
    async with asking(request, write=False) as change:
        site = await find_site(change, Act.READ, numbers["site"])
        rows = await queries.list_rows(change.connection, HostRow, site=site.id)
        prepared = await hinting.prepare(change, rows)
    return await hinting.look(prepared)


async def look_at_host(request: web.Request, numbers: Mapping[str, int], body: object) -> frozenset[int] | None:
    """AS numbers that a host's addresses are in, with what the *body* adds; None where nobody needs to know."""
    site = request.app[SITE]
    if site.whereabouts.asn is None or bearer(request) is None:
        return None
    try:
        async with asking(request, write=False) as change:
            names = await asked_names(change, numbers.get("host"), body)
    except RegistryError:
        return None  # the change itself says what is wrong
    return await site.whereabouts.own_asns(names) if names else None

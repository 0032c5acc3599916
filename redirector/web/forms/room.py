"""What all forms share: who sends them, the transaction, and how a refusal is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import web

from redirector.registry.edit.change import Change
from redirector.registry.permits import Act
from redirector.registry.refusals import Conflict, Missing, RegistryError
from redirector.web.access import Site, limit
from redirector.web.forms.fields import read_version
from redirector.web.frame import html, page_bytes, stream_headers
from redirector.web.login.visits import Visit, put_cookies, visit_of
from redirector.web.whereabouts import asked_names

MARK = "\1"
"""Where a page goes on with what is not known when it begins: its `mark`. No name holds a control character."""


NEW_TOKEN = "The new token, which is shown this once"


@dataclass(frozen=True, slots=True)
class Told:
    """What is shown once: a secret, and what it is."""

    text: str
    secret: str


@dataclass(frozen=True, slots=True)
class Room:
    """Forms over a site."""

    site: Site

    async def person(self, request: web.Request) -> Visit:
        """Who is logged in; whoever is not is sent there, and back afterwards."""
        visit = await visit_of(request)
        if visit.account is None:
            target = request.raw_path if request.method == "GET" else "/sites"
            raise web.HTTPSeeOther(f"/login?next={quote(target)}")
        limit(request, visit.actor)
        return visit

    @asynccontextmanager
    async def reading(self, visit: Visit) -> AsyncIterator[Change]:
        """What this person may read."""
        async with self.site.store.read() as connection:
            yield Change(connection, visit.actor, int(self.site.now()), self.site.house, lax=True)

    @asynccontextmanager
    async def writing(self, visit: Visit, own_asns: frozenset[int] | None = None) -> AsyncIterator[Change]:
        """One change by this person: all of it, or nothing."""
        async with self.site.store.write() as connection:
            now = int(self.site.now())
            yield Change(connection, visit.actor, now, self.site.house, lax=True, own_asns=own_asns)

    async def own_asns(self, visit: Visit, host: int | None, body: object) -> frozenset[int] | None:
        """AS numbers that a host's addresses are in, with what the *body* adds; None where nobody needs to know."""
        if self.site.whereabouts.asn is None:
            return None
        try:
            async with self.reading(visit) as change:
                names = await asked_names(change, host, body)
        except RegistryError:
            return None  # the change itself says what is wrong
        return await self.site.whereabouts.own_asns(names) if names else None

    def page(
        self, visit: Visit, template: str, values: Mapping[str, Any], status: int = 200, here: str = ""
    ) -> web.Response:
        """A page for this person."""
        return html(visit.frame(here), template, {**values, "csrf": visit.csrf}, status)

    async def stream(
        self,
        request: web.Request,
        visit: Visit,
        template: str,
        values: Mapping[str, Any],
        here: str,
        texts: AsyncIterator[bytes],
    ) -> web.StreamResponse:
        """A page for this person at once but for *texts*, which stand at its mark and are sent as they come."""
        page = page_bytes(visit.frame(here), template, {**values, "csrf": visit.csrf, "mark": MARK})
        head, _, tail = page.rpartition(MARK.encode())
        response = web.StreamResponse(headers=stream_headers())
        put_cookies(request, response)
        await response.prepare(request)
        try:
            await response.write(head)
            async for text in texts:
                await response.write(text)
            await response.write(tail)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            request.protocol.force_close()  # who read along went away, or we end
        return response


def number_of(request: web.Request, name: str) -> int:
    """A number in the path. Raises Missing."""
    text = request.match_info[name]
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    raise Missing


def version_of(typed: Mapping[str, str]) -> int:
    """The version that the form was made of. Raises Conflict without one: what others changed since would be lost."""
    found = read_version(typed)
    if found is None:
        raise Conflict("the form does not say what it was made of: load the page again, and send it again")
    return found


def need_desk(change: Change) -> None:
    """Raise Forbidden for all but distribution admins."""
    change.require(Act.ADMINISTER)

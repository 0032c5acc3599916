"""What a save does to clients, at the end of the page that it leads to and on one of its own: for hosts and sites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from redirector.answer.compare.difference import Difference, HostShare
from redirector.answer.compare.telling import tell
from redirector.errors import SnapshotError
from redirector.registry.edit.change import find_host, find_site
from redirector.registry.permits import Act
from redirector.registry.publish.selection import Publication
from redirector.registry.refusals import Conflict
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow, SiteRow
from redirector.web.effects import is_same, tell_lists
from redirector.web.forms.room import Room, number_of
from redirector.web.pages.render import render

COUNTRIES = 15


@dataclass(frozen=True, slots=True)
class Subject:
    """What was saved: a host, or a site with its hosts.

    page   where it is shown, `/hosts/3`
    hosts  number -> name
    """

    page: str
    name: str
    hosts: Mapping[int, str]


def subject_of_host(row: HostRow) -> Subject:
    """A host alone."""
    return Subject(f"/hosts/{row.id}", row.name, {row.id: row.name})


def subject_of_site(row: SiteRow, hosts: Sequence[HostRow]) -> Subject:
    """A site with all its hosts."""
    return Subject(f"/sites/{row.id}", row.name, {host.id: host.name for host in hosts})


@dataclass(frozen=True, slots=True)
class SavingRoom(Room):
    """Forms that remember what would have been published without them."""

    async def published(self) -> Publication | None:
        """What would be published now."""
        async with self.site.store.read() as connection:
            return (await self.site.shelf.read(connection, int(self.site.now()))).publication

    def remember(self, page: str, before: Publication | None) -> None:
        """The save that *page* leads to is done; *before* would have been published without it."""
        if before is not None:
            self.site.effects.remember(page, before)

    def lists(self, subject: Subject, after: Publication | None) -> list[str]:
        """What the last save changes in the lists, in words."""
        before = self.site.effects.find(subject.page)
        return [] if before is None or after is None else tell_lists(subject.hosts, before, after)

    def moves(self, subject: Subject, after: Publication | None) -> Publication | None:
        """What was there before the last save, if clients may feel a difference; else None."""
        before = self.site.effects.find(subject.page)
        return None if before is None or after is None or is_same(before, after) else before

    async def moved(self, subject: Subject, before: Publication, after: Publication) -> AsyncIterator[bytes]:
        """What the save does to clients, as soon as that is worked out."""
        try:
            found = await self.site.effects.measure(before, after, self.site.now())
        except SnapshotError:
            yield b"<p>Nothing can be compared: before or after it there is no list of mirrors.</p>"
            return
        yield render("moved.html", {"difference": found, "own": own_share(subject, found), "name": subject.name})
        yield f'<p><a href="{subject.page}/effect">By country, with examples</a></p>'.encode()


def own_share(subject: Subject, found: Difference) -> HostShare | None:
    """The shares of the hosts together; None when they have none, before and after."""
    names = set(subject.hosts.values())
    own = [each for each in found.shares if each.host in names]
    sums = (sum(each.before for each in own), sum(each.after for each in own), sum(each.capacity for each in own))
    return HostShare(subject.name, *sums) if own else None


@dataclass(frozen=True, slots=True)
class EffectPages(SavingRoom):
    """What the last save of a host or site does, in full."""

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        application.router.add_get("/hosts/{host}/effect", self.show_of_host)
        application.router.add_get("/sites/{site}/effect", self.show_of_site)

    async def show_of_host(self, request: web.Request) -> web.Response:
        """By its last save."""
        visit = await self.person(request)
        async with self.reading(visit) as change:
            row, site = await find_host(change, Act.READ, number_of(request, "host"))
        crumbs = ((f"/sites/{site.id}", site.name), (f"/hosts/{row.id}", row.name))
        return await self._page(request, subject_of_host(row), crumbs)

    async def show_of_site(self, request: web.Request) -> web.Response:
        """By its last save."""
        visit = await self.person(request)
        async with self.reading(visit) as change:
            row = await find_site(change, Act.READ, number_of(request, "site"))
            hosts = await queries.list_rows(change.connection, HostRow, site=row.id)
        return await self._page(request, subject_of_site(row, hosts), ((f"/sites/{row.id}", row.name),))

    async def _page(self, request: web.Request, subject: Subject, crumbs: Sequence[tuple[str, str]]) -> web.Response:
        visit = await self.person(request)
        before, after = self.site.effects.find(subject.page), await self.published()
        values: dict[str, Any] = {"subject": subject, "name": subject.name, "crumbs": crumbs, "difference": None}
        if before is not None and after is not None:
            try:
                found = await self.site.effects.measure(before, after, self.site.now())
            except SnapshotError:
                raise Conflict("before or after the save there is no list of mirrors to compare") from None
            values |= {
                "difference": found,
                "own": own_share(subject, found),
                "lists": self.lists(subject, after),
                "countries": [each for each in found.countries if each.moved > 0][:COUNTRIES],
                "examples": [tell(each) for each in found.examples],
            }
        return self.page(visit, "effect.html", values, here="/sites")

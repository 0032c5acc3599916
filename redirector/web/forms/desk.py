"""The distribution's desk: what waits, what is broken, accounts, events, releases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from redirector.registry.edit import accounts
from redirector.registry.edit.change import find_host, find_site
from redirector.registry.permits import Act
from redirector.registry.public import PublicMirror
from redirector.store import evidence, login, outbox
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow, AsnRow, HostRow, NetworkRow, SiteRow
from redirector.web.api.call import read_number
from redirector.web.forms.kinds import show_cell
from redirector.web.forms.room import Room, need_desk, number_of
from redirector.web.login.visits import read_form

EVENTS_SHOWN = 100
WORST = 15
SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Desk(Room):
    """Pages for distribution admins, and events for everybody who may see some."""

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        router = application.router
        router.add_get("/desk", self.show)
        router.add_get("/desk/accounts", self.show_accounts)
        router.add_post("/desk/accounts/{number}", self.change_account)
        router.add_get("/events", self.events)

    async def show(self, request: web.Request) -> web.Response:
        """What waits, and what is not well."""
        visit = await self.person(request)
        async with self.reading(visit) as change:
            need_desk(change)
            connection = change.connection
            sites = {row.id: row for row in await queries.list_rows(connection, SiteRow)}
            hosts = {row.id: row for row in await queries.list_rows(connection, HostRow)}
            waiting: list[tuple[str, Any, HostRow]] = []
            for network in await queries.list_rows(connection, NetworkRow, waits=True):
                waiting.append(("networks", network, hosts[network.host]))
            for asn in await queries.list_rows(connection, AsnRow, waits=True):
                waiting.append(("asns", asn, hosts[asn.host]))
            shown = await self.site.shelf.read(connection, change.now)
            rounds = await evidence.find_rounds(connection, 10, void=True)
            failed = await outbox.list_failures(connection, SHOWN_FAILURES)
        mirrors = shown.listed.mirrors
        values = {
            "waiting_sites": [
                (row, [host for host in hosts.values() if host.site == row.id])
                for row in sites.values()
                if row.state == "waiting"
            ],
            "waiting": waiting,
            "states": Counter(mirror.state for mirror in mirrors).most_common(),
            "broken": [mirror for mirror in mirrors if mirror.state in ("stale", "unreachable", "unknown")],
            "worst": _worst_served(mirrors),
            "rounds": rounds,
            "notices": failed,
        }
        return self.page(visit, "desk.html", values, here="/desk")

    # -- Accounts ------------------------------------------------------------------------------------------------------

    async def show_accounts(self, request: web.Request, text: str = "", status: int = 200) -> web.Response:
        """All accounts."""
        visit = await self.person(request)
        async with self.reading(visit) as change:
            need_desk(change)
            rows = await queries.list_rows(change.connection, AccountRow)
        return self.page(visit, "accounts.html", {"accounts": rows, "text": text}, status, here="/desk")

    async def change_account(self, request: web.Request) -> web.Response:
        """Disable it, enable it, or make it a distribution admin, or none; one's own stays as it is."""
        visit = await self.person(request)
        typed = await read_form(request)
        number = number_of(request, "number")
        bodies = {
            "disable": {"disabled": True},
            "enable": {"disabled": False},
            "admin": {"distribution_admin": True},
            "plain": {"distribution_admin": False},
        }
        body = bodies.get(typed.get("do", ""))
        if number == visit.actor.account or body is None:
            return await self.show_accounts(request, "Your own account is changed by another admin.", 409)
        async with self.writing(visit) as change:
            need_desk(change)
            row = await queries.find(change.connection, AccountRow, id=number)
            if row is None:
                raise web.HTTPNotFound
            await accounts.save_account(change, {"login": row.login, **body})
            if body.get("disabled"):
                await login.end_sessions(change.connection, number)
        raise web.HTTPSeeOther("/desk/accounts")

    # -- Events --------------------------------------------------------------------------------------------------------

    async def events(self, request: web.Request) -> web.Response:
        """What happened, newest first; to a site or host, or to all of one's own."""
        visit = await self.person(request)
        query = {name: value for name, value in request.query.items() if value}
        site = read_number(query, "site", 0, 0, 2**63 - 1)
        host = read_number(query, "host", 0, 0, 2**63 - 1)
        before = read_number(query, "before", 2**63 - 1, 0, 2**63 - 1)
        async with self.reading(visit) as change:
            wanted: list[int] | None = None if change.actor.admin else sorted(change.actor.sites)
            if site:
                wanted = [(await find_site(change, Act.READ, site)).id]
            if host:
                await find_host(change, Act.READ, host)
            rows = await queries.list_events(
                change.connection,
                sites=wanted,
                host=host or None,
                what=query.get("what"),
                before=before,
                limit=EVENTS_SHOWN + 1,
            )
        more = rows[EVENTS_SHOWN - 1].id if len(rows) > EVENTS_SHOWN else None
        values = {
            "events": [(row, tell_changes(row.old, row.new)) for row in rows[:EVENTS_SHOWN]],
            "more": more,
            "what": query.get("what", ""),
            "site": site or "",
            "host": host or "",
        }
        return self.page(visit, "events.html", values, here="/desk" if visit.actor.admin else "/sites")


def tell_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What an event says of each field: what it became; after what it was, where it was something else."""
    found = []
    for name in {**old, **new}:
        before, after = show_cell(old.get(name)), show_cell(new.get(name))
        if name in _OF_ROWS or before == after:
            continue
        was = f"{before or 'nothing'} → " if name in old else ""
        found.append(f"{name}: {was}{after or 'nothing'}")
    return found


_OF_ROWS = frozenset({"id", "version", "edited"})
"""Of every thing, and of no interest to people."""


def _worst_served(mirrors: tuple[PublicMirror, ...]) -> list[tuple[str, int, int, int]]:
    """(country, mirrors, of them listed, Mbit/s of those) where the listed have least."""
    found: dict[str, list[PublicMirror]] = {}
    for mirror in mirrors:
        if mirror.country:
            found.setdefault(mirror.country, []).append(mirror)
    rows = [
        (country, len(each), sum(m.ok for m in each), sum(m.bandwidth_mbit or 0 for m in each if m.ok))
        for country, each in found.items()
    ]
    return sorted(rows, key=lambda row: (row[2], row[3], row[0]))[:WORST]

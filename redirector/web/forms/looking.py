"""“Check my mirror”: what clients find at a host, told while it is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from redirector.kit.values import seconds_of
from redirector.registry.edit.change import Change, find_host
from redirector.registry.permits import Act
from redirector.registry.refusals import Conflict
from redirector.store import checks as kept
from redirector.store.checks import CheckRow, Finding
from redirector.store.contents import find_packed
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, CategoryRow, HostRow, UrlRow
from redirector.web.access import TooOften
from redirector.web.checks import MOST_URLS, Checking, Checks, Part, known_of
from redirector.web.forms.room import Room, number_of
from redirector.web.login.visits import read_form
from redirector.web.pages.render import render
from redirector.web.words import ADVICE


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding for a template; *advice*: what to change."""

    url: str
    check: str
    level: str
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """A look for a template."""

    at: int
    took_s: int
    findings: Sequence[ShownFinding]


def show_finding(found: Finding) -> ShownFinding:
    """With what to change, where something is amiss."""
    url, check, level, text = found
    return ShownFinding(url, check, level, text.rstrip("."), "" if level == "ok" else ADVICE.get(check, ""))


def show_check(row: CheckRow) -> ShownCheck:
    """The last look at a host."""
    return ShownCheck(row.at, row.took_s, [show_finding(each) for each in row.findings])


@dataclass(frozen=True, slots=True)
class HostLooks(Room):
    """Pages below `/hosts/N` that change nothing."""

    checks: Checks = field(kw_only=True)

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        application.router.add_get("/hosts/{host}/check", self.show_check)
        application.router.add_post("/hosts/{host}/check", self.check)

        async def close(_: web.Application) -> None:
            await self.checks.close()

        application.on_shutdown.append(close)

    async def check(self, request: web.Request) -> web.Response:
        """Begin a look; while one is under way that one is shown."""
        visit = await self.person(request)
        number = number_of(request, "host")
        await read_form(request)
        async with self.reading(visit) as change:
            row, site = await find_host(change, Act.EDIT, number)
            parts = await parts_of(change, row)
        if self.checks.find(number) is None:
            if row.private or site.private:
                raise Conflict("private hosts are never visited, not even to check them")
            if not any(part.urls for part in parts):
                raise Conflict("enter a public URL first: there is nothing to look at")
            wait_s = self.checks.limits.take(f"account {visit.actor.account}", self.site.now())
            if wait_s or self.checks.full:
                text = "ten checks an hour are made for one account" if wait_s else "too many checks wait"
                raise TooOften(f"{text}; ask again in {max(60.0, wait_s) / 60:.0f} min", max(60.0, wait_s))
            self.checks.begin(number, visit.actor.name, parts, frequency_of(row))
        raise web.HTTPSeeOther(f"/hosts/{number}/check")

    async def show_check(self, request: web.Request) -> web.StreamResponse:
        """The look that is under way, as it goes on; else the last one."""
        visit = await self.person(request)
        number = number_of(request, "host")
        async with self.reading(visit) as change:
            row, site = await find_host(change, Act.READ, number)
            last = (await kept.find_checks(change.connection, [number])).get(number)
        values: dict[str, Any] = {"host": row, "site": site, "live": False, "mark": "", "check": None}
        checking = self.checks.find(number)
        if checking is not None:
            values["live"] = True
            return await self.stream(request, visit, "check.html", values, "/sites", _findings(checking))
        if last is not None:
            shown = show_check(last)
            levels = [each.level for each in shown.findings]
            values |= {"check": shown, "errors": levels.count("error"), "warnings": levels.count("warning")}
        return self.page(visit, "check.html", values, here="/sites")


async def _findings(checking: Checking) -> AsyncIterator[bytes]:
    """Each finding as it is found, those first that were found before; and the end of their list."""
    shown = 0
    while True:
        told = checking.told
        while shown < len(checking.findings):
            yield render("finding.html", {"finding": show_finding(checking.findings[shown])})
            shown += 1
        if checking.done:
            break
        await told.wait()
    link = f'<p><strong>Done.</strong> <a href="/hosts/{checking.host}/check">What to change, sorted</a></p>'
    yield f"</ul>\n{link}\n".encode()


async def parts_of(change: Change, host: HostRow) -> list[Part]:
    """The public URLs of a host by category, and what is known of each."""
    carried = await queries.list_rows(change.connection, CarriedRow, host=host.id)
    names = {row.id: row.name for row in await queries.list_rows(change.connection, CategoryRow)}
    parts, left = [], MOST_URLS
    for each in carried:
        rows = await queries.list_rows(change.connection, UrlRow, carried=each.id)
        urls = [row.url for row in rows if row.audience == "public" and not row.url.startswith("ftp:")][:left]
        if urls:
            left -= len(urls)
            scan = await find_packed(change.connection, names[each.category])
            parts.append(Part(tuple(urls), await asyncio.to_thread(known_of, scan)))
    return parts


def frequency_of(host: HostRow) -> int | None:
    """How often it says that it synchronizes."""
    try:
        return seconds_of(host.update_frequency.replace("m", "min")) if host.update_frequency else None
    except ValueError:
        return None

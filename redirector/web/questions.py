"""Two questions that programs put to MirrorManager's API, answered in its form."""

from __future__ import annotations

import json

from aiohttp import web

from redirector.registry.edit.change import Change
from redirector.registry.refusals import Forbidden
from redirector.registry.rules import name_key
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    AccountRow,
    AdminRow,
    CategoryRow,
    HostRow,
    RepositoryRow,
    SiteRow,
)
from redirector.web.access import OPEN, SITE, asking


def add_old_questions(application: web.Application) -> None:
    """The routes; `/mirrormanager` is a prefix that programs were configured with."""
    for prefix in ("", "/mirrormanager"):
        for path, handler in (("mirroradmins", _mirror_admins), ("repositories", _repositories)):
            application.router.add_get(f"{prefix}/api/{path}", handler)
            application.router.add_get(f"{prefix}/api/{path}/", handler)


async def _mirror_admins(request: web.Request) -> web.Response:
    """Logins of the admins of all sites, or of the one that `name`, a host or a site, belongs to."""
    name = request.query.get("name", "")
    async with asking(request, write=False) as change:
        if not change.actor.admin:
            raise Forbidden
        which: dict[str, object] = {}
        if name:
            site = await _find_site(change, name)
            if site is None:
                return _answer({"message": f"No host or site found for {name[:255]}"}, 400)
            which = {"site": site}
        numbers = {row.account for row in await queries.list_rows(change.connection, AdminRow, **which)}
        rows = await queries.list_rows(change.connection, AccountRow, id=numbers)
    admins = sorted(row.login for row in rows)
    return _answer({"admins": admins, "total": len(admins)})


async def _find_site(change: Change, name: str) -> int | None:
    """The number of the site that the host of that name is of, or of the site of that name."""
    if not name.isprintable():
        return None
    host = await queries.find(change.connection, HostRow, name_key=name_key(name))
    if host is not None:
        return host.site
    site = await queries.find(change.connection, SiteRow, name_key=name_key(name))
    return None if site is None else site.id


async def _repositories(request: web.Request) -> web.Response:
    """All repositories, but those under embargo, or secret on the masters: `{PREFIX: {name, directory}}` each."""
    async with asking(request, write=False, public=True) as change:
        rows = await queries.list_rows(change.connection, RepositoryRow)
        shown = await request.app[SITE].shelf.read(change.connection, change.now)
        names = {row.name for row in await queries.list_rows(change.connection, CategoryRow)}
    listed = [
        {
            row.prefix: {
                "name": f"{row.category}-{row.prefix}-{row.arch}" if row.category in names else row.directory,
                "directory": row.directory,
            }
        }
        for row in rows
        if row.enabled and row.id in shown.repositories
    ]
    return _answer({"repositories": listed, "total": len(listed)}, headers=OPEN)


def _answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(value, ensure_ascii=False).encode()
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)

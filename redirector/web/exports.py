"""The exports by URL: `/api/v1/export/NAME`, and `/rsyncFilter` as MirrorManager's mirrors ask for it."""

from __future__ import annotations

from aiohttp import web

from redirector.one_line import one_line
from redirector.registry.exporting import NAMES, TYPES, Wish, export
from redirector.registry.exports import NOBODY
from redirector.registry.refusals import Invalid, Missing
from redirector.web.access import API, OPEN, SITE, asking

PUBLIC = ("rsync-filter", "tiers", "public", "mirmon")
"""Exports that everybody may have; addresses are for those who let others in."""

SAME = ("tiers", "public", "mirmon")
"""Exports that are the same for everybody, whatever is asked with them."""


def add_exports(application: web.Application) -> None:
    """The routes."""
    application.router.add_get(f"{API}/export/{{name}}", _export)
    application.router.add_get("/rsyncFilter", _filter)
    application.router.add_get("/rsyncFilter/", _filter)


def _wish_of(request: web.Request) -> Wish:
    query = request.query
    return Wish(
        host=query.get("host"),
        tier=query.get("tier"),
        layout=query.get("format", "plain"),
        categories=query.get("categories", ""),
        since=query.get("since", "0"),
        strip=query.get("stripprefix", ""),
    )


async def _export(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in NAMES:
        raise Missing(f"there is no such export: {', '.join(NAMES)} are there")
    if name == "rsync-filter":
        return await _filter(request)
    wish, site = _wish_of(request), request.app[SITE]
    async with asking(request, write=False, public=name in PUBLIC) as change:
        shown = await site.shelf.read(change.connection, change.now)
        key = (request.path, "export")
        kept = site.shelf.page(key, shown) if name in SAME else None
        body = kept or (await export(change, name, wish, shown.holdings)).encode()
        if name in SAME:
            site.shelf.keep(key, shown, body)
    layout = {"rsync-acl": wish.layout, "public": "json"}.get(name, "plain")
    content_type = TYPES.get(layout, "text/plain")
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=OPEN if name in PUBLIC else None)


async def _filter(request: web.Request) -> web.Response:
    """A wrong request transfers nothing, and says why in a comment."""
    try:
        async with asking(request, write=False, public=True) as change:
            shown = await request.app[SITE].shelf.read(change.connection, change.now)
            text = await export(change, "rsync-filter", _wish_of(request), shown.holdings)
            return web.Response(text=text, headers=OPEN)
    except Invalid as error:
        return web.Response(status=400, text=f"# {one_line(str(error))}\n{NOBODY}\n", headers=OPEN)

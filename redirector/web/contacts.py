"""Where contacts of sites say that their address is right: a page with one button, which no mail filter presses."""

from __future__ import annotations

from aiohttp import web

from redirector.registry.contacts import PATH, find_contact, verify_contact
from redirector.registry.refusals import Missing
from redirector.web.access import asking
from redirector.web.frame import Frame, html


def add_contacts(application: web.Application) -> None:
    """The routes."""
    path = f"{PATH}/{{site}}/{{secret}}"
    application.router.add_get(path, _show)
    application.router.add_post(path, _verify)


def _parts(request: web.Request) -> tuple[int, str]:
    number = request.match_info["site"]
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise Missing
    return int(number), request.match_info["secret"]


async def _show(request: web.Request) -> web.Response:
    async with asking(request, write=False, public=True) as change:
        row, site = await find_contact(change, *_parts(request))
    return _page(site.name, row.mail, done=row.verified is not None)


async def _verify(request: web.Request) -> web.Response:
    """The secret in the path is what a stranger's page cannot know."""
    async with asking(request, write=True, public=True) as change:
        row, site = await verify_contact(change, *_parts(request))
    return _page(site.name, row.mail, done=True)


def _page(site: str, mail: str, *, done: bool) -> web.Response:
    answer = html(Frame(), "contact.html", {"site": site, "mail": mail, "done": done})
    answer.headers["Cache-Control"] = "no-store"
    return answer

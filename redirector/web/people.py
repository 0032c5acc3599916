"""What people meet: the public pages, login, and the forms of those who have an account."""

from __future__ import annotations

from aiohttp import web

from redirector.web.access import SITE
from redirector.web.frame import Frame, html
from redirector.web.pages.routes import PublicPages


def add_people(application: web.Application) -> None:
    """The routes."""
    site = application[SITE]
    PublicPages(site.store, site.shelf, site.now, site.join, site.url, _frame).add_to(application)


async def _frame(_: web.Request, here: str) -> Frame:
    return Frame(here)


def refusal_page(request: web.Request, status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """Why something was refused: a page for browsers, a line for everything else."""
    if "text/html" not in request.headers.get("Accept", ""):
        return web.Response(status=status, text=f"{text}\n", headers=headers)
    answer = html(Frame(), "refusal.html", {"status": status, "text": text})
    answer.set_status(status)
    answer.headers.update({"Cache-Control": "no-store", **(headers or {})})
    return answer

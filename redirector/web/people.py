"""What people meet: the public pages, login, and the forms of those who have an account."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from redirector.web.access import SITE, Handler
from redirector.web.checks import Checks
from redirector.web.forms.catalogue import Catalogue
from redirector.web.forms.desk import Desk
from redirector.web.forms.hosts import HostForms
from redirector.web.forms.looking import HostLooks
from redirector.web.forms.saving import EffectPages
from redirector.web.forms.sites import SiteForms
from redirector.web.frame import Frame, html
from redirector.web.login.oidc import CALLBACK, Provider, ProviderPages
from redirector.web.login.routes import LoginPages
from redirector.web.login.visits import put_cookies, visit_of
from redirector.web.pages.routes import PublicPages


def add_people(application: web.Application) -> None:
    """The routes."""
    site = application[SITE]
    PublicPages(site.store, site.shelf, site.now, site.join, site.url, site.sign_key, _frame).add_to(application)
    login = LoginPages(site, site.sign_up, urlsplit(site.oidc.issuer).netloc if site.oidc else "")
    login.add_to(application)
    if site.oidc is not None:
        ProviderPages(site, Provider(site.oidc, f"{site.url}{CALLBACK}"), login).add_to(application)
    SiteForms(site).add_to(application)
    checks = Checks(site.store, site.now, site.safety, site.tools, site.url)
    HostLooks(site, checks=checks).add_to(application)
    EffectPages(site).add_to(application)
    HostForms(site).add_to(application)
    Desk(site).add_to(application)
    Catalogue(site).add_to(application)


async def _frame(request: web.Request, here: str) -> Frame:
    return (await visit_of(request)).frame(here)


@web.middleware
async def keep_cookies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers to people set what their browsers shall hold; redirections, too."""
    try:
        response = await handler(request)
    except web.HTTPRedirection as redirection:
        response = web.Response(
            status=redirection.status,
            headers={"Location": redirection.headers["Location"], "Cache-Control": "no-store"},
        )
    put_cookies(request, response)
    return response


def refusal_page(request: web.Request, status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """Why something was refused: a page for browsers, a line for everything else."""
    if "text/html" not in request.headers.get("Accept", ""):
        return web.Response(status=status, text=f"{text}\n", headers=headers)
    answer = html(Frame(), "refusal.html", {"status": status, "text": text})
    answer.set_status(status)
    answer.headers.update({"Cache-Control": "no-store", **(headers or {})})
    return answer

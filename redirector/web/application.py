"""The aiohttp application of the registry: routes, who asks, limits, and how every refusal is told."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from redirector.errors import StoreError
from redirector.locate.proxies import TrustedProxies, find_client
from redirector.registry.edit import accounts
from redirector.registry.edit.change import Change, House
from redirector.registry.permits import VISITOR, Actor
from redirector.registry.refusals import Forbidden, RegistryError
from redirector.server.between.listeners import peer_of
from redirector.store.opening import Store
from redirector.web.api.call import BODY_LIMIT_BYTES, ApiError, Call, Reply, Route, read_json, read_version
from redirector.web.api.document import document
from redirector.web.api.problems import CONTENT_TYPE, problem, problem_of
from redirector.web.api.routes import ROUTES
from redirector.web.limits import Limits, network_of
from redirector.web.pages.shown import Shelf

_log = logging.getLogger("redirector.web")

API = "/api/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

USED_EVERY_S = 60
"""How often it is written down that a token was used."""

RETRY_S = 5
"""After how long somebody may ask again when the database is away, locked or full."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests of one process share.

    url   where people reach the pages; "" when the operator did not say
    now   epoch seconds, as a clock gives them
    used  token -> when its use was written down
    shelf  what the public pages show
    """

    store: Store
    house: House
    trusted: TrustedProxies
    limits: Limits
    url: str = ""
    now: Callable[[], float] = time.time
    used: dict[str, float] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)


SITE = web.AppKey("site", Site)


def make_application(site: Site, routes: tuple[Route, ...] = ROUTES) -> web.Application:
    """The application; nothing listens yet."""
    application = web.Application(middlewares=[_guard], client_max_size=BODY_LIMIT_BYTES)
    application[SITE] = site
    for route in routes:
        application.router.add_route(route.method, API + route.path, _handler(route), name=None)
        if route.public and route.method == "GET":
            application.router.add_route("OPTIONS", API + route.path, _preflight)
    described = json.dumps(document(routes, API)).encode()

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=described, content_type="application/json", headers=_OPEN)

    application.router.add_get(f"{API}/openapi.json", openapi)
    application.router.add_get("/healthz", _healthz)
    return application


_OPEN = {"Access-Control-Allow-Origin": "*"}
"""What is public may be read by pages of other sites."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


async def _preflight(_: web.Request) -> web.Response:
    headers = {**_OPEN, "Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Headers": "Authorization"}
    return web.Response(status=204, headers=headers)


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal into an answer; nothing that is sent raises a stack trace but a bug of ours."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = _refusal(
            request, error.status, error.reason, {n: v for n, v in error.headers.items() if n == "Allow"}
        )
    except StoreError as error:
        _log.error("%s", error)
        text = "the database cannot be used now; nothing was changed"
        response = _refusal(request, 503, text, {"Retry-After": str(RETRY_S)})
    except IntegrityError:
        response = _refusal(request, 409, "somebody else did the same at that moment; ask again")
    except Exception:
        _log.exception("a request could not be answered: %s %.200s", request.method, request.path)
        response = _refusal(request, 500, "this should not have happened, and is in the server's log")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _refusal(request: web.Request, status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    if request.path.startswith(API):
        return web.Response(status=status, body=problem(status, text), content_type=CONTENT_TYPE, headers=headers)
    return web.Response(status=status, text=f"{text}\n", headers=headers)


def address_of(request: web.Request) -> str:
    """The client's address as text, behind the fronts that are trusted; "" when nobody knows it."""
    peer = peer_of(request.transport)
    client = find_client(peer, request.headers.getall("X-Forwarded-For", ()), request.app[SITE].trusted)
    if client.address is None:
        return ""
    return str(ip_address(client.address))


def _handler(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        site = request.app[SITE]
        actor = VISITOR
        try:
            secret = _bearer(request)
            body = await _read_body(request, route)
            version = read_version(request.headers.get("If-Match"))
            numbers = {name: _number(text) for name, text in request.match_info.items() if name != "name"}
            opened = site.store.write() if route.writes else site.store.read()
            async with opened as connection:
                change = Change(connection, VISITOR, int(site.now()), site.house)
                if secret is not None:
                    found = await accounts.find_actor(change, secret)
                    if found is None:
                        raise ApiError("the token is unknown, or works no more", status=401)
                    actor = found
                if refused := _limited(site, request, actor):
                    return refused
                if not (route.public or actor.known):
                    raise Forbidden("log in first")
                change = Change(connection, actor, int(site.now()), site.house)
                if route.change and "If-Match" not in request.headers:
                    raise ApiError("If-Match is needed: the ETag that the thing came with", status=428)
                name = request.match_info.get("name", "")
                call = Call(change, numbers, body, version, dict(request.query), name, site.shelf)
                reply = await route.run(call)
            if secret is not None:
                await _note_use(site, secret)
        except RegistryError as error:
            status, text = problem_of(error, actor.known)
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            return web.Response(status=status, body=text, content_type=CONTENT_TYPE, headers=headers)
        return _answer(request, route, reply)

    return handle


def _bearer(request: web.Request) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


async def _read_body(request: web.Request, route: Route) -> object:
    if route.body is None:
        return None
    if request.content_type not in ("application/json", "application/merge-patch+json"):
        raise ApiError("the body must be application/json", status=415)
    try:
        return read_json(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(f"the body is larger than {BODY_LIMIT_BYTES:,} bytes", status=413) from None


def _number(text: str) -> int:
    """A number of the path; what can be none names nothing."""
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    raise ApiError("there is no such thing", status=404)


def _limited(site: Site, request: web.Request, actor: Actor) -> web.Response | None:
    """The refusal of who asks too often."""
    who = f"account {actor.account}" if actor.account is not None else None
    if who is None and actor.only is not None:
        who = f"{actor.only[0]} {actor.only[1]}"
    wait_s = site.limits.take(who or f"network {network_of(address_of(request))}", site.now())
    if not wait_s:
        return None
    text = f"too many requests; ask again in {wait_s:.0f} s"
    return _refusal(request, 429, text, {"Retry-After": str(int(wait_s) + 1)})


async def _note_use(site: Site, secret: str) -> None:
    """Remember that a token was used, once a minute."""
    now = site.now()
    if now - site.used.get(secret, 0.0) < USED_EVERY_S:
        return
    if len(site.used) > 10_000:
        site.used.clear()
    site.used[secret] = now
    async with site.store.write() as connection:
        await accounts.note_use(Change(connection, VISITOR, int(now), site.house), secret)


def _answer(request: web.Request, route: Route, reply: Reply) -> web.Response:
    headers = dict(_OPEN) if route.public else {}
    if reply.version is not None:
        headers["ETag"] = f'"{reply.version}"'
    if reply.location is not None:
        headers["Location"] = f"{request.path.rstrip('/')}/{reply.location}"
        if route.path.startswith("/sites/{site}/hosts"):
            headers["Location"] = f"{API}/hosts/{reply.location}"
    if reply.value is None:
        return web.Response(status=reply.status, headers=headers)
    body = json.dumps(reply.value, ensure_ascii=False).encode()
    return web.Response(status=reply.status, body=body, content_type="application/json", headers=headers)

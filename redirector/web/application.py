"""The aiohttp application of the registry: its routes, and how every refusal is told."""

from __future__ import annotations

import json
import logging
from functools import cache

from aiohttp import web
from sqlalchemy.exc import IntegrityError

from redirector.errors import StoreError
from redirector.registry.permits import VISITOR
from redirector.registry.refusals import RegistryError
from redirector.web.access import ACTOR, API, OPEN, SITE, Handler, Site, TooOften, asking
from redirector.web.api.call import BODY_LIMIT_BYTES, ApiError, Call, Reply, Route, read_json, read_version
from redirector.web.api.document import document
from redirector.web.api.looking import look_at_host, look_at_site
from redirector.web.api.problems import CONTENT_TYPE, problem, problem_of
from redirector.web.api.routes import ROUTES
from redirector.web.checkins import ROUTE as CHECK_IN
from redirector.web.checkins import add_check_ins
from redirector.web.contacts import add_contacts
from redirector.web.exports import add_exports
from redirector.web.frame import HEADERS
from redirector.web.metrics import answer_metrics
from redirector.web.people import add_people, keep_cookies, refusal_page
from redirector.web.questions import add_old_questions

_log = logging.getLogger("redirector.web")

RETRY_S = 5
"""After how long somebody may ask again when the database is away, locked or full."""


PROGRAMS = ("/api/", "/mirrormanager/")
"""Where programs ask: they are refused by problem documents, people by pages."""


@cache
def _describe(routes: tuple[Route, ...]) -> bytes:
    return json.dumps(document((*routes, CHECK_IN), API)).encode()


def make_application(site: Site, routes: tuple[Route, ...] = ROUTES) -> web.Application:
    """The application; nothing listens yet."""
    application = web.Application(middlewares=[_guard, keep_cookies], client_max_size=BODY_LIMIT_BYTES)
    application[SITE] = site
    for route in routes:
        application.router.add_route(route.method, API + route.path, _handler(route), name=None)
        if route.public and route.method == "GET":
            application.router.add_route("OPTIONS", API + route.path, _preflight)
    described = _describe(routes)

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=described, content_type="application/json", headers=OPEN)

    application.router.add_get(f"{API}/openapi.json", openapi)
    application.router.add_get("/healthz", _healthz)
    add_exports(application)
    add_people(application)
    add_check_ins(application)
    add_old_questions(application)
    add_contacts(application)
    application.router.add_get("/metrics", answer_metrics)
    return application


async def _preflight(_: web.Request) -> web.Response:
    headers = {**OPEN, "Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Headers": "Authorization"}
    return web.Response(status=204, headers=headers)


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal into an answer; nothing that is sent raises a stack trace but a bug of ours."""
    try:
        if "%00" in request.raw_path:  # no text of PostgreSQL holds it, and asking for it would be an error there
            raise web.HTTPNotFound(reason="nothing here has a zero character in its name")
        response = await handler(request)
    except web.HTTPException as error:
        response = _refusal(
            request, error.status, error.reason, {n: v for n, v in error.headers.items() if n == "Allow"}
        )
    except RegistryError as error:
        response = _refused(request, error)
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


def _refused(request: web.Request, error: RegistryError) -> web.Response:
    """A refusal of the registry's."""
    actor = request.get(ACTOR, VISITOR)
    status, document = problem_of(error, actor.known)
    headers = {"Retry-After": str(int(error.wait_s) + 1)} if isinstance(error, TooOften) else {}
    if request.path.startswith(PROGRAMS):
        return _document(status, document, headers | ({"WWW-Authenticate": "Bearer"} if status == 401 else {}))
    return refusal_page(request, error.status, str(error), headers)


def _refusal(request: web.Request, status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """A problem document for programs, a page for people."""
    if request.path.startswith(PROGRAMS):
        return _document(status, problem(status, text), headers)
    return refusal_page(request, status, text, headers)


def _document(status: int, document: bytes, headers: dict[str, str] | None) -> web.Response:
    return web.Response(status=status, body=document, content_type=CONTENT_TYPE, headers=headers)


def _handler(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        body, version, wrong = await _read_told(request, route)
        numbers = {name: _number(text) for name, text in request.match_info.items() if name != "name"}
        site = request.app[SITE]
        seen = await look_at_site(request, numbers) if route.looks == "site" else {}
        own_asns = await look_at_host(request, numbers, body) if route.looks == "host" else None
        async with asking(request, write=route.writes, public=route.public, own_asns=own_asns) as change:
            if wrong is not None:  # told to those alone who may ask
                raise wrong
            name = request.match_info.get("name", "")
            call = Call(change, numbers, body, version, dict(request.query), name, site.shelf, site.hinting, seen)
            reply = await route.run(call)
        return _answer(request, route, reply)

    return handle


async def _read_told(request: web.Request, route: Route) -> tuple[object, int | None, ApiError | None]:
    """(body, version of `If-Match`, what is wrong with them)."""
    try:
        body = await _read_body(request, route)
        if route.change and "If-Match" not in request.headers:
            raise ApiError("If-Match is needed: the ETag that the thing came with", status=428)
        return body, read_version(request.headers.get("If-Match")), None
    except ApiError as error:
        return None, None, error


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


def _answer(request: web.Request, route: Route, reply: Reply) -> web.Response:
    headers = dict(OPEN) if route.public else {}
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

"""Who asks: from the cookie to the actor, and back into the answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry.edit import accounts
from redirector.registry.edit.change import Change
from redirector.registry.permits import VISITOR, Actor
from redirector.registry.refusals import Forbidden
from redirector.registry.secrets import hash_token
from redirector.store import login
from redirector.store.login import SessionRow
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow
from redirector.web.access import SITE, Site, address_of
from redirector.web.frame import Frame
from redirector.web.limits import network_of
from redirector.web.login.marks import DEVICE_S, Marks, is_same_origin

IDLE_S = 3 * 86_400
MOST_S = 30 * 86_400
"""A session ends when it was not used for that long, or is that old."""

ROTATE_S = 3600
OVERLAP_S = 60
"""After its secret was changed, what is under way with the old one goes on for so long."""

SEEN_S = 60


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks.

    mark     what forms are bound to
    account  None for visitors
    cookies  name -> value that the answer sets; "" takes one away
    """

    actor: Actor
    mark: str
    marks: Marks
    account: AccountRow | None = None
    session: SessionRow | None = None
    cookies: tuple[tuple[str, str], ...] = ()

    @property
    def csrf(self) -> str:
        """What forms carry."""
        return self.marks.form_token(self.mark)

    def frame(self, here: str = "") -> Frame:
        """The head of a page for this person."""
        if self.account is None:
            return Frame(here)
        return Frame(here, True, self.account.login, self.actor.admin, self.csrf)


VISIT = web.RequestKey("visit", Visit)


def marks_of(site: Site) -> Marks:
    """Signatures by the registry's key."""
    key = site.house.cipher.key if site.house.cipher is not None else _KEY
    return Marks(key, site.url.startswith("https://"))


_KEY = secrets.token_bytes(32)
"""Where there is no key file: good until the process ends."""


async def visit_of(request: web.Request) -> Visit:
    """Who sends *request*; found once a request."""
    found = request.get(VISIT)
    if found is None:
        found = request[VISIT] = await _find(request)
    return found


async def _find(request: web.Request) -> Visit:
    site = request.app[SITE]
    marks, now = marks_of(site), int(site.now())
    secret = request.cookies.get(marks.cookie("session"), "")
    if secret:
        async with site.store.read() as connection:
            known = await _known(connection, site, secret, now)
        if known is not None:
            row, account, actor = known
            visit = Visit(actor, f"session {row.id} {row.made}", marks, account, row)
            return await _keep(request, visit, row, secret, now)
    browser = request.cookies.get(marks.cookie("visit"), "")
    cookies: tuple[tuple[str, str], ...] = (("session", ""),) if secret else ()
    if not 20 <= len(browser) <= 100:
        browser = secrets.token_urlsafe(24)
        cookies = (*cookies, ("visit", browser))
    return Visit(VISITOR, f"visit {browser}", marks, cookies=cookies)


async def _known(
    connection: AsyncConnection, site: Site, secret: str, now: int
) -> tuple[SessionRow, AccountRow, Actor] | None:
    row = await login.find_session(connection, hash_token(secret), now)
    if row is None or row.seen + IDLE_S <= now or row.made + MOST_S <= now:
        return None
    account = await queries.find(connection, AccountRow, id=row.account)
    if account is None or account.disabled:
        return None
    actor = await accounts.actor_of(Change(connection, VISITOR, now, site.house), account)
    return row, account, actor


async def _keep(request: web.Request, visit: Visit, row: SessionRow, secret: str, now: int) -> Visit:
    """Note that the session was used; once an hour it gets another secret."""
    site = request.app[SITE]
    if row.rotated + ROTATE_S <= now and row.hash == hash_token(secret) and request.method == "GET":
        fresh = secrets.token_urlsafe(32)
        async with site.store.write() as connection:
            done = await login.rotate_session(connection, row, hash_token(fresh), now, OVERLAP_S)
        return replace(visit, cookies=(("session", fresh),)) if done else visit
    if row.seen + SEEN_S <= now:
        async with site.store.write() as connection:
            await login.see_session(connection, row.id, now)
    return visit


def refuse_forged(request: web.Request, visit: Visit, token: str) -> None:
    """Raise Forbidden unless a form of ours was sent, by the browser that it was made for."""
    if not is_same_origin(request.headers, request.host, request.app[SITE].url):
        raise Forbidden("the form was not sent from a page of ours")
    if not visit.marks.agrees(token, visit.csrf):
        raise Forbidden("the form is too old, or was not made for this browser: load the page again, and send it again")


async def read_form(request: web.Request) -> dict[str, str]:
    """The texts of a form of ours, by their names. Raises Forbidden unless one was sent.

    No text of PostgreSQL holds a zero character: it becomes the one for what cannot be shown, and is refused like it.
    """
    form = await request.post()
    texts = {name: value.replace("\0", "\ufffd") for name, value in form.items() if isinstance(value, str)}
    refuse_forged(request, await visit_of(request), texts.pop("csrf", ""))
    return texts


async def open_session(request: web.Request, connection: AsyncConnection, account: AccountRow) -> Visit:
    """Log *account* in: a new session, whatever the browser had before."""
    site = request.app[SITE]
    marks, now = marks_of(site), int(site.now())
    before = (await visit_of(request)).session
    if before is not None:
        await login.end_sessions(connection, before.account, before.id)
    await login.forget_sessions(connection, now - IDLE_S, now - MOST_S, now)
    secret = secrets.token_urlsafe(32)
    agent = "".join(c for c in request.headers.get("User-Agent", "") if c.isprintable())[:200]
    row = await login.add_session(
        connection, hash_token(secret), account.id, now, network_of(address_of(request)), agent
    )
    await queries.set_columns(connection, AccountRow, {"id": account.id}, seen=now)
    actor = await accounts.actor_of(Change(connection, VISITOR, now, site.house), account)
    device = marks.device(account.id, secrets.token_urlsafe(12))
    cookies = (("session", secret), ("device", device), ("visit", ""))
    visit = Visit(actor, f"session {row.id} {row.made}", marks, account, row, cookies)
    request[VISIT] = visit
    return visit


async def close_session(request: web.Request, connection: AsyncConnection) -> None:
    """Log out."""
    visit = await visit_of(request)
    if visit.session is not None:
        await login.end_sessions(connection, visit.session.account, visit.session.id)
    request[VISIT] = Visit(VISITOR, "", visit.marks, cookies=(("session", ""),))


def put_cookies(request: web.Request, response: web.StreamResponse) -> None:
    """What the browser shall hold from now on; who only looks at public pages holds nothing."""
    visit = request.get(VISIT)
    if visit is None:
        return
    for name, value in visit.cookies:
        if name == "visit" and value and response.headers.get("Cache-Control") != "no-store":
            continue
        whole, secure = visit.marks.cookie(name), visit.marks.secure
        if value:
            age = DEVICE_S if name == "device" else MOST_S
            response.set_cookie(whole, value, max_age=age, path="/", secure=secure, httponly=True, samesite="Lax")
        else:
            response.del_cookie(whole, path="/", secure=secure, httponly=True, samesite="Lax")

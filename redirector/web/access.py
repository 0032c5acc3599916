"""Who asks, how often he may, and the transaction in which he is answered: the same for API, exports and pages."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from aiohttp import web

from redirector.errors import StoreError
from redirector.health.safety import Safety
from redirector.kit.looking.tools import Tools
from redirector.locate.proxies import TrustedProxies, find_client
from redirector.registry.edit import accounts
from redirector.registry.edit.change import Change, House
from redirector.registry.permits import VISITOR, Actor
from redirector.registry.refusals import Forbidden, RegistryError
from redirector.server.between.listeners import peer_of
from redirector.settings.joining import Join
from redirector.settings.oidc import Oidc
from redirector.store.opening import Store
from redirector.web.api.call import ApiError
from redirector.web.effects import Effects
from redirector.web.limits import Limits, network_of
from redirector.web.pages.shown import Shelf
from redirector.web.whereabouts import Hinting, Whereabouts

_log = logging.getLogger("redirector.web")

API = "/api/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN = {"Access-Control-Allow-Origin": "*"}
"""What is public may be read by pages of other sites."""

USED_EVERY_S = 60
"""How often it is written down that a token was used."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests of one process share.

    url   where people reach the pages; "" when the operator did not say
    now   epoch seconds, as a clock gives them
    used  token -> when its use was written down
    shelf  what the public pages show
    join   what whoever wants to become a mirror is told
    oidc   the provider that people can log in by
    effects  what saves do
    safety   whom a look may talk to
    tools    what looks connect with; None: the usual
    sign_up  who may: `open`, `oidc` (through the provider alone) or `invited`
    sign_key  by which notices of releases are verified, as a line of `authorized_keys`; "": they are not signed
    whereabouts  where addresses are
    """

    store: Store
    house: House
    trusted: TrustedProxies
    limits: Limits
    url: str = ""
    now: Callable[[], float] = time.time
    used: dict[str, float] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    join: Join = field(default_factory=Join)
    sign_up: str = "open"
    oidc: Oidc | None = None
    sign_key: str = ""
    effects: Effects = field(default_factory=Effects)
    safety: Safety = field(default_factory=Safety)
    tools: Callable[[], Tools] | None = None
    whereabouts: Whereabouts = field(default_factory=Whereabouts)

    @property
    def hinting(self) -> Hinting:
        """Makes hints for those who enter hosts, and for those who decide about them."""
        return Hinting(self.whereabouts, self.shelf, self.join)


SITE = web.AppKey("site", Site)
ACTOR = web.RequestKey("actor", Actor)


@dataclass(eq=False)
class TooOften(RegistryError):
    """Who asks must wait for *wait_s* seconds."""

    text: str = "too many requests"
    wait_s: float = 1.0
    status = 429


def address_of(request: web.Request) -> str:
    """The client's address as text, behind the fronts that are trusted; "" when nobody knows it."""
    peer = peer_of(request.transport)
    client = find_client(peer, request.headers.getall("X-Forwarded-For", ()), request.app[SITE].trusted)
    return "" if client.address is None else str(ip_address(client.address))


@asynccontextmanager
async def asking(
    request: web.Request, *, write: bool, public: bool = False, own_asns: frozenset[int] | None = None
) -> AsyncIterator[Change]:
    """The change that *request* may make with its token; without one it is a visitor's.

    write   it changes something: one transaction, which happens when the block ends
    public  visitors may
    own_asns  AS numbers that the addresses of the host at hand are in
    raises  RegistryError: 401 for a token that is none and for visitors where they may not, 429
    """
    site = request.app[SITE]
    secret = bearer(request)
    if secret is None and not public:
        limit(request, VISITOR)
        raise Forbidden("log in first")
    opened = site.store.write() if write else site.store.read()
    async with opened as connection:
        actor = VISITOR
        if secret is not None:
            found = await accounts.find_actor(Change(connection, VISITOR, int(site.now()), site.house), secret)
            if found is None:
                limit(request, VISITOR)
                raise ApiError("the token is unknown, or works no more", status=401)
            actor = found
        request[ACTOR] = actor
        limit(request, actor)
        if not (public or actor.known):
            raise Forbidden("log in first")
        yield Change(connection, actor, int(site.now()), site.house, own_asns=own_asns)
    if secret is not None:
        await _note_use(site, secret)


def bearer(request: web.Request) -> str | None:
    """The token in `Authorization`; None without one."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def limit(request: web.Request, actor: Actor, cost: float = 1.0) -> None:
    """Raise TooOften for an account, or a network of visitors, that asks too often."""
    site = request.app[SITE]
    who = f"account {actor.account}" if actor.account is not None else None
    if who is None and actor.only is not None:
        who = f"{actor.only[0]} {actor.only[1]}"
    wait_s = site.limits.take(who or f"network {network_of(address_of(request))}", site.now(), cost)
    if wait_s:
        raise TooOften(f"too many requests; ask again in {wait_s:.0f} s", wait_s)


async def _note_use(site: Site, secret: str) -> None:
    """Remember that a token was used, once a minute; what it did stands, whatever becomes of this."""
    now = site.now()
    if now - site.used.get(secret, 0.0) < USED_EVERY_S:
        return
    if len(site.used) > 10_000:
        site.used.clear()
    site.used[secret] = now
    try:
        async with site.store.write() as connection:
            await accounts.note_use(Change(connection, VISITOR, int(now), site.house), secret)
    except StoreError as error:
        _log.warning("that a token was used could not be written down: %s", error)

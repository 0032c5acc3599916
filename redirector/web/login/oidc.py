"""Logging in by a provider: OpenID Connect's code flow with PKCE (RFC 7636)."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import warnings
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry import rules
from redirector.registry.edit.change import Change
from redirector.registry.permits import VISITOR
from redirector.registry.refusals import Forbidden
from redirector.registry.secrets import hash_token
from redirector.registry.views import show_account
from redirector.settings.oidc import Oidc
from redirector.store import login
from redirector.store.login import FlowRow
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow
from redirector.web.access import Site, limit
from redirector.web.login.invited import find_invited
from redirector.web.login.marks import safe_target
from redirector.web.login.routes import HOME, LoginPages
from redirector.web.login.visits import open_session, visit_of

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "Ed25519", "EdDSA"]
"""Signatures by keys of the provider's own: none that our secret could make, and never `none`."""

FLOW_S = 600
KEPT_S = 3600
LEEWAY_S = 60
ANSWER_BYTES = 1 << 20
TIMEOUT_S = 10.0
CALLBACK = "/login/oidc/callback"


class ProviderError(Exception):
    """What the provider said cannot be believed, or it said nothing."""

    def __str__(self) -> str:
        return f"the provider cannot be believed: {super().__str__()}"[:200]


@dataclass(slots=True)
class Provider:
    """A provider; what it says of itself is kept for an hour.

    redirect  where it sends people back to
    """

    settings: Oidc
    redirect: str
    _found: tuple[float, dict[str, Any], KeySet] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def discover(self, now: float, *, besides: KeySet | None = None) -> tuple[dict[str, Any], KeySet]:
        """Its endpoints and keys; asked for anew when those that are kept are *besides*. Raises ProviderError."""
        async with self._lock:
            if self._found is None or now - self._found[0] > KEPT_S or self._found[2] is besides:
                told = await _fetch("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
                if told.get("issuer") != self.settings.issuer:
                    raise ProviderError("it calls itself by another name")
                check_place(str(told.get("authorization_endpoint", "")))
                keys = await _fetch("GET", str(told.get("jwks_uri", "")))
                try:
                    self._found = now, told, KeySet.import_key_set(keys)  # type: ignore[arg-type]
                except (JoseError, ValueError, KeyError, TypeError) as error:
                    raise ProviderError("its keys cannot be read") from error
            return self._found[1], self._found[2]

    async def redeem(self, code: str, verifier: str, nonce: str, now: float) -> dict[str, Any]:
        """Claims of whom *code* is for: those of the id_token, and those that it tells elsewhere. Raises ProviderError.

        What the scopes `profile`, `email` and `groups` stand for need not be in the id_token (OpenID Connect Core 5.4).
        """
        endpoints, keys = await self.discover(now)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "client_id": self.settings.client_id,
            "code_verifier": verifier,
        }
        authorization, secret = None, self._secret()
        if secret is not None and _takes_secrets_in_forms_alone(endpoints):
            form["client_secret"] = secret
        elif secret is not None:
            who = quote(self.settings.client_id, safe="")
            authorization = aiohttp.encode_basic_auth(who, quote(secret, safe=""))
        told = await _fetch("POST", str(endpoints.get("token_endpoint", "")), form, authorization)
        token = told.get("id_token")
        if not isinstance(token, str):
            raise ProviderError("it sent no id_token")
        try:
            claims = self.claims_of(token, keys, nonce, now)
        except ProviderError:
            endpoints, fresh = await self.discover(now, besides=keys)
            claims = self.claims_of(token, fresh, nonce, now)
        place, access = endpoints.get("userinfo_endpoint"), told.get("access_token")
        if place is None or not isinstance(access, str):
            return claims
        more = await _fetch("GET", str(place), authorization=f"Bearer {access}")
        if more.get("sub") != claims["sub"]:
            raise ProviderError("it tells of somebody else")
        return {**more, **claims}

    def scopes(self, endpoints: dict[str, Any]) -> str:
        """What it is asked for; groups where they count, if it says that it has them: others refuse what is unknown."""
        known = endpoints.get("scopes_supported")
        grouped = self.settings.group and isinstance(known, list) and "groups" in known
        return "openid profile email groups" if grouped else "openid profile email"

    def _secret(self) -> str | None:
        if self.settings.client_secret_file is None:
            return None
        try:
            with open(self.settings.client_secret_file, encoding="ascii") as file:
                return file.read(4096).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderError("the file of the client's secret cannot be read") from error

    def claims_of(self, token: str, keys: KeySet, nonce: str, now: float) -> dict[str, Any]:
        """The claims in an id_token that was made for this login. Raises ProviderError."""
        registry = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            with warnings.catch_warnings():
                # The name that most providers still have for what RFC 9864 calls Ed25519; the signature is the same.
                warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)
                claims: dict[str, Any] = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"its id_token is refused: {error}") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", "" if several else self.settings.client_id) != self.settings.client_id:
            raise ProviderError("its id_token is for somebody else")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise ProviderError("its id_token names nobody")
        return claims


def _takes_secrets_in_forms_alone(endpoints: dict[str, Any]) -> bool:
    """Most take them in a header as well, which all do that say nothing (OpenID Connect Discovery 3)."""
    methods = endpoints.get("token_endpoint_auth_methods_supported")
    return isinstance(methods, list) and "client_secret_post" in methods and "client_secret_basic" not in methods


def check_place(url: str) -> str:
    """*url* if it may be asked: https, or this machine itself, where tests and proxies are. Raises ProviderError."""
    try:
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError as error:
        raise ProviderError("one of its endpoints is no URL") from error
    if not (local or parts.scheme == "https") or not parts.hostname or "@" in parts.netloc:
        raise ProviderError("one of its endpoints is not https")
    return url


async def _fetch(
    method: str, url: str, form: dict[str, str] | None = None, authorization: str | None = None
) -> dict[str, Any]:
    check_place(url)
    headers = {"Accept": "application/json", **({"Authorization": authorization} if authorization else {})}
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
            session.request(method, url, data=form, headers=headers, allow_redirects=False) as response,
        ):
            raw = bytearray()
            async for part in response.content.iter_any():
                raw += part
                if len(raw) > ANSWER_BYTES:
                    raise ProviderError("its answer is too long")
            if response.status != 200:
                raise ProviderError(f"it answered {response.status}")
            told = json.loads(raw)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ProviderError("it does not answer") from error
    if not isinstance(told, dict):
        raise ProviderError("what it answers is no object")
    return told


@dataclass(frozen=True, slots=True)
class ProviderPages:
    """The way to the provider and back; who is refused there or here is before the page to log in again."""

    site: Site
    provider: Provider
    pages: LoginPages

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        application.router.add_get("/login/oidc", self.leave)
        application.router.add_get(CALLBACK, self.come_back)

    async def leave(self, request: web.Request) -> web.Response:
        """Send the person there, and remember what to expect."""
        visit, now = await visit_of(request), int(self.site.now())
        limit(request, visit.actor)
        target = safe_target(request.query.get("next", ""), HOME)
        try:
            endpoints, _ = await self.provider.discover(now)
        except ProviderError as error:
            return await self.pages.refuse(request, str(error), target)
        state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        row = FlowRow(hash_token(state), hash_token(visit.mark), verifier, nonce, target, now + FLOW_S)
        async with self.site.store.write() as connection:
            await login.add_flow(connection, row)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.provider.settings.client_id,
            "redirect_uri": self.provider.redirect,
            "scope": self.provider.scopes(endpoints),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        where = str(endpoints.get("authorization_endpoint", ""))
        raise web.HTTPSeeOther(f"{where}{'&' if '?' in where else '?'}{urlencode(query)}")

    async def come_back(self, request: web.Request) -> web.Response:
        """With a code: whoever began it in this browser is logged in, once."""
        visit, now = await visit_of(request), int(self.site.now())
        limit(request, visit.actor)
        async with self.site.store.write() as connection:
            flow = await login.take_flow(connection, hash_token(request.query.get("state", "")), now)
        if flow is None or flow.browser != hash_token(visit.mark):
            return await self.pages.refuse(request, "this login was not begun in this browser, or long ago", HOME)
        try:
            if request.query.get("iss", self.provider.settings.issuer) != self.provider.settings.issuer:
                raise ProviderError("another provider answered")
            if "code" not in request.query:
                raise Forbidden("the provider did not log you in")
            claims = await self.provider.redeem(request.query["code"], flow.verifier, flow.nonce, now)
            async with self.site.store.write() as connection:
                account = await self._account(connection, claims, flow.target, now)
                if account.disabled:
                    raise Forbidden("the account is disabled")
                await open_session(request, connection, account)
        except (ProviderError, Forbidden) as error:
            return await self.pages.refuse(request, str(error), flow.target)
        raise web.HTTPSeeOther(flow.target)

    async def _account(self, connection: AsyncConnection, claims: dict[str, Any], target: str, now: int) -> AccountRow:
        """The account of this subject; made at the first login, and never one that was there by another way.

        Where people are invited it is made for whoever is on the way to an invitation, and for distribution admins.
        Raises Forbidden for others.
        """
        issuer, group = self.provider.settings.issuer, self.provider.settings.group
        groups = claims.get("groups")
        chief = bool(group) and isinstance(groups, list) and group in groups
        change = Change(connection, VISITOR, now, self.site.house)
        row = await queries.find(connection, AccountRow, issuer=issuer, subject=claims["sub"])
        if row is None:
            if self.site.sign_up == "invited" and not chief and await find_invited(change, target) is None:
                raise Forbidden("accounts are made by invitation here: open the link of yours, and log in there")
            name = await _free_login(connection, claims)
            mail = await _free_mail(connection, claims)
            row = await queries.add(
                connection,
                AccountRow,
                login=name,
                login_key=rules.login_key(name),
                mail=mail,
                mail_verified=now if mail else None,
                password=None,
                issuer=issuer,
                subject=claims["sub"],
                distribution_admin=chief,
                disabled=False,
                created=now,
                seen=None,
            )
            await change.log("account.add", row.login, row.id, {}, show_account(row))
        elif group and row.distribution_admin != chief:
            await queries.set_columns(
                connection, AccountRow, {"id": row.id}, distribution_admin=chief, version=row.version + 1
            )
            before, after = {"distribution_admin": row.distribution_admin}, {"distribution_admin": chief}
            await change.log("account.change", row.login, row.id, before, after)
            found = await queries.find(connection, AccountRow, id=row.id)
            assert found is not None
            row = found
        return row


async def _free_login(connection: AsyncConnection, claims: dict[str, Any]) -> str:
    told = claims.get("preferred_username")
    base = re.sub(r"[^A-Za-z0-9._-]", "-", told if isinstance(told, str) else "").strip("-._")[:40] or "user"
    for number in range(1, 1000):
        name = base if number == 1 else f"{base}-{number}"
        try:
            read = rules.read_login(name)
        except ValueError:
            base = "user"
            continue
        if await queries.find(connection, AccountRow, login_key=rules.login_key(read)) is None:
            return read
    return f"user-{secrets.token_hex(8)}"


async def _free_mail(connection: AsyncConnection, claims: dict[str, Any]) -> str | None:
    """Its verified address, unless another account has proved that it is its own."""
    told = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(told, str):
        return None
    try:
        mail = rules.read_mail(told)
    except ValueError:
        return None
    others = await queries.list_rows(connection, AccountRow, mail=mail)
    return None if any(row.mail_verified for row in others) else mail

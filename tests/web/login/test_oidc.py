"""Logging in by a provider: one that keeps the rules, and ones that do not."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from redirector.locate.proxies import trusted_proxies_of
from redirector.settings.oidc import Oidc
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow
from redirector.web.access import Site
from redirector.web.application import make_application
from redirector.web.limits import Limits
from tests.registry.rig import Registry
from tests.web.browser import Browser
from tests.web.conftest import Api


@dataclass(slots=True)
class Fake:
    """A provider in a few lines. *claims*: what it says beside what it must; *key*: what it signs with."""

    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    shown: Any = None
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    issuer: str = ""
    asked: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    now: int = 0

    def application(self) -> web.Application:
        """Its endpoints."""
        made = web.Application()
        made.router.add_get("/.well-known/openid-configuration", self._discovery)
        made.router.add_get("/jwks", self._jwks)
        made.router.add_post("/token", self._token)
        return made

    async def _discovery(self, _: web.Request) -> web.Response:
        names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
        told = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return web.json_response({"issuer": self.issuer, **told})

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [(self.shown or self.key).as_dict(private=False)]})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        challenge = urlsafe_b64encode(sha256(str(form["code_verifier"]).encode()).digest()).rstrip(b"=").decode()
        if challenge != self.asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        claims = {
            "iss": self.issuer,
            "aud": "mirrors",
            "sub": "42",
            "iat": self.now,
            "exp": self.now + 300,
            "nonce": self.asked["nonce"],
            "preferred_username": "ann",
            "email": "ann@example.org",
            "email_verified": True,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if name not in self.dropped}
        header = {"alg": self.algorithm, "kid": "1"}
        made = self.token or jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
        return web.json_response({"id_token": made, "access_token": "x", "token_type": "Bearer"})


@pytest.fixture
async def fake(registry: Registry) -> AsyncIterator[tuple[Api, Fake]]:
    """The application, and its provider."""
    provider = Fake(now=registry.now)
    server = TestServer(provider.application())
    await server.start_server()
    provider.issuer = str(server.make_url("")).rstrip("/")
    site = Site(
        registry.store,
        registry.house,
        trusted_proxies_of(()),
        Limits(1000, 1000),
        now=lambda: float(registry.now),
        oidc=Oidc(provider.issuer, "mirrors", None, "mirror-admins"),
    )
    client = TestClient(TestServer(make_application(site)))
    await client.start_server()
    yield Api(client, registry), provider
    await client.close()
    await server.close()


async def begun(api: Api, provider: Fake) -> Browser:
    """A browser that was sent to the provider."""
    browser = Browser(api)
    await browser.get("/login")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    answer = await api.client.get("/login/oidc?next=/account", headers=headers, allow_redirects=False)
    assert answer.status == 303
    parts = urlsplit(answer.headers["Location"])
    provider.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert provider.asked["code_challenge_method"] == "S256" and provider.asked["response_type"] == "code"
    return browser


async def back(browser: Browser, provider: Fake, **query: str) -> Browser:
    """The same, back from there."""
    told = {"code": "c0de", "state": provider.asked["state"], **query}
    await browser.get("/login/oidc/callback?" + "&".join(f"{name}={value}" for name, value in told.items()))
    return browser


async def accounts(api: Api) -> list[AccountRow]:
    async with api.registry.store.read() as connection:
        return await queries.list_rows(connection, AccountRow)


async def test_whom_the_provider_knows_is_logged_in_and_groups_count_at_every_login(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    browser = await back(await begun(api, provider), provider)
    assert browser.path == "/account" and "ann@example.org" in browser.text
    (row,) = await accounts(api)
    assert (row.login, row.subject, row.distribution_admin) == ("ann", "42", False)
    for groups, chief in ((["mirror-admins"], True), (["others"], False)):
        provider.claims = {"groups": groups}
        await back(await begun(api, provider), provider)
        (row,) = await accounts(api)
        assert row.distribution_admin is chief


async def test_a_local_account_is_not_taken_over_by_its_name_or_address(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    await api.registry.account("ann")
    await back(await begun(api, provider), provider)
    assert [row.login for row in await accounts(api)] == ["ann", "ann-2"]


async def test_a_login_is_finished_once_and_by_the_browser_that_began_it(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    browser = await begun(api, provider)
    other = Browser(api)
    await other.get("/login")
    await back(other, provider)
    assert other.status == 403
    await back(browser, provider)
    assert browser.status == 403, "the state was used up"
    await back(await begun(api, provider), provider, state="made-up")
    late = await begun(api, provider)
    api.registry.now += 601
    await back(late, provider)
    assert late.status == 403
    assert not await accounts(api)


FORGED: dict[str, dict[str, Any]] = {
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "for another client": {"claims": {"aud": "others"}},
    "for several, by another": {"claims": {"aud": ["mirrors", "others"], "azp": "others"}},
    "for several, by nobody": {"claims": {"aud": ["mirrors", "others"]}},
    "expired": {"claims": {"exp": 1}},
    "without an end": {"dropped": ("exp",)},
    "of another login": {"claims": {"nonce": "other"}},
    "without a nonce": {"dropped": ("nonce",)},
    "for nobody": {"dropped": ("sub",)},
    "signed by another key": {"shown": RSAKey.generate_key(2048, {"kid": "1"})},
    "not signed": {"token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9."},
    "no token": {"token": "nonsense"},
    "signed by a shared secret": {"key": OctKey.generate_key(256, {"kid": "1"}), "algorithm": "HS256"},
}


async def test_every_forged_token_is_refused(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    usual = {name: getattr(provider, name) for name in ("key", "shown", "algorithm", "claims", "dropped", "token")}
    for name, changes in FORGED.items():
        for attribute, value in {**usual, **changes}.items():
            setattr(provider, attribute, value)
        if name == "signed by a shared secret":
            provider.shown = usual["key"]
        api.registry.now += 7200
        if name != "expired":
            provider.now = api.registry.now
        browser = await back(await begun(api, provider), provider)
        assert browser.status == 403, name
        assert "session" not in browser.cookies, name
    assert not await accounts(api)


async def test_a_key_that_the_provider_changed_is_fetched_again(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    await back(await begun(api, provider), provider)
    provider.key = ECKey.generate_key("P-256", {"kid": "1"})
    provider.algorithm = "ES256"
    api.registry.now += 120
    provider.now = api.registry.now
    browser = await back(await begun(api, provider), provider)
    assert browser.path == "/account"

"""Logging in by a provider: one that keeps the rules, and ones that do not."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from redirector.locate.proxies import trusted_proxies_of
from redirector.registry.edit import sites
from redirector.settings.oidc import Oidc
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow
from redirector.web.access import Site
from redirector.web.application import make_application
from redirector.web.limits import Limits
from redirector.web.login import oidc
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
    header: dict[str, Any] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    secret: Any = None
    odd: Callable[[], Awaitable[web.Response]] | None = None
    userinfo: dict[str, Any] | None = None
    authorization: str = ""
    secret_in_form: str = ""

    def application(self) -> web.Application:
        """Its endpoints."""
        made = web.Application()
        made.router.add_get("/.well-known/openid-configuration", self._discovery)
        made.router.add_get("/jwks", self._jwks)
        made.router.add_post("/token", self._token)
        made.router.add_get("/userinfo", self._userinfo)
        return made

    async def _discovery(self, _: web.Request) -> web.Response:
        names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "jwks"}
        names |= {} if self.userinfo is None else {"userinfo_endpoint": "userinfo"}
        told = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return web.json_response({"issuer": self.issuer, **told, **self.told})

    async def _jwks(self, _: web.Request) -> web.Response:
        if self.odd is not None:
            return await self.odd()
        return web.json_response({"keys": [(self.shown or self.key).as_dict(private=False)]})

    async def _userinfo(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer x":
            raise web.HTTPUnauthorized
        return web.json_response(self.userinfo)

    async def _token(self, request: web.Request) -> web.Response:
        self.authorization = request.headers.get("Authorization", "")
        form = await request.post()
        self.secret_in_form = str(form.get("client_secret", ""))
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
        header = {"alg": self.algorithm, "kid": "1", **self.header}
        if isinstance(self.secret, bytes):
            made = by_hand(header, claims, self.secret)
        else:
            made = self.token or jwt.encode(header, claims, self.secret or self.key, algorithms=[self.algorithm])
        return web.json_response({"id_token": made, "access_token": "x", "token_type": "Bearer"})


@pytest.fixture
async def fake(registry: Registry) -> AsyncIterator[tuple[Api, Fake]]:
    """The application, and its provider."""
    async with with_provider(registry) as made:
        yield made


@asynccontextmanager
async def with_provider(
    registry: Registry, sign_up: str = "open", secret_file: str | None = None
) -> AsyncIterator[tuple[Api, Fake]]:
    """The same, where people sign up otherwise, or the client has a secret."""
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
        sign_up=sign_up,
        oidc=Oidc(provider.issuer, "mirrors", secret_file, "mirror-admins"),
    )
    client = TestClient(TestServer(make_application(site)))
    await client.start_server()
    yield Api(client, registry), provider
    await client.close()
    await server.close()


async def begun(api: Api, provider: Fake, target: str = "/account") -> Browser:
    """A browser that was sent to the provider."""
    browser = Browser(api)
    await browser.get("/login")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    answer = await api.client.get(f"/login/oidc?next={target}", headers=headers, allow_redirects=False)
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


ELSEWHERE = ("preferred_username", "email", "email_verified")
"""Claims that a provider need not put into the id_token of the code flow."""


async def test_what_the_provider_tells_at_its_other_endpoint_counts_as_well(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    provider.dropped = ELSEWHERE
    provider.userinfo = {"sub": "42", "preferred_username": "ann", "email": "ann@example.org", "email_verified": True}
    provider.userinfo["groups"] = ["mirror-admins"]
    browser = await back(await begun(api, provider), provider)
    assert browser.path == "/account"
    (row,) = await accounts(api)
    assert (row.login, row.mail, row.distribution_admin) == ("ann", "ann@example.org", True)


@pytest.mark.parametrize("told", [{"sub": "43"}, {}, {"sub": None}, []], ids=["another", "nobody", "null", "no object"])
async def test_what_it_tells_there_of_somebody_else_is_not_believed(fake: tuple[Api, Fake], told: Any) -> None:
    api, provider = fake
    provider.userinfo = told
    browser = await back(await begun(api, provider), provider)
    assert browser.status == 403 and "provider cannot be believed" in browser.text and not await accounts(api)


async def test_what_is_signed_outweighs_what_is_told_there(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    provider.claims = {"groups": []}
    provider.userinfo = {"sub": "42", "groups": ["mirror-admins"], "iss": "https://evil.example"}
    await back(await begun(api, provider), provider)
    (row,) = await accounts(api)
    assert (row.issuer, row.distribution_admin) == (provider.issuer, False)


@pytest.mark.parametrize(
    ("supported", "asked"), [(["openid", "groups"], True), (["openid"], False), (None, False), ("groups", False)],
    ids=["has groups", "has none", "says nothing", "no list"],
)  # fmt: skip
async def test_groups_are_asked_for_where_there_are_some(fake: tuple[Api, Fake], supported: Any, asked: bool) -> None:
    api, provider = fake
    provider.told = {"scopes_supported": supported}
    await begun(api, provider)
    assert provider.asked["scope"].split() == ["openid", "profile", "email"] + ["groups"] * asked


BASIC = "Basic " + b64encode(b"mirrors:a%3Ab%2Bc").decode()


@pytest.mark.parametrize(
    ("methods", "header", "form"),
    [
        (None, BASIC, ""),
        (["client_secret_basic"], BASIC, ""),
        (["client_secret_post", "client_secret_basic"], BASIC, ""),
        (["private_key_jwt", "client_secret_post"], "", "a:b+c"),
        ("client_secret_post", BASIC, ""),
    ],
    ids=["says nothing", "header", "both", "form", "no list"],
)
async def test_the_client_s_secret_is_told_as_the_provider_wants_it(
    registry: Registry, tmp_path: Path, methods: Any, header: str, form: str
) -> None:
    """In a header with its signs escaped (RFC 6749, 2.3.1), which all can read who do not say otherwise."""
    file = tmp_path / "secret"
    file.write_text("a:b+c\n")
    async with with_provider(registry, secret_file=str(file)) as (api, provider):
        provider.told = {"token_endpoint_auth_methods_supported": methods}
        await back(await begun(api, provider), provider)
        assert (provider.authorization, provider.secret_in_form) == (header, form)
        assert len(await accounts(api)) == 1


async def test_nobody_asks_the_provider_without_end(fake: tuple[Api, Fake]) -> None:
    api, _ = fake
    statuses = {
        (await api.client.get(path, allow_redirects=False)).status
        for path in ("/login/oidc", "/login/oidc/callback?state=x") * 600
    }
    assert 429 in statuses


async def test_where_people_are_invited_the_provider_alone_lets_nobody_in(registry: Registry) -> None:
    async with with_provider(registry, "invited") as (api, provider):
        site = await registry.site()
        await registry.account("bob")
        _, others = await registry.do(sites.invite_admin, site.id, {"account": "bob"})
        for target in ("/account", "/invitations/made-up", f"/invitations/{others}"):
            browser = await back(await begun(api, provider, target), provider)
            assert browser.status == 403 and "by invitation" in browser.text and len(await accounts(api)) == 1
        _, secret = await registry.do(sites.invite_admin, site.id, {"account": "ann@example.org"})
        browser = await back(await begun(api, provider, f"/invitations/{secret}"), provider)
        assert browser.status == 200 and browser.path == f"/invitations/{secret}"
        provider.claims = {"sub": "43", "preferred_username": "chief", "groups": ["mirror-admins"]}
        await back(await begun(api, provider), provider)
        assert [row.login for row in await accounts(api)] == ["bob", "ann", "chief"]


async def test_who_was_refused_can_begin_again_on_the_way_to_where_he_was_going(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    browser = await begun(api, provider)
    await browser.get(f"/login/oidc/callback?error=access_denied&state={provider.asked['state']}")
    assert browser.status == 403 and 'href="/login/oidc?next=/account"' in browser.text


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


KEY = RSAKey.generate_key(2048, {"kid": "1"})
OTHER = RSAKey.generate_key(2048, {"kid": "1"})
PUBLIC = KEY.as_pem(private=False)
"""The provider's public key, which everybody knows, taken for a shared secret."""


def encoded(part: object) -> str:
    """A part of a token."""
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def by_hand(header: object, claims: object, secret: bytes) -> str:
    """A token whose HS256 is made of a secret that no library would take for one."""
    said = f"{encoded(header)}.{encoded(claims)}"
    return f"{said}.{urlsafe_b64encode(hmac.digest(secret, said.encode(), 'sha256')).rstrip(b'=').decode()}"


def unsigned(algorithm: str) -> str:
    """A token that nobody signed, with all claims but a nonce that nobody can know."""
    return f"{encoded({'alg': algorithm, 'kid': '1'})}.{encoded({'sub': '42', 'aud': 'mirrors'})}."


FORGED: dict[str, dict[str, Any]] = {
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "no issuer": {"dropped": ("iss",)},
    "for another client": {"claims": {"aud": "others"}},
    "for nobody's client": {"dropped": ("aud",)},
    "for a client of almost that name": {"claims": {"aud": "mirrors2"}},
    "for others in a list": {"claims": {"aud": ["others"]}},
    "for one, by another": {"claims": {"azp": "others"}},
    "for several, by another": {"claims": {"aud": ["mirrors", "others"], "azp": "others"}},
    "for several, by nobody": {"claims": {"aud": ["mirrors", "others"]}},
    "expired": {"claims": {"exp": 1}},
    "without an end": {"dropped": ("exp",)},
    "with an end that is none": {"claims": {"exp": "never"}},
    "without a beginning": {"dropped": ("iat",)},
    "made tomorrow": {"claims": {"iat": 4_000_000_000, "exp": 4_000_000_300}},
    "good from tomorrow on": {"claims": {"nbf": 4_000_000_000}},
    "of another login": {"claims": {"nonce": "other"}},
    "without a nonce": {"dropped": ("nonce",)},
    "with an empty nonce": {"claims": {"nonce": ""}},
    "with several nonces": {"claims": {"nonce": ["other"]}},
    "for nobody": {"dropped": ("sub",)},
    "for an empty name": {"claims": {"sub": ""}},
    "for a name that is no text": {"claims": {"sub": 42}},
    "for a name without end": {"claims": {"sub": "x" * 256}},
    "signed by another key": {"shown": OTHER},
    "signed by another key, under a name of no key": {"shown": OTHER, "header": {"kid": "2"}},
    "with its own key in it": {"shown": OTHER, "header": {"jwk": KEY.as_dict(private=False)}},
    "with the place of its own key in it": {"shown": OTHER, "header": {"jku": "https://evil.example/jwks"}},
    "signed by the public key as a secret": {"secret": PUBLIC, "algorithm": "HS256"},
    "signed by a secret of its own": {"secret": OctKey.generate_key(256, {"kid": "1"}), "algorithm": "HS256"},
    "signed by a secret that it shows": {"key": OctKey.generate_key(256, {"kid": "1"}), "algorithm": "HS256"},
    "not signed": {"token": unsigned("none")},
    "not signed, in other letters": {"token": unsigned("nOnE")},
    "with a signature left out": {"token": unsigned("RS256")},
    "no token": {"token": "nonsense"},
    "no token at all": {"token": "."},
    "with a demand that we do not know": {"header": {"crit": ["x"], "x": 1}},
}


@pytest.mark.parametrize("name", FORGED)
async def test_every_forged_token_is_refused(fake: tuple[Api, Fake], name: str) -> None:
    api, provider = fake
    provider.key = KEY
    for attribute, value in FORGED[name].items():
        setattr(provider, attribute, value)
    browser = await back(await begun(api, provider), provider)
    assert browser.status == 403 and "provider cannot be believed" in browser.text
    assert "session" not in browser.cookies and not await accounts(api)


async def test_what_a_person_may_do_at_the_provider_does_not_let_him_in_by_another_s_address(
    fake: tuple[Api, Fake],
) -> None:
    """An address that the provider did not verify is none; one that is somebody's here makes nobody him."""
    api, provider = fake
    provider.claims = {"email_verified": False}
    await back(await begun(api, provider), provider)
    for claims in ({"email_verified": "true"}, {"email_verified": 1}, {"email": ["ann@example.org"]}, {"email": "no"}):
        provider.claims = {"sub": f"of {claims}", **claims}
        await back(await begun(api, provider), provider)
    assert [row.mail for row in await accounts(api)] == [None] * 5


async def test_groups_of_odd_kinds_make_nobody_an_admin(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    for groups in ("mirror-admins", {"mirror-admins": True}, [["mirror-admins"]], ["Mirror-Admins"], None, 1):
        provider.claims = {"groups": groups}
        await back(await begun(api, provider), provider)
        (row,) = await accounts(api)
        assert not row.distribution_admin, groups


@pytest.mark.parametrize("query", ["code=&state={state}", "state={state}", "error=access_denied&state={state}"])
async def test_who_was_not_let_in_there_is_not_let_in_here(fake: tuple[Api, Fake], query: str) -> None:
    api, provider = fake
    browser = await begun(api, provider)
    provider.token = None if "code=&" not in query else "nonsense"
    await browser.get("/login/oidc/callback?" + query.format_map(provider.asked))
    assert browser.status == 403 and not await accounts(api)


async def test_another_provider_s_answer_is_refused(fake: tuple[Api, Fake]) -> None:
    """Mix-up (RFC 9207): a code that another one gave is not sent to ours."""
    api, provider = fake
    browser = await back(await begun(api, provider), provider, iss="https://evil.example")
    assert browser.status == 403 and "nother provider answered" in browser.text and not await accounts(api)


async def test_a_code_of_another_login_is_of_no_use(fake: tuple[Api, Fake]) -> None:
    """Somebody's own code put into another's browser: the verifier of that login does not fit, nor does its nonce."""
    api, provider = fake
    mine = await begun(api, provider)
    asked = dict(provider.asked)
    await begun(api, provider)
    await mine.get(f"/login/oidc/callback?code=c0de&state={asked['state']}")
    assert mine.status == 403 and not await accounts(api)


async def _huge() -> web.Response:
    return web.json_response({"keys": [KEY.as_dict(private=False)], "padding": "x" * (2 << 20)})


async def _elsewhere() -> web.Response:
    raise web.HTTPFound("https://evil.example/jwks")


async def _broken() -> web.Response:
    return web.Response(text="<html>", content_type="text/html")


async def _list() -> web.Response:
    return web.json_response([KEY.as_dict(private=False)])


async def _nothing() -> web.Response:
    return web.json_response({})


async def _away() -> web.Response:
    return web.Response(status=500)


async def _slow() -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


ODD = {
    "huge": _huge, "elsewhere": _elsewhere, "no JSON": _broken, "a list": _list, "nothing": _nothing, "away": _away,
    "slow": _slow,
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
async def test_keys_that_are_odd_are_nobody_s(
    fake: tuple[Api, Fake], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "TIMEOUT_S", 0.5)
    api, provider = fake
    provider.odd = ODD[name]
    answer = await api.client.get("/login/oidc", allow_redirects=False)
    assert answer.status == 403 and "cannot be believed" in await answer.text()


TOLD = {
    "another name": {"issuer": "https://evil.example"},
    "keys without TLS": {"jwks_uri": "http://keys.example/jwks"},
    "keys inside": {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
    "keys of a host that begins like this one": {"jwks_uri": "http://127.0.0.1.evil.example/jwks"},
    "keys of a user at another host": {"jwks_uri": "http://localhost@evil.example/jwks"},
    "keys in a file": {"jwks_uri": "file:///etc/passwd"},
    "no keys": {"jwks_uri": ""},
    "a login that is script": {"authorization_endpoint": "javascript:alert(1)"},
    "a login without TLS": {"authorization_endpoint": "http://evil.example/"},
}


@pytest.mark.parametrize("name", TOLD)
async def test_a_provider_that_names_odd_places_is_not_believed(fake: tuple[Api, Fake], name: str) -> None:
    api, provider = fake
    provider.told = TOLD[name]
    answer = await api.client.get("/login/oidc", allow_redirects=False)
    assert answer.status == 403 and "cannot be believed" in await answer.text()


async def test_codes_are_sent_to_no_odd_place(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    provider.told = {"token_endpoint": "http://169.254.169.254/token"}
    browser = await back(await begun(api, provider), provider)
    assert browser.status == 403 and not await accounts(api)


async def test_a_key_that_the_provider_changed_is_fetched_at_once(fake: tuple[Api, Fake]) -> None:
    api, provider = fake
    await back(await begun(api, provider), provider)
    provider.key = ECKey.generate_key("P-256", {"kid": "1"})
    provider.algorithm = "ES256"
    browser = await back(await begun(api, provider), provider)
    assert browser.path == "/account"

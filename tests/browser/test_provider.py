"""Logging in by a certified OpenID provider, in Chromium, which holds cookies and follows redirections as people's do.

The provider is at `localhost` and our pages are at 127.0.0.1, so that for a browser these are different sites.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer, unused_port

from redirector.locate.proxies import trusted_proxies_of
from redirector.registry.edit import accounts, sites
from redirector.registry.permits import OPERATOR
from redirector.settings.oidc import Oidc
from redirector.store.registry import queries
from redirector.store.registry.rows import AccountRow
from redirector.web.access import Site
from redirector.web.application import make_application
from redirector.web.limits import Limits
from tests.registry.rig import Registry

HERE = Path(__file__).resolve().parent

PEOPLE = {
    "ann": {"preferred_username": "ann", "email": "ann@example.org", "email_verified": True, "groups": ["readers"]},
    "bob": {"preferred_username": "bob", "email": "bob@example.org", "email_verified": True, "groups": ["mirrors"]},
    "eve": {"preferred_username": "eve", "email": "ann@example.org", "email_verified": False},
}


@asynccontextmanager
async def _node(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of this folder; it ends when its input does."""
    node = shutil.which("node")
    assert node and (HERE / "node_modules").is_dir(), "make browser installs what is needed"
    program = await asyncio.create_subprocess_exec(
        node, *arguments, cwd=HERE, env={**os.environ, "HOME": str(HERE / "node_modules")},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield program
    finally:
        assert program.stdin is not None
        program.stdin.close()
        await program.wait()


async def _line(program: asyncio.subprocess.Process) -> str:
    assert program.stdout is not None
    return (await asyncio.wait_for(program.stdout.readline(), 60)).decode()


@dataclass(slots=True)
class Person:
    """Somebody at a browser."""

    program: asyncio.subprocess.Process
    base: str
    url: str = ""
    text: str = ""
    status: int = 0

    async def open(self, path: str) -> None:
        """Type an address of ours."""
        await self._step(open=self.base + path)

    async def press(self, text: str, **fill: str) -> None:
        """Press a link or button, when the fields of the page are filled."""
        await self._step(press=text, fill=fill)

    async def forget(self) -> None:
        """Take all cookies away."""
        await self._step(forget=True)

    async def _step(self, **step: Any) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(json.dumps(step).encode() + b"\n")
        told = json.loads(await _line(self.program))
        assert "error" not in told, (told["error"], step, self.url, self.text)
        self.url, self.text, self.status = told["url"], told["text"], told["status"]


@dataclass(slots=True)
class Scene:
    """Our pages, their provider, and a person before them."""

    registry: Registry
    person: Person
    port: int
    redirect: str
    secret: str | None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def begin(self, algorithm: str = "RS256") -> None:
        """The provider begins, with new keys; one that ran has ended, and forgotten everybody."""
        await self.stack.aclose()
        options = {
            "port": self.port, "redirect": self.redirect, "secret": self.secret, "algorithm": algorithm,
            "people": PEOPLE,
        }  # fmt: skip
        program = await self.stack.enter_async_context(_node("provider.mjs", json.dumps(options)))
        assert await _line(program) == f"listening {self.port}\n"

    async def log_in(self, name: str) -> None:
        """All the way through the provider's own pages."""
        await self.person.open("/login?next=/account")
        await self.person.press(f"Log in by localhost:{self.port}")
        await self.person.press("Sign-in", login=name, password="any")
        await self.person.press("Continue")

    async def accounts(self) -> list[AccountRow]:
        async with self.registry.store.read() as connection:
            return sorted(await queries.list_rows(connection, AccountRow), key=lambda row: row.id)


@asynccontextmanager
async def _housed(registry: Registry, secret: str | None, folder: Path, sign_up: str = "open") -> AsyncIterator[Scene]:
    registry.now = int(time.time())  # the provider has no other clock
    chromium = shutil.which("chromium")
    assert chromium, "make browser installs what is needed"
    file = folder / "secret"
    file.write_text(f"{secret}\n")
    port, own = unused_port(), unused_port()
    base = f"http://127.0.0.1:{own}"
    site = Site(
        registry.store,
        registry.house,
        trusted_proxies_of(()),
        Limits(1000, 1000),
        base,
        now=lambda: float(registry.now),
        sign_up=sign_up,
        oidc=Oidc(f"http://localhost:{port}", "mirrors", str(file) if secret else None, "mirrors"),
    )
    async with TestServer(make_application(site), port=own), _node("walk.mjs", chromium) as browser:
        scene = Scene(registry, Person(browser, base), port, f"{base}/login/oidc/callback", secret)
        async with scene.stack:
            await scene.begin()
            yield scene


@pytest.fixture(params=["of colons: and /signs+", None], ids=["secret", "public"])
async def scene(registry: Registry, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Both kinds of clients: one with a secret, of signs that must be escaped, and one by PKCE alone."""
    async with _housed(registry, request.param, tmp_path) as made:
        yield made


async def test_people_come_back_as_who_they_are_there(scene: Scene) -> None:
    """With name, address and groups, once and again; what is refused there is refused here."""
    person = scene.person
    await person.open("/login?next=/account")
    await person.press(f"Log in by localhost:{scene.port}")
    assert person.url.startswith(f"http://localhost:{scene.port}/interaction/")
    await person.press("[ Cancel ]")
    assert person.url.startswith(scene.redirect) and person.status == 403 and "did not log you in" in person.text
    assert not await scene.accounts()

    await person.press(f"Log in by localhost:{scene.port}")
    await person.press("Sign-in", login="ann", password="any")
    await person.press("[ Cancel ]")
    assert person.status == 403 and not await scene.accounts(), "who does not consent is not known"

    await person.press(f"Log in by localhost:{scene.port}")
    await person.press("Continue")
    assert person.url == f"{person.base}/account" and "ann@example.org" in person.text, "where he was going at first"
    (ann,) = await scene.accounts()
    assert (ann.login, ann.subject, ann.mail, ann.distribution_admin) == ("ann", "ann", "ann@example.org", False)

    await person.press("Log out")
    await person.open("/account")
    assert person.url.startswith(f"{person.base}/login")
    await person.press(f"Log in by localhost:{scene.port}")
    assert person.url == f"{person.base}/account", "the provider knows who it is, and asks nothing"
    assert len(await scene.accounts()) == 1

    await person.forget()
    await scene.log_in("bob")
    assert "Desk" in person.text
    assert [(row.login, row.distribution_admin) for row in await scene.accounts()] == [("ann", False), ("bob", True)]


async def test_a_provider_with_new_keys_is_believed_at_once(scene: Scene) -> None:
    await scene.log_in("ann")
    for algorithm in ("ES256", "Ed25519", "EdDSA"):
        await scene.begin(algorithm)
        await scene.person.forget()
        await scene.log_in("ann")
        assert scene.person.url == f"{scene.person.base}/account", (algorithm, scene.person.text)
    assert len(await scene.accounts()) == 1


async def test_an_account_with_the_same_address_or_name_stays_whose_it_was(registry: Registry, tmp_path: Path) -> None:
    async with _housed(registry, "secret", tmp_path) as scene:
        async with registry.change(OPERATOR) as change:
            row = await accounts.save_account(change, {"login": "ann", "mail": "ann@example.org"})
            await accounts.use_link(change, await accounts.make_link(change, row), "a sentence to keep in mind")
        for name in ("eve", "ann"):
            await scene.log_in(name)
            assert "No mail address" in scene.person.text
            await scene.person.forget()
        found = [(row.login, row.mail, row.subject) for row in await scene.accounts()]
        assert found == [("ann", "ann@example.org", None), ("eve", None, "eve"), ("ann-2", None, "ann")]


async def test_where_people_are_invited_the_provider_alone_makes_nobody_an_account(
    registry: Registry, tmp_path: Path
) -> None:
    """But for whom its group makes a distribution admin, and for whoever comes with an invitation."""
    async with _housed(registry, "secret", tmp_path, "invited") as scene:
        await scene.log_in("eve")
        assert scene.person.status == 403 and "invitation" in scene.person.text and not await scene.accounts()
        await scene.person.forget()
        await scene.log_in("bob")
        assert scene.person.url == f"{scene.person.base}/account"
        await scene.person.forget()
        site = await registry.site()
        _, secret = await registry.do(sites.invite_admin, site.id, {"account": "ann@example.org"})
        await scene.person.open(f"/invitations/{secret}")
        await scene.person.press(f"Log in by localhost:{scene.port}")
        await scene.person.press("Sign-in", login="ann", password="any")
        await scene.person.press("Continue")
        await scene.person.press("Accept")
        assert scene.person.url == f"{scene.person.base}/sites/{site.id}"
        assert [row.login for row in await scene.accounts()] == ["bob", "ann"]

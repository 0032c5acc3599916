"""The application over an empty registry, and people with tokens for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from redirector.locate.proxies import trusted_proxies_of
from redirector.registry.edit import accounts
from redirector.registry.permits import OPERATOR, Actor
from redirector.web.access import API, Site
from redirector.web.application import make_application
from redirector.web.limits import Limits
from tests.registry.conftest import empty_database, registry
from tests.registry.rig import Registry

__all__ = ["empty_database", "registry"]


@dataclass(slots=True)
class Api:
    """A client of the API, and the registry behind it."""

    client: TestClient[Any, Any]
    registry: Registry

    async def token(self, login: str, scope: str = "write") -> str:
        """A new token of the account *login*."""
        async with self.registry.change(OPERATOR) as change:
            _, secret = await accounts.make_account_token(change, login, scope)
        return secret

    async def person(self, login: str, *, admin: bool = False, scope: str = "write") -> tuple[Actor, str]:
        """A new account, and a token of it."""
        actor = await self.registry.account(login, admin=admin)
        return actor, await self.token(login, scope)

    async def ask(
        self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str
    ) -> ClientResponse:
        """One request; *headers* with underscores for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        response = await self.client.request(method, API + path, json=body, headers=sent)
        await response.read()
        return response


@pytest.fixture
async def api(registry: Registry) -> AsyncIterator[Api]:
    """The API over an empty registry on SQLite."""
    site = Site(
        registry.store, registry.house, trusted_proxies_of(()), Limits(1000, 1000), now=lambda: float(registry.now)
    )
    client = TestClient(TestServer(make_application(site)))
    await client.start_server()
    yield Api(client, registry)
    await client.close()

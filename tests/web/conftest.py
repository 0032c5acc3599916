"""The application over an empty registry, and people with tokens for it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from redirector.locate.proxies import trusted_proxies_of
from redirector.registry.edit import accounts
from redirector.registry.permits import OPERATOR, Actor
from redirector.store.opening import open_store
from redirector.web.access import API, Site
from redirector.web.application import make_application
from redirector.web.limits import Limits
from tests.registry.conftest import any_registry, registry
from tests.registry.rig import Registry
from tests.store.empty import write_empty
from tests.web.network import make_network

__all__ = ["any_registry", "registry"]


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


@asynccontextmanager
async def serving(registry: Registry, **settled: Any) -> AsyncIterator[Api]:
    """The application over *registry*; *settled*: more of what the operator says."""
    site = Site(
        registry.store,
        registry.house,
        trusted_proxies_of(()),
        Limits(1000, 1000),
        now=lambda: float(registry.now),
        **settled,
    )
    client = TestClient(TestServer(make_application(site)))
    await client.start_server()
    try:
        yield Api(client, registry)
    finally:
        await client.close()


@pytest.fixture
async def api(registry: Registry) -> AsyncIterator[Api]:
    """The application over an empty registry on SQLite."""
    async with serving(registry) as made:
        yield made


@pytest.fixture
async def any_api(any_registry: Registry) -> AsyncIterator[Api]:
    """The application over an empty registry, on SQLite and PostgreSQL in turn."""
    async with serving(any_registry) as made:
        yield made


@pytest.fixture(scope="session")
def network_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the made-up network in it."""
    path = tmp_path_factory.mktemp("network") / "store.db"
    url = write_empty(path)

    async def make() -> None:
        async with await open_store(url) as opened:
            await make_network(Registry(opened))

    asyncio.run(make())
    return path


@pytest.fixture
async def network(network_database: Path, tmp_path: Path) -> AsyncIterator[Api]:
    """The application over the made-up network."""
    path = tmp_path / "network.db"
    shutil.copy(network_database, path)
    async with await open_store(f"sqlite:///{path}") as opened, serving(Registry(opened)) as made:
        yield made

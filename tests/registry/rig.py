"""A registry to try things on: a store, accounts, and a small network in a few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from redirector.registry.edit import accounts, carried, catalogue, hosts, networks, sites
from redirector.registry.edit.change import Change, House
from redirector.registry.permits import OPERATOR, VISITOR, Actor
from redirector.registry.publish.holdings import Holdings, read_holdings
from redirector.registry.publish.selection import Publication, select
from redirector.registry.secrets import Cipher
from redirector.store.opening import Store
from redirector.store.registry.rows import CarriedRow, HostRow, SiteRow

NOW = 1_790_000_000

T = TypeVar("T")

CIPHER = Cipher(bytes(range(32)))

SITE = {"name": "Example Site", "url": "https://example.org/", "contacts": ["ops@example.org"]}
HOST = {"name": "mirror.example.org", "country": "DE", "bandwidth_mbit": 1000}
CATEGORY = {"name": "Example Linux", "top": "pub/linux", "product": "Example Linux"}


@dataclass(slots=True)
class Registry:
    """A store and whoever acts in it."""

    store: Store
    now: int = NOW
    house: House = field(default_factory=lambda: House(cipher=CIPHER))
    own_asns: frozenset[int] | None = None

    @asynccontextmanager
    async def change(self, actor: Actor = OPERATOR) -> AsyncIterator[Change]:
        """One transaction by *actor*."""
        async with self.store.write() as connection:
            yield Change(connection, actor, self.now, self.house, own_asns=self.own_asns)

    async def do(self, work: Callable[..., Awaitable[T]], *values: Any, actor: Actor = OPERATOR, **more: Any) -> T:
        """What the function *work* of a change returns, in a transaction of its own."""
        async with self.change(actor) as change:
            return await work(change, *values, **more)

    async def account(self, login: str, *, admin: bool = False) -> Actor:
        """A new account, as the actor that it is now."""
        row = await self.do(accounts.save_account, {"login": login, "distribution_admin": admin})
        return await self.do(accounts.actor_of, row)

    async def owner(self, login: str, site: SiteRow) -> Actor:
        """A new account that is an admin of *site*."""
        actor = await self.account(login)
        await self.do(sites.put_admin, site.id, {"account": login})
        return replace(actor, sites=frozenset({*actor.sites, site.id}))

    async def site(self, *, approved: bool = True, **fields: Any) -> SiteRow:
        """A new site of the operator."""
        row = await self.do(sites.create_site, {**SITE, **fields})
        return await self.do(sites.decide_site, row.id, None, {"action": "approve"}) if approved else row

    async def host(self, site: SiteRow, **fields: Any) -> HostRow:
        """A new host."""
        return await self.do(hosts.create_host, site.id, {**HOST, **fields})

    async def category(self, **fields: Any) -> None:
        """A new category, and a repository in it."""
        body = {**CATEGORY, **fields}
        await self.do(catalogue.create_category, body)
        directory = f"{body['top']}/1/x86_64/os"
        prefix = f"{str(body['top']).replace('/', '-')}-1"
        await self.do(catalogue.create_repository, {"prefix": prefix, "arch": "x86_64", "directory": directory})

    async def carry(
        self, host: HostRow, *urls: str, category: str = "Example Linux", always: bool = True, **fields: Any
    ) -> CarriedRow:
        """Sign *host* up, with public *urls*."""
        body = {"category": category, "always_current": always, **fields}
        row = await self.do(carried.add_carried, host.id, body)
        for url in urls or (f"https://{host.name}/linux/",):
            await self.do(carried.add_url, host.id, {"category": category, "url": url})
        return row

    async def network(self, host: HostRow, network: str) -> None:
        """A network of *host*."""
        await self.do(networks.add_network, host.id, {"network": network})

    async def holdings(self) -> Holdings:
        """All, as publishing reads it."""
        async with self.store.read() as connection:
            return await read_holdings(connection, self.now)

    async def publication(self, now: int | None = None) -> Publication:
        """What would be published."""
        return select(await self.holdings(), now or self.now)


__all__ = ["CATEGORY", "CIPHER", "HOST", "NOW", "OPERATOR", "SITE", "VISITOR", "Actor", "Registry"]

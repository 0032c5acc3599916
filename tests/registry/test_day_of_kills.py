"""A day in which whoever tells people and programs is killed again and again: nothing is lost, nothing sent twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.send import Courier, Failed, empty
from redirector.registry.announcing import Post, announce, announce_releases
from redirector.registry.edit import catalogue, hosts, sites
from redirector.settings.mail import Hook
from redirector.store.opening import Store, open_store
from redirector.store.outbox import Claimed
from redirector.store.tables.outbox import outbox as table
from tests.registry.conftest import registry
from tests.registry.rig import CIPHER, Registry
from tests.registry.test_announcing import verified_site
from tests.store.empty import write_empty

__all__ = ["registry"]

STEP_S = 1800
STEPS = 24 * 3600 // STEP_S
AWAY = range(10, 20)
"""Five hours in which the relay takes nothing."""

POST = Post(
    mails=True,
    pages="https://mirrors.example.org",
    cipher=CIPHER,
    hooks=(Hook(("*",), url="https://bus.example.org/mirrors"),),
)


class Killed(BaseException):
    """The process is no more: nobody catches that."""


@dataclass(slots=True)
class Fate:
    """When the process dies: before what it does is kept, or after."""

    chance: Random
    often: float
    dead: bool = False
    deaths: int = 0

    def meet(self) -> None:
        if self.dead or self.chance.random() < self.often:
            self.deaths += not self.dead
            self.dead = True
            raise Killed


@dataclass(eq=False)
class Relay(Courier):
    """Takes what is sent.

    taken  name of the parcel -> how often
    torn   name -> how often the process died between the relay's word and the note of it: the one moment that nobody
           can close; the second mail has the same `Message-ID` as the first
    """

    fate: Fate
    taken: Counter[str] = field(default_factory=Counter)
    torn: Counter[str] = field(default_factory=Counter)
    away: bool = False
    held: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(None, (), agent="", now=lambda: 0.0)

    async def deliver(self, claimed: Claimed) -> None:
        self.fate.meet()
        await asyncio.sleep(0)
        if self.away:
            raise Failed("the relay said 421 later")
        self.taken[claimed.parcel.name] += 1
        self.held.add(claimed.parcel.name)
        self.fate.meet()


async def furnish(registry: Registry) -> list[Callable[[], Awaitable[object]]]:
    """A network, and what happens in it during the day."""
    above = await verified_site(registry)
    below = await verified_site(registry, name="Below", contacts=["below@example.org", "b@example.org"])
    asking = await verified_site(registry, approved=False, name="New", contacts=["new@example.org"])
    first = await registry.host(above, name="first.example.org", new_releases=True)
    await registry.host(below, name="second.example.org", pulls_from="first.example.org", new_releases=True)
    third = await registry.host(above, name="third.example.org")

    async def release() -> object:
        body = {"product": "Example Linux", "version": "2", "not_before": "2026-09-21T20:00:00Z"}
        return await registry.do(catalogue.create_release, body)

    def decide(action: str) -> Callable[[], Awaitable[object]]:
        return lambda: registry.do(sites.decide_site, asking.id, None, {"action": action, "text": "because"})

    return [
        decide("ask"), decide("refuse"), release, lambda: registry.do(hosts.leave_host, first.id, None),
        lambda: registry.do(hosts.edit_host, third.id, None, {"city": "Berlin"}), decide("ask"), decide("approve"),
        lambda: registry.do(hosts.delete_host, third.id, None), decide("suspend"),
        lambda: registry.do(sites.leave_site, below.id, None),
    ]  # fmt: skip


async def live(registry: Registry, fate: Fate) -> Relay:
    """A day: at each step something may happen, and a process begins to tell what is to be told, until it dies."""
    happenings = await furnish(registry)
    start, relay = registry.now, Relay(fate)
    every = STEPS * 3 // 4 // len(happenings)
    for step in range(STEPS):
        registry.now = start + step * STEP_S
        relay.away = step in AWAY
        if step % every == 0 and step // every < len(happenings):
            await happenings[step // every]()
        fate.dead = False
        relay.held.clear()
        try:
            await tell(registry, relay)
        except Killed:
            _ = await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
            relay.torn.update(relay.held & await waiting(registry))
    fate.often, fate.dead = 0.0, False
    for _ in range(3):
        registry.now += 4000
        await tell(registry, relay)
    return relay


async def waiting(registry: Registry) -> set[str]:
    """Names of parcels of which it is not written down that they went out."""
    async with registry.store.read() as connection:
        return set(await connection.scalars(select(table.c.name).where(table.c.ended.is_(None))))


async def tell(registry: Registry, relay: Relay) -> None:
    """What the process does: see what is new, put it into the outbox, deliver."""
    store, now = Mortal(registry.store, relay.fate), lambda: float(registry.now)
    while True:
        async with store.write() as connection:
            more = await announce(connection, POST, registry.now)
        if not more:
            break
    async with store.write() as connection:
        await announce_releases(connection, POST, registry.now)
    await empty(store, relay, now)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Mortal:
    """A store whose user dies before a transaction is kept, or right after."""

    store: Store
    fate: Fate

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self.store.write() as connection:
            yield connection
            self.fate.meet()
        self.fate.meet()


async def test_a_day_of_kills(registry: Registry, tmp_path: Path) -> None:
    async with await open_store(write_empty(tmp_path / "calm.db")) as calm:
        quiet = await live(Registry(calm), Fate(Random(0), 0.0))
    assert set(quiet.taken.values()) == {1} and len(quiet.taken) > 25
    stormy = await live(registry, Fate(Random(1), 0.2))
    assert stormy.fate.deaths > 15
    assert stormy.taken.keys() == quiet.taken.keys()
    assert {name: count - 1 for name, count in stormy.taken.items() if count > 1} == dict(stormy.torn)
    assert await waiting(registry) == set()

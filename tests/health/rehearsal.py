"""Rounds over real sockets and a real store, by a clock that the test moves."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from redirector.health.hysteresis import State
from redirector.health.pace import Pace
from redirector.health.probing import open_probes
from redirector.health.report import HostHealth
from redirector.health.round import Crawler, Round, Wanted
from redirector.health.rules import Rules
from redirector.health.safety import Safety
from redirector.health.world import load_world
from redirector.store.opening import Store, open_store
from tests.health.mirrors import Handler, World, make_world
from tests.store.empty import write_empty

BEGIN = 1_795_000_000
"""The clock's first second; the master's first push is an hour older."""

HASTE = 100
"""How much faster the seconds go by which a mirror's four requests are counted."""


@dataclass(eq=False)
class Rehearsal:
    """A world, a crawler, and a clock."""

    world: World
    store: Store
    crawler: Crawler
    clock: list[float]
    last: Round | None = None
    entries: dict[str, HostHealth] = field(default_factory=dict)

    async def round(self, minutes: float = 0, wanted: Wanted | None = None) -> Round:
        """Everybody is visited *minutes* later."""
        self.clock[0] += minutes * 60
        made = await self.crawler.round(wanted or Wanted(since=self.clock[0]))
        assert made is not None
        self.last = made
        if not made.void:
            self.entries = {key.partition(".")[0]: entry for key, entry in made.entries.items()}
        return made

    def state(self, name: str) -> State:
        return self.entries[name].state

    def requests(self, name: str) -> int:
        assert self.last is not None
        return next(each.requests for each in self.last.results if each.subject.key.startswith(f"{name}."))


@asynccontextmanager
async def rehearse(
    folder: Path,
    behaviours: Mapping[str, Handler | None],
    *,
    vantage: str = "main",
    probing: Mapping[str, Any] | None = None,
    source: str = "tree",
    **config: Any,
) -> AsyncIterator[Rehearsal]:
    """A crawler over a world with these behaviours.

    probing  options of its probes
    source   below *folder*, what is crawled
    """
    clock = [float(BEGIN)]

    def now() -> float:
        return clock[0]

    async with (
        make_world(folder, BEGIN - 3600, behaviours) as world,
        await open_store(write_empty(folder / "health.db")) as store,
    ):
        world.write_config(**config)
        async with crawler_of(world, store, now, vantage, probing, source) as crawler:
            yield Rehearsal(world, store, crawler, clock)


@asynccontextmanager
async def crawler_of(
    world: World,
    store: Store,
    now: Any,
    vantage: str,
    probing: Mapping[str, Any] | None = None,
    source: str = "tree",
) -> AsyncIterator[Crawler]:
    """One more crawler over the same world and store."""
    pace = Pace(now=now, monotonic=lambda: time.monotonic() * HASTE)
    probes = open_probes(
        pace=pace,
        safety=Safety((ip_network("127.0.0.0/8"), ip_network("::1/128"))),
        agent="redirector-crawler/test",
        vantage=vantage,
        now=now,
        monotonic=time.monotonic,
        **(probing or {}),
    )
    path = str(world.folder.parent / source)
    try:
        yield Crawler(store, probes, lambda known, at: load_world(path, known, at, Rules(), ()), vantage, 1.0, now)
    finally:
        await probes.close()


def visited(file: Path) -> set[str]:
    """The hosts whose visits are in the store; nobody's while there is none."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            return {host for (host,) in store.execute("select distinct host from health_visit")}
    except sqlite3.OperationalError:
        return set()

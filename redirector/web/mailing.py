"""While the registry serves, what happened in it is told: events become parcels, and parcels are delivered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from redirector import __version__
from redirector.errors import StoreError
from redirector.health.send import Courier, keep_empty
from redirector.registry.announcing import MARK, Post, announce, announce_releases
from redirector.settings.mail import Telling
from redirector.store.opening import Store
from redirector.store.registry import queries

_log = logging.getLogger("redirector.web")

EVENTS_S = 1.0
"""How long an event waits at most, whichever process or command wrote it."""

RELEASES_S = 60.0
"""How often it is looked whether a release became public."""


class Postman:
    """Tells people and programs of what happened in the registry."""

    def __init__(self, store: Store, post: Post, telling: Telling, now: Callable[[], float]) -> None:
        self._store = store
        self._post = post
        self._now = now
        agent = f"redirector-registry/{__version__}" + (f" (+{post.pages})" if post.pages else "")
        self.courier = Courier(telling.mail, telling.hooks, agent=agent, now=now)
        self._wake = asyncio.Event()
        self._looked = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._announce())
            group.create_task(keep_empty(self._store, self.courier, self._now, self._wake))

    async def _announce(self) -> None:
        while True:
            try:
                await self.step()
            except StoreError as error:
                _log.error("%s", error)
            await asyncio.sleep(EVENTS_S)

    async def step(self) -> None:
        """Put into the outbox all that is to be told now. Raises StoreError."""
        news = False
        while await self._has_news():
            news = True
            async with self._store.write() as connection:
                more = await announce(connection, self._post, int(self._now()))
            self._wake.set()
            if not more:
                break
        if news or abs(self._now() - self._looked) >= RELEASES_S:
            self._looked = self._now()
            async with self._store.write() as connection:
                told = await announce_releases(connection, self._post, int(self._now()))
            if told:
                self._wake.set()

    async def _has_news(self) -> bool:
        async with self._store.read() as connection:
            mark = int(await queries.find_fact(connection, MARK) or 0)
            return bool(await queries.list_events(connection, after=mark, limit=1))

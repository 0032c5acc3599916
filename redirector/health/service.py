"""The crawler as a service: rounds until it is told to stop, the health file, a listener for metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from redirector.errors import SnapshotError, StoreError
from redirector.files import write_atomically
from redirector.health.report import HostHealth, render_health, render_metrics
from redirector.health.round import Crawler, Round, Wanted
from redirector.health.spread import count_mirrors, render_spread
from redirector.health.telling import Teller
from redirector.settings.option import Address

log = logging.getLogger("redirector.health")

TICK_S = 60.0
"""How long somebody who became due waits at most, and how soon a push at the master is seen."""

TICKS_AN_INTERVAL = 15
WRITTEN_S = 300.0
"""The health file is written anew at least so often, though nothing changed: whoever reads it sees that we look."""

SICK_AFTER_INTERVALS = 4

KEPT_WITHIN_S = 2.0
"""How long what was seen has to be written down once we are to stop; five seconds later we are to be gone."""


class Service:
    """Rounds, one after the other.

    path      of the health file; None: none is written
    teller    tells mirrors' admins; None: nobody is told
    interval_s  between visits, as the clock on the wall sees it
    then      what else follows a round that concluded something
    """

    def __init__(
        self,
        crawler: Crawler,
        path: str | None,
        interval_s: float,
        now: Callable[[], float],
        then: Callable[[Round], Awaitable[object]] | None = None,
        teller: Teller | None = None,
    ) -> None:
        self._crawler = crawler
        self._path = path
        self._interval_s = interval_s
        self._now = now
        self._then = then
        self._teller = teller
        self._entries: Mapping[str, HostHealth] = {}
        self._checked = 0.0
        self._written = 0.0
        self._took_s: float | None = None
        self._void = 0
        self._spread = b""
        self._begun = now()

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set. What cannot be read or written now is tried again at the next round."""
        tick_s = min(TICK_S, max(1.0, self._interval_s / TICKS_AN_INTERVAL))
        while not stop.is_set():
            made = await self._attempt(stop)
            if made is not None:
                self.take(made)
                await self._follow(made)
                await self._tell(made)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), tick_s)

    async def _attempt(self, stop: asyncio.Event) -> Round | None:
        """One round; None when it failed or was to stop."""
        task = asyncio.ensure_future(self._crawler.round(Wanted()))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return None
            return task.result()
        except (SnapshotError, StoreError) as error:
            for line in str(error).split("\n"):
                log.error("%s", line)
            return None
        finally:
            await end(task, stopped)

    async def _follow(self, made: Round) -> None:
        if self._then is None or made.void or not made.results:
            return
        try:
            await self._then(made)
        except StoreError as error:
            log.error("%s", error)

    def take(self, made: Round) -> None:
        """What a round found is told."""
        if made.results:
            self._took_s = made.took_s
        if made.void:
            self._void += 1
            log.warning("nothing concluded: %s", made.void)
            return
        for key, (before, after) in sorted(made.changes.items()):
            if after.state is not before:
                log.info("%s: %s, was %s%s", key, after.state, before, f": {after.reason}" if after.reason else "")
        self._entries = made.entries or self._entries
        if made.world is not None:
            counts = count_mirrors(self._entries, made.world.subjects, made.world.masters) if self._entries else {}
            self._spread = render_spread(counts, made.pushes)
        if made.results:
            self._checked = made.at
        if self._path and self._entries and (made.results or made.at - self._written >= WRITTEN_S):
            try:
                write_health(self._path, self._entries, self._checked or made.at)
                self._written = made.at
            except OSError as error:
                log.error("%s: cannot be written: %s", self._path, error.strerror)

    async def _tell(self, made: Round) -> None:
        if self._teller is None:
            return
        try:
            await self._teller.tell(made)
        except StoreError as error:
            log.error("%s", error)

    async def answer_metrics(self, request: web.Request) -> web.Response:
        text = render_metrics(
            self._entries,
            self._checked,
            self._crawler.counts,
            self._took_s,
            self._void,
            self._teller.counts if self._teller is not None else {},
        )
        return web.Response(body=text + self._spread, content_type="text/plain", charset="utf-8")

    async def answer_health(self, request: web.Request) -> web.Response:
        """200 while something was concluded lately."""
        last = self._checked or self._begun
        well = self._now() - last <= SICK_AFTER_INTERVALS * max(self._interval_s, TICK_S)
        return web.Response(text="ok\n" if well else "nothing concluded lately\n", status=200 if well else 503)


@asynccontextmanager
async def listen(service: Service, address: Address | None) -> AsyncIterator[None]:
    """`/metrics` and `/healthz` at *address*, while the block runs. Raises OSError."""
    if address is None:
        yield
        return
    application = web.Application()
    application.router.add_get("/metrics", service.answer_metrics)
    application.router.add_get("/healthz", service.answer_health)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        if address.path is not None:
            await web.UnixSite(runner, address.path).start()
        else:
            site = web.TCPSite(runner, address.host, address.port)
            await site.start()
        log.info("metrics at %s", address)
        yield
    finally:
        await runner.cleanup()


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel *tasks*, and wait for what they still write down; what takes longer than it may is given up, and said."""
    running = {task for task in tasks if not task.done()}
    for within_s in (KEPT_WITHIN_S, None):
        for task in running:
            task.cancel()
        left = (await asyncio.wait(running, timeout=within_s))[1] if running else set()
        if not left:
            break
    for task in running:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s", error)


def write_health(path: str, entries: Mapping[str, HostHealth], checked: float) -> None:
    """Put the health file at *path*, for whoever answers to read. Raises OSError."""
    write_atomically(path, render_health(entries, checked), mode=0o644)

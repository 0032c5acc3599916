"""The mirrors: a few dozen ways to be one, on addresses of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from demo.mirrors import Mirror
from demo.tree import push, synchronize

COUNTRIES = ("DE", "US", "FR", "JP", "BR", "ZA", "AU", "NL", "GB", "SE", "IN", "KE", "CA", "MX", "SG", "PL")
KEPT_PUSHES = 12
"""Files of older pushes leave the master, and then the mirrors."""

HONEST, HTML, BROKEN, BUSY = "honest", "html", "broken", "busy"
"""How it answers: as it should; everything is one page; indexes are cut off; too busy just now."""


@dataclass(slots=True)
class Master:
    """The tree that all copy, when each push was whole, and when a scan saw it first."""

    folder: Path
    pushed: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def push(self, clock: Callable[[], float]) -> None:
        """The next push; nobody copies meanwhile.

        It counts from when it is whole: a scan that began while it waited for those who copy, or was under way, has
        not seen it.
        """
        async with self.lock:
            number = len(self.pushed) + 1
            await asyncio.to_thread(push, self.folder, number, int(clock()), random.Random(number))
            self.pushed.append(clock())
            if number > KEPT_PUSHES:
                await asyncio.to_thread(self._forget, int(self.pushed[-KEPT_PUSHES - 1]))

    @property
    def unseen(self) -> bool:
        """No scan has seen the last push yet."""
        return len(self.seen) < len(self.pushed)

    def _forget(self, before: int) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_mtime < before:
                path.unlink()

    def lag_s(self, has: int, now: float) -> float:
        """Seconds since a scan saw the first push that a mirror lacks that has the first *has*; 0 when none did."""
        return now - self.seen[has] if has < len(self.seen) else 0.0

    def scanned(self, began: float, ended: float) -> None:
        """A scan from *began* to *ended* saw what was pushed before."""
        self.seen += [ended for pushed in self.pushed[len(self.seen) :] if pushed < began]


def link(source: Path, target: Path) -> None:
    """The same file under another name: the master never writes into one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.fresh")
    fresh.unlink(missing_ok=True)
    os.link(source, fresh)
    os.replace(fresh, target)


@dataclass(slots=True)
class Machine(Mirror):
    """A mirror of the soak.

    network   its clients' network, when it is private
    client    a client in there
    has       pushes that it has copied
    mode      how it answers
    probed    requests of the crawler
    """

    network: str = ""
    client: str = ""
    has: int = 0
    mode: str = HONEST
    probed: int = 0

    @property
    def private(self) -> bool:
        """From the beginning."""
        return bool(self.network)

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.served += 1
        self.probed += request.headers.get("User-Agent", "").startswith("redirector-crawler")
        if self.mode == HTML:
            return web.Response(text="<!DOCTYPE html><title>Welcome</title>", content_type="text/html")
        if self.mode == BUSY:
            return web.Response(status=503, headers={"Retry-After": "2"})
        if self.mode == BROKEN and request.path.endswith("repomd.xml"):
            return web.Response(
                body=b'<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu', content_type="text/xml"
            )
        try:
            return await handler(request)
        except (FileNotFoundError, ConnectionResetError) as gone:
            raise web.HTTPNotFound from gone

    async def copy(self, master: Master, folder: Path) -> None:
        """One synchronization."""
        async with master.lock:
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(synchronize, master.folder, folder, self.without, link)
                self.has = len(master.pushed)


def make_machines(count: int, sync_s: float, slow_s: float) -> Sequence[Machine]:
    """*count* mirrors. Of twenty: one is private, two are slow, two lack release 2, the others are well.

    sync_s  between two synchronizations of most
    slow_s  of the slow ones
    """
    made = []
    for number in range(count):
        kind = number % 20
        private = kind == 7
        made.append(
            Machine(
                name=f"{'inner' if private else 'mirror'}-{number:03}.example.{('org', 'net', 'com')[number % 3]}",
                habit={3: "slow", 13: "slow", 5: "part", 15: "part", 7: "private"}.get(kind, "well"),
                address=f"127.{2 if private else 1}.{number // 200}.{number % 200 + 1}",
                country=COUNTRIES[number % len(COUNTRIES)],
                bandwidth_mbit=(100, 1000, 10_000)[number % 3],
                every_s=slow_s if kind in (3, 13) else sync_s,
                without=("2",) if kind in (5, 15) else (),
                network=f"41.{100 + number // 20}.0.0/16" if private else "",
                client=f"41.{100 + number // 20}.3.4" if private else "",
            )
        )
    return made

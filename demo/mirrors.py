"""Five mirrors, each a web server on an address of its own, and each with its own way of being a mirror."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from demo.tree import synchronize

TOP = "linux"
"""The folder in which mirrors offer the tree."""


@dataclass(slots=True)
class Mirror:
    """A mirror's habits. Times in seconds, at pace 1 of the demo.

    every_s   between two synchronizations
    without   what it leaves out of the tree
    up_s      how long it runs before it dies, at the least; 0: it never does
    down_s    how long it is dead, at the least
    """

    name: str
    habit: str
    address: str
    country: str
    bandwidth_mbit: int
    every_s: float = 3.0
    without: tuple[str, ...] = ()
    up_s: float = 0.0
    down_s: float = 0.0
    served: int = 0
    alive: bool = True
    _runner: web.AppRunner | None = field(default=None, init=False)

    def url(self, port: int) -> str:
        """Its base URL."""
        return f"http://{self.address}:{port}/{TOP}/"

    async def start(self, folder: Path, port: int) -> None:
        """Answer from *folder*."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.answer(request, handler)

        application = web.Application(middlewares=[answer])
        application.router.add_static(f"/{TOP}", folder)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, port).start()
        self.alive = True

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A file, as *handler* gives it."""
        self.served += 1
        return await handler(request)

    async def stop(self) -> None:
        """Answer nobody."""
        self.alive = False
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def synchronize_for_ever(self, master: Path, folder: Path) -> None:
        """Copy the master again and again. A push that comes in between is copied the next time."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(synchronize, master, folder, self.without)
            await asyncio.sleep(self.every_s)


def five_mirrors() -> tuple[Mirror, ...]:
    """The cast."""
    return (
        Mirror("well.example.org", "is well", "127.0.0.11", "DE", 10_000),
        Mirror("fine.example.net", "is well", "127.0.0.12", "US", 1_000),
        Mirror("slow.example.com", "synchronizes rarely", "127.0.0.13", "FR", 1_000, every_s=150.0),
        Mirror("part.example.edu", "carries release 1 alone", "127.0.0.14", "JP", 1_000, without=("2",)),
        Mirror("dies.example.org", "dies and comes back", "127.0.0.15", "BR", 1_000, up_s=40.0, down_s=40.0),
    )

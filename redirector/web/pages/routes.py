"""The public pages by URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from redirector.settings.joining import Join
from redirector.store.opening import Store
from redirector.web.frame import Frame, html_of, page_bytes
from redirector.web.pages import pages
from redirector.web.pages.filters import read_choice
from redirector.web.pages.pages import Page
from redirector.web.pages.render import style_sheet
from redirector.web.pages.shown import Shelf, Shown, read_past

FrameOf = Callable[[web.Request, str], Awaitable[Frame]]
"""The head of a page at a path, for whoever asks."""


@dataclass(frozen=True, slots=True)
class PublicPages:
    """The pages over a store; *frame_of* knows who asks."""

    store: Store
    shelf: Shelf
    now: Callable[[], float]
    join: Join
    url: str
    sign_key: str
    frame_of: FrameOf

    def add_to(self, application: web.Application) -> None:
        """The routes."""
        router = application.router
        router.add_get("/style.css", self.style)
        router.add_get("/mirrors", self.mirrors)
        router.add_get("/mirrors/{host}", self.mirror)
        router.add_get("/map", self.map)
        router.add_get("/propagation", self.propagation)
        router.add_get("/statistics", self.statistics)
        router.add_get("/join", self.join_page)
        router.add_get("/join/sizes.txt", self.sizes)

    async def style(self, _: web.Request) -> web.Response:
        """The style sheet."""
        return web.Response(body=style_sheet(), content_type="text/css", headers={"Cache-Control": "max-age=3600"})

    async def _shown(self) -> Shown:
        async with self.store.read() as connection:
            return await self.shelf.read(connection, int(self.now()))

    async def _answer(self, request: web.Request, here: str, make: Callable[[Shown], Page]) -> web.Response:
        """The page that *make* makes; visitors are given the one that another was given, while it holds."""
        shown = await self._shown()
        frame = await self.frame_of(request, here)
        shared = not frame.account and not request.query_string
        body = self.shelf.bodies.get(request.path) if shared else None
        if body is None:
            page = make(shown)
            body = page_bytes(frame, page.template, page.values)
            if shared:
                self.shelf.keep(request.path, body)
        return html_of(frame, body)

    async def mirrors(self, request: web.Request) -> web.Response:
        """The list."""
        choice = read_choice(request.query)
        return await self._answer(request, "/mirrors", lambda shown: pages.mirrors_page(shown, choice))

    async def mirror(self, request: web.Request) -> web.Response:
        """One mirror."""
        now = int(self.now())
        async with self.store.read() as connection:
            shown = await self.shelf.read(connection, now)
            mirror = shown.find(request.match_info["host"])
            if mirror is None:
                raise web.HTTPNotFound
            past = await read_past(connection, mirror.host, now, shown.embargo)
        return await self._answer(request, "", lambda shown: pages.mirror_page(shown, mirror, past))

    async def map(self, request: web.Request) -> web.Response:
        """The map."""
        return await self._answer(request, "/map", pages.map_page)

    async def propagation(self, request: web.Request) -> web.Response:
        """How pushes spread."""
        name = request.query.get("repository", "")
        return await self._answer(request, "/propagation", lambda shown: pages.propagation_page(shown, name))

    async def statistics(self, request: web.Request) -> web.Response:
        """What was counted."""
        return await self._answer(request, "/statistics", pages.statistics_page)

    async def sizes(self, _: web.Request) -> web.Response:
        """How much disk it takes, for programs."""
        return web.Response(body=pages.sizes_text(await self._shown()), content_type="text/plain", charset="utf-8")

    async def join_page(self, request: web.Request) -> web.Response:
        """Rules for mirrors."""
        return await self._answer(
            request, "/join", lambda shown: pages.join_page(shown, self.join, self.url, self.sign_key)
        )

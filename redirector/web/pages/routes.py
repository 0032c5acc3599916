"""The public pages by URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from aiohttp import web

from redirector.settings.joining import Join
from redirector.store.opening import Store
from redirector.web.frame import Frame, html_of, page_bytes
from redirector.web.pages import pages
from redirector.web.pages.filters import read_choice
from redirector.web.pages.pages import Page
from redirector.web.pages.render import style_sheet
from redirector.web.pages.shown import Shelf, Shown, read_past, read_spread

FrameOf = Callable[[web.Request, str], Awaitable[Frame]]
"""The head of a page at a path, for whoever asks."""

Make = Callable[[Shown], Awaitable[Page]]


def at_once(make: Callable[[Shown], Page]) -> Make:
    """Of a page for which nothing more is read."""

    async def made(shown: Shown) -> Page:
        return make(shown)

    return made


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

    async def _shown(self, *, person: bool = False) -> Shown:
        """What is to be shown. *person*: to somebody who is logged in, and sees each edit at once."""
        now = int(self.now())
        if not person:
            return await self.shelf.read_for_visitors(self.store, now)
        async with self.store.read() as connection:
            return await self.shelf.read(connection, now)

    async def _answer(self, request: web.Request, here: str, what: Hashable, make: Make) -> web.Response:
        """The page that *make* makes; visitors are given the one that another was given, while it holds.

        what  all that it depends on beside what is shown
        """
        frame = await self.frame_of(request, here)
        shown = await self._shown(person=bool(frame.account))
        if frame.account:
            made = await make(shown)
            return html_of(frame, page_bytes(frame, made.template, made.values))
        key = (request.path, what)
        page = self.shelf.page(key, shown)
        if page is None:
            async with self.shelf.turn(key):
                page = self.shelf.page(key, shown)
                if page is None:
                    made = await make(shown)
                    page = page_bytes(frame, made.template, made.values)
                    self.shelf.keep(key, shown, page)
        return html_of(frame, page)

    async def mirrors(self, request: web.Request) -> web.Response:
        """The list."""
        choice = read_choice(request.query)
        return await self._answer(request, "/mirrors", choice, at_once(lambda shown: pages.mirrors_page(shown, choice)))

    async def mirror(self, request: web.Request) -> web.Response:
        """One mirror."""

        async def make(shown: Shown) -> Page:
            mirror = shown.find(request.match_info["host"])
            if mirror is None:
                raise web.HTTPNotFound
            async with self.store.read() as connection:
                past = await read_past(connection, mirror.host, shown.now, shown.embargo)
            return pages.mirror_page(shown, mirror, past)

        return await self._answer(request, "", None, make)

    async def map(self, request: web.Request) -> web.Response:
        """The map."""
        return await self._answer(request, "/map", None, at_once(lambda shown: pages.map_page(shown)))

    async def propagation(self, request: web.Request) -> web.Response:
        """How pushes spread."""
        name = request.query.get("repository", "")

        async def make(shown: Shown) -> Page:
            if name not in shown.spreading:
                return pages.propagation_page(shown)
            async with self.store.read() as connection:
                return pages.propagation_page(shown, name, await read_spread(connection, shown.now, [name]))

        return await self._answer(request, "/propagation", name[:255], make)

    async def statistics(self, request: web.Request) -> web.Response:
        """What was counted."""
        return await self._answer(request, "/statistics", None, at_once(lambda shown: pages.statistics_page(shown)))

    async def sizes(self, _: web.Request) -> web.Response:
        """How much disk it takes, for programs."""
        text = pages.sizes_text(await self._shown())
        return web.Response(body=text, content_type="text/plain", charset="utf-8")

    async def join_page(self, request: web.Request) -> web.Response:
        """Rules for mirrors."""
        return await self._answer(
            request, "/join", None, at_once(lambda shown: pages.join_page(shown, self.join, self.url, self.sign_key))
        )

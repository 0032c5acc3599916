"""A connection to the operator's listener: bounded in number, and cut when it does not ask."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 64
"""Operators, scrapers and probes together are a handful; each connection is a descriptor of the supervisor."""

REQUEST_TIMEOUT_S = 10.0
"""How long a client may take for a whole request: its first one, and each that it began."""


class AdminConnection(RequestHandler):
    """A connection of aiohttp's that is closed when a request does not arrive whole in time.

    opened  all connections that are open, shared by them
    """

    __slots__ = ("_opened", "_timer")

    def __init__(self, server: web.Server, opened: set[AdminConnection], **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._opened = opened
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._opened) >= MAX_CONNECTIONS:
            cast(asyncio.Transport, transport).abort()
            return
        self._opened.add(self)
        self._wait()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._opened.discard(self)
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; bytes of a request that is not whole yet start the clock."""
        super().data_received(data)
        if self._messages or self._current_request is not None:
            self._stop_waiting()
        elif data and self._timer is None:
            self._wait()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(REQUEST_TIMEOUT_S, self._cut)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._timer = None
        if self.transport is not None:
            self.transport.abort()

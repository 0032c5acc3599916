"""Where mail and hooks arrive: a relay that can be away, and a web server that takes what it is told."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(slots=True)
class Post:
    """What arrived.

    mails   (to, subject) -> how often
    ids     `Message-ID`s that came twice
    events  (kind, site) -> how often
    """

    relay_port: int
    hook_port: int
    mails: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)
    twice: int = 0
    _relay: asyncio.Server | None = None
    _hook: web.AppRunner | None = None

    @property
    def hook_url(self) -> str:
        """Where events are sent."""
        return f"http://127.0.0.1:{self.hook_port}/events"

    async def start(self) -> None:
        """Take what comes."""
        await self.start_relay()
        application = web.Application()
        application.router.add_post("/events", self._take_event)
        self._hook = web.AppRunner(application, access_log=None)
        await self._hook.setup()
        await web.TCPSite(self._hook, "127.0.0.1", self.hook_port).start()

    async def start_relay(self) -> None:
        """Take mail."""
        loop = asyncio.get_running_loop()
        self._relay = await loop.create_server(
            lambda: SMTP(self, hostname="relay.example.org", loop=loop), "127.0.0.1", self.relay_port
        )

    async def stop_relay(self) -> None:
        """Refuse connections."""
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    async def stop(self) -> None:
        """Take nothing more."""
        await self.stop_relay()
        if self._hook is not None:
            await self._hook.cleanup()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        number = str(message["Message-ID"])
        if number in self._seen:
            self.twice += 1
        else:
            self._seen.add(number)
            self.mails[(str(message["To"]), str(message["Subject"]))] += 1
        return "250 taken"

    async def _take_event(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.events[(str(told["kind"]), str(told.get("site", "")))] += 1
        return web.Response(status=204)

"""Takes what waits in the outbox to people by mail, and to programs by a webhook or a command.

What cannot be delivered now is tried again, later and later; only what nobody will ever take is given up. A mail has
the same `Message-ID` at every attempt, so that one that went through though nobody told us is seen to be the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

import aiohttp
import aiosmtplib

from redirector.errors import StoreError
from redirector.health.evidence import printable
from redirector.master import programs
from redirector.settings.mail import Hook, Mail, is_mail_address
from redirector.store import outbox
from redirector.store.opening import Store
from redirector.store.outbox import Claimed, Parcel

log = logging.getLogger("redirector.health")

MAIL_S = 60.0
WEBHOOK_S = 20.0
COMMAND_S = 30.0
RETRY_S = (60, 120, 300, 900, 1800, 3600)
"""After the first, second … failure; the last again and again."""

GIVEN_UP_AFTER_S = 14 * 86400
"""What nobody took for two weeks says nothing that is still true."""

AT_ONCE = 10
POLL_S = 30.0
_ANSWER_BYTES = 64 << 10


@dataclass(eq=False)
class Failed(Exception):
    """It was not taken. *final*: it never will be."""

    reason: str
    final: bool = False

    def __str__(self) -> str:
        return self.reason


class Courier:
    """Delivers one parcel at a time, within bounded time.

    mail   None: mails wait
    agent  `User-Agent` of webhooks
    now    the clock
    """

    def __init__(
        self,
        mail: Mail | None,
        hooks: tuple[Hook, ...],
        *,
        agent: str,
        now: Callable[[], float],
        mail_s: float = MAIL_S,
        webhook_s: float = WEBHOOK_S,
        command_s: float = COMMAND_S,
    ) -> None:
        self._mail = mail
        self._hooks = {hook.target: hook for hook in hooks}
        self._agent = agent
        self._now = now
        self._mail_s = mail_s
        self._webhook_s = webhook_s
        self._command_s = command_s
        self._context: ssl.SSLContext | None = None
        self.counts: dict[tuple[str, str], int] = {}

    async def deliver(self, claimed: Claimed) -> None:
        """Deliver it. Raises Failed."""
        parcel = claimed.parcel
        match parcel.channel:
            case "mail":
                await self._send_mail(parcel, claimed.made)
            case "webhook":
                await self._call(parcel)
            case "command":
                await self._run(parcel)
            case other:
                raise Failed(f"nobody knows how to send by {other}", final=True)

    async def _send_mail(self, parcel: Parcel, made: int) -> None:
        if self._mail is None:
            raise Failed("no relay is named")
        if not is_mail_address(parcel.target):
            raise Failed("no mail address", final=True)
        message = compose(self._mail, parcel, made)
        relay = self._mail
        local = relay.host in ("localhost", "::1") or relay.host.startswith("127.")
        try:
            async with asyncio.timeout(self._mail_s):
                _ = await aiosmtplib.send(
                    message,
                    sender=parseaddr(relay.sender)[1],
                    recipients=[parcel.target],
                    hostname=relay.host,
                    port=relay.port,
                    use_tls=relay.tls,
                    start_tls=False if relay.tls or local else None,
                    tls_context=self._tls(),
                    timeout=self._mail_s,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            raise Failed(_said(first.code, first.message), final=500 <= first.code < 600) from None
        except aiosmtplib.SMTPResponseException as error:
            raise Failed(_said(error.code, error.message)) from None
        except TimeoutError:
            raise Failed("the relay did not answer in time") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise Failed(printable(f"relay: {error}")) from None

    def _tls(self) -> ssl.SSLContext:
        """Whom the relay must prove to be. STARTTLS is better than nothing, and then no certificate is believed."""
        if self._context is None:
            if self._mail is not None and self._mail.tls:
                self._context = ssl.create_default_context()
            else:
                self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        return self._context

    async def _call(self, parcel: Parcel) -> None:
        hook = self._hook(parcel)
        body = parcel.body.encode()
        headers = {"Content-Type": "application/json", "User-Agent": self._agent, "Idempotency-Key": parcel.name}
        if hook.secret_file is not None:
            headers["X-Redirector-Signature"] = sign(_read_secret(hook.secret_file), body, int(self._now()))
        try:
            async with (
                asyncio.timeout(self._webhook_s),
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
                session.post(hook.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                _ = await response.content.read(_ANSWER_BYTES)
                status = response.status
        except TimeoutError:
            raise Failed("the webhook did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Failed(printable(f"webhook: {error}")) from None
        if status == 410:
            raise Failed("the webhook is gone (410)", final=True)
        if not 200 <= status < 300:
            raise Failed(f"the webhook answered {status}" + (", a redirect" if 300 <= status < 400 else ""))

    async def _run(self, parcel: Parcel) -> None:
        hook = self._hook(parcel)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG") if name in os.environ}
        try:
            process = await programs.start(
                *hook.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
            )
        except (OSError, ValueError) as error:
            raise Failed(f"{hook.command[0]}: {error}") from None
        try:
            async with asyncio.timeout(self._command_s):
                _ = await process.communicate(parcel.body.encode())
        except TimeoutError:
            raise Failed(f"{hook.command[0]}: no end within {self._command_s:g} s") from None
        finally:
            programs.end(process)
            _ = await process.wait()
        if process.returncode != 0:
            raise Failed(f"{hook.command[0]}: exit {process.returncode}")

    def _hook(self, parcel: Parcel) -> Hook:
        hook = self._hooks.get(parcel.target)
        if hook is None:
            raise Failed("the configuration no longer names it", final=True)
        return hook


def compose(mail: Mail, parcel: Parcel, made: int) -> EmailMessage:
    """The mail: plain text, marked as written by a program. No part of it can add a header."""
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(mail.sender)
    message["From"] = Address(display_name=name, addr_spec=address)
    message["To"] = Address(addr_spec=parcel.target)
    if mail.reply_to is not None:
        name, reply = parseaddr(mail.reply_to)
        message["Reply-To"] = Address(display_name=name, addr_spec=reply)
    message["Subject"] = printable(parcel.subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(made, UTC))
    digest = hashlib.blake2b(parcel.name.encode(), digest_size=16).hexdigest()
    message["Message-ID"] = f"<{digest}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Precedence"] = "bulk"
    message.set_content(
        "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in parcel.body)
    )
    return message


def sign(secret: bytes, body: bytes, now: int) -> str:
    """`t=EPOCH,v1=HEX`: HMAC-SHA256 of `EPOCH.BODY`, so that what was caught once cannot be sent again later."""
    return f"t={now},v1={hmac.new(secret, b'%d.%s' % (now, body), hashlib.sha256).hexdigest()}"


def _read_secret(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            secret = file.read(4097).strip()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
    if not 0 < len(secret) <= 4096:
        raise Failed(f"{path}: holds no secret")
    return secret


def _said(code: int, text: str) -> str:
    return printable(f"the relay said {code} {' '.join(text.split())}")


async def empty(store: Store, courier: Courier, now: Callable[[], float]) -> int:
    """Deliver all that is due, some at once. Returns how many went out. Raises StoreError."""
    gone = 0
    while True:
        async with store.write() as connection:
            claimed = await outbox.claim(connection, int(now()), AT_ONCE)
        if not claimed:
            return gone
        gone += sum(await asyncio.gather(*(_attempt(store, courier, each, now) for each in claimed)))


async def _attempt(store: Store, courier: Courier, claimed: Claimed, now: Callable[[], float]) -> bool:
    """Whether it went out; what came of it is written down at once."""
    parcel = claimed.parcel
    failure: Failed | None = None
    try:
        await courier.deliver(claimed)
    except Failed as caught:
        failure = caught
        log.warning("%s to %s: %s", parcel.kind, parcel.target, failure)
    at = int(now())
    async with store.write() as connection:
        if failure is None:
            await outbox.end(connection, claimed.id, at, sent=True)
        elif failure.final or at - claimed.made > GIVEN_UP_AFTER_S:
            log.error("%s to %s given up: %s", parcel.kind, parcel.target, failure)
            await outbox.end(connection, claimed.id, at, sent=False, error=failure.reason)
        else:
            await outbox.postpone(connection, claimed.id, at + _pause(claimed.attempts), failure.reason)
    outcome = "sent" if failure is None else "given-up" if failure.final else "failed"
    key = (parcel.kind, outcome)
    courier.counts[key] = courier.counts.get(key, 0) + 1
    return failure is None


def _pause(attempts: int) -> int:
    return RETRY_S[min(attempts, len(RETRY_S)) - 1]


async def keep_empty(store: Store, courier: Courier, now: Callable[[], float], wake: asyncio.Event) -> None:
    """Deliver what is put in, for ever. *wake*: something was put in just now."""
    while True:
        wake.clear()
        try:
            _ = await empty(store, courier, now)
            async with store.write() as connection:
                await outbox.forget(connection, int(now()))
        except StoreError as error:
            log.error("%s", error)
        with suppress(TimeoutError):
            _ = await asyncio.wait_for(wake.wait(), POLL_S)

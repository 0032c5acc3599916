"""What waits in the outbox goes out: to relays that refuse, drip and are away, to webhooks that hang, to commands."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from hypothesis import given
from hypothesis import strategies as st

from redirector.health.send import RETRY_S, Courier, compose, empty, keep_empty, sign
from redirector.settings.mail import Hook, Mail
from redirector.store import outbox
from redirector.store.opening import Store, open_store
from redirector.store.outbox import CLAIM_S, Parcel
from tests.health.hostile import Behaviour, Request, always, answer, listening, mirror
from tests.patience import PATIENCE_S, SOON_S

T = 1_795_000_000


def parcel(channel: str = "mail", target: str = "admin@mirror.example", name: str = "n", **more: str) -> Parcel:
    usual = {"kind": "stale", "host": "m", "body": "Grüße\n", "subject": "mirror.example: ü"}
    return Parcel(name, channel, target=target, **{**usual, **more})


@dataclass
class Relay:
    """A mail server; *answers* say what it thinks of recipients."""

    port: int = 0
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    after_data: str = "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = self.answers.get(address, "250 OK")
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.after_data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.taken.append((envelope.rcpt_tos, message))
        return self.after_data

    def mail(self) -> Mail:
        return Mail("127.0.0.1", self.port, False, "Example Mirrors <mirrors@example.org>", "help@example.org")


@asynccontextmanager
async def relay(port: int = 0) -> AsyncIterator[Relay]:
    found = Relay()
    loop = asyncio.get_running_loop()
    protocols: list[SMTP] = []

    def make() -> SMTP:
        protocols.append(SMTP(found, hostname="relay", loop=loop))
        return protocols[-1]

    server = await loop.create_server(make, "127.0.0.1", port)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await server.wait_closed()
        for protocol in protocols:
            if protocol.transport is not None:
                protocol.transport.close()
        await asyncio.sleep(0.01)


@pytest.fixture
async def box(sqlite_url: str) -> AsyncIterator[Store]:
    """A store whose kind does not matter."""
    async with await open_store(sqlite_url) as opened:
        yield opened


class Clock:
    def __init__(self) -> None:
        self.at = float(T)

    def __call__(self) -> float:
        return self.at


def courier(
    mail: Mail | None = None,
    *hooks: Hook,
    now: Callable[[], float] = lambda: T,
    mail_s: float = PATIENCE_S,
    webhook_s: float = PATIENCE_S,
    command_s: float = PATIENCE_S,
) -> Courier:
    return Courier(mail, hooks, agent="redirector/0", now=now, mail_s=mail_s, webhook_s=webhook_s, command_s=command_s)


async def put(store: Store, *parcels: Parcel) -> int:
    async with store.write() as connection:
        return await outbox.put(connection, parcels, T)


async def waiting(store: Store) -> outbox.Waiting:
    async with store.read() as connection:
        return await outbox.find_waiting(connection)


async def test_a_mail_is_plain_text_and_says_that_a_program_wrote_it(box: Store) -> None:
    async with relay() as server:
        await put(box, parcel())
        assert await empty(box, courier(server.mail()), lambda: T) == 1
    ((recipients, message),) = server.taken
    assert recipients == ["admin@mirror.example"]
    assert (message["Auto-Submitted"], message.get_content_type()) == ("auto-generated", "text/plain")
    assert (message["From"], message["Reply-To"]) == ("Example Mirrors <mirrors@example.org>", "help@example.org")
    assert (message["Subject"], message["To"]) == ("mirror.example: ü", "admin@mirror.example")
    assert message.get_content().splitlines() == ["Grüße"]
    assert message["Date"].datetime.timestamp() == T


async def test_nothing_is_lost_while_the_relay_is_away_and_nothing_sent_twice(box: Store) -> None:
    clock = Clock()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sender = courier(Mail("127.0.0.1", port, False, "mirrors@example.org"), now=clock)
    await put(box, *(parcel(name=str(number), target=f"a{number}@mirror.example") for number in range(4)))
    for pause in (0, *RETRY_S):
        clock.at += pause
        assert await empty(box, sender, clock) == 0
    assert (await waiting(box)).count == 4
    assert (await waiting(box)).error
    async with relay(port) as server:
        clock.at += RETRY_S[-1]
        assert await empty(box, sender, clock) == 4
        clock.at += 86400
        assert await empty(box, sender, clock) == 0
    assert sorted(recipients[0] for recipients, _ in server.taken) == sorted(f"a{n}@mirror.example" for n in range(4))
    assert len({message["Message-ID"] for _, message in server.taken}) == 4
    assert sender.counts == {("stale", "failed"): 4 * 7, ("stale", "sent"): 4}


async def test_what_is_put_in_twice_is_sent_once(store: Store) -> None:
    async with relay() as server:
        assert await put(store, parcel(), parcel()) == 1
        await empty(store, courier(server.mail()), lambda: T)
        assert await put(store, parcel()) == 0
        assert await empty(store, courier(server.mail()), lambda: T) == 0
    assert len(server.taken) == 1


async def test_two_senders_at_once_send_each_once(store: Store) -> None:
    async with relay() as server:
        await put(store, *(parcel(name=str(number)) for number in range(25)))
        await asyncio.gather(*(empty(store, courier(server.mail()), lambda: T) for _ in range(3)))
    assert len(server.taken) == 25


async def test_what_a_killed_sender_had_claimed_is_sent_by_another_later_with_the_same_id(store: Store) -> None:
    await put(store, parcel())
    async with store.write() as connection:
        (claimed,) = await outbox.claim(connection, T, 10)
    async with relay() as server:
        assert await empty(store, courier(server.mail()), lambda: T + CLAIM_S - 1) == 0
        assert await empty(store, courier(server.mail()), lambda: T + CLAIM_S) == 1
    assert server.taken[0][1]["Message-ID"] == compose(server.mail(), claimed.parcel, claimed.made)["Message-ID"]


async def test_a_recipient_that_does_not_exist_is_given_up_and_one_that_is_full_is_not(box: Store) -> None:
    async with relay() as server:
        server.answers = {"gone@mirror.example": "550 no such user", "full@mirror.example": "452 mailbox full"}
        await put(box, *(parcel(name=who, target=f"{who}@mirror.example") for who in ("gone", "full", "well")))
        assert await empty(box, courier(server.mail()), lambda: T) == 1
    left = await waiting(box)
    assert (left.count, "452" in left.error) == (1, True)
    async with box.read() as connection:
        assert await outbox.count_ended(connection) == {("stale", True): 1, ("stale", False): 1}


async def test_a_relay_that_does_not_want_our_mail_today_gets_it_tomorrow(box: Store) -> None:
    async with relay() as server:
        server.after_data = "554 policy"
        await put(box, parcel())
        assert await empty(box, courier(server.mail()), lambda: T) == 0
        server.after_data = "250 OK"
        assert await empty(box, courier(server.mail()), lambda: T + 86400) == 1


async def test_what_nobody_took_for_two_weeks_is_given_up(box: Store) -> None:
    await put(box, parcel())
    assert await empty(box, courier(None), lambda: T + 15 * 86400) == 0
    assert (await waiting(box)).count == 0


@pytest.mark.parametrize("say", [b"", b"2", b"220 relay\r\n"], ids=["silent", "drips", "hangs-later"])
async def test_a_relay_that_keeps_us_waiting_does_so_for_a_bounded_time(box: Store, say: bytes) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say)
        while await reader.read(1000):
            if say == b"2":
                writer.write(b"2")

    async with listening(hang) as port:
        await put(box, parcel())
        began = time.monotonic()
        sender = courier(Mail("127.0.0.1", port, False, "mirrors@example.org"), mail_s=0.4)
        assert await empty(box, sender, lambda: T) == 0
        assert time.monotonic() - began < SOON_S
    assert (await waiting(box)).count == 1


@given(st.text(), st.text(), st.text(max_size=40))
def test_no_text_adds_a_header_or_a_recipient(subject: str, body: str, host: str) -> None:
    mail = Mail("127.0.0.1", 25, False, "Example <mirrors@example.org>")
    raw = compose(mail, parcel(subject=subject, body=body, host=host), T).as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    assert sorted(message.keys()) == sorted(
        "From To Subject Date Message-ID Auto-Submitted Precedence Content-Type Content-Transfer-Encoding "
        "MIME-Version".split()
    )
    assert str(message["To"]) == "admin@mirror.example"
    assert b"\r\n.\r\n" not in raw.replace(b"\r\n..\r\n", b"")


@pytest.mark.parametrize(
    "target",
    [
        "a@b.example\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "a b@c.example",
        "<a@b.example>",
        "a@",
        "@b",
        "ä@b.de",
    ],
)
async def test_what_is_no_address_is_not_sent_to(box: Store, target: str) -> None:
    async with relay() as server:
        await put(box, parcel(target=target))
        assert await empty(box, courier(server.mail()), lambda: T) == 0
    assert (server.taken, (await waiting(box)).count) == ([], 0)


MESSAGE = json.dumps({"kind": "stale", "host": "m"})


async def call(
    store: Store, behaviour: Behaviour, secret: Path | None = None, webhook_s: float = PATIENCE_S
) -> list[Request]:
    """Sends one message to a webhook that behaves so; returns what it got."""
    async with mirror(behaviour) as m:
        hook = Hook(("*",), f"http://{m.origin}/hook", secret_file=str(secret) if secret else None)
        await put(store, parcel("webhook", hook.target, body=MESSAGE))
        await empty(store, courier(None, hook, webhook_s=webhook_s), lambda: T)
    return m.requests


def taking(bodies: list[bytes]) -> Behaviour:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        bodies.append(request.head)
        writer.write(answer(b"", "204 No Content"))
        return False

    return behave


async def test_a_webhook_gets_json_signed_with_the_time(box: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    (request,) = await call(box, taking([]), secret)
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    expected = hmac.new(b"s3cret", f"{T}.{MESSAGE}".encode(), hashlib.sha256).hexdigest()
    assert request.headers["x-redirector-signature"] == f"t={T},v1={expected}"
    assert (await waiting(box)).count == 0


def test_the_signature_can_be_checked_by_hand() -> None:
    """Made by `printf '1795000000.{"kind": "stale"}' | openssl dgst -sha256 -hmac key`."""
    digest = hmac.new(b"key", b'1795000000.{"kind": "stale"}', hashlib.sha256).hexdigest()
    assert sign(b"key", b'{"kind": "stale"}', 1_795_000_000) == f"t=1795000000,v1={digest}"


async def test_without_a_secret_nothing_is_signed_and_with_an_unreadable_one_nothing_sent(
    box: Store, tmp_path: Path
) -> None:
    (request,) = await call(box, taking([]))
    assert "x-redirector-signature" not in request.headers
    async with mirror(taking([])) as m:
        hook = Hook(("*",), f"http://{m.origin}/hook", secret_file=str(tmp_path / "none"))
        await put(box, parcel("webhook", hook.target, name="second"))
        assert await empty(box, courier(None, hook), lambda: T) == 0
    assert not m.requests


async def hanging(_: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("behaviour", "left", "error"),
    [
        (hanging, 1, "in time"),
        (always(answer(b"", "302 Found", "Location: http://127.0.0.1:1/")), 1, "a redirect"),
        (always(answer(b"", "500 No")), 1, "500"),
        (always(answer(b"", "404 No")), 1, "404"),
        (always(answer(b"", "410 Gone")), 0, ""),
        (always(answer(b"x" * 1000, length=1 << 40)), 0, ""),
    ],
    ids=["hangs", "redirects", "fails", "missing", "gone", "endless"],
)
async def test_webhooks_that_fail_are_tried_again(box: Store, behaviour: Behaviour, left: int, error: str) -> None:
    requests = await call(box, behaviour, webhook_s=0.4)
    assert len(requests) == 1
    found = await waiting(box)
    assert (found.count, error in found.error) == (left, True)


def hook_command(tmp_path: Path, script: str) -> Hook:
    return Hook(("*",), command=("/bin/sh", "-c", script))


async def test_a_command_gets_the_message_and_no_shell_reads_it(box: Store, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ncat > {tmp_path}/input; for a in "$@"; do echo "$a"; done > {tmp_path}/arguments\n')
    program.chmod(0o755)
    hook = Hook(("*",), command=(str(program), "$(touch x)", "a b"))
    await put(box, parcel("command", hook.target, body=MESSAGE))
    assert await empty(box, courier(None, hook), lambda: T) == 1
    assert (tmp_path / "input").read_text() == MESSAGE
    assert (tmp_path / "arguments").read_text() == "$(touch x)\na b\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [(("/bin/sh", "-c", "exit 3"), "exit 3"), (("/bin/sh", "-c", "sleep 60"), "no end"), (("/nowhere",), "/nowhere")],
)
async def test_commands_that_fail_are_tried_again(box: Store, command: tuple[str, ...], said: str) -> None:
    hook = Hook(("*",), command=command)
    await put(box, parcel("command", hook.target))
    began = time.monotonic()
    assert await empty(box, courier(None, hook, command_s=0.3), lambda: T) == 0
    assert time.monotonic() - began < SOON_S
    found = await waiting(box)
    assert (found.count, said in found.error) == (1, True)


async def test_a_command_that_reads_nothing_is_fine(box: Store) -> None:
    hook = Hook(("*",), command=("/bin/true",))
    await put(box, parcel("command", hook.target, body="x" * 1_000_000))
    assert await empty(box, courier(None, hook), lambda: T) == 1


async def test_what_the_configuration_no_longer_names_is_given_up(box: Store) -> None:
    await put(box, parcel("webhook", "http://127.0.0.1:1/"))
    assert await empty(box, courier(None), lambda: T) == 0
    assert (await waiting(box)).count == 0


async def test_while_no_relay_is_named_mail_waits(box: Store) -> None:
    await put(box, parcel())
    assert await empty(box, courier(None), lambda: T) == 0
    assert (await waiting(box)).count == 1


async def test_what_is_put_in_goes_out_at_once(box: Store) -> None:
    wake = asyncio.Event()
    async with relay() as server:
        task = asyncio.ensure_future(keep_empty(box, courier(server.mail()), lambda: T, wake))
        await asyncio.sleep(0.1)
        await put(box, parcel())
        wake.set()
        async with asyncio.timeout(PATIENCE_S):
            while not server.taken:
                await asyncio.sleep(0.01)
            while (await waiting(box)).count:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_ended_long_ago_is_forgotten(store: Store) -> None:
    await put(store, parcel(), parcel(name="open"))
    async with store.write() as connection:
        (first, _) = await outbox.claim(connection, T, 5)
        await outbox.end(connection, first.id, T, sent=True)
        await outbox.forget(connection, T + 91 * 86400)
        assert await outbox.count_ended(connection) == {}
        assert (await outbox.find_waiting(connection)).count == 1


async def test_memos_are_kept_one_a_host(store: Store) -> None:
    async with store.write() as connection:
        await outbox.put_memos(connection, {"a": "1", "b": "2"})
        await outbox.put_memos(connection, {"a": "3"})
        assert await outbox.find_memos(connection) == {"a": "3", "b": "2"}

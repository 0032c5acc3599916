from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redirector.health.evidence import Ask, Evidence, Family, Outcome, Scheme
from redirector.health.hysteresis import State
from redirector.health.keeping import evidence_text, unpack_evidence
from redirector.health.report import HostHealth
from redirector.health.round import Round
from redirector.health.rules import Rules
from redirector.health.subjects import Subject
from redirector.health.telling import Teller
from redirector.health.world import World
from redirector.settings.mail import Hook, Telling
from redirector.store import evidence as kept
from redirector.store import outbox
from redirector.store.opening import Store, open_store
from tests.health.hostile import Request, answer, mirror
from tests.health.test_sending import Clock, Relay, relay

T = 1_795_000_000
HOUR_S = 3600


@pytest.fixture
async def box(sqlite_url: str) -> AsyncIterator[Store]:
    async with await open_store(sqlite_url) as opened:
        yield opened


def a_round(state: State, since: int, void: str = "", **more: object) -> Round:
    usual: dict[str, object] = {"contacts": ("admin@mirror.example", "no address"), "site": "Example"}
    subject = Subject("m", "mirror.example", (), **{**usual, **more})  # type: ignore[arg-type]
    world = World((subject,), {}, {}, Rules(), tree=True)
    entries = {"m": HostHealth(state, since, "no answer in time", since)}
    return Round(float(since), 1.0, void, (), entries, {}, world)


def seen(number: int) -> Evidence:
    base = "https://mirror.example/pub/"
    return Evidence(T + number, "here", "m", "", Ask.MARKER, base, "TIME", Outcome.TIMEOUT, Scheme.HTTPS,
                    Family.IPV6, "2001:db8::7", duration_s=30.0)  # fmt: skip


async def note(store: Store, count: int) -> None:
    async with store.write() as connection:
        rows = [kept.EvidenceRow("m", "here", T + number, True, evidence_text(seen(number))) for number in range(count)]
        await kept.add_evidence(connection, rows)


def teller(box: Store, clock: Clock, server: Relay, *hooks: Hook) -> Teller:
    return Teller(box, Telling(server.mail(), hooks), "https://mirrors.example.org", "redirector/0", clock)


async def test_an_incident_from_its_first_hour_to_its_end(box: Store) -> None:
    clock = Clock()
    await note(box, 30)
    async with relay() as server:
        told = []
        for hours, state, since in (
            (0, State.OK, T), (1, State.UNREACHABLE, T + HOUR_S), (2, State.UNREACHABLE, T + HOUR_S),
            (3, State.UNREACHABLE, T + HOUR_S), (4, State.OK, T + 4 * HOUR_S), (5, State.OK, T + 4 * HOUR_S),
        ):  # fmt: skip
            clock.at = float(T + hours * HOUR_S)
            # Each time by a program that was started anew.
            told.append(await teller(box, clock, server).tell(a_round(state, since)))
            await teller(box, clock, server).flush()
        assert told == [0, 0, 1, 0, 1, 0]
    (recipients, first), (_, second) = server.taken
    assert recipients == ["admin@mirror.example"]
    assert first["Subject"] == "[Example Mirrors] mirror.example cannot be reached"
    assert second["Subject"] == "[Example Mirrors] mirror.example is listed again"
    text = first.get_content()
    assert "https://mirrors.example.org/mirrors/mirror.example" in text
    assert "no answer in time" in text
    assert text.count("2001:db8::7") == 21


async def test_programs_are_told_what_they_want_to_hear(box: Store, tmp_path: Path) -> None:
    bodies: list[bytes] = []

    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        bodies.append(request.head)
        writer.write(answer(b""))
        return False

    clock = Clock()
    async with relay() as server, mirror(behave) as m:
        command = Hook(("unreachable",), command=("/bin/sh", "-c", f"cat > {tmp_path}/told"))
        other = Hook(("certificate",), command=("/bin/sh", "-c", f"touch {tmp_path}/wrong"))
        hooks = (Hook(("*",), f"http://{m.origin}/hook"), command, other)
        one = teller(box, clock, server, *hooks)
        for hours, state in ((0, State.OK), (1, State.UNREACHABLE), (3, State.UNREACHABLE)):
            clock.at = float(T + hours * HOUR_S)
            await one.tell(a_round(state, T + HOUR_S))
            await one.flush()
    assert len(bodies) == len(server.taken) == 1
    assert json.loads((tmp_path / "told").read_text()) == {
        "kind": "unreachable",
        "host": "mirror.example",
        "site": "Example",
        "since": T + HOUR_S,
        "reason": "no answer in time",
        "at": T + 3 * HOUR_S,
        "logs_url": "https://mirrors.example.org/mirrors/mirror.example",
    }
    assert not (tmp_path / "wrong").exists()
    assert one.counts == {("unreachable", "sent"): 3}


@pytest.mark.parametrize(
    ("void", "more"), [("most fail", {}), ("", {"maintenance": True}), ("", {"off": True})], ids=["void", "care", "off"]
)
async def test_nobody_is_told_when_nobody_is_to_be(box: Store, void: str, more: dict[str, object]) -> None:
    clock = Clock()
    async with relay() as server:
        one = teller(box, clock, server)
        await one.tell(a_round(State.OK, T))
        for hours in range(1, 9):
            clock.at = float(T + hours * HOUR_S)
            assert await one.tell(a_round(State.STALE, T + HOUR_S, void, **more)) == 0
        await one.flush()
    assert server.taken == []


async def test_two_crawlers_at_once_tell_once(box: Store) -> None:
    clock = Clock()
    async with relay() as server:
        await teller(box, clock, server).tell(a_round(State.OK, T))
        clock.at += HOUR_S
        made = a_round(State.STALE, T)
        assert sum(await asyncio.gather(*(teller(box, clock, server).tell(made) for _ in range(4)))) == 1
    async with box.read() as connection:
        assert (await outbox.find_waiting(connection)).count == 1


def test_evidence_comes_back_as_it_was_kept() -> None:
    assert unpack_evidence(evidence_text(seen(3))) == seen(3)
    bare = Evidence(T, "here", "m", "", Ask.INDEX, "http://a/", "", Outcome.OK, Scheme.HTTP)
    assert unpack_evidence(evidence_text(bare)) == bare

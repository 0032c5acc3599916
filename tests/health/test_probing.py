from __future__ import annotations

import asyncio
import socket
import threading
import time
from ipaddress import ip_address

import pytest

from redirector.health.evidence import Ask, Outcome, Probe
from redirector.health.names import Names, source_for
from redirector.health.pace import Pace
from redirector.health.probing import open_probes
from redirector.health.safety import Address
from tests.health.hostile import LOOPBACK, NOW, Request, files, listening, mirror, names
from tests.health.rsyncd import question, stand_in
from tests.patience import PATIENCE_S, SOON_S

HERE = (ip_address("127.0.0.1"),)


async def test_a_name_is_looked_up_once_for_all_who_want_it() -> None:
    asked: list[str] = []

    def lookup(name: str) -> tuple[Address, ...]:
        asked.append(name)
        time.sleep(0.02)
        return HERE

    resolver = Names(monotonic=time.monotonic, lookup=lookup)
    assert set(await asyncio.gather(*(resolver.resolve("a") for _ in range(5)))) == {HERE}
    await resolver.resolve("a")
    assert asked == ["a"]


async def test_what_was_found_is_forgotten_after_a_while_and_a_failure_at_once() -> None:
    now = 0.0
    answers: list[tuple[Address, ...] | OSError] = [socket.gaierror(-2, "no name"), HERE, (ip_address("::1"),)]

    def lookup(_: str) -> tuple[Address, ...]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    resolver = Names(monotonic=lambda: now, lookup=lookup)
    with pytest.raises(socket.gaierror):
        await resolver.resolve("a")
    assert await resolver.resolve("a") == HERE
    assert await resolver.resolve("a") == HERE
    now = 121.0
    assert await resolver.resolve("a") == (ip_address("::1"),)


async def test_a_name_server_that_hangs_holds_up_nobody_else_and_not_the_end() -> None:
    """Its threads are no reason for the program to stay."""
    release = threading.Event()

    def lookup(name: str) -> tuple[Address, ...]:
        if name.startswith("slow"):
            release.wait(2 * PATIENCE_S)
        return HERE

    resolver = Names(monotonic=time.monotonic, lookup=lookup)
    for number in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await resolver.resolve(f"slow{number}")
    async with asyncio.timeout(PATIENCE_S):
        assert await resolver.resolve("quick") == HERE
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("lookup"))
    release.set()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["x" * 64 + ".example", "a..example", "", "\udcff.example", "ä" * 70])
async def test_names_that_are_none_are_not_found(name: str) -> None:
    with pytest.raises(OSError):
        await Names(monotonic=time.monotonic).resolve(name)


async def test_numbers_are_their_own_names_however_they_are_written() -> None:
    resolver = Names(monotonic=time.monotonic)
    assert await resolver.resolve("127.0.0.1") == HERE
    assert await resolver.resolve("2130706433") == HERE
    assert await resolver.resolve("::1") == (ip_address("::1"),)


def test_where_we_send_from() -> None:
    assert source_for(ip_address("127.0.0.1")) == ip_address("127.0.0.1")
    assert source_for(ip_address("255.255.255.255")) is None


async def test_each_scheme_has_its_prober_and_none_is_asked_after_the_end(tmp_path: object) -> None:
    program = stand_in(tmp_path, "echo '-rw-r--r--            100 2026/11/18 08:20:00 a'")  # type: ignore[arg-type]
    pace = Pace(now=lambda: NOW, monotonic=time.monotonic)
    probes = open_probes(
        pace=pace,
        safety=LOOPBACK,
        agent="redirector-crawler/0",
        vantage="here",
        now=lambda: NOW,
        monotonic=time.monotonic,
        resolve=names({"mirror.example": ["127.0.0.1"]}),
        rsync=program,
    )
    async with mirror(files({"/TIME": b"1794990000"})) as m:
        (marker,) = await probes.probe(m.probe(Ask.MARKER, "TIME"))
        assert m.open_now == 1
        await probes.leave([marker])
        async with asyncio.timeout(PATIENCE_S):
            while m.open_now:
                await asyncio.sleep(0.01)
        (listing,) = await probes.probe(question(8730, Ask.LISTING))
        await probes.close()
        (after,) = await probes.probe(m.probe(Ask.MARKER, "TIME"))
    assert (marker.outcome, marker.stamp, listing.outcome) == (Outcome.OK, 1794990000.0, Outcome.OK)
    assert (after.outcome, len(m.requests)) == (Outcome.UNASKED, 1)


async def test_what_is_under_way_at_the_end_was_not_asked() -> None:
    async def hang(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    probes = open_probes(
        pace=Pace(now=lambda: NOW, monotonic=time.monotonic),
        safety=LOOPBACK,
        agent="redirector-crawler/0",
        vantage="here",
        now=lambda: NOW,
        monotonic=time.monotonic,
        resolve=names({"mirror.example": ["127.0.0.1"]}),
    )
    async with mirror(hang) as m:
        task = asyncio.ensure_future(probes.probe(m.probe(Ask.MARKER, "TIME")))
        while not m.requests:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await probes.close()
        (found,) = await task
    assert (found.outcome, time.monotonic() - began < SOON_S) == (Outcome.UNASKED, True)


async def test_who_is_cancelled_takes_the_probe_along() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        gone.set()

    probes = open_probes(
        pace=Pace(now=lambda: NOW, monotonic=time.monotonic),
        safety=LOOPBACK,
        agent="redirector-crawler/0",
        vantage="here",
        now=lambda: NOW,
        monotonic=time.monotonic,
        resolve=names({"mirror.example": ["127.0.0.1"]}),
    )
    async with listening(hang) as port, asyncio.timeout(PATIENCE_S):
        probe = Probe("m", "", Ask.MARKER, f"http://mirror.example:{port}/", "TIME", ports=frozenset({port}))
        task = asyncio.ensure_future(probes.probe(probe))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()

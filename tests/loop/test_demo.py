"""The demo, for a while: who dies or is late leaves the lists and comes back, nobody else does, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from demo.__main__ import closing_words, free_ports, taken
from demo.clients import get
from demo.loop import Loop, Plan
from demo.mirrors import Mirror, five_mirrors
from demo.programs import ask

PATIENCE_S = 600.0
"""On a machine that does much else; 150 on one that does not."""

GONE, BACK = "is OUT of the list", "is back IN the list"


def lively(mirror: Mirror) -> Mirror:
    """The same habit, sooner."""
    return replace(
        mirror,
        every_s=90.0 if mirror.every_s > 60 else 1.0,
        up_s=10.0 if mirror.up_s else 0.0,
        down_s=25.0 if mirror.down_s else 0.0,
    )


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Loop, list[str], Callable[[str], asyncio.Future[None]]]]:
    """The loop, what it told, and how one waits until it tells something."""
    told: list[str] = []
    changed = asyncio.Event()

    def tell(text: str) -> None:
        told.append(text)
        changed.set()

    async def wait_until(text: str) -> None:
        while not any(text in each for each in told):
            changed.clear()
            await changed.wait()

    async def wait_patiently(text: str) -> None:
        try:
            await asyncio.wait_for(wait_until(text), PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"nobody told {text!r}:\n" + "\n".join(told)) from None

    def until(text: str) -> asyncio.Future[None]:
        return asyncio.ensure_future(wait_patiently(text))

    plan = Plan(folder, free_ports(), pace=0.001, push_s=15.0, turn_s=2.0)
    loop = Loop(plan, tell, tuple(lively(each) for each in five_mirrors()))
    async with loop.run():
        yield loop, told, until


async def test_who_dies_or_is_late_leaves_the_lists_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    async with running(folder) as (loop, told, until):
        for what, url in loop.addresses():
            assert await ask(url), what
        assert b"demo" in await ask(loop.link)
        await asyncio.gather(
            *(until(f"release 1: {name} {change}") for name in ("dies.example.org", "slow.example.com")
              for change in (GONE, BACK))
        )  # fmt: skip
        metalink = (await ask(loop.answers("/metalink?repo=example-2&arch=x86_64"))).decode()
        counted = await loop.programs.finish("stats", "stats", "show", "--json")
        shown = (await ask(loop.pages("/mirrors"))).decode()
    assert 'type="sha256"' in metalink
    assert "part.example.edu" in shown
    assert json.loads(counted)
    well = ("well.example.org", "fine.example.net", "part.example.edu")
    assert not [line for line in told if GONE in line and any(name in line for name in well)], told
    assert not [line for line in told if line.startswith("release 2") and "part.example.edu" in line], told
    assert not [line for line in told if "has ended" in line], told
    assert loop.counts.failed == 0
    assert loop.counts.files == loop.counts.lists > 0
    assert loop.counts.dnf > loop.counts.dnf_failed == 0
    assert f"{loop.pushes:,}" in closing_words(loop)
    assert taken(loop.plan.ports) is None
    assert not loop.programs.running
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("curl", [True, False])
async def test_clients_get_what_there_is_with_curl_or_without(tmp_path: Path, curl: bool, monkeypatch: Any) -> None:
    if not curl:
        monkeypatch.setenv("PATH", str(tmp_path))
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("User-Agent"))
        return web.Response(text="there")

    application = web.Application()
    application.router.add_get("/list", answer)
    async with TestServer(application) as server:
        there = str(server.make_url("/list"))
        assert await get(there, {"User-Agent": "libdnf"}) == "there"
        assert await get(f"{there}/none", {}) is None
    assert seen == ["libdnf"]
    assert await get(there, {}) is None  # nobody listens any more


async def test_ctrl_c_ends_it_cleanly_at_once(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "demo", "--free-ports", "--folder", str(tmp_path / "demo"),
        cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert b"registry init" in await process.stdout.readline()
    process.send_signal(2)
    printed, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, said
    assert b"Everything is in" in printed
    assert said == b""


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports.pages)):
        assert taken(ports) == ports.pages

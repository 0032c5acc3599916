"""Names at a master that are no text, or that no mirror is asked for: what is found is kept, told and published."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web

from redirector.health.expected import Master, why_unasked
from redirector.health.hysteresis import State
from redirector.health.masters import read_contents
from redirector.health.pace import Pace
from redirector.health.probing import open_probes
from redirector.health.report import render_health
from redirector.health.round import Crawler, Round, Wanted
from redirector.health.rules import Rules
from redirector.health.safety import Safety
from redirector.health.spread import count_mirrors, render_spread
from redirector.health.subjects import Carried, Subject
from redirector.health.world import World
from redirector.stats.spread import keep_propagation
from redirector.store.opening import Store, open_store
from tests.health import mirrors
from tests.health.rehearsal import BEGIN, HASTE
from tests.health.rsyncd import rsyncd
from tests.master.rig import Rig
from tests.store.empty import write_empty

NO_TEXT = os.fsdecode(b"o\xff/os")


def test_a_way_up_and_control_characters_are_asked_of_nobody() -> None:
    asked = ("a", "a..b/c", "100%/x", "%2e", "ü", "o\udcff", "a b", "..a", "%2e%2ea")
    assert [path for path in asked if why_unasked(path)] == []
    refused = ("..", "a/../b", "%2e%2e/x", "a/%2E.", "a%2f..%2fb", "a\nb", "\x1b[31m", "a/b\x7f", "a\tb")
    assert [path for path in refused if not why_unasked(path)] == []


async def scanned(rig: Rig) -> Master:
    rig.now = BEGIN - 3600
    return read_contents(await rig.scan(0))


def crawler_of(master: Master, store: object, subjects: list[Subject], clock: list[float]) -> Crawler:
    probes = open_probes(
        pace=Pace(now=lambda: clock[0], monotonic=lambda: time.monotonic() * HASTE),
        safety=Safety((ip_network("127.0.0.0/8"),)),
        agent="redirector-crawler/test",
        vantage="main",
        now=lambda: clock[0],
        monotonic=time.monotonic,
    )
    world = World(tuple(subjects), {master.category: master}, {}, Rules(), tree=False)
    return Crawler(store, probes, lambda known, now: world, "main", 1.0, lambda: clock[0])  # type: ignore[arg-type]


async def visit_twice(master: Master, store: Store, mirror: mirrors.Mirror, clock: list[float]) -> Round:
    """The second of two rounds over *mirror* alone, far enough apart for a verdict."""
    subject = Subject("m", "m.example.net", (Carried(master.category, (mirror.url,)),))
    crawler = crawler_of(master, store, [subject], clock)
    await crawler.round(Wanted(since=clock[0]))
    clock[0] += 11 * 60
    made = await crawler.round(Wanted(since=clock[0]))
    assert made is not None
    return made


async def test_a_name_that_is_no_utf8_is_judged_kept_and_told(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "master")
    for name in ("9/os", NO_TEXT):
        mirrors.push(rig.folder, name, BEGIN - 7200)
    shutil.copytree(rig.folder, copy := tmp_path / "copy")
    shutil.rmtree(copy / NO_TEXT)
    master, clock = await scanned(rig), [float(BEGIN)]
    async with AsyncExitStack() as stack:
        there = mirrors.Mirror("m", "127.0.0.2", copy)
        await mirrors.start(stack, there)
        store = await stack.enter_async_context(await open_store(write_empty(tmp_path / "health.db")))
        made = await visit_twice(master, store, there, clock)
        assert made.world is not None
        told = json.loads(render_health(made.entries, clock[0]))["mirrors"]["m"]
        assert (told["state"], told["lacking"]) == ("ok", ["pub/linux/o\ufffd/os", "pub/linux/o\ufffd/os/Packages"])
        assert await keep_propagation(store, made.world.masters, "main", int(clock[0])) == 1
        counts = count_mirrors(made.entries, made.world.subjects, made.world.masters)
        assert counts == {"pub/linux/9/os": 1, "pub/linux/o\ufffd/os": 0}
        assert 'repository="pub/linux/o\ufffd/os"} 0' in render_spread(counts, ()).decode()


async def test_a_whole_mirror_that_lacks_only_what_is_no_utf8_says_so_printably(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "master")
    mirrors.push(rig.folder, NO_TEXT, BEGIN - 7200)
    master, clock = await scanned(rig), [float(BEGIN)]
    async with AsyncExitStack() as stack:
        there = mirrors.Mirror("m", "127.0.0.2", tmp_path / "nothing", missing)
        await mirrors.start(stack, there)
        store = await stack.enter_async_context(await open_store(write_empty(tmp_path / "health.db")))
        made = await visit_twice(master, store, there, clock)
        assert made.entries["m"].state is State.STALE
        assert "o\ufffd/os" in made.entries["m"].reason and made.entries["m"].reason.isprintable()


async def missing(request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


@pytest.mark.parametrize("name", [b"a\nb.txt", b"\x1b[31m.txt", b"%2e%2e"], ids=["newline", "escape", "percent"])
async def test_a_file_that_is_asked_of_nobody_fails_nobody(tmp_path: Path, name: bytes) -> None:
    rig = Rig.make(tmp_path / "master")
    mirrors.push(rig.folder, "9/os", BEGIN - 7200)
    for folder in ("docs", "more"):
        (rig.folder / folder).mkdir()
        (rig.folder / folder / os.fsdecode(name)).write_bytes(b"x")
    (rig.folder / "more/plain").write_bytes(b"x")
    os.utime(rig.folder / "more/plain", (BEGIN - 9000, BEGIN - 9000))
    master, clock = await scanned(rig), [float(BEGIN)]
    asked = {each.name: [file.path for file in each.files] for each in master.directories}
    assert (asked["docs"], asked["more"]) == ([], ["more/plain"])
    async with rsyncd(tmp_path, rig.folder) as port, await open_store(write_empty(tmp_path / "health.db")) as store:
        url = f"rsync://127.0.0.1:{port}/mod/"
        subject = Subject("m", "m.example.net", (Carried(master.category, (url,)),))
        made = await crawler_of(master, store, [subject], clock).round(Wanted(since=clock[0]))
        assert made is not None
        assert [(each.event.value, each.reason) for each in made.results] == [("good", "")]


@pytest.mark.parametrize("has_index", [True, False], ids=["an index deep below", "no index"])
async def test_who_offers_rsync_alone_is_judged_though_the_master_has_no_marker(
    tmp_path: Path, has_index: bool
) -> None:
    rig = Rig.make(tmp_path / "master")
    rig.write("docs/plain", b"x", BEGIN - 9000)
    if has_index:
        mirrors.push(rig.folder, "9/os", BEGIN - 7200)
    master, clock = await scanned(rig), [float(BEGIN)]
    async with rsyncd(tmp_path, rig.folder) as port, await open_store(write_empty(tmp_path / "health.db")) as store:
        subject = Subject("m", "m.example.net", (Carried(master.category, (f"rsync://127.0.0.1:{port}/mod/",)),))
        made = await crawler_of(master, store, [subject], clock).round(Wanted(since=clock[0]))
        assert made is not None
        assert made.entries["m"].state is State.OK

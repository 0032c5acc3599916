"""Mirrors that mean no good, or are badly kept, from connection to state; real servers; and trouble of our own."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from resource import RLIMIT_FSIZE, prlimit

import trustme
from aiohttp import web

from redirector.health.hysteresis import State
from redirector.health.report import render_health, rendered_entry
from redirector.health.round import Wanted
from redirector.health.safety import Address
from tests.health.hostile import Behaviour, Request, always, answer, files, mirror, redirect
from tests.health.mirrors import VERSION, Handler, Mirror, World, make_world, push, repositories, write
from tests.health.rehearsal import BEGIN, crawler_of, rehearse, visited
from tests.health.rsyncd import rsyncd
from tests.health.test_http import server, trusting
from tests.kit_servers.servers import program
from tests.patience import SOON_S, free_port
from tests.sources.snapshot_file import MirrorList
from tests.store.empty import write_empty

GOOD: dict[str, Handler | None] = {f"good{n}": None for n in range(4)}
BASE = f"{VERSION}/BaseOS/x86_64/os"
PATIENCE_S = 1.5
"""Of a request, where a real one has thirty seconds."""

INNER = "169.254.169.254"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def resolver(known: Mapping[str, str]) -> Callable[[str], Awaitable[tuple[Address, ...]]]:
    """Names to numbers; one that hangs says nothing for ever."""

    async def resolve(name: str) -> tuple[Address, ...]:
        if name not in known:
            return (ip_address(name),)
        if known[name] == "hangs":
            await asyncio.sleep(3600)
        return tuple(ip_address(each) for each in known[name].split())

    return resolve


async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"1")
        await writer.drain()
        await asyncio.sleep(0.2)


async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


WORDS = {
    "expired": "certificate has expired",
    "other": "certificate is for another name",
    "unknown": "certificate is not trusted",
    "silent": "no answer in time",
    "drip": "no answer in time",
    "endless": "beyond all bounds",
    "header": "beyond all bounds",
    "bomb": "beyond all bounds",
    "inward": "address is not allowed",
    "lying": "address is not allowed",
    "hanging": "no answer in time",
    "nameless": "does not resolve",
}
"""What becomes of each stranger is that nobody is sent there, and this is why."""


async def test_strangers_are_out_for_what_they_do_and_nobody_else_is(tmp_path: Path) -> None:
    authority, foreign = trustme.CA(), trustme.CA()
    names = {f"{name}.example.net": "127.0.0.1" for name in WORDS}
    names |= {"lying.example.net": "10.0.0.1", "hanging.example.net": "hangs", "nameless.example.net": ""}
    plain: dict[str, Behaviour] = {
        "silent": silent,
        "drip": drip,
        "endless": endless,
        "header": always(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000_000 + b"\r\n\r\n"),
        "bomb": always(answer(gzip.compress(bytes(64 << 20)), "200 OK", "Content-Encoding: gzip")),
        "inward": redirect(f"http://{INNER}/TIME"),
        "lying": always(answer(b"1")),
        "hanging": always(answer(b"1")),
        "nameless": always(answer(b"1")),
    }
    leaves = {
        "expired": authority.issue_cert("expired.example.net", not_after=LONG_AGO, not_before=LONG_AGO - timedelta(9)),
        "other": authority.issue_cert("elsewhere.example.net"),
        "unknown": foreign.issue_cert("unknown.example.net"),
        "fine": authority.issue_cert("fine.example.net"),
    }
    probing = {
        "resolve": resolver(names | {"fine.example.net": "127.0.0.1"}),
        "tls": trusting(authority),
        "connect_s": PATIENCE_S,
        "request_s": PATIENCE_S,
    }
    async with rehearse(tmp_path, GOOD, probing=probing) as rehearsal, AsyncExitStack() as stack:
        content = {"/TIME": (rehearsal.world.primary / "TIME").read_bytes()}
        for name, behaviour in plain.items():
            there = await stack.enter_async_context(mirror(behaviour))
            list_mirror(rehearsal.world, name, f"http://{name}.example.net:{there.port}/")
        for name, leaf in leaves.items():
            there = await stack.enter_async_context(mirror(files(content), tls=server(leaf)))
            list_mirror(rehearsal.world, name, f"https://{name}.example.net:{there.port}/")
        for minutes in (0, 5, 6):
            await rehearsal.round(minutes)
        assert {name: rehearsal.state(name) for name in WORDS} == dict.fromkeys(WORDS, State.UNREACHABLE)
        reasons = {name: rehearsal.entries[name].reason for name in WORDS}
        assert {name: reason for name, reason in reasons.items() if WORDS[name] not in reason} == {}
        assert all(len(reason) <= 400 and reason.isprintable() for reason in reasons.values())
        assert {rehearsal.state(name) for name in GOOD} == {State.OK}
        assert rehearsal.entries["fine"].certificate_expires
        told = rehearsal.entries["expired"].urls
        assert ["expired" in note.reason for note in told.values()] == [True]


def list_mirror(world: World, name: str, url: str) -> None:
    scheme = url.partition(":")[0]
    world.write_mirror(Mirror(f"{name}.example.net", "", world.primary), address={scheme: url})


def well(tree: Path) -> Behaviour:
    """A mirror that has all that is in *tree* now."""
    return files({f"/{path.relative_to(tree)}": path.read_bytes() for path in tree.rglob("*") if path.is_file()})


async def test_a_family_that_fails_is_marked_and_takes_nobody_out(tmp_path: Path) -> None:
    probing = {"resolve": resolver({"both.example.net": "127.0.0.1 ::1"})}
    async with rehearse(tmp_path, GOOD, probing=probing) as rehearsal:
        behaviour = well(rehearsal.world.primary)
        async with mirror(behaviour) as four:
            list_mirror(rehearsal.world, "both", f"http://both.example.net:{four.port}/")
            async with mirror(behaviour, "::1", port=four.port):
                await rehearsal.round()
                entry = rehearsal.entries["both"]
                assert (entry.state, entry.ipv4, entry.ipv6) == (State.OK, True, True)
            for _ in range(3):
                await rehearsal.round(15)
                assert rehearsal.state("both") is State.OK
            await rehearsal.round(60 * 24)
            entry = rehearsal.entries["both"]
            assert (entry.state, entry.ipv4, entry.ipv6) == (State.OK, True, False)


async def test_one_scheme_is_enough_and_the_other_is_marked(tmp_path: Path) -> None:
    authority = trustme.CA()
    probing = {"resolve": resolver({"half.example.net": "127.0.0.1"}), "tls": trusting(authority)}
    leaf = authority.issue_cert("elsewhere.example.net")
    async with rehearse(tmp_path, GOOD, probing=probing) as rehearsal:
        behaviour = well(rehearsal.world.primary)
        async with mirror(behaviour) as plain, mirror(behaviour, tls=server(leaf)) as secure:
            good, bad = f"http://half.example.net:{plain.port}/", f"https://half.example.net:{secure.port}/"
            listed = Mirror("half.example.net", "", rehearsal.world.primary)
            rehearsal.world.write_mirror(listed, address={"http": good, "https": bad})
            await rehearsal.round()
            await rehearsal.round(15)
        entry = rehearsal.entries["half"]
        assert entry.state is State.OK
        assert {url: note.up for url, note in entry.urls.items()} == {bad: False}
        assert WORDS["other"] in rendered_entry(entry)["urls"][bad]["reason"]


# -- Real servers ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def nginx(folder: Path, tree: Path) -> AsyncIterator[str]:
    """The URL of an nginx that serves *tree*."""
    port = free_port()
    config = folder / "nginx.conf"
    folders = " ".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.getuid() == 0 else ""  # what pytest makes is closed to others
    config.write_text(
        f"daemon off; {user} pid {folder}/pid; error_log {folder}/error; events {{}}\n"
        f"http {{ access_log off; {folders} server {{ listen 127.0.0.1:{port}; root {tree}; }} }}\n"
    )
    async with program("nginx", "-c", config, port=port):
        yield f"http://127.0.0.1:{port}/"


async def test_real_servers_are_judged_by_what_they_hold(tmp_path: Path) -> None:
    """nginx with an rsync daemon beside it, and a mirror that has nothing but rsync, follow the master or do not."""
    async with rehearse(tmp_path, GOOD) as rehearsal, AsyncExitStack() as stack:
        world = rehearsal.world
        image = world.primary / VERSION / "isos/x86_64/a.iso"
        write(image, b"i" * 5000, BEGIN - 3600)
        copy = tmp_path / "copy"
        shutil.copytree(world.primary, copy)
        port = await stack.enter_async_context(rsyncd(tmp_path, copy))
        url = await stack.enter_async_context(nginx(tmp_path, copy))
        rsync = f"rsync://127.0.0.1:{port}/mod/"
        world.write_mirror(Mirror("web.example.net", "", copy), address={"http": url, "rsync": rsync})
        world.write_mirror(Mirror("bare.example.net", "", copy), address={"rsync": rsync})
        await rehearsal.round()
        await rehearsal.round(11)
        for name in ("web", "bare"):
            entry = rehearsal.entries[name]
            assert (entry.state, entry.lag_s, entry.lacking) == (State.OK, 0, ()), entry
        pushed = rehearsal.clock[0] = BEGIN + 3600
        for name in repositories():
            push(world.primary, name, int(pushed))
        write(image, b"j" * 6000, int(pushed))
        await rehearsal.round()
        await rehearsal.round(30)
        for name in ("web", "bare"):
            entry = rehearsal.entries[name]
            assert (entry.state, entry.lag_s, entry.lacking) == (State.OK, 1800, ()), entry
        await rehearsal.round(60 * 12)
        await rehearsal.round(11)
        assert {rehearsal.state(name) for name in ("web", "bare")} == {State.STALE}
        for name in repositories():
            push(copy, name, int(pushed))
        shutil.copy2(image, copy / image.relative_to(world.primary))
        await rehearsal.round(15)
        for name in ("web", "bare"):
            entry = rehearsal.entries[name]
            assert (entry.state, entry.lag_s, entry.lacking) == (State.OK, 0, ()), entry


# -- A snapshot of MirrorManager ---------------------------------------------------------------------------------------


def write_snapshot(path: Path, primary: Path, urls: Mapping[int, str], earlier: Mapping[str, bytes]) -> None:
    """The master's files by their details, newest first, and hosts that are said to have all of them."""
    snapshot = MirrorList(Time=BEGIN)
    for host, url in urls.items():
        snapshot.HCUrlCache.add(key=host, value=url)
    for name in repositories():
        for folder in (name, f"{name}/repodata"):
            directory = snapshot.MirrorListCache.add(directory=f"pub/linux/{folder}", Subpath=folder, Global=list(urls))
            for host in urls:
                directory.ByHostId.add(key=host, value=[host])
        file = snapshot.FileDetailsCache.add(directory=f"pub/linux/{name}/repodata").FileDetailsCacheFiles.add(
            filename="repomd.xml"
        )
        for number, raw in enumerate(((primary / name / "repodata/repomd.xml").read_bytes(), earlier[name])):
            file.FileDetails.add(
                TimeStamp=BEGIN - 3600 - number * 7200, Size=len(raw), SHA256=hashlib.sha256(raw).hexdigest()
            )
    path.write_bytes(snapshot.SerializeToString())


async def test_hosts_of_a_snapshot_are_judged_by_its_details(tmp_path: Path) -> None:
    async with rehearse(tmp_path, dict.fromkeys(("new", "old", "half", "none")), source="snapshot") as rehearsal:
        world = rehearsal.world
        earlier = {name: (world.primary / name / "repodata/repomd.xml").read_bytes() for name in repositories()}
        for name in ("old", "half", "none"):
            shutil.copytree(world.primary, tmp_path / name)
            world.mirrors[name].tree = tmp_path / name
        for name in repositories():
            push(world.primary, name, BEGIN - 1800)
        push(tmp_path / "half", BASE, BEGIN - 1800)
        shutil.rmtree(tmp_path / "none" / VERSION)
        urls = {17 + n: each.url.rstrip("/") for n, each in enumerate(world.mirrors.values())}
        write_snapshot(tmp_path / "snapshot", world.primary, urls, earlier)
        await rehearsal.round()
        await rehearsal.round(11)
        document = json.loads(render_health(rehearsal.entries, BEGIN))["mirrors"]
        assert {key: (told["state"], told["lag_s"]) for key, told in document.items()} == {
            "17": ("ok", 0), "18": ("ok", 3600 + 660), "19": ("ok", 3600 + 660), "20": ("stale", 0),
        }  # fmt: skip
        rehearsal.clock[0] += 12 * 3600
        await rehearsal.round()
        await rehearsal.round(11)
        assert {key: entry.state for key, entry in rehearsal.entries.items()} == {
            "17": State.OK, "18": State.STALE, "19": State.OK, "20": State.STALE,
        }  # fmt: skip
        assert rehearsal.entries["19"].lacking == tuple(
            f"pub/linux/{name}" for name in sorted(set(repositories()) - {BASE})
        )


# -- Trouble of our own ------------------------------------------------------------------------------------------------


async def test_a_clock_that_is_set_back_delays_no_verdict(tmp_path: Path) -> None:
    async def dead(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with rehearse(tmp_path, GOOD | {"dead": None, "late": None}) as rehearsal:
        await rehearsal.round()
        rehearsal.world.mirrors["dead"].behaviour = dead
        shutil.rmtree(own := tmp_path / "own", ignore_errors=True)
        shutil.copytree(rehearsal.world.primary, own)
        rehearsal.world.mirrors["late"].tree = own
        shutil.rmtree(own / BASE)
        await rehearsal.round(15)
        await rehearsal.round(-60 * 24 * 3, Wanted())
        assert rehearsal.state("dead") is State.OK
        for _ in range(3):
            await rehearsal.round(6)
        assert rehearsal.state("dead") is State.UNREACHABLE
        assert rehearsal.entries["late"].lacking == (BASE,)
        assert {rehearsal.state(name) for name in GOOD} == {State.OK}


async def test_a_clock_that_was_a_year_ahead_delays_no_verdict(tmp_path: Path) -> None:
    """What it saw is of another time: pushes, visits and states count from now on."""
    year = 60 * 24 * 365

    async def dead(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with rehearse(tmp_path, GOOD | {"dead": None, "late": None}) as rehearsal:
        await rehearsal.round()
        shutil.copytree(rehearsal.world.primary, own := tmp_path / "own")
        rehearsal.world.mirrors["late"].tree = own
        push(rehearsal.world.primary, BASE, BEGIN + 60)
        await rehearsal.round(year)
        rehearsal.world.mirrors["dead"].behaviour = dead
        for minutes in (1, 6, 6):
            await rehearsal.round(minutes)
        assert rehearsal.state("dead") is State.UNREACHABLE
        rehearsal.world.mirrors["dead"].behaviour = None
        await rehearsal.round(-year, Wanted())
        await rehearsal.round(6)
        assert rehearsal.state("dead") is State.OK
        made = await rehearsal.round(6)
        assert made.changes == {}
        assert {rehearsal.state(name) for name in GOOD} == {State.OK}
        assert 0 < (rehearsal.entries["late"].lag_s or 0) < 3600
        await rehearsal.round(60 * 13)
        await rehearsal.round(11)
        assert rehearsal.entries["late"].lacking == (BASE,)


async def test_nobody_believes_a_vantage_point_whose_clock_was_ahead_and_that_is_gone(tmp_path: Path) -> None:
    async def dead(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with rehearse(tmp_path, GOOD | {"dead": None}) as rehearsal:

        def year_ahead() -> float:
            return rehearsal.clock[0] + 365 * 86400

        async with crawler_of(rehearsal.world, rehearsal.store, year_ahead, "ahead") as ahead:
            assert await ahead.round(Wanted()) is not None
        await rehearsal.round()
        rehearsal.world.mirrors["dead"].behaviour = dead
        for minutes in (15, 6, 6):
            await rehearsal.round(minutes)
        assert rehearsal.state("dead") is State.UNREACHABLE


def command(world: World, database: str, *more: str) -> list[str]:
    options = ("--source", str(world.folder), "--allow-address", "127.0.0.0/8", "--database", database)
    return [sys.executable, "-m", "redirector", "crawl", "--once", *options, *more]


async def test_what_was_seen_outlives_a_killed_crawler(tmp_path: Path) -> None:
    stuck = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        stuck.set()
        await asyncio.sleep(3600)
        return web.Response()

    file = tmp_path / "killed.db"
    async with make_world(tmp_path, int(time.time()) - 3600, GOOD | {"slow": hang}) as world:
        process = await asyncio.create_subprocess_exec(*command(world, f"sqlite:///{file}"))
        try:
            await stuck.wait()
            while len(await asyncio.to_thread(visited, file)) < len(GOOD):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert visited(file) == {f"{name}.example.net" for name in GOOD}
        world.mirrors["slow"].behaviour = None
        again = await asyncio.create_subprocess_exec(
            *command(world, f"sqlite:///{file}"), stdout=asyncio.subprocess.PIPE
        )
        table, _ = await again.communicate()
        assert again.returncode == 0
        assert "5 visited" in table.decode()


async def test_a_full_disk_is_said_and_nothing_written(tmp_path: Path) -> None:
    async with make_world(tmp_path, int(time.time()) - 3600, dict(GOOD)) as world:
        process = await asyncio.create_subprocess_exec(
            *command(world, f"sqlite:///{tmp_path}/full.db"), stderr=asyncio.subprocess.PIPE
        )
        prlimit(process.pid, RLIMIT_FSIZE, (400 << 10, 400 << 10))
        _, said = await process.communicate()
        assert process.returncode == 1
        assert said.decode().startswith(f"redirector: sqlite:///{tmp_path}/full.db: cannot be read or written")
        assert "Traceback" not in said.decode()
        assert not world.health.exists()


async def test_a_crawl_that_is_told_to_stop_waits_for_no_other_writer(tmp_path: Path) -> None:
    async with make_world(tmp_path, int(time.time()) - 3600, {"good": None}) as world, AsyncExitStack() as stack:
        database = write_empty(tmp_path / "locked.db")
        other = stack.enter_context(closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None)))
        other.execute("BEGIN IMMEDIATE")
        line = [each for each in command(world, database) if each != "--once"]
        process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.PIPE)
        while not any(path.endswith(".rpm") for _, path, _ in world.mirrors["good"].asked):
            assert process.returncode is None
            await asyncio.sleep(0.05)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
        assert (process.returncode, time.monotonic() - begun < SOON_S) == (0, True)
        assert "locked by another process" in said.decode() and "Traceback" not in said.decode()

"""Crawlers together, and alone: locks, vantage points, what is kept when one is killed, the command line."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from redirector.cli.main import main
from redirector.health.hysteresis import State
from redirector.health.round import Wanted
from redirector.store import evidence as kept
from redirector.store.opening import open_store
from tests.health.mirrors import Handler, World, make_world
from tests.health.rehearsal import BEGIN, crawler_of, rehearse, visited

GOOD: dict[str, Handler | None] = {f"good{n}": None for n in range(4)}


async def dead(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def test_two_crawls_at_once_visit_each_mirror_once(tmp_path: Path) -> None:
    async with (
        rehearse(tmp_path, GOOD) as rehearsal,
        crawler_of(rehearsal.world, rehearsal.store, lambda: rehearsal.clock[0], "main") as other,
    ):
        wanted = Wanted(since=rehearsal.clock[0])
        rounds = await asyncio.gather(rehearsal.crawler.round(wanted), other.round(wanted))
        assert sorted(len(made.results) for made in rounds if made) == [0, 4]
        assert [len(made.entries) for made in rounds if made] == [4, 4]
        assert sum(path == "/TIME" for _, path, _ in rehearsal.world.mirrors["good0"].asked) == 1


async def test_a_mirror_is_out_when_two_vantage_points_agree(tmp_path: Path) -> None:
    async with (
        rehearse(tmp_path, GOOD | {"torn": None}) as rehearsal,
        crawler_of(rehearsal.world, rehearsal.store, lambda: rehearsal.clock[0], "far") as far,
        crawler_of(rehearsal.world, rehearsal.store, lambda: rehearsal.clock[0], "third") as third,
    ):
        torn = rehearsal.world.mirrors["torn"]

        async def everybody(minutes: float, *, seen_dead_by: Iterable[str]) -> State:
            rehearsal.clock[0] += minutes * 60
            state = State.UNCHECKED
            for name, crawler in (("main", rehearsal.crawler), ("far", far), ("third", third)):
                torn.behaviour = dead if name in seen_dead_by else None
                made = await crawler.round(Wanted(since=rehearsal.clock[0]))
                assert made is not None
                assert not made.void
                state = made.entries["torn.example.net"].state
            return state

        state = await everybody(0, seen_dead_by=())
        for _ in range(3):
            state = await everybody(6, seen_dead_by=("main",))
        assert state is State.OK
        for _ in range(3):
            state = await everybody(6, seen_dead_by=("main", "far"))
        assert state is State.UNREACHABLE
        await everybody(6, seen_dead_by=("main",))
        assert await everybody(6, seen_dead_by=("main",)) is State.OK
        rehearsal.clock[0] += 7200
        torn.behaviour = dead
        made = await rehearsal.crawler.round(Wanted(since=rehearsal.clock[0]))
        assert made is not None
        assert made.entries["torn.example.net"].state is State.UNREACHABLE


async def test_evidence_is_kept_when_a_round_is_broken_off(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        started.set()
        await asyncio.sleep(60)
        return web.Response()

    async with rehearse(tmp_path, GOOD | {"slow": hang}) as rehearsal:
        task = asyncio.ensure_future(rehearsal.round())
        await started.wait()
        visits: list[kept.VisitRow] = []
        while len(visits) < len(GOOD):
            assert not task.done()
            await asyncio.sleep(0.02)
            async with rehearsal.store.read() as connection:
                visits = list(await kept.find_visits(connection, 0))
        task.cancel()
        await asyncio.wait({task})
        async with rehearsal.store.read() as connection:
            assert {visit.host for visit in visits} == {f"{name}.example.net" for name in GOOD}
            assert not any(visit.counted for visit in visits)
            assert await kept.find_evidence(connection, "good0.example.net", 50)
            assert not await kept.find_hosts(connection)


async def test_pushes_are_followed(tmp_path: Path) -> None:
    async with rehearse(tmp_path, GOOD) as rehearsal:
        await rehearsal.round()
        async with rehearsal.store.read() as connection:
            rows = await kept.find_pushes(connection, 0, 2 * BEGIN)
        assert [(row.category, row.pushed, row.changed) for row in rows] == [("", BEGIN - 3600, 4)]


# -- The command line --------------------------------------------------------------------------------------------------


async def redirector(world: World, *arguments: str, code: int = 0) -> str:
    """What a process prints, whose exit code must be *code*."""
    database = f"sqlite:///{world.folder.parent}/cli.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "redirector", *arguments, "--database", database,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, said = await process.communicate()
    assert process.returncode == code, said.decode()
    return printed.decode()


async def health(world: World, *arguments: str, code: int = 0) -> str:
    """The same of `redirector health`, without a process."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        database = f"sqlite:///{world.folder.parent}/cli.db"
        assert await asyncio.to_thread(main, ["health", *arguments, "--database", database]) == code
    return printed.getvalue()


def crawl(world: World, *arguments: str) -> tuple[str, ...]:
    return ("crawl", "--source", str(world.folder), "--allow-address", "127.0.0.0/8", *arguments)


async def test_once_writes_the_health_file_and_the_exports(tmp_path: Path) -> None:
    now = int(time.time())
    async with make_world(tmp_path, now - 3600, {"good": None, "fine": None, "dead": dead}) as world:
        table = await redirector(world, *crawl(world, "--once"))
        assert "good.example.net" in table
        assert "2 ok" in table
        document = json.loads(world.health.read_text())
        assert now <= document["checked"] <= now + 60
        good = document["mirrors"]["good.example.net"]
        assert {key: good[key] for key in ("up", "state", "ipv4", "ipv6", "lag_s", "versions")} == {
            "up": True, "state": "ok", "ipv4": True, "ipv6": False, "lag_s": 0, "versions": ["9.8"],
        }  # fmt: skip
        assert document["mirrors"]["dead.example.net"]["state"] == "unchecked"
        assert "@" not in world.health.read_text()
        shown = await redirector(world, *crawl(world, "--host", "dead.example.net"))
        assert "500" in shown
        status = json.loads(await health(world, "export", "status"))
        assert status["version"] == 3
        urls = {each["url"]: each for each in status["urls"]}
        seen = urls[world.mirrors["good"].url]
        assert (seen["completion_pct"], seen["country_code"], seen["active"]) == (1.0, "DE", True)
        assert abs(seen["delay"] - 3600) < 60
        state = (await health(world, "export", "mirmon-state")).splitlines()
        age, status_text, last_ok, probes, states, last = next(
            line.split()[1:] for line in state if line.startswith(world.mirrors["good"].url)
        )
        assert (age, status_text, probes, states[-1]) == (str(now - 3600), "ok", "s", "s")
        assert last_ok == last
        told = json.loads(await health(world, "dead.example.net", "--json"))
        assert told["vantages"][0]["visits"] == 2
        assert told["evidence"]
        await health(world, "nobody", code=1)
        await health(world, "export", "something", code=2)
        replayed = json.loads(await health(world, "replay", "--down-after", "1", "--json"))
        assert len(replayed["mirrors"]) == 3


async def test_a_void_round_writes_nothing(tmp_path: Path) -> None:
    async with make_world(tmp_path, int(time.time()) - 3600, {"dead": dead, "gone": dead}) as world:
        await redirector(world, *crawl(world, "--once"), code=1)
        assert not world.health.exists()
        await health(world, code=1)


@pytest.mark.parametrize("hanging", [False, True])
async def test_the_service_writes_listens_and_stops_within_five_seconds(tmp_path: Path, hanging: bool) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    behaviours: dict[str, Handler | None] = {"good": None, "fine": None}
    async with make_world(tmp_path, int(time.time()) - 3600, behaviours | ({"slow": hang} if hanging else {})) as world:
        socket = tmp_path / "metrics"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "redirector",
            *crawl(world, "--pace", "0.01", "--database", f"sqlite:///{tmp_path}/s.db"),
            "--crawl-metrics", f"unix:{socket}",
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not (world.health.exists() or (hanging and "good.example.net" in visited(tmp_path / "s.db"))):
                assert process.returncode is None
                await asyncio.sleep(0.05)
            if not hanging:
                async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session:
                    async with session.get("http://localhost/metrics") as answer:
                        metrics = await answer.text()
                    async with session.get("http://localhost/healthz") as answer:
                        assert answer.status == 200
                assert 'redirector_health_mirrors{state="ok"} 2' in metrics
                assert 'redirector_mirror_up{host="good.example.net"} 1' in metrics
                assert 'redirector_crawl_requests_total{scheme="http",outcome="ok"}' in metrics
        finally:
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        assert time.monotonic() - begun < 5
        async with await open_store(f"sqlite:///{tmp_path}/s.db") as store, store.read() as connection:
            assert {visit.host for visit in await kept.find_visits(connection, 0)} >= {"good.example.net"}


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--down-after", "abc", "a number from 1 to 1,000 is needed"),
        ("--up-after", "1e3", "a number from 1 to 1,000 is needed"),
        ("--down-after", "0", "a number from 1 to 1,000 is needed"),
        ("--outdate", "1h", "seconds above 0 are needed"),
        ("--outdate", "inf", "seconds above 0 are needed"),
    ],
)
def test_a_replay_with_no_number_says_what_is_needed(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, said: str
) -> None:
    assert main(["health", "replay", flag, value]) == 2
    assert said in capsys.readouterr().err

"""Draw `docs/dashboard.png` from a rehearsal: a real server with the sample, real clients, and a real Prometheus.

    python deploy/grafana/rehearse.py --output docs/dashboard.png

Within three minutes of wavy load a reload is served, one is refused, and a worker is killed. Meanwhile a crawler, in a
hurry, visits forty mirrors on loopback: the master is pushed to twice, and three of them die. Needs `prometheus`, and
what `make install` installs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
from picture import Source, draw
from rehearsed import REPOSITORIES, Mirrors, serve

ROOT = Path(__file__).resolve().parents[2]
SCRAPE_S = 1
TARGETS = {
    "/mirrorlist/9/baseos": 40,
    "/mirrorlist/9/appstream?arch=x86_64": 25,
    "/metalink?repo=baseos-9&arch=x86_64": 25,
    "/mirrorlist/9/baseos?country=zz": 2,
    "/isolist/9/x86_64": 2,
    "/mirrorlist/7/baseos": 2,
    "/mirrorlist?repo=baseos-10&arch=x86_64&country=ru": 2,
    "/": 1,
}
"""What is asked for, and how often of some hundred times."""


@contextlib.asynccontextmanager
async def program(*command: str | Path, ready: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A running program, and the line of its log that holds *ready*."""
    process = await asyncio.create_subprocess_exec(*map(str, command), stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        while line := (await process.stderr.readline()).decode():
            if ready in line:
                break
        else:
            raise RuntimeError(f"{command[0]} ended before it said {ready!r}")
        log = asyncio.create_task(process.stderr.read())
        yield process, line
        process.terminate()
        await log
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def start_server(data: Path) -> contextlib.AbstractAsyncContextManager[tuple[asyncio.subprocess.Process, str]]:
    config = (
        "--config",
        data / "redirector.yml",
        "--workers",
        "2",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    )
    return program(sys.executable, "-m", "redirector", "serve", *config, ready="ready on")


def start_crawler(
    folder: Path, metrics: int
) -> contextlib.AbstractAsyncContextManager[tuple[asyncio.subprocess.Process, str]]:
    """A crawler for which an hour is seven seconds."""
    options = ("--pace", "0.002", "--allow-address", "127.0.0.0/8", "--health", folder / "health.json")
    store = ("--source", folder / "tree", "--database", f"sqlite:///{folder}/health.db")
    where = ("--crawl-metrics", f"127.0.0.1:{metrics}")
    return program(sys.executable, "-m", "redirector", "crawl", *store, *options, *where, ready="metrics at")


def start_prometheus(
    folder: Path, admin: str, crawler: int, port: int
) -> contextlib.AbstractAsyncContextManager[tuple[asyncio.subprocess.Process, str]]:
    """Prometheus with the job and the rules of `deploy/prometheus`, but in a hurry."""
    shutil.copy(ROOT / "deploy/prometheus/rules.yml", folder)
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    text = text.replace("15s", f"{SCRAPE_S}s").replace("127.0.0.1:9180", admin.removeprefix("http://"))
    text = text.replace("127.0.0.1:9181", f"127.0.0.1:{crawler}")
    (folder / "prometheus.yml").write_text(text)
    where = (f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}")
    return program("prometheus", f"--config.file={folder}/prometheus.yml", *where, ready="ready to receive web")


async def ask(session: aiohttp.ClientSession, url: str, chance: random.Random) -> None:
    """One request of a client somewhere."""
    (target,) = chance.choices(list(TARGETS), list(TARGETS.values()))
    client = IPv4Address(chance.randrange(1 << 24, 224 << 24))
    with contextlib.suppress(aiohttp.ClientError):  # the worker that is killed takes a few along
        async with session.get(url + target, headers={"X-Forwarded-For": str(client)}) as answer:
            await answer.read()


async def put_load(url: str, seconds: float, chance: random.Random) -> None:
    """Between 100 and 300 requests a second, in waves of a minute, each when its time has come."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as requests:
        while (elapsed := time.monotonic() - began) < seconds:
            requests.create_task(ask(session, url, chance))
            await asyncio.sleep(chance.expovariate(200 + 100 * math.sin(elapsed * math.tau / 60)))


async def reload(admin: str) -> int:
    async with aiohttp.ClientSession() as session, session.post(f"{admin}/-/reload") as answer:
        return answer.status


def kill_worker(supervisor: int) -> None:
    """A worker is a child of a child of the supervisor."""
    nursery = children(supervisor)[0]
    os.kill(children(nursery)[0], signal.SIGKILL)


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


async def push(seconds: float, mirrors: Mirrors) -> None:
    """What happens to the mirrors meanwhile."""
    pause = seconds / 5
    await asyncio.sleep(pause)
    mirrors.push(len(REPOSITORIES))
    print("a push")
    await asyncio.sleep(1.5 * pause)
    mirrors.dead |= {3, 14, 15}
    print("three mirrors died")
    await asyncio.sleep(pause / 2)
    mirrors.push(2)
    print("a push")
    await asyncio.sleep(pause)
    mirrors.dead.clear()
    print("and came back")


async def play(seconds: float, data: Path, supervisor: int, admin: str) -> None:
    """What happens in the meantime, at even distances."""
    pause = seconds / 5
    config = data / "tree/config.yml"
    await asyncio.sleep(pause)
    config.touch()
    print("a reload:", await reload(admin))
    await asyncio.sleep(pause)
    geoip = data / "geoip/country.mmdb"
    good = geoip.read_bytes()
    geoip.write_bytes(good[:1000])
    print("a reload of a broken file:", await reload(admin))
    geoip.write_bytes(good)
    await asyncio.sleep(pause)
    kill_worker(supervisor)
    print("a worker was killed")
    await asyncio.sleep(pause)
    config.touch()
    print("a reload:", await reload(admin))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in opened]


async def rehearse(seconds: float, output: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, metrics, content = free_ports(3)
        data = Path(shutil.copytree(ROOT / "data", folder / "data"))
        mirrors = Mirrors(folder, content, random.Random(1))
        mirrors.write_tree()
        mirrors.push(len(REPOSITORIES))
        async with start_server(data) as (server, line), serve(mirrors), start_crawler(folder, metrics):
            url, admin = re.findall(r"http://[\w.:]+", line)
            async with start_prometheus(folder, admin, metrics, port):
                began = time.time()
                async with asyncio.TaskGroup() as both:
                    both.create_task(put_load(url, seconds, random.Random(1)))
                    both.create_task(play(seconds, data, server.pid, admin))
                    both.create_task(push(seconds, mirrors))
                source = Source(f"http://127.0.0.1:{port}", began + 5 * SCRAPE_S, began + seconds, SCRAPE_S)
                await asyncio.to_thread(draw, source, output)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the dashboard from a rehearsal.")
    parser.add_argument("--seconds", type=float, default=180, help="how long it takes (default: 180)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/dashboard.png", metavar="FILE")
    options = parser.parse_args()
    asyncio.run(rehearse(options.seconds, options.output))


if __name__ == "__main__":
    main()

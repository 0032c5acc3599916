"""Two of each on one PostgreSQL, killed by turns under load: somebody always answers, and what is told agrees."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from demo.__main__ import free_ports
from demo.loop import Loop, Plan, Ports
from demo.mirrors import five_mirrors
from demo.programs import ask
from redirector.store.opening import open_store
from redirector.store.tables.health import evidence
from tests.store.postgresql import PostgreSQL

START_S = 240.0
TARGET = "/mirrorlist?repo=example-1&arch=x86_64"


@dataclass(frozen=True, slots=True)
class Twin:
    """One of two programs: how it is started, and where it says that it is well."""

    name: str
    words: tuple[str, ...]
    well: str


def twins_of(ports: Ports, other: Ports) -> Sequence[Twin]:
    """Both of each; the first ones are those that the loop itself starts."""
    here = "127.0.0.1"
    return (
        Twin("serve", ("serve",), f"http://{here}:{ports.admin}/readyz"),
        Twin("pages", ("registry", "serve"), f"http://{here}:{ports.pages}/healthz"),
        Twin("crawl", ("crawl",), f"http://{here}:{ports.crawl}/metrics"),
        Twin(
            "serve-2",
            ("serve", "--listen", f"{here}:{other.answers}", "--admin", f"{here}:{other.admin}"),
            f"http://{here}:{other.admin}/readyz",
        ),
        Twin(
            "pages-2", ("registry", "serve", "--web", f"{here}:{other.pages}"), f"http://{here}:{other.pages}/healthz"
        ),
        Twin(
            "crawl-2",
            ("crawl", "--vantage", "second", "--crawl-metrics", f"{here}:{other.crawl}"),
            f"http://{here}:{other.crawl}/metrics",
        ),
    )


@dataclass(slots=True)
class Load:
    """What stands before both servers, as a balancer does: who does not answer is passed over."""

    answers: tuple[str, str]
    pages: tuple[str, str]
    asked: int = 0
    failed: list[str] = field(default_factory=list)

    async def ask_for_ever(self) -> None:
        for turn in itertools.count():
            for kind, urls, path in (("answers", self.answers, TARGET), ("pages", self.pages, "/api/v1/mirrors")):
                self.asked += 1
                for url in (urls[turn % 2], urls[1 - turn % 2]):
                    with contextlib.suppress(OSError):
                        await ask(url + path)
                        break
                else:
                    self.failed.append(kind)
            await asyncio.sleep(0.2)


async def keep(loop: Loop, twin: Twin) -> None:
    """Start it, again if it ends because its port is still held, until it is well."""
    deadline = asyncio.get_running_loop().time() + START_S
    while asyncio.get_running_loop().time() < deadline:
        process = loop.programs.running.get(twin.name)
        if process is None or process.returncode is not None:
            await loop.programs.start(twin.name, *twin.words)
        with contextlib.suppress(OSError):
            await ask(twin.well)
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"{twin.name}: {loop.programs.log(twin.name).read_text()[-2000:]}")


async def test_two_of_each_are_killed_by_turns_and_somebody_always_answers(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    ports, other = free_ports(), free_ports()
    # Nobody of these five dies, and judgement is slow: what is killed here are our own programs.
    mirrors = tuple(each for each in five_mirrors() if not each.down_s)
    database = await postgresql.make_database()
    plan = Plan(tmp_path / "many", ports, pace=0.02, push_s=3600, turn_s=5, database=database)
    loop = Loop(plan, lambda _: None, mirrors)
    twins = twins_of(ports, other)
    async with loop.run():
        for twin in twins:
            await keep(loop, twin)
        load = Load(
            (loop.answers(), f"http://127.0.0.1:{other.answers}"), (loop.pages(), f"http://127.0.0.1:{other.pages}")
        )
        asking = asyncio.create_task(load.ask_for_ever())
        for twin in twins:
            process = loop.programs.running[twin.name]
            process.kill()
            await process.wait()
            await asyncio.sleep(1)
            await keep(loop, twin)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        lists = {url: (await ask(f"{url}{TARGET}")).decode() for url in load.answers}
        shown = [json.loads(await ask(f"{url}/api/v1/mirrors")) for url in load.pages]
    assert load.failed == [] and load.asked > 20
    given = [set(re.findall(r"//(127\.0\.0\.\d+):", text)) for text in lists.values()]
    assert given[0] == given[1] == {mirror.address for mirror in mirrors}
    names = [{each["host"] for each in told["items"]} for told in shown]
    assert names[0] == names[1] == {mirror.name for mirror in mirrors}
    async with await open_store(database) as store, store.read() as connection:
        vantages = {row.vantage for row in await connection.execute(select(evidence.c.vantage).distinct())}
    assert vantages == {"main", "second"}

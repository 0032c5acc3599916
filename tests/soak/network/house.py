"""All programs as an operator runs them: two servers, two registry servers, a crawler, jobs by a timer, PostgreSQL.

Whatever ends is started again after a second, as systemd would; whatever may be killed is killed by turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.loop import CATEGORY, DATA
from demo.programs import DemoError, Programs, ask, wait_for
from redirector.health.rules import Rules
from tests.server.running import children_of
from tests.soak.network import truth
from tests.soak.network.machines import Master
from tests.soak.network.post import Post
from tests.soak.network.truth import Ledger
from tests.store.postgresql import Cluster, own_cluster

START_S = 300.0
BACK_S = 120.0
RESTART_S = 1.0
LOOK_S = 12.0
"""Two looks whether somebody is well are no further apart, but for a machine that stands still."""

ROUND_S = 6.0
"""What a round of visits to 120 mirrors may take beyond the interval between two of them."""

_JUDGED = re.compile(rb"^redirector_health_checked_timestamp_seconds (\d+)$", re.MULTILINE)
JOBS = ("scan", "publish", "stats")
COUNTED_TURNS = 3
"""Logs are counted in every third turn."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A program that is always to run. *well*: a URL that answers when it does."""

    name: str
    words: tuple[str, ...]
    well: str


@dataclass(slots=True)
class Server:
    """One that answers. *has*: it has all that was so at that time, by `time.monotonic`; 0: it was never up."""

    name: str
    answers: str
    admin: str
    log: Path
    has: float = 0.0

    async def reload(self) -> bool:
        """Have it take up what is published; False when it does not."""
        try:
            await ask(f"{self.admin}/-/reload", {}, method="POST", timeout_s=60)
        except OSError:
            return False
        return True


@dataclass(slots=True)
class House:
    """Everything that runs, and what was done to it.

    kills      what was killed -> how often
    back_s     what was killed -> seconds until it was well again
    published  when the last publication that ended well began, `time.monotonic`
    crawled_s  seconds of visits, as the crawler's pace counts them: a round adds `round_s` at most, however long it
               takes on a slow machine
    turns      of scan, publish, reload, count
    """

    folder: Path
    pace: float
    turn_s: float
    ports: Sequence[int]
    cluster: Cluster
    post: Post
    ledger: Ledger
    master: Master
    chance: random.Random
    programs: Programs = field(init=False)
    servers: tuple[Server, Server] = field(init=False)
    kept: Sequence[Kept] = field(init=False)
    kills: Counter[str] = field(default_factory=Counter)
    back_s: dict[str, list[float]] = field(default_factory=dict)
    published: float = 0.0
    crawled_s: float = 0.0
    turns: int = 0
    publications: int = 0
    refused: int = 0
    to_kill: set[str] = field(default_factory=set)
    database_up: bool = True
    turning: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        here = "127.0.0.1"
        answers, answers_2, admin, admin_2, pages, pages_2, crawl = self.ports[:7]
        self.servers = (
            Server("serve", f"http://{here}:{answers}", f"http://{here}:{admin}", self.folder / "access.log"),
            Server("serve-2", f"http://{here}:{answers_2}", f"http://{here}:{admin_2}", self.folder / "access-2.log"),
        )
        listens = ("--listen", f"{here}:{answers_2}", "--admin", f"{here}:{admin_2}")
        second = (*listens, "--access-log", str(self.servers[1].log), "--state", str(self.folder / "state-2"))
        self.kept = (
            Kept("serve", ("serve", "--state", str(self.folder / "state")), f"{self.servers[0].admin}/readyz"),
            Kept("serve-2", ("serve", *second), f"{self.servers[1].admin}/readyz"),
            Kept("pages", ("registry", "serve"), f"http://{here}:{pages}/healthz"),
            Kept("pages-2", ("registry", "serve", "--web", f"{here}:{pages_2}"), f"http://{here}:{pages_2}/healthz"),
            Kept("crawl", ("crawl",), f"http://{here}:{crawl}/metrics"),
        )

    @property
    def pages(self) -> tuple[str, str]:
        """Where the registry's web servers are."""
        return (f"http://127.0.0.1:{self.ports[4]}", f"http://127.0.0.1:{self.ports[5]}")

    @property
    def snapshot(self) -> Path:
        """What servers answer from."""
        return self.folder / "mirrorlist_cache.proto"

    def write_config(self, master: Path) -> Path:
        """The one file of keys."""
        here = "127.0.0.1"
        config = {
            "database": f"postgresql://redirector@/soak?host={self.cluster.folder}",
            "url": self.pages[0],
            "source": str(self.snapshot),
            "health": str(self.folder / "health.json"),
            "geoip": str(DATA / "geoip/country.mmdb"),
            "listen": [f"{here}:{self.ports[0]}"],
            "admin": f"{here}:{self.ports[2]}",
            "web": f"{here}:{self.ports[4]}",
            "workers": 2,
            "access_log": str(self.servers[0].log),
            "access_log_format": "json",
            "mail": {"relay": f"{here}:{self.post.relay_port}", "from": "Example Mirrors <mirrors@example.org>"},
            "hooks": [{"on": "*", "url": self.post.hook_url}],
            "masters": [
                {
                    "category": CATEGORY,
                    "top": "pub/linux",
                    "path": str(master),
                    "repositories": [
                        {
                            "match": "(?P<version>[0-9]+)/(?P<arch>[^/]+)/os",
                            "prefix": "example-{version}",
                            "product": CATEGORY,
                        }
                    ],
                }
            ],
            "crawl": {
                "pace": self.pace,
                "allow_address": ["127.0.0.0/8"],
                "crawl_metrics": f"{here}:{self.ports[6]}",
            },
        }
        path = self.folder / "redirector.yml"
        path.write_text(json.dumps(config, indent=1))
        os.chmod(path, 0o600)
        self.programs = Programs(self.folder, path)
        return path

    # -- Programs that always run --------------------------------------------------------------------------------------

    async def start(self, kept: Kept) -> None:
        """Start one, and wait until it is well."""
        await self.programs.start(kept.name, *kept.words)
        await wait_for(kept.well, START_S, kept.name, self.programs.log(kept.name))
        self._has_started(kept.name, self.published)

    async def keep_for_ever(self, kept: Kept) -> None:
        """Start it again whenever it ends."""
        while True:
            await self.programs.running[kept.name].wait()
            await asyncio.sleep(RESTART_S)
            before = self.published
            await self.programs.start(kept.name, *kept.words)
            while not await self.is_well(kept) and self.programs.running[kept.name].returncode is None:
                await asyncio.sleep(0.2)
            if self.programs.running[kept.name].returncode is None:
                self._has_started(kept.name, before)

    def _has_started(self, name: str, before: float) -> None:
        """It read what was published when it began."""
        for server in self.servers:
            if server.name == name:
                server.has = max(server.has, before)

    async def is_well(self, kept: Kept) -> bool:
        """It says so."""
        try:
            await ask(kept.well, timeout_s=5)
        except OSError:
            return False
        return True

    @property
    def round_s(self) -> float:
        """What a round of visits may take: those that are due wait for it, and then for its end."""
        return Rules().paced(self.pace).interval_s + ROUND_S

    async def tick_for_ever(self) -> None:
        """Add up the time in which visits were possible."""
        url = next(each for each in self.kept if each.name == "crawl").well
        last, judged, left_s = time.monotonic(), b"", self.round_s
        while True:
            well = False
            with contextlib.suppress(OSError):
                found = _JUDGED.search(await ask(url, timeout_s=5))
                well = self.database_up
                if found and found[1] != judged:
                    judged, left_s = found[1], self.round_s
            await asyncio.sleep(1)
            now = time.monotonic()
            if well and self.database_up:
                passed_s = min(now - last, 2.0, left_s)
                self.crawled_s += passed_s
                left_s -= passed_s
            last = now

    # -- Jobs by a timer -----------------------------------------------------------------------------------------------

    async def turn_for_ever(self, after: Callable[[], Awaitable[None]]) -> None:
        """Scan, publish, reload, count; *after* each turn whatever is to be looked at then."""
        while True:
            async with self.turning:
                await self.turn()
                await after()
            await asyncio.sleep(self.turn_s)

    async def turn(self) -> None:
        """What timers do once."""
        began = time.time()
        if await self._job("scan", "scan"):
            self.master.scanned(began, time.time())
        await self.publish()
        if self.turns % COUNTED_TURNS == 0:
            for server in self.servers:
                await self._job("stats", "stats", "add", str(server.log), "--server", server.name)
        self.turns += 1

    async def publish(self) -> bool:
        """Publish, and have both servers take it up; False when the publication came to nothing."""
        began = time.monotonic()
        files = ("--snapshot", str(self.snapshot), "--exports", str(self.folder / "exports"))
        if not await self._job("publish", "registry", "publish", *files, "--pages", str(self.folder / "pages")):
            return False
        self.published = began
        self.publications += 1
        for server in self.servers:
            if await server.reload():
                server.has = max(server.has, began)
            else:
                self.refused += 1
        return True

    async def _job(self, name: str, *words: str) -> bool:
        """Run a command; if its turn to be killed has come, kill it somewhere in the middle."""
        if name not in self.to_kill:
            try:
                await asyncio.wait_for(self.programs.finish(name, *words), 300)
            except (DemoError, TimeoutError):
                return False
            return True
        self.to_kill.discard(name)
        await self.programs.start(f"{name} (killed)", *words)
        process = self.programs.running.pop(f"{name} (killed)")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self.chance.uniform(0.5, 3.0))
        if process.returncode is None:
            process.kill()
            await process.wait()
            self.kills[name] += 1
        return False

    # -- Death ---------------------------------------------------------------------------------------------------------

    async def kill_for_ever(self, every_s: float, pause: asyncio.Lock) -> None:
        """Each in turn, in another order each time."""
        while True:
            victims: list[Callable[[], Awaitable[None]]] = [self.kill_database, self.kill_relay]
            victims += [lambda kept=kept: self.kill(kept) for kept in self.kept]  # type: ignore[misc]
            for server in self.servers:
                victims += [lambda s=server: self.kill_worker(s), lambda s=server: self.kill_nursery(s)]  # type: ignore[misc]
            victims += [lambda name=name: self._order(name) for name in JOBS]  # type: ignore[misc]
            self.chance.shuffle(victims)
            for victim in victims:
                await asyncio.sleep(every_s)
                async with pause:
                    await victim()

    async def _order(self, name: str) -> None:
        self.to_kill.add(name)

    async def kill(self, kept: Kept) -> None:
        """SIGKILL; then it is waited for."""
        process = self.programs.running[kept.name]
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await self._wait_until_back(kept.name, lambda: self.is_well(kept))

    async def kill_worker(self, server: Server) -> None:
        """One of the processes that answer."""
        await self._kill_child(server, "rd-worker", f"{server.name}: a worker")

    async def kill_nursery(self, server: Server) -> None:
        """The process that holds the data."""
        await self._kill_child(server, "rd-nursery", f"{server.name}: the nursery")

    async def _kill_child(self, server: Server, prefix: str, name: str) -> None:
        found = [pid for pid in family_of(self.programs.running[server.name].pid) if name_of(pid).startswith(prefix)]
        if not found:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.chance.choice(found), signal.SIGKILL)
        kept = next(each for each in self.kept if each.name == server.name)
        await self._wait_until_back(name, lambda: self.is_well(kept))

    async def kill_database(self) -> None:
        """All of PostgreSQL at once; it is started again three seconds later."""
        self.database_up = False
        await asyncio.to_thread(self.cluster.end, signal.SIGKILL)
        await asyncio.sleep(3)
        await asyncio.to_thread(self.cluster.start)
        self.database_up = True
        pages = [each for each in self.kept if each.name.startswith("pages")]

        async def well() -> bool:
            return all([await self.is_well(each) for each in pages])

        await self._wait_until_back("the database", well)

    async def kill_relay(self) -> None:
        """Mail cannot be sent for a while."""
        await self.post.stop_relay()
        await asyncio.sleep(5)
        await self.post.start_relay()
        self.kills["the mail relay"] += 1

    async def _wait_until_back(self, name: str, well: Callable[[], Awaitable[bool]]) -> None:
        self.kills[name] += 1
        passed_s = await seconds_until(well, BACK_S)
        if passed_s is not None:
            self.back_s.setdefault(name, []).append(passed_s)
        truth.judge_back(self.ledger, name, passed_s)


async def seconds_until(
    well: Callable[[], Awaitable[bool]],
    most_s: float,
    clock: Callable[[], float] = time.monotonic,
    pause_s: float = 0.2,
) -> float | None:
    """How long it took until *well*; None: more than *most_s*. What the machine itself stood still does not count."""
    passed_s, last = 0.0, clock()
    while not await well():
        await asyncio.sleep(pause_s)
        now = clock()
        passed_s, last = passed_s + min(now - last, LOOK_S), now
        if passed_s >= most_s:
            return None
    return passed_s


def family_of(pid: int) -> list[int]:
    """All descendants of *pid*."""
    found = []
    with contextlib.suppress(OSError):
        for child in children_of(pid):
            found += [child, *family_of(child)]
    return found


def name_of(pid: int) -> str:
    """How a process calls itself; "" when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


@asynccontextmanager
async def running_database() -> AsyncIterator[Cluster]:
    """PostgreSQL with an empty database `soak`."""
    import asyncpg  # type: ignore[import-untyped]

    context = own_cluster()
    cluster = await asyncio.to_thread(context.__enter__)
    try:
        connection = await asyncpg.connect(user="redirector", host=str(cluster.folder), database="postgres")
        await connection.execute("CREATE DATABASE soak")
        await connection.close()
        yield cluster
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)

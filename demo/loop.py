"""The loop: push, scan, visit, publish, answer, count; and what is seen of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.clients import Counts, ask_for_ever, run_dnf_for_ever
from demo.mirrors import Mirror, five_mirrors
from demo.programs import Programs, ask, wait_for
from demo.tree import ARCH, RELEASES, push, remove, synchronize

DATA = Path(__file__).resolve().parent.parent / "data"
CATEGORY = "Example Linux"
START_S = 180.0
"""Within which a program of the demo answers, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo listens: on 127.0.0.1, and the mirrors on addresses of their own."""

    answers: int = 8080
    pages: int = 8090
    admin: int = 9180
    crawl: int = 9181
    mirrors: int = 8011


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen.

    pace      factor on every time by which mirrors are judged: with 0.002 a day is three minutes
    push_s    between two pushes of the master
    turn_s    between two scans and publications
    database  the store's URL; None: SQLite in the folder
    """

    folder: Path
    ports: Ports = Ports()
    pace: float = 0.002
    push_s: float = 40.0
    turn_s: float = 5.0
    seed: int = 1
    database: str | None = None


@dataclass(slots=True)
class Loop:
    """All of it, running. *tell* gets a line for everything that happens.

    listed  release -> the mirrors in its list
    link    where the admin of the distribution, `demo`, chooses a password; it works once
    """

    plan: Plan
    tell: Callable[[str], None]
    mirrors: tuple[Mirror, ...] = field(default_factory=five_mirrors)
    counts: Counts = field(default_factory=Counts)
    pushes: int = 0
    turns: int = 0
    listed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    link: str = ""

    @property
    def programs(self) -> Programs:
        """Those that `run` uses."""
        assert self._programs is not None
        return self._programs

    _programs: Programs | None = None

    # -- Addresses -----------------------------------------------------------------------------------------------------

    def answers(self, path: str = "") -> str:
        """A URL of the server that clients ask."""
        return f"http://127.0.0.1:{self.plan.ports.answers}{path}"

    def pages(self, path: str = "") -> str:
        """A URL of the registry's web server."""
        return f"http://127.0.0.1:{self.plan.ports.pages}{path}"

    def addresses(self) -> Sequence[tuple[str, str]]:
        """The five that are worth a look."""
        target = f"/mirrorlist?repo=example-{RELEASES[-1]}%26arch={ARCH}"
        admin = f"http://127.0.0.1:{self.plan.ports.admin}"
        return (
            ("what clients get", self.answers(f"/mirrorlist?repo=example-{RELEASES[-1]}&arch={ARCH}")),
            ("why they get that", f"{admin}/explain?target={target}&client=5.9.0.1"),
            ("the mirrors, for everybody", self.pages("/mirrors")),
            ("how far pushes have spread", self.pages("/propagation")),
            ("how visits go, for Prometheus", f"http://127.0.0.1:{self.plan.ports.crawl}/metrics"),
        )

    # -- Setting up ----------------------------------------------------------------------------------------------------

    @property
    def master(self) -> Path:
        """The master tree."""
        return self.plan.folder / "master"

    def _mirror_folder(self, mirror: Mirror) -> Path:
        return self.plan.folder / "mirrors" / mirror.name

    def _write_files(self) -> Path:
        folder = self.plan.folder
        remove(folder)
        for each in ("logs", "master", *(f"mirrors/{mirror.name}" for mirror in self.mirrors)):
            (folder / each).mkdir(parents=True)
        self._push()
        for mirror in self.mirrors:
            synchronize(self.master, self._mirror_folder(mirror), mirror.without)
        ports = self.plan.ports
        config = {
            "database": self.plan.database or f"sqlite:///{folder / 'redirector.db'}",
            "url": self.pages(),
            "source": str(folder / "mirrorlist_cache.proto"),
            "geoip": str(DATA / "geoip/country.mmdb"),
            "listen": [f"127.0.0.1:{ports.answers}"],
            "admin": f"127.0.0.1:{ports.admin}",
            "web": f"127.0.0.1:{ports.pages}",
            "workers": 1,
            "access_log": str(folder / "access.log"),
            "access_log_format": "json",
            "masters": [
                {
                    "category": CATEGORY,
                    "top": "pub/linux",
                    "path": str(self.master),
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
                "pace": self.plan.pace,
                "allow_address": ["127.0.0.0/8"],
                "crawl_metrics": f"127.0.0.1:{ports.crawl}",
            },
        }
        path = folder / "redirector.yml"
        path.write_text(json.dumps(config, indent=1))
        os.chmod(path, 0o600)
        return path

    def _push(self) -> None:
        self.pushes += 1
        push(self.master, self.pushes, int(time.time()), random.Random(self.plan.seed + self.pushes))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Everything is up inside, and nothing of it is left behind."""
        config = await asyncio.to_thread(self._write_files)
        self._programs = Programs(self.plan.folder, config)
        tasks: list[asyncio.Task[None]] = []
        try:
            for mirror in self.mirrors:
                await mirror.start(self._mirror_folder(mirror), self.plan.ports.mirrors)
            await self._found()
            tasks += [asyncio.create_task(each) for each in self._activities()]
            for task in tasks:
                task.add_done_callback(self._tell_failure)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.programs.stop()
            for mirror in self.mirrors:
                await mirror.stop()

    def _tell_failure(self, task: asyncio.Task[None]) -> None:
        """Something that was to go on until the end does not."""
        if not task.cancelled() and (error := task.exception()) is not None:
            name = getattr(task.get_coro(), "__name__", "")
            self.tell(f"the demo itself: {name} has ended: {error!r}")

    async def _found(self) -> None:
        """From an empty database to the first answer, each step as in `docs/newcomer.md`, but for forms and API."""
        programs = self.programs
        self.tell("registry init, scan, publish: a database, and what the master holds")
        await programs.finish("registry", "registry", "init")
        await programs.finish("scan", "scan")
        await self._publish()
        self.link = (await programs.finish("registry", "registry", "user", "demo", "--distribution-admin")).strip()
        token = (await programs.finish("registry", "registry", "token", "demo", "--scope", "write")).strip()
        await programs.start("pages", "registry", "serve")
        await wait_for(self.pages("/healthz"), START_S, "registry serve", programs.log("pages"))
        self.tell("the API: five sites and their hosts sign up, and are approved")
        for mirror in self.mirrors:
            await self._sign_up(mirror, token)
        self.tell("crawl --once: the first good visit lists a mirror")
        await programs.finish("crawl", "crawl", "--once")
        await self._publish()
        await programs.start("serve", "serve")
        readyz = f"http://127.0.0.1:{self.plan.ports.admin}/readyz"
        await wait_for(readyz, START_S, "serve", programs.log("serve"))
        await programs.start("crawl", "crawl")
        crawling = f"http://127.0.0.1:{self.plan.ports.crawl}/metrics"
        await wait_for(crawling, START_S, "crawl", programs.log("crawl"))
        await self._look()

    async def _sign_up(self, mirror: Mirror, token: str) -> None:
        async def post(path: str, body: dict[str, Any]) -> Any:
            return json.loads(await ask(self.pages(f"/api/v1{path}"), body, token=token))

        who = mirror.name.partition(".")[0].capitalize()
        contact = f"ops@{mirror.name}"
        site = await post("/sites", {"name": who, "url": f"https://{mirror.name}/", "contacts": [contact]})
        await post(f"/sites/{site['id']}/approval", {"action": "approve"})
        fields = {"name": mirror.name, "country": mirror.country, "bandwidth_mbit": mirror.bandwidth_mbit}
        host = await post(f"/sites/{site['id']}/hosts", fields)
        await post(f"/hosts/{host['id']}/categories", {"category": CATEGORY})
        url = mirror.url(self.plan.ports.mirrors)
        await post(f"/hosts/{host['id']}/urls", {"category": CATEGORY, "url": url})

    # -- Going on ------------------------------------------------------------------------------------------------------

    def _activities(self) -> Sequence[Any]:
        chance = random.Random(self.plan.seed)
        return (
            self._push_for_ever(),
            self._turn_for_ever(),
            self._look_for_ever(),
            ask_for_ever(self.answers(), self.counts, chance, 0.5),
            run_dnf_for_ever(self.answers(), self.plan.folder / "dnf", self.counts, 20.0),
            *(each.synchronize_for_ever(self.master, self._mirror_folder(each)) for each in self.mirrors),
            *(self._die_for_ever(each) for each in self.mirrors if each.down_s),
        )

    async def _push_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.plan.push_s)
            await asyncio.to_thread(self._push)
            self.tell(f"master: push {self.pushes}")

    async def _turn_for_ever(self) -> None:
        """What timers do on a server: read the master, publish, count."""
        while True:
            await asyncio.sleep(self.plan.turn_s)
            await self.programs.finish("scan", "scan", may_fail=True)
            await self._publish("--reload", "--admin", f"127.0.0.1:{self.plan.ports.admin}", may_fail=True)
            log = str(self.plan.folder / "access.log")
            await self.programs.finish("stats", "stats", "add", log, may_fail=True)
            self.turns += 1

    async def _publish(self, *more: str, may_fail: bool = False) -> None:
        snapshot = str(self.plan.folder / "mirrorlist_cache.proto")
        await self.programs.finish("publish", "registry", "publish", "--snapshot", snapshot, *more, may_fail=may_fail)

    async def _die_for_ever(self, mirror: Mirror) -> None:
        """Up and down for its times at the least, and until the lists show it: on a slow machine that is later."""
        while True:
            await asyncio.sleep(mirror.up_s)
            await self._until_listed(mirror, True)
            await mirror.stop()
            self.tell(f"{mirror.name} has died")
            await asyncio.sleep(mirror.down_s)
            await self._until_listed(mirror, False)
            await mirror.start(self._mirror_folder(mirror), self.plan.ports.mirrors)
            self.tell(f"{mirror.name} is back")

    async def _until_listed(self, mirror: Mirror, listed: bool) -> None:
        while any(mirror.name in names for names in self.listed.values()) is not listed:
            await asyncio.sleep(1)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(1)
            if dead := self.programs.dead():
                self.tell(f"{dead} has ended: see {self.programs.log(dead)}")
            with contextlib.suppress(OSError):
                await self._look()

    async def _look(self) -> None:
        """Ask for each release's list, and tell what came or went."""
        names = {mirror.address: mirror.name for mirror in self.mirrors}
        for release in RELEASES:
            text = (await ask(self.answers(f"/mirrorlist?repo=example-{release}&arch={ARCH}"))).decode()
            now = tuple(sorted(name for address, name in names.items() if f"//{address}:" in text))
            before = self.listed.get(release)
            self.listed[release] = now
            if before is None:
                self.tell(f"release {release} is on {', '.join(now) or 'no mirror'}")
                continue
            for name in sorted(set(before) - set(now)):
                self.tell(f"release {release}: {name} is OUT of the list")
            for name in sorted(set(now) - set(before)):
                self.tell(f"release {release}: {name} is back IN the list")

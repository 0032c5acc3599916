"""The soak itself: who lives and dies, who asks, and what is held against what is so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from demo.clients import PLACES
from demo.tree import ARCH, RELEASES, repository_path
from redirector.health.rules import Rules
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from tests.soak.memory import memory_mb
from tests.soak.network import truth
from tests.soak.network.edits import Admins, Api, RefusedError, Signed
from tests.soak.network.house import House, Server, running_database
from tests.soak.network.machines import BROKEN, BUSY, HONEST, HTML, Machine, Master, make_machines
from tests.soak.network.post import Post
from tests.soak.network.truth import Answer, Host, Ledger, addresses_in

LATE_ROUNDS = 4
"""By so many rounds of visits the crawler may be late on a busy machine: it takes that many to find somebody dead."""

HEEDED_S = 30.0
"""Within which a server heeds a new health file."""

STOPPED_S = 5.0
"""When nothing happened for so long, the machine itself stood still."""

AGREE_TURNS = 3
"""Turns between two looks whether all agree; one that meets somebody who is just starting is put off."""

PEACEFUL_S = 2.0
"""Between two synchronizations of each mirror in peace."""

CHIEF = "chief@example.org"
CLIENTS = 6
PUBLIC_PAGES = (
    "/mirrors",
    "/map",
    "/propagation",
    "/statistics",
    "/join",
    "/api/v1/mirrors?limit=200",
    "/api/v1/status",
)
PUBLIC_EXPORTS = ("public", "mirmon", "tiers", "rsync-acl")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how many, how fast. The intervals follow from the length."""

    folder: Path
    seconds: float
    mirrors: int
    pace: float
    seed: int = 1

    @property
    def short(self) -> bool:
        """A few minutes: everything happens more often."""
        return self.seconds < 1200

    @property
    def rules(self) -> Rules:
        """The times of judgement at this pace."""
        return Rules().paced(self.pace)


@dataclass(slots=True)
class Fault:
    """What is wrong with a mirror: since when, and after how many seconds of visits no list may have it."""

    kind: str
    began: float
    crawled_s: float
    bound_s: float


@dataclass(slots=True)
class Asked:
    """What clients saw."""

    lists: int = 0
    whole: int = 0
    cut: int = 0
    slowest_s: float = 0.0


class Soak:
    """Everything, for the time of `run`."""

    def __init__(self, plan: Plan, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.tell = tell
        self.ledger = Ledger()
        self.chance = random.Random(plan.seed)
        self.asked = Asked()
        self.faults: dict[str, Fault] = {}
        self.well_from: dict[str, float] = {}
        self.watched: dict[str, tuple[str, float]] = {}
        self.gone_s: dict[str, list[float]] = {}
        self.happened: Counter[str] = Counter()
        self.memory: dict[str, list[float]] = {}
        self.hosts: dict[str, Host] = {}
        self.pause = asyncio.Lock()
        self.peace = asyncio.Event()
        self.began = time.monotonic()
        self.counted = (0, 0)
        self.awake = 0.0
        self.agreed_turn = 0
        self.ended = False

    # -- Setting up ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From an empty folder to the last look."""
        plan = self.plan
        for each in ("logs", "master", "mirrors"):
            shutil.rmtree(plan.folder / each, ignore_errors=True)
            (plan.folder / each).mkdir(parents=True)
        ports = free_ports(10)
        self.master = Master(plan.folder / "master")
        self.post = Post(ports[7], ports[8])
        self.mirror_port = ports[9]
        async with (
            running_database() as cluster,
            ClientSession(timeout=ClientTimeout(30), connector=TCPConnector(limit=50)) as session,
        ):
            self.session = session
            turn_s = 5.0 if plan.short else 12.0
            chance = random.Random(plan.seed)
            self.house = House(
                plan.folder, plan.pace, turn_s, ports, cluster, self.post, self.ledger, self.master, chance
            )
            self.house.write_config(self.master.folder)
            self.admins = Admins(Api(session, self.house.pages), self.ledger, random.Random(plan.seed))
            await self.post.start()
            try:
                await self._found()
                self.began = time.monotonic()
                await self._live()
            finally:
                await self.house.programs.stop()
                for signed in self.admins.mirrors:
                    await signed.machine.stop()
                await self.post.stop()

    async def _found(self) -> None:
        """From an empty database to the first answer."""
        house, programs = self.house, self.house.programs
        await self.master.push(lambda: time.time() - 1)
        self.tell("registry init, scan")
        await programs.finish("registry", "registry", "init")
        await programs.finish("scan", "scan")
        self.master.scanned(time.time(), time.time())
        link = await programs.finish("registry", "registry", "user", "chief", "--mail", CHIEF, "--distribution-admin")
        token = await programs.finish("registry", "registry", "token", "chief", "--scope", "write")
        self.admins.api.token = token.strip()
        await asyncio.gather(*(house.start(each) for each in house.kept if each.name.startswith("pages")))
        await self.admins.api.prove(link.strip())
        rules = self.plan.rules
        machines = make_machines(self.plan.mirrors, 2 * self.plan.rules.interval_s, 2.2 * rules.outdate_s)
        self.tell(f"{len(machines)} mirrors sign up")
        site: int | None = None
        for number, machine in enumerate(machines):
            await machine.copy(self.master, self._folder(machine))
            await machine.start(self._folder(machine), self.mirror_port)
            shared = site if number % 3 and not machine.private else None
            signed = await self.admins.sign_up(machine, machine.url(self.mirror_port), shared)
            site = signed.site if not machine.private else None
            self.hosts[machine.address] = signed.host
        for signed in self.admins.mirrors:
            if signed.machine.private:
                await self.admins.check_in(signed, self._directories(signed.machine))
                signed.host.due = time.monotonic()
        self.tell("crawl --once, publish")
        await programs.finish("crawl", "crawl", "--once")
        assert await house.publish() or house.snapshot.exists()
        await asyncio.gather(*(house.start(each) for each in house.kept if not each.name.startswith("pages")))
        assert await house.publish()

    def _folder(self, machine: Machine) -> Path:
        return self.plan.folder / "mirrors" / machine.name

    def _directories(self, machine: Machine) -> list[str]:
        top = self._folder(machine)
        return ["", *(str(path.relative_to(top)) for path in sorted(top.rglob("*")) if path.is_dir())]

    async def _live(self) -> None:
        """All that goes on, until the time is over; then peace, and the last look."""
        plan, house = self.plan, self.house
        short = plan.short
        always: list[Coroutine[Any, Any, None]] = [
            house.tick_for_ever(), self._watch_for_ever(), self._push_for_ever(20.0 if short else 60.0),
            house.turn_for_ever(self._after_turn),
            *(house.keep_for_ever(each) for each in house.kept),
            *(self._copy_for_ever(each) for each in self.admins.mirrors),
            *(self._ask_for_ever(number) for number in range(CLIENTS)),
        ]  # fmt: skip
        unrest: list[Coroutine[Any, Any, None]] = [
            house.kill_for_ever(4.0 if short else 12.0, self.pause),
            self.admins.edit_for_ever(
                2.0 if short else 5.0, 20.0 if short else 90.0, max(plan.mirrors // 5, 3), self.pause
            ),
            self._fail_for_ever(4.0 if short else 10.0),
            self._tell_for_ever(),
        ]
        tasks = [asyncio.create_task(each) for each in always]
        troubles = [asyncio.create_task(each) for each in unrest]
        try:
            await self._until(self.began + plan.seconds, tasks + troubles)
            self.tell("peace: nobody is killed, nothing is edited any more")
            async with self.pause:
                for task in troubles:
                    task.cancel()
            await asyncio.gather(*troubles, return_exceptions=True)
            await self._calm_down(tasks)
        finally:
            for task in tasks + troubles:
                task.cancel()
            await asyncio.gather(*tasks, *troubles, return_exceptions=True)

    async def _until(self, end: float, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait; raise what ended one of *tasks* before."""
        done, _ = await asyncio.wait(tasks, timeout=max(end - time.monotonic(), 0), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise AssertionError(f"{task.get_coro()} has ended")

    async def _calm_down(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Everybody is well again; after a while each is given, nothing waits, and all that was counted adds up."""
        self.peace.set()
        for signed in self.admins.mirrors:
            if not signed.machine.alive:
                await signed.machine.start(self._folder(signed.machine), self.mirror_port)
            signed.machine.mode = HONEST
            for key, back in (("enabled", True), ("maintenance", None), ("private", signed.machine.private)):
                if key in signed.accepted and signed.accepted[key] != back:
                    await self.admins._accept(signed, {key: back})
            if not await self.admins.api.items(f"/hosts/{signed.id}/urls"):
                body = {"category": "Example Linux", "url": signed.machine.url(self.mirror_port)}
                await self.admins.api.ask("POST", f"/hosts/{signed.id}/urls", body)
            for reason in (*truth.SWITCHES, *(() if signed.machine.private else (truth.PRIVATE,))):
                if reason == "site-suspended" and reason in signed.host.withheld:
                    with contextlib.suppress(RefusedError):
                        await self.admins._decide(signed.site, "approve")
                signed.host.withheld.pop(reason, None)
        await self._until(time.monotonic() + self._settle_s() + self._late_s + 3 * self.house.turn_s, tasks)
        waiting = [h.name for h in self.hosts.values() if h.due is None and not h.private]
        self.ledger.check(truth.WELL_GIVEN, not waiting, f"in peace, and not well: {', '.join(waiting)}")
        async with self.house.turning:
            await self._agree()
            await self.admins.compare()
            self._judge_post()
            self.ended = True
            await asyncio.sleep(2)
            await self._judge_counts()

    # -- What happens --------------------------------------------------------------------------------------------------

    async def _push_for_ever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            # A push that no scan has seen is unknown content for ever: on a slow machine pushes wait for scans.
            while self.master.unseen:
                await asyncio.sleep(1)
            await self.master.push(time.time)
            self.happened["push"] += 1

    async def _copy_for_ever(self, signed: Signed) -> None:
        machine = signed.machine
        while True:
            await self._rest(machine.every_s * self.chance.uniform(0.7, 1.3))
            if self.ended:
                await asyncio.sleep(3600)
            if machine.alive:
                await machine.copy(self.master, self._folder(machine))
            if machine.private:
                await asyncio.sleep(60)
                believed = await self.admins.check_in(signed, self._directories(machine))
                signed.host.due = (signed.host.due or time.monotonic()) if believed else None

    async def _rest(self, seconds: float) -> None:
        """Between two synchronizations; peace wakes those that sleep for minutes, while pushes go on."""
        if self.peace.is_set():
            await asyncio.sleep(PEACEFUL_S)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.peace.wait(), seconds)

    async def _fail_for_ever(self, every_s: float) -> None:
        """Mirrors die, lie, break, are busy; and are well again after a while. At most a seventh at a time."""
        rules = self.plan.rules
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(every_s)
                well = [
                    each for each in self.admins.mirrors
                    if each.machine.habit == "well" and each.machine.address not in self.faults
                    and each.machine.alive and each.machine.mode == HONEST
                ]  # fmt: skip
                ill = sum(not each.machine.alive or each.machine.mode != HONEST for each in self.admins.mirrors)
                if well and ill < max(self.plan.mirrors // 7, 2):
                    kind = self.chance.choice(("dead", "dead", HTML, BROKEN, BUSY))
                    hold_s = self.chance.uniform(0.5, 4.0) * (rules.interval_s * 3 + self._late_s)
                    group.create_task(self._fail(self.chance.choice(well), kind, hold_s))

    async def _fail(self, signed: Signed, kind: str, hold_s: float) -> None:
        machine = signed.machine
        signed.host.due = None
        self.happened[f"mirror {kind}"] += 1
        try:
            if kind == "dead":
                await machine.stop()
            else:
                machine.mode = kind
            await asyncio.sleep(hold_s)
        finally:
            machine.mode = HONEST
            if not machine.alive:
                await machine.start(self._folder(machine), self.mirror_port)

    # -- What is so ----------------------------------------------------------------------------------------------------

    @property
    def _late_s(self) -> float:
        """Seconds of visits that the crawler may be late."""
        return LATE_ROUNDS * self.house.round_s

    def _bounds(self) -> dict[str, float]:
        """Seconds of visits after which each kind of fault must have been concluded."""
        rules = self.plan.rules
        return {
            truth.UNREACHABLE: rules.interval_s + sum(rules.retry_s) + rules.retry_s[-1] + self._late_s,
            truth.STALE: 2 * rules.interval_s + rules.look_span_s + self._late_s,
        }

    def _settle_s(self) -> float:
        """Seconds of visits after which one that is well must have been seen to be so, and the servers know it."""
        rules = self.plan.rules
        return (
            (1 + rules.jitter) * rules.out_retry_s[-1]
            + rules.up_span_s
            + 2 * rules.interval_s
            + self._late_s
            + HEEDED_S
            + 10
        )

    async def _watch_for_ever(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            if now - last > STOPPED_S:
                self._begin_anew(now)
            last = now
            for signed in self.admins.mirrors:
                self._watch(signed)

    def _begin_anew(self, now: float) -> None:
        """The machine stood still, and all clocks went on, but for seconds of visits: what is judged by them goes on.

        What clients would have seen meanwhile is not known.
        """
        self.awake = now
        self.happened["standstill of the machine"] += 1
        self.watched.clear()

    def _watch(self, signed: Signed) -> None:
        """Note what must keep a mirror out by now, and whether it must be in."""
        now, machine, host = time.monotonic(), signed.machine, signed.host
        lag = self.master.lag_s(machine.has, time.time())
        allowed = self.plan.rules.outdate_s
        switched = any(reason in truth.SWITCHES for reason in host.withheld) or (host.private and not machine.private)
        if machine.private:
            return
        kind = ""
        if not machine.alive or machine.mode == HTML:
            kind = truth.UNREACHABLE
        elif machine.mode == BROKEN or (lag > allowed and machine.mode == HONEST):
            kind = truth.STALE
        fault = self.faults.get(machine.address)
        if fault is not None and (fault.kind != kind or switched):
            del self.faults[machine.address]
            host.withheld.pop(fault.kind, None)
            self.watched.pop(machine.address, None)
            fault = None
        if kind and fault is None and not switched:
            fault = Fault(kind, now, self.house.crawled_s, self._bounds()[kind])
            self.faults[machine.address] = fault
            self.watched[machine.address] = (kind, now)
        if fault is not None and self.house.crawled_s - fault.crawled_s >= fault.bound_s:
            host.withheld.setdefault(fault.kind, now)
        well = not kind and not switched and machine.mode == HONEST and lag <= allowed / 2 and not signed.busy
        if not well:
            self.well_from.pop(machine.address, None)
            host.due = None
        elif (
            self.house.crawled_s - self.well_from.setdefault(machine.address, self.house.crawled_s) >= self._settle_s()
        ):
            host.due = host.due or now

    # -- Clients -------------------------------------------------------------------------------------------------------

    async def _ask_for_ever(self, number: int) -> None:
        turn = number
        while not self.ended:
            turn += 1
            release = RELEASES[turn % 2]
            private = [each for each in self.hosts.values() if each.networks]
            insider = self.chance.choice(private) if private and turn % 5 == 0 else None
            client = insider.networks[0] if insider else self.chance.choice(PLACES)
            whole = insider is None and turn % 3 == 0
            await self._ask(turn, client, release, whole, insider)
            await asyncio.sleep(0.3)
        await asyncio.sleep(3600)

    async def _ask(self, turn: int, client: str, release: str, whole: bool, insider: Host | None) -> None:
        kind = "metalink" if turn % 2 else "mirrorlist"
        path = f"/{kind}?repo=example-{release}&arch={ARCH}" + ("&country=global" if whole else "")
        servers = self.house.servers if turn % 2 else self.house.servers[::-1]
        first = time.monotonic()
        for server in servers:
            has, began = server.has, time.monotonic()
            try:
                headers = {"X-Forwarded-For": client, "Connection": "close"}
                async with self.session.get(f"{server.answers}{path}", headers=headers) as answer:
                    status, text = answer.status, await answer.text()
            except (ClientError, TimeoutError, OSError):
                self.asked.cut += 1
                continue
            self.asked.slowest_s = max(self.asked.slowest_s, time.monotonic() - began)
            self.asked.lists += 1
            self.asked.whole += whole
            given = addresses_in(text)
            self.ledger.check(truth.ANSWERED, status == 200 and bool(given), f"{server.name}{path}: {status}")
            judged = Answer(server.name, has, client, release, given, whole)
            truth.judge_answer(self.ledger, self.hosts, judged)
            if insider is not None and insider.networks and release not in insider.lacking:
                truth.judge_own_mirror(self.ledger, insider, judged)
            if whole:
                self._note_gone(given, began, release)
            return
        await asyncio.sleep(1)  # in which it is noticed that the machine stood still
        if self.awake < first:
            self.ledger.check(truth.ANSWERED, False, f"{path}: neither server answers")

    def _note_gone(self, given: frozenset[str], began: float, release: str) -> None:
        for address, (kind, since) in list(self.watched.items()):
            if since < began and address not in given and release not in self.hosts[address].lacking:
                self.gone_s.setdefault(kind, []).append(time.monotonic() - since)
                del self.watched[address]

    # -- Looks after a turn --------------------------------------------------------------------------------------------

    async def _after_turn(self) -> None:
        await self._look_for_traces()
        for name, process in self.house.programs.running.items():
            with contextlib.suppress(OSError, ProcessLookupError):
                self.memory.setdefault(name, []).append(memory_mb(process.pid))
        if self.house.turns >= self.agreed_turn + AGREE_TURNS:
            async with self.pause:
                await self._agree()

    async def _look_for_traces(self) -> None:
        """Pages, exports and files for everybody."""
        has = min(server.has for server in self.house.servers)
        began = time.monotonic()
        texts: list[tuple[str, str]] = []
        for page in (*PUBLIC_PAGES, *(f"/api/v1/export/{name}" for name in PUBLIC_EXPORTS)):
            with contextlib.suppress(ClientError, TimeoutError, OSError):
                url = f"{self.house.pages[self.house.turns % 2]}{page}"
                async with self.session.get(url) as answer:
                    if answer.status == 200:
                        texts.append((page, await answer.text()))
        for server in self.house.servers:
            with contextlib.suppress(ClientError, TimeoutError, OSError):
                async with self.session.get(f"{server.answers}/", headers={"Accept": "text/html"}) as answer:
                    texts.append((f"{server.name}/", await answer.text()))
        for path in (self.plan.folder / "exports", self.plan.folder / "pages"):
            texts += [(each.name, each.read_text()) for each in path.rglob("*") if each.is_file()]
        with contextlib.suppress(OSError):
            texts.append(("health.json", (self.plan.folder / "health.json").read_text()))
        born = [each.host for each in self.admins.mirrors if each.machine.private]
        for where, text in texts:
            hosts = born if where == "health.json" else self.hosts.values()
            truth.judge_trace(self.ledger, hosts, where, text, min(has, began))
        private = [each.machine for each in self.admins.mirrors if each.machine.private]
        truth.judge_probes(self.ledger, {each.name: each.probed for each in private})

    async def _agree(self) -> None:
        """Published data, pages, exports and answers, in a moment in which nobody edits or kills."""
        if not all([await self.house.is_well(each) for each in self.house.kept]):
            return
        before, health = await self._shown(), self._health()
        if not await self.house.publish():
            return
        told = {"published": self._published(repositories=False)}
        given = {"published": self._published(repositories=True)}
        public = json.loads((self.plan.folder / "exports" / "public.json").read_text())
        told["export"] = frozenset(each["host"] for each in public["items"] if each["state"] == "ok")
        for server in self.house.servers:
            if server.has != self.house.published:
                return
            given[server.name] = await self._given(server)
        after = await self._shown()
        told["pages"] = frozenset(name for name, (state, _) in after.items() if state == "ok")
        # A visit may end in between, and a server heeds a new health file within half a minute. What a mirror lacks
        # changes nothing in its state.
        now = time.time()
        moving = [
            name for name in before.keys() | after.keys()
            if before.get(name) != after.get(name) or now - after[name][1] < HEEDED_S + self.house.round_s + 15
        ]  # fmt: skip
        now_health = self._health()
        moving += [name for name, entry in now_health.items() if health.get(name) != entry]
        self.agreed_turn = self.house.turns
        truth.judge_agreement(self.ledger, told, moving)
        # A repository that a mirror lacks changes nothing in its state: of those the ones that are well are compared.
        unsure = [host.name for host in self.hosts.values() if host.due is None]
        truth.judge_agreement(self.ledger, given, [*moving, *unsure])

    def _health(self) -> dict[str, tuple[bool, list[str]]]:
        """What the health file says: host -> whether it is up, and what it lacks."""
        told = json.loads((self.plan.folder / "health.json").read_text())
        return {name: (entry["up"], entry.get("lacking", [])) for name, entry in told["mirrors"].items()}

    async def _shown(self) -> dict[str, tuple[str, float]]:
        """What `/api/v1/mirrors` says: host -> state, and since when."""
        from datetime import datetime

        items = await self.admins.api.items("/mirrors")
        return {
            each["host"]: (each["state"], datetime.fromisoformat(each["since"]).timestamp() if each["since"] else 0.0)
            for each in items
        }

    def _published(self, *, repositories: bool) -> frozenset[str]:
        """Whom strangers are given by the file: for a repository, or for anything."""
        catalog = load_snapshot_file(str(self.house.snapshot))
        names = dict(enumerate(host.name for host in catalog.hosts))
        directories = [f"pub/linux/{repository_path(release)}" for release in RELEASES]
        sets = [
            {names[number] for number in catalog.host_sets[directory.host_set].public}
            for name, directory in catalog.directories.items()
            if not repositories or name in directories
        ]
        return frozenset().union(*sets)

    async def _given(self, server: Server) -> frozenset[str]:
        found: set[str] = set()
        for release in RELEASES:
            url = f"{server.answers}/mirrorlist?repo=example-{release}&arch={ARCH}&country=global"
            async with self.session.get(url) as answer:
                found |= {self.hosts[address].name for address in addresses_in(await answer.text())}
        return frozenset(found)

    # -- The end -------------------------------------------------------------------------------------------------------

    def _judge_post(self) -> None:
        for name in self.admins.asked:
            mails = sum(count for (to, subject), count in self.post.mails.items() if to == CHIEF and name in subject)
            events = sum(
                count for (kind, site), count in self.post.events.items() if site == name and kind == "site.ask"
            )
            truth.judge_told(self.ledger, name, mails, events)

    async def _judge_counts(self) -> None:
        """What statistics say beside what the logs hold."""
        lines = 0
        for server in self.house.servers:
            await self.house.programs.finish("stats", "stats", "add", str(server.log), "--server", server.name)
            for line in server.log.read_bytes().splitlines():
                with contextlib.suppress(ValueError):
                    row = json.loads(line)
                    lines += row["status"] in (200, 302) and "repo=example-" in row["target"]
        told = json.loads(await self.house.programs.finish("stats", "stats", "export", "access", "--json"))
        counted = sum(row["requests"] for row in told["items"] if row["category"] == "repositories")
        self.counted = (lines, counted)
        truth.judge_counts(self.ledger, lines, counted)

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(20)
            passed = time.monotonic() - self.began
            broken = ", ".join(f"{name}: {count}" for name, count in self.ledger.broken.items())
            out = sum(bool(host.withheld) for host in self.hosts.values())
            self.tell(
                f"{passed // 60:3.0f}:{passed % 60:02.0f}  {self.asked.lists:,} lists, {self.house.publications} "
                f"publications, {self.house.kills.total()} killed, {self.admins.done.total()} edits, {out} withheld, "
                f"{sum(h.due is not None for h in self.hosts.values())} due; {broken or 'all well'}"
            )
            for name, told in self.ledger.words.items():
                for text in told[:3]:
                    self.tell(f"       {name}: {text}")
            (self.plan.folder / "table.md").write_text(self.table() + "\n")

    def table(self) -> str:
        """What was seen, in Markdown."""
        house, asked = self.house, self.asked
        killed = [f"{name} {count}" for name, count in sorted(house.kills.items())]
        slowest = max((max(values), name) for name, values in house.back_s.items()) if house.back_s else (0.0, "-")
        passed_s = min(time.monotonic() - self.began, self.plan.seconds)
        rows: list[tuple[str, str]] = [
            ("ran", f"{passed_s / 60:.0f} minutes at pace {self.plan.pace:g}: "
                    f"{passed_s / self.plan.pace / 86400:.1f} days of judgement; {self.plan.mirrors} mirrors"),
            ("happened", ", ".join(f"{name} {count}" for name, count in sorted(self.happened.items()))),
            ("edits by API", ", ".join(f"{name} {count}" for name, count in sorted(self.admins.done.items()))),
            ("killed", f"{house.kills.total()}: " + ", ".join(killed)),
            ("slowest to come back", f"{slowest[1]}, {slowest[0]:.1f} s"),
            ("publications", f"{house.publications}, in {house.turns} turns of scan, publish, reload, count"),
            ("lists asked for", f"{asked.lists:,}, {asked.whole:,} of them of all mirrors; slowest "
                                f"{asked.slowest_s * 1000:,.0f} ms; {asked.cut} times the other server was asked"),
            *((f"out of all lists when {kind}", f"{len(values)} times, after {truth.quantile(values, 0.5):.0f} s "
               f"in the middle, {max(values):.0f} s at most") for kind, values in sorted(self.gone_s.items())),
            ("requests counted", f"{self.counted[1]:,} of {self.counted[0]:,} lines"),
            ("mail, events", f"{self.post.mails.total()} mails ({self.post.twice} sent twice), "
                             f"{self.post.events.total()} events"),
            *((f"memory of {name}", f"{values[len(values) // 5]:.0f} MB early, {values[-1]:.0f} MB at the end")
              for name, values in sorted(self.memory.items()) if len(values) > 4),
        ]  # fmt: skip
        lines = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""]
        lines += ["| at every moment | looks | against it |", "|---|---|---|"]
        for name in truth.INVARIANTS:
            lines.append(f"| {name} | {self.ledger.checks[name]:,} | {self.ledger.broken[name]} |")
        for name, told in self.ledger.words.items():
            lines += ["", f"{name}:", *(f"- {text}" for text in told)]
        return "\n".join(lines)


def free_ports(count: int) -> Sequence[int]:
    """Ports that nobody has just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return numbers

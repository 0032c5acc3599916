"""`redirector crawl`: visit mirrors, judge them, write the health file."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redirector import __version__
from redirector.cli.options import add_options, flags_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.counted import counted
from redirector.errors import ConfigError, SnapshotError, StoreError
from redirector.health.evidence import Evidence, Probe
from redirector.health.hysteresis import Event
from redirector.health.keeping import Known, evidence_text
from redirector.health.pace import Pace
from redirector.health.probing import Probes, open_probes
from redirector.health.report import HostHealth
from redirector.health.round import Crawler, Round, Wanted
from redirector.health.rules import Rules
from redirector.health.safety import Safety
from redirector.health.service import Service, end, listen, write_health
from redirector.health.show import table_of, tell_visit
from redirector.health.telling import Teller
from redirector.health.visit import Result
from redirector.health.world import World, load_world
from redirector.one_line import one_line
from redirector.registry.world import read_world
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_job, read_file
from redirector.settings.mail import Telling
from redirector.settings.network import Network, database_url
from redirector.settings.serving import Config
from redirector.stats.spread import keep_propagation
from redirector.store.opening import Store, open_store

log = logging.getLogger("redirector.health")

SPENT_S = 1.0
"""How long it may take at the end to write down how much was asked of whom."""

REASONS = 20
"""Why nobody is visited is said of so many mirrors."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a crawl; those of `serve` are accepted, so that one list does for all."""
    parser.add_argument("--once", action="store_true", help="visit each mirror once, due or not, and end")
    parser.add_argument("--host", metavar="NAME", help="visit this mirror now, and show everything that was seen")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_options(parser, Crawl)
    add_options(parser, Network)
    add_options(parser, Config, {"config", "state", "log_level"})


@dataclass(frozen=True, slots=True)
class Job:
    """What a crawl was told.

    source    the tree or snapshot whose hosts are visited; None: the registry's, in the database
    instead   what is visited while the registry has no hosts
    """

    crawl: Crawl
    network: Network
    source: str | None
    database: str
    instead: str | None = None

    @property
    def subject(self) -> str:
        """Where the hosts are from, for messages."""
        return self.source or "the registry"


def read_job(arguments: argparse.Namespace) -> Job:
    """The settings. Raises ConfigError."""
    flags = flags_of(arguments)
    crawl, network = load_job(Crawl, flags), load_job(Network, flags)
    config = flags.get("config")
    usual = common(flags, "source")
    source = crawl.source or (usual if network.database is None else None)
    if source is None and network.database is None:
        raise ConfigError("command line", "--source", None, "the tree or snapshot whose hosts are visited is needed")
    state = common(flags, "state")
    named = network.database
    if named is None and state is not None:
        named = f"sqlite:///{os.path.join(state, 'health.db')}"
    return Job(crawl, network, source, named or database_url(network, str(config) if config else None), usual)


def common(flags: Mapping[str, str | Sequence[str]], key: str) -> str | None:
    """A key of the answering half that a crawl uses too."""
    if isinstance(given := flags.get(key), str):
        return given
    config = flags.get("config")
    block = read_file(config).block("", key) if isinstance(config, str) else None
    if block is None or not isinstance(block.value, str):
        return None
    return os.path.join(block.folder, block.value)


def run(arguments: argparse.Namespace) -> int:
    """Crawl, and say what was found."""
    job = read_job(arguments)
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("redirector").setLevel(logging.INFO)
    try:
        return asyncio.run(_run(job, arguments))
    except (SnapshotError, StoreError) as error:
        say(str(error))
        return Exit.FAILED
    except OSError as error:
        say(f"{error.filename or job.crawl.crawl_metrics}: {error.strerror}")
        return Exit.FAILED


async def _run(job: Job, arguments: argparse.Namespace) -> int:
    begun = time.time()
    once = bool(arguments.once or arguments.host)
    agent = f"redirector-crawler/{__version__}" + (f" (+{job.network.url})" if job.network.url else "")
    async with await open_store(job.database) as store:
        pace = Pace(
            now=time.time,
            monotonic=time.monotonic,
            spent=await _spent(store, job),
            heeds_busy=not once,
            rehearsed=min(job.crawl.pace, 1.0),
        )
        probes = open_probes(
            pace=pace,
            safety=Safety(job.crawl.allow_address),
            agent=agent,
            vantage=job.crawl.vantage,
            now=time.time,
            monotonic=time.monotonic,
        )
        prober = _Watched(probes) if arguments.host and sys.stderr.isatty() else probes
        crawler = Crawler(
            store, prober, _loader(job, store), job.crawl.vantage, job.crawl.pace, time.time, _progress(arguments, once)
        )
        telling = load_job(Telling, flags_of(arguments))
        teller = Teller(store, telling, job.network.url, agent, time.time, job.crawl.pace)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        try:
            if arguments.host:
                return await _until(stop, _visit_one(job, crawler, store, teller, arguments))
            if once:
                return await _until(stop, _crawl_once(job, crawler, store, teller, arguments, begun))
            return await _serve(job, crawler, store, teller, stop)
        finally:
            await probes.close()
            await _keep_spent(store, job, pace)


async def _until(stop: asyncio.Event, work: Any) -> int:
    """The outcome of *work*; 130 when it was told to stop before."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return int(task.result()) if task.done() else Exit.INTERRUPTED
    finally:
        await end(task, stopped)


def _loader(job: Job, store: Store) -> Callable[[Mapping[str, Known], float], World]:
    """Reads the world anew, in a thread of its own."""
    rules = Rules(interval_s=job.crawl.interval_s)
    if job.source is not None:
        source = job.source
        return lambda known, now: load_world(source, known, now, rules, job.crawl.no_crawl)
    loop = asyncio.get_running_loop()

    async def read(now: float) -> World:
        async with store.read() as connection:
            return await read_world(connection, rules, job.crawl.no_crawl, int(now))

    def load(known: Mapping[str, Known], now: float) -> World:
        world = asyncio.run_coroutine_threadsafe(read(now), loop).result()
        if world.subjects or job.instead is None:
            return world
        return load_world(job.instead, known, now, rules, job.crawl.no_crawl)

    return load


def _health_path(job: Job, world: World | None) -> str | None:
    return job.network.health or (world.health if world else None)


async def _serve(job: Job, crawler: Crawler, store: Store, teller: Teller, stop: asyncio.Event) -> int:
    world = await asyncio.to_thread(_loader(job, store), {}, time.time())

    async def keep_spread(made: Round) -> None:
        if made.world is not None:
            await keep_propagation(store, made.world.masters, job.crawl.vantage, int(made.at), always=False)

    interval_s = job.crawl.interval_s * job.crawl.pace
    service = Service(crawler, _health_path(job, world), interval_s, time.time, keep_spread, teller)
    sending = asyncio.ensure_future(teller.run())
    try:
        async with listen(service, job.crawl.crawl_metrics):
            await service.run(stop)
    finally:
        await end(sending)
    return Exit.DONE


async def _crawl_once(
    job: Job, crawler: Crawler, store: Store, teller: Teller, arguments: argparse.Namespace, begun: float
) -> int:
    made = await crawler.round(Wanted(since=begun))
    assert made is not None
    path = _health_path(job, made.world)
    if not made.results and not made.entries:
        subjects = made.world.subjects if made.world is not None else ()
        for subject in subjects[:REASONS]:
            say(f"{subject.name}: is not visited: {subject.unvisited or 'nothing is expected there'}")
        say(f"{job.subject}: nobody to visit among {counted(len(subjects), 'mirrors')}, nothing written")
        return Exit.FAILED
    if made.void:
        say(f"nothing concluded, nothing written: {made.void}")
        return print_result(as_json(_json_of(made)), Exit.FAILED) if arguments.json else Exit.FAILED
    if path and made.entries:
        write_health(path, made.entries, made.at)
    if made.world is not None:
        await keep_propagation(store, made.world.masters, job.crawl.vantage, int(made.at))
    await teller.tell(made)
    await teller.flush()
    if arguments.json:
        return print_result(as_json(_json_of(made)), Exit.DONE)
    return print_result(table_of(made), Exit.DONE)


async def _visit_one(job: Job, crawler: Crawler, store: Store, teller: Teller, arguments: argparse.Namespace) -> int:
    world = await asyncio.to_thread(_loader(job, store), {}, time.time())
    subject = next((each for each in world.subjects if arguments.host in (each.key, each.name)), None)
    if subject is None:
        say(f"{arguments.host}: no such mirror in {job.subject}")
        return Exit.FAILED
    if subject.unvisited:
        say(f"{subject.name}: is not visited: {subject.unvisited}")
        return Exit.FAILED
    wanted = Wanted(host=subject.key, everything=True)
    made = await crawler.round(wanted, wait=False)
    if made is None:
        say("another crawl is under way: what is seen is shown, and not written")
        made = await crawler.look(wanted)
    else:
        await teller.tell(made)
        await teller.flush()
    path = _health_path(job, made.world)
    if path and made.entries and not made.void:
        write_health(path, made.entries, made.at)
    outcome = Exit.FAILED if made.void or not made.results else Exit.DONE
    if arguments.json:
        return print_result(as_json(_json_of(made, evidence=True)), outcome)
    masters = made.world.masters if made.world is not None else {}
    told = [tell_visit(result, made.entries.get(subject.key), masters) for result in made.results]
    return print_result("".join(told), outcome)


def _json_of(made: Round, *, evidence: bool = False) -> dict[str, Any]:
    """What a round found, for machines."""
    import json

    def of(result: Result) -> dict[str, Any]:
        entry: HostHealth | None = made.entries.get(result.subject.key)
        told: dict[str, Any] = {
            "host": result.subject.key,
            "visit": result.event.value,
            "reason": result.reason,
            "requests": result.requests,
            "state": entry.state.value if entry else None,
            "up": entry.up if entry else None,
            "lag_s": entry.lag_s if entry else None,
        }
        if evidence:
            told["evidence"] = [json.loads(evidence_text(seen)) for seen in result.evidence]
        return told

    return {
        "at": int(made.at),
        "took_s": round(made.took_s, 3),
        "void": made.void,
        "requests": made.requests,
        "failed": sum(result.event is Event.FAILED for result in made.results),
        "mirrors": [of(result) for result in sorted(made.results, key=lambda each: each.subject.key)],
    }


def _progress(arguments: argparse.Namespace, once: bool) -> Callable[[Result, int], None]:
    """A line a host on a terminal; nothing elsewhere."""
    done = 0

    def tell(result: Result, total: int) -> None:
        nonlocal done
        done += 1
        if once and not arguments.host and sys.stderr.isatty():
            reason = f": {result.reason}" if result.reason else ""
            print(one_line(f"[{done}/{total}] {result.subject.name} {result.event}{reason}"), file=sys.stderr)

    return tell


class _Watched:
    """Shows on the terminal what is being asked: with four questions a second one visit may take a minute."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._asked = 0

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        self._asked += 1
        asked = one_line(f"{self._asked}: {probe.base}{probe.path}")
        print(f"\r\x1b[K{asked[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)
        return await self._probes.probe(probe)

    async def leave(self, evidence: Sequence[Evidence]) -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        await self._probes.leave(evidence)


async def _spent(store: Store, job: Job) -> dict[str, Any]:
    from redirector.health.keeping import unpack_spent
    from redirector.store.evidence import find_spent

    async with store.read() as connection:
        found = await find_spent(connection, job.crawl.vantage)
    return {address: unpack_spent(raw) for address, raw in found.items()}


async def _keep_spent(store: Store, job: Job, pace: Pace) -> None:
    from redirector.health.keeping import pack_spent
    from redirector.store.evidence import put_spent

    packed = {address: pack_spent(spent) for address, spent in pace.spent().items()}
    try:
        async with asyncio.timeout(SPENT_S), store.write() as connection:
            await put_spent(connection, job.crawl.vantage, int(time.time() // 86400), packed)
    except StoreError as error:
        log.error("%s", error)
    except TimeoutError:
        log.error("%s: locked by another process: how much was asked of whom is forgotten", store.url)

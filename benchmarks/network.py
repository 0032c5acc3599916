"""What the network half costs: `python -m benchmarks.network`, a table beside what it should be.

A round over real sockets (530 mirrors, each with an address of its own on loopback, 64 repositories), days of visits at
the size of a large distribution by a clock of their own, judgement alone, and a store after a year.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from random import Random

import yaml

from benchmarks.simulated import BEGIN, DAY, HOUR, SimulatedMirror, make_master, simulate, sum_of
from redirector.health.evidence import Ask, Evidence, Outcome, Scheme
from redirector.health.expected import Expected, Version
from redirector.health.judge import Before, judge_index
from redirector.health.keeping import pack_held, pack_memory
from redirector.health.memory import EVER, settle
from redirector.health.pace import Pace
from redirector.health.probing import open_probes
from redirector.health.round import Crawler, Round, Wanted
from redirector.health.rules import Rules
from redirector.health.safety import Safety
from redirector.health.world import load_world
from redirector.store import evidence as kept
from redirector.store.opening import Store, open_store

MIRRORS = 530
REPOSITORIES = 64
PORT = 8899


@dataclass(frozen=True, slots=True)
class Row:
    """One number, and what it should be at most (*most*) or at least."""

    what: str
    measured: float
    unit: str
    bound: float
    most: bool = True

    @property
    def met(self) -> bool:
        return self.measured <= self.bound if self.most else self.measured >= self.bound


# -- A round over sockets ----------------------------------------------------------------------------------------------


def write_world(folder: Path, mirrors: int, repositories: int) -> None:
    """A tree of mirrors at 127.x.y.z, and its master."""
    names = [f"repo{n:02}" for n in range(repositories)]
    config = {
        "config_version": 3,
        "mirrors_dir": "mirrors.d",
        "versions": ["9.8"],
        "arches": {"9.8": ["x86_64"]},
        "repos": [{"name": name, "path": f"{name}/x86_64/os/"} for name in names],
        "primary": "../primary",
        "health": "../health.json",
    }
    (folder / "tree" / "mirrors.d").mkdir(parents=True)
    (folder / "tree" / "config.yml").write_text(yaml.safe_dump(config))
    for number in range(mirrors):
        name = f"m{number}.example.net"
        document = {
            "name": name,
            "address": {"http": f"http://{address_of(number)}:{PORT}/"},
            "update_frequency": "3h",
            "sponsor": "Example",
            "sponsor_url": "https://example.org",
            "geolocation": {"country": "DE"},
        }
        (folder / "tree" / "mirrors.d" / f"{name}.yml").write_text(yaml.safe_dump(document))
    stamp = int(time.time()) - HOUR
    for number, name in enumerate(names):
        repository = folder / "primary" / "9.8" / name / "x86_64" / "os"
        (repository / "repodata").mkdir(parents=True)
        (repository / "Packages").mkdir()
        primary = (
            '<metadata xmlns="http://linux.duke.edu/metadata/common"><package type="rpm">'
            f'<time file="{stamp}" build="{stamp}"/><size package="100"/><location href="Packages/p{number}.rpm"/>'
            "</package></metadata>"
        )
        (repository / "repodata" / "primary.xml").write_text(primary)
        (repository / "Packages" / f"p{number}.rpm").write_bytes(b"r" * 100)
        index = (
            f'<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>{number}</revision><data type="primary">'
            f'<location href="repodata/primary.xml"/><timestamp>{stamp}</timestamp><size>{len(primary)}</size></data>'
            + f"<!-- {'x' * 3000} --></repomd>"
        )
        (repository / "repodata" / "repomd.xml").write_text(index)
    (folder / "primary" / "TIME").write_text(f"{stamp}\n")


def address_of(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"


async def serve_mirrors(primary: str) -> None:
    """Every address of loopback, one process: all mirrors have what the master has."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split(" ", 2)
                while (await reader.readline()).strip():
                    pass
                path = os.path.join(primary, target.lstrip("/"))
                body = Path(path).read_bytes() if os.path.isfile(path) else None
                head = f"HTTP/1.1 {'200 OK' if body is not None else '404 Not Found'}\r\n"
                head += f"Content-Length: {len(body or b'')}\r\n\r\n"
                writer.write(head.encode() + (b"" if method == "HEAD" or body is None else body))
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", PORT, backlog=4096)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


async def measure_rounds(folder: Path, mirrors: int, repositories: int) -> Iterator[Row]:
    """A first round, and a second one in which nothing had changed."""
    write_world(folder, mirrors, repositories)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.network", "--serve", str(folder / "primary"), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    await server.stdout.readline()
    try:
        async with await open_store(f"sqlite:///{folder}/health.db") as store:
            pace = Pace(now=time.time, monotonic=time.monotonic)
            probes = open_probes(
                pace=pace,
                safety=Safety((ip_network("127.0.0.0/8"),)),
                agent="redirector-crawler/bench",
                vantage="main",
                now=time.time,
                monotonic=time.monotonic,
            )
            crawler = Crawler(
                store,
                probes,
                lambda known, now: load_world(str(folder / "tree"), known, now, Rules(), ()),
                "main",
                1.0,
                time.time,
            )
            first = await _round(crawler)
            memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            second = await _round(crawler)
            await probes.close()
    finally:
        server.terminate()
        await server.wait()
    judged = [entry.state.value for entry in first.entries.values()]
    if judged != ["ok"] * mirrors:
        raise SystemExit(f"the round went wrong: {Counter(judged)}")
    return iter(
        (
            Row(f"a round of {mirrors} mirrors × {repositories} repositories", first.took_s, "s", 300),
            Row("its memory", memory_mb, "MB", 600),
            Row("its requests, the most of a mirror", _most(first), "requests", 120),
            Row("a second round without a change, the most of a mirror", _most(second), "requests", 12),
            Row("that round", second.took_s, "s", 60),
        )
    )


def _most(made: Round) -> int:
    return max(result.requests for result in made.results)


async def _round(crawler: Crawler) -> Round:
    made = await crawler.round(Wanted(since=time.time()))
    assert made is not None
    if made.void:
        raise SystemExit(f"a void round: {made.void}")
    return made


# -- A week at the size of a large distribution ------------------------------------------------------------------------


def measure_week(days: int) -> tuple[list[Row], dict[str, list[int]]]:
    """Requests a day to one mirror over HTTP alone, and from a push until it is known who has it."""
    random = Random(7)
    master = make_master(1100, 0, days, random, changed=60, changed_others=0, a_day=2)
    curves: dict[str, list[int]] = {}
    worst = 0
    verdicts: list[float] = []
    for name, offset_s in (("three hours after", 3 * HOUR), ("at once", 600)):
        mirror = SimulatedMirror(master, every_s=3 * HOUR, offset_s=float(offset_s))
        visits = list(simulate(mirror, BEGIN, BEGIN + days * DAY, Rules()))
        by_day = Counter(int((at - BEGIN) // DAY) for at in mirror.requests)
        curves[name] = [by_day[day] for day in range(days)]
        worst = max(worst, *curves[name])
        pushes = sorted({time for times in master.pushes for time in times if BEGIN <= time < BEGIN + (days - 1) * DAY})
        ends = [visited.result.at for visited in visits]
        verdicts += [next(end for end in ends if end > pushed) - pushed for pushed in pushes]
    rows = [
        Row("requests a day and mirror, 1,100 repositories, two pushes a day, the most", worst, "requests", 5000),
        Row("from a push to the verdict who has it, the longest", max(verdicts) / 60, "min", 20),
    ]
    return rows, curves


# -- Judgement alone ---------------------------------------------------------------------------------------------------


def measure_judgement(count: int = 100_000) -> Row:
    """Hosts times directories a second, one core; one in twenty is not current."""
    versions = tuple(Version(sum_of("x", n), 3000, BEGIN - n * HOUR, BEGIN - n * HOUR) for n in range(5))
    expected = Expected("a", "a/repodata/repomd.xml", versions, pushed=BEGIN)
    shas = [*[versions[0].sha256] * 95, *(version.sha256 for version in versions), "unknown"]
    seen = [
        Evidence(BEGIN, "main", "m", "", Ask.INDEX, "https://m/", expected.index, Outcome.OK, Scheme.HTTPS, sha256=sha)
        for sha in shas
    ]
    rules = Rules()
    begun = time.perf_counter()
    for number in range(count):
        settle(EVER | 1, None, judge_index(expected, seen[number % len(seen)], Before(), rules, soft404=False), rules)
    return Row("judged: hosts × directories a second", count / (time.perf_counter() - begun), "/s", 20_000, most=False)


# -- The store after a year --------------------------------------------------------------------------------------------


async def measure_store(folder: Path, mirrors: int, repositories: int, days: int) -> Row:
    """Its size, when every mirror was visited each quarter of an hour: the last 90 days are kept, and thinned out."""
    master = make_master(repositories, 0, 3, Random(3), changed=10, changed_others=0)
    mirror = SimulatedMirror(master)
    last = list(simulate(mirror, BEGIN, BEGIN + DAY, Rules()))[-1].result
    served, packed = pack_held(last.categories[0].held)
    memory = pack_memory(last.memory)
    names = [f"mirror{n}.example.net" for n in range(mirrors)]
    now = BEGIN + days * DAY
    path = folder / "year.db"
    async with await open_store(f"sqlite:///{path}") as store:
        async with store.write() as connection:
            hosts = [kept.MemoryRow(name, "main", now, now, "ok", now, "", 0, memory) for name in names]
            contents = [kept.ContentRow(name, "main", "", "digest", served, packed) for name in names]
            await kept.put_memories(connection, hosts, contents)
        for day in range(max(0, days - kept.KEPT_DAYS), days):
            await _add_day(store, names, BEGIN + day * DAY, whole=day >= days - 4)
            if day >= days - 4:
                async with store.write() as connection:
                    await kept.thin_out(connection, BEGIN + (day + 1) * DAY)
    return Row(f"store after {days} days of {mirrors} mirrors", path.stat().st_size / 1e6, "MB", 1000)


async def _add_day(store: Store, names: list[str], begin: int, *, whole: bool) -> None:
    """A day of visits; where it is not *whole*, what is left of one once it has been thinned out."""
    parts = range(96) if whole else range(0, 96, 24)
    seen = (
        '{"at":1795000000,"vantage":"main","host":"m.example.net","ask":"marker","base":"https://m.example.net/"}' * 3
    )
    visits = [
        kept.VisitRow(name, begin + part * 900, "main", "good", True, "fresh", "", "ok", 0, 3600, 0.2, 5)
        for name in names
        for part in parts
    ]
    evidence = [
        kept.EvidenceRow(name, "main", begin + part * 900, number == 0 and part == 0, seen)
        for name in names
        for part in parts
        for number in range(4)
        if whole or (number == 0 and part == 0)
    ]
    async with store.write() as connection:
        await kept.add_visits(connection, visits)
        await kept.add_evidence(connection, evidence)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the mirrors, two days instead of a week")
    parser.add_argument("--out", type=Path, help="a file for the numbers, as JSON")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve:
        asyncio.run(serve_mirrors(options.serve))
        return
    mirrors, days, year = (27, 2, 5) if options.quick else (MIRRORS, 7, 365)
    rows = [measure_judgement()]
    week, curves = measure_week(days)
    rows += week
    with tempfile.TemporaryDirectory(prefix="redirector-bench-") as folder:
        rows += asyncio.run(measure_rounds(Path(folder), mirrors, REPOSITORIES))
        rows.append(asyncio.run(measure_store(Path(folder), mirrors, REPOSITORIES, year)))
    for row in rows:
        bound = f"{'≤' if row.most else '≥'} {row.bound:,.0f}"
        print(f"| {row.what} | {row.measured:,.1f} {row.unit} | {bound} | {'yes' if row.met else 'NO'} |")
    for name, curve in curves.items():
        print(f"requests a day, synchronised {name}: {', '.join(map(str, curve))}")
    if options.out:
        told = {row.what: {"measured": row.measured, "unit": row.unit, "bound": row.bound} for row in rows}
        options.out.write_text(json.dumps({"rows": told, "curves": curves}, indent=1) + "\n")
    if not all(row.met for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""How fast and how large the pages are: `python -m benchmarks.pages`, a table beside what each may take.

A registry of 700 mirrors with 90 days behind them, served by `redirector registry serve` as people have it. Each page
is asked for once by the first who wants it, then some more times, then by 200 visitors at once, each on a connection of
his own. What is asked for after an edit is measured for the one who edited and for a visitor.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import aiohttp

from benchmarks.made_up import make_network
from benchmarks.simulated import DAY, HOUR
from redirector.registry.edit import sites
from redirector.registry.edit.change import Change, House
from redirector.registry.permits import OPERATOR
from redirector.store import evidence, statistics
from redirector.store.evidence import HistoryRow, VisitRow
from redirector.store.opening import open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow
from redirector.store.statistics import PropagationRow

MIRRORS, DAYS = 700, 90
VISITED_S = 90 * 60
"""So long the crawler itself looks; what is older is written as visits leave it when they are thinned out."""

REPOSITORIES, RUNS = 200, 14 * 24
"""Of which it is known how far they had spread, and how often that was measured."""

VISITORS, TIMES = 200, 15
MOST_MS, MOST_KB = 100, 300
CONFIG = "database: sqlite:///{file}\nweb: 127.0.0.1:0\nsign_up: invited\napi_limit: 1000000\n"
PASSWORD = "nineteen mirrors in a row"


@dataclass(frozen=True, slots=True)
class Row:
    """One page. Milliseconds: of the first who asks, the median of others, the median and the last of 200 at once.

    cpu_ms  the server's own processor time for each of the others
    """

    page: str
    kb: float
    first_ms: float
    usual_ms: float
    cpu_ms: float
    many_ms: float | None = None
    last_ms: float | None = None

    @property
    def met(self) -> bool:
        return (self.kb <= MOST_KB or self.page.startswith("/api/")) and max(self.usual_ms, self.first_ms) <= MOST_MS


# -- The network -------------------------------------------------------------------------------------------------------


async def make_store(file: Path, mirrors: int, days: int) -> list[str]:
    """A database for `registry serve`; the names of its mirrors. cost: three minutes of one core for 700 mirrors"""
    now = int(time.time())
    url = f"sqlite:///{file}"
    names = await make_network(url, mirrors, days, House(), now, visited_s=VISITED_S)
    chance = Random(3)
    async with await open_store(url) as store:
        for back in range(1, days):
            parts = range(96) if back < 3 else range(0, 96, 24)
            visits = [_visit(name, now - back * DAY + part * 900, chance) for name in names for part in parts]
            async with store.write() as connection:
                await evidence.add_visits(connection, visits)
        async with store.write() as connection:
            await evidence.add_history(connection, [row for name in names for row in _history(name, now, days, chance)])
            rows = [
                PropagationRow(
                    now - run * HOUR, f"pub/linux/10/Part{n}/x86_64/os", mirrors - n - run % 9, n, run % 9, 1, 1
                )
                for n in range(REPOSITORIES)
                for run in range(RUNS)
            ]
            await statistics.add_propagation(connection, rows)
            today = datetime.fromtimestamp(now, UTC).date()
            for name in names:
                told = {str(today - timedelta(days=n)): chance.randrange(10**13) for n in range(1, days)}
                await statistics.add_traffic(connection, name, told)
            (host,) = await queries.list_rows(connection, HostRow, name=names[0])
            change = Change(connection, OPERATOR, now, House())
            await sites.put_admin(change, host.site, {"account": "ana"})
    return names


async def known(file: Path) -> tuple[list[str], dict[str, int]]:
    """Names of the mirrors in a database that was made; numbers of the site and host that Ana is an admin of."""
    async with await open_store(f"sqlite:///{file}") as store, store.read() as connection:
        rows = await queries.list_rows(connection, HostRow)
    return [row.name for row in rows], {"site": rows[0].site, "host": rows[0].id}


def _visit(name: str, at: int, chance: Random) -> VisitRow:
    lag = chance.choice((0, 0, 0, 0, 1800, 7200))
    return VisitRow(name, at, "main", "good", True, "fresh", "", "ok", lag, lag + 600, chance.random(), 5)


def _history(name: str, now: int, days: int, chance: Random) -> Iterator[HistoryRow]:
    """Most are well all the time, some are in trouble every other day."""
    yield HistoryRow(name, now - days * DAY, "ok", "", 0)
    for _ in range(chance.choice((0, 0, 1, 3, 10, 40))):
        at = now - chance.randrange(DAY, days * DAY)
        state = chance.choice(("stale", "unreachable"))
        yield HistoryRow(
            name, at, state, "https://mirror.example.net/linux/TIME: answers 503 (three times in a row)", 2
        )
        yield HistoryRow(name, at + chance.randrange(HOUR, 9 * HOUR), "ok", "", 0)


# -- The server, and people --------------------------------------------------------------------------------------------


def redirector(config: Path, *words: str) -> str:
    command = [sys.executable, "-m", "redirector", "registry", *words, "--config", str(config)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def serving(config: Path) -> Iterator[tuple[str, int]]:
    """Its base URL, and the number of its process."""
    command = [sys.executable, "-m", "redirector", "registry", "serve", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            found = re.search(r"registry ready on (\S+)", line)
            if found:
                yield found[1], process.pid
                return
        raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.communicate()


def cpu_s(process: int) -> float:
    """Processor time that a process has used."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Person:
    """A browser of somebody who may be logged in."""

    session: aiohttp.ClientSession
    base: str
    server: int
    text: str = ""

    async def get(self, path: str) -> tuple[float, int]:
        """Milliseconds and bytes of a page."""
        begun = time.perf_counter()
        async with self.session.get(self.base + path) as answer:
            raw = await answer.read()
        took = time.perf_counter() - begun
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {raw[:500]!r}")
        self.text = raw.decode()
        return took * 1000, len(raw)

    async def post(self, path: str, **values: str) -> tuple[float, float]:
        """Milliseconds from a form that is sent to the page after it, and to its end, which is worked out meanwhile.

        The form is filled as on the open page but for *values*.
        """
        form = {**fields(self.text, path), **values}
        begun = time.perf_counter()
        async with self.session.post(self.base + path, data=form, headers={"Origin": self.base}) as answer:
            head = await answer.content.readany()
            seen = time.perf_counter()
            self.text = (head + await answer.read()).decode()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {self.text[:500]}")
        return (seen - begun) * 1000, (time.perf_counter() - begun) * 1000


def fields(page: str, action: str) -> dict[str, str]:
    """What a form of a page holds."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    found = {}
    for tag in re.findall(r"<input[^>]*>", form[1] if form else ""):
        told = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" in told and (told.get("type") != "checkbox" or " checked" in tag):
            found[told["name"]] = told.get("value", "")
    return found


async def log_in(person: Person, config: Path, login: str) -> None:
    link = urlsplit(redirector(config, "user", login).split()[-1]).path
    await person.get(link)
    await person.post(link, password=PASSWORD)


async def measure(person: Person, page: str, path: str, *, many: bool = False) -> Row:
    """One page, as the person sees it; *many*: and 200 visitors at once."""
    first_ms, size = await person.get(path)
    begun_s = cpu_s(person.server)
    times = [(await person.get(path))[0] for _ in range(TIMES)]
    cpu_ms = (cpu_s(person.server) - begun_s) * 1000 / TIMES
    if not many:
        return Row(page, size / 1000, first_ms, median(times), cpu_ms)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        crowd = await asyncio.gather(*(Person(session, person.base, person.server).get(path) for _ in range(VISITORS)))
    told = [ms for ms, _ in crowd]
    return Row(page, size / 1000, first_ms, median(times), cpu_ms, median(told), max(told))


PUBLIC = (
    "/mirrors", "/mirrors?sort=lag", "/mirrors?sort=score", "/mirrors?state=ok&protocol=https&arch=aarch64",
    "/mirrors?country=DE&product=Example%20Linux&version=10", "/map", "/propagation",
    "/propagation?repository=pub/linux/10/Part7/x86_64/os", "/statistics", "/join", "/join/sizes.txt",
    "/api/v1/mirrors?limit=200", "/api/v1/export/public", "/login", "/style.css",
)  # fmt: skip
OWN = (
    "/sites",
    "/sites/{site}",
    "/sites/{site}/hosts/new",
    "/hosts/{host}",
    "/hosts/{host}/check",
    "/events",
    "/account",
)
DESK = (
    "/desk", "/desk/accounts", "/desk/repositories", "/desk/categories", "/desk/releases", "/sites", "/sites/{site}",
    "/hosts/{host}", "/events", "/mirrors",
)  # fmt: skip


async def measure_all(
    config: Path, names: Sequence[str], base: str, server: int, numbers: Mapping[str, int]
) -> list[Row]:
    """All pages, of visitors, of a mirror's admin, and of the distribution's."""
    rows = []
    async with aiohttp.ClientSession() as plain, aiohttp.ClientSession(cookie_jar=_jar()) as own:
        async with aiohttp.ClientSession(cookie_jar=_jar()) as desk:
            visitor, ana, chief = (Person(each, base, server) for each in (plain, own, desk))
            begun = time.perf_counter()
            await visitor.get("/mirrors")
            print(f"after the start the first page took {time.perf_counter() - begun:.1f} s", file=sys.stderr)
            for path in (*PUBLIC, f"/mirrors/{names[0]}", f"/mirrors/{names[5]}"):
                rows.append(
                    await measure(visitor, path.replace(names[5], "HOST 2").replace(names[0], "HOST"), path, many=True)
                )
            for person, login, paths in ((ana, "ana", OWN), (chief, "chief", DESK)):
                await log_in(person, config, login)
                for path in paths:
                    rows.append(await measure(person, f"{login}: {path}", path.format_map(numbers)))
            rows += await measure_edit(ana, visitor, numbers["host"])
            rows.append(await measure(ana, "ana: what the save does to clients", f"/hosts/{numbers['host']}/effect"))
    return rows


async def measure_edit(ana: Person, visitor: Person, host: int) -> list[Row]:
    """What a save costs: the page after it to the one who saved, what it does to clients, which that page says at its
    end, and the list to a visitor who comes a second later."""
    saves: list[tuple[float, float]] = []
    after, begun_s = [], cpu_s(ana.server)
    for number in range(5):
        await ana.get(f"/hosts/{host}")
        saves.append(await ana.post(f"/hosts/{host}", city=f"Valparaíso {number}"))
        await asyncio.sleep(1.1)
        after.append((await visitor.get("/mirrors"))[0])
    cpu_ms, kb = (cpu_s(ana.server) - begun_s) * 1000 / len(saves), len(ana.text) / 1000
    heads, ends = zip(*saves, strict=True)
    return [
        Row("ana: a save, until the page after it is there", kb, heads[0], median(heads), cpu_ms),
        Row("ana: the same, until it says what clients feel", kb, ends[0], median(ends), cpu_ms),
        Row("/mirrors, a second after a save", 0, after[0], median(after), 0),
    ]


def _jar() -> aiohttp.CookieJar:
    return aiohttp.CookieJar(unsafe=True)


def render(rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [
        "| page | kB | first, ms | usual, ms | CPU, ms | 200 at once: half, ms | last, ms | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        told = f"{row.page} | {row.kb:.0f} | {row.first_ms:.0f} | {row.usual_ms:.1f} | {row.cpu_ms:.1f}"
        many = "|" if row.many_ms is None or row.last_ms is None else f"{row.many_ms:.0f} | {row.last_ms:.0f}"
        verdict = "" if row.met else "**not met**"
        lines.append(f"| {told} | {many} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the mirrors")
    parser.add_argument("--store", type=Path, help="a database that is kept: made if it is not there")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="redirector-pages-") as folder:
        file, config = options.store or Path(folder) / "pages.db", Path(folder) / "redirector.yml"
        if not file.exists():
            asyncio.run(make_store(file, MIRRORS // 10 if options.quick else MIRRORS, DAYS))
        config.write_text(CONFIG.format(file=file.resolve()))
        redirector(config, "init")
        names, numbers = asyncio.run(known(file))
        with serving(config) as (base, server):
            rows = asyncio.run(measure_all(config, names, base, server, numbers))
    print(render(rows))
    if not all(row.met for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

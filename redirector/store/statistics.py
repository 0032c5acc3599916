"""What was counted: keeping it, trimming it, giving it out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.tables.statistics import (
    access,
    countme_totals,
    countme_waiting,
    logs,
    margins,
    propagation,
    servers,
    traffic,
)

CATEGORIES = ("countries", "archs", "repositories")
"""What requests are broken down by, for ever."""

_ROWS_AT_ONCE = 5_000

AccessKey = tuple[str, str, str, str]
"""day, country, repository, arch."""

SystemKey = tuple[int, str, str, str, str, int, str, str]
"""weeknum, os_name, os_version, os_variant, os_arch, sys_age, repo_tag, repo_arch."""


@dataclass(frozen=True, slots=True)
class KeptLog:
    """A log whose lines were counted.

    number      None: not kept yet
    marks       number of first lines -> digest of them
    end         how far it was counted: bytes, unpacked
    tail_bytes  behind it: a line without its break, counted
    options     how its lines were read
    newest      of its lines, epoch seconds
    counted     what they add up to; None where that is no longer kept
    """

    number: int | None
    server: str
    marks: Mapping[int, str]
    end: int
    tail_bytes: int
    options: str
    newest: int
    counted: bytes | None


@dataclass(frozen=True, slots=True)
class Margin:
    """Requests of one day and one country, architecture or repository; *percent* of that day's."""

    day: str
    category: str
    name: str
    requests: int
    percent: float


@dataclass(frozen=True, slots=True)
class SystemRow:
    """Systems of one week that said the same of themselves."""

    weeknum: int
    hits: int
    os_name: str
    os_version: str
    os_variant: str
    os_arch: str
    sys_age: int
    repo_tag: str
    repo_arch: str


@dataclass(frozen=True, slots=True)
class PropagationRow:
    """How many mirrors had which age of a repository, at the end of one round of visits (*run*, epoch seconds)."""

    run: int
    repository: str
    same_day: int
    one_day: int
    two_day: int
    older: int
    no_info: int


@dataclass(frozen=True, slots=True)
class TrafficRow:
    """Bytes that a mirror says it sent on one day."""

    day: str
    host: str
    bytes: int


async def find_logs(connection: AsyncConnection, server: str, first: str) -> tuple[KeptLog, ...]:
    """The logs of *server* that begin with this line, and those that had no whole line yet; newest first."""
    found = await connection.execute(
        select(logs)
        .where(logs.c.server == server, (logs.c.first == first) | (logs.c.end == 0))
        .order_by(logs.c.number.desc())
    )
    return tuple(
        KeptLog(
            row.number,
            row.server,
            {int(lines): digest for lines, digest in json.loads(row.marks).items()},
            row.end,
            row.tail_bytes,
            row.options,
            row.newest,
            row.counted,
        )
        for row in found
    )


async def keep_log(connection: AsyncConnection, log: KeptLog) -> None:
    """Remember *log*, in the place of what was kept under its number."""
    values = {
        "server": log.server,
        "first": log.marks[1],
        "marks": json.dumps(log.marks),
        "end": log.end,
        "tail_bytes": log.tail_bytes,
        "options": log.options,
        "newest": log.newest,
        "counted": log.counted,
    }
    if log.number is None:
        await connection.execute(insert(logs), values)
    else:
        await connection.execute(update(logs).where(logs.c.number == log.number), values)


async def add_access(connection: AsyncConnection, change: Collection[tuple[AccessKey, int]]) -> None:
    """Add *change*, numbers of requests, to what was counted; negative ones take away."""
    rows = [
        {"day": day, "country": country, "repository": repository, "arch": arch, "requests": requests}
        for (day, country, repository, arch), requests in change
        if requests
    ]
    await _add(connection, access, access.c.requests, rows)
    sums: dict[tuple[str, str, str], int] = {}
    for (day, country, repository, arch), requests in change:
        for category, name in zip(CATEGORIES, (country, arch, repository), strict=True):
            key = (day, category, name)
            sums[key] = sums.get(key, 0) + requests
    rows = [
        {"day": day, "category": category, "name": name, "requests": requests}
        for (day, category, name), requests in sums.items()
        if requests
    ]
    await _add(connection, margins, margins.c.requests, rows)


async def find_newest(connection: AsyncConnection, server: str) -> int:
    """The newest line of *server* that was seen, epoch seconds; 0: none."""
    return await connection.scalar(select(servers.c.newest).where(servers.c.name == server)) or 0


async def add_countme(
    connection: AsyncConnection, server: str, newest: int, first_open: int, change: Iterable[tuple[SystemKey, int]]
) -> None:
    """Add *change*, numbers of systems, to what was counted; negative ones take away.

    newest      the newest line of *server*
    first_open  the first week of which its lines may still come; earlier ones are written to the totals
    """
    row = {"name": server, "newest": newest}
    statement = _insert(connection, servers)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"newest": statement.excluded.newest}), row
    )
    names = [column.name for column in countme_totals.primary_key]
    waiting: list[dict[str, object]] = []
    past: list[dict[str, object]] = []
    for key, hits in change:
        named = {**dict(zip(names, key, strict=True)), "hits": hits, "server": server}
        (past if key[0] < first_open else waiting).append(named)
    await _add(connection, countme_waiting, countme_waiting.c.hits, waiting)
    is_past = (countme_waiting.c.server == server) & (countme_waiting.c.weeknum < first_open)
    found = await connection.execute(select(*(countme_waiting.c[name] for name in (*names, "hits"))).where(is_past))
    past += [dict(row) for row in found.mappings()]
    await _add(connection, countme_totals, countme_totals.c.hits, _without_server(past))
    await connection.execute(delete(countme_waiting).where(is_past))


def _without_server(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """*rows* added up where they differ in nothing but the server."""
    sums: Counter[tuple[tuple[str, Any], ...]] = Counter()
    for row in rows:
        sums[tuple((name, row[name]) for name in row if name not in ("server", "hits"))] += row["hits"]
    return [{**dict(key), "hits": hits} for key, hits in sums.items()]


async def list_margins(
    connection: AsyncConnection, since: str = "", until: str = "9999", category: str | None = None
) -> tuple[Margin, ...]:
    """Requests by day and category, from the day *since* to *until*, most first."""
    found = await connection.execute(
        select(margins)
        .where(margins.c.day >= since, margins.c.day <= until)
        .order_by(margins.c.day, margins.c.category, margins.c.requests.desc(), margins.c.name)
    )
    rows = found.all()
    totals: dict[tuple[str, str], int] = {}
    for row in rows:
        totals[row.day, row.category] = totals.get((row.day, row.category), 0) + row.requests
    ordered = sorted(rows, key=lambda row: (row.day, CATEGORIES.index(row.category)))
    return tuple(
        Margin(row.day, row.category, row.name, row.requests, 100 * row.requests / totals[row.day, row.category])
        for row in ordered
        if category in (None, row.category)
    )


async def list_access(connection: AsyncConnection, since: str, until: str) -> dict[AccessKey, int]:
    """Requests of the days from *since* to *until*, by day, country, repository and architecture; none that is older
    than what `trim` keeps."""
    found = await connection.execute(select(access).where(access.c.day >= since, access.c.day <= until))
    return {(row.day, row.country, row.repository, row.arch): row.requests for row in found}


async def list_countme(
    connection: AsyncConnection, since: int = 0, until: int = 1 << 30, repository: str | None = None
) -> tuple[SystemRow, ...]:
    """Systems of the whole weeks from *since* to *until*, of one repository (`repo_tag`) or of all."""
    keys = list(countme_totals.primary_key)
    query = select(countme_totals).where(countme_totals.c.weeknum >= since, countme_totals.c.weeknum <= until)
    if repository is not None:
        query = query.where(countme_totals.c.repo_tag == repository)
    found = await connection.execute(query.order_by(*keys))
    return tuple(SystemRow(**row) for row in found.mappings())


async def close_weeks(connection: AsyncConnection, newest: int, first_open: int) -> None:
    """Write the weeks of all servers of which no line was seen since *newest* as if one of then had been: a server that
    is no more says no other. What is added of these weeks later still counts."""
    waiting = select(countme_waiting.c.server).where(countme_waiting.c.weeknum < first_open)
    silent = await connection.execute(
        select(servers.c.name).where(servers.c.newest < newest, servers.c.name.in_(waiting)).order_by(servers.c.name)
    )
    for name in silent.scalars().all():
        await add_countme(connection, name, newest, first_open, ())


async def trim_statistics(connection: AsyncConnection, before_day: str, before: int) -> int:
    """Forget what single rows of requests of days before *before_day* say, and what single logs with no line since
    *before* (epoch seconds) added, and all but a day's last rows of propagation; how many rows of requests went. What
    they add up to stays."""
    gone = await connection.execute(delete(access).where(access.c.day < before_day))
    old = propagation.c.run < before
    last = (
        select(func.max(propagation.c.run)).where(old).group_by(propagation.c.run // 86_400, propagation.c.repository)
    )
    await connection.execute(delete(propagation).where(old, propagation.c.run.not_in(last)))
    await connection.execute(update(logs).where(logs.c.newest < before).values(counted=None))
    return gone.rowcount


async def add_traffic(connection: AsyncConnection, host: str, days: Mapping[str, int]) -> None:
    """Keep how many bytes *host* says it sent, by day (`2026-11-28`); what it said of a day before is replaced."""
    if not days:
        return
    statement = _insert(connection, traffic)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["day", "host"], set_={"bytes": statement.excluded.bytes}),
        [{"day": day, "host": host, "bytes": sent} for day, sent in days.items()],
    )


async def list_traffic(
    connection: AsyncConnection, since: str = "", until: str = "9999", host: str | None = None
) -> tuple[TrafficRow, ...]:
    """What mirrors said they sent, by day and name."""
    query = select(traffic).where(traffic.c.day >= since, traffic.c.day <= until)
    if host is not None:
        query = query.where(traffic.c.host == host)
    found = await connection.execute(query.order_by(traffic.c.day, traffic.c.host))
    return tuple(TrafficRow(row.day, row.host, row.bytes) for row in found)


async def add_propagation(connection: AsyncConnection, rows: Iterable[PropagationRow]) -> None:
    """Keep *rows*; what a run said of a repository before is replaced."""
    values = [{name: getattr(row, name) for name in PropagationRow.__slots__} for row in rows]
    if not values:
        return
    statement = _insert(connection, propagation)
    counts = {name: statement.excluded[name] for name in PropagationRow.__slots__[2:]}
    await connection.execute(statement.on_conflict_do_update(index_elements=["run", "repository"], set_=counts), values)


async def list_propagation(
    connection: AsyncConnection, since: int = 0, until: int = 1 << 40, repositories: Collection[str] | None = None
) -> tuple[PropagationRow, ...]:
    """How far repositories had spread, by run and name; None: all of them, some hundred thousand rows of a month."""
    columns = [propagation.c[name] for name in PropagationRow.__slots__]
    query = select(*columns).where(propagation.c.run >= since, propagation.c.run <= until)
    if repositories is not None:
        query = query.where(propagation.c.repository.in_(list(repositories)))
    found = await connection.execute(query.order_by(propagation.c.run, propagation.c.repository))
    return tuple(PropagationRow(*row) for row in found)


async def list_spreading(connection: AsyncConnection, since: int) -> list[str]:
    """Names of the repositories of which it is known how far they had spread since then."""
    query = select(propagation.c.repository).where(propagation.c.run >= since).distinct()
    return sorted((await connection.execute(query)).scalars())


async def find_last_run(connection: AsyncConnection, until: int) -> int:
    """When propagation was kept last, epoch seconds, but not later than *until*; 0: never."""
    return await connection.scalar(select(func.max(propagation.c.run)).where(propagation.c.run <= until)) or 0


async def find_last_day(connection: AsyncConnection) -> str | None:
    """The newest day with requests; None when there is none."""
    day: str | None = await connection.scalar(select(func.max(margins.c.day)))
    return day


async def _add(
    connection: AsyncConnection, table: Table, number: Column[int], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add each row's *number* to the row of the same key; what comes to nothing goes."""
    keys = list(table.primary_key)
    statement = _insert(connection, table)
    statement = statement.on_conflict_do_update(
        index_elements=[key.name for key in keys], set_={number.name: number + statement.excluded[number.name]}
    )
    ordered = sorted(rows, key=lambda row: tuple(row[key.name] for key in keys))
    for at in range(0, len(ordered), _ROWS_AT_ONCE):
        await connection.execute(statement, ordered[at : at + _ROWS_AT_ONCE])
    if any(row[number.name] < 0 for row in rows):
        await connection.execute(delete(table).where(number <= 0))


def _insert(connection: AsyncConnection, table: Table) -> Any:
    """An insertion that can meet what is there, in the words of this database."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)

"""Evidence and what follows from it, in and out of the store. What is packed stays packed here.

Everything is kept 90 days at most, and thinner the older it is; no host can fill the store. What a clock that was ahead
wrote down is of later than *until*, where that is asked for, and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from sqlalchemy import Table, and_, case, delete, func, insert, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.tables.health import (
    contents,
    evidence,
    history,
    hosts,
    masters,
    names,
    pushes,
    rounds,
    spent,
    visits,
)

DAY_S = 86400
KEPT_DAYS = 90
VISITS_WHOLE_DAYS = 2
"""All visits of so many days are kept; of older ones those that failed, and one in six hours."""

EVIDENCE_WHOLE_DAYS = 1
EVIDENCE_A_HOST = 2000
CHUNK = 500
"""Rows a statement: SQLite takes 32,766 values."""


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """What one vantage point remembers of one host."""

    host: str
    vantage: str
    visited: int
    next_visit: int
    state: str
    since: int
    reason: str
    lag_s: int | None
    memory: bytes


@dataclass(frozen=True, slots=True)
class ContentRow:
    """What it remembers of one category of that host."""

    host: str
    vantage: str
    category: str
    directories: str
    served: bytes
    memory: bytes


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit."""

    host: str
    at: int
    vantage: str
    event: str
    counted: bool
    content: str
    reason: str
    state: str
    lag_s: int | None
    delay_s: int | None
    duration_s: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One thing seen, as JSON."""

    host: str
    vantage: str
    at: int
    notable: bool
    text: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A state that a host came into, as all vantage points together see it."""

    host: str
    at: int
    state: str
    reason: str
    lacking: int


@dataclass(frozen=True, slots=True)
class RoundRow:
    """Visits that were judged together."""

    vantage: str
    at: int
    took_s: float
    visits: int
    failed: int
    requests: int
    void: str


@dataclass(frozen=True, slots=True)
class PushRow:
    """How one push spread."""

    category: str
    pushed: int
    changed: int
    delays: bytes


async def _upsert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write *rows*, in place of those with the same key."""
    keys = [column.name for column in table.primary_key.columns]
    others = [column.name for column in table.columns if column.name not in keys]
    for start in range(0, len(rows), CHUNK):
        part = list(rows[start : start + CHUNK])
        make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        statement = make(table)
        if others:
            changes = {name: statement.excluded[name] for name in others}
            upsert = statement.on_conflict_do_update(index_elements=keys, set_=changes)
        else:
            upsert = statement.on_conflict_do_nothing(index_elements=keys)
        await connection.execute(upsert, part)


async def find_hosts(connection: AsyncConnection) -> list[MemoryRow]:
    """What every vantage point remembers, by host."""
    found = await connection.execute(select(hosts).order_by(hosts.c.host, hosts.c.vantage))
    return [MemoryRow(*row) for row in found]


async def last_visit(connection: AsyncConnection) -> int:
    """When a mirror was visited last; 0: none ever was."""
    return await connection.scalar(select(func.max(hosts.c.visited))) or 0


async def find_contents(
    connection: AsyncConnection, vantage: str | None = None, wanted: Collection[str] | None = None
) -> list[ContentRow]:
    """What is remembered of categories; of all hosts and vantage points, or of those named."""
    query = select(contents).order_by(contents.c.host, contents.c.vantage, contents.c.category)
    if vantage is not None:
        query = query.where(contents.c.vantage == vantage)
    if wanted is None:
        return [ContentRow(*row) for row in await connection.execute(query)]
    rows: list[ContentRow] = []
    keys = sorted(wanted)
    for start in range(0, len(keys), CHUNK):
        part = query.where(contents.c.host.in_(keys[start : start + CHUNK]))
        rows.extend(ContentRow(*row) for row in await connection.execute(part))
    return rows


async def find_names(connection: AsyncConnection, digest: str) -> bytes | None:
    """A list of directories, packed; None when it is not kept."""
    return (await connection.execute(select(names.c.names).where(names.c.digest == digest))).scalar_one_or_none()


async def add_names(connection: AsyncConnection, digest: str, made: int, packed: bytes) -> None:
    """Keep a list of directories."""
    await _upsert(connection, names, [{"digest": digest, "made": made, "names": packed}])


async def put_memories(
    connection: AsyncConnection, host_rows: Sequence[MemoryRow], content_rows: Sequence[ContentRow]
) -> None:
    """What is remembered from now on."""
    await _upsert(connection, hosts, [asdict(row) for row in host_rows])
    await _upsert(connection, contents, [asdict(row) for row in content_rows])


async def bring_forward(connection: AsyncConnection, host: str, at: int, apart_s: int) -> None:
    """Let the next visit to *host* be due at *at*, *apart_s* after the last at the soonest; never later than it was."""
    soon = case((hosts.c.visited + apart_s > at, hosts.c.visited + apart_s), else_=at)
    await connection.execute(
        update(hosts).where(hosts.c.host == host, hosts.c.next_visit > soon).values(next_visit=soon)
    )


async def add_visits(connection: AsyncConnection, rows: Sequence[VisitRow]) -> None:
    """Visits that are over; again with the same key, what became of them."""
    await _upsert(connection, visits, [asdict(row) for row in rows])


async def add_evidence(connection: AsyncConnection, rows: Sequence[EvidenceRow]) -> None:
    for start in range(0, len(rows), CHUNK):
        await connection.execute(insert(evidence), [asdict(row) for row in rows[start : start + CHUNK]])


async def find_evidence(connection: AsyncConnection, host: str, limit: int, *, notable: bool = False) -> list[str]:
    """The newest evidence about *host*, newest first, as JSON texts."""
    query = select(evidence.c.text).where(evidence.c.host == host)
    if notable:
        query = query.where(evidence.c.notable)
    query = query.order_by(evidence.c.id.desc()).limit(limit)  # as written: clocks go back, numbers do not
    return list((await connection.execute(query)).scalars())


async def find_visits(
    connection: AsyncConnection,
    since: int,
    host: str | None = None,
    limit: int | None = None,
    until: int | None = None,
) -> list[VisitRow]:
    """Visits from *since* on, oldest first; with *limit* the newest of them."""
    query = select(visits).where(visits.c.at >= since)
    if until is not None:
        query = query.where(visits.c.at <= until)
    if host is not None:
        query = query.where(visits.c.host == host)
    if limit is not None:
        query = query.order_by(visits.c.at.desc()).limit(limit)
        return [VisitRow(*row) for row in await connection.execute(query)][::-1]
    query = query.order_by(visits.c.at, visits.c.host, visits.c.vantage)
    return [VisitRow(*row) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class VisitSums:
    """What the visits of one host come to: how many counted and were good, and means and deviation of the good ones.

    None for what none of them says; *deviation_s* is that of the population
    """

    host: str
    counted: int
    good: int
    delay_s: float | None
    duration_s: float
    deviation_s: float


async def sum_visits(connection: AsyncConnection, since: int, until: int) -> list[VisitSums]:
    """Visits from *since* to *until* that counted, by host; those during which everybody failed are left out."""
    good = case((visits.c.event == "good", 1))
    duration = case((visits.c.event == "good", visits.c.duration_s))
    query = (
        select(
            visits.c.host,
            func.count(),
            func.count(good),
            func.avg(case((visits.c.event == "good", visits.c.delay_s))),
            func.avg(duration),
            func.avg(duration * duration),
        )
        .where(visits.c.at >= since, visits.c.at <= until, visits.c.counted, visits.c.event != "quiet")
        .group_by(visits.c.host)
    )
    return [
        VisitSums(
            host, counted, good, None if delay is None else float(delay), mean or 0.0,
            sqrt(max(0.0, (square or 0.0) - (mean or 0.0) ** 2)),
        )
        for host, counted, good, delay, mean, square in await connection.execute(query)
    ]  # fmt: skip


async def add_history(connection: AsyncConnection, rows: Sequence[HistoryRow]) -> None:
    await _upsert(connection, history, [asdict(row) for row in rows])


async def find_history(connection: AsyncConnection, since: int, host: str | None = None) -> list[HistoryRow]:
    """How states changed, oldest first."""
    query = select(history).where(history.c.at >= since)
    if host is not None:
        query = query.where(history.c.host == host)
    return [HistoryRow(*row) for row in await connection.execute(query.order_by(history.c.at, history.c.host))]


async def find_states(connection: AsyncConnection, until: int) -> dict[str, HistoryRow]:
    """The state that each host came into last."""
    newest = select(history.c.host, func.max(history.c.at).label("at")).where(history.c.at <= until)
    last = newest.group_by(history.c.host).subquery()
    query = select(history).join(last, and_(history.c.host == last.c.host, history.c.at == last.c.at))
    return {row.host: HistoryRow(*row) for row in await connection.execute(query)}


async def add_round(connection: AsyncConnection, row: RoundRow) -> None:
    await _upsert(connection, rounds, [asdict(row)])


async def find_rounds(
    connection: AsyncConnection, limit: int, *, void: bool | None = None, until: int | None = None
) -> list[RoundRow]:
    """The newest rounds, newest first; *void*: those alone, or the others."""
    query = select(rounds).order_by(rounds.c.at.desc()).limit(limit)
    if void is not None:
        query = query.where(rounds.c.void != "" if void else rounds.c.void == "")
    if until is not None:
        query = query.where(rounds.c.at <= until)
    return [RoundRow(*row) for row in await connection.execute(query)]


async def find_spent(connection: AsyncConnection, vantage: str) -> dict[str, bytes]:
    """Address -> what was asked of it lately, packed."""
    found = await connection.execute(select(spent.c.address, spent.c.spent).where(spent.c.vantage == vantage))
    return {row.address: row.spent for row in found}


async def put_spent(connection: AsyncConnection, vantage: str, day: int, packed: Mapping[str, bytes]) -> None:
    rows = [{"vantage": vantage, "address": each, "day": day, "spent": raw} for each, raw in packed.items()]
    await _upsert(connection, spent, rows)
    await connection.execute(delete(spent).where(spent.c.day < day - 2))


async def find_pushes(connection: AsyncConnection, since: int, until: int) -> list[PushRow]:
    """Pushes since then, oldest first."""
    query = select(pushes).where(pushes.c.pushed >= since, pushes.c.pushed <= until)
    query = query.order_by(pushes.c.pushed, pushes.c.category)
    return [PushRow(*row) for row in await connection.execute(query)]


async def put_pushes(connection: AsyncConnection, rows: Sequence[PushRow]) -> None:
    await _upsert(connection, pushes, [asdict(row) for row in rows])


async def find_known(connection: AsyncConnection) -> dict[str, bytes]:
    """Category -> what earlier looks at its master found, packed."""
    return {row.category: row.known for row in await connection.execute(select(masters))}


async def put_known(connection: AsyncConnection, known: Mapping[str, bytes]) -> None:
    await _upsert(connection, masters, [{"category": name, "known": raw} for name, raw in known.items()])


async def forget_hosts(connection: AsyncConnection, kept: Iterable[str], before: int) -> None:
    """Drop what is remembered of hosts that are gone, and were not visited since *before*."""
    known = set((await connection.execute(select(hosts.c.host).where(hosts.c.visited < before))).scalars())
    for host in sorted(known - set(kept)):
        for table in (hosts, contents):
            await connection.execute(delete(table).where(table.c.host == host))


async def thin_out(connection: AsyncConnection, now: int) -> None:
    """Make room: what is older than 90 days goes, and of what is older than a day or two what says nothing new."""
    oldest = now - KEPT_DAYS * DAY_S
    for table in (visits, evidence, history, rounds):
        gone = table.c.at < oldest
        if table is history:
            later = history.alias()
            newer = select(later.c.at).where(later.c.host == history.c.host, later.c.at > history.c.at).exists()
            gone = and_(gone, newer)
        await connection.execute(delete(table).where(gone))
    await connection.execute(delete(pushes).where(pushes.c.pushed < oldest))
    await connection.execute(
        delete(evidence).where(evidence.c.at < now - EVIDENCE_WHOLE_DAYS * DAY_S, not_(evidence.c.notable))
    )
    await _thin_visits(connection, now)
    await _bound_evidence(connection)
    used = select(contents.c.directories)
    await connection.execute(delete(names).where(names.c.made < now - DAY_S, names.c.digest.not_in(used)))


async def _thin_visits(connection: AsyncConnection, now: int) -> None:
    """Of good visits of days ago the first of every six hours is enough, and of failed ones the first of each hour."""
    old = visits.c.at < now - VISITS_WHOLE_DAYS * DAY_S
    recent = visits.c.at >= now - (VISITS_WHOLE_DAYS + 2) * DAY_S
    for width, which in ((21600, visits.c.event == "good"), (3600, visits.c.event != "good")):
        other = visits.alias()
        earlier = (
            select(other.c.at)
            .where(
                other.c.host == visits.c.host,
                other.c.vantage == visits.c.vantage,
                other.c.event == visits.c.event,
                other.c.at < visits.c.at,
                other.c.at >= visits.c.at - visits.c.at % width,
            )
            .exists()
        )
        await connection.execute(delete(visits).where(old, recent, which, earlier))


async def _bound_evidence(connection: AsyncConnection) -> None:
    crowded = select(evidence.c.host).group_by(evidence.c.host).having(func.count() > EVIDENCE_A_HOST)
    for host in list((await connection.execute(crowded)).scalars()):
        ids = select(evidence.c.id).where(evidence.c.host == host).order_by(evidence.c.id.desc())
        kept = (await connection.execute(ids.offset(EVIDENCE_A_HOST - 1).limit(1))).scalar_one()
        await connection.execute(delete(evidence).where(evidence.c.host == host, evidence.c.id < kept))

"""What is to be sent, until it is sent. The transaction that decides it puts it in: neither is without the other.

Who sends claims first: the claim moves the time of the next attempt ahead, so another sender does not take it, and one
that was killed keeps it from nobody for long. Mails keep their `Message-ID` over all attempts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import and_, case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.tables.outbox import memos, outbox

CLAIM_S = 300
"""Longer than any attempt takes."""

KEPT_S = 90 * 86400


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something to be sent.

    name     makes it unique: what has the name of another one, sent or not, is not put in
    channel  `mail`, `webhook` or `command`
    target   where to
    """

    name: str
    channel: str
    kind: str
    host: str
    target: str
    body: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A parcel that is to be tried now. *attempts* counts this one."""

    id: int
    parcel: Parcel
    made: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the outbox stands: what waits, since when, and what was said at the latest failure."""

    count: int
    oldest: int | None
    error: str


async def put(connection: AsyncConnection, parcels: Iterable[Parcel], now: int, due: int | None = None) -> int:
    """Put *parcels* in, to be sent from *due* on. Returns how many were new."""
    made = 0
    for parcel in parcels:
        statement = _insert(connection)(outbox).values(
            name=parcel.name,
            channel=parcel.channel,
            kind=parcel.kind,
            host=parcel.host,
            target=parcel.target,
            subject=parcel.subject,
            body=parcel.body,
            made=now,
            due=now if due is None else due,
            attempts=0,
            sent=False,
            error="",
        )
        made += (await connection.execute(statement.on_conflict_do_nothing())).rowcount
    return made


async def claim(connection: AsyncConnection, now: int, limit: int) -> list[Claimed]:
    """Parcels that are due, oldest first; nobody else gets them for *CLAIM_S*."""
    query = (
        select(outbox)
        .where(and_(outbox.c.ended.is_(None), outbox.c.due <= now))
        .order_by(outbox.c.due, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(query)).all()
    if rows:
        mine = outbox.c.id.in_([row.id for row in rows])
        await connection.execute(update(outbox).where(mine).values(due=now + CLAIM_S, attempts=outbox.c.attempts + 1))
    return [
        Claimed(
            row.id,
            Parcel(row.name, row.channel, row.kind, row.host, row.target, row.body, row.subject),
            row.made,
            row.attempts + 1,
        )
        for row in rows
    ]


async def end(connection: AsyncConnection, number: int, now: int, *, sent: bool, error: str = "") -> None:
    """It is sent; or given up, because of *error*."""
    values = {"ended": now, "sent": sent, "error": error}
    await connection.execute(update(outbox).where(outbox.c.id == number).values(**values))


async def postpone(connection: AsyncConnection, number: int, due: int, error: str) -> None:
    """It is tried again at *due*."""
    await connection.execute(update(outbox).where(outbox.c.id == number).values(due=due, error=error))


async def find_waiting(connection: AsyncConnection) -> Waiting:
    """How much waits to be sent."""
    open_ones = outbox.c.ended.is_(None)
    row = (await connection.execute(select(func.count(), func.min(outbox.c.made)).where(open_ones))).one()
    failed = select(outbox.c.error).where(and_(open_ones, outbox.c.error != "")).order_by(outbox.c.due.desc()).limit(1)
    return Waiting(row[0], row[1], (await connection.execute(failed)).scalar() or "")


async def next_due(connection: AsyncConnection) -> int | None:
    """When something is to be tried next; None when nothing waits."""
    found: int | None = (
        await connection.execute(select(func.min(outbox.c.due)).where(outbox.c.ended.is_(None)))
    ).scalar()
    return found


async def find_latest(connection: AsyncConnection, kind: str, host: str, target: str) -> int:
    """When the latest parcel of that kind, about that host, to that target is due, or went out; 0: never."""
    at = case((outbox.c.ended.is_(None), outbox.c.due), else_=outbox.c.ended)
    query = select(func.max(at)).where(outbox.c.kind == kind, outbox.c.host == host, outbox.c.target == target)
    return (await connection.execute(query)).scalar() or 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A parcel whose latest attempt failed; *made*: when it was put in, epoch seconds."""

    made: int
    channel: str
    kind: str
    host: str
    error: str


async def list_failures(connection: AsyncConnection, limit: int) -> list[Failure]:
    """What could not be sent so far, or at all; the newest first."""
    query = (
        select(outbox.c.made, outbox.c.channel, outbox.c.kind, outbox.c.host, outbox.c.error)
        .where(outbox.c.error != "", outbox.c.sent.is_(False))
        .order_by(outbox.c.id.desc())
        .limit(limit)
    )
    return [Failure(*row) for row in await connection.execute(query)]


async def count_ended(connection: AsyncConnection) -> dict[tuple[str, bool], int]:
    """(kind, sent) -> how many; what is neither waiting nor forgotten."""
    query = (
        select(outbox.c.kind, outbox.c.sent, func.count())
        .where(outbox.c.ended.is_not(None))
        .group_by(outbox.c.kind, outbox.c.sent)
    )
    return {(row[0], bool(row[1])): row[2] for row in await connection.execute(query)}


async def forget(connection: AsyncConnection, now: int) -> None:
    """What was sent or given up long ago."""
    await connection.execute(delete(outbox).where(outbox.c.ended < now - KEPT_S))


async def find_memos(connection: AsyncConnection) -> dict[str, str]:
    """host -> what is remembered of what was told, as it was put in."""
    return {row.host: row.memo for row in await connection.execute(select(memos))}


async def put_memos(connection: AsyncConnection, changed: Mapping[str, str]) -> None:
    """Remember these instead."""
    for host, memo in changed.items():
        statement = _insert(connection)(memos).values(host=host, memo=memo)
        await connection.execute(statement.on_conflict_do_update(index_elements=["host"], set_={"memo": memo}))


def _insert(connection: AsyncConnection) -> type[postgresql.Insert] | type[sqlite.Insert]:
    return postgresql.Insert if connection.dialect.name == "postgresql" else sqlite.Insert

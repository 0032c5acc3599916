"""Reading and writing rows. What a change means is for `redirector.registry` to say; here is only how it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.registry.rows import Edited, EventRow, HostRow, Row, SiteRow
from redirector.store.tables import registry as tables

R = TypeVar("R", bound=Row)
E = TypeVar("E", bound=Edited)


def _columns(kind: type[Row]) -> list[ColumnElement[Any]]:
    return [kind.TABLE.c[field.name] for field in fields(kind)]


def _rows_of(kind: type[R], found: Iterable[Sequence[Any]]) -> list[R]:
    """Rows whose columns are those of `_columns`. A third of the time that mappings by name take."""
    names = [field.name for field in fields(kind)]
    return [kind(**dict(zip(names, row, strict=True))) for row in found]


def _where(table: Table, equal: dict[str, object]) -> list[ColumnElement[bool]]:
    return [
        table.c[name].in_(value) if isinstance(value, set | frozenset) else table.c[name] == value
        for name, value in equal.items()
    ]


async def find(connection: AsyncConnection, kind: type[R], /, **equal: object) -> R | None:
    """The row whose columns *equal* these; None when there is none. More than one is a bug in the caller."""
    rows = await connection.execute(select(*_columns(kind)).where(*_where(kind.TABLE, equal)))
    row = rows.one_or_none()
    return None if row is None else _rows_of(kind, (row,))[0]


async def list_rows(connection: AsyncConnection, kind: type[R], /, **equal: object) -> list[R]:
    """All rows whose columns *equal* these (a set: any of it), by their primary keys."""
    query = select(*_columns(kind)).where(*_where(kind.TABLE, equal)).order_by(*kind.TABLE.primary_key.columns)
    return _rows_of(kind, await connection.execute(query))


async def list_page(connection: AsyncConnection, kind: type[R], after: int, limit: int, /, **equal: object) -> list[R]:
    """At most *limit* rows with numbers above *after*, ascending."""
    table = kind.TABLE
    query = select(*_columns(kind)).where(table.c.id > after, *_where(table, equal)).order_by(table.c.id).limit(limit)
    return _rows_of(kind, await connection.execute(query))


async def count(connection: AsyncConnection, kind: type[Row], /, **equal: object) -> int:
    """How many rows have columns that *equal* these."""
    found = await connection.execute(select(func.count()).select_from(kind.TABLE).where(*_where(kind.TABLE, equal)))
    return int(found.scalar_one())


async def add(connection: AsyncConnection, kind: type[R], /, **values: object) -> R:
    """A new row; its number is given by the database unless *values* has one."""
    table = kind.TABLE
    names = {field.name for field in fields(kind)}
    defaults: dict[str, object] = {"version": 1} if "version" in names and "version" not in values else {}
    row = await connection.execute(insert(table).values(**defaults, **values).returning(*_columns(kind)))
    return _rows_of(kind, (row.one(),))[0]


async def add_all(connection: AsyncConnection, kind: type[Row], rows: Sequence[dict[str, object]]) -> None:
    """Many new rows at once, each with all columns."""
    if rows:
        await connection.execute(insert(kind.TABLE), list(rows))


async def change(
    connection: AsyncConnection, kind: type[E], number: int, version: int | None, /, **values: object
) -> E | None:
    """Set columns of the row *number* if it still has *version* (None: whichever); None when it has not."""
    table = kind.TABLE
    which = [table.c.id == number, *([] if version is None else [table.c.version == version])]
    changed = await connection.execute(
        update(table).where(*which).values(version=table.c.version + 1, **values).returning(*_columns(kind))
    )
    row = changed.one_or_none()
    return None if row is None else _rows_of(kind, (row,))[0]


async def set_columns(
    connection: AsyncConnection, kind: type[Row], equal: dict[str, object], /, **values: object
) -> int:
    """Set columns of rows that nobody edits, whatever their version; how many there were."""
    done = await connection.execute(update(kind.TABLE).where(*_where(kind.TABLE, equal)).values(**values))
    return done.rowcount


async def remove(connection: AsyncConnection, kind: type[Row], /, **equal: object) -> int:
    """Delete rows, and what belongs to them; how many there were."""
    if not equal:
        raise ValueError("which rows?")
    done = await connection.execute(delete(kind.TABLE).where(*_where(kind.TABLE, equal)))
    return done.rowcount


# -- Questions that are about more than one table ----------------------------------------------------------------------


async def hosts_with_url(connection: AsyncConnection, url: str, besides: int) -> list[tuple[HostRow, SiteRow]]:
    """Hosts that have this very URL, and their sites; not those of the host *besides*."""
    site, host, carried, base = tables.site, tables.host, tables.carried, tables.url
    numbers = await connection.execute(
        select(host.c.id, site.c.id)
        .join_from(base, carried, base.c.carried == carried.c.id)
        .join(host, carried.c.host == host.c.id)
        .join(site, host.c.site == site.c.id)
        .where(base.c.url == url, host.c.id != besides)
        .distinct()
    )
    pairs = [(row[0], row[1]) for row in numbers]
    hosts = {row.id: row for row in await list_rows(connection, HostRow, id={pair[0] for pair in pairs})}
    sites = {row.id: row for row in await list_rows(connection, SiteRow, id={pair[1] for pair in pairs})}
    return [(hosts[host_number], sites[site_number]) for host_number, site_number in pairs]


EVENTS_AT_ONCE = 1000
"""Numbers of events that transactions of one moment may have been given: more than anybody writes at once."""


async def list_events(
    connection: AsyncConnection,
    *,
    sites: Iterable[int] | None = None,
    host: int | None = None,
    what: str | None = None,
    before: int | None = None,
    after: int = 0,
    limit: int = 200,
) -> list[EventRow]:
    """Events by number: newest first with *before*, else oldest first from *after* on.

    sites  those of these sites alone; None: all
    """
    table = tables.event
    conditions: list[ColumnElement[bool]] = []
    if sites is not None:
        conditions.append(table.c.site.in_(list(sites)))
    if host is not None:
        conditions.append(table.c.host == host)
    if what is not None:
        conditions.append(or_(table.c.what == what, table.c.what.like(f"{what}.%")))
    conditions.append(table.c.id < before if before is not None else table.c.id > after)
    order = table.c.id.desc() if before is not None else table.c.id
    query = select(*_columns(EventRow)).where(and_(*conditions)).order_by(order).limit(limit)
    return _rows_of(EventRow, await connection.execute(query))


async def mark_of_events(connection: AsyncConnection) -> tuple[int, int]:
    """What differs once one more event is there: the newest number, and how many of the last numbers there are.

    The newest alone would not do: of two transactions at once the one with the larger number may end first.
    """
    newest = await connection.scalar(select(func.max(tables.event.c.id))) or 0
    query = select(func.count()).where(tables.event.c.id > newest - EVENTS_AT_ONCE)
    return newest, int(await connection.scalar(query) or 0)


async def newest_edit(connection: AsyncConnection) -> int:
    """When somebody last changed the registry, imports aside, epoch seconds; 0 when nobody did."""
    by_hand = tables.event.c.what.not_like("import.%")
    found = await connection.execute(select(func.max(tables.event.c.at)).where(by_hand))
    return int(found.scalar() or 0)


async def set_fact(connection: AsyncConnection, name: str, value: str) -> None:
    """Keep one value under *name*."""
    table = tables.registry_fact
    done = await connection.execute(update(table).where(table.c.name == name).values(value=value))
    if not done.rowcount:
        await connection.execute(insert(table).values(name=name, value=value))


async def find_fact(connection: AsyncConnection, name: str) -> str | None:
    """The value kept under *name*."""
    found = await connection.execute(select(tables.registry_fact.c.value).where(tables.registry_fact.c.name == name))
    value = found.scalar()
    return None if value is None else str(value)


async def replace_sequence(connection: AsyncConnection, kind: type[Row]) -> None:
    """Let numbers that the database gives go on behind the greatest one (PostgreSQL; SQLite does so by itself)."""
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(f'"{kind.TABLE.name}"', "id")
        greatest = select(func.coalesce(func.max(kind.TABLE.c.id), 0)).scalar_subquery()
        await connection.execute(select(func.setval(sequence, greatest + 1, False)))


async def next_number(connection: AsyncConnection, kind: type[Row]) -> int:
    """A number that no row of the table has or ever had."""
    greatest = await connection.scalar(select(func.max(kind.TABLE.c.id))) or 0
    if connection.dialect.name == "sqlite":
        counted = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return max(greatest, await connection.scalar(counted, {"name": kind.TABLE.name}) or 0) + 1
    await connection.execute(text(f'LOCK TABLE "{kind.TABLE.name}" IN SHARE ROW EXCLUSIVE MODE'))
    sequence = func.pg_get_serial_sequence(f'"{kind.TABLE.name}"', "id")
    return max(greatest, int(await connection.scalar(select(func.nextval(sequence))) or 0))

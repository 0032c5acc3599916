"""Queries about what the masters hold. A scan writes, under the lock `scan`; crawls, pages and publications read."""

from __future__ import annotations

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.directories import (
    Contents,
    Counts,
    MasterRepository,
    Packed,
    Push,
    pack_paths,
    unpack_paths,
)
from redirector.store.tables.contents import contents as table
from redirector.store.tables.contents import generations, pushes

KEPT_PUSHES_S = 400 * 86_400
"""A year of propagation, and a month to look back from its end."""

KEPT_GENERATIONS_S = 90 * 86_400
"""As long as evidence is kept: a host that nobody saw for longer begins anew."""

_COUNTS = msgspec.msgpack.Decoder(Counts)
_REPOSITORIES = msgspec.msgpack.Decoder(tuple[MasterRepository, ...])


async def find_categories(connection: AsyncConnection) -> tuple[str, ...]:
    """The categories that were ever scanned, by name."""
    return tuple(await connection.scalars(select(table.c.category).order_by(table.c.category)))


async def list_counts(connection: AsyncConnection) -> dict[str, Counts]:
    """Category -> how much there is, as its last scan had it."""
    rows = await connection.execute(select(table.c.category, table.c.counts))
    return {row.category: _COUNTS.decode(row.counts) for row in rows}


async def find_contents(connection: AsyncConnection, category: str) -> Contents | None:
    """What a scan last found in *category*. cost: 2 µs a directory"""
    packed = await find_packed(connection, category)
    return packed.unpack() if packed else None


async def find_packed(connection: AsyncConnection, category: str) -> Packed | None:
    """The same, not unpacked."""
    row = (await connection.execute(select(table).where(table.c.category == category))).one_or_none()
    return None if row is None else _packed_of(row, await find_pushes(connection, category))


async def find_push(connection: AsyncConnection, category: str) -> tuple[int, int] | None:
    """(newest push, generation) of *category*: tells a reader whether what he has is still so."""
    row = (
        await connection.execute(select(table.c.push, table.c.generation).where(table.c.category == category))
    ).one_or_none()
    return None if row is None else (row.push, row.generation)


async def find_pushes(connection: AsyncConnection, category: str, since: int = 0) -> tuple[Push, ...]:
    """The pushes seen at or after the time *since*, newest first."""
    query = (
        select(pushes.c.number, pushes.c.seen, pushes.c.changed)
        .where(pushes.c.category == category, pushes.c.seen >= since)
        .order_by(pushes.c.number.desc())
    )
    return tuple(Push(row.number, row.seen, row.changed) for row in await connection.execute(query))


async def find_paths(connection: AsyncConnection, category: str, generation: int) -> tuple[bytes, ...] | None:
    """The paths of a generation, in the order of its bits; None when it is kept no longer."""
    query = select(generations.c.paths).where(generations.c.category == category, generations.c.number == generation)
    packed = await connection.scalar(query)
    return None if packed is None else unpack_paths(packed)


async def keep_contents(connection: AsyncConnection, contents: Packed) -> None:
    """Put *contents* in the place of what was known of its category, and forget what is too old.

    A push or a generation that is there already stays as it is.
    """
    category = contents.category
    known = await find_push(connection, category)
    row = {
        "category": category,
        "top": contents.top,
        "generation": contents.generation,
        "push": contents.push,
        "checked": contents.checked,
        "read": contents.read,
        "validator": contents.validator,
        "repositories": msgspec.msgpack.encode(contents.repositories),
        "counts": msgspec.msgpack.encode(contents.counts),
        "directories": contents.packed,
    }
    if known is None:
        await connection.execute(insert(table), row)
    else:
        await connection.execute(update(table).where(table.c.category == category), row)
    held = set(await connection.scalars(select(pushes.c.number).where(pushes.c.category == category)))
    fresh = [push for push in contents.pushes if push.number not in held]
    if fresh:
        rows = [{"category": category, **msgspec.structs.asdict(push)} for push in fresh]
        await connection.execute(insert(pushes), rows)
    if known is None or known[1] != contents.generation:
        await _keep_generation(connection, contents)
    await connection.execute(
        delete(pushes).where(
            pushes.c.category == category,
            pushes.c.seen < contents.checked - KEPT_PUSHES_S,
            pushes.c.number < contents.push,
        )
    )


async def _keep_generation(connection: AsyncConnection, contents: Packed) -> None:
    row = {
        "category": contents.category,
        "number": contents.generation,
        "made": contents.read,
        "paths": pack_paths(directory.path for directory in contents.directories()),
    }
    await connection.execute(insert(generations), row)
    await connection.execute(
        delete(generations).where(
            generations.c.category == contents.category,
            generations.c.made < contents.read - KEPT_GENERATIONS_S,
            generations.c.number < contents.generation - 1,
        )
    )


async def note_unchanged(connection: AsyncConnection, category: str, checked: int, validator: bytes) -> None:
    """Keep that the master of *category* was as known at the time *checked*."""
    await connection.execute(
        update(table).where(table.c.category == category).values(checked=checked, validator=validator)
    )


async def forget_contents(connection: AsyncConnection, category: str) -> None:
    """Forget all about *category*."""
    for each in (table, pushes, generations):
        await connection.execute(delete(each).where(each.c.category == category))


def _packed_of(row: Row[tuple[object, ...]], known: tuple[Push, ...]) -> Packed:
    return Packed(
        category=row.category,
        top=row.top,
        generation=row.generation,
        push=row.push,
        checked=row.checked,
        read=row.read,
        validator=row.validator,
        pushes=known,
        repositories=_REPOSITORIES.decode(row.repositories),
        counts=_COUNTS.decode(row.counts),
        packed=row.directories,
    )

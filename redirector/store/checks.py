"""Looks that were asked for: of each host the last one, until the host goes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.tables.checks import checks

Finding = tuple[str, str, str, str]
"""URL, check, level, text."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """What a look at a host found.

    at     when it began
    actor  who asked for it
    """

    host: int
    at: int
    took_s: int
    actor: str
    findings: tuple[Finding, ...]


async def put_check(
    connection: AsyncConnection, host: int, at: int, took_s: int, actor: str, findings: Sequence[Finding]
) -> None:
    """Keep it in place of the one before."""
    await connection.execute(delete(checks).where(checks.c.host == host))
    row = {"host": host, "at": at, "took_s": took_s, "actor": actor[:64], "findings": [list(f) for f in findings]}
    await connection.execute(insert(checks).values(row))


async def find_checks(connection: AsyncConnection, hosts: Collection[int]) -> dict[int, CheckRow]:
    """Host -> the last look at it."""
    rows = await connection.execute(select(checks).where(checks.c.host.in_(list(hosts))))
    return {
        row.host: CheckRow(
            row.host, row.at, row.took_s, row.actor, tuple((f[0], f[1], f[2], f[3]) for f in row.findings)
        )
        for row in rows
    }

"""Sessions, and logins by a provider that are under way."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.store.tables.login import flow, session


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser that is logged in."""

    id: int
    hash: str
    previous: str | None
    previous_until: int
    account: int
    made: int
    rotated: int
    seen: int
    network: str
    agent: str


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A login by a provider that was begun."""

    state: str
    browser: str
    verifier: str
    nonce: str
    target: str
    expires: int


async def add_session(
    connection: AsyncConnection, hashed: str, account: int, now: int, network: str, agent: str
) -> SessionRow:
    """A new session."""
    made = insert(session).values(
        hash=hashed,
        previous=None,
        previous_until=0,
        account=account,
        made=now,
        rotated=now,
        seen=now,
        network=network,
        agent=agent,
    )
    return SessionRow(*(await connection.execute(made.returning(*session.columns))).one())


async def find_session(connection: AsyncConnection, hashed: str, now: int) -> SessionRow | None:
    """The session of this secret, or of the one that it replaced a moment ago."""
    before = and_(session.c.previous == hashed, session.c.previous_until > now)
    row = (await connection.execute(select(session).where(or_(session.c.hash == hashed, before)))).first()
    return None if row is None else SessionRow(*row)


async def rotate_session(connection: AsyncConnection, row: SessionRow, hashed: str, now: int, overlap_s: int) -> bool:
    """Give it another secret; False when somebody did so at the same moment."""
    done = await connection.execute(
        update(session)
        .where(session.c.id == row.id, session.c.hash == row.hash)
        .values(hash=hashed, previous=row.hash, previous_until=now + overlap_s, rotated=now, seen=now)
    )
    return bool(done.rowcount)


async def see_session(connection: AsyncConnection, number: int, now: int) -> None:
    """It was used."""
    await connection.execute(update(session).where(session.c.id == number).values(seen=now))


async def list_sessions(connection: AsyncConnection, account: int) -> list[SessionRow]:
    """Those of one account, newest first."""
    query = select(session).where(session.c.account == account).order_by(session.c.seen.desc(), session.c.id.desc())
    return [SessionRow(*row) for row in await connection.execute(query)]


async def end_sessions(connection: AsyncConnection, account: int, number: int | None = None, besides: int = 0) -> int:
    """End one session of the account, or all but *besides*; how many."""
    which = [session.c.account == account, session.c.id != besides]
    if number is not None:
        which.append(session.c.id == number)
    return (await connection.execute(delete(session).where(*which))).rowcount


async def forget_sessions(connection: AsyncConnection, seen_before: int, made_before: int, now: int) -> None:
    """Drop what works no more."""
    await connection.execute(delete(session).where(or_(session.c.seen < seen_before, session.c.made < made_before)))
    await connection.execute(delete(flow).where(flow.c.expires <= now))


async def add_flow(connection: AsyncConnection, row: FlowRow) -> None:
    """A login was begun."""
    await connection.execute(
        insert(flow).values(
            state=row.state,
            browser=row.browser,
            verifier=row.verifier,
            nonce=row.nonce,
            target=row.target,
            expires=row.expires,
        )
    )


async def take_flow(connection: AsyncConnection, state: str, now: int) -> FlowRow | None:
    """The login that was begun with this state, which nobody can take again."""
    row = (await connection.execute(select(flow).where(flow.c.state == state))).first()
    if row is None:
        return None
    gone = await connection.execute(delete(flow).where(flow.c.state == state))
    found = FlowRow(*row)
    return found if gone.rowcount and found.expires > now else None

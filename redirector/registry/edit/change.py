"""What every change shares: who makes it and when, what he may, what is there, and what is written down about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry.permits import NOWHERE, Act, Actor, Target, Verdict, decide
from redirector.registry.refusals import Conflict, FieldProblem, Forbidden, Missing, Stale
from redirector.registry.secrets import Cipher
from redirector.store.registry import queries
from redirector.store.registry.rows import Edited, EventRow, HostRow, PullerRow, Row, SiteRow

E = TypeVar("E", bound=Edited)
R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class House:
    """What the operator settled for all changes.

    cipher     from the key file; None: passwords of URLs cannot be kept
    allow_ftp  mirrors may have ftp URLs
    pages      where people reach the pages; "" when the operator did not say
    mails      somebody takes our mail
    """

    cipher: Cipher | None = None
    allow_ftp: bool = False
    pages: str = ""
    mails: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One change: a transaction, and who makes it when.

    now       epoch seconds
    lax       it comes from a form or a command, where everything is text
    own_asns  AS numbers that the addresses of the host at hand are in, by our table; None: not looked up
    """

    connection: AsyncConnection
    actor: Actor
    now: int
    house: House = House()
    lax: bool = False
    own_asns: frozenset[int] | None = None

    def require(self, act: Act, target: Target = NOWHERE) -> None:
        """Raise Forbidden or Missing unless the actor may."""
        verdict = decide(self.actor, act, target)
        if verdict is Verdict.LOGIN:
            raise Forbidden("log in first")
        if verdict is Verdict.FORBIDDEN:
            raise Forbidden
        if verdict is Verdict.MISSING:
            raise Missing

    def forbid(self, field: str, text: str = "distribution admins alone may set it") -> None:
        """Raise Forbidden at *field* unless the actor is a distribution admin."""
        if not self.actor.admin:
            raise Forbidden(problems=(FieldProblem(field, text),))

    async def log(
        self,
        what: str,
        name: str,
        subject: int | None,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
        *,
        site: int | None = None,
        host: int | None = None,
    ) -> None:
        """Write the event down; secrets never get here."""
        await queries.add(
            self.connection,
            EventRow,
            at=self.now,
            account=self.actor.account,
            actor=self.actor.name,
            what=what,
            site=site,
            host=host,
            subject=subject,
            name=name[:2048],
            old=dict(old or {}),
            new=dict(new or {}),
        )


async def find_site(change: Change, act: Act, number: int) -> SiteRow:
    """The site that *act* is about. Raises Missing, Forbidden."""
    row = await queries.find(change.connection, SiteRow, id=number)
    pullers = frozenset[int]()
    if act is Act.SEE_MIRRORS and row is not None:
        pullers = await pullers_of(change.connection, row)
    change.require(act, Target(site=number if row else -1, pullers=pullers))
    if row is None:
        raise Missing
    return row


async def pullers_of(connection: AsyncConnection, site: SiteRow) -> frozenset[int]:
    """Approved sites that may pull from *site*; itself not among them."""
    approved = {row.id for row in await queries.list_rows(connection, SiteRow, state="approved")}
    if not site.pulled_by_all:
        approved &= {row.puller for row in await queries.list_rows(connection, PullerRow, site=site.id)}
    return frozenset(approved - {site.id})


async def find_host(change: Change, act: Act, number: int) -> tuple[HostRow, SiteRow]:
    """The host that *act* is about, and its site. Raises Missing, Forbidden."""
    host = await queries.find(change.connection, HostRow, id=number)
    if host is None:
        change.require(act, Target(site=-1, host=-1))
        raise Missing
    site = await queries.find(change.connection, SiteRow, id=host.site)
    assert site is not None
    pullers = await pullers_of(change.connection, site) if act is Act.SEE_MIRRORS else frozenset[int]()
    change.require(act, Target(site=host.site, host=host.id, pullers=pullers))
    return host, site


async def find_child(
    change: Change, act: Act, kind: type[R], host_number: int, number: int
) -> tuple[R, HostRow, SiteRow]:
    """The row *number* that belongs to the host, the host and its site; another host's row is missing."""
    host, site = await find_host(change, act, host_number)
    row = await queries.find(change.connection, kind, id=number, host=host_number)
    if row is None:
        raise Missing
    return row, host, site


async def write(
    change: Change,
    kind: type[E],
    row: E,
    version: int | None,
    show: Callable[[E], Mapping[str, Any]],
    /,
    **values: object,
) -> E:
    """Set columns of *row*; nothing happens when they are so already.

    version  the one that the editor saw; None: whichever
    raises   Stale with what is there
    """
    if version is not None and version != row.version:
        raise Stale(version=row.version, current=show(row))
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    changed = await queries.change(change.connection, kind, row.id, row.version, edited=change.now, **values)
    if changed is None:
        fresh = await find_fresh(change, kind, row.id)
        raise Stale(version=fresh.version, current=show(fresh))
    return changed


async def find_fresh(change: Change, kind: type[E], number: int) -> E:
    """What somebody else made of a row since this transaction read it, as can be in PostgreSQL. Raises Missing."""
    fresh = await queries.find(change.connection, kind, id=number)
    if fresh is None:
        raise Missing
    return fresh


def refuse_outdated(row: Edited, version: int | None, current: Mapping[str, Any]) -> None:
    """Raise Stale when the editor saw another version than there is."""
    if version is not None and version != row.version:
        raise Stale(version=row.version, current=current)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What changed, before and after."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {name: old.get(name) for name in names}, {name: new.get(name) for name in names}


def taken(field: str, text: str) -> NoReturn:
    """Raise Conflict: something unique is there already."""
    raise Conflict(problems=(FieldProblem(field, text),))


async def left_behind(change: Change, going: Iterable[HostRow]) -> dict[str, Any]:
    """What the event of a deletion says of those that pull from the hosts *going*: nobody could find them later.

    Hosts that left before have told theirs already.
    """
    found: dict[str, list[int]] = {}
    for host in going:
        if host.leaving is None:
            rows = await queries.list_rows(change.connection, HostRow, pulls_from=host.id)
            if numbers := [row.id for row in rows if row.site != host.site]:
                found[host.name] = numbers
    return {"downstream": found} if found else {}

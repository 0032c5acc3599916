"""AS numbers of hosts. One's own count at once; another's waits for a distribution admin."""

from __future__ import annotations

from redirector.registry import nouns
from redirector.registry.edit.change import Change, find_child, find_fresh, find_host, refuse_outdated, taken
from redirector.registry.permits import Act
from redirector.registry.refusals import Conflict, Stale
from redirector.registry.views import show_asn
from redirector.store.registry import queries
from redirector.store.registry.rows import AsnRow, HostRow, NetworkRow


async def list_asns(change: Change, host_number: int) -> list[AsnRow]:
    """The host's AS numbers."""
    await find_host(change, Act.READ, host_number)
    return await queries.list_rows(change.connection, AsnRow, host=host_number)


async def add_asn(change: Change, host_number: int, body: object) -> AsnRow:
    """A new AS number of a host; it waits unless the host's addresses are in it."""
    host, _ = await find_host(change, Act.EDIT, host_number)
    noun = nouns.read_new(nouns.AsnOf, body, change.lax)
    if await queries.find(change.connection, AsnRow, host=host.id, asn=noun.asn):
        taken("asn", "the host has it already")
    return await _add(change, host, noun.asn, own=False)


async def _add(change: Change, host: HostRow, number: int, *, own: bool) -> AsnRow:
    found = not change.actor.admin and number in (change.own_asns or frozenset())
    waits = not change.actor.admin and not found
    row = await queries.add(
        change.connection,
        AsnRow,
        host=host.id,
        asn=number,
        waits=waits,
        refused=False,
        own=own,
        found=found,
        origin=None,
        edited=change.now,
    )
    new = {"asn": number, "waits": waits}
    await change.log("asn.add", f"AS {number}", row.id, {}, new, site=host.site, host=host.id)
    return row


async def settle_own_asn(change: Change, host: HostRow) -> None:
    """Keep the row that stands for the host's `own_asn` in step with it: one while it serves that AS, else none."""
    wanted = host.own_asn if host.serves_own_asn else None
    for row in await queries.list_rows(change.connection, AsnRow, host=host.id, own=True):
        if row.asn != wanted:
            await queries.remove(change.connection, AsnRow, id=row.id)
            await change.log("asn.remove", f"AS {row.asn}", row.id, {"asn": row.asn}, {}, site=host.site, host=host.id)
    if wanted is not None and not await queries.find(change.connection, AsnRow, host=host.id, asn=wanted):
        await _add(change, host, wanted, own=True)


async def judge_asns_again(change: Change, host: HostRow) -> None:
    """With other URLs the host's addresses are others: what counted because of the old ones alone waits from now on."""
    if change.own_asns is not None and not change.actor.admin:
        await keep_found_asns(change, host, change.own_asns)


async def keep_found_asns(change: Change, host: HostRow, own_asns: frozenset[int]) -> list[int]:
    """What counts because the host's addresses were in it waits unless it is among *own_asns*; what waits now."""
    gone = [
        row
        for row in await queries.list_rows(change.connection, AsnRow, host=host.id, found=True)
        if row.asn not in own_asns
    ]
    for row in gone:
        await queries.change(change.connection, AsnRow, row.id, None, waits=True, found=False, edited=change.now)
        old, new = {"waits": False}, {"waits": True}
        await change.log("asn.change", f"AS {row.asn}", row.id, old, new, site=host.site, host=host.id)
    return [row.asn for row in gone]


async def hosts_by_found_asns(change: Change) -> list[HostRow]:
    """Hosts with an AS number that counts because their addresses are in it, and nobody decided."""
    rows = await queries.list_rows(change.connection, AsnRow, found=True)
    return await queries.list_rows(change.connection, HostRow, id={row.host for row in rows})


async def delete_asn(change: Change, host_number: int, number: int, version: int | None = None) -> None:
    """Take an AS number from a host. Raises Conflict for what a monopoly rests on."""
    row, host, _ = await find_child(change, Act.EDIT, AsnRow, host_number, number)
    refuse_outdated(row, version, show_asn(row))
    await keep_monopoly(change, host)
    await queries.remove(change.connection, AsnRow, id=row.id)
    if row.own:
        await queries.change(change.connection, HostRow, host.id, None, serves_own_asn=False, edited=change.now)
    await change.log("asn.remove", f"AS {row.asn}", row.id, {"asn": row.asn}, {}, site=host.site, host=host.id)


async def keep_monopoly(change: Change, host: HostRow) -> None:
    """Raise Conflict when the host would keep its monopoly over nothing."""
    networks = await queries.count(change.connection, NetworkRow, host=host.id)
    asns = await queries.count(change.connection, AsnRow, host=host.id)
    if host.monopoly and networks + asns <= 1:
        raise Conflict("the host has a monopoly, which needs a network or an AS number: end that first")


async def decide_asn(change: Change, host_number: int, number: int, version: int | None, body: object) -> AsnRow:
    """Approve or refuse what waits. Raises Stale when it was decided, or began to wait anew, since it was looked at."""
    row, host, _ = await find_child(change, Act.DECIDE, AsnRow, host_number, number)
    refuse_outdated(row, version, show_asn(row))
    refused, text = read_decision(change, body)
    changed = await queries.change(
        change.connection, AsnRow, row.id, row.version, waits=False, refused=refused, found=False, edited=change.now
    )
    if changed is None:
        fresh = await find_fresh(change, AsnRow, row.id)
        raise Stale(version=fresh.version, current=show_asn(fresh))
    what = "asn.refuse" if refused else "asn.approve"
    new = {"waits": False, **({"text": text} if text else {})}
    await change.log(what, f"AS {row.asn}", row.id, {"waits": row.waits}, new, site=host.site, host=host.id)
    return changed


def read_decision(change: Change, body: object) -> tuple[bool, str]:
    """(whether the *body*, an approval, refuses, its text); networks and AS numbers know no other decisions."""
    noun = nouns.read_new(nouns.Approval, body, change.lax)
    if noun.action not in ("approve", "refuse"):
        raise Conflict(f"{noun.action} is for sites: approve or refuse it")
    return noun.action == "refuse", noun.text

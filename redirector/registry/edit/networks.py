"""What else belongs to a host: networks, countries allowed, addresses it pulls with."""

from __future__ import annotations

from redirector.registry import nouns, rules
from redirector.registry.edit.asns import keep_monopoly, read_decision
from redirector.registry.edit.change import (
    Change,
    differences,
    find_child,
    find_fresh,
    find_host,
    refuse_outdated,
    taken,
    write,
)
from redirector.registry.permits import Act
from redirector.registry.refusals import FieldProblem, Invalid, Stale
from redirector.registry.views import show_acl, show_country, show_network
from redirector.store.registry import queries
from redirector.store.registry.rows import AclRow, CountryRow, NetworkRow

# -- Networks ----------------------------------------------------------------------------------------------------------


async def list_networks(change: Change, host_number: int) -> list[NetworkRow]:
    """The host's networks."""
    await find_host(change, Act.READ, host_number)
    return await queries.list_rows(change.connection, NetworkRow, host=host_number)


async def add_network(change: Change, host_number: int, body: object) -> NetworkRow:
    """A new network of a host; a wide one waits, one that is not global is for distribution admins to enter."""
    host, _ = await find_host(change, Act.EDIT, host_number)
    noun = nouns.read_new(nouns.Network, body, change.lax)
    waits = _judge(change, noun.network)
    if await queries.find(change.connection, NetworkRow, host=host.id, network=noun.network):
        taken("network", "the host has it already")
    row = await queries.add(
        change.connection,
        NetworkRow,
        host=host.id,
        network=noun.network,
        name=noun.name,
        waits=waits,
        refused=False,
        origin=None,
        edited=change.now,
    )
    await change.log("network.add", row.network, row.id, {}, show_network(row), site=host.site, host=host.id)
    return row


def _judge(change: Change, network: str) -> bool:
    """Whether it waits. Raises Forbidden for one that the actor may not enter."""
    reach = rules.reach_of(network)
    if reach is rules.Reach.SPECIAL:
        change.forbid("network", "is not global: distribution admins alone may enter it")
    return reach is rules.Reach.WIDE and not change.actor.admin


async def edit_network(change: Change, host_number: int, number: int, version: int | None, patch: object) -> NetworkRow:
    """Change a network or its label."""
    row, host, _ = await find_child(change, Act.EDIT, NetworkRow, host_number, number)
    refuse_outdated(row, version, show_network(row))
    new = nouns.read_change(nouns.Network, {"network": row.network, "name": row.name}, patch, change.lax)
    values: dict[str, object] = dict(new)
    if "network" in new:
        other = await queries.find(change.connection, NetworkRow, host=host.id, network=new["network"])
        values |= {"waits": _judge(change, new["network"]), "refused": False}
        if other is not None:
            taken("network", "the host has it already")
    changed = await write(change, NetworkRow, row, None, show_network, **values)
    old, after = differences(show_network(row), show_network(changed))
    await change.log("network.change", changed.network, row.id, old, after, site=host.site, host=host.id)
    return changed


async def delete_network(change: Change, host_number: int, number: int, version: int | None = None) -> None:
    """Take a network from a host. Raises Conflict for what a monopoly rests on."""
    row, host, _ = await find_child(change, Act.EDIT, NetworkRow, host_number, number)
    refuse_outdated(row, version, show_network(row))
    await keep_monopoly(change, host)
    await queries.remove(change.connection, NetworkRow, id=row.id)
    await change.log("network.remove", row.network, row.id, show_network(row), {}, site=host.site, host=host.id)


async def decide_network(
    change: Change, host_number: int, number: int, version: int | None, body: object
) -> NetworkRow:
    """Approve or refuse what waits. Raises Stale when it is another network than the one that was looked at."""
    row, host, _ = await find_child(change, Act.DECIDE, NetworkRow, host_number, number)
    refuse_outdated(row, version, show_network(row))
    refused, text = read_decision(change, body)
    changed = await queries.change(
        change.connection, NetworkRow, row.id, row.version, waits=False, refused=refused, edited=change.now
    )
    if changed is None:
        fresh = await find_fresh(change, NetworkRow, row.id)
        raise Stale(version=fresh.version, current=show_network(fresh))
    what = "network.refuse" if refused else "network.approve"
    old, new = differences(show_network(row), show_network(changed))
    new |= {"text": text} if text else {}
    await change.log(what, row.network, row.id, old, new, site=host.site, host=host.id)
    return changed


# -- Countries ---------------------------------------------------------------------------------------------------------


async def list_countries(change: Change, host_number: int) -> list[CountryRow]:
    """Countries whose clients may have the host; none: all."""
    await find_host(change, Act.READ, host_number)
    return await queries.list_rows(change.connection, CountryRow, host=host_number)


async def add_country(change: Change, host_number: int, body: object) -> CountryRow:
    """One more country whose clients may have the host."""
    host, _ = await find_host(change, Act.EDIT, host_number)
    noun = nouns.read_new(nouns.CountryAllowed, body, change.lax)
    if await queries.find(change.connection, CountryRow, host=host.id, country=noun.country):
        taken("country", "the host has it already")
    row = await queries.add(
        change.connection, CountryRow, host=host.id, country=noun.country, origin=None, edited=change.now
    )
    await change.log("country.add", row.country, row.id, {}, show_country(row), site=host.site, host=host.id)
    return row


async def delete_country(change: Change, host_number: int, number: int, version: int | None = None) -> None:
    """One country less; without any all may have the host."""
    row, host, _ = await find_child(change, Act.EDIT, CountryRow, host_number, number)
    refuse_outdated(row, version, show_country(row))
    await queries.remove(change.connection, CountryRow, id=row.id)
    await change.log("country.remove", row.country, row.id, show_country(row), {}, site=host.site, host=host.id)


# -- Addresses that pull from the masters ------------------------------------------------------------------------------


async def list_acl(change: Change, host_number: int) -> list[AclRow]:
    """Addresses that the host pulls with."""
    await find_host(change, Act.READ, host_number)
    return await queries.list_rows(change.connection, AclRow, host=host_number)


async def add_acl(change: Change, host_number: int, body: object) -> AclRow:
    """One more address that the host pulls with; at most 32."""
    host, _ = await find_host(change, Act.EDIT, host_number)
    noun = nouns.read_new(nouns.AclAddress, body, change.lax)
    if await queries.find(change.connection, AclRow, host=host.id, address=noun.address):
        taken("address", "the host has it already")
    if await queries.count(change.connection, AclRow, host=host.id) >= rules.ACL_LIMIT:
        raise Invalid(problems=(FieldProblem("address", f"a host has at most {rules.ACL_LIMIT}"),))
    row = await queries.add(
        change.connection, AclRow, host=host.id, address=noun.address, origin=None, edited=change.now
    )
    await change.log("acl.add", row.address, row.id, {}, show_acl(row), site=host.site, host=host.id)
    return row


async def delete_acl(change: Change, host_number: int, number: int, version: int | None = None) -> None:
    """One address less."""
    row, host, _ = await find_child(change, Act.EDIT, AclRow, host_number, number)
    refuse_outdated(row, version, show_acl(row))
    await queries.remove(change.connection, AclRow, id=row.id)
    await change.log("acl.remove", row.address, row.id, show_acl(row), {}, site=host.site, host=host.id)

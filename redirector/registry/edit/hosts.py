"""Hosts: made, changed, left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redirector.registry import nouns, rules
from redirector.registry.edit.asns import settle_own_asn
from redirector.registry.edit.change import (
    Change,
    differences,
    find_host,
    find_site,
    left_behind,
    refuse_outdated,
    taken,
    write,
)
from redirector.registry.permits import Act
from redirector.registry.refusals import FieldProblem, Invalid
from redirector.registry.views import View, host_body, show_host
from redirector.store.registry import queries
from redirector.store.registry.rows import AsnRow, HostRow, NetworkRow, SiteRow

_PLAIN = (
    "name",
    "country",
    "state",
    "city",
    "latitude",
    "longitude",
    "bandwidth_mbit",
    "private",
    "monopoly",
    "own_asn",
    "serves_own_asn",
    "update_frequency",
    "cloud_type",
    "cloud_regions",
    "new_releases",
    "tier",
    "enabled",
)
"""Fields that are columns of the same name."""


async def create_host(change: Change, site_number: int, body: object) -> HostRow:
    """A new host of a site."""
    site = await find_site(change, Act.EDIT, site_number)
    noun = nouns.read_new(nouns.Host, body, change.lax)
    problems: list[FieldProblem] = []
    source, from_master = await _read_source(change, site, noun.pulls_from, None, problems)
    if noun.monopoly and not (noun.own_asn is not None and noun.serves_own_asn):
        problems.append(_MONOPOLY)
    if problems:
        raise Invalid(problems=problems)
    await _check_name(change, noun.name)
    values = {name: getattr(noun, name) for name in _PLAIN}
    window = noun.maintenance.epoch() if noun.maintenance else (None, None)
    row = await queries.add(
        change.connection,
        HostRow,
        **values,
        site=site.id,
        name_key=rules.name_key(noun.name),
        maintenance_from=window[0],
        maintenance_to=window[1],
        pulls_from=source,
        pulls_from_master=from_master,
        enabled_since=change.now,
        unchecked_since=change.now,
        leaving=None,
        origin=None,
        extra={},
        created=change.now,
        edited=change.now,
    )
    await settle_own_asn(change, row)
    await change.log("host.add", row.name, row.id, {}, await body_of(change, row), site=site.id, host=row.id)
    return row


_MONOPOLY = FieldProblem("monopoly", "needs a network or an AS number first")


async def _check_name(change: Change, name: str, own: int | None = None) -> None:
    found = await queries.find(change.connection, HostRow, name_key=rules.name_key(name))
    if found is not None and found.id != own:
        taken("name", "another host has this name")


async def _read_source(
    change: Change, site: SiteRow, text: str | None, own: int | None, problems: list[FieldProblem]
) -> tuple[int | None, bool]:
    """The number of the host that *text* names, and whether it is the master."""
    if not text:
        return None, False
    if text.casefold() == "master":
        return None, True
    source = await queries.find(change.connection, HostRow, name_key=rules.name_key(text))
    if source is None or not await _is_visible(change, site, source):
        problems.append(FieldProblem("pulls_from", "there is no such host; `master` stands for the masters"))
        return None, False
    if own is not None:
        rows = {row.id: row for row in await queries.list_rows(change.connection, HostRow)}
        sources = {number: row.pulls_from for number, row in rows.items() if row.pulls_from is not None}
        loop = rules.find_loop(own, source.id, sources)
        if loop:
            names = " → ".join(rows[number].name for number in (*loop, loop[0]))
            problems.append(FieldProblem("pulls_from", f"each would pull from the next, in a loop: {names}"))
    return source.id, False


async def _is_visible(change: Change, site: SiteRow, source: HostRow) -> bool:
    """Public hosts of approved sites can be named, and those that the actor may read."""
    if change.actor.admin or source.site == site.id or source.site in change.actor.sites:
        return True
    other = await queries.find(change.connection, SiteRow, id=source.site)
    return other is not None and other.state == "approved" and not other.private and not source.private


async def body_of(change: Change, row: HostRow) -> View:
    """The host as its body has it."""
    return host_body(row, await _name_of(change, row.pulls_from))


async def view_of(change: Change, row: HostRow) -> View:
    """The host as those see it who may read it."""
    return show_host(row, await _name_of(change, row.pulls_from))


async def _name_of(change: Change, number: int | None) -> str | None:
    source = await queries.find(change.connection, HostRow, id=number) if number is not None else None
    return source.name if source else None


async def edit_host(change: Change, number: int, version: int | None, patch: object) -> HostRow:
    """Change fields of a host. Private ↔ public, or a new name: it is unchecked. Raises Stale, Invalid, Conflict."""
    row, site = await find_host(change, Act.EDIT, number)
    old = await body_of(change, row)
    refuse_outdated(row, version, await view_of(change, row))
    new = nouns.read_change(nouns.Host, _typed(row, old), patch, change.lax)
    problems: list[FieldProblem] = []
    values: dict[str, Any] = {name: new[name] for name in _PLAIN if name in new}
    if "pulls_from" in new:
        values["pulls_from"], values["pulls_from_master"] = await _read_source(
            change, site, new["pulls_from"], row.id, problems
        )
    if "maintenance" in new:
        window = new["maintenance"].epoch() if new["maintenance"] else (None, None)
        values |= {"maintenance_from": window[0], "maintenance_to": window[1]}
    if values.get("monopoly") and not await _has_network(change, row, values):
        problems.append(_MONOPOLY)
    if problems:
        raise Invalid(problems=problems)
    if "name" in new:
        await _check_name(change, new["name"], row.id)
        values["name_key"] = rules.name_key(new["name"])
    if "enabled" in new:
        values |= {"enabled_since": change.now, "leaving": None}
    if not new.keys().isdisjoint({"private", "name"}):
        values["unchecked_since"] = change.now
    changed = await write(change, HostRow, row, None, lambda each: show_host(each, None), **values)
    if not values.keys().isdisjoint({"own_asn", "serves_own_asn"}):
        await settle_own_asn(change, changed)
    before, after = differences(old, await body_of(change, changed))
    if after:
        await change.log("host.change", changed.name, row.id, before, after, site=row.site, host=row.id)
    return changed


def _typed(row: HostRow, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with times as the noun holds them."""
    if row.maintenance is None:
        return dict(body)
    start, end = row.maintenance
    window = nouns.Maintenance.model_construct(from_=nouns.time_of(start), to=nouns.time_of(end))
    return {**body, "maintenance": window}


async def _has_network(change: Change, row: HostRow, values: Mapping[str, Any]) -> bool:
    own = values.get("own_asn", row.own_asn)
    if own is not None and values.get("serves_own_asn", row.serves_own_asn):
        return True
    return bool(
        await queries.count(change.connection, NetworkRow, host=row.id)
        or await queries.count(change.connection, AsnRow, host=row.id, own=False)
    )


async def leave_host(change: Change, number: int, version: int | None) -> HostRow:
    """It is off at once, and deleted after 30 days unless it is switched on before."""
    row, _ = await find_host(change, Act.DELETE, number)
    since = change.now if row.enabled else row.enabled_since
    changed = await write(
        change,
        HostRow,
        row,
        version,
        lambda each: show_host(each, None),
        leaving=row.leaving or change.now,
        enabled=False,
        enabled_since=since,
    )
    old, new = {"enabled": row.enabled}, {"enabled": False}
    await change.log("host.leave", row.name, row.id, old, new, site=row.site, host=row.id)
    return changed


async def delete_host(change: Change, number: int, version: int | None) -> None:
    """It and all that belongs to it are gone, but for the events."""
    row, _ = await find_host(change, Act.DELETE, number)
    refuse_outdated(row, version, await view_of(change, row))
    old = await body_of(change, row)
    left = await left_behind(change, [row])
    await queries.remove(change.connection, HostRow, id=row.id)
    await change.log("host.delete", row.name, row.id, old, left, site=row.site, host=row.id)


async def downstream(change: Change, number: int) -> list[HostRow]:
    """Hosts that say they pull from this one: whoever leaves lets them know."""
    return await queries.list_rows(change.connection, HostRow, pulls_from=number)

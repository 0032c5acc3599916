"""What a check-in changes: what a host said that it has, whether it is on, when it is visited next, its traffic.

Nothing here makes a public host current: that is for those who look.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from redirector.health.keeping import unpack_names as unpack_seen_names
from redirector.registry.checkin import CheckIn, Counted, Part, is_confirmed, is_lost
from redirector.registry.edit.change import Change, find_host
from redirector.registry.known import Known
from redirector.registry.permits import Act
from redirector.registry.publish.contents import pack_names, unpack_bits, unpack_names
from redirector.registry.publish.holdings import imported_contents
from redirector.registry.refusals import Missing
from redirector.registry.rules import name_key
from redirector.store import evidence
from redirector.store.registry import queries
from redirector.store.registry.rows import (
    CarriedRow,
    CategoryRow,
    CheckedInRow,
    DoubtedRow,
    HostRow,
    ImportedCategoryRow,
    ImportedContentRow,
    SiteRow,
)
from redirector.store.statistics import add_traffic

VISITS_APART_S = 120
"""However often a host checks in, it is visited no sooner than that after the last visit."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one category.

    unknown  directories that the master does not have; they are counted, not stored
    doubted  it lost most of what it had: nothing changes until it comes again, or a visit agrees
    """

    counted: Counted
    unknown: int = 0
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a check-in.

    claims  the host's word counts, since nobody visits it
    """

    host: str
    claims: bool
    parts: tuple[Taken, ...]

    @property
    def doubted(self) -> bool:
        """Whether something of it changes nothing for now."""
        return any(part.doubted for part in self.parts)


async def find_checked_host(change: Change, name: str) -> tuple[HostRow, SiteRow]:
    """The host that checks in by the token of the API that the actor came with. Raises Missing, Forbidden."""
    only = change.actor.only
    if not name and only is not None and only[0] == "host":
        return await find_host(change, Act.CHECK_IN, only[1])
    host = await queries.find(change.connection, HostRow, name_key=name_key(name)) if name.isprintable() else None
    if host is None:
        change.require(Act.CHECK_IN)
        raise Missing("there is no such host")
    return await find_host(change, Act.CHECK_IN, host.id)


async def find_named_host(change: Change, site: SiteRow, name: str, only: int | None) -> HostRow | None:
    """The host of *site* that an old check-in names; *only*: the one that its token is for."""
    host = await queries.find(change.connection, HostRow, name_key=name_key(name)) if name.isprintable() else None
    return host if host is not None and host.site == site.id and only in (None, host.id) else None


async def categories_of(change: Change, host: HostRow, names: Collection[str]) -> list[tuple[CarriedRow, CategoryRow]]:
    """What *host* carries of the categories of these *names*, in whatever case, in the order of their names."""
    wanted = {name_key(name) for name in names}
    rows = {row.id: row for row in await queries.list_rows(change.connection, CategoryRow)}
    carried = await queries.list_rows(change.connection, CarriedRow, host=host.id)
    found = [(each, rows[each.category]) for each in carried if rows[each.category].name_key in wanted]
    return sorted(found, key=lambda pair: pair[1].name_key)


async def take_check_in(
    change: Change, host: HostRow, site: SiteRow, told: CheckIn, known: Mapping[int, Known]
) -> Receipt:
    """Write down what *host* said.

    known  category -> its directories, as far as they are carried and named
    """
    parts = {name_key(name): part for name, part in told.parts.items()}
    taken = []
    for carried, category in await categories_of(change, host, told.parts):
        if category.id in known:
            part = parts[category.name_key]
            taken.append(await _take_part(change, host, carried, category, part, known[category.id]))
    if told.active is not None:
        await _switch(change, host, told.active)
    await add_traffic(change.connection, host.name, told.traffic)
    claims = host.private or site.private
    if not claims and any(part.enabled for part in told.parts.values()):
        await evidence.bring_forward(change.connection, host.name, change.now, VISITS_APART_S)
    return Receipt(host.name, claims, tuple(taken))


async def _take_part(
    change: Change, host: HostRow, carried: CarriedRow, category: CategoryRow, part: Part, known: Known
) -> Taken:
    if not part.enabled:
        return Taken(Counted(category.name))
    found = [known.find(path) for path in part.directories]
    new = frozenset(path for path in found if path is not None) - _behind(part, known)
    unknown = found.count(None)
    before = await queries.find(change.connection, CheckedInRow, carried=carried.id)
    old = frozenset(unpack_names(before.paths)) if before else await _imported(change, host, carried)
    if is_lost(old, new) and not await _is_true(change, host, carried, category, old, new):
        return Taken(Counted(category.name), unknown, doubted=True)
    await queries.remove(change.connection, DoubtedRow, carried=carried.id)
    await queries.remove(change.connection, CheckedInRow, carried=carried.id)
    packed = pack_names(sorted(new))
    await queries.add(change.connection, CheckedInRow, carried=carried.id, paths=packed, at=change.now)
    anew = before is not None and before.at < host.unchecked_since
    counted = Counted(category.name, len(old & new) if anew else 0, len(new - old), len(old - new))
    return Taken(counted, unknown)


def _behind(part: Part, known: Known) -> frozenset[str]:
    """Directories whose metadata, as the host itself says, are neither the newest nor an alternate."""
    behind: set[str] = set()
    for path, digest in part.repomd.items():
        folder = known.find(path)
        hashes = known.hashes.get(folder) if folder is not None else None
        if folder is not None and hashes and digest not in hashes:
            behind |= {folder, folder.rpartition("/")[0]}
    return frozenset(behind)


async def _imported(change: Change, host: HostRow, carried: CarriedRow) -> frozenset[str]:
    """What an import's source said that it has."""
    content = await queries.find(change.connection, ImportedContentRow, carried=carried.id)
    listed = await queries.find(change.connection, ImportedCategoryRow, category=carried.category)
    if content is None or listed is None or content.at < host.unchecked_since:
        return frozenset()
    category = await queries.find(change.connection, CategoryRow, id=carried.category)
    assert category is not None
    contents = imported_contents(category, listed)
    has = unpack_bits(content.current, len(contents.names)).tolist()
    return frozenset(contents.subpath_of(name) for name, there in zip(contents.names, has, strict=True) if there)


async def _is_true(
    change: Change,
    host: HostRow,
    carried: CarriedRow,
    category: CategoryRow,
    old: frozenset[str],
    new: frozenset[str],
) -> bool:
    """Whether a tree that lost most of *old* is believed: it came an hour ago already, or a visit saw the same."""
    before = await queries.find(change.connection, DoubtedRow, carried=carried.id)
    doubted = frozenset(unpack_names(before.paths)) if before else None
    if before is not None and doubted is not None and is_confirmed(new, doubted, change.now - before.at):
        return True
    seen = await _seen(change, host, category)
    if seen is not None and is_lost(old, seen):
        return True
    if doubted is None or is_lost(doubted, new):
        await queries.remove(change.connection, DoubtedRow, carried=carried.id)
        packed = pack_names(sorted(new))
        await queries.add(change.connection, DoubtedRow, carried=carried.id, paths=packed, at=change.now)
    return False


async def _seen(change: Change, host: HostRow, category: CategoryRow) -> frozenset[str] | None:
    """What visits found of the category; None when nobody looked."""
    seen: set[str] | None = None
    for row in await evidence.find_contents(change.connection, wanted=[host.name]):
        if name_key(row.category) != category.name_key:
            continue
        raw = await evidence.find_names(change.connection, row.directories)
        names = unpack_seen_names(raw) if raw else ()
        bits = np.unpackbits(np.frombuffer(row.served, np.uint8), bitorder="little").tolist()
        seen = (seen or set()) | {name for name, there in zip(names, bits, strict=False) if there}
    return None if seen is None else frozenset(seen)


async def _switch(change: Change, host: HostRow, active: bool) -> None:
    """Its admin's word, in the client's configuration; one that is leaving stays off."""
    if host.enabled == active or host.leaving is not None:
        return
    await queries.change(
        change.connection, HostRow, host.id, None, enabled=active, enabled_since=change.now, edited=change.now
    )
    old, new = {"enabled": host.enabled}, {"enabled": active}
    await change.log("host.change", host.name, host.id, old, new, site=host.site, host=host.id)

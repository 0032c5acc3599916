"""Where hosts are: their names are looked up, and their addresses found in the tables that servers use, too."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from redirector.errors import SnapshotError
from redirector.locate.geoip import load_geoip
from redirector.locate.networks import load_asns
from redirector.registry.edit.asns import hosts_by_found_asns
from redirector.registry.edit.change import Change, find_host
from redirector.registry.hints import HostHints, Sighting, Tables, hints_for, names_of_urls, own_asns_of
from redirector.registry.permits import OPERATOR, Act
from redirector.registry.publish.names import ALL_S, Resolve, resolve_by_system
from redirector.settings.joining import Join
from redirector.store.opening import Store
from redirector.store.registry import queries
from redirector.store.registry.rows import CarriedRow, HostRow, UrlRow
from redirector.web.pages.shown import Shelf

_log = logging.getLogger("redirector.web")

LOOK_UP_S = 3.0
"""A page waits no longer for name servers."""

MAX_NAMES = 40
"""Names that are looked up for one page; more hosts than that no request for approval has."""

AT_ONCE = 10

KEPT_S, FAILED_S, MAX_KEPT = 600.0, 60.0, 10_000
"""How long addresses, and that there are none, are kept at hand; and of how many names."""


@dataclass(slots=True)
class Whereabouts:
    """The tables, loaded again when their files change, and the way to look up names.

    geoip, asn  paths; None: the operator named no such file
    """

    geoip: str | None = None
    asn: str | None = None
    resolve: Resolve = resolve_by_system
    _tables: Tables = field(default_factory=Tables)
    _seen: tuple[object, ...] = ()
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _kept: dict[str, tuple[float, list[str]]] = field(default_factory=dict)

    async def look(self, names: Iterable[str]) -> list[Sighting]:
        """Where the addresses of *names* are. Names that have none, or not in time, are left out.

        cost: at most `LOOK_UP_S`, and 2 s more when the tables' files are new
        """
        if self.geoip is None and self.asn is None:
            return []
        tables = await self._fresh_tables()
        turns = asyncio.Semaphore(AT_ONCE)
        wanted = list(dict.fromkeys(names))[:MAX_NAMES]
        async with asyncio.TaskGroup() as group:
            looks = {name: group.create_task(self._find(name, turns)) for name in wanted}
        return [tables.find(name, address) for name, look in looks.items() for address in look.result()]

    async def _find(self, name: str, turns: asyncio.Semaphore) -> list[str]:
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(name)
        if kept is not None and kept[0] > now:
            return kept[1]
        try:
            async with turns, asyncio.timeout(LOOK_UP_S):
                found = list(await self.resolve(name))
        except (OSError, TimeoutError, UnicodeError):
            found = []
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[name] = now + (KEPT_S if found else FAILED_S), found
        return found

    async def own_asns(self, names: Iterable[str]) -> frozenset[int] | None:
        """AS numbers that the addresses of all *names* are in; None without a table."""
        return None if self.asn is None else own_asns_of(await self.look(names))

    async def _fresh_tables(self) -> Tables:
        seen = (_stamp(self.geoip), _stamp(self.asn))
        async with self._lock:
            if seen != self._seen:
                self._tables, self._seen = await asyncio.to_thread(self._load), seen
        return self._tables

    def _load(self) -> Tables:
        """A file that cannot be read is said, and done without."""
        old = self._tables
        try:
            geo = load_geoip(self.geoip) if self.geoip is not None else None
        except SnapshotError as error:
            _log.error("%s", error)
            geo = old.geo
        try:
            asns = load_asns(self.asn) if self.asn is not None else None
        except SnapshotError as error:
            _log.error("%s", error)
            asns = old.asns
        return Tables(geo, asns)


def _stamp(path: str | None) -> tuple[int, int] | None:
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)


async def names_of(change: Change, host: int) -> list[str]:
    """Names of the machines behind a host's public URLs."""
    carried = {row.id for row in await queries.list_rows(change.connection, CarriedRow, host=host)}
    rows = await queries.list_rows(change.connection, UrlRow, carried=carried, audience="public")
    return names_of_urls(row.url for row in rows)


async def look_again(whereabouts: Whereabouts, store: Store) -> dict[int, frozenset[int]]:
    """Number of a host -> AS numbers that its addresses are in now, for hosts whose AS counts by that alone.

    Hosts of which a name has no address now are left out, as are those that were not reached in time: nothing is known
    of them.
    """
    if whereabouts.asn is None:
        return {}
    async with store.read() as connection:
        change = Change(connection, OPERATOR, 0)
        names = {host.id: await names_of(change, host.id) or [host.name] for host in await hosts_by_found_asns(change)}
    found = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(ALL_S):
            for host, wanted in names.items():
                sightings = await whereabouts.look(wanted)
                if {each.name for each in sightings} == set(wanted):
                    found[host] = own_asns_of(sightings)
    return found


async def asked_names(change: Change, host: int | None, body: object) -> list[str]:
    """Names whose addresses say which AS a host is in, with those that the *body* of a change brings.

    host    None: a new one, of which nothing but its name is known
    raises  Missing, Forbidden for whoever may not change it
    """
    told = body if isinstance(body, Mapping) else {}
    if change.actor.admin:
        return []
    if host is None:
        return names_of_urls([f"http://{told.get('name')}/"])
    row, _ = await find_host(change, Act.EDIT, host)
    return [*await names_of(change, row.id), *names_of_urls([str(told.get("url", ""))])] or [row.name]


@dataclass(frozen=True, slots=True)
class Hinting:
    """Makes hints: where hosts are, by *whereabouts*, and who else is there, by *shelf*."""

    whereabouts: Whereabouts
    shelf: Shelf
    join: Join

    async def prepare(self, change: Change, hosts: Iterable[HostRow]) -> list[tuple[HostRow, list[str]]]:
        """The hosts, and the names that are to be looked up once no transaction is open any more."""
        return [(row, await names_of(change, row.id) or [row.name]) for row in hosts]

    async def look(self, prepared: Iterable[tuple[HostRow, list[str]]]) -> dict[int, list[Sighting]]:
        """Number of the host -> where its addresses are."""
        prepared = list(prepared)
        found = await self.whereabouts.look(name for _, names in prepared for name in names)
        return {row.id: [each for each in found if each.name in names] for row, names in prepared}

    async def hints(
        self, change: Change, hosts: Iterable[HostRow], seen: Mapping[int, Sequence[Sighting]]
    ) -> list[HostHints]:
        """What is to be said about *hosts*."""
        shown = await self.shelf.read(change.connection, change.now)
        return [hints_for(row, seen.get(row.id, ()), self.join, shown.listed.mirrors) for row in hosts]

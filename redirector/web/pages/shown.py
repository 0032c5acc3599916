"""What the public pages show: one value a moment, read from the store, kept until something changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.errors import StoreError
from redirector.health.published import Judged
from redirector.health.report import score_of
from redirector.health.rules import FUTURE_S
from redirector.health.spread import Push
from redirector.locate.places import CityName, find_cities, place_of_country
from redirector.model import Place
from redirector.registry.public import PublicList, PublicMirror, public_list, version_of
from redirector.registry.publish.embargo import NOTHING_WAITS, Embargo, shown_redirects, shown_repositories
from redirector.registry.publish.holdings import Holdings, read_holdings
from redirector.registry.publish.selection import Publication, embargo_of
from redirector.registry.publish.selection import select as select_published
from redirector.registry.rules import name_key
from redirector.store import contents as scans
from redirector.store import evidence, statistics
from redirector.store.evidence import DAY_S, HistoryRow, PushRow, VisitRow, VisitSums
from redirector.store.opening import Store
from redirector.store.registry import queries
from redirector.store.statistics import Margin, PropagationRow, SystemRow, TrafficRow
from redirector.web.pages.pushes import last_pushes
from redirector.web.pages.versions import version_key

HISTORY_DAYS = 90
STATISTICS_DAYS = 90
PROPAGATION_DAYS = 14
REPOSITORIES_SHOWN = 6
"""Repositories whose propagation is drawn on one page."""

SYSTEM_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Past:
    """What is kept of one mirror, oldest first."""

    history: Sequence[HistoryRow] = ()
    visits: Sequence[VisitRow] = ()
    traffic: Sequence[TrafficRow] = ()


@dataclass(frozen=True, slots=True)
class CategoryShown:
    """What hosts can sign up for, and how much that is.

    sizes  (release, bytes), newest first; "" for what is of none
    """

    name: str
    product: str
    top: str
    directories: int
    sizes: Sequence[tuple[str, int]] = ()

    @property
    def size_bytes(self) -> int:
        """All of it; 0 when nobody scanned it."""
        return sum(size for _, size in self.sizes)


@dataclass(frozen=True, slots=True)
class Shown:
    """What all public pages are made of.

    now     epoch seconds
    scores  host -> archlinux.org's score of the last day; the lower, the better
    repositories, redirects  numbers of those that anybody may know of
    embargo      what is in nothing of this
    spreading    repositories of which it is known how far they had spread
    propagation  of those that are shown first
    publication, holdings  what it was made of; None without a registry
    places  host -> where it is drawn: its own coordinates, else its city's, else its country's largest city's
    """

    now: int
    listed: PublicList
    scores: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    margins: Sequence[Margin] = ()
    systems: Sequence[SystemRow] = ()
    spreading: Sequence[str] = ()
    propagation: Sequence[PropagationRow] = ()
    pushes: Sequence[Push] = ()
    categories: Sequence[CategoryShown] = ()
    repositories: frozenset[int] = frozenset()
    redirects: frozenset[int] = frozenset()
    embargo: Embargo = NOTHING_WAITS
    publication: Publication | None = None
    holdings: Holdings | None = None

    def find(self, host: str) -> PublicMirror | None:
        """The mirror of that name, in any case; None when there is none."""
        wanted = name_key(host)
        return next((mirror for mirror in self.listed.mirrors if name_key(mirror.host) == wanted), None)


async def read_shown(connection: AsyncConnection, now: int, kept: Kept | None = None) -> Shown:
    """Everything but the past of single mirrors. cost: 0.13 s for 700 hosts, once they were judged

    kept  what crawls and statistics keep, where it was read before
    """
    kept = kept or await read_kept(connection, now)
    holdings = await read_holdings(connection, now, judged=kept.judged)
    counts = {name_key(name): each.sizes for name, each in (await scans.list_counts(connection)).items()}
    embargo = embargo_of(holdings, now)
    shown = await asyncio.to_thread(_shown_of, holdings, counts, embargo, now)
    return replace(shown, **kept.of(shown.listed.mirrors, embargo))


def _shown_of(holdings: Holdings, counts: Mapping[str, Mapping[str, int]], embargo: Embargo, now: int) -> Shown:
    publication = select_published(holdings, now)
    releases = {row.version_name for row in holdings.releases}
    redirects = shown_redirects(embargo, holdings.categories.values(), holdings.repositories, holdings.redirects)
    listed = public_list(holdings, publication, now)
    return Shown(
        now=now,
        listed=listed,
        publication=publication,
        holdings=holdings,
        places=places_of(listed.mirrors),
        categories=[
            CategoryShown(
                row.name,
                row.product,
                row.top,
                len(holdings.contents[number].names),
                sizes_of(
                    {
                        path: size
                        for path, size in counts.get(row.name_key, {}).items()
                        if not embargo.hides(path, row.product)
                    },
                    releases,
                ),
            )
            for number, row in sorted(holdings.categories.items(), key=lambda pair: pair[1].name_key)
            if row.joinable and row.for_people and not embargo.hides_category(row)
        ],
        repositories=shown_repositories(embargo, holdings.categories.values(), holdings.repositories),
        redirects=frozenset(row.id for row in redirects),
        embargo=embargo,
    )


def sizes_of(sizes: Mapping[str, int], releases: frozenset[str] | set[str]) -> list[tuple[str, int]]:
    """(release, bytes), newest first; what belongs to none last, as ""."""
    found: dict[str, int] = {}
    for path, size in sizes.items():
        version = version_of(path, releases)
        found[version] = found.get(version, 0) + size
    names = sorted((name for name in found if name), key=version_key, reverse=True)
    return [(name, found[name]) for name in (*names, "") if name in found]


@dataclass(frozen=True, slots=True)
class Kept:
    """What crawls and statistics keep of all mirrors; no edit changes it.

    propagation  of the repositories that tell most, those first, and of some more: not all may be told
    judged       what it says of each host, worked out as somebody asks
    """

    visits: Sequence[VisitSums]
    margins: Sequence[Margin]
    systems: Sequence[SystemRow]
    spreading: Sequence[str]
    propagation: Sequence[PropagationRow]
    pushes: Sequence[PushRow]
    judged: Judged = field(default_factory=dict)

    def of(self, mirrors: Sequence[PublicMirror], embargo: Embargo = NOTHING_WAITS) -> dict[str, Any]:
        """What of it is about public *mirrors* and not under *embargo*, as fields of `Shown`."""
        names = frozenset(mirror.host for mirror in mirrors)
        propagation = told_propagation(embargo, self.propagation)
        first = set(list(dict.fromkeys(row.repository for row in propagation))[:REPOSITORIES_SHOWN])
        return {
            "scores": {
                row.host: score_of(row.delay_s, row.duration_s, row.deviation_s, row.good / row.counted)
                for row in self.visits
                if row.host in names and row.delay_s is not None
            },
            "margins": told_margins(embargo, self.margins),
            "systems": told_systems(embargo, self.systems),
            "spreading": [name for name in self.spreading if may_tell(embargo, name)],
            "propagation": [row for row in propagation if row.repository in first],
            "pushes": last_pushes([row for row in self.pushes if not embargo.names(row.category)], mirrors),
        }


async def read_kept(connection: AsyncConnection, now: int) -> Kept:
    """What crawls and statistics keep. cost: 0.3 s for 700 hosts, two thirds of it the database's"""
    day = datetime.fromtimestamp(now, UTC).date()
    since = now - PROPAGATION_DAYS * DAY_S
    spreading = await statistics.list_spreading(connection, since)
    return Kept(
        visits=await evidence.sum_visits(connection, now - DAY_S, now + FUTURE_S),
        margins=await statistics.list_margins(connection, str(day - timedelta(days=STATISTICS_DAYS))),
        systems=await statistics.list_countme(connection, (now - 345_600) // 604_800 - SYSTEM_WEEKS),
        spreading=spreading,
        propagation=await _most_telling(connection, now, spreading),
        pushes=await evidence.find_pushes(connection, since, now + FUTURE_S),
    )


async def _most_telling(connection: AsyncConnection, now: int, names: Sequence[str]) -> list[PropagationRow]:
    """Of the repositories that most mirrors carried at last, those first."""
    last = await statistics.find_last_run(connection, now + FUTURE_S)
    known = {
        row.repository: row.same_day + row.one_day + row.two_day + row.older
        for row in await statistics.list_propagation(connection, last, last)
    }
    wanted = sorted(names, key=lambda name: -known.get(name, 0))[: 2 * REPOSITORIES_SHOWN]
    rows = await read_spread(connection, now, wanted)
    return sorted(rows, key=lambda row: wanted.index(row.repository))


async def read_spread(connection: AsyncConnection, now: int, names: Sequence[str]) -> Sequence[PropagationRow]:
    """How far repositories of these *names* had spread, oldest first."""
    return await statistics.list_propagation(connection, now - PROPAGATION_DAYS * DAY_S, repositories=names)


# -- What was counted, less what is not public ---------------------------------------------------------------------


def told_margins(embargo: Embargo, rows: Sequence[Margin]) -> Sequence[Margin]:
    """Requests, without those for repositories under embargo."""
    names = {row.name for row in rows if row.category == "repositories"}
    hidden = {name for name in names if embargo.hides_repository(name)}
    return [row for row in rows if row.category != "repositories" or row.name not in hidden]


def told_systems(embargo: Embargo, rows: Sequence[SystemRow]) -> Sequence[SystemRow]:
    """Systems, without those of releases under embargo."""
    return [
        row
        for row in rows
        if not (embargo.hides_repository(row.repo_tag) or embargo.hides_system(row.os_name, row.os_version))
    ]


def told_propagation(embargo: Embargo, rows: Sequence[PropagationRow]) -> Sequence[PropagationRow]:
    """How repositories spread, without those under embargo."""
    told = {name for name in {row.repository for row in rows} if may_tell(embargo, name)}
    return [row for row in rows if row.repository in told]


def may_tell(embargo: Embargo, repository: str) -> bool:
    """Whether a repository's name, or its directory, may be told to strangers."""
    return not (embargo.hides_repository(repository) or embargo.hides(repository))


async def read_past(connection: AsyncConnection, host: str, now: int, embargo: Embargo = NOTHING_WAITS) -> Past:
    """What is kept of one mirror, without words about what is under *embargo*."""
    since = now - HISTORY_DAYS * DAY_S
    day = str(datetime.fromtimestamp(since, UTC).date())
    return Past(
        history=[
            replace(row, reason=embargo.clear(row.reason)) for row in await evidence.find_history(connection, 0, host)
        ],
        visits=await evidence.find_visits(connection, since, host, until=now + FUTURE_S),
        traffic=await statistics.list_traffic(connection, day, host=host),
    )


async def read_pasts(connection: AsyncConnection, shown: Shown) -> dict[str, Past]:
    """What is kept of each mirror, by name."""
    return {
        mirror.host: await read_past(connection, mirror.host, shown.now, shown.embargo)
        for mirror in shown.listed.mirrors
    }


def places_of(mirrors: Sequence[PublicMirror]) -> dict[str, Place]:
    """Where each mirror is drawn; those of an unknown country are nowhere."""
    wanted = {
        mirror.host: CityName(mirror.city, mirror.place, mirror.country)
        for mirror in mirrors
        if mirror.latitude is None and mirror.country and (mirror.city or mirror.place)
    }
    cities = find_cities(frozenset(wanted.values()))
    found = {}
    for mirror in mirrors:
        place = (
            Place(mirror.latitude, mirror.longitude)
            if mirror.latitude is not None and mirror.longitude is not None
            else cities.get(wanted[mirror.host])
            if mirror.host in wanted
            else None
        )
        place = place or place_of_country(mirror.country)
        if place is not None:
            found[mirror.host] = place
    return found


KEPT_BYTES = 64_000_000
"""Of pages for visitors, each kept until something changes: those of 700 mirrors, and a hundred and more lists."""

REFRESHED_S = 20
"""How often a server looks what visits found, so that no visitor waits for it."""


_Mark = tuple[tuple[int, ...], int, int]

Key = tuple[str, Hashable]
"""Path of a page, and all that it depends on beside what is shown."""


@dataclass(slots=True)
class Shelf:
    """The newest `Shown`, made again when the registry changed, a mirror was visited, or a minute has passed.

    patience_s  for so long what only visits and the clock changed may wait for `refresh`; an edit never waits
    """

    patience_s: int = 0
    _made: tuple[_Mark, int, Shown] | None = None
    _kept: tuple[tuple[int, int], Kept] | None = None
    _refreshed: int | None = None
    _looked: int | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _pages: OrderedDict[Key, bytes] = field(default_factory=OrderedDict)
    _kept_bytes: int = 0
    _turns: WeakValueDictionary[Key, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, connection: AsyncConnection, now: int) -> Shown:
        """What is to be shown at *now*. cost: two look-ups, while nothing has changed"""
        mark = await _mark(connection, now)
        if self._made is not None and (self._made[0] == mark or self._may_wait(mark, now)):
            return self._made[2]
        return await self._make(connection, mark, now)

    async def read_for_visitors(self, store: Store, now: int) -> Shown:
        """What visitors are shown at *now*: each edit within a second, what visits found since `refresh` looked last.

        Where nobody refreshes it, it is what `read` gives; what was there a minute ago while the store is away.

        cost    three look-ups a second, however many ask
        raises  StoreError
        """
        refreshed = self._refreshed is not None and 0 <= now - self._refreshed < 3 * REFRESHED_S
        at_hand = self._made[2] if self._made is not None and refreshed else None
        if at_hand is not None and self._looked == now:
            return at_hand
        self._looked = now  # before the look: those who come meanwhile need not wait for it
        try:
            async with store.read() as connection:
                return await self.read(connection, now)
        except StoreError:
            if at_hand is None:
                raise
            return at_hand

    async def refresh(self, connection: AsyncConnection, now: int) -> None:
        """Make it anew where anything changed."""
        mark = await _mark(connection, now)
        if self._made is None or self._made[0] != mark:
            await self._make(connection, mark, now)
        self._refreshed = now

    async def _make(self, connection: AsyncConnection, mark: _Mark, now: int) -> Shown:
        async with self._lock:
            if self._made is None or self._made[0] != mark:
                if self._kept is None or self._kept[0] != mark[1:]:
                    self._kept = mark[1:], await read_kept(connection, now)
                self._made = mark, now, await read_shown(connection, now, self._kept[1])
                self._pages.clear()
                self._kept_bytes = 0
            return self._made[2]

    def _may_wait(self, mark: _Mark, now: int) -> bool:
        """Nobody edited anything, and what there is is not old."""
        assert self._made is not None
        return self._made[0][0] == mark[0] and 0 <= now - self._made[1] < self.patience_s

    # -- Pages as bytes ------------------------------------------------------------------------------------------------

    def page(self, key: Key, shown: Shown) -> bytes | None:
        """The page that a visitor was given of *shown*; None: nobody asked for it yet."""
        if self._made is None or self._made[2] is not shown or key not in self._pages:
            return None
        self._pages.move_to_end(key)
        return self._pages[key]

    def keep(self, key: Key, shown: Shown, page: bytes) -> None:
        """Keep a page of *shown* for the next visitor; those that nobody asked for go first."""
        if self._made is None or self._made[2] is not shown:
            return
        self._kept_bytes += len(page) - len(self._pages.pop(key, b""))
        self._pages[key] = page
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._pages.popitem(last=False)[1])

    def turn(self, key: Key) -> asyncio.Lock:
        """Held by who makes a page: others who want it at that moment wait, and find it."""
        return self._turns.setdefault(key, asyncio.Lock())


async def _mark(connection: AsyncConnection, now: int) -> _Mark:
    """What differs when something could look otherwise: the last edits first."""
    return tuple(await queries.mark_of_events(connection)), now // 60, await evidence.last_visit(connection)

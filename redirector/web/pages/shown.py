"""What the public pages show: one value a moment, read from the store, kept until something changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean, pstdev
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.report import score_of
from redirector.health.spread import Push
from redirector.locate.places import CityName, find_cities, place_of_country
from redirector.model import Place
from redirector.registry.public import PublicList, PublicMirror, public_list
from redirector.registry.publish.holdings import read_holdings
from redirector.registry.publish.selection import select as select_published
from redirector.registry.publish.selection import shown_repositories
from redirector.registry.rules import name_key
from redirector.store import evidence, statistics
from redirector.store.evidence import DAY_S, HistoryRow, VisitRow
from redirector.store.registry import queries
from redirector.store.statistics import Margin, PropagationRow, SystemRow, TrafficRow
from redirector.web.pages.pushes import last_pushes

HISTORY_DAYS = 90
STATISTICS_DAYS = 90
PROPAGATION_DAYS = 14
SYSTEM_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Past:
    """What is kept of one mirror, oldest first."""

    history: Sequence[HistoryRow] = ()
    visits: Sequence[VisitRow] = ()
    traffic: Sequence[TrafficRow] = ()


@dataclass(frozen=True, slots=True)
class CategoryShown:
    """What hosts can sign up for, and how many directories it has."""

    name: str
    product: str
    top: str
    directories: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What all public pages are made of.

    now     epoch seconds
    scores  host -> archlinux.org's score of the last day; the lower, the better
    repositories  numbers of those that anybody may know of
    places  host -> where it is drawn: its own coordinates, else its city's, else its country's largest city's
    """

    now: int
    listed: PublicList
    scores: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    margins: Sequence[Margin] = ()
    systems: Sequence[SystemRow] = ()
    propagation: Sequence[PropagationRow] = ()
    pushes: Sequence[Push] = ()
    categories: Sequence[CategoryShown] = ()
    repositories: frozenset[int] = frozenset()

    def find(self, host: str) -> PublicMirror | None:
        """The mirror of that name, in any case; None when there is none."""
        wanted = name_key(host)
        return next((mirror for mirror in self.listed.mirrors if name_key(mirror.host) == wanted), None)


async def read_shown(connection: AsyncConnection, now: int) -> Shown:
    """Everything but the past of single mirrors. cost: under 1 s for 700 hosts"""
    holdings = await read_holdings(connection, now)
    listed = public_list(holdings, select_published(holdings, now), now)
    return Shown(
        now=now,
        listed=listed,
        places=places_of(listed.mirrors),
        **await read_kept(connection, listed.mirrors, now),
        categories=[
            CategoryShown(row.name, row.product, row.top, len(holdings.contents[number].names))
            for number, row in sorted(holdings.categories.items(), key=lambda pair: pair[1].name_key)
            if row.joinable and row.for_people
        ],
        repositories=shown_repositories(holdings, now),
    )


async def read_kept(connection: AsyncConnection, mirrors: Sequence[PublicMirror], now: int) -> dict[str, Any]:
    """What crawls and statistics keep, as fields of `Shown`."""
    day = datetime.fromtimestamp(now, UTC).date()
    names = frozenset(mirror.host for mirror in mirrors)
    return {
        "scores": _scores([row for row in await evidence.find_visits(connection, now - DAY_S) if row.host in names]),
        "margins": await statistics.list_margins(connection, str(day - timedelta(days=STATISTICS_DAYS))),
        "systems": await statistics.list_countme(connection, (now - 345_600) // 604_800 - SYSTEM_WEEKS),
        "propagation": await statistics.list_propagation(connection, now - PROPAGATION_DAYS * DAY_S),
        "pushes": last_pushes(await evidence.find_pushes(connection, now - PROPAGATION_DAYS * DAY_S), mirrors),
    }


async def read_past(connection: AsyncConnection, host: str, now: int) -> Past:
    """What is kept of one mirror."""
    since = now - HISTORY_DAYS * DAY_S
    day = str(datetime.fromtimestamp(since, UTC).date())
    return Past(
        history=await evidence.find_history(connection, 0, host),
        visits=await evidence.find_visits(connection, since, host),
        traffic=await statistics.list_traffic(connection, day, host=host),
    )


async def read_pasts(connection: AsyncConnection, shown: Shown) -> dict[str, Past]:
    """What is kept of each mirror, by name."""
    return {mirror.host: await read_past(connection, mirror.host, shown.now) for mirror in shown.listed.mirrors}


def _scores(visits: Sequence[VisitRow]) -> dict[str, float]:
    looks: dict[str, list[VisitRow]] = {}
    for row in visits:
        if row.counted and row.event != "quiet":
            looks.setdefault(row.host, []).append(row)
    found = {}
    for host, rows in looks.items():
        good = [row for row in rows if row.event == "good"]
        delays = [row.delay_s for row in good if row.delay_s is not None]
        durations = [row.duration_s for row in good if row.duration_s is not None]
        if delays:
            mean, deviation = (fmean(durations), pstdev(durations)) if durations else (0.0, 0.0)
            found[host] = score_of(fmean(delays), mean, deviation, len(good) / len(rows))
    return found


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


@dataclass(slots=True)
class Shelf:
    """The newest `Shown`, made again when the registry changed, a mirror was visited, or a minute has passed."""

    _made: tuple[tuple[int, ...], Shown] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, connection: AsyncConnection, now: int) -> Shown:
        """What is to be shown at *now*. cost: two look-ups, while nothing has changed"""
        mark = await _mark(connection, now)
        if self._made is not None and self._made[0] == mark:
            return self._made[1]
        async with self._lock:
            if self._made is None or self._made[0] != mark:
                self._made = mark, await read_shown(connection, now)
            return self._made[1]


async def _mark(connection: AsyncConnection, now: int) -> tuple[int, ...]:
    """What differs when something could look otherwise."""
    return now // 60, *await queries.mark_of_events(connection), await evidence.last_visit(connection)

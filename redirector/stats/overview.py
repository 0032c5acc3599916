"""The day, the week, what moved, and which systems: what people look at first; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from redirector.stats.counts import week_days
from redirector.store.statistics import CATEGORIES, Margin, SystemRow

TOP = 10
WEEK_DAYS = 7

MIN_MOVED = 100
"""Requests a week, then or now: below, a factor of ten is chance."""


@dataclass(frozen=True, slots=True)
class Part:
    """A country, an architecture or a repository on one day."""

    name: str
    requests: int
    percent: float


@dataclass(frozen=True, slots=True)
class Move:
    """A repository whose share changed from one week to the next; shares in percent."""

    name: str
    before: float
    after: float

    @property
    def points(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Release:
    """Systems of one release that asked for its base repository in one week.

    repository  the one that is counted: a system asks for several, and is one system
    ages        of those that are there for up to a week, a month, half a year, longer
    """

    name: str
    version: str
    repository: str
    ages: tuple[int, int, int, int]

    @property
    def systems(self) -> int:
        return sum(self.ages)


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown.

    day    the newest day with requests; "" when there is none
    parts  category -> the largest of that day
    week   requests of the seven days that end with it, oldest first
    moves  the largest changes from the seven days before
    systems_week   Monday and Sunday of the newest whole week; None when there is none
    """

    day: str
    parts: Mapping[str, Sequence[Part]]
    week: Sequence[tuple[str, int]]
    moves: Sequence[Move]
    systems_week: tuple[str, str] | None
    releases: Sequence[Release]


def overview_of(margins: Sequence[Margin], systems: Sequence[SystemRow], day: str | None = None) -> Overview:
    """What *margins* and *systems* come to.

    margins  of at least the fourteen days that end with *day*
    day      None: the newest
    """
    day = day or max((margin.day for margin in margins), default="")
    parts = {
        category: tuple(
            Part(margin.name, margin.requests, margin.percent)
            for margin in margins
            if (margin.day, margin.category) == (day, category)
        )[:TOP]
        for category in CATEGORIES
    }
    newest = max((row.weeknum for row in systems), default=None)
    return Overview(
        day,
        parts,
        _requests_of(margins, _days_until(day)),
        moves_of(margins, day)[:TOP],
        None if newest is None else (str(week_days(newest)[0]), str(week_days(newest)[1])),
        releases_of([row for row in systems if row.weeknum == newest])[:TOP],
    )


def moves_of(margins: Iterable[Margin], day: str) -> list[Move]:
    """Repositories by how far their share of the week that ends with *day* is from that of the week before."""
    if not day:
        return []
    after_days = set(_days_until(day))
    before_days = set(_days_until(str(date.fromisoformat(day) - timedelta(days=WEEK_DAYS))))
    before, after = Counter[str](), Counter[str]()
    for margin in margins:
        if margin.category == "repositories":
            if margin.day in after_days:
                after[margin.name] += margin.requests
            elif margin.day in before_days:
                before[margin.name] += margin.requests
    if not before or not after:
        return []
    moves = [
        Move(name, 100 * before[name] / before.total(), 100 * after[name] / after.total())
        for name in before | after
        if max(before[name], after[name]) >= MIN_MOVED
    ]
    return sorted((move for move in moves if move.points), key=lambda move: (-abs(move.points), move.name))


def releases_of(systems: Iterable[SystemRow]) -> list[Release]:
    """Systems of one week by release, most first: those that asked for the release's base repository.

    The base repository is the one that most systems of the release said `countme` to.
    """
    hits: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    ages: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in systems:
        hits[row.os_name, row.os_version][row.repo_tag] += row.hits
        ages[row.os_name, row.os_version, row.repo_tag][row.sys_age - 1] += row.hits
    releases = []
    for (name, version), repositories in hits.items():
        repository = min(repositories, key=lambda each: (-repositories[each], each))
        first, month, half, later = ages[name, version, repository]
        releases.append(Release(name, version, repository, (first, month, half, later)))
    return sorted(releases, key=lambda release: (-release.systems, release.name, release.version))


def _days_until(day: str) -> list[str]:
    """The seven days that end with *day*."""
    if not day:
        return []
    last = date.fromisoformat(day)
    return [str(last - timedelta(days=back)) for back in range(WEEK_DAYS - 1, -1, -1)]


def _requests_of(margins: Iterable[Margin], days: Sequence[str]) -> tuple[tuple[str, int], ...]:
    requests = dict.fromkeys(days, 0)
    for margin in margins:
        if margin.category == "archs" and margin.day in requests:
            requests[margin.day] += margin.requests
    return tuple(requests.items())

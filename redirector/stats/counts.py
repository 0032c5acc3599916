"""What was counted: requests by day, country, repository and architecture; systems by week; pure."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from redirector.stats.asked import UNKNOWN

DAY_S = 86_400
WEEK_S = 7 * DAY_S
FIRST_WEEK_S = 345_600
"""The first Monday after 1970 began: weeks are counted from it."""

LATE_S = 600
"""How long after its week's end a line may still come: servers write a line when its answer has been sent."""

MAX_ROWS = 500_000
"""Distinct rows of one kind that a reading keeps; what is more goes into rows without names."""


YEARS = range(1970, 2100)
"""Days of other years are what a broken clock says: one such line would be the newest for ever."""

FIRST_DAY, LAST_DAY = f"{YEARS.start}-01-01", f"{YEARS.stop - 1}-12-31"
"""Of them."""


class Access(NamedTuple):
    """A row of requests. *day* is `2026-11-28` in UTC; the others are `--` where unknown."""

    day: str
    country: str
    repository: str
    arch: str


class Countme(NamedTuple):
    """A row of systems: those that said `countme` in one week. Texts are empty where unknown."""

    weeknum: int
    os_name: str
    os_version: str
    os_variant: str
    os_arch: str
    sys_age: int
    repo_tag: str
    repo_arch: str


@dataclass(slots=True)
class Counts:
    """What some lines add up to; no address is in it.

    lines      that were read
    unread     lines of no known format
    wrong_age  lines whose `countme` is none of 1 to 4
    newest     epoch seconds, of the minute of the newest line seen; 0: none
    """

    access: Counter[Access] = field(default_factory=Counter)
    countme: Counter[Countme] = field(default_factory=Counter)
    lines: int = 0
    unread: int = 0
    wrong_age: int = 0
    newest: int = 0

    def add(self, other: Counts) -> None:
        """Count what *other* counted, too."""
        self.access.update(other.access)
        self.countme.update(other.countme)
        self.lines += other.lines
        self.unread += other.unread
        self.wrong_age += other.wrong_age
        self.newest = max(self.newest, other.newest)

    def bounded(self) -> Counts:
        """The same with at most about `MAX_ROWS` rows of a kind: the rarest lose their names."""
        if len(self.access) > MAX_ROWS:
            for row, hits in self.access.most_common()[MAX_ROWS // 2 :]:
                del self.access[row]
                self.access[Access(row.day, row.country, UNKNOWN, UNKNOWN)] += hits
        if len(self.countme) > MAX_ROWS:
            for system, hits in self.countme.most_common()[MAX_ROWS // 2 :]:
                del self.countme[system]
                self.countme[Countme(system.weeknum, "", "", "", "", system.sys_age, "", "")] += hits
        return self

    def to_bytes(self) -> bytes:
        """All of it, to be kept; see `counts_from_bytes`."""
        rows = {
            "access": [[*row, hits] for row, hits in self.access.items()],
            "countme": [[*row, hits] for row, hits in self.countme.items()],
            "numbers": [self.lines, self.unread, self.wrong_age, self.newest],
        }
        return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)


def counts_from_bytes(kept: bytes) -> Counts:
    """What `Counts.to_bytes` made."""
    rows = json.loads(zlib.decompress(kept))
    lines, unread, wrong_age, newest = rows["numbers"]
    return Counts(
        Counter({Access(*row[:-1]): row[-1] for row in rows["access"]}),
        Counter({Countme(*row[:-1]): row[-1] for row in rows["countme"]}),
        lines,
        unread,
        wrong_age,
        newest,
    )


def week_of(time_s: int) -> int:
    """The week that holds *time_s*; weeks begin on Monday, 00:00 UTC."""
    return (time_s - FIRST_WEEK_S) // WEEK_S


def day_of(time_s: int) -> str:
    """The day in UTC that holds *time_s*, as `2026-11-28`."""
    return (date(1970, 1, 1) + timedelta(days=time_s // DAY_S)).isoformat()


def parse_day(text: str) -> str | None:
    """*text* as a day, `2026-11-28`; None when it is none that anything can have been counted on."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.isoformat() if day.year in YEARS else None


def begin_of_day(day: str) -> int:
    """When *day* begins, epoch seconds."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_S


def week_of_day(day: str) -> int:
    """The week that holds *day*."""
    return (date.fromisoformat(day) - date(1970, 1, 5)).days // 7


def is_past(weeknum: int, newest: int) -> bool:
    """Whether, after a line of *newest*, no line of *weeknum* is still to come."""
    return newest >= FIRST_WEEK_S + (weeknum + 1) * WEEK_S + LATE_S


def first_open_week(newest: int) -> int:
    """The first week that is not past after a line of *newest*."""
    return week_of(newest - LATE_S)


def week_days(weeknum: int) -> tuple[date, date]:
    """Monday and Sunday of *weeknum*."""
    monday = date(1970, 1, 5) + timedelta(weeks=weeknum)
    return monday, monday + timedelta(days=6)

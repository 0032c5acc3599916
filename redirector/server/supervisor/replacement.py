"""Whether a snapshot that loaded well may take the place of the one that serves."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from redirector.counted import counted
from redirector.model import Problem, Severity
from redirector.server.between.messages import Extent, LoadReport
from redirector.snapshot.changes import Changes

SHRINK = "shrink"
OLDER = "older"
ALLOWANCES = (SHRINK, OLDER)
"""What `?allow=` may name."""

_PARTS = {
    "hosts": "hosts",
    "urls": "URLs",
    "directories": "directories",
    "repositories": "repositories",
    "details": "file details",
    "netblocks": "netblocks",
    "asns": "AS lines",
    "geoip_nodes": "MMDB nodes",
}
"""Counts that must not fall below half, and how people call them."""


SHOWN_BROKEN = 10
"""How many broken files a log line names."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reload ended.

    began     epoch seconds
    problems  those of the snapshot that serves now which are new, or why it was refused
    changes   since the snapshot before; None: it was refused
    gone      how many problems of the one before there are no more
    same      how many problems it shares with the one before
    broken    input files in place of which what was read of them before is used
    """

    served: bool
    began: float
    duration_s: float
    problems: tuple[Problem, ...]
    changes: Changes | None = None
    gone: int = 0
    same: int = 0
    broken: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for logs and people: what changed, and what is wrong."""
        words = [self.changes.describe() if self.changes is not None else "nothing to compare with"]
        words += [counted(len(self.problems), "new problems")] if self.problems else []
        words += [f"{counted(self.gone, 'problems')} gone"] if self.gone else []
        if self.broken:
            names = ", ".join(sorted(os.path.basename(path) for path in self.broken)[:SHOWN_BROKEN])
            words.append(f"{len(self.broken)} broken, with what was read of them before: {names}")
        return "; ".join(words)

    @property
    def name(self) -> str:
        return "served" if self.served else "refused"


def check_replacement(old: Extent, new: LoadReport, allowed: Collection[str]) -> tuple[Problem, ...]:
    """What speaks against *new* in place of *old*: less than half of something is left, or its data is older."""
    return tuple(_find_reasons(old, new.extent, os.path.basename(new.path.rstrip("/")), allowed))


def check_health(new: LoadReport) -> tuple[Problem, ...]:
    """What speaks against *new* where all that is new is a health file: it is not believed."""
    if new.health is None or (new.health_checked is not None and new.health not in new.broken):
        return ()
    said = tuple(replace(problem, fatal=True) for problem in new.problems if problem.path == new.health)
    return said or (Problem(Severity.ERROR, new.health, "file", "is not believed", fatal=True),)


def _find_reasons(old: Extent, new: Extent, name: str, allowed: Collection[str]) -> Iterator[Problem]:
    if SHRINK not in allowed:
        for count, words in _PARTS.items():
            before, after = old.counts.get(count, 0), new.counts.get(count, 0)
            if after * 2 < before:
                text = f"{after:,} {words} instead of {before:,}: less than half; ?allow=shrink takes it all the same"
                yield Problem(Severity.ERROR, name, count, text, fatal=True)
    if OLDER not in allowed and new.dated and old.dated and new.built < old.built:
        text = f"made at {new.built}, before the data that is served ({old.built}); ?allow=older takes it all the same"
        yield Problem(Severity.ERROR, name, "Time", text, fatal=True)

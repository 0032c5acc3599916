"""How far content has spread, for metrics: who has the last push of each category, and what few mirrors have. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from redirector.health.evidence import readable
from redirector.health.expected import Master
from redirector.health.report import HostHealth
from redirector.health.subjects import Subject

RAREST = 50
"""Repositories that are counted one by one: those that fewest mirrors have."""

SHARES = (50, 90, 100)

WHOLE = "all"
"""How the one category of a tree is called, which has no name of its own."""


@dataclass(frozen=True, slots=True)
class Push:
    """The last push of a category, and how long after it each mirror was seen with it.

    delays_s  sorted
    mirrors   that carry the category and are visited
    """

    category: str
    pushed: int
    delays_s: tuple[int, ...]
    mirrors: int

    @property
    def share(self) -> float:
        """Of the mirrors that have it."""
        return min(1.0, len(self.delays_s) / self.mirrors) if self.mirrors else 0.0

    def reached_s(self, percent: int) -> int | None:
        """How long it took until *percent* of the mirrors had it; None: they have not yet."""
        needed = math.ceil(self.mirrors * percent / 100)
        return self.delays_s[needed - 1] if 0 < needed <= len(self.delays_s) else None


def last_pushes(delays: Mapping[tuple[str, int], Mapping[str, int]], subjects: Iterable[Subject]) -> tuple[Push, ...]:
    """The newest push of each category.

    delays  (category, epoch seconds of a push) -> host -> seconds until it was seen with it
    """
    carrying: dict[str, set[str]] = {}
    for subject in subjects:
        if not subject.unvisited and not subject.private:
            for carried in subject.categories:
                carrying.setdefault(carried.category, set()).add(subject.key)
    newest: dict[str, int] = {}
    for category, pushed in delays:
        newest[category] = max(pushed, newest.get(category, pushed))
    found = []
    for category, pushed in sorted(newest.items()):
        mirrors = carrying.get(category, set())
        seen = sorted(delay for host, delay in delays[category, pushed].items() if host in mirrors)
        found.append(Push(category, pushed, tuple(seen), len(mirrors)))
    return tuple(found)


def count_mirrors(
    entries: Mapping[str, HostHealth], subjects: Iterable[Subject], masters: Mapping[str, Master]
) -> dict[str, int]:
    """Repository -> how many mirrors it is served from: those that are up, carry it, and do not lack it."""
    names = {
        category: sorted(each.name for each in master.directories if each.index and each.judged)
        for category, master in masters.items()
    }
    counts = {readable(f"{masters[category].prefix}{name}"): 0 for category, own in names.items() for name in own}
    for subject in subjects:
        entry = entries.get(subject.key)
        if entry is None or not entry.up:
            continue
        lacking = sorted(entry.lacking)
        for carried in subject.categories:
            prefix = masters[carried.category].prefix if carried.category in masters else ""
            for name in names.get(carried.category, ()):
                full = readable(prefix + name)
                if (carried.only is None or name in carried.only) and not _is_below(full, lacking):
                    counts[full] += 1
    return counts


def _is_below(path: str, folders: Sequence[str]) -> bool:
    """Whether *path* is one of the sorted *folders* or below one."""
    if not folders:
        return False
    while True:
        at = bisect_right(folders, path)
        if at and folders[at - 1] == path:
            return True
        path, slash, _ = path.rpartition("/")
        if not slash:
            return False


def render_spread(counts: Mapping[str, int], pushes: Iterable[Push]) -> bytes:
    """What Prometheus reads, beside what is told of each mirror."""
    lines = []
    if counts:
        lines += [
            f"# HELP redirector_repository_mirrors Mirrors that serve a repository, for the {RAREST} that fewest have.",
            "# TYPE redirector_repository_mirrors gauge",
        ]
        rarest = sorted(counts.items(), key=lambda pair: (pair[1], pair[0]))[:RAREST]
        lines += [f'redirector_repository_mirrors{{repository="{_label(name)}"}} {count}' for name, count in rarest]
    kept = [(_label(each.category or WHOLE), each) for each in pushes]
    if kept:
        lines += [
            "# HELP redirector_push_timestamp_seconds When the last push was made.",
            "# TYPE redirector_push_timestamp_seconds gauge",
            *(f'redirector_push_timestamp_seconds{{category="{name}"}} {each.pushed}' for name, each in kept),
            "# HELP redirector_push_spread_ratio Share of mirrors that were seen with the last push.",
            "# TYPE redirector_push_spread_ratio gauge",
            *(f'redirector_push_spread_ratio{{category="{name}"}} {each.share:.4f}' for name, each in kept),
        ]
        reached = [(name, percent, each.reached_s(percent)) for name, each in kept for percent in SHARES]
        if any(seconds is not None for _, _, seconds in reached):
            lines += [
                "# HELP redirector_push_spread_seconds How long until that percentage of mirrors had the last push.",
                "# TYPE redirector_push_spread_seconds gauge",
            ]
        lines += [
            f'redirector_push_spread_seconds{{category="{name}",percent="{percent}"}} {seconds}'
            for name, percent, seconds in reached
            if seconds is not None
        ]
    return "".join(f"{line}\n" for line in lines).encode()


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

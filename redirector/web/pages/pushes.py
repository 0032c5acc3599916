"""How the last pushes spread among the public mirrors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redirector.health.keeping import unpack_delays
from redirector.health.spread import Push
from redirector.registry.public import PublicMirror
from redirector.store.evidence import PushRow

SHOWN = 20
"""Pushes that are shown, newest first."""


def last_pushes(rows: Iterable[PushRow], mirrors: Sequence[PublicMirror]) -> list[Push]:
    """The newest pushes: how long after each the public mirrors were seen with it."""
    carrying: dict[str, set[str]] = {}
    for mirror in mirrors:
        for each in mirror.categories:
            carrying.setdefault(each.category, set()).add(mirror.host)
    found = []
    for row in sorted(rows, key=lambda each: (-each.pushed, each.category))[:SHOWN]:
        names = carrying.get(row.category) or {mirror.host for mirror in mirrors}
        delays = sorted(delay for host, delay in unpack_delays(row.delays).items() if host in names)
        found.append(Push(row.category, row.pushed, tuple(delays), len(names)))
    return found

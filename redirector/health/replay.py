"""What stored visits would have come to with other numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from redirector.health.hysteresis import Content, Event, Seen, Standing, State, step
from redirector.health.rules import Rules


class Visit(Protocol):
    """A visit as the store keeps it."""

    @property
    def host(self) -> str: ...
    @property
    def vantage(self) -> str: ...
    @property
    def at(self) -> int: ...
    @property
    def event(self) -> str: ...
    @property
    def counted(self) -> bool: ...
    @property
    def content(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def lag_s(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Change:
    """A host that came into another state."""

    host: str
    vantage: str
    at: int
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of one host.

    changes  its states in turn
    out_s    how long it was out, until the last visit
    """

    host: str
    vantage: str
    changes: tuple[Change, ...]
    out_s: int

    @property
    def state(self) -> State:
        return self.changes[-1].state if self.changes else State.UNCHECKED

    @property
    def times_out(self) -> int:
        """How often it went out."""
        was = (State.UNCHECKED, *(change.state for change in self.changes))
        return sum(change.state.out and not before.out for before, change in zip(was, self.changes, strict=False))


def replay(visits: Iterable[Visit], rules: Rules) -> dict[tuple[str, str], Replay]:
    """(host, vantage point) -> what *rules* make of its visits. Void rounds change nothing here either."""
    by_host: dict[tuple[str, str], list[Visit]] = {}
    for visit in visits:
        if visit.counted:
            by_host.setdefault((visit.host, visit.vantage), []).append(visit)
    return {key: _replay_one(key, sorted(mine, key=lambda visit: visit.at), rules) for key, mine in by_host.items()}


def _replay_one(key: tuple[str, str], visits: list[Visit], rules: Rules) -> Replay:
    standing = Standing()
    changes: list[Change] = []
    out_s, before = 0, 0
    for visit in visits:
        if standing.state.out:
            out_s += visit.at - before
        before = visit.at
        seen = Seen(visit.at, Event(visit.event), _content_of(visit, rules), visit.reason, visit.reason)
        after = step(standing, seen, rules)
        if after.state is not standing.state:
            changes.append(Change(*key, visit.at, after.state, after.reason))
        standing = after
    return Replay(*key, tuple(changes), out_s)


def _content_of(visit: Visit, rules: Rules) -> Content:
    """Stale as it was seen then, or by the lag where that is known."""
    content = Content(visit.content)
    if content is Content.NONE or visit.lag_s is None or visit.lag_s == 0:
        return content
    return Content.STALE if visit.lag_s > rules.outdate_s else Content.FRESH

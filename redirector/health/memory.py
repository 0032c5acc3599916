"""What is remembered of a host between two visits, by one vantage point. Values; the store keeps them as they are.

A directory is one byte of a string, its number that of the master's list; only what is not plainly well has a record of
its own. So 700 hosts with 50,000 directories are some megabytes, and a visit is one small write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from redirector.health.evidence import printable_reason
from redirector.health.hysteresis import NONE, Row, Standing
from redirector.health.judge import Content, Finding
from redirector.health.rules import DAY_S, FUTURE_S, Rules

CONTENT = 0x07
"""The bits of `judge.Content`."""

OUT = 0x08
"""Not to be served: it was bad often enough."""

VERIFIED = 0x10
"""Its newest package and its `primary` were there, for the identity that it has."""

EVER = 0x20
"""It was there once."""

PENDING = 0x40
"""The master changed it, and nobody has looked since."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A directory that is not plainly well.

    bad          looks in a row that found it stale or absent
    lacked       when the first push that it lacks was made; 0 where that is not the trouble
    ahead_since  when its unknown, newer index was first seen; 0: it was not
    failing      since when it gives no answer; 0: it does
    sha256       of its index at the last look
    due          when it is looked at next, epoch seconds; it doubles from look to look
    """

    at: float
    bad: Row = NONE
    lacked: int = 0
    ahead_since: int = 0
    failing: float = 0
    sha256: str = ""
    due: float = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Validator:
    """What to send along so that an unchanged index is not sent again. *full* is when it last came whole.

    valid_until  what a `Release` said of itself; 0 where it did not
    """

    etag: str
    modified: str
    sha256: str
    full: float
    valid_until: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """One category of one host.

    directories  digest of the names whose numbers these are
    states       a byte for each directory
    seen_push    pushes up to here (epoch seconds) are marked as pending, or done
    cursor       number of the directory whose turn is next, *carry* the part of one that is owed
    whole        when all of it was last looked at
    listed       when rsync last said what is there
    marker       the marker's time, as text; "" unknown. *marker_since*: when it was first seen so
    """

    standing: Standing = field(default_factory=Standing)
    directories: str = ""
    states: bytes = b""
    troubles: dict[int, Trouble] = field(default_factory=dict)
    validators: dict[int, Validator] = field(default_factory=dict)
    seen_push: int = 0
    cursor: int = -1
    carry: float = 0
    whole: float = 0
    listed: float = 0
    marker: str = ""
    marker_since: float = 0
    marker_validator: Validator | None = None
    marker_age_s: float | None = None
    stamp: float | None = None
    lag_s: float | None = None


@dataclass(frozen=True, slots=True)
class UrlNote:
    """What is to be said of one base URL. *up*: it answered when it was asked last."""

    up: bool
    since: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FamilyNote:
    """An address family: when it last answered, failures in a row while the other answered, and that it has none."""

    answered: float = 0
    failures: int = 0
    absent: bool = False
    asked: float = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything about a host but its categories.

    name, country, private, tree  as its source says, for whoever has the store alone; *tree*: it is one of a tree
    soft404, controlled  whether what cannot exist is there, and when that was asked
    owed    requests that were made beyond what a mirror is asked all the time; they are worn off as time goes by
    """

    name: str = ""
    country: str = ""
    private: bool = False
    tree: bool = False
    visited: float = 0
    next_visit: float = 0
    visits: int = 0
    urls: dict[str, UrlNote] = field(default_factory=dict)
    families: dict[str, FamilyNote] = field(default_factory=dict)
    soft404: bool = False
    controlled: float = 0
    certificate_made: int | None = None
    certificate_expires: int | None = None
    duration_s: float | None = None
    busy_until: float = 0
    owed: float = 0


def set_back(memory: Memory, now: float) -> Memory:
    """What was remembered by a clock that was ahead: nothing was seen later than now, and the host is due."""
    if memory.visited <= now + FUTURE_S:
        return memory
    families = {
        name: replace(note, answered=min(note.answered, now), asked=min(note.asked, now))
        for name, note in memory.families.items()
    }
    return replace(
        memory, visited=0, next_visit=0, busy_until=0, controlled=min(memory.controlled, now), families=families
    )


def set_back_held(held: Held, now: float) -> Held:
    """The same of one category. What was pushed within a day is looked at anew."""
    standing = held.standing
    if max(standing.learnt, standing.since) <= now + FUTURE_S:
        return held
    troubles = {
        number: replace(
            each,
            lacked=min(each.lacked, int(now)),
            ahead_since=min(each.ahead_since, int(now)),
            failing=min(each.failing, now),
        )
        for number, each in held.troubles.items()
    }
    return replace(
        held,
        standing=replace(standing, learnt=min(standing.learnt, now), since=min(standing.since, now)),
        troubles=troubles,
        validators={},
        marker_validator=None,
        seen_push=min(held.seen_push, int(now - DAY_S)),
        whole=min(held.whole, now),
        listed=min(held.listed, now),
        marker_since=min(held.marker_since, now),
    )


def digest_of(names: Sequence[str]) -> str:
    """What stands for a list of directories: its numbers mean something with this list alone."""
    joined = "\0".join(names).encode(errors="surrogateescape")
    return hashlib.blake2b(joined, digest_size=16).hexdigest()


def renumber(held: Held, old: Sequence[str], new: Sequence[str], digest: str) -> Held:
    """The same knowledge against another list of directories; names that are new are unknown."""
    numbers = {name: number for number, name in enumerate(new)}
    moved = {number: numbers[name] for number, name in enumerate(old) if name in numbers}
    states = bytearray(len(new))
    for before, after in moved.items():
        if before < len(held.states):
            states[after] = held.states[before]
    return replace(
        held,
        directories=digest,
        states=bytes(states),
        troubles={moved[n]: trouble for n, trouble in held.troubles.items() if n in moved},
        validators={moved[n]: each for n, each in held.validators.items() if n in moved},
        cursor=-1,
    )


def content_of(state: int) -> Content:
    return Content(state & CONTENT)


def settle(state: int, trouble: Trouble | None, found: Finding, rules: Rules) -> tuple[int, Trouble | None]:
    """A directory after one more look: its byte, and its record if it needs one."""
    if found.content is Content.NOT_JUDGED:
        return state & ~PENDING, trouble
    if found.content is Content.NO_ANSWER:
        return _settle_silence(state, trouble, found, rules)
    flags = state & (OUT | EVER)
    if found.content is not Content.ABSENT:
        flags |= EVER
    if found.content is Content.CURRENT:
        kept = state & VERIFIED if _same(state, trouble, found) else 0
        return found.content | EVER | (VERIFIED if found.verified else kept), None
    before = trouble or Trouble(found.at)
    bad = before.bad.add(found.at) if found.content.bad else NONE
    if not found.content.bad:
        flags &= ~OUT
    elif bad.reaches(rules.looks, rules.look_span_s):
        flags |= OUT
    ahead = (before.ahead_since or found.at) if found.content is Content.AHEAD else 0
    if found.content is Content.STALE and before.ahead_since and before.sha256 == found.sha256:
        ahead = before.ahead_since
    after = Trouble(
        at=found.at,
        bad=bad,
        lacked=found.lacked,
        ahead_since=ahead,
        sha256=found.sha256,
        due=_next_look(before, bad, found, flags, rules),
        reason=printable_reason(found.reason),
    )
    return found.content | flags, after


def _same(state: int, trouble: Trouble | None, found: Finding) -> bool:
    """It was current before, and nothing was pushed since: what was verified still is."""
    return trouble is None and not state & PENDING and content_of(state) is Content.CURRENT


def _next_look(before: Trouble, bad: Row, found: Finding, flags: int, rules: Rules) -> float:
    """Soon, then less and less often; and once lag would be too much."""
    if bad.count and not flags & OUT:
        return max(bad.first + rules.look_span_s, found.at)
    waited = min(max(found.at - before.at, rules.interval_s / 2) * 2, rules.everything_s / 8)
    due = found.at + waited
    if found.content is Content.BEHIND and found.lacked:
        due = min(due, max(found.lacked + rules.outdate_s + 1, found.at + rules.interval_s / 2))
    return due


def _settle_silence(state: int, trouble: Trouble | None, found: Finding, rules: Rules) -> tuple[int, Trouble | None]:
    before = trouble or Trouble(found.at)
    failing = before.failing or found.at
    due = found.at + rules.interval_s / 2
    after = replace(before, at=found.at, failing=failing, due=due, reason=printable_reason(found.reason))
    if found.at - failing >= rules.unknown_s:
        return Content.UNKNOWN | OUT | state & EVER, after
    return state, after


def bits_of(states: bytes) -> bytes:
    """One bit for each directory that is to be served: there, and not out. Lowest bit first."""
    flags = np.frombuffer(states, np.uint8)
    contents = flags & CONTENT
    served = ((flags & EVER) != 0) & ((flags & OUT) == 0)
    served &= (contents != Content.NOT_JUDGED) & (contents != Content.ABSENT)
    return np.packbits(served, bitorder="little").tobytes()


def out_of(states: bytes) -> list[int]:
    """Numbers of the directories that are out."""
    numbers: list[int] = np.flatnonzero(np.frombuffer(states, np.uint8) & OUT).tolist()
    return numbers

"""What a visit asks. Pure: it is told what it knows and what time it is, and says which directories it looks at.

First what the master changed since this host was last looked at, newest first; then what is not well, soon and then
less and less often; then a few of the rest, so that every directory is looked at once a day. Where the mirror's own
marker moved, it has just synchronised, and more is worth a look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redirector.health.evidence import Family
from redirector.health.expected import Master
from redirector.health.judge import Content
from redirector.health.memory import PENDING, VERIFIED, FamilyNote, Held, Memory, content_of
from redirector.health.rules import Rules

LOOKS_A_VISIT = 400
"""Directories; at 4 requests a second the longest visit takes two minutes."""

MOVED_LOOKS = 100
"""Directories looked at because the mirror's marker moved."""

QUIET_LOOKS = 20
"""Directories of the rest a visit. A list of 50,000 that only HTTP can tell about takes a month."""

EAGER_LOOKS = 5
"""Directories of the rest that are looked at when somebody asks for a visit, due or not."""

BACKLOG_VERIFIED = 2
"""Repositories a visit whose newest package is asked for though nothing of them changed."""

LISTED_FROM = 20
"""From so many files on, rsync is asked for the list of them in one run."""

LISTED_FILES = 20_000
"""Files that one run of rsync is asked for."""

FULL_S = 86400.0
"""An index that did not change is fetched whole once a day all the same."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What a visit looks at in one category, by number, in the order of asking.

    indexes    directories whose index is fetched
    files      directories without index whose newest files are asked for over HTTP
    listed     the same, by one run of rsync
    backlog    repositories that are current, whose newest package nobody has asked for yet
    cursor, carry  where the next visit goes on
    everything  it is a look at all there is
    """

    indexes: tuple[int, ...] = ()
    files: tuple[int, ...] = ()
    listed: tuple[int, ...] = ()
    backlog: tuple[int, ...] = ()
    cursor: int = 0
    carry: float = 0
    everything: bool = False


def mark_pushes(master: Master, held: Held, only: frozenset[str] | None) -> tuple[bytes, int]:
    """The bytes of the directories, those pending that the master pushed since; and up to when that is so."""
    states = bytearray(held.states.ljust(len(master.directories), b"\0"))
    for number, expected in enumerate(master.directories):
        if not expected.judged or (only is not None and expected.name not in only):
            states[number] = 0
        elif content_of(states[number]) is Content.NOT_JUDGED:
            states[number] |= PENDING
        elif expected.pushed > held.seen_push:
            states[number] = (states[number] | PENDING) & ~VERIFIED
    return bytes(states), max(held.seen_push, master.pushed)


def plan_looks(
    master: Master,
    held: Held,
    only: frozenset[str] | None,
    since: float,
    now: float,
    rules: Rules,
    host: str,
    *,
    moved: bool,
    rsync: bool,
    eager: bool = False,
    everything: bool = False,
) -> Looks:
    """What to look at.

    held        with the pushes marked (`mark_pushes`)
    since       when this host was visited last
    moved       the mirror's marker is another than at the last visit
    rsync       the mirror can be asked by rsync
    eager       somebody asked for this visit: everything that is not well is looked at, due or not
    everything  all there is is
    """
    mine = [
        number
        for number, expected in enumerate(master.directories)
        if expected.judged and (only is None or expected.name in only) and (expected.index or expected.files)
    ]
    pending = [number for number in mine if held.states[number] & PENDING]
    due = [n for n in mine if n in held.troubles and (moved or eager or held.troubles[n].due <= now)]
    again = moved and now - held.whole >= rules.everything_s / 8
    chosen = dict.fromkeys(sorted(pending, key=lambda n: (-master.directories[n].pushed, n)))
    chosen |= dict.fromkeys(sorted(due, key=lambda n: held.troubles[n].due))
    whole = everything or (again and len(mine) <= MOVED_LOOKS)
    if whole:
        chosen |= dict.fromkeys(mine)
    listable = [n for n in mine if not master.directories[n].index]
    by_list = rsync and sum(len(master.directories[n].files) for n in listable) >= LISTED_FROM
    turning = [n for n in mine if master.directories[n].index] if by_list else mine
    rest, cursor, carry = _turn(
        turning, held, since, now, rules, host, MOVED_LOOKS // 2 if again else QUIET_LOOKS, eager
    )
    if len(chosen) < LOOKS_A_VISIT:
        chosen |= dict.fromkeys(rest)
    taken = list(chosen)[:LOOKS_A_VISIT] if not everything else list(chosen)
    without = [n for n in taken if not master.directories[n].index]
    listed: tuple[int, ...] = ()
    if by_list and (now - held.listed >= rules.everything_s or len(without) >= LISTED_FROM):
        listed = tuple(_up_to(master, listable if now - held.listed >= rules.everything_s else without))
        without = []
    return Looks(
        indexes=tuple(n for n in taken if master.directories[n].index),
        files=tuple(without),
        listed=listed,
        backlog=tuple(_backlog(master, held, mine, set(taken))),
        cursor=cursor,
        carry=carry,
        everything=len(taken) >= len(mine) or whole,
    )


def _turn(
    turning: Sequence[int], held: Held, since: float, now: float, rules: Rules, host: str, most: int, eager: bool
) -> tuple[list[int], int, float]:
    """The directories whose turn it is: in a day each has had its own. Hosts begin at different places."""
    if not turning:
        return [], held.cursor, 0.0
    cursor = held.cursor if held.cursor >= 0 else _start(host) % len(turning)
    waited = max(0.0, now - since) if since else rules.interval_s
    owed = held.carry + len(turning) * min(1.0, waited / rules.everything_s)
    count = min(max(EAGER_LOOKS if eager else 1, int(owed)), most, len(turning))
    positions = [(cursor + n) % len(turning) for n in range(count)]
    return [turning[each] for each in positions], (cursor + count) % len(turning), min(1.0, max(0.0, owed - count))


def _start(host: str) -> int:
    return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=4).digest())


def _backlog(master: Master, held: Held, mine: Sequence[int], taken: set[int]) -> Iterator[int]:
    waiting = [
        n
        for n in mine
        if n not in taken
        and master.directories[n].index
        and master.directories[n].files
        and content_of(held.states[n]) is Content.CURRENT
        and not held.states[n] & VERIFIED
    ]
    waiting.sort(key=lambda n: (-master.directories[n].pushed, n))
    yield from waiting[:BACKLOG_VERIFIED]


def _up_to(master: Master, numbers: Sequence[int]) -> Iterator[int]:
    files = 0
    for number in numbers:
        files += len(master.directories[number].files)
        if files > LISTED_FILES:
            return
        yield number


def plan_families(memory: Memory, url_host: str, now: float, rules: Rules) -> tuple[Family | None, ...]:
    """Which address families a visit asks by: both, but one that is known to be missing only once a day."""
    literal = literal_family(url_host)
    if literal:
        return (literal,)
    wanted = []
    for family in Family:
        note = memory.families.get(family, FamilyNote())
        if not note.absent or now - note.asked >= rules.family_s:
            wanted.append(family)
    return tuple(wanted) or (None,)


def literal_family(host: str) -> Family | None:
    """The family of an address that stands in a URL instead of a name; None for names."""
    if ":" in host:
        return Family.IPV6
    return Family.IPV4 if host.replace(".", "").isdigit() and host.count(".") == 3 else None


def control_name(host: str, day: int) -> str:
    """A name that cannot exist: another one for each host and day, so that nobody makes it up once and for all."""
    return "redirector-" + hashlib.blake2b(f"{host} {day}".encode(), digest_size=12).hexdigest()

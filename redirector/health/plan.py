"""What a visit asks. Pure: it is told what it knows and what time it is, and says which directories it looks at.

First what the master changed since this host was last looked at, newest first; then what is not well, soon and then
less and less often; then a few of the rest, so that every directory is looked at once a day. Where the mirror's own
marker moved, it has just synchronised, and more is worth a look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redirector.health.evidence import Family
from redirector.health.expected import Master
from redirector.health.judge import Content
from redirector.health.memory import CONTENT, PENDING, VERIFIED, FamilyNote, Held, Memory
from redirector.health.rules import Rules

LOOKS_A_VISIT = 400
"""Directories; at 4 requests a second the longest visit takes two minutes."""

MOVED_LOOKS = 100
"""Directories looked at because the mirror's marker moved."""

QUIET_LOOKS = 20
"""Directories of the rest a visit. A list of 50,000 that only HTTP can tell about takes a month."""

STILL_LOOKS = 3
"""Directories of those that are behind, where the mirror's marker says that nothing came since."""

EAGER_LOOKS = 5
"""Directories of the rest that are looked at when somebody asks for a visit, due or not."""

BACKLOG_VERIFIED = 2
"""Repositories a visit whose newest package is asked for though nothing of them changed."""

LISTED_FROM = 20
"""From so many files on, rsync is asked for the list of them in one run."""

LISTED_FILES = 20_000
"""Files that one run of rsync is asked for."""

BURST_REQUESTS = 2500
STEADY_REQUESTS = 2300
"""Requests at once, and a day all the time: together they stay below the 5,000 that an address is asked in any 24
hours, with some left for other names on it."""

LEAST_LOOKS = 2
"""Directories that even then are looked at."""

VERIFYING = 40
"""Requests of a visit that are no looks: markers, and newest packages."""

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


def mine_of(master: Master, only: frozenset[str] | None) -> NDArray[np.bool_]:
    """Which directories of the master a host is asked for. cost: 50 ns a directory with *only*, else nothing"""
    if only is None:
        return master.columns.wanted
    named = np.fromiter((each.name in only for each in master.directories), np.bool_, len(master.directories))
    return master.columns.wanted & named


def mark_pushes(master: Master, held: Held, mine: NDArray[np.bool_]) -> tuple[bytes, int]:
    """The bytes of the directories, those pending that the master pushed since; and up to when that is so."""
    states = np.zeros(len(mine), np.uint8)
    known = np.frombuffer(held.states, np.uint8)[: len(mine)]
    states[: len(known)] = known
    states[~mine] = 0
    new = mine & ((states & CONTENT) == Content.NOT_JUDGED)
    pushed = mine & ~new & (master.columns.pushed > held.seen_push)
    states[new] |= PENDING
    states[pushed] = (states[pushed] | PENDING) & ~np.uint8(VERIFIED)
    return states.tobytes(), max(held.seen_push, master.pushed)


def plan_looks(
    master: Master,
    held: Held,
    mine: NDArray[np.bool_],
    since: float,
    now: float,
    rules: Rules,
    host: str,
    *,
    moved: bool,
    rsync: bool,
    still: bool = False,
    owed: float = 0,
    eager: bool = False,
    everything: bool = False,
) -> Looks:
    """What to look at.

    held        with the pushes marked (`mark_pushes`)
    mine        what the host is asked for (`mine_of`)
    since       when this host was visited last
    moved       the mirror's marker is another than at the last visit
    rsync       the mirror can be asked by rsync
    still       its marker is the one of the last visit: what was behind will be so
    owed        requests that it was asked lately (`worn_off`)
    eager       somebody asked for this visit: everything that is not well is looked at, due or not
    everything  all there is is
    """
    columns = master.columns
    states = np.frombuffer(held.states, np.uint8)
    all_mine = np.flatnonzero(mine)
    due = [
        n for n, trouble in held.troubles.items() if mine[n] and (moved or eager or not trouble.at <= now < trouble.due)
    ]
    due.sort(key=lambda n: (held.troubles[n].due, n))
    if still and not eager:
        behind = [n for n in due if _is_behind(held, n, now, rules)]
        due = [n for n in due if n not in set(behind[STILL_LOOKS:])]
    again = moved and now - held.whole >= rules.everything_s / 8
    chosen = dict.fromkeys(_newest_first(columns.pushed, np.flatnonzero(mine & ((states & PENDING) != 0))))
    chosen |= dict.fromkeys(due)
    whole = everything or (again and len(all_mine) <= MOVED_LOOKS)
    if whole:
        chosen |= dict.fromkeys(all_mine.tolist())
    listable = np.flatnonzero(mine & ~columns.indexed)
    by_list = rsync and int(columns.files[listable].sum()) >= LISTED_FROM
    turning = np.flatnonzero(mine & columns.indexed) if by_list else all_mine
    most_of_the_rest = MOVED_LOOKS // 2 if again else QUIET_LOOKS
    rest, cursor, carry = _turn(turning, held, since, now, rules, host, most_of_the_rest, eager)
    most = min(LOOKS_A_VISIT, max(LEAST_LOOKS, int(BURST_REQUESTS - owed) - VERIFYING))
    if len(chosen) < most:
        chosen |= dict.fromkeys(rest)
    taken = list(chosen)[:most] if not everything else list(chosen)
    without = [n for n in taken if not columns.indexed[n]]
    listed: tuple[int, ...] = ()
    if by_list and (now - held.listed >= rules.everything_s or len(without) >= LISTED_FROM):
        listed = tuple(_up_to(columns.files, listable.tolist() if now - held.listed >= rules.everything_s else without))
        without = []
    backlog = mine & columns.indexed & (columns.files > 0)
    backlog &= ((states & CONTENT) == Content.CURRENT) & ((states & VERIFIED) == 0)
    return Looks(
        indexes=tuple(n for n in taken if columns.indexed[n]),
        files=tuple(without),
        listed=listed,
        backlog=tuple(_newest_first(columns.pushed, np.flatnonzero(backlog))[:BACKLOG_VERIFIED]),
        cursor=cursor,
        carry=carry,
        everything=len(taken) >= len(all_mine) or whole,
    )


def _is_behind(held: Held, number: int, now: float, rules: Rules) -> bool:
    """Whether a directory was late when it was looked at last, and is not too late yet."""
    trouble = held.troubles[number]
    late = held.states[number] & CONTENT == Content.BEHIND and not trouble.failing
    return late and now - trouble.lacked <= rules.outdate_s


def _newest_first(pushed: NDArray[np.int64], numbers: NDArray[np.intp]) -> list[int]:
    ordered: list[int] = numbers[np.argsort(-pushed[numbers], kind="stable")].tolist()
    return ordered


def worn_off(owed: float, waited_s: float, rules: Rules) -> float:
    """What is still owed of *owed* requests after so many seconds; a day is as long as *rules* have it."""
    return max(0.0, owed - max(0.0, waited_s) * STEADY_REQUESTS / rules.everything_s)


def _turn(
    turning: NDArray[np.intp],
    held: Held,
    since: float,
    now: float,
    rules: Rules,
    host: str,
    most: int,
    eager: bool,
) -> tuple[list[int], int, float]:
    """The directories whose turn it is: in a day each has had its own. Hosts begin at different places."""
    if not len(turning):
        return [], held.cursor, 0.0
    cursor = held.cursor if held.cursor >= 0 else _start(host) % len(turning)
    waited = max(0.0, now - since) if since else rules.interval_s
    owed = held.carry + len(turning) * min(1.0, waited / rules.everything_s)
    count = min(max(EAGER_LOOKS if eager else 1, int(owed)), most, len(turning))
    positions = [(cursor + n) % len(turning) for n in range(count)]
    chosen: list[int] = turning[positions].tolist()
    return chosen, (cursor + count) % len(turning), min(1.0, max(0.0, owed - count))


def _start(host: str) -> int:
    return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=4).digest())


def _up_to(files: NDArray[np.int64], numbers: Sequence[int]) -> Iterator[int]:
    total = 0
    for number in numbers:
        total += int(files[number])
        if total > LISTED_FILES:
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

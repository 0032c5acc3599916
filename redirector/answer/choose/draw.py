"""What is done for every client of a list: the hosts that are drawn for it are moved to the front.

A list is kept in the order that all clients of an audience share. A *span* is the part of it whose first host, the
*head*, is drawn: by a table with a host for each slot, in which ten bits of the client's seed pick one. A host of the
table that is not in the list is drawn again by the next bits, which leaves the shares of the others exact.

`draw` is in C where a compiler was there at the installation: 0.2 µs for 70 hosts, where `draw_plainly`, which says the
same, takes 3.
"""

from __future__ import annotations

import math
from typing import Protocol, TypeVar

from redirector.built import refuse_stale_build
from redirector.model import HostId
from redirector.snapshot.draws import KEY, SLOTS

T = TypeVar("T")


class Alone(Protocol):
    """Whoever draws without a table."""

    def draw_alone(self, present: str, seed: int) -> str:
        """Who of those *present* comes first."""


Span = tuple[int, int, str | bytes, Alone]
"""Where its hosts stand, from and to; a host for each slot; who is asked when no try finds a host that is there.

In place of the slots, what the keys of its hosts are made of (`keys_of`), as bytes: then each client has a key for each
of them, and those with the smallest ones are moved to the front in order, `MOST_DRAWN` of them at most."""

MOST_DRAWN = 64
"""Places of a long list behind which the heaviest hosts are next, the same for everybody: no client comes so far, and
in C the drawn ones are sorted as they are found."""

_TRIES = (0, 10, 20, 30, 40, 5, 15, 25, 35, 45)
"""Where the ten bits begin that pick a slot, one try after the other."""

_SECOND_TRIES = (20, 30)
"""Likewise for the second place of a list."""

_MIXER = 0x9E3779B97F4A7C15
"""Makes other 64 bits of a seed, for a second round of tries."""

_MASK = 2**64 - 1

_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""As `redirector.snapshot.draws` mixes a host's bits with a seed."""


def draw_plainly(
    tail: tuple[T, ...], hosts: str, spans: tuple[Span, ...], seed: int, /
) -> tuple[list[T], HostId | None]:
    """*tail* as a new list, the heads of *spans* moved to their fronts; and whose entry comes first, None: nobody's.

    hosts  whose entries they are, as characters
    seed   64 bits
    """
    entries = [*tail]
    first = hosts[:1]
    for span in spans:
        start = span[0]
        if isinstance(span[2], bytes):
            chosen = _draw_by_keys(span[2], seed)
            moved = [entries[start + n] for n in chosen]
            left = [entry for n, entry in enumerate(entries[start : span[1]]) if n not in chosen]
            entries[start : span[1]] = moved + left
            if start == 0:
                first = hosts[chosen[0]]
            continue
        at = _find_head(hosts, span, seed)
        entries.insert(start, entries.pop(at))
        if start == 0:
            first = hosts[at]
            # Clients that fetch from several hosts at once use the second one as much.
            tries = (_find_slot(hosts, span, seed >> shift) for shift in _SECOND_TRIES)
            second = next((place for place in tries if place != at), -1)
            if second >= 0:
                entries.insert(1, entries.pop(second + 1 if second < at else second))
    return entries, HostId(ord(first)) if first else None


def _draw_by_keys(keys: bytes, seed: int) -> list[int]:
    """Which hosts come first, by what their keys are made of."""
    (drawn, _), *records = KEY.iter_unpack(keys)
    found = []
    for n, (name, scale) in enumerate(records):
        mixed = name ^ seed
        for shift, factor in _MIXERS:
            mixed = (mixed ^ mixed >> shift) * factor & _MASK
        found.append((-math.log(((mixed >> 11) + 0.5) * 2.0**-53) * scale, n))
    return [n for _, n in sorted(found)[: min(drawn, MOST_DRAWN)]]


def _find_slot(hosts: str, span: Span, bits: int) -> int:
    """Where the host of a slot stands; -1: nowhere."""
    start, stop, heads, _ = span
    assert isinstance(heads, str)
    return hosts.find(heads[bits % SLOTS], start, stop)


def _find_head(hosts: str, span: Span, seed: int) -> int:
    """Where the host stands that comes first."""
    for bits in (seed, (seed * _MIXER & _MASK) >> 9):
        for shift in _TRIES:
            at = _find_slot(hosts, span, bits >> shift)
            if at >= 0:
                return at
    start, stop, _, alone = span
    return hosts.index(alone.draw_alone(hosts[start:stop], seed), start, stop)


try:
    from redirector.answer import _fast
    from redirector.answer._fast import draw as draw
except ImportError:
    draw = draw_plainly
else:
    refuse_stale_build(_fast, 2)

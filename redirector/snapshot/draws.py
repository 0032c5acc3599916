"""Weighted orders that need no shared state: stable exponential variates per host name.

A host's key in a draw is its variate divided by its weight; the smallest key comes first. That is a weighted draw
without replacement (Efraimidis and Spirakis, 2006), and since each host's variates hang on its name alone, a host
that comes or goes leaves the relative order of all others as it was, on every server.

An order has two parts, drawn independently: its *head*, by one of `SLOTS` slots, and its *tail*, the order of all the
others, which is the same for everybody. Heads carry the load, so their shares are made exact to 1 / SLOTS; a plain draw
from 1,024 orders would be off by 1.6 points.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from struct import Struct

import numpy as np
from numpy.typing import NDArray

SLOT_BITS = 10

SLOTS = 1 << SLOT_BITS
"""Slots of a head table: shares come out within half of 1/1024, a tenth of what is promised (1 %)."""


def draws_of(names: Sequence[str]) -> NDArray[np.float32]:
    """Variates of the hosts *names*, one row a host: `SLOTS` for heads, then one for the tail.

    cost  15 µs and 4.4 kB a host
    """
    width = SLOTS + 1
    raw = b"".join(hashlib.shake_128(name.encode()).digest(4 * width) for name in names)
    words = np.frombuffer(raw, dtype="<u4").reshape(len(names), width)
    return (-np.log((words + 0.5) / 2.0**32)).astype(np.float32)


def heads_of(draws: NDArray[np.float32], members: Sequence[int], weights: Sequence[float]) -> NDArray[np.uint16]:
    """Which of *members* (rows of *draws*) comes first, for each slot; the values are positions in *members*.

    Each member has room for its exact share of the slots (largest remainder). Every slot goes to the member with the
    smallest key; a member that is wanted by more slots than it has room for keeps the cheapest ones, and the others
    choose again among those with room left. The order of *members* makes no difference.

    cost  0.1 ms for 2 members, 0.6 ms for 50, 3 ms for 400 of very unequal weight
    """
    weight = np.asarray(weights, dtype=np.float64)
    keys = draws[list(members), :SLOTS] / weight[:, None].astype(np.float32)
    exact = weight * (SLOTS / weight.sum())
    room = np.floor(exact).astype(np.int64)
    largest_remainder_first = np.lexsort((keys[:, 0], room - exact))
    room[largest_remainder_first[: SLOTS - int(room.sum())]] += 1
    owner = np.zeros(SLOTS, dtype=np.uint16)
    free = np.arange(SLOTS)
    while free.size:
        wanting = np.flatnonzero(room > 0)
        prices = keys.take(wanting, axis=0).take(free, axis=1)  # `np.ix_` takes twice as long
        choice = prices.argmin(axis=0)
        cheapest_first = np.lexsort((prices[choice, np.arange(free.size)], choice))
        chosen = wanting[choice[cheapest_first]]
        place_in_queue = np.arange(free.size) - np.searchsorted(chosen, chosen)
        taken = place_in_queue < room[chosen]
        owner[free[cheapest_first[taken]]] = chosen[taken]
        room -= np.bincount(chosen[taken], minlength=room.size)
        free = free[cheapest_first[~taken]]
    return owner


def tail_of(draws: NDArray[np.float32], members: Sequence[int], weights: Sequence[float]) -> list[int]:
    """The order of all *members* behind their head, as positions in *members*."""
    keys = draws[list(members), SLOTS] / np.asarray(weights, dtype=np.float32)
    order: list[int] = np.argsort(keys, kind="stable").tolist()
    return order


KEY = Struct("=Qd")
"""What a key is made of besides the client's seed: 64 bits of the host's name, and one over its weight."""


def name_bits(draws: NDArray[np.float32]) -> list[int]:
    """64 bits of the name of each host: the first two of its variates. cost: 40 µs for 530 hosts"""
    bits: list[int] = np.ascontiguousarray(draws[:, :2]).view(np.uint64)[:, 0].tolist()
    return bits


def keys_of(names: Sequence[int], members: Sequence[int], weights: Sequence[float], drawn: int) -> bytes:
    """What the keys of *members* are made of, a record a host, behind a record that says how many are *drawn*.

    names  `name_bits` of all hosts
    cost   6 µs for 12 members, half of what arrays take; as long as with those for 40
    """
    pack = KEY.pack
    records = [pack(names[n], 1.0 / max(weight, 1e-300)) for n, weight in zip(members, weights, strict=True)]
    return pack(drawn, 0.0) + b"".join(records)


def lone_head_of(draws: NDArray[np.float32], members: Sequence[int], weights: Sequence[float], seed: int) -> int:
    """Which of *members*, as a position, comes first for the 64 bits of *seed*, drawn by weight without a table.

    Exact over many seeds, and as stable as a table when hosts come and go.

    cost  10 µs for 2 members, 36 µs for 400
    """
    mixed = draws[list(members), :2].view(np.uint64)[:, 0] ^ np.uint64(seed)
    for shift, factor in _MIXERS:
        mixed = (mixed ^ (mixed >> shift)) * factor
    variates = -np.log(((mixed >> np.uint64(11)) + 0.5) / 2.0**53)
    return int((variates / np.asarray(weights)).argmin())


_MIXERS = [(np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB))]
"""Of Stafford's thirteenth variant of MurmurHash3's finalizer; the upper bits count, so its last shift is left out."""

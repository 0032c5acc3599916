"""Counters in memory that a worker and the supervisor share: one block of 64-bit cells per worker.

A worker adds to its own block, which costs some 50 ns a cell and no system call; the supervisor reads all blocks
whenever it likes. What a cell counts is settled by `Layout`, which both make from the same names. A block belongs to
a worker's slot, not to a process: a worker that is started again goes on where its predecessor died.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from redirector.answer.answer import Answer, Kind, Tier

Series = tuple[str, ...]
"""The name of a counter, then the values of its labels."""

STATUSES = (
    *(200, 301, 302, 303, 304, 307, 308),
    *(400, 403, 404, 405, 406, 408, 411, 413, 414, 416, 417, 421, 429, 431),
    *(500, 501, 503, 505),
)
"""Statuses that are counted by number; any other one counts as `other`."""

BOUNDS_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the buckets of a request's duration; the last bucket has none."""

BOUNDS_NS = tuple(round(bound * 1e9) for bound in BOUNDS_S)

WISHES = ("country", "protocol", "ipv4", "ipv6", "other")
"""What a client may ask for and not get."""

REQUESTS, BUCKETS, NANOSECONDS = "requests", "buckets", "nanoseconds"
FIRST_TIER, FIRST_HOST, COUNTRY, RELAXED = "first_tier", "first_host", "country", "relaxed"
OPEN, LOST, BEAT = "open", "lost", "beat"
OTHER, UNKNOWN, PRIVATE = "other", "unknown", "private"
"""Labels of hosts that left, of clients whose country nobody knows, and of all private hosts together."""

GAUGES = frozenset({OPEN, BEAT})
"""Cells that end with their worker; all others only grow."""

CELL_BYTES = 8


class Layout:
    """Which cell counts what. Two layouts of the same names are the same.

    hosts      names by host id
    countries  codes that a client can come from
    """

    def __init__(self, hosts: Iterable[str], countries: Iterable[str]) -> None:
        series: list[Series] = [(OPEN,), (LOST,), (BEAT,)]
        self.open, self.lost, self.beat = 0, 1, 2
        self._requests: dict[Kind, dict[int, int]] = {}
        self._others: dict[Kind, int] = {}
        self._durations: dict[Kind, int] = {}
        for kind in Kind:
            first = len(series)
            self._requests[kind] = {status: first + position for position, status in enumerate(STATUSES)}
            self._others[kind] = first + len(STATUSES)
            series += [(REQUESTS, kind.value, str(status)) for status in (*STATUSES, OTHER)]
            self._durations[kind] = len(series)
            series += [(BUCKETS, kind.value, str(position)) for position in range(len(BOUNDS_S) + 1)]
            series.append((NANOSECONDS, kind.value))
        self._tiers = {tier: len(series) + position for position, tier in enumerate(Tier)}
        series += [(FIRST_TIER, tier.value) for tier in Tier]
        self._wishes = {wish: len(series) + position for position, wish in enumerate(WISHES)}
        series += [(RELAXED, wish) for wish in WISHES]
        self._unknown = len(series)
        series.append((COUNTRY, UNKNOWN))
        codes = sorted(set(countries))
        self._countries = {code: len(series) + position for position, code in enumerate(codes)}
        series += [(COUNTRY, code) for code in codes]
        self._first_host = len(series)
        series += [(FIRST_HOST, name, tier.value) for name in hosts for tier in Tier]
        self._tier_positions = {tier: position for position, tier in enumerate(Tier)}
        self.series: tuple[Series, ...] = tuple(series)

    @property
    def block_bytes(self) -> int:
        """Size of one worker's block: whole cache lines, so that two workers never write to the same one."""
        return -(-len(self.series) * CELL_BYTES // 64) * 64

    def request_cell(self, kind: Kind, status: int) -> int:
        return self._requests[kind].get(status, self._others[kind])

    def duration_cells(self, kind: Kind) -> int:
        """The first of the cells of a duration: one per bucket, then the sum in nanoseconds."""
        return self._durations[kind]

    def tier_cell(self, tier: Tier) -> int:
        return self._tiers[tier]

    def host_cell(self, host: int, tier: Tier) -> int:
        return self._first_host + host * len(self._tier_positions) + self._tier_positions[tier]

    def country_cell(self, code: str | None) -> int:
        return self._unknown if code is None else self._countries.get(code, self._unknown)

    def wish_cell(self, wish: str) -> int:
        return self._wishes.get(wish, self._wishes[OTHER])


DURATION_SUM = len(BOUNDS_S) + 1
"""Where the sum stands behind `Layout.duration_cells`."""


class CounterMemory:
    """The blocks of all workers of one age, in a memory file that is shared through its descriptor."""

    def __init__(self, layout: Layout, slots: int, descriptor: int) -> None:
        """Map *descriptor*, which the caller keeps."""
        self.layout = layout
        self._slots = slots
        self._map = mmap.mmap(descriptor, slots * layout.block_bytes)

    def cells(self, slot: int) -> memoryview:
        """The cells of the worker in *slot*."""
        begin = slot * self.layout.block_bytes
        return memoryview(self._map)[begin : begin + len(self.layout.series) * CELL_BYTES].cast("Q")

    def sum(self) -> Counter[Series]:
        """What all workers counted together. Costs some 10 µs a worker."""
        columns = zip(*(self.cells(slot).tolist() for slot in range(self._slots)), strict=True)
        total: Counter[Series] = Counter()
        for series, value in zip(self.layout.series, map(sum, columns), strict=True):
            total[series] += value  # private hosts have a cell each, and one label
        return total


def make_counter_file(layout: Layout, slots: int) -> int:
    """The descriptor of zeroed memory for *slots* workers."""
    descriptor = os.memfd_create("counters", os.MFD_CLOEXEC)
    os.truncate(descriptor, slots * layout.block_bytes)
    return descriptor


class Counters:
    """What one worker counts. A faster way through the house adds to `cells` itself, by the layout's positions."""

    def __init__(self, layout: Layout, cells: memoryview) -> None:
        self.layout = layout
        self.cells = cells
        cells[layout.open] = 0

    def count(self, answer: Answer, duration_s: float) -> None:
        """Count one answer that took *duration_s* from the last byte read to the answer written."""
        self.count_answer(answer)
        self.count_duration(self.layout.duration_cells(answer.kind), int(duration_s * 1e9))

    def count_duration(self, first: int, duration_ns: int) -> None:
        """Count a duration in the cells from *first* on, see `Layout.duration_cells`."""
        self.cells[first + bisect_left(BOUNDS_NS, duration_ns)] += 1
        self.cells[first + DURATION_SUM] += duration_ns

    def count_answer(self, answer: Answer) -> None:
        """Count one answer, but not how long it took."""
        layout, cells = self.layout, self.cells
        cells[layout.request_cell(answer.kind, answer.status)] += 1
        if answer.status < 400 and answer.kind is not Kind.PAGE:
            cells[layout.country_cell(answer.country)] += 1
            cells[layout.tier_cell(answer.tier)] += 1
            if answer.first is not None:
                cells[layout.host_cell(answer.first, answer.tier)] += 1
            for wish in answer.relaxed:
                cells[layout.wish_cell(wish)] += 1

    def lost(self, lines: int) -> None:
        """Count lines of the access log that were dropped."""
        self.cells[self.layout.lost] += lines

"""Tables address -> small number, flat and shared by all workers; nested prefixes are merged when a table is built.

A table is a step function: sorted starts and the value that holds from each on. IPv4 is one such function of 32 bits.
IPv6 is one of the upper 64 bits, since almost nobody routes more than a /64; a /64 that longer prefixes cut has a
function of its own over the lower 64 bits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from redirector.locate.addresses import unwrap_network
from redirector.locate.steps import Numbers, Values, paint, union
from redirector.model import Network

Lengths = npt.NDArray[np.uint8]

DEEP = 2**32 - 1
"""Value of a /64 that has a function of its own. Nobody else may use it: as an AS number it is reserved (RFC 7300)."""

V4_SLOT_BITS = 16
V6_SLOT_BITS = 18
"""Leading bits that pick the part of the starts to bisect. One slot less or more costs 20 to 60 ns on the real AS
table; more than these no longer pay for the memory (0.25 and 1 MB)."""


_HALVES = Struct(">QQ").unpack

_SMALL = 1 << 19
"""Numbers below are translated by a table, in a tenth of the time; the others, which are searched for, are AS numbers
that nobody has been given yet."""


@dataclass(frozen=True, slots=True)
class RangeTable:
    """Address -> number; 0 means nothing. The arrays hold plain numbers, so forked workers share their pages for good.

    starts  sorted, without duplicates, the first is 0; neighbours have different values
    slots   leading bits -> position of the first start that has them or more; one entry more than there are slots
    deep    upper 64 bits of a /64 whose value is `DEEP` -> starts and values of the lower 64 bits
    memory  8 bytes a row for IPv4, 12 for IPv6, and 1.3 MB for the slots
    cost    0.35 µs a look-up for IPv4, 0.65 for IPv6, over the 520,000 rows of the real AS table; `find` adds 0.1
    """

    v4_starts: array[int]
    v4_values: array[int]
    v4_slots: array[int]
    v6_starts: array[int]
    v6_values: array[int]
    v6_slots: array[int]
    deep: Mapping[int, tuple[array[int], array[int]]]

    @property
    def rows(self) -> int:
        """How many steps the table has, all families together."""
        return len(self.v4_starts) + len(self.v6_starts) + sum(len(starts) for starts, _ in self.deep.values())

    def find(self, address: bytes) -> int:
        """Number of *address*: 4 or 16 bytes, network order, IPv4-mapped already unwrapped."""
        if len(address) == 4:
            number, slots = int.from_bytes(address), self.v4_slots
            slot = number >> (32 - V4_SLOT_BITS)
            return self.v4_values[bisect_right(self.v4_starts, number, slots[slot], slots[slot + 1]) - 1]
        upper, lower = _HALVES(address)
        return self.find_v6(upper, lower)

    def find_v6(self, upper: int, lower: int) -> int:
        """Number of an IPv6 address, given as two halves below 2**64."""
        slots = self.v6_slots
        slot = upper >> (64 - V6_SLOT_BITS)
        value = self.v6_values[bisect_right(self.v6_starts, upper, slots[slot], slots[slot + 1]) - 1]
        if value != DEEP:
            return value
        starts, values = self.deep[upper]
        return values[bisect_right(starts, lower) - 1]

    def numbers(self) -> frozenset[int]:
        """Every number that some address has; 0 is among them unless everything is covered."""
        columns = [self.v4_values, self.v6_values, *(values for _, values in self.deep.values())]
        found = np.unique(np.concatenate([np.unique(np.frombuffer(column, np.uint32)) for column in columns]))
        return frozenset(found[found != DEEP].tolist())

    def translated(self, numbers: Mapping[int, int]) -> RangeTable:
        """The same table with other numbers; one that *numbers* does not name becomes 0."""
        old = np.array([*sorted(numbers), DEEP], np.uint32)
        new = np.array([*map(numbers.__getitem__, old[:-1].tolist()), 0], np.uint32)
        small = np.zeros(_SMALL + 1, np.uint32)
        small[old[old < _SMALL]] = new[old < _SMALL]

        def translate(steps: _Steps) -> _Steps:
            values = small[np.minimum(steps.values, np.uint32(_SMALL))]
            rows = np.flatnonzero(steps.values >= _SMALL)
            at = np.searchsorted(old, steps.values[rows])
            values[rows] = np.where(old[at] == steps.values[rows], new[at], np.uint32(0))
            return _Steps(steps.starts, values)

        deep = {upper: translate(_steps(*columns)) for upper, columns in self.deep.items()}
        return _table(translate(_v4_steps(self)), translate(_v6_steps(self)), deep)


@dataclass(frozen=True, slots=True)
class V4Prefixes:
    """Columns of prefixes, possibly nested, in any order; bits beyond the length are ignored. Values below `DEEP`."""

    addresses: npt.NDArray[np.unsignedinteger]
    lengths: Lengths
    values: Values


@dataclass(frozen=True, slots=True)
class V6Prefixes:
    """Likewise; the address as its upper and its lower 64 bits."""

    uppers: Numbers
    lowers: Numbers
    lengths: Lengths
    values: Values


NO_V4 = V4Prefixes(np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.uint32))
NO_V6 = V6Prefixes(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.uint32))


def table_of(v4: V4Prefixes = NO_V4, v6: V6Prefixes = NO_V6) -> RangeTable:
    """The table in which each address has the value of its longest prefix; of equal prefixes the later one counts.

    cost  0.1 s for 1.15 million prefixes; some 0.1 ms for each /64 with longer prefixes inside
    """
    short = v6.lengths <= 64
    uppers = _paint(v6.uppers[short], v6.lengths[short], v6.values[short], 64)
    longer = V6Prefixes(v6.uppers[~short], v6.lowers[~short], v6.lengths[~short] - np.uint8(64), v6.values[~short])
    return _table(
        _paint(v4.addresses.astype(np.uint64), v4.lengths, v4.values, 32), uppers, _paint_deep(longer, uppers)
    )


def table_of_networks(values: Iterable[tuple[Network, int]]) -> RangeTable:
    """`table_of` for the few networks that people write down; IPv4-mapped ones are unwrapped, as addresses are."""
    pairs = [(unwrap_network(network), value) for network, value in values]
    v4 = [(int(net.network_address), net.prefixlen, value) for net, value in pairs if net.version == 4]
    v6 = [(int(net.network_address), net.prefixlen, value) for net, value in pairs if net.version == 6]
    return table_of(
        V4Prefixes(
            np.array([address for address, _, _ in v4], np.uint64),
            np.array([length for _, length, _ in v4], np.uint8),
            np.array([value for _, _, value in v4], np.uint32),
        ),
        V6Prefixes(
            np.array([address >> 64 for address, _, _ in v6], np.uint64),
            np.array([address & (2**64 - 1) for address, _, _ in v6], np.uint64),
            np.array([length for _, length, _ in v6], np.uint8),
            np.array([value for _, _, value in v6], np.uint32),
        ),
    )


def merge(layers: Sequence[RangeTable]) -> tuple[RangeTable, list[tuple[int, ...]]]:
    """One table that answers for all *layers*: its numbers are positions in the returned list of theirs.

    Each combination that some address has is listed once; position 0 is all zeros, always. No layers is a bug.
    cost  0.7 s and 200 MB for 2.4 million rows; some 0.1 ms for each /64 with longer prefixes inside
    """
    uppers = sorted({upper for layer in layers for upper in layer.deep})
    parts = [[_v4_steps(layer) for layer in layers], [_v6_steps(layer) for layer in layers]]
    parts += [[_deep_steps(layer, upper) for layer in layers] for upper in uppers]
    starts = [union(*(steps.starts for steps in part)) for part in parts]
    columns = [
        np.concatenate([np.zeros(1, np.uint32), *(steps.spread(at) for steps, at in zip(layer, starts, strict=True))])
        for layer in zip(*parts, strict=True)
    ]
    numbers, combinations = _combine(columns)
    cuts = np.cumsum([1] + [len(at) for at in starts])
    v4, v6, *deep = [_Steps(at, part) for at, part in zip(starts, np.split(numbers, cuts)[1:-1], strict=True)]
    return _table(v4, v6, dict(zip(uppers, deep, strict=True))), combinations


class _Steps(NamedTuple):
    """A step function while it is built: `values[i]` holds from `starts[i]` on; sorted, the first start is 0."""

    starts: Numbers
    values: Values

    def at(self, numbers: Numbers) -> Values:
        return self.values[np.searchsorted(self.starts, numbers, side="right") - 1]

    def spread(self, starts: Numbers) -> Values:
        """Likewise for *starts* in order, all of its own among them."""
        cuts = np.append(np.searchsorted(starts, self.starts), len(starts))
        return np.repeat(self.values, np.diff(cuts))

    def folded(self) -> _Steps:
        """Without steps that change nothing; two neighbouring `DEEP` ones mean two functions."""
        keep = np.append(True, (self.values[1:] != self.values[:-1]) | (self.values[1:] == DEEP))
        return _Steps(self.starts[keep], self.values[keep])


def _steps(starts: array[int], values: array[int]) -> _Steps:
    return _Steps(np.frombuffer(starts, f"u{starts.itemsize}").astype(np.uint64), np.frombuffer(values, np.uint32))


def _v4_steps(table: RangeTable) -> _Steps:
    return _steps(table.v4_starts, table.v4_values)


def _v6_steps(table: RangeTable) -> _Steps:
    """Steps of the upper 64 bits; a deep /64 shows the value of its first address, a value that really occurs."""
    steps = _steps(table.v6_starts, table.v6_values)
    if not table.deep:
        return steps
    values = steps.values.copy()
    for row in np.flatnonzero(values == DEEP):
        values[row] = table.deep[int(steps.starts[row])][1][0]
    return _Steps(steps.starts, values)


def _deep_steps(table: RangeTable, upper: int) -> _Steps:
    if upper in table.deep:
        return _steps(*table.deep[upper])
    return _Steps(np.zeros(1, np.uint64), np.array([table.find_v6(upper, 0)], np.uint32))


_V4_SPANS = np.array([2 ** (32 - length) - 1 for length in range(33)], np.uint64)
_V6_SPANS = np.array([2 ** (64 - length) - 1 for length in range(65)], np.uint64)


def _paint(numbers: Numbers, lengths: Lengths, values: Values, bits: int, ground: int = 0) -> _Steps:
    """Steps of nested prefixes of *bits* bits; *ground* is what holds where there is no prefix."""
    spans = (_V4_SPANS if bits == 32 else _V6_SPANS)[lengths]
    firsts, lasts = numbers & ~spans, numbers | spans
    order = np.lexsort((lengths, firsts))
    starts, painted = paint(firsts[order], lasts[order], values[order], ground, 2**bits - 1)
    return _Steps(np.frombuffer(starts, np.uint64), np.frombuffer(painted, np.uint32))


def _paint_deep(prefixes: V6Prefixes, around: _Steps) -> dict[int, _Steps]:
    """Steps inside each /64 that has *prefixes* (their lengths counted from the 64th bit), over what is *around*."""
    order = np.argsort(prefixes.uppers, kind="stable")
    uppers, cuts = np.unique(prefixes.uppers[order], return_index=True)
    deep = {}
    for upper, base, rows in zip(uppers, around.at(uppers), np.split(order, cuts[1:]), strict=False):
        deep[int(upper)] = _paint(prefixes.lowers[rows], prefixes.lengths[rows], prefixes.values[rows], 64, int(base))
    return deep


def _combine(columns: Sequence[Values]) -> tuple[Values, list[tuple[int, ...]]]:
    """Number of each row's combination of *columns*, and the combinations by number. The first row is all zeros: its
    key is the smallest, so its number is 0."""
    keys = np.zeros(len(columns[0]), np.uint64)
    width = 1
    for column in columns:
        span = int(column.max()) + 1
        if width * span > 2**63:
            unique, inverse = np.unique(keys, return_inverse=True)
            keys, width = inverse.astype(np.uint64), len(unique)
        keys *= np.uint64(span)
        keys += column
        width *= span
    runs = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    _, first, inverse = np.unique(keys[runs], return_index=True, return_inverse=True)
    combinations = list(zip(*(column[runs[first]].tolist() for column in columns), strict=True))
    return np.repeat(inverse.astype(np.uint32), np.diff(np.append(runs, len(keys)))), combinations


def _table(v4: _Steps, v6: _Steps, deep: Mapping[int, _Steps]) -> RangeTable:
    """The finished table; what *v6* says about the uppers of *deep* does not count."""
    folded = {upper: steps.folded() for upper, steps in deep.items()}
    v6 = _with_values(
        v6, {upper: DEEP if len(steps.values) > 1 else int(steps.values[0]) for upper, steps in folded.items()}
    )
    v4, v6 = v4.folded(), v6.folded()
    return RangeTable(
        v4_starts=_array("I", v4.starts.astype(np.uint32)),
        v4_values=_array("I", v4.values),
        v4_slots=_slots(v4.starts, 32, V4_SLOT_BITS),
        v6_starts=_array("Q", v6.starts),
        v6_values=_array("I", v6.values),
        v6_slots=_slots(v6.starts, 64, V6_SLOT_BITS),
        deep={
            upper: (_array("Q", steps.starts), _array("I", steps.values))
            for upper, steps in folded.items()
            if len(steps.values) > 1
        },
    )


def _with_values(steps: _Steps, values: Mapping[int, int]) -> _Steps:
    """*steps* with other values at single numbers."""
    if not values:
        return steps
    numbers = np.array(sorted(values), np.uint64)
    after = numbers[numbers < 2**64 - 1] + np.uint64(1)
    starts = union(steps.starts, numbers, after)
    changed = steps.at(starts)
    changed[np.searchsorted(starts, numbers)] = [values[number] for number in numbers.tolist()]
    return _Steps(starts, changed)


def _slots(starts: Numbers, bits: int, slot_bits: int) -> array[int]:
    slot_of_start = (starts >> np.uint64(bits - slot_bits)).astype(np.intp)
    counts = np.bincount(slot_of_start, minlength=2**slot_bits)
    return _array("I", np.append(0, np.cumsum(counts)).astype(np.uint32))


def _array(code: str, column: npt.NDArray[np.unsignedinteger]) -> array[int]:
    numbers = array(code)
    numbers.frombytes(column.tobytes())
    return numbers

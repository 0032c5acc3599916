"""The list that all clients of one audience share, and from which each of them gets its own.

A `Lineup` is what hosts show for one host set, in the order of the audience: for clients in Germany the entries of
German hosts, then those of the continent. For each client a few are then moved: the host that is drawn for it comes
to the front of its tier (`draw`), and all others keep their places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redirector.answer.answer import Tier
from redirector.answer.choose.draw import draw
from redirector.answer.choose.groups import Group
from redirector.answer.choose.sheets import Sheet
from redirector.model import HostId
from redirector.snapshot.draws import KEY, keys_of, lone_head_of, tail_of

Reader = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Reads what some hosts have in a list by host id, in its order."""

_ENOUGH = 0.15
"""Share of a tier's weight that must be present for its table to be used: 24 of 25 clients find their head then."""

_ROUNDED = 1e-9
"""Likewise, for what is lost where weights are no whole numbers."""

_LINEUP_BYTES = 900
"""About what a line-up weighs besides 10 bytes for each host."""

LINE_BYTES = 500
"""About what a line weighs besides 20 bytes for each host, or 150 if each has a weight of its own."""


class Heads(NamedTuple):
    """Who comes first among some hosts.

    slots   slot -> host, as a character
    weight  of all of them together
    """

    slots: str
    weight: float


HeadFinder = Callable[[tuple[HostId, ...], bool], Heads]
"""Of some hosts, weighed evenly or by bandwidth."""


class Line:
    """The hosts of one tier in all their orders.

    hosts     in this order, where it is fixed
    is_drawn  it is not
    tail      reads the hosts in the order behind their heads
    cost      the table of heads is shared by all lines of a tier; a tail takes 10 bytes a host
    """

    __slots__ = (
        "_draws",
        "_find_heads",
        "_heads",
        "_is_even",
        "_weights",
        "_whole",
        "hosts",
        "is_drawn",
        "tail",
        "tier",
    )

    abroad: ClassVar[frozenset[HostId]] = frozenset()

    def __init__(self, group: Group, draws: NDArray[np.float32], find_heads: HeadFinder) -> None:
        self.tier = group.tier
        self.hosts = group.hosts
        self.is_drawn = group.weights is not None and len(group.hosts) > 1
        self._draws = draws
        self._find_heads = find_heads
        self._whole = group.whole
        self._is_even = group.is_even
        self._heads: Heads | None = None
        self._weights: dict[str, float] = {}
        hosts = group.hosts
        if group.weights is not None and self.is_drawn:
            if not group.is_even:
                self._weights.update(zip(map(chr, hosts), group.weights, strict=True))
            hosts = tuple(hosts[n] for n in tail_of(draws, hosts, group.weights))
        self.tail = _reader(hosts)

    def _weigh(self, present: str) -> list[float]:
        return [1] * len(present) if self._is_even else [*map(self._weights.__getitem__, present)]

    def heads(self, present: str) -> str:
        """A table of heads for those *present*: that of the whole tier, unless most draws from it would be in vain."""
        if self._heads is None:
            self._heads = self._find_heads(self._whole, self._is_even)
        if sum(self._weigh(present)) > self._heads.weight * _ENOUGH:
            return self._heads.slots
        return self._find_heads(tuple(HostId(ord(host)) for host in sorted(present)), self._is_even).slots

    def spare(self, present: str) -> int:
        """How many of those *present* may leave, whoever they are, and leave `heads` as it is: that many at least."""
        if self._heads is None:
            return 0
        weights = self._weigh(present)
        left = sum(weights) - self._heads.weight * (_ENOUGH + _ROUNDED)
        return max(0, int(left / max(weights)))

    def draw_alone(self, present: str, seed: int) -> str:
        """Who of those *present*, one at least, comes first when all draws from the table were in vain.

        cost  10 to 30 µs
        """
        return present[lone_head_of(self._draws, [*map(ord, present)], self._weigh(present), seed)]


class KeyedLine:
    """The hosts of a group that is drawn without a table: each client has a key for each host, made of both, and the
    smallest keys come first.

    That is a draw by weight, exact over many clients, in which a host that comes or goes leaves all others in their
    order; and no more than the weights need be known of a place, so a new one is cheap.

    hosts   heaviest first
    abroad  those that are not of the tier, but of the rest of the world
    """

    __slots__ = ("_keys", "abroad", "hosts", "is_drawn", "tail", "tier")

    def __init__(self, group: Group, names: Sequence[int], drawn: int) -> None:
        """*drawn*: how many places matter; behind them the heaviest host is next. cost: 8 µs for 12 hosts

        names  `name_bits` of all hosts
        """
        assert group.weights is not None
        self.tier = group.tier
        self.abroad = group.abroad
        self.hosts = group.hosts
        self.is_drawn = len(group.hosts) > 1
        self.tail = _reader(group.hosts)
        self._keys = keys_of(names, group.hosts, group.weights, drawn)

    def heads(self, present: str) -> bytes:
        """What `draw` needs of those *present*."""
        if len(present) == len(self.hosts):
            return self._keys
        size, keys = KEY.size, self._keys
        some = [position * size for position, host in enumerate(self.hosts, 1) if chr(host) in present]
        return keys[:size] + b"".join([keys[start : start + size] for start in some])

    def spare(self, present: str) -> int:
        """Nobody: the keys are those of all hosts that are there."""
        return 0

    def draw_alone(self, present: str, seed: int) -> str:
        raise AssertionError("a keyed line has no table that could lack a host")


AnyLine = Line | KeyedLine


def _reader(hosts: Sequence[HostId]) -> Reader:
    if len(hosts) > 1:
        reader: Reader = itemgetter(*hosts)
        return reader
    (host,) = hosts
    return lambda column: (column[host],)


@dataclass(frozen=True, slots=True)
class Order:
    """All orders of one audience.

    lines        nearest first; no host is in two of them
    length       how many hosts are listed; None: all
    origin       comes last, outside of *length*
    comment      the ranking's words for the comment line
    relaxed      wishes that could not be met
    has_reserve  the last line is the rest of the world, since so few are nearer
    """

    lines: tuple[AnyLine, ...]
    length: int | None = None
    origin: HostId | None = None
    comment: str = ""
    relaxed: tuple[str, ...] = ()
    has_reserve: bool = False


_Span = tuple[int, int, str | bytes, AnyLine]
"""See `draw`."""


@dataclass(frozen=True, slots=True)
class Lineup:
    """A sheet in all orders of one audience: its tail is kept, heads are moved to the front for each client.

    sheet        what hosts show
    hosts        those with something to show, as characters, in the tail's order
    tail         what they show
    spans        the parts of it whose first host is drawn; see `draw`
    tier         of the hosts that come first, but for those *abroad*
    comment      see `Order`; likewise *has_reserve*, *length*, *origin*
    size_bytes   about what it weighs
    """

    sheet: Sheet
    hosts: str
    tail: tuple[Any, ...]
    spans: tuple[_Span, ...]
    tier: Tier
    abroad: frozenset[HostId]
    comment: bytes
    has_reserve: bool
    length: int | None
    origin: HostId | None
    size_bytes: int

    @classmethod
    def of(cls, order: Order, sheet: Sheet) -> Lineup:
        """Line up *sheet* as *order* says. cost: 18 µs for 70 hosts"""
        spans: list[_Span] = []
        hosts = ""
        entries: list[Any] = []
        tier, abroad = (Tier.GLOBAL if order.origin is not None else Tier.NONE), frozenset[HostId]()
        for line in order.lines:
            some = "".join(line.tail(sheet.present))
            if not some:
                continue
            if not hosts:
                tier, abroad = line.tier, line.abroad
            if line.is_drawn and len(some) > 1:
                spans.append((len(hosts), len(hosts) + len(some), line.heads(some), line))
            hosts += some
            entries += filter(None, line.tail(sheet.entries))
            if order.length is not None and len(hosts) >= order.length:
                break
        comment = order.comment.encode()
        size_bytes = _LINEUP_BYTES + len(comment) + 10 * len(hosts)
        if order.length is not None or order.origin is not None:
            # There are so many places that its lines are nobody else's.
            size_bytes += sum(LINE_BYTES + 70 * len(line.hosts) for *_, line in spans)
        return cls(
            sheet,
            hosts,
            tuple(entries),
            tuple(spans),
            tier,
            abroad,
            comment,
            order.has_reserve,
            order.length,
            order.origin,
            size_bytes,
        )

    def behind(self, front: Lineup) -> Lineup:
        """The same behind *front*, which has the hosts of the client's own networks, of the same sheet.

        cost  4 µs, and 3 for each host that is in both
        """
        hosts, entries, spans = self.hosts, [*self.tail], [*self.spans]
        for host in front.hosts:
            at = hosts.find(host)
            if at >= 0:
                hosts = hosts[:at] + hosts[at + 1 :]
                del entries[at]
                spans = [span for each in spans if (span := _close_up(each, at, hosts)) is not None]
        before = len(front.hosts)
        moved = tuple([(start + before, stop + before, heads, line) for start, stop, heads, line in spans])
        return Lineup(
            sheet=self.sheet,
            hosts=front.hosts + hosts,
            tail=front.tail + tuple(entries),
            spans=front.spans + moved,
            tier=front.tier if before else self.tier,
            abroad=front.abroad if before else self.abroad,
            comment=front.comment + self.comment,
            has_reserve=self.has_reserve,
            length=self.length,
            origin=self.origin,
            size_bytes=front.size_bytes + self.size_bytes,
        )

    def tier_of(self, first: HostId | None) -> Tier:
        """The tier of whoever comes first."""
        return Tier.GLOBAL if first in self.abroad else self.tier

    def read(self, seed: int) -> tuple[list[Any], HostId | None]:
        """The entries in the order of *seed*, as a new list, and who comes first; None: nobody has anything to show.

        cost  0.5 µs for two lines with 70 hosts, in C
        """
        entries, first = draw(self.tail, self.hosts, self.spans, seed)
        if self.length is not None:
            del entries[self.length :]
        if self.origin is not None and (entry := self.sheet.entries[self.origin]) is not None:
            entries.append(entry)
            first = self.origin if first is None else first
        return entries, first


def _close_up(span: _Span, at: int, hosts: str) -> _Span | None:
    """The span after the host at *at* has left, and *hosts* remained; None when nothing is left to draw."""
    start, stop, heads, line = span
    if at >= stop:
        return span
    if at < start:
        return start - 1, stop - 1, heads, line
    return (start, stop - 1, line.heads(hosts[start : stop - 1]), line) if stop - start > 2 else None

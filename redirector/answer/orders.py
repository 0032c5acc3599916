"""Who stands before whom: the order belongs to the client, the content to the directory.

An `Order` is drawn for an audience over all hosts there are; a *sheet* holds what each host has to show for one
directory, by host id, None for hosts that do not carry it. A list is the order read off the sheet: one `itemgetter`
and one `filter` for each tier, both in C, and nothing that grows with the number of directories.

Each tier has a head and a tail (see `draws`). The head is drawn over the whole tier by a table of slots; where that
host has nothing on the sheet, the next bits of the seed draw again, which leaves the shares of the others exact.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from redirector.answer.answer import Tier
from redirector.answer.pool import Pool
from redirector.answer.rank import Group, Ranking, Reason, is_disallowed, network_words, place_words, rank
from redirector.answer.wishes import NO_WISHES
from redirector.model import HostId, HostSetId
from redirector.snapshot.audiences import Audience
from redirector.snapshot.draws import SLOT_BITS, SLOTS, heads_of, lone_head_of, tails_of
from redirector.snapshot.snapshot import Snapshot

T = TypeVar("T")
Reader = Callable[[Sequence[object]], tuple[object, ...]]
"""Reads the entries of some hosts off a sheet, in its order."""

_TRIES = tuple(range(0, 4 * SLOT_BITS, SLOT_BITS))
"""Where the bits of a seed begin that pick a slot, one try after the other."""

_TAIL_BITS = 4 * SLOT_BITS
"""Where the bits begin that pick a tail."""

GLOBAL_WORDS = "country = global "


class Line:
    """The hosts of one tier in all their orders.

    cost  the table of heads is shared by all lines of a tier; a tail takes 10 bytes a host, and 20 µs when first drawn
    """

    __slots__ = ("_draws", "_heads", "_members", "_tails", "_weights", "hosts", "tier")

    def __init__(
        self,
        group: Group,
        heads: array[int] | None,
        draws: NDArray[np.float32],
        tails: int,
    ) -> None:
        """Line up *group*.

        heads    slot -> host, over the whole tier; None: the order is fixed
        tails    how many are drawn from
        """
        self.tier = group.tier
        self.hosts = group.hosts
        self._weights = group.weights or ()
        self._heads = heads
        self._members = frozenset(group.hosts) if heads is not None and len(group.whole) != len(group.hosts) else None
        self._draws = draws
        self._tails: list[Reader | None] = [None] * (1 if heads is None else tails)

    def read(self, sheet: list[T | None], seed: int, entries: list[T]) -> HostId | None:
        """Append what the hosts on *sheet* show to *entries*, in the order of *seed*; returns the first of them.

        sheet  is written to and restored
        cost   0.6 µs, and 15 ns a host
        """
        head = self._head(sheet, seed)
        if head is not None:
            entry = sheet[head]
            sheet[head] = None
            entries.append(entry)  # type: ignore[arg-type]  # a head has something to show
            number = (seed >> _TAIL_BITS) % len(self._tails)
            tail = self._tails[number] or self._draw_tail(number)
            entries += filter(None, tail(sheet))  # type: ignore[arg-type]
            sheet[head] = entry
        return head

    def _head(self, sheet: Sequence[object], seed: int) -> HostId | None:
        """Who comes first of those with something on *sheet*; None: nobody has."""
        heads, members = self._heads, self._members
        if heads is None:
            return next((host for host in self.hosts if sheet[host] is not None), None)
        for shift in _TRIES:
            host = HostId(heads[(seed >> shift) % SLOTS])
            if sheet[host] is not None and (members is None or host in members):
                return host
        present = [n for n, host in enumerate(self.hosts) if sheet[host] is not None]
        if not present:
            return None
        weights = [self._weights[n] for n in present]
        return self.hosts[present[lone_head_of(self._draws, [self.hosts[n] for n in present], weights, seed)]]

    def _draw_tail(self, number: int) -> Reader:
        hosts = self.hosts
        if self._heads is not None:
            hosts = tuple(hosts[n] for n in tails_of(self._draws, hosts, self._weights, number))
        reader = itemgetter(*hosts) if len(hosts) > 1 else _read_nothing
        self._tails[number] = reader
        return reader


def _read_nothing(_: Sequence[object]) -> tuple[object, ...]:
    """The tail of a line with one host."""
    return ()


@dataclass(frozen=True, slots=True)
class Order:
    """All orders of one audience.

    lines     nearest first; no host is in two
    reserve   follows if fewer than *minimum* hosts of the lines have something to show; None: there is none
    length    how many hosts are listed; None: all
    origin    comes last, outside of *length*
    comment   the words of the comment line; None: they depend on the directory, see `Orders.words`
    relaxed   wishes that could not be met
    """

    audience: Audience
    lines: tuple[Line, ...]
    reserve: Line | None = None
    minimum: int = 0
    length: int | None = None
    origin: HostId | None = None
    comment: str | None = None
    relaxed: tuple[str, ...] = ()

    def read(self, sheet: list[T | None], seed: int) -> tuple[list[T], HostId | None, Tier, bool]:
        """What the hosts on *sheet* show, in the order of *seed*; the first host, its tier; whether *reserve* was due.

        sheet  is written to and restored
        seed   64 bits: four times ten for heads, the next ones for the tail
        """
        entries: list[T] = []
        first: HostId | None = None
        tier = Tier.NONE
        for line in self.lines:
            head = line.read(sheet, seed, entries)
            if first is None and head is not None:
                first, tier = head, line.tier
        reserved = len(entries) < self.minimum
        if self.reserve is not None and reserved:
            head = self.reserve.read(sheet, seed, entries)
            if first is None and head is not None:
                first, tier = head, Tier.GLOBAL
        if self.length is not None:
            del entries[self.length :]
        if self.origin is not None and (last := sheet[self.origin]) is not None:
            entries.append(last)
            if first is None:
                first, tier = self.origin, Tier.GLOBAL
        return entries, first, tier, reserved


class Orders:
    """The orders of a snapshot that a worker keeps, bounded, and what they are made of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        limit = snapshot.pool_bytes
        self.pool: Pool[Order] = Pool(limit // 4, lambda order: 600 + 200 * len(order.lines))
        self._lines: Pool[Line] = Pool(limit // 2, lambda line: 300 + 10 * len(line.hosts) * snapshot.tails)
        self._heads: Pool[array[int]] = Pool(limit // 8, lambda heads: 2 * len(heads) + 400)
        self._words: Pool[str] = Pool(limit // 8, lambda words: len(words) + 200)

    def find(self, host_set: HostSetId, audience: int, family: int) -> Order:
        """The order of everybody without wishes in *audience*, for *host_set*.

        family  4 or 6, or 0 where no host is known to serve one alone
        cost    0.2 µs; 100 µs when it is new, 300 µs more for each tier that nobody asked for before
        """
        snapshot = self._snapshot
        regular = host_set in snapshot.regular
        key = (audience * (len(snapshot.host_sets) + 1) + (0 if regular else host_set + 1)) * 8 + family
        order = self.pool.find(key)
        if order is None:
            order = self._shared(audience, family) if regular else self._own(host_set, audience, family)
            self.pool.keep(key, order)
        return order

    def of(self, ranking: Ranking, audience: Audience) -> Order:
        """The order of a ranking made for one host set."""
        return Order(
            audience=audience,
            lines=tuple(self._line(group) for group in ranking.groups),
            length=ranking.length,
            origin=ranking.origin,
            comment=ranking.comment,
            relaxed=ranking.relaxed if self._snapshot.policy.relax else (),
        )

    def _own(self, host_set: HostSetId, audience: int, family: int) -> Order:
        snapshot = self._snapshot
        who = snapshot.audiences.audience(audience)
        return self.of(rank(snapshot, snapshot.host_sets[host_set], who, NO_WISHES, family or None), who)

    def _shared(self, audience: int, family: int) -> Order:
        """The order over all hosts, for every regular host set."""
        snapshot = self._snapshot
        who = snapshot.audiences.audience(audience)
        ranking = rank(snapshot, snapshot.everybody, who, NO_WISHES, family or None)
        left_over = [host for host in snapshot.everybody.public if ranking.dropped.get(host) is Reason.FAR]
        if not snapshot.policy.allowed_everywhere:
            left_over = [host for host in left_over if not is_disallowed(snapshot, host, who.country)]
        lines = [self._line(group) for group in ranking.groups if group.tier is not Tier.GLOBAL]
        reserve = [group for group in ranking.groups if group.tier is Tier.GLOBAL]
        if left_over and not reserve:
            weights = tuple(snapshot.hosts[host].bandwidth_mbit for host in left_over)
            reserve = [Group(Tier.GLOBAL, tuple(left_over), weights, snapshot.everybody.public)]
        return Order(who, tuple(lines), self._line(reserve[0]) if reserve else None, snapshot.minimum)

    def words(self, order: Order, host_set: HostSetId, reserved: bool) -> str:
        """The words of the comment line for *order* read off the sheet of *host_set*.

        reserved  the reserve was needed
        """
        if order.comment is not None:
            return order.comment
        snapshot, audience = self._snapshot, order.audience
        carriers = snapshot.host_sets[host_set]
        words = ""
        if audience.netblocks or audience.asn_hosts:
            around = [(Tier.NETBLOCK, hosts) for _, hosts in audience.netblocks] + [(Tier.ASN, audience.asn_hosts)]
            carrying = [(tier, [host for host in hosts if host in carriers.urls]) for tier, hosts in around]
            words = network_words(snapshot, audience, carrying)
        key = (host_set, audience.country)
        places = self._words.find(key)
        if places is None:
            places = self._words.keep(key, place_words(snapshot, carriers, audience.country))
        return words + places + (GLOBAL_WORDS if reserved else "")

    def _line(self, group: Group) -> Line:
        """The line of a group, shared by all audiences that have it."""
        key = (group.tier, group.hosts, group.weights, group.whole)
        line = self._lines.find(key)
        if line is None:
            heads = None if group.weights is None or len(group.hosts) == 1 else self._heads_of(group)
            line = self._lines.keep(key, Line(group, heads, self._snapshot.draws, self._snapshot.tails))
        return line

    def _heads_of(self, group: Group) -> array[int]:
        """The table of heads of a whole tier."""
        is_even = group.weights is not None and set(group.weights) == {1}
        key = (group.whole, is_even)
        heads = self._heads.find(key)
        if heads is None:
            facts = self._snapshot.hosts
            weights = [1 if is_even else facts[host].bandwidth_mbit for host in group.whole]
            places = heads_of(self._snapshot.draws, group.whole, weights)
            heads = self._heads.keep(key, array("H", (group.whole[place] for place in places)))
        return heads

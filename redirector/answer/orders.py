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
from itertools import islice
from operator import itemgetter
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from redirector.answer.answer import Tier
from redirector.answer.pool import Pool
from redirector.answer.rank import Group, Ranking, Reason, is_disallowed, network_words, place_words, rank
from redirector.answer.wishes import NO_WISHES
from redirector.model import HostId, HostSetId
from redirector.snapshot.audiences import Audience
from redirector.snapshot.draws import SLOTS, heads_of, lone_head_of, tails_of
from redirector.snapshot.snapshot import Snapshot

T = TypeVar("T")
Reader = Callable[[Sequence[object]], tuple[object, ...]]
"""Reads the entries of some hosts off a sheet, in its order."""

_TRIES = (0, 10, 20, 30, 40, 5, 15, 25, 35, 45)
"""Where the ten bits of a seed begin that pick a slot, one try after the other: a directory that a third of a tier
carries finds its head in 98 of 100 cases."""

_TAIL_BITS = 54
"""Where the bits begin that pick a tail."""

MAX_WARM = 2000
"""How many orders are drawn beforehand; where clients have coordinates there may be a hundred times as many."""

GLOBAL_WORDS = "country = global "


class Line:
    """The hosts of one tier in all their orders.

    cost  the table of heads is shared by all lines of a tier; a tail takes 10 bytes a host, and 20 µs when first drawn
    """

    __slots__ = ("_draws", "_limit", "_weights", "barred", "heads", "hosts", "tails", "tier")

    def __init__(
        self,
        group: Group,
        heads: Sequence[HostId] | None,
        draws: NDArray[np.float32],
        tails: int,
        limit: int | None = None,
    ) -> None:
        """Line up *group*.

        heads    slot -> host, over the whole tier; None: the order is fixed
        tails    how many are drawn from
        limit    how far a tail is read; None: to its end
        """
        self._limit = limit
        self.tier = group.tier
        self.hosts = group.hosts
        self._weights = group.weights or ()
        self.heads = heads
        barred = frozenset(group.whole).difference(group.hosts) if len(group.whole) != len(group.hosts) else None
        self.barred = barred if heads is not None else None
        self._draws = draws
        self.tails: list[Reader | None] = [None] * (1 if heads is None else tails)

    def head(self, sheet: Sequence[object], seed: int) -> HostId | None:
        """Who comes first of those with something on *sheet*; None: nobody has. cost: 0.3 µs"""
        heads, barred = self.heads, self.barred
        if heads is None:
            return next((host for host in self.hosts if sheet[host] is not None), None)
        for shift in _TRIES:
            host = heads[(seed >> shift) % SLOTS]
            if sheet[host] is not None and (barred is None or host not in barred):
                return host
        present = [n for n, host in enumerate(self.hosts) if sheet[host] is not None]
        if len(present) < 2:
            return self.hosts[present[0]] if present else None
        weights = [self._weights[n] for n in present]
        return self.hosts[present[lone_head_of(self._draws, [self.hosts[n] for n in present], weights, seed)]]

    def draw_tail(self, number: int) -> Reader:
        """Make what reads all hosts off a sheet in the order of a tail."""
        hosts = self.hosts
        if self.heads is not None:
            hosts = tuple(hosts[n] for n in tails_of(self._draws, hosts, self._weights, number))
        reader: Reader = itemgetter(*hosts[: self._limit]) if len(hosts) > 1 else _read_nothing
        self.tails[number] = reader
        return reader


def _read_nothing(_: Sequence[object]) -> tuple[object, ...]:
    """The tail of a line with one host."""
    return ()


@dataclass(frozen=True, slots=True)
class Order:
    """All orders of one audience.

    lines     nearest first
    near      how many of them are of the client's own network; their hosts may be in later lines too
    length    how many hosts are listed; None: all
    origin    comes last, outside of *length*
    comment   the ranking's words for the comment line
    relaxed   wishes that could not be met
    """

    lines: tuple[Line, ...]
    near: int = 0
    length: int | None = None
    origin: HostId | None = None
    comment: str = ""
    relaxed: tuple[str, ...] = ()

    def read(self, sheet: list[T | None], seed: int) -> tuple[list[T], HostId | None, Tier]:
        """What the hosts on *sheet* show, in the order of *seed*; the first host, and its tier.

        sheet  is written to and restored
        seed   64 bits: ten at a time for heads, the highest ten for the tail
        cost   4 µs for 110 hosts of which 70 have something to show
        """
        entries: list[T] = []
        first, tier = None, Tier.NONE
        tail_bits = seed >> _TAIL_BITS
        taken: list[tuple[HostId, T | None]] = []
        for place, line in enumerate(self.lines):
            heads = line.heads
            if heads is None or line.barred is not None:
                head = line.head(sheet, seed)
            elif sheet[heads[seed % SLOTS]] is not None:
                head = heads[seed % SLOTS]
            elif sheet[heads[(seed >> 10) % SLOTS]] is not None:
                head = heads[(seed >> 10) % SLOTS]
            else:
                head = line.head(sheet, seed)
            if head is None:
                continue
            if first is None:
                first, tier = head, line.tier
            entry = sheet[head]
            sheet[head] = None
            entries.append(entry)  # type: ignore[arg-type]  # a head has something to show
            tails = line.tails
            number = tail_bits % len(tails)
            entries += filter(None, (tails[number] or line.draw_tail(number))(sheet))  # type: ignore[arg-type]
            sheet[head] = entry
            if place < self.near:
                taken += [(host, sheet[host]) for host in line.hosts]
                for host in line.hosts:
                    sheet[host] = None
        for host, entry in reversed(taken):
            sheet[host] = entry
        if self.length is not None:
            del entries[self.length :]
        if self.origin is not None and (last := sheet[self.origin]) is not None:
            entries.append(last)
            if first is None:
                first, tier = self.origin, Tier.GLOBAL
        return entries, first, tier


@dataclass(frozen=True, slots=True)
class _Places:
    """What all audiences of one country share, for all regular host sets; *reserve*: the rest of the world."""

    lines: tuple[Line, ...]
    reserve: Line | None


class Orders:
    """The orders of a snapshot that a worker keeps, bounded, and what they are made of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        limit = snapshot.pool_bytes
        self.pool: Pool[Order] = Pool(limit // 2, lambda order: 500 + len(order.comment))
        self._words: Pool[str] = Pool(limit // 16, lambda words: 200 + len(words))
        self._places: dict[str | None, _Places] = {}
        self._lines: Pool[Line] = Pool(limit // 4, lambda line: 300 + 10 * len(line.hosts) * snapshot.tails)
        self._heads: Pool[array[int]] = Pool(limit // 8, lambda heads: 2 * len(heads) + 400)

    def warm(self) -> None:
        """Draw beforehand what most clients need: workers that are forked afterwards share it.

        cost  0.4 s for 230 countries
        """
        snapshot = self._snapshot
        if snapshot.regular:
            for country in (None, *snapshot.countries):
                self._find_places(country)
        elif len(snapshot.audiences.combinations) * len(snapshot.host_sets) <= MAX_WARM:
            for audience in range(len(snapshot.audiences.combinations)):
                for host_set in range(len(snapshot.host_sets)):
                    self.find(HostSetId(host_set), audience, 0)

    def find(self, host_set: HostSetId, audience: int, family: int) -> Order:
        """The order of everybody without wishes in *audience*, for *host_set*.

        family  4 or 6, or 0 where no host is known to serve one alone
        cost    0.2 µs; 5 µs when it is new, and 300 µs for each tier that nobody asked for before
        """
        key = (audience * len(self._snapshot.host_sets) + host_set) * 8 + family
        order = self.pool.find(key)
        if order is None:
            if host_set in self._snapshot.regular:
                order = self._join(host_set, audience)
            else:
                order = self._own(host_set, audience, family)
            self.pool.keep(key, order)
        return order

    def of(self, ranking: Ranking, limit: int | None = None) -> Order:
        """The order of a ranking made for one host set; *limit*: how far tails are read, None: to their ends."""
        return Order(
            lines=tuple(self._line(group, limit) for group in ranking.groups),
            length=ranking.length,
            origin=ranking.origin,
            comment=ranking.comment,
            relaxed=ranking.relaxed if self._snapshot.policy.relax else (),
        )

    def _own(self, host_set: HostSetId, audience: int, family: int) -> Order:
        snapshot = self._snapshot
        who = snapshot.audiences.audience(audience)
        carriers = snapshot.host_sets[host_set]
        ranking = rank(snapshot, carriers, who, NO_WISHES, family or None)
        listed = (host for group in ranking.groups for host in group.hosts)
        if ranking.length is None or not all(carriers.urls[host][0].startswith(("https:", "http:")) for host in listed):
            return self.of(ranking)
        return self.of(ranking, max(ranking.length + 1, 2))

    def _find_places(self, country: str | None) -> _Places:
        places = self._places.get(country)
        if places is None:
            places = self._places[country] = self._rank_everybody(country)
        return places

    def _rank_everybody(self, country: str | None) -> _Places:
        snapshot = self._snapshot
        ranking = rank(snapshot, snapshot.everybody, Audience(country))
        left_over = [host for host in snapshot.everybody.public if ranking.dropped.get(host) is Reason.FAR]
        if not snapshot.policy.allowed_everywhere:
            left_over = [host for host in left_over if not is_disallowed(snapshot, host, country)]
        lines = [self._line(group) for group in ranking.groups if group.tier is not Tier.GLOBAL]
        reserve = [group for group in ranking.groups if group.tier is Tier.GLOBAL]
        if left_over and not reserve:
            weights = tuple(snapshot.hosts[host].bandwidth_mbit for host in left_over)
            reserve = [Group(Tier.GLOBAL, tuple(left_over), weights, snapshot.everybody.public)]
        return _Places(tuple(lines), self._line(reserve[0]) if reserve else None)

    def _join(self, host_set: HostSetId, number: int) -> Order:
        """The order of an audience for one regular host set: with the reserve if few of its hosts are in the lines."""
        snapshot = self._snapshot
        audience, carriers = snapshot.audiences.audience(number), snapshot.host_sets[host_set]
        places = self._find_places(audience.country)
        key = (host_set, audience.country)
        comment = self._words.find(key)
        if comment is None:
            comment = self._words.keep(key, place_words(snapshot, carriers, audience.country))
        near: list[Line] = []
        if audience.netblocks or audience.asn_hosts:
            around = [(Tier.NETBLOCK, hosts) for _, hosts in audience.netblocks] + [(Tier.ASN, audience.asn_hosts)]
            carrying = [(tier, tuple(host for host in hosts if host in carriers.urls)) for tier, hosts in around]
            comment = network_words(snapshot, audience, carrying) + comment
            near = [self._line(Group(tier, hosts, (1,) * len(hosts), hosts)) for tier, hosts in carrying if hosts]
        present = {host for line in near for host in line.hosts}
        for line in places.lines:
            if len(present) < snapshot.minimum:
                present.update(islice((host for host in line.hosts if host in carriers.urls), snapshot.minimum * 2))
        lines = (*near, *places.lines)
        if len(present) < snapshot.minimum:
            comment += GLOBAL_WORDS
            lines += (places.reserve,) if places.reserve else ()
        return Order(lines, len(near), comment=comment)

    def _line(self, group: Group, limit: int | None = None) -> Line:
        """The line of a group, shared by all audiences that have it."""
        key = (group.tier, group.hosts, group.weights, group.whole, limit)
        line = self._lines.find(key)
        if line is None:
            heads = None if group.weights is None or len(group.hosts) == 1 else self._heads_of(group)
            line = self._lines.keep(key, Line(group, heads, self._snapshot.draws, self._snapshot.tails, limit))
        return line

    def _heads_of(self, group: Group) -> Sequence[HostId]:
        """The table of heads of a whole tier."""
        is_even = group.weights is not None and set(group.weights) == {1}
        key = (group.whole, is_even)
        heads = self._heads.find(key)
        if heads is None:
            facts = self._snapshot.hosts
            weights = [1 if is_even else facts[host].bandwidth_mbit for host in group.whole]
            places = heads_of(self._snapshot.draws, group.whole, weights)
            heads = self._heads.keep(key, array("H", (group.whole[place] for place in places)))
        return cast(Sequence[HostId], heads)

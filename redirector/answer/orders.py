"""Who stands before whom: the order belongs to the client, the content to the directory.

An `Order` is drawn for an audience over all hosts there are; a *sheet* holds what each host has to show for one
directory. The order of a tier has a head and a tail (see `draws`). A `Lineup` is a sheet read in the order of the
tails, which all clients of an audience share; what is left to do for each of them is to move its heads to the front.

A head is drawn over the whole tier by a table of slots; where that host has nothing on the sheet, the next bits of the
seed draw again, which leaves the shares of the others exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redirector.answer.answer import Form, Tier
from redirector.answer.nearest import Field, Group
from redirector.answer.pool import Pool
from redirector.answer.rank import (
    Ranking,
    Reason,
    is_disallowed,
    network_words,
    networks_of,
    place_words,
    rank,
    strangers_of,
)
from redirector.answer.sheets import Sheet, Sheets
from redirector.answer.wishes import NO_WISHES
from redirector.model import HostId, HostSetId
from redirector.snapshot.audiences import Audience
from redirector.snapshot.draws import SLOTS, heads_of, lone_head_of, tail_of
from redirector.snapshot.snapshot import Snapshot

Reader = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Reads what some hosts have in a list by host id, in its order."""

_TRIES = (0, 10, 20, 30, 40, 5, 15, 25, 35, 45)
"""Where the ten bits of a seed begin that pick a slot, one try after the other."""

_FIRST_BITS = (1 << 30) - 1
"""Those of the first two tries, and of the second place: numbers as small as this are reckoned with faster."""

_ENOUGH = 0.15
"""Share of a tier's weight that must be present for its table to be used: four of five clients find their head then."""

_LINEUP_BYTES = 900
"""About what a line-up weighs besides 10 bytes for each host."""

_LINE_BYTES = 500
"""About what a line weighs besides 20 bytes for each host, or 150 if each has a weight of its own."""

MAX_WARM = 12_000
"""How many line-ups are made beforehand."""

GLOBAL_WORDS = "country = global "


class Heads(NamedTuple):
    """Who comes first among some hosts.

    slots   slot -> host, as a character
    weight  of all of them together
    """

    slots: str
    weight: int


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
        "_weights",
        "_whole",
        "hosts",
        "is_drawn",
        "tail",
        "tier",
    )

    def __init__(self, group: Group, draws: NDArray[np.float32], find_heads: HeadFinder) -> None:
        self.tier = group.tier
        self.hosts = group.hosts
        self.is_drawn = group.weights is not None and len(group.hosts) > 1
        self._draws = draws
        self._find_heads = find_heads
        self._whole = group.whole
        self._heads: Heads | None = None
        self._weights: dict[str, int] = {}
        hosts = group.hosts
        if group.weights is not None and self.is_drawn:
            if set(group.weights) != {1}:
                self._weights.update(zip(map(chr, hosts), group.weights, strict=True))
            hosts = tuple(hosts[n] for n in tail_of(draws, hosts, group.weights))
        self.tail = _reader(hosts)

    def _weigh(self, present: str) -> list[int]:
        return [self._weights[host] for host in present] if self._weights else [1] * len(present)

    def heads(self, present: str) -> str:
        """A table of heads for those *present*: that of the whole tier, unless most draws from it would be in vain."""
        is_even = not self._weights
        if self._heads is None:
            self._heads = self._find_heads(self._whole, is_even)
        if sum(self._weigh(present)) > self._heads.weight * _ENOUGH:
            return self._heads.slots
        return self._find_heads(tuple(HostId(ord(host)) for host in sorted(present)), is_even).slots

    def draw_head(self, heads: str, present: str, seed: int) -> str:
        """Who of those *present*, one at least, comes first, if the first draws from *heads* were in vain.

        cost  1 µs; 10 to 30 µs for the few whose draws are all in vain
        """
        for shift in _TRIES:
            head = heads[(seed >> shift) % SLOTS]
            if head in present:
                return head
        return present[lone_head_of(self._draws, [*map(ord, present)], self._weigh(present), seed)]


def _reader(hosts: Sequence[HostId]) -> Reader:
    if len(hosts) > 1:
        reader: Reader = itemgetter(*hosts)
        return reader
    (host,) = hosts
    return lambda column: (column[host],)


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


class Lineup:
    """A sheet in all orders of one audience: its tail is kept, heads are moved to the front for each client.

    tier        of the hosts that come first
    comment     see `Order`
    marked      see `Sheet`
    size_bytes  about what it weighs
    """

    __slots__ = (
        "_hosts",
        "_length",
        "_origin",
        "_sheet",
        "_spans",
        "_tail",
        "comment",
        "is_short",
        "marked",
        "size_bytes",
        "tier",
    )

    def __init__(self, order: Order, sheet: Sheet) -> None:
        """Line up *sheet* as *order* says. cost: 18 µs for 70 hosts"""
        self._length = order.length
        self._origin = order.origin
        self._sheet = sheet
        self.comment = order.comment.encode()
        self.marked = sheet.marked
        self.is_short = order.length is not None or order.origin is not None
        spans: list[tuple[int, int, str, Line]] = []
        hosts, near = "", ""
        entries: list[Any] = []
        self.tier = Tier.GLOBAL if order.origin is not None else Tier.NONE
        for place, line in enumerate(order.lines):
            some, shown = "".join(line.tail(sheet.present)), [*filter(None, line.tail(sheet.entries))]
            for host in near:
                at = some.find(host)
                if at >= 0:
                    some, shown[at : at + 1] = some[:at] + some[at + 1 :], []
            if not some:
                continue
            if not hosts:
                self.tier = line.tier
            if line.is_drawn and len(some) > 1:
                spans.append((len(hosts), len(hosts) + len(some), line.heads(some), line))
            hosts += some
            entries += shown
            if place < order.near:
                near = hosts
            if order.length is not None and len(hosts) >= order.length:
                break
        self._hosts = hosts
        self._tail = tuple(entries)
        self._spans = tuple(spans)
        self.size_bytes = _LINEUP_BYTES + len(self.comment) + 10 * len(hosts)
        if self.is_short:  # there are so many places that its lines are nobody else's
            self.size_bytes += sum(_LINE_BYTES + 20 * len(line.hosts) for *_, line in spans)

    def read(self, seed: int) -> tuple[list[Any], HostId | None]:
        """The entries in the order of *seed*, as a new list, and who comes first; None: nobody has anything to show.

        seed  64 bits: ten at a time for heads
        cost  2 µs for two lines with 70 hosts
        """
        hosts, entries = self._hosts, [*self._tail]
        find, first = hosts.find, hosts[:1]
        bits = seed & _FIRST_BITS
        slot = bits % SLOTS
        for start, stop, heads, line in self._spans:
            at = find(heads[slot], start, stop)
            if at < 0:
                at = find(heads[(bits >> 10) % SLOTS], start, stop)
                if at < 0:
                    at = find(line.draw_head(heads, hosts[start:stop], seed), start, stop)
            entry = entries.pop(at)
            if not start:
                first = hosts[at]
                # Clients that fetch from several hosts at once use the second one as much.
                following = find(heads[bits >> 20], 0, stop)
                if following == at:
                    following = find(heads[(seed >> 30) % SLOTS], 0, stop)
                if following > at:
                    entries.insert(0, entries.pop(following - 1))
                elif 0 <= following < at:
                    entries.insert(0, entries.pop(following))
            entries.insert(start, entry)
        if self.is_short:
            return self._end(entries, first)
        return entries, ord(first) if first else None  # type: ignore[return-value]  # a call of HostId costs 0.1 µs

    def _end(self, entries: list[Any], first: str) -> tuple[list[Any], HostId | None]:
        """Cut *entries* to their length, and append the origin's."""
        if self._length is not None:
            del entries[self._length :]
        if self._origin is not None and (entry := self._sheet.entries[self._origin]) is not None:
            entries.append(entry)
            first = first or chr(self._origin)
        return entries, HostId(ord(first)) if first else None


@dataclass(frozen=True, slots=True)
class _Places:
    """What all audiences of one country share, for all regular host sets; *reserve*: the rest of the world."""

    lines: tuple[Line, ...]
    reserve: Line | None


class Orders:
    """The orders of a snapshot that a worker keeps, bounded, and what they are made of."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._count = len(snapshot.host_sets)
        self._numbers = {tuple(each): number for number, each in enumerate(snapshot.audiences.combinations)}
        self.sheets = Sheets(snapshot)
        limit = snapshot.pool_bytes
        self.pool: Pool[Lineup] = Pool(limit * 3 // 4, lambda lineup: lineup.size_bytes)
        self._fields: dict[tuple[HostSetId, int], tuple[Field, HostId | None]] = {}
        self._words: Pool[str] = Pool(limit // 16, lambda words: 200 + len(words))
        self._places: dict[str | None, _Places] = {}
        self._lines: Pool[Line] = Pool(limit // 8, lambda line: _LINE_BYTES + 150 * len(line.hosts))
        self._heads: Pool[Heads] = Pool(limit // 16, lambda heads: 2 * len(heads.slots) + 300)

    def warm(self, asked: Mapping[tuple[HostSetId, Form], int]) -> None:
        """Line up beforehand what most clients need: workers that are forked afterwards share it.

        asked  how often each host set is asked for in each form, in proportion
        cost   1 s, and at most half of what line-ups may take
        """
        snapshot = self._snapshot
        if snapshot.families_known:
            return
        sizes = snapshot.audiences.sizes()
        pairs = ((times * size, sheet, audience) for sheet, times in asked.items() for audience, size in sizes.items())
        for _, (host_set, form), audience in nlargest(MAX_WARM, pairs):
            if self.pool.is_half_full:
                return
            self.line_up(host_set, form, audience, 0)

    def find(self, host_set: HostSetId, audience: int, family: int) -> Order:
        """The order of everybody without wishes in *audience*, for *host_set*.

        family  4 or 6, or 0 where no host is known to serve one alone
        cost    7 µs, by distance 50 µs; 20 µs for each new line
        """
        if host_set in self._snapshot.regular:
            return self._join(host_set, audience)
        return self._own(host_set, audience, family)

    def line_up(self, host_set: HostSetId, form: Form, audience: int, family: int) -> Lineup:
        """What everybody without wishes in *audience* is shown; *family* as for `find`.

        cost  0.3 µs; when it is new 30 µs, by distance 80 µs, and 300 µs for each tier that nobody asked for before
        """
        key = ((audience * self._count + host_set) * 8 + family) * 4 + form
        return self.pool.young.get(key) or self.pool.find(key) or self._line_up(key, host_set, form, audience, family)

    def _line_up(self, key: int, host_set: HostSetId, form: Form, audience: int, family: int) -> Lineup:
        plain = self._off_networks(host_set, audience)
        if plain != audience:
            return self.line_up(host_set, form, plain, family)
        order = self.find(host_set, audience, family)
        lineup = Lineup(order, self.sheets.find(host_set, form))
        return lineup if order.near else self.pool.keep(key, lineup)  # there are thousands of networks with few clients

    def _off_networks(self, host_set: HostSetId, audience: int) -> int:
        """The audience of the same place off all hosts' networks, if none of these hosts is in *host_set*."""
        snapshot = self._snapshot
        location, override, netblocks, asn = snapshot.audiences.combinations[audience]
        if not (netblocks or asn) or not (snapshot.policy.relax and host_set in snapshot.regular):
            return audience
        who = snapshot.audiences.audience(audience)
        if any(hosts for _, hosts in networks_of(who, snapshot.host_sets[host_set].urls)):
            return audience
        return self._numbers.get((location, override, 0, 0), audience)

    def of(self, ranking: Ranking) -> Order:
        """The order of a ranking made for one host set."""
        return Order(
            lines=tuple(map(self._line, ranking.groups)),
            length=ranking.length,
            origin=ranking.origin,
            comment=ranking.comment,
            relaxed=ranking.relaxed if self._snapshot.policy.relax else (),
        )

    def _own(self, host_set: HostSetId, audience: int, family: int) -> Order:
        snapshot, carriers = self._snapshot, self._snapshot.host_sets[host_set]
        who = snapshot.audiences.audience(audience)
        if snapshot.policy.by_distance and not (who.netblocks or who.asn_hosts):
            return self._around(host_set, who, family)
        return self.of(rank(snapshot, carriers, who, NO_WISHES, family or None))

    def _around(self, host_set: HostSetId, audience: Audience, family: int) -> Order:
        """The order by distance for clients off all hosts' networks, from what was prepared once: in 80 µs."""
        snapshot = self._snapshot
        field, origin = self._fields.get((host_set, family), (None, None))
        if field is None:
            hosts, origin = strangers_of(snapshot, snapshot.host_sets[host_set], family or None)
            field = Field(snapshot, hosts)
            self._fields[host_set, family] = field, origin
        length = min(snapshot.list_length, snapshot.counts.hosts)
        groups, comment = field.rank(audience, field.measure(audience), length)
        return Order(tuple(map(self._line, groups)), length=length, origin=origin, comment=comment)

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
            carrying = networks_of(audience, carriers.urls)
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

    def _line(self, group: Group) -> Line:
        """The line of a group, shared by all audiences that have it."""
        key = (group.tier, group.hosts, group.weights, group.whole)
        return self._lines.find(key) or self._lines.keep(key, Line(group, self._snapshot.draws, self._find_heads))

    def _find_heads(self, hosts: tuple[HostId, ...], is_even: bool) -> Heads:
        key = (hosts, is_even)
        return self._heads.find(key) or self._heads.keep(key, self._draw_heads(hosts, is_even))

    def _draw_heads(self, hosts: tuple[HostId, ...], is_even: bool) -> Heads:
        facts = self._snapshot.hosts
        weights = [1 if is_even else facts[host].bandwidth_mbit for host in hosts]
        places = heads_of(self._snapshot.draws, hosts, weights)
        return Heads("".join([chr(hosts[place]) for place in places]), sum(weights))

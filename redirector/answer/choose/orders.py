"""The orders and line-ups of a snapshot: made when an audience first needs them, kept within a limit.

An `Order` says who stands before whom for an audience, over all hosts there are: for clients in Germany the German
hosts, then the continent's. A *sheet* says what each host has to show for one directory. Both together are a `Lineup`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice

import numpy as np

from redirector.answer.answer import Form, Tier
from redirector.answer.ask.wishes import NO_WISHES
from redirector.answer.choose.groups import Group
from redirector.answer.choose.lineup import LINE_BYTES, AnyLine, Heads, KeyedLine, Line, Lineup, Order
from redirector.answer.choose.near import field_of
from redirector.answer.choose.nearest import Field
from redirector.answer.choose.pool import Pool
from redirector.answer.choose.rank import (
    Ranking,
    Reason,
    is_disallowed,
    is_well,
    network_words,
    networks_of,
    place_words,
    rank,
    strangers_of,
    wholes_of,
)
from redirector.answer.choose.sheets import Sheet, Sheets, Writer
from redirector.answer.choose.words import GLOBAL_WORDS
from redirector.model import Choice, HostId, HostSet, HostSetId
from redirector.snapshot.audiences import Audience
from redirector.snapshot.draws import heads_of, name_bits
from redirector.snapshot.snapshot import Snapshot

MAX_WARM = 12_000
"""How many line-ups are made beforehand."""


@dataclass(frozen=True, slots=True)
class _CountryLines:
    """What all audiences of one country share, for all regular host sets; *reserve*: the rest of the world."""

    lines: tuple[AnyLine, ...]
    reserve: AnyLine | None


def _front(own: Sequence[AnyLine], words: str, sheet: Sheet) -> Lineup:
    return Lineup.of(Order(tuple(own), comment=words), sheet)


class Orders:
    """The orders of a snapshot that a worker keeps, bounded, and what they are made of."""

    def __init__(self, snapshot: Snapshot, write: Writer) -> None:
        """*write* writes what hosts show on sheets."""
        self._snapshot = snapshot
        self._names = name_bits(snapshot.draws)
        self._numbers = {tuple(each): number for number, each in enumerate(snapshot.audiences.combinations)}
        self._special = frozenset(
            HostSetId(n)
            for n, carriers in enumerate(snapshot.host_sets)
            if carriers.twins or carriers.urls.keys() & snapshot.restricted
        )
        self.sheets = Sheets(snapshot, write)
        self._monopolies = {HostId(n) for n, host in enumerate(snapshot.hosts) if host.monopoly}
        limit = snapshot.pool_bytes
        self.pool: Pool[Lineup] = Pool(limit * 3 // 4, lambda lineup: lineup.size_bytes)
        self._fields: dict[tuple[HostSetId, int], tuple[Field, HostId | None]] = {}
        self._words: Pool[str] = Pool(limit // 16, lambda words: 200 + len(words))
        self._of_countries: dict[tuple[str | None, int], _CountryLines] = {}
        self._lines: Pool[Line] = Pool(limit // 8, lambda line: LINE_BYTES + 150 * len(line.hosts))
        self._heads: Pool[Heads] = Pool(limit // 16, lambda heads: 2 * len(heads.slots) + 300)

    def warm(self, asked: Mapping[tuple[HostSetId, Form], int]) -> None:
        """Line up beforehand what most clients need: workers that are forked afterwards share it.

        asked  how often each host set is asked for in each form, in proportion
        cost   1 s, and at most half of what line-ups may take
        """
        snapshot = self._snapshot
        family = 4 if snapshot.families_known else 0
        sizes = snapshot.audiences.sizes()
        pairs = ((times * size, sheet, audience) for sheet, times in asked.items() for audience, size in sizes.items())
        for _, (host_set, form), audience in nlargest(MAX_WARM, pairs):
            if self.pool.is_half_full:
                return
            self.line_up(host_set, form, audience, family)

    def line_up(self, host_set: HostSetId, form: Form, audience: int, family: int) -> Lineup:
        """What everybody without wishes in *audience* is shown of *host_set*.

        family  4 or 6, or 0 where no host is known to serve one alone
        cost    0.3 µs; when it is new 30 µs, by distance 80 µs, and 300 µs for each tier that nobody asked for before
        """
        key = (audience, host_set, family, form)
        return self.pool.young.get(key) or self.pool.find(key) or self._line_up(key, host_set, form, audience, family)

    def _line_up(self, key: Hashable, host_set: HostSetId, form: Form, audience: int, family: int) -> Lineup:
        lineup, is_kept = self._make(host_set, form, audience, family)
        return self.pool.keep(key, lineup) if is_kept else lineup

    def _make(self, host_set: HostSetId, form: Form, audience: int, family: int) -> tuple[Lineup, bool]:
        """A line-up, and whether it is worth keeping under its own name."""
        sheet = self.sheets.find(host_set, form)
        if not self._is_regular(host_set, audience):
            return Lineup.of(self._own(host_set, audience, family), sheet), True
        who, place = self._snapshot.audiences.audience(audience), self._off_networks(audience)
        own, words = self._own_lines(who, self._snapshot.host_sets[host_set], family)
        if place != audience:
            lineup = self.line_up(host_set, form, place, family)
            if not own and not words:
                return lineup, False
            if not own or not lineup.has_reserve:
                return lineup.behind(_front(own, words, sheet)), False  # thousands of networks have few clients each
        lineup = Lineup.of(self._join(host_set, who.country, family, own), sheet)
        return (lineup.behind(_front(own, words, sheet)), False) if own or words else (lineup, True)

    def front(self, host_set: HostSetId, form: Form, audience: int, family: int) -> Lineup:
        """The hosts of *host_set*, a regular set, on the networks of an audience: what stands before all others."""
        who = self._snapshot.audiences.audience(audience)
        own, words = self._own_lines(who, self._snapshot.host_sets[host_set], family)
        return _front(own, words, self.sheets.find(host_set, form))

    def place_of(self, audience: int) -> int | None:
        """Whose line-ups of regular sets stand behind the hosts on the networks of *audience*; None: nobody's."""
        place = self._off_networks(audience)
        if place == audience or not self._is_open(audience):
            return None
        return place

    def line_up_once(self, host_set: HostSetId, form: Form, audience: int, family: int) -> Lineup:
        """Likewise, but what is new is not kept."""
        return (
            self.pool.young.get((audience, host_set, family, form)) or self._make(host_set, form, audience, family)[0]
        )

    def is_kept(self, audience: int) -> bool:
        """Whether line-ups of *audience* are worth keeping: those of hosts' own networks are too many."""
        return self._off_networks(audience) == audience

    def _is_regular(self, host_set: HostSetId, audience: int) -> bool:
        """The lines of everybody are those of *host_set* for *audience* too."""
        snapshot = self._snapshot
        return host_set in snapshot.regular and self._is_open(audience)

    def _is_open(self, audience: int) -> bool:
        """No host has the networks of *audience* to itself."""
        if not self._monopolies:
            return True
        who = self._snapshot.audiences.audience(audience)
        return self._monopolies.isdisjoint(who.asn_hosts) and all(
            self._monopolies.isdisjoint(hosts) for _, hosts in who.netblocks
        )

    def _off_networks(self, audience: int) -> int:
        """The audience of the same place off all hosts' networks; *audience* where the table has no such."""
        location, override, netblocks, asn = self._snapshot.audiences.combinations[audience]
        if not (netblocks or asn):
            return audience
        return self._numbers.get((location, override, 0, 0), audience)

    def _own_lines(self, audience: Audience, carriers: HostSet, family: int) -> tuple[list[AnyLine], str]:
        """The lines of *carriers*, a regular set, on the networks of an audience, and what the comment says of them."""
        if not (audience.netblocks or audience.asn_hosts):
            return [], ""
        facts, given = self._snapshot.hosts, networks_of(audience, carriers.urls)
        if self._snapshot.health_known:
            given = [(tier, tuple(host for host in hosts if is_well(facts[host], family))) for tier, hosts in given]
        lines: list[AnyLine] = []
        seen: set[HostId] = set()
        for (tier, hosts), whole in zip(given, wholes_of(audience), strict=True):
            others = tuple([host for host in hosts if host not in seen])
            seen.update(others)
            if others:
                lines.append(self._line(Group(tier, others, (1,) * len(others), whole, is_even=True)))
        return lines, network_words(self._snapshot, audience, given)

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
        is_plain = host_set not in self._special
        if snapshot.policy.by_distance and is_plain and not (who.netblocks or who.asn_hosts):
            return self._around(host_set, who, family)
        return self.of(rank(snapshot, carriers, who, NO_WISHES, family or None))

    def _around(self, host_set: HostSetId, audience: Audience, family: int) -> Order:
        """The order by distance for clients off all hosts' networks, from what was prepared once: in 80 µs."""
        snapshot = self._snapshot
        field, origin = self._fields.get((host_set, family), (None, None))
        if field is None:
            hosts, origin = strangers_of(snapshot, snapshot.host_sets[host_set], family or None)
            field = field_of(snapshot, hosts)
            self._fields[host_set, family] = field, origin
        length = min(snapshot.list_length, snapshot.counts.hosts)
        groups, comment = field.rank(audience, field.measure(audience), length)
        return Order(tuple(map(self._line, groups)), length=length, origin=origin, comment=comment)

    def _lines_of_country(self, country: str | None, family: int) -> _CountryLines:
        found = self._of_countries.get((country, family))
        if found is None:
            found = self._of_countries[country, family] = self._rank_everybody(country, family)
        return found

    def _rank_everybody(self, country: str | None, family: int) -> _CountryLines:
        snapshot = self._snapshot
        ranking = rank(snapshot, snapshot.everybody, Audience(country), NO_WISHES, family or None)
        left_over = [host for host in snapshot.everybody.public if ranking.dropped.get(host) is Reason.FAR]
        if not snapshot.policy.allowed_everywhere:
            left_over = [host for host in left_over if not is_disallowed(snapshot, host, country)]
        lines = [self._line(group) for group in ranking.groups if group.tier is not Tier.GLOBAL]
        reserve = [group for group in ranking.groups if group.tier is Tier.GLOBAL]
        if left_over and not reserve:
            weights = tuple(snapshot.hosts[host].bandwidth_mbit for host in left_over)
            reserve = [Group(Tier.GLOBAL, tuple(left_over), weights, snapshot.everybody.public)]
        return _CountryLines(tuple(lines), self._line(reserve[0]) if reserve else None)

    def _join(self, host_set: HostSetId, country: str | None, family: int, own: Sequence[AnyLine]) -> Order:
        """The order of a country for one regular host set, behind the hosts of *own*: with the rest of the world if
        few of the host set's are nearer."""
        snapshot = self._snapshot
        carriers = snapshot.host_sets[host_set]
        around = self._lines_of_country(country, family)
        key = (host_set, country)
        comment = self._words.find(key)
        if comment is None:
            comment = self._words.keep(key, place_words(snapshot, carriers, country))
        present = {host for line in own for host in line.hosts}
        for line in around.lines:
            if len(present) < snapshot.minimum:
                present.update(islice(filter(carriers.urls.__contains__, line.hosts), snapshot.minimum * 2))
        if len(present) >= snapshot.minimum:
            return Order(around.lines, comment=comment)
        lines = (*around.lines, around.reserve) if around.reserve else around.lines
        return Order(lines, comment=comment + GLOBAL_WORDS, has_reserve=True)

    def _line(self, group: Group) -> AnyLine:
        """The line of a group, shared by all audiences that have it; a keyed one is nobody else's."""
        if group.is_keyed:
            return KeyedLine(group, self._names, self._snapshot.list_length)
        if group.weights is None and self._snapshot.policy.choice is Choice.NEARNESS:
            return Line(group, self._snapshot.draws, self._find_heads)
        return self._lines.find(group) or self._lines.keep(group, Line(group, self._snapshot.draws, self._find_heads))

    def _find_heads(self, hosts: tuple[HostId, ...], is_even: bool) -> Heads:
        key = (hosts, is_even)
        return self._heads.find(key) or self._heads.keep(key, self._draw_heads(hosts, is_even))

    def _draw_heads(self, hosts: tuple[HostId, ...], is_even: bool) -> Heads:
        facts = self._snapshot.hosts
        weights = [1 if is_even else facts[host].bandwidth_mbit for host in hosts]
        positions = heads_of(self._snapshot.draws, hosts, weights)
        slots = np.array(hosts, "<u4")[positions].tobytes().decode("utf-32-le", "surrogatepass")
        return Heads(slots, sum(weights))

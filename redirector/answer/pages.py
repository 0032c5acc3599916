"""Ready-made pages: for one host set and one audience, every order that its clients can get, as bytes cut where the
subpath goes.

Two directories with the same hosts differ in one thing, the ending of their URLs, so an answer is
`ending.join(pieces)`. A `Page` keeps, for each of the drawn tails, the pieces of all hosts in that order; a client's
head is taken out of the tail and put in front. Where the place in the list is part of a piece (a metalink's
preference), a tail is kept twice: as it reads before the head's place, one place further down, and as it reads behind.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace

from redirector.answer.answer import Form, Tier
from redirector.answer.metalink import metalink_pieces
from redirector.answer.mirrorlist import choose_urls, mirrorlist_pieces
from redirector.answer.pool import Pool
from redirector.answer.rank import Group, Ranking, Reason, kept_hosts, rank
from redirector.answer.wishes import NO_WISHES, Wishes
from redirector.model import HostId, HostSet, HostSetId
from redirector.snapshot.draws import SLOTS, heads_of, tails_of
from redirector.snapshot.snapshot import Snapshot

_Pieces = Callable[[HostId, int], list[bytes]]
"""Pieces of a host that stands at a place of the list."""


@dataclass(slots=True)
class _Strand:
    """One tail of one group: pieces in order, and where each member's own pieces begin and end.

    before  each piece as it reads one place further down, for those that stand before the head's old place
    behind  each piece as it reads at its own place; the same list where places do not show
    ends    member -> where to stop in `before`
    starts  member -> where to go on in `behind`
    """

    before: list[bytes]
    behind: list[bytes]
    ends: array[int]
    starts: array[int]

    @property
    def size_bytes(self) -> int:
        lists = len(self.behind) + (0 if self.before is self.behind else len(self.before))
        return 8 * lists + 4 * len(self.ends) + 400


@dataclass(slots=True)
class _Part:
    """One group of a page.

    heads   slot -> member that comes first; None: the order is fixed
    leads   the pieces of each member as the head; fixed: the pieces of all
    listed  how many of the members the list has room for
    place   how many hosts stand before the group
    """

    group: Group
    heads: array[int] | None
    leads: list[list[bytes]]
    listed: int
    place: int


class Page:
    """All orders of one ranking in one form."""

    __slots__ = (
        "_grow",
        "_parts",
        "_pieces",
        "_snapshot",
        "_strands",
        "comment",
        "last",
        "relaxed",
        "size_bytes",
        "tier",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        ranking: Ranking,
        pieces: _Pieces,
        heads: Callable[[Group], array[int]],
        grow: Callable[[int], None],
    ) -> None:
        """Lay out the groups; strands are drawn when a client first needs them.

        heads  head table of a group; a function, since tables are shared between pages
        grow   is told how many bytes the page weighs more
        """
        self._snapshot = snapshot
        self._pieces = pieces
        self._grow = grow
        self._strands: list[list[_Strand | None] | None] = [None] * snapshot.tails
        self._parts: list[_Part] = []
        self.comment = ranking.comment.encode()
        self.relaxed = ranking.relaxed if snapshot.policy.relax else ()
        self.tier = ranking.groups[0].tier if ranking.groups else Tier.NONE
        self.size_bytes = 1000
        place, room = 0, ranking.length if ranking.length is not None else snapshot.counts.hosts
        for group in ranking.groups:
            listed = min(len(group.hosts), room - place)
            if listed <= 0:
                break
            self._parts.append(self._part(group, listed, place, heads))
            place += listed
        self.last = [] if ranking.origin is None else pieces(ranking.origin, place)

    def _part(self, group: Group, listed: int, place: int, heads: Callable[[Group], array[int]]) -> _Part:
        if group.weights is None or len(group.hosts) == 1:
            fixed = [piece for n in range(listed) for piece in self._pieces(group.hosts[n], place + n)]
            return _Part(group, None, [fixed], listed, place)
        leads = [self._pieces(host, place) for host in group.hosts]
        self.size_bytes += 100 * len(leads)
        return _Part(group, heads(group), leads, listed, place)

    def draw(self, seed: int) -> tuple[list[bytes], HostId | None]:
        """The pieces of the list for a client's *seed* (see `rank.order`), and the host that comes first.

        cost  0.5 µs and 0.5 µs more for each drawn group; the first time for a tail 20 to 50 µs
        """
        slot = seed % SLOTS
        number = (seed // SLOTS) % len(self._strands)
        strands = self._strands[number] or self._draw_strands(number)
        listed: list[bytes] = []
        first: HostId | None = None
        for part, strand in zip(self._parts, strands, strict=True):
            if part.heads is None or strand is None:
                listed += part.leads[0]
                member = 0
            else:
                member = part.heads[slot]
                listed += part.leads[member]
                listed += strand.before[: strand.ends[member]]
                listed += strand.behind[strand.starts[member] :]
            if first is None:
                first = part.group.hosts[member]
        if self.last:
            listed += self.last
        return listed, first

    def _draw_strands(self, number: int) -> list[_Strand | None]:
        strands = [None if part.heads is None else self._strand(part, number) for part in self._parts]
        self._strands[number] = strands
        weight = 100 + sum(strand.size_bytes for strand in strands if strand)
        self.size_bytes += weight
        self._grow(weight)
        return strands

    def _strand(self, part: _Part, number: int) -> _Strand:
        group, pieces = part.group, self._pieces
        assert group.weights is not None
        order = tails_of(self._snapshot.draws, group.hosts, group.weights, number)
        ends = array("H", bytes(2 * len(order)))
        starts = array("H", bytes(2 * len(order)))
        before: list[bytes] = []
        behind: list[bytes] = []
        for place, member in enumerate(order[: part.listed]):
            ends[member] = len(before)
            if place < part.listed - 1:
                before += pieces(group.hosts[member], part.place + place + 1)
            behind += pieces(group.hosts[member], part.place + place)
            starts[member] = len(behind)
        for member in order[part.listed :]:
            ends[member], starts[member] = len(before), len(behind)
        if behind[: len(before)] == before:
            before = behind
        return _Strand(before, behind, ends, starts)


class Pages:
    """The pages of one snapshot that one worker keeps, and the tables and pieces that pages share."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        limit = snapshot.pool_bytes
        self.pool: Pool[Page] = Pool(limit - limit // 4, lambda page: page.size_bytes)
        self._heads: Pool[array[int]] = Pool(limit // 8, lambda heads: 2 * len(heads) + 400)
        self._pieces: Pool[list[bytes]] = Pool(limit // 8, lambda pieces: 300 + sum(map(len, pieces)))

    def find(self, host_set: HostSetId, audience: int, family: int, form: Form) -> Page:
        """The page for everybody without wishes in *audience*; drawn when there is none yet.

        family  4 or 6, or 0 where no host is known to serve one alone
        cost    0.1 µs when there is one; 100 µs when not, and the head tables of groups not seen before
        """
        key = self.key(host_set, audience, family, form)
        page = self.pool.find(key)
        if page is None:
            ranking = self.ranking(host_set, audience, NO_WISHES, family)
            page = self.pool.keep(key, self.page(host_set, ranking, NO_WISHES, form))
        return page

    def key(self, host_set: HostSetId, audience: int, family: int, form: Form) -> int:
        """One number for what makes a page what it is."""
        return (audience * len(self._snapshot.host_sets) + host_set) * 32 + family * 4 + form

    def ranking(self, host_set: HostSetId, audience: int, wishes: Wishes, family: int) -> Ranking:
        """Rank a host set for an audience, both by number."""
        snapshot = self._snapshot
        return rank(
            snapshot, snapshot.host_sets[host_set], snapshot.audiences.audience(audience), wishes, family or None
        )

    def page(self, host_set: HostSetId, ranking: Ranking, wishes: Wishes, form: Form) -> Page:
        """Lay out a page of *ranking*."""
        snapshot = self._snapshot
        carriers = snapshot.host_sets[host_set]
        ranking, shown = visible(snapshot, carriers, ranking, wishes, form)
        metalink = form is Form.METALINK
        public = frozenset(carriers.public) if metalink else frozenset()

        def pieces(host: HostId, place: int) -> list[bytes]:
            urls = shown[host]
            key = (host, urls, min(place, 99), host in public) if metalink else urls
            held = self._pieces.find(key)
            if held is not None:
                return held
            if not metalink:
                return self._pieces.keep(key, mirrorlist_pieces(urls))
            country = snapshot.hosts[host].country
            return self._pieces.keep(key, metalink_pieces(urls, country, host not in public, place, snapshot.policy))

        return Page(snapshot, ranking, pieces, self._table, self.pool.grow)

    def _table(self, group: Group) -> array[int]:
        key = (group.hosts, group.weights)
        held = self._heads.find(key)
        if held is not None:
            return held
        assert group.weights is not None
        return self._heads.keep(key, array("H", heads_of(self._snapshot.draws, group.hosts, group.weights).tobytes()))


def visible(
    snapshot: Snapshot, carriers: HostSet, ranking: Ranking, wishes: Wishes, form: Form
) -> tuple[Ranking, dict[HostId, tuple[str, ...]]]:
    """The ranking without hosts that have no URL to show in *form*, unless that leaves nobody; and the base URLs."""
    hosts = [host for group in ranking.groups for host in group.hosts]
    if ranking.origin is not None:
        hosts.append(ranking.origin)
    relax = snapshot.policy.relax
    is_unmet = "protocol" in ranking.relaxed and (relax or form is Form.REDIRECT)
    protocols = () if is_unmet else wishes.protocols
    chosen = {host: choose_urls(carriers.urls[host], protocols, form) for host in hosts}
    if protocols and relax and not any(chosen.values()):
        chosen = {host: choose_urls(carriers.urls[host], (), form) for host in hosts}
    shown = {host: urls for host, urls in chosen.items() if urls}
    if not shown and form is not Form.REDIRECT:
        shown = {host: carriers.urls[host] for host in hosts}
    if len(shown) == len(hosts):
        return ranking, shown
    dropped = {**ranking.dropped, **{host: Reason.PROTOCOL for host in hosts if host not in shown}}
    origin = ranking.origin if ranking.origin in shown else None
    return replace(ranking, groups=tuple(kept_hosts(ranking.groups, shown)), dropped=dropped, origin=origin), shown

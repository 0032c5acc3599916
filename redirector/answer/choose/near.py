"""The rule of nearness: of the hosts that were chosen, those in the client's reach, drawn by weight; then others."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
from numpy.typing import NDArray

from redirector.answer.answer import Tier
from redirector.answer.choose.groups import Group
from redirector.answer.choose.nearest import Field
from redirector.answer.choose.words import country_words
from redirector.model import Choice, HostId
from redirector.snapshot.audiences import Audience
from redirector.snapshot.nearness import reach_of, weigh
from redirector.snapshot.snapshot import Snapshot

_ENOUGH = 0.9
"""Share of a country's clients whose usual first host must be here, for what was worked out beforehand to be used."""


class NearField(Field):
    """Hosts to be drawn by their nearness to a client."""

    def __init__(self, snapshot: Snapshot, hosts: Sequence[HostId]) -> None:
        """cost: 150 µs for 530 hosts"""
        super().__init__(snapshot, hosts)
        assert snapshot.balance is not None
        self._members = np.array(hosts, np.intp)
        self._weight_alone = (snapshot.balance.factors * snapshot.balance.bandwidth)[self._members]
        self._by_country = snapshot.balance.by_country
        self._at_home = {country: _Home(self.hosts, positions) for country, positions in self._homes.items()}

    def rank(
        self, audience: Audience, km: NDArray[np.float64] | None, room: int, taken: Set[HostId] = frozenset()
    ) -> tuple[list[Group], str]:
        """Groups until *room* hosts are listed: in the client's AS and in reach, in reach, the others one after the
        other, those without a place; and the comment.

        km     from `measure`
        taken  hosts that are in the list already
        cost   30 µs for 530 hosts
        """
        home = self._at_home.get(audience.country, _NOWHERE) if audience.country else _NOWHERE
        left = np.ones(len(self.hosts), np.bool_)
        if taken:
            left[[position for position, host in enumerate(self.hosts) if host in taken]] = False
        comment = country_words(audience.country) if home.hosts - taken else ""
        groups: list[Group] = []

        def add(weight: NDArray[np.float64], positions: NDArray[np.intp], is_drawn: bool = True) -> None:
            nonlocal room
            if len(positions) and room > 0:
                groups.append(self._group(weight, positions, home, is_drawn))
                left[positions] = False
                room -= len(positions)

        if km is not None:
            everywhere = weigh(km, home.positions, self._weight_alone)
            near, weight = self._in_reach(audience, km, everywhere, left)
            own = self._of_as.get(audience.asn) if audience.asn else None
            if own:
                is_own = np.isin(near, list(own))
                add(weight[is_own], near[is_own])
                near, weight = near[~is_own], weight[~is_own]
            add(weight, near)
            if room > 0:
                others = _heaviest(everywhere, left, room)
                add(everywhere[others], others, is_drawn=False)
        if room > 0:
            others = left.nonzero()[0]
            add(self._weight_alone[others], others)
        return groups, comment

    def _in_reach(
        self, audience: Audience, km: NDArray[np.float64], everywhere: NDArray[np.float64], left: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Those *left* that are in the client's reach, and their weights. *everywhere*: what all weigh."""
        if audience.place is None and audience.country is not None:
            by_country = self._by_country.get(audience.country)
            if by_country is not None:
                chance = by_country[self._members]
                if float(chance.sum()) > _ENOUGH:
                    near = np.flatnonzero(left & (chance > 0))
                    return near, chance[near].astype(np.float64)
        way = km[left] if not left.all() else km
        near = (left & (km <= reach_of(float(np.fmin.reduce(way, initial=np.inf))))).nonzero()[0]
        return near, everywhere[near]

    def _group(self, weight: NDArray[np.float64], positions: NDArray[np.intp], home: _Home, is_drawn: bool) -> Group:
        """*positions* ascend: of equal weights the first one is first."""
        heaviest_first = (-weight).argsort(kind="stable")
        weight, positions = weight[heaviest_first], positions[heaviest_first]
        hosts = tuple([self.hosts[position] for position in positions.tolist()])
        abroad = frozenset(hosts) - home.hosts
        tier = Tier.COUNTRY if len(abroad) < len(hosts) else Tier.GLOBAL
        weights = tuple((weight / weight.sum()).tolist()) if is_drawn else None
        abroad = abroad if tier is Tier.COUNTRY else frozenset()
        return Group(tier, hosts, weights, hosts, is_keyed=is_drawn, abroad=abroad)


class _Home:
    """The hosts of one country: where they stand among others, and who they are."""

    __slots__ = ("hosts", "positions")

    def __init__(self, hosts: Sequence[HostId], positions: Sequence[int]) -> None:
        self.positions = np.array(positions, np.intp)
        self.hosts = frozenset([hosts[position] for position in positions])


_NOWHERE = _Home((), ())


def _heaviest(weight: NDArray[np.float64], left: NDArray[np.bool_], room: int) -> NDArray[np.intp]:
    """Of those *left* that have a place the ones of most weight, as many as there is *room* for; they are for when all
    before them fail."""
    price = np.where(left, -weight, 1.0)
    price[price != price] = 1.0
    dearest = min(float(np.partition(price, room - 1)[room - 1]), 0.0) if len(price) > room else 0.0
    found: NDArray[np.intp] = (price <= dearest).nonzero()[0]
    if len(found) > room:  # several are as dear as the last one: the first of them, on every server
        found = np.sort(found[price[found].argsort(kind="stable")[:room]])
    return found


def field_of(snapshot: Snapshot, hosts: Sequence[HostId]) -> Field:
    """*hosts*, to be ranked by the snapshot's rule."""
    return (NearField if snapshot.policy.choice is Choice.NEARNESS else Field)(snapshot, hosts)

"""Who will be first for how many, worked out before anybody asks; and factors that keep hosts from carrying too much.

Expected shares follow from where clients and hosts are, and from `nearness`. A host whose share exceeds its limit gets
a factor below 1 on its weight, as small as it takes, so that others who are near take over; where nobody else is near
a factor changes nothing, and the host keeps what it alone can carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redirector.locate.crowd import Crowd
from redirector.locate.places import EARTH_RADIUS_KM
from redirector.model import Host, Problem, Severity
from redirector.snapshot.nearness import reach_cosines, weigh

Floats = NDArray[np.float64]

LEAST_FACTOR = 0.001
"""Below it a host would not be drawn at all, and nothing would be gained."""

ROUNDS = 60
"""After so many no host that others can relieve is more than a hundredth above its limit."""

_TOLERATED = 1.05
"""How far above its limit a host may be before that is said."""

_MOSTLY = 0.5
"""From this share of a country's clients on, it is named."""

_NAMED = 5

_CHUNK = 512
"""Places that are measured at once: with 5,000 hosts 20 MB."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which hosts each place of a crowd may have, as columns: one row a pair.

    place   position in the crowd; sorted
    host    position among the hosts
    weight  without the factor
    km      between the two
    """

    place: NDArray[np.intp]
    host: NDArray[np.intp]
    weight: Floats
    km: Floats


@dataclass(frozen=True, slots=True)
class HostColumns:
    """The hosts that are to be chosen among, as columns.

    open       which of them strangers may have now
    vectors    unit vectors; nan without a place
    country    position in the crowd's countries; -1: in none of them
    bandwidth  in any unit
    barred     country's position -> hosts that its clients may not have
    """

    open: NDArray[np.bool_]
    vectors: Floats
    country: NDArray[np.intp]
    bandwidth: Floats
    barred: Mapping[int, NDArray[np.intp]]

    @property
    def placed(self) -> NDArray[np.intp]:
        """Those that are open and have a place."""
        return np.flatnonzero(self.open & ~np.isnan(self.vectors[:, 0]))


@dataclass(frozen=True, slots=True)
class Balance:
    """What was worked out about all hosts of a snapshot; arrays by host id.

    factors     on each host's weight, 0.001 to 1
    shares      of all clients, that get the host first
    limits      what its share should not exceed
    bandwidth   in Mbit/s, the median of the known where it is not
    by_country  country -> how likely each host is first for its clients, when no more than the country is known
    clients     country -> share of all clients that are there
    """

    factors: Floats
    shares: Floats
    limits: Floats
    bandwidth: Floats
    by_country: Mapping[str, NDArray[np.float32]]
    clients: Mapping[str, float]

    @property
    def alone(self) -> NDArray[np.intp]:
        """Hosts above their limit, which nobody else can bring below it."""
        return np.flatnonzero((self.limits > 0) & (self.shares > self.limits * _TOLERATED))


def over_limit(balance: Balance, hosts: Sequence[Host], path: str) -> Iterator[Problem]:
    """A warning for each host that carries more than it should, with the countries that nobody else carries."""
    for n in balance.alone.tolist():
        countries = sorted(
            (each for each, chance in balance.by_country.items() if chance[n] > _MOSTLY and balance.clients[each] > 0),
            key=lambda country: (-balance.clients[country], country),
        )
        more = f" and {len(countries) - _NAMED} more" if len(countries) > _NAMED else ""
        for_whom = f"it is nearly alone for {', '.join(countries[:_NAMED])}{more}" if countries else "few are near it"
        text = (
            f"first for {balance.shares[n]:.2%} of all clients, and {balance.limits[n]:.2%} is what its share of the "
            f"bandwidth allows: {for_whom}"
        )
        yield Problem(Severity.WARNING, path, f"share_limit {hosts[n].name}", text)


def pair_up(crowd: Crowd, hosts: HostColumns) -> Pairs:
    """Every place with every host in its reach. cost: 0.1 s for 530 hosts, 1 s for 5,000"""
    placed = hosts.placed
    vectors = np.ascontiguousarray(hosts.vectors[placed].T, np.float32)
    places: list[NDArray[np.intp]] = []
    members: list[NDArray[np.intp]] = []
    for start in range(0, len(crowd.weight) if len(placed) else 0, _CHUNK):
        cosine = crowd.vectors[start : start + _CHUNK].astype(np.float32) @ vectors
        for number, barred in hosts.barred.items():
            mine = np.flatnonzero(crowd.country[start : start + _CHUNK] == number)
            if len(mine):
                cosine[np.ix_(mine, np.isin(placed, barred))] = -2.0
        nearest = cosine.max(axis=1)
        least = reach_cosines(nearest.astype(np.float64))
        row, column = np.nonzero((cosine >= least[:, None] - 1e-7) & (cosine >= -1.5))
        places.append(row + start)
        members.append(placed[column])
    if not places:
        nothing = np.zeros(0)
        return Pairs(nothing.astype(np.intp), nothing.astype(np.intp), nothing, nothing)
    place, host = np.concatenate(places), np.concatenate(members)
    exact = np.einsum("ij,ij->i", crowd.vectors[place], hosts.vectors[host])
    km = EARTH_RADIUS_KM * np.arccos(np.clip(exact, -1.0, 1.0))
    is_home = crowd.country[place] == hosts.country[host]
    return Pairs(place, host, weigh(km, is_home, hosts.bandwidth[host]), km)


def chances(pairs: Pairs, factors: Floats) -> Floats:
    """How likely each pair's host is first for a client of its place."""
    weight = pairs.weight * factors[pairs.host]
    sums = np.bincount(pairs.place, weight)
    return np.asarray(weight / sums[pairs.place])


def shares_of(pairs: Pairs, crowd: Crowd, factors: Floats) -> Floats:
    """Which share of all clients gets each host first."""
    return np.asarray(np.bincount(pairs.host, crowd.weight[pairs.place] * chances(pairs, factors), len(factors)))


def balance(pairs: Pairs, crowd: Crowd, limits: Floats) -> Floats:
    """A factor for each host such that none exceeds its limit, where others can take over.

    limits  shares of all clients
    cost    0.1 s for 530 hosts, 1 s for 5,000
    """
    factors = np.ones(len(limits))
    for _ in range(ROUNDS):
        shares = shares_of(pairs, crowd, factors)
        change = np.where(limits > 0, limits / np.maximum(shares, 1e-12), 1.0)
        after = np.clip(factors * change**0.8, LEAST_FACTOR, 1.0)
        if np.allclose(after, factors, rtol=1e-4):
            break
        factors = after
    return factors


def work_out(crowd: Crowd, hosts: HostColumns, share_limit: float) -> Balance:
    """Factors and shares of all hosts.

    share_limit  how many times its share of the bandwidth a host may be first
    """
    pairs = pair_up(crowd, hosts)
    carried = np.zeros(len(hosts.bandwidth))
    carried[hosts.placed] = hosts.bandwidth[hosts.placed]
    limits = share_limit * carried / max(float(carried.sum()), 1e-12)
    factors = balance(pairs, crowd, limits / min(share_limit, 1.0))  # less than its share not all hosts can have
    return Balance(
        factors=factors,
        shares=shares_of(pairs, crowd, factors),
        limits=limits,
        bandwidth=hosts.bandwidth,
        by_country=_by_country(pairs, crowd, factors),
        clients=dict(zip(crowd.countries, np.bincount(crowd.country, crowd.weight).tolist(), strict=True)),
    )


def _by_country(pairs: Pairs, crowd: Crowd, factors: Floats) -> dict[str, NDArray[np.float32]]:
    """The mean over the places of each country, by its people."""
    count = len(factors)
    share = crowd.share[pairs.place] * chances(pairs, factors)
    cells = np.bincount(crowd.country[pairs.place] * count + pairs.host, share, len(crowd.countries) * count)
    table = cells.reshape(len(crowd.countries), count).astype(np.float32)
    return {country: table[number] for number, country in enumerate(crowd.countries) if table[number].any()}

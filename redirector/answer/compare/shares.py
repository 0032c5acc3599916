"""What each host carries and how far its clients are, who is served worst, and where one more mirror would help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from redirector.answer.compare.compare import capacities_of, find_firsts, measure_way, usual_list
from redirector.answer.compare.sample import Sample, draw_sample
from redirector.counted import counted
from redirector.locate.crowd import gazetteer_crowd
from redirector.locate.places import EARTH_RADIUS_KM
from redirector.snapshot.snapshot import Snapshot

COUNT = 50_000

_MANY = 20
"""So many rows of what is a ranking are told; of hosts, all."""

_FEWEST = 20
"""A country with fewer clients in the sample is not among the first."""

_CANDIDATES = 400
"""How many cities are tried for one more mirror: those whose clients have the longest ways, taken together."""

_BLOCK = 5_000


@dataclass(frozen=True, slots=True)
class Carried:
    """What one host carries. Kilometres are None where nobody's place is known.

    share      of all clients that get it first
    capacity   its share of the bandwidth
    countries  of most of its clients, with the share of its clients that are there
    """

    host: str
    country: str
    share: float
    capacity: float
    km_median: float | None
    km_p90: float | None
    countries: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Served:
    """How far a country's clients are from their first hosts."""

    country: str
    clients: int
    km_median: float
    km_p90: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """A city where one more mirror would bring clients nearer.

    share    of all clients that would have a shorter way
    saved_km  kilometres that it would save a client of all there are, on average
    """

    city: str
    country: str
    share: float
    saved_km: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Hosts with most clients first, all countries, served worst first, cities that would help most first, one a
    country."""

    clients: int
    km_median: float | None
    km_p90: float | None
    hosts: tuple[Carried, ...]
    worst: tuple[Served, ...]
    wanted: tuple[Wanted, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def find_shares(snapshot: Snapshot, clients: Mapping[str, float] | None = None, count: int = COUNT) -> Shares:
    """What the hosts of *snapshot* carry, by *count* clients.

    clients  country -> how many are there, in proportion; None: as many as it has addresses
    cost     3 s for 50,000 clients
    """
    sample = draw_sample(snapshot, count, clients or {})
    firsts = find_firsts(snapshot, [usual_list(snapshot)], sample)
    km = measure_way(snapshot, firsts, sample)
    return Shares(
        clients=count,
        km_median=_quantile(km, 0.5),
        km_p90=_quantile(km, 0.9),
        hosts=tuple(sorted(_carried(snapshot, sample, firsts, km), key=lambda each: (-each.share, each.host))),
        worst=tuple(_worst(sample, km)),
        wanted=tuple(_wanted(sample, km)),
    )


def _quantile(km: NDArray[np.float64], part: float) -> float | None:
    known = km[~np.isnan(km)]
    return round(float(np.quantile(known, part)), 1) if len(known) else None


def _carried(
    snapshot: Snapshot, sample: Sample, firsts: NDArray[np.intp], km: NDArray[np.float64]
) -> Iterator[Carried]:
    capacity = capacities_of(snapshot)
    order = np.argsort(firsts, kind="stable")
    bounds = np.searchsorted(firsts[order], np.arange(len(snapshot.hosts) + 1))
    for n, host in enumerate(snapshot.hosts):
        mine = order[bounds[n] : bounds[n + 1]]
        if host.name not in capacity and not len(mine):
            continue
        countries = Counter(sample.country[mine].tolist()).most_common(3)
        yield Carried(
            host=host.name,
            country=host.country or "",
            share=len(mine) / len(firsts),
            capacity=capacity.get(host.name, 0.0),
            km_median=_quantile(km[mine], 0.5),
            km_p90=_quantile(km[mine], 0.9),
            countries=tuple((sample.countries[each] or "??", round(times / len(mine), 3)) for each, times in countries),
        )


def _worst(sample: Sample, km: NDArray[np.float64]) -> list[Served]:
    found = []
    for number in np.unique(sample.country).tolist():
        mine = km[sample.country == number]
        median, p90 = _quantile(mine, 0.5), _quantile(mine, 0.9)
        if median is not None and p90 is not None:
            found.append(Served(sample.countries[number] or "??", len(mine), median, p90))
    return sorted(found, key=lambda each: (-each.km_median, each.country))


def _wanted(sample: Sample, km: NDArray[np.float64]) -> list[Wanted]:
    known = np.flatnonzero(~np.isnan(km))
    if not len(known):
        return []
    crowd = gazetteer_crowd()
    way = np.zeros(len(crowd.weight))
    for start in range(0, len(known), _BLOCK):
        block = known[start : start + _BLOCK]
        nearest = (sample.vectors[block] @ crowd.vectors.T).argmax(axis=1)
        np.add.at(way, nearest, km[block])
    candidates = np.argsort(-way, kind="stable")[:_CANDIDATES]
    saved, helped = np.zeros(len(candidates)), np.zeros(len(candidates))
    for start in range(0, len(known), _BLOCK):
        block = known[start : start + _BLOCK]
        cosine = np.clip(sample.vectors[block] @ crowd.vectors[candidates].T, -1.0, 1.0)
        gain = np.maximum(km[block][:, None] - EARTH_RADIUS_KM * np.arccos(cosine), 0.0)
        saved += gain.sum(axis=0)
        helped += (gain > 0).sum(axis=0)
    found: dict[str, Wanted] = {}
    for n in np.argsort(-saved, kind="stable").tolist():
        country = crowd.countries[int(crowd.country[candidates[n]])]
        one = Wanted(
            str(crowd.city[candidates[n]]),
            country,
            round(float(helped[n]) / len(km), 4),
            round(float(saved[n]) / len(km), 1),
        )
        found.setdefault(country, one)  # the next city of the same country would help the same clients
    return [one for one in found.values() if one.saved_km > 0]


def tell_shares(shares: Shares, every: bool = False) -> str:
    """For a terminal.

    every  all countries, and all cities, rather than the first of them
    """
    worst = shares.worst if every else [each for each in shares.worst if each.clients >= _FEWEST][:_MANY]
    wanted = shares.wanted if every else shares.wanted[:_MANY]
    width = max((len(each.host) for each in shares.hosts), default=4)
    lines = [
        f"{counted(shares.clients, 'clients')}: half have {_km(shares.km_median)} km to their first mirror, "
        f"nine of ten {_km(shares.km_p90)}",
        "",
        f"{'host':{width}}  {'in':2}  {'first for':>9}  {'bandwidth':>9}  {'km, half':>8}  {'9 of 10':>8}  clients in",
    ]
    lines += [
        f"{each.host:{width}}  {each.country or '??':2}  {each.share:9.2%}  {each.capacity:9.2%}  "
        f"{_km(each.km_median):>8}  {_km(each.km_p90):>8}  "
        + ", ".join(f"{country} {share:.0%}" for country, share in each.countries if share >= 0.005)
        for each in shares.hosts
    ]
    if worst:
        lines += ["", "served worst: country, clients of the sample, km for half and for nine of ten"]
        lines += [f"  {each.country}  {each.clients:6,}  {each.km_median:8,.0f}  {each.km_p90:8,.0f}" for each in worst]
    if wanted:
        lines += ["", "one more mirror would help most in: city, whose clients it brings nearer, km saved per client"]
        lines += [f"  {each.city}, {each.country}: {each.share:.1%}, {each.saved_km:,.1f} km" for each in wanted]
    left_out = len(shares.worst) - len(worst)
    if left_out > 0:
        lines += ["", f"{left_out} more countries; --all shows each, and more cities"]
    return "\n".join(lines) + "\n"


def _km(km: float | None) -> str:
    return "–" if km is None else f"{km:,.0f}"

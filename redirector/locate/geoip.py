"""Where the clients are: a country database in MMDB form, with coordinates if it is one of cities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from redirector.errors import SnapshotError
from redirector.locate.credit import credit_of
from redirector.locate.mmdb import is_mmdb, parse_mmdb, read_database
from redirector.locate.mmdb_records import PLAIN, Wanted
from redirector.locate.places import find_country
from redirector.locate.ranges import RangeTable
from redirector.model import Problem


@dataclass(frozen=True, slots=True)
class Location:
    """What a database says about an address.

    country              ISO 3166 alpha-2, upper case; None when unknown
    latitude, longitude  degrees north and east; both or neither
    """

    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None


NOWHERE = Location()

_WANTED: Wanted = {
    "country": {"iso_code": PLAIN},
    "location": {"latitude": PLAIN, "longitude": PLAIN},
    "country_code": PLAIN,
    "lat": PLAIN,
    "lng": PLAIN,
    "latitude": PLAIN,
    "longitude": PLAIN,
}
"""MaxMind's form, in which a country and a location are maps; and the flat form of IPinfo's databases, in which all
values are texts and `country` is a code, or a name beside a `country_code`. Which it is shows in each record."""


@dataclass(frozen=True, slots=True)
class GeoDatabase:
    """A country database.

    locations        distinct ones; the first is `NOWHERE`
    table            address -> position in `locations`
    has_coordinates  some location has them
    credit           whose data it is, in the words that its licence asks for
    """

    path: str
    locations: tuple[Location, ...]
    table: RangeTable
    build_epoch: int
    node_count: int
    database_type: str
    credit: str
    has_coordinates: bool
    problems: tuple[Problem, ...]

    def find(self, address: bytes) -> Location:
        """Where *address* is: 4 or 16 bytes, network order, IPv4-mapped already unwrapped."""
        return self.locations[self.table.find(address)]


def load_geoip(path: str) -> GeoDatabase:
    """The database *path*, whole and in memory. Records that cannot be read leave their addresses nowhere.

    raises  SnapshotError for what is no MMDB, and for a database without countries (one of AS numbers, say)
    cost    0.6 s for the 1.3 million nodes of a real country database
    """
    content = read_database(path)
    if not is_mmdb(content):
        raise SnapshotError.of(path, "not an MMDB file")
    positions = {NOWHERE: 0}
    mmdb = parse_mmdb(content, path, _WANTED, lambda record: positions.setdefault(location_of(record), len(positions)))
    locations = tuple(positions)
    if not any(location.country for location in locations):
        raise SnapshotError.of(path, f"{mmdb} names no country: --geoip needs a country or city database")
    return GeoDatabase(
        path=path,
        locations=locations,
        table=mmdb.table,
        build_epoch=mmdb.build_epoch,
        node_count=mmdb.node_count,
        database_type=mmdb.database_type,
        credit=credit_of(mmdb.database_type, mmdb.description),
        has_coordinates=any(location.latitude is not None for location in locations),
        problems=mmdb.problems(path, "country"),
    )


def location_of(record: object) -> Location:
    """What a *record* says, in whichever form it is written; `NOWHERE` where it says nothing."""
    place = _member(record, "location")
    latitude, longitude = _degrees(_member(place, "latitude"), 90), _degrees(_member(place, "longitude"), 180)
    if place is None:
        latitude = _first_degrees(record, ("lat", "latitude"), 90)
        longitude = _first_degrees(record, ("lng", "longitude"), 180)
    has_both = latitude is not None and longitude is not None
    return Location(
        country=_country(record),
        latitude=latitude if has_both else None,
        longitude=longitude if has_both else None,
    )


def _member(record: object, key: str) -> object:
    return record.get(key) if isinstance(record, dict) else None


def _country(record: object) -> str | None:
    """The first of a record's members that is two letters; codes like `A1` stand for no country (anonymous proxies,
    satellites). A name counts where there is no code."""
    country = _member(record, "country")
    for value in (_member(country, "iso_code"), _member(record, "country_code"), country):
        if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
            return value.upper()
    return _country_named(country) if isinstance(country, str) and len(country) > 3 else None


@lru_cache(maxsize=512)
def _country_named(name: str) -> str | None:
    return find_country(name)


def _degrees(value: object, limit: float) -> float | None:
    return value if isinstance(value, float) and -limit <= value <= limit else None


def _first_degrees(record: object, keys: tuple[str, ...], limit: float) -> float | None:
    """The first of a flat record's members that is a number of degrees, or a text that says one."""
    for key in keys:
        value = _member(record, key)
        try:
            number = float(value) if isinstance(value, str | int | float) else math.nan
        except ValueError:
            continue
        if -limit <= number <= limit:
            return number
    return None

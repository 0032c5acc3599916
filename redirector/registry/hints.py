"""What whoever decides about a host should know beside what was typed: where its addresses are, and who else is there.

Pure: addresses, tables and the list of mirrors are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from redirector.locate.geoip import GeoDatabase, Location
from redirector.locate.networks import AsnTable
from redirector.locate.places import CityName, countries, distance_km, find_cities, name_of_country, nearest_city
from redirector.model import Place
from redirector.registry.public import PublicMirror
from redirector.settings.joining import Join
from redirector.store.registry.rows import HostRow

FAR_KM = 300
"""Two towns that are farther apart are not one, however rough a table is."""

WELL_COVERED = 5
"""Listed mirrors of a country from which on one more of little bandwidth helps nobody."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One address that a name of a host has.

    country  ISO code, by our table; None: not known
    asn      the AS that announces it, by our table; None: not known
    place    where it is, by a table of cities; None: not known
    town     the city nearest to that; "": not known
    """

    name: str
    address: str
    country: str | None = None
    asn: int | None = None
    place: Place | None = None
    town: str = ""


@dataclass(frozen=True, slots=True)
class Tables:
    """Where addresses are. None: the operator named no such file."""

    geo: GeoDatabase | None = None
    asns: AsnTable | None = None

    def find(self, name: str, address: str) -> Sighting:
        """Where *address* is."""
        raw = ip_address(address).packed
        there = self.geo.find(raw) if self.geo is not None else Location()
        place, country = None, there.country
        if there.latitude is not None and there.longitude is not None:
            place = Place(there.latitude, there.longitude)
        asn = self.asns.table.find(raw) if self.asns is not None else 0
        town = nearest_city(place, country) if place is not None and country is not None else ""
        return Sighting(name, address, country, asn or None, place, town)


def names_of_urls(urls: Iterable[str]) -> list[str]:
    """Names, or addresses, of the machines behind *urls*, each once."""
    return list(dict.fromkeys(filter(None, map(_hostname, urls))))


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # brackets that hold no address
        return None


def own_asns_of(sightings: Iterable[Sighting]) -> frozenset[int]:
    """AS numbers that each of the names has an address in: one URL that leads elsewhere proves nothing."""
    by_name: dict[str, set[int]] = {}
    for each in sightings:
        by_name.setdefault(each.name, set()).update({each.asn} if each.asn is not None else ())
    return frozenset(set.intersection(*by_name.values())) if by_name else frozenset()


@dataclass(frozen=True, slots=True)
class Coverage:
    """The public mirrors of a country: how many there are, how many are listed, and the Mbit/s of those."""

    country: str
    mirrors: int
    listed: int
    mbit: int


def coverage_of(country: str, mirrors: Iterable[PublicMirror], besides: str = "") -> Coverage:
    """How well *country* is served, the host *besides* left out."""
    there = [mirror for mirror in mirrors if mirror.country == country and mirror.host != besides]
    listed = [mirror for mirror in there if mirror.ok]
    return Coverage(country, len(there), len(listed), sum(mirror.bandwidth_mbit or 0 for mirror in listed))


@dataclass(frozen=True, slots=True)
class HostHints:
    """What is known of one host beside what was typed.

    embargoed  countries of the operator's list that were typed, or that an address is in
    below      its bandwidth is less than what the operator asks for
    warnings   all of it in sentences
    """

    host: HostRow
    sightings: tuple[Sighting, ...]
    asns: tuple[int, ...]
    embargoed: tuple[str, ...]
    below: bool
    coverage: Coverage
    warnings: tuple[str, ...]

    def view(self) -> dict[str, Any]:
        """As the API tells it."""
        return {
            "host": self.host.name,
            "id": self.host.id,
            "country": self.host.country,
            "bandwidth_mbit": self.host.bandwidth_mbit,
            "addresses": [
                {
                    "name": each.name,
                    "address": each.address,
                    "country": each.country,
                    "town": each.town or None,
                    "asn": each.asn,
                }
                for each in self.sightings
            ],
            "asns": list(self.asns),
            "embargoed": list(self.embargoed),
            "below_minimum": self.below,
            "coverage": {
                "country": self.coverage.country,
                "mirrors": self.coverage.mirrors,
                "listed": self.coverage.listed,
                "mbit": self.coverage.mbit,
            },
            "warnings": list(self.warnings),
        }


def hints_for(host: HostRow, sightings: Sequence[Sighting], join: Join, mirrors: Iterable[PublicMirror]) -> HostHints:
    """What is to be said about *host*.

    mirrors  the public ones, for the country's coverage
    """
    country = host.country or ""
    coverage = coverage_of(country, mirrors, besides=host.name)
    embargoed, below = embargoed_of(host, sightings, join), is_below(host, join)
    return HostHints(
        host=host,
        sightings=tuple(sightings),
        asns=tuple(sorted(own_asns_of(sightings))),
        embargoed=embargoed,
        below=below,
        coverage=coverage,
        warnings=tuple(_warnings(host, sightings, join, coverage)),
    )


def embargoed_of(host: HostRow, sightings: Iterable[Sighting], join: Join) -> tuple[str, ...]:
    """Countries of the operator's list that were typed, or that an address is in."""
    found = {host.country or "", *(each.country or "" for each in sightings)}
    return tuple(sorted(found & set(join.embargoed)))


def is_below(host: HostRow, join: Join) -> bool:
    """Whether its bandwidth is less than what the operator asks for."""
    return host.bandwidth_mbit is not None and host.bandwidth_mbit < join.minimum_mbit


def _warnings(host: HostRow, sightings: Sequence[Sighting], join: Join, coverage: Coverage) -> Iterable[str]:
    for code in embargoed_of(host, sightings, join):
        yield f"{name_of_country(code)} ({code}) is under embargo: mirrors there cannot be listed."
    if is_below(host, join):
        least = f"{host.bandwidth_mbit:,} Mbit/s is less than the {join.minimum_mbit:,} Mbit/s that are asked for"
        there = f"{coverage.listed} listed mirrors with {coverage.mbit:,} Mbit/s"
        country = name_of_country(coverage.country) if coverage.country in countries() else "its country"
        if coverage.listed < WELL_COVERED:
            yield f"{least}; as {country} has {there}, it may help all the same."
        else:
            yield f"{least}, and {country} has {there}."
    elsewhere: Mapping[str, list[str]] = _by_country(host, sightings)
    for code, addresses in elsewhere.items():
        where = f"{name_of_country(code)} ({code}), not in {host.country}"
        yield f"By our table {', '.join(addresses)} is in {where}: which one is right?"
    if not elsewhere:
        yield from _far(host, sightings)
    asns = own_asns_of(sightings)
    if host.own_asn is not None and asns and host.own_asn not in asns:
        shown = ", ".join(f"AS {number}" for number in sorted(asns))
        yield f"AS {host.own_asn} was entered as its own; by our table its addresses are in {shown}."


def _far(host: HostRow, sightings: Sequence[Sighting]) -> Iterable[str]:
    """Its addresses are in another town than the one that was typed, by a table that knows towns."""
    typed: Place | None = None
    if not sightings:
        return
    if host.latitude is not None and host.longitude is not None:
        typed = Place(host.latitude, host.longitude)
    elif host.city and host.country:
        city = CityName(host.city, host.state, host.country)
        typed = find_cities(frozenset({city})).get(city)
    ways = [(distance_km(typed, each.place), each.town) for each in sightings if typed and each.place is not None]
    if ways and min(ways)[0] > FAR_KM:
        km, town = min(ways)
        yield f"By our table its addresses are at {town or 'another place'}, {km:,.0f} km from what was typed."


def _by_country(host: HostRow, sightings: Sequence[Sighting]) -> dict[str, list[str]]:
    """Countries other than the one that was typed -> addresses that our table puts there."""
    found: dict[str, list[str]] = {}
    for each in sightings:
        if each.country is not None and host.country and each.country != host.country:
            if each.address not in found.setdefault(each.country, []):
                found[each.country].append(each.address)
    return found

"""A City database of the whole world, made from a country table and the gazetteer: cities by their people.

python -m benchmarks.world --countries data/geoip/country.mmdb OUT.mmdb
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import numpy as np
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from redirector.locate.geoip import load_geoip
from redirector.locate.places import countries, read_cities

_LEAST = 4_096
"""Smaller ranges are left out: a twentieth of all addresses, in most of the rows."""

_BLOCKS = 2_000
"""Into about so many blocks a country's addresses are cut, of 256 to 65,536 addresses."""


def write_world_database(path: Path, country_table: Path) -> None:
    """Each country's addresses, block by block, are handed to its cities, so that each has its share by people.

    cost  half a minute
    """
    geo, cities = load_geoip(str(country_table)), read_cities()
    starts = np.frombuffer(geo.table.v4_starts, np.uint32).astype(np.int64)
    ends = np.append(starts[1:], 1 << 32)
    located = [location.country for location in geo.locations]
    by_country: dict[str, list[tuple[int, int]]] = {}
    for start, end, number in zip(starts.tolist(), ends.tolist(), geo.table.v4_values, strict=True):
        country = located[number]
        if country is not None and end - start >= _LEAST:
            by_country.setdefault(country, []).append((start, end))
    writer = MMDBWriter(6, "GeoLite2-City", ipv4_compatible=True, description="Made up", float_type="f64")
    for country, ranges in sorted(by_country.items()):
        rows = np.flatnonzero(cities.country == country)
        if not len(rows):
            continue
        total = sum(end - start for start, end in ranges)
        size = min(max(256, 1 << (total // _BLOCKS).bit_length() - 1), 65_536) if total >= _BLOCKS else 256
        reached = np.cumsum(cities.people[rows]) / cities.people[rows].sum()
        found: dict[int, list[str]] = {}
        passed = 0
        for network in _blocks(ranges, size):
            middle = (passed + network.num_addresses / 2) / total
            found.setdefault(int(rows[min(int(np.searchsorted(reached, middle)), len(rows) - 1)]), []).append(
                str(network)
            )
            passed += network.num_addresses
        for row, networks in found.items():
            writer.insert_network(
                IPSet(networks),
                {
                    "city": {"names": {"en": str(cities.name[row])}},
                    "continent": {"code": countries()[country].continent if country in countries() else "EU"},
                    "country": {"iso_code": country},
                    "location": {
                        "latitude": float(cities.latitude[row]),
                        "longitude": float(cities.longitude[row]),
                    },
                },
            )
    writer.to_db_file(str(path))


def _blocks(ranges: list[tuple[int, int]], size: int) -> Iterator[IPv4Network]:
    """The ranges as networks of *size* addresses at most."""
    for start, end in ranges:
        while start < end:
            step = min(size, start & -start or size, 1 << (end - start).bit_length() - 1)
            yield IPv4Network((start, 33 - step.bit_length()))
            start += step


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a made-up City database of the world.")
    parser.add_argument("path", metavar="OUT", type=Path)
    parser.add_argument("--countries", type=Path, default=Path("data/geoip/country.mmdb"), help="country database")
    options = parser.parse_args()
    write_world_database(options.path, options.countries)


if __name__ == "__main__":
    main()

"""Write a made-up City database: every routed address lies in some large city.

python -m benchmarks.make_city_database --places 5000 --seed 1 OUT.mmdb
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from benchmarks.cities import largest_cities
from redirector.locate.places import countries

_TOPS_6 = range(0x2001, 0x2C10)
"""First 16 bits of the IPv6 addresses that are in use."""


def write_city_database(path: Path, places: int, seed: int) -> None:
    """Records hold a country, a continent and coordinates, as in MaxMind's databases: *places* of them."""
    chance = Random(seed)
    records = [
        {
            "city": {"names": {"en": city.name}},
            "continent": {"code": countries()[city.country].continent},
            "country": {"iso_code": city.country},
            "location": {"latitude": city.latitude, "longitude": city.longitude},
        }
        for city in largest_cities(places)
    ]
    writer = MMDBWriter(
        6, "GeoLite2-City", ipv4_compatible=True, description="Made up for load tests", float_type="f64"
    )
    for block in range(1 << 6, 224 << 6):
        writer.insert_network(IPSet([f"{block >> 6}.{(block & 63) << 2}.0.0/14"]), chance.choice(records))
    for top in _TOPS_6:
        writer.insert_network(IPSet([f"{top:x}::/16"]), chance.choice(records))
    writer.to_db_file(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a made-up City database.")
    parser.add_argument("path", metavar="OUT", type=Path)
    parser.add_argument("--places", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_city_database(options.path, options.places, options.seed)


if __name__ == "__main__":
    main()

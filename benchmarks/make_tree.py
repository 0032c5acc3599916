"""Write a made-up tree of mirrors in the AlmaLinux dialect.

python -m benchmarks.make_tree --mirrors 530 --seed 1 OUT
"""

from __future__ import annotations

import argparse
from ipaddress import IPv4Network
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks.addresses import draw_v4
from benchmarks.cities import City, largest_cities

_CONFIG: dict[str, Any] = {
    "config_version": 3,
    "allowed_outdate": "12h",
    "mirrors_dir": "mirrors.d",
    "versions": ["8", "8.10", "9", "9.8", "10", "10.2"],
    "optional_module_versions": {"next": ["10"]},
    "duplicated_versions": {"8": "8.10", "9": "9.8", "10": "10.2"},
    "vault_versions": ["8.8", "8.9", "9.6", "9.7", "10.0", "10.1"],
    "vault_mirror": "https://vault.meadow.example.org/",
    "arches": {
        "8": ["x86_64", "aarch64"],
        "9": ["x86_64", "aarch64", "ppc64le", "s390x"],
        "10": ["x86_64", "aarch64", "ppc64le", "s390x"],
        "10-next": ["x86_64", "aarch64"],
    },
    "required_protocols": ["http", "https"],
}

_REPOSITORIES = (
    "BaseOS AppStream CRB PowerTools NFV RT Extras HighAvailability ResilientStorage SAP SAPHANA Devel Plus Live "
    "Images Synergy Testing"
).split()

_COUNTRIES = (
    "US US US US CA NL DE DE FR GB SE CZ PL IT ES UA CN JP IN TW SG KR HK ID TR KZ BR AR CL AU NZ ZA KE".split()
)
"""Drawn from evenly; the first ones are doubled because they have more mirrors than others."""


def write_tree(folder: Path, mirrors: int, seed: int) -> None:
    """Fill *folder* with `config.yml` and *mirrors* files; equal arguments write equal bytes."""
    chance = Random(seed)
    directory = folder / str(_CONFIG["mirrors_dir"])
    directory.mkdir(parents=True, exist_ok=True)
    repositories = [{"name": name.lower(), "path": f"{name}/$basearch/os/"} for name in _REPOSITORIES]
    (folder / "config.yml").write_text(yaml.safe_dump(_CONFIG | {"repos": repositories}, sort_keys=False))
    cities: dict[str, list[City]] = {}
    for city in largest_cities(3_000):
        cities.setdefault(city.country, []).append(city)
    for position in range(mirrors):
        mirror = _make_mirror(chance, position, cities)
        (directory / f"{mirror['name']}.yml").write_text(yaml.safe_dump(mirror, sort_keys=False, allow_unicode=True))


def _make_mirror(chance: Random, position: int, cities: dict[str, list[City]]) -> dict[str, Any]:
    """Most have a place, some an AS number, few a network; one in twenty-five is private."""
    country = chance.choice(_COUNTRIES)
    name = f"mirror{position}.{country.lower()}.example.org"
    schemes = chance.choice((("http", "https"), ("http", "https", "rsync"), ("https", "rsync"), ("http",)))
    mirror: dict[str, Any] = {
        "name": name,
        "address": {scheme: f"{scheme}://{name}/meadow" for scheme in schemes},
        "update_frequency": "3h",
        "sponsor": f"Sponsor {position}",
        "sponsor_url": f"https://sponsor{position}.example.org/",
        "email": f"admin{position}@example.org",
    }
    if chance.random() < 0.85:
        city = chance.choice(cities[country])
        mirror["geolocation"] = {"country": country, "state_province": None, "city": city.name}
    if chance.random() < 0.13:
        mirror["asn"] = chance.randint(1_000, 400_000)
    if chance.random() < 0.1:
        mirror["address_optional"] = {"next": {scheme: f"{scheme}://{name}/meadow-next" for scheme in schemes}}
    if chance.random() < 0.04:
        network = IPv4Network((draw_v4(chance), chance.randint(16, 24)), strict=False)
        mirror |= {"private": True, "subnets": [str(network)], "monopoly": chance.random() < 0.2}
    return mirror


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a made-up tree of mirrors.")
    parser.add_argument("folder", metavar="OUT", type=Path)
    parser.add_argument("--mirrors", type=int, default=530)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_tree(options.folder, options.mirrors, options.seed)


if __name__ == "__main__":
    main()

"""Traffic: requests as they go over the wire, one after the other in a file, each from a different client.

Both load drivers read such files. Clients are handed over in `X-Forwarded-For`, as a proxy does: one in five is IPv6,
one in twenty is inside a host's netblock, most are inside announced prefixes, the others anywhere in unicast space.
What is asked for is drawn by popularity (Zipf), in the order of the source: the newest repositories first.

    python -m benchmarks.traffic --source SNAPSHOT --asn TABLE --answer metalink OUT
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import accumulate
from pathlib import Path
from random import Random
from socket import AF_INET, AF_INET6, inet_ntop

from benchmarks.addresses import draw_v4, draw_v6
from redirector.model import Catalog, Network
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree

CLIENTS = 600_000
"""Different clients in one file: more than a server could sensibly remember."""

HOST = "mirrors.example.org"

_SHARE_V6 = 0.2
_SHARE_IN_NETBLOCKS = 0.05
_SHARE_ANNOUNCED = 0.75
_ZIPF_EXPONENT = 1.0
_ANNOUNCED_SAMPLE = 50_000

_AGENTS = tuple(
    f"libdnf (Meadow Linux {version}; {variant}; Linux.{arch})"
    for version in range(37, 43)
    for variant in ("generic", "server", "workstation")
    for arch in ("x86_64", "aarch64")
)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Where clients are drawn from; *announced* by IP version."""

    netblocks: Sequence[Network]
    announced: Mapping[int, Sequence[str]]

    def draw(self, chance: Random, count: int) -> list[str]:
        """*count* different addresses, as text."""
        drawn: dict[str, None] = {}
        while len(drawn) < count:
            drawn[self._draw_one(chance)] = None
        return list(drawn)

    def _draw_one(self, chance: Random) -> str:
        place = chance.random()
        if place < _SHARE_IN_NETBLOCKS and self.netblocks:
            return _draw_inside(chance, chance.choice(self.netblocks))
        version = 6 if chance.random() < _SHARE_V6 else 4
        if place < _SHARE_IN_NETBLOCKS + _SHARE_ANNOUNCED and self.announced[version]:
            return _draw_inside(chance, ip_network(chance.choice(self.announced[version])))
        if version == 4:
            return inet_ntop(AF_INET, draw_v4(chance).to_bytes(4, "big"))
        return inet_ntop(AF_INET6, draw_v6(chance).to_bytes(16, "big"))


def _draw_inside(chance: Random, network: Network) -> str:
    free = network.max_prefixlen - network.prefixlen
    address = int(network.network_address) | chance.getrandbits(free)
    if network.version == 4:
        return inet_ntop(AF_INET, address.to_bytes(4, "big"))
    return inet_ntop(AF_INET6, address.to_bytes(16, "big"))


def load_crowd(catalog: Catalog, as_table: Path | None) -> Crowd:
    """Clients that suit *catalog*: inside its hosts' netblocks, and inside prefixes of the text table *as_table*."""
    netblocks = [network for host in catalog.hosts for network in host.netblocks]
    lines = as_table.read_text().splitlines() if as_table else []
    lines = Random(0).sample(lines, min(len(lines), _ANNOUNCED_SAMPLE))
    prefixes = [line.split()[0] for line in lines]
    return Crowd(
        netblocks,
        {
            4: [prefix for prefix in prefixes if ":" not in prefix],
            6: [prefix for prefix in prefixes if ":" in prefix],
        },
    )


def mirrormanager_targets(catalog: Catalog, answer: str) -> list[str]:
    """`/mirrorlist?repo=…&arch=…`, or `/metalink?…`, for each repository that can be answered, most popular first."""
    return [
        f"/{answer}?repo={prefix}&arch={arch}"
        for (prefix, arch), directory in catalog.repositories.items()
        if prefix not in catalog.disabled and directory in catalog.directories
    ]


def tree_targets(catalog: Catalog) -> list[str]:
    """`/mirrorlist/<version>/<repository>` for each major version and repository of a tree."""
    assert catalog.releases is not None, "a MirrorManager snapshot has no releases"
    return [
        f"/mirrorlist/{version}/{repository}"
        for version in reversed(list(catalog.releases.duplicated))
        for repository in catalog.releases.repositories
    ]


def write_traffic(path: Path, targets: Sequence[str], clients: Iterable[str], *, close: bool = False) -> None:
    """One request for each of *clients*; with *close* each asks for its connection to end after the answer."""
    chance = Random(0)
    weights = list(accumulate(1 / rank**_ZIPF_EXPONENT for rank in range(1, len(targets) + 1)))
    tails = [f"Host: {HOST}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n" for agent in _AGENTS]
    if close:
        tails = [f"{tail}Connection: close\r\n" for tail in tails]
    with open(path, "w", newline="", buffering=1 << 20) as file:
        for client in clients:
            (target,) = chance.choices(targets, cum_weights=weights)
            file.write(f"GET {target} HTTP/1.1\r\n{chance.choice(tails)}X-Forwarded-For: {client}\r\n\r\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a file of requests for the load drivers.")
    parser.add_argument("path", metavar="OUT", type=Path)
    parser.add_argument("--source", required=True, type=Path, help="MirrorManager snapshot, or an AlmaLinux tree")
    parser.add_argument("--asn", type=Path, help="text table PREFIX ASN that clients are drawn from")
    parser.add_argument("--answer", choices=("mirrorlist", "metalink"), default="mirrorlist")
    parser.add_argument("--close", action="store_true", help="one request per connection")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.source.is_dir():
        catalog = load_tree(str(options.source), now=0)
        targets = tree_targets(catalog)
    else:
        catalog = load_snapshot_file(str(options.source))
        targets = mirrormanager_targets(catalog, options.answer)
    clients = load_crowd(catalog, options.asn).draw(Random(options.seed), options.clients)
    write_traffic(options.path, targets, clients, close=options.close)


if __name__ == "__main__":
    main()

"""Write a made-up MirrorManager snapshot, an AS table and a table of continents that go with it.

    python -m benchmarks.make_snapshot --scale fedora --seed 1 OUT

fills the folder OUT with `mirrorlist_cache.proto`, `global_netblocks.txt` and `country_continent.csv`. Everything in
them is drawn from the seed; shapes and proportions are those of a large distribution: a few hosts have most of the
bandwidth, most directories of a category share their hosts, nearly half of the hosts are private.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain, cycle, islice, product
from pathlib import Path
from random import Random
from string import ascii_lowercase

from benchmarks.addresses import draw_v4, draw_v6
from benchmarks.make_as_table import write_as_table
from benchmarks.scale import SCALES, Scale
from benchmarks.wire import number, numbers, record, varint
from redirector.locate.places import countries

SNAPSHOT = "mirrorlist_cache.proto"
AS_TABLE = "global_netblocks.txt"
CONTINENTS = "country_continent.csv"

BUILT = 1_760_000_000
"""Creation time of every made-up snapshot."""

_COUNTRIES = dict(
    (country, float(share))
    for country, share in (
        pair.split(":")
        for pair in (
            "US:26 CA:5 MX:1 DE:5 FR:3 GB:3 NL:3 SE:2 CZ:1.5 PL:1.5 IT:1 ES:1 AT:1 CH:1 DK:.7 FI:.7 UA:.7 RU:1.5 RO:.5 "
            "BG:.4 GR:.4 CN:6 JP:3 IN:3 TW:2 SG:2 KR:1.5 HK:1.5 ID:2 TR:1 IR:1 KZ:.7 VN:1 TH:1 BD:.7 IL:.6 SA:.4 AM:.3 "
            "BR:5 AR:1 CL:1 EC:.7 CO:.7 UY:.4 AU:4 NZ:1.5 NC:.3 ZA:2 KE:.7 MU:.4 TN:.3 MA:.3 NG:.3"
        ).split()
    )
)
"""Country -> share of hosts, in no particular unit."""

_BANDWIDTHS_MBIT = {10: 2, 50: 3, 100: 25, 500: 5, 1_000: 40, 2_000: 3, 10_000: 17, 40_000: 2, 100_000: 3}
"""Bandwidth -> share of hosts; the last two exceed what counts."""

_SYLLABLES = "ba da fe ga ho ki lu ma ne no pa ra ri sa so ta to ve wi zu".split()
_FIRST_LABELS = ("mirror", "mirrors", "ftp", "linux", "repo", "download")
_LETTERS = tuple(ascii_lowercase)
_PRIMARY_ARCHES = ("x86_64", "aarch64")
_ARCHES = (*_PRIMARY_ARCHES, "ppc64le", "s390x")
_NEWEST = 42
_OLDEST_SUPPORTED = 36


@dataclass(frozen=True, slots=True)
class _Category:
    """What a host signs up for: the shares of public and of private hosts that do, and its share of the host sets."""

    topdir: str
    public: float
    private: float
    host_sets: float


_LINUX = _Category("pub/meadow/linux", 0.80, 0.60, 0.40)
_SECONDARY = _Category("pub/meadow/secondary", 0.55, 0.30, 0.10)
_EXTRAS = _Category("pub/meadow/extras", 0.75, 0.50, 0.25)
_SPINS = _Category("pub/meadow/spins", 0.60, 0.30, 0.05)
_ARCHIVE = _Category("pub/archive/meadow", 0.45, 0.10, 0.20)
_CATEGORIES = (_LINUX, _SECONDARY, _EXTRAS, _SPINS, _ARCHIVE)


@dataclass(frozen=True, slots=True)
class _Repository:
    prefix: str
    arch: str
    category: _Category
    subpath: str


@dataclass(frozen=True, slots=True)
class _Host:
    id: int
    name: str
    country: str
    private: bool
    bandwidth_mbit: int


def write_snapshot(folder: Path, scale: Scale, seed: int) -> None:
    """Fill *folder* with a snapshot, its AS table and its continents; equal arguments write equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)

    def draws(subject: str) -> Random:
        # One stream a subject: more directories leave the hosts as they are.
        return Random(f"{seed} {subject}")

    asns = write_as_table(folder / AS_TABLE, scale.as_lines, seed)
    hosts = _make_hosts(draws("hosts"), scale)
    members = _make_members(draws("members"), hosts)
    urls = _make_urls(draws("urls"), members, scale.urls)
    sets = _make_host_sets(draws("sets"), scale, members, urls)
    repositories = list(islice(_name_repositories(), scale.repositories))
    with open(folder / SNAPSHOT, "wb", buffering=1 << 20) as file:
        file.write(number(1, BUILT))
        file.writelines(_client_country_records(draws("clients")))
        file.writelines(record(4, number(1, url_id) + record(2, url)) for url_id, url in _numbered_urls(urls))
        file.writelines(_detail_records(draws("details"), repositories))
        file.writelines(_repository_records(draws("repositories"), repositories))
        file.writelines(_host_records(draws("networks"), hosts, asns, scale.netblocks))
        file.writelines(_directory_records(draws("directories"), scale, repositories, sets))
    _write_continents(folder / CONTINENTS)


# -- Hosts and what they carry -----------------------------------------------------------------------------------------


def _make_hosts(chance: Random, scale: Scale) -> list[_Host]:
    private = round(scale.hosts * scale.private)
    homes = chance.choices(list(_COUNTRIES), list(_COUNTRIES.values()), k=scale.hosts)
    bandwidths = chance.choices(list(_BANDWIDTHS_MBIT), list(_BANDWIDTHS_MBIT.values()), k=scale.hosts)
    hosts = []
    for position, (country, bandwidth) in enumerate(zip(homes, bandwidths, strict=True)):
        owner = "".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4)))
        domain = chance.choice(("org", "net", "com"))
        name = f"{chance.choice(_FIRST_LABELS)}.{owner}{position}.{country.lower()}.example.{domain}"
        hosts.append(_Host(position + 1, name, country, position < private, bandwidth))
    return hosts


def _make_members(chance: Random, hosts: list[_Host]) -> dict[_Category, list[_Host]]:
    """Who signs up for which category; everybody for one at least."""
    members: dict[_Category, list[_Host]] = {category: [] for category in _CATEGORIES}
    for host in hosts:
        chosen = [
            category
            for category in _CATEGORIES
            if chance.random() < (category.private if host.private else category.public)
        ]
        for category in chosen or [_LINUX]:
            members[category].append(host)
    return members


def _make_urls(
    chance: Random, members: dict[_Category, list[_Host]], count: int
) -> dict[tuple[int, _Category], list[str]]:
    """Base URLs of each host for each of its categories: one each, the rest drawn until there are *count*."""
    first: list[tuple[int, _Category, str]] = []
    more: list[tuple[float, int, _Category, str]] = []
    for category, hosts in members.items():
        for host in hosts:
            path = chance.choice(("", "/pub", "/mirrors", "/linux")) + "/" + category.topdir.removeprefix("pub/")
            schemes = chance.choice((("https", "http", "rsync"), ("http", "https", "rsync"), ("https", "http", "ftp")))
            first.append((host.id, category, f"{schemes[0]}://{host.name}{path}/"))
            # The second web URL is more usual than rsync.
            more.append((chance.random() * 0.6, host.id, category, f"{schemes[1]}://{host.name}{path}/"))
            more.append((chance.random(), host.id, category, f"{schemes[2]}://{host.name}{path}/"))
    urls: dict[tuple[int, _Category], list[str]] = {}
    wanted = max(0, count - len(first))
    for host_id, category, url in chain(
        first, (entry[1:] for entry in sorted(more, key=lambda entry: entry[0])[:wanted])
    ):
        urls.setdefault((host_id, category), []).append(url)
    return urls


def _numbered_urls(urls: dict[tuple[int, _Category], list[str]]) -> Iterator[tuple[int, str]]:
    return enumerate(chain.from_iterable(urls.values()), start=1)


def _make_host_sets(
    chance: Random, scale: Scale, members: dict[_Category, list[_Host]], urls: dict[tuple[int, _Category], list[str]]
) -> dict[_Category, list[tuple[bytes, bytes]]]:
    """For each category the wire bytes of its sets: what stands before a directory's subpath, and what behind it.

    A category's first set has all its hosts; the others lack up to an eighth, which are not up to date.
    """
    url_ids: dict[tuple[int, _Category], list[int]] = {}
    ids = (url_id for url_id, _ in _numbered_urls(urls))
    for key, listed in urls.items():
        url_ids[key] = list(islice(ids, len(listed)))
    sets: dict[_Category, list[tuple[bytes, bytes]]] = {}
    for category in _CATEGORIES:
        count = max(1, round(scale.host_sets * category.host_sets))
        sets[category] = []
        for version in range(count):
            late = chance.random() / 8 if version else 0.0
            hosts = [host for host in members[category] if chance.random() >= late]
            sets[category].append(_encode_host_set(hosts, category, url_ids))
    return sets


def _encode_host_set(
    hosts: list[_Host], category: _Category, url_ids: dict[tuple[int, _Category], list[int]]
) -> tuple[bytes, bytes]:
    public = [host for host in hosts if not host.private]
    by_country: dict[str, list[int]] = {}
    for host in public:
        by_country.setdefault(host.country, []).append(host.id)
    lists = [record(4, record(1, country) + numbers(2, ids)) for country, ids in by_country.items()]
    lists += [record(6, number(1, host.id) + numbers(2, url_ids[host.id, category])) for host in hosts]
    return numbers(2, (host.id for host in public)), b"".join(lists)


# -- Repositories and directories --------------------------------------------------------------------------------------


def _name_repositories() -> Iterator[_Repository]:
    """Newest version first, most wanted first within a version."""
    for version in range(_NEWEST, 0, -1):
        for arch in _ARCHES:
            linux = _LINUX if arch in _PRIMARY_ARCHES else _SECONDARY
            yield _make_repository(f"meadow-{version}", arch, linux, f"releases/{version}/Everything/{arch}/os")
            yield _make_repository(f"updates-released-m{version}", arch, linux, f"updates/{version}/Everything/{arch}")
            yield _make_repository(f"extras-{version}", arch, _EXTRAS, f"{version}/Everything/{arch}")
        for arch in _PRIMARY_ARCHES:
            yield _make_repository(f"spins-{version}", arch, _SPINS, f"{version}/Spins/{arch}/os")
        for arch in _ARCHES:
            linux = _LINUX if arch in _PRIMARY_ARCHES else _SECONDARY
            yield _make_repository(
                f"updates-testing-m{version}", arch, linux, f"updates/testing/{version}/Everything/{arch}"
            )
            yield _make_repository(
                f"meadow-debug-{version}", arch, linux, f"releases/{version}/Everything/{arch}/debug/tree"
            )
            yield _make_repository(f"testing-extras-{version}", arch, _EXTRAS, f"testing/{version}/Everything/{arch}")
        yield _make_repository(
            f"meadow-source-{version}", "source", _LINUX, f"releases/{version}/Everything/source/tree"
        )
        yield _make_repository(f"extras-source-{version}", "source", _EXTRAS, f"{version}/Everything/source/tree")


def _make_repository(prefix: str, arch: str, category: _Category, subpath: str) -> _Repository:
    """Versions that are no longer supported are in the archive."""
    version = next(int(part) for part in subpath.split("/") if part.isdigit())
    return _Repository(prefix, arch, category if version >= _OLDEST_SUPPORTED else _ARCHIVE, subpath)


def _directory_of(repository: _Repository) -> str:
    return f"{repository.category.topdir}/{repository.subpath}"


def _directory_records(
    chance: Random, scale: Scale, repositories: list[_Repository], sets: dict[_Category, list[tuple[bytes, bytes]]]
) -> Iterator[bytes]:
    """Every repository's directory first, then their `repodata`, then package directories until there are enough."""
    turns = {category: cycle(chance.sample(lists, len(lists))) for category, lists in sets.items()}
    lists = [next(turns[repository.category]) for repository in repositories]
    folders = chain(
        ("", "/repodata", "/Packages"),
        (f"/Packages/{letter}" for letter in _LETTERS),
        (f"/Packages/{first}{second}" for first, second in product(_LETTERS, _LETTERS)),
    )
    pairs = ((folder, position) for folder in folders for position in range(len(repositories)))
    for folder, position in islice(pairs, scale.directories):
        repository = repositories[position]
        before, behind = lists[position]
        name = record(1, _directory_of(repository) + folder)
        subpath = record(3, repository.subpath + folder)
        length = len(name) + len(before) + len(subpath) + len(behind)
        yield b"".join((varint(16 << 3 | 2), varint(length), name, before, subpath, behind))


def _repository_records(chance: Random, repositories: list[_Repository]) -> Iterator[bytes]:
    prefixes = sorted({repository.prefix for repository in repositories})
    for prefix in prefixes:
        if chance.random() < 0.03:
            yield record(6, record(1, prefix) + number(2, 1))
    for country, continent in (("IL", "EU"), ("TR", "EU"), ("AM", "EU"), ("KZ", "EU")):
        yield record(7, record(1, country) + record(2, continent))
    for prefix in prefixes[:10]:
        yield record(8, record(1, f"{prefix}-latest") + record(2, prefix))
    for repository in repositories:
        key = f"{repository.prefix}+{repository.arch}"
        yield record(9, record(1, key) + record(2, _directory_of(repository)))


def _detail_records(chance: Random, repositories: list[_Repository]) -> Iterator[bytes]:
    for repository in repositories:
        alternates = chance.choices((0, 1, 2, 3), (2, 4, 3, 1))[0]
        newest = BUILT - chance.randint(3_600, 100 * 86_400)
        versions = []
        for age in range(1 + alternates):
            content = f"{repository.prefix} {repository.arch} {age}".encode()
            versions.append(
                record(
                    2,
                    number(1, newest - age * 86_400)
                    + number(2, chance.randint(2_000, 8_000))
                    + record(3, hashlib.sha1(content).hexdigest())
                    + record(4, hashlib.md5(content).hexdigest())
                    + record(5, hashlib.sha256(content).hexdigest())
                    + record(6, hashlib.sha512(content).hexdigest()),
                )
            )
        file = record(1, "repomd.xml") + b"".join(versions)
        yield record(5, record(1, _directory_of(repository) + "/repodata") + record(2, file))


# -- Networks ----------------------------------------------------------------------------------------------------------


def _host_records(chance: Random, hosts: list[_Host], asns: list[int], netblocks: int) -> Iterator[bytes]:
    """What is said of hosts one by one; each kind together, as MirrorManager writes it."""
    by_asn: dict[int, list[int]] = {}
    for host in hosts:
        if chance.random() < (0.6 if host.private else 0.3):
            by_asn.setdefault(chance.choice(asns), []).append(host.id)
    for asn, ids in sorted(by_asn.items()):
        yield record(10, number(1, asn) + numbers(2, ids))
    for host in hosts:
        yield record(11, number(1, host.id) + number(2, 1))
    for host in hosts:
        yield record(12, number(1, host.id) + record(2, host.country))
    for host in hosts:
        yield record(13, number(1, host.id) + number(2, host.bandwidth_mbit))
    for host in chance.sample(hosts, len(hosts) // 100):
        allowed = {host.country, *chance.choices(list(_COUNTRIES), k=2)}
        yield record(14, number(1, host.id) + b"".join(record(2, country) for country in sorted(allowed)))
    for network, ids in _make_netblocks(chance, hosts, netblocks).items():
        yield record(15, record(1, network) + numbers(2, ids))


def _make_netblocks(chance: Random, hosts: list[_Host], count: int) -> dict[str, list[int]]:
    """Network -> hosts: nine in ten are private hosts', one in ten lies inside another, a few have two hosts."""
    private = [host.id for host in hosts if host.private] or [host.id for host in hosts]
    everybody = [host.id for host in hosts]
    owners: dict[str, list[int]] = {}
    networks: list[IPv4Network | IPv6Network] = []
    while len(owners) < count:
        if networks and chance.random() < 0.1:
            network = _inside(chance, chance.choice(networks))
        else:
            network = _draw_network(chance)
        ids = chance.sample(everybody, 2) if chance.random() < 0.05 else []
        owners[str(network)] = ids or [chance.choice(private if chance.random() < 0.9 else everybody)]
        networks.append(network)
    return owners


def _draw_network(chance: Random) -> IPv4Network | IPv6Network:
    if chance.random() < 0.8:
        length = chance.choice((14, 16, 16, 18, 20, 20, 22, 23, 24, 24, 24, 26, 28, 32))
        return IPv4Network((draw_v4(chance), length), strict=False)
    return IPv6Network((draw_v6(chance), chance.choice((32, 36, 44, 48, 48, 56, 64))), strict=False)


def _inside(chance: Random, network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    free = network.max_prefixlen - network.prefixlen
    address = int(network.network_address) | chance.getrandbits(free) if free else int(network.network_address)
    length = network.prefixlen + min(free, chance.randint(1, 6))
    return ip_network((network.network_address.__class__(address), length), strict=False)


def _client_country_records(chance: Random) -> Iterator[bytes]:
    for _ in range(20):
        country = chance.choice(list(_COUNTRIES))
        yield record(2, record(1, str(_draw_network(chance))) + record(2, country))


def _write_continents(path: Path) -> None:
    lines = [f"{code},{country.continent}\n" for code, country in sorted(countries().items())]
    path.write_text('"iso 3166 country","continent code"\nA1,--\n' + "".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a made-up MirrorManager snapshot.")
    parser.add_argument("folder", metavar="OUT", type=Path)
    parser.add_argument("--scale", choices=SCALES, default="fedora")
    parser.add_argument("--seed", type=int, default=1)
    for knob in fields(Scale):
        parser.add_argument(f"--{knob.name.replace('_', '-')}", type=float if knob.name == "private" else int)
    options = parser.parse_args()
    chosen = {knob.name: getattr(options, knob.name) for knob in fields(Scale)}
    scale = replace(SCALES[options.scale], **{name: value for name, value in chosen.items() if value is not None})
    if scale.directories < 2 * scale.repositories:
        parser.error("--directories: each repository needs two, its own and its repodata")
    write_snapshot(options.folder, scale, options.seed)


if __name__ == "__main__":
    main()

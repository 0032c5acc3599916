"""One rig for all rooms: builds a snapshot from a few lines and asks it questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import ip_address, ip_network

from redirector.answer.answer import Answer, Request
from redirector.answer.serve import Responder
from redirector.locate.geoip import GeoDatabase, Location
from redirector.locate.networks import AsnTable
from redirector.locate.proxies import Client
from redirector.locate.ranges import table_of_networks
from redirector.model import Catalog, Choice, Dialect, Directory, FileDetail, Host, HostId, HostSet, HostSetId
from redirector.snapshot.compile import Limits, Tables, compile_snapshot
from redirector.snapshot.policy import policy_of
from redirector.snapshot.snapshot import Snapshot

NOW = 1_790_000_000

CONTINENTS = {
    "DE": "EU",
    "FR": "EU",
    "CZ": "EU",
    "US": "NA",
    "CA": "NA",
    "JP": "AS",
    "SA": "AS",
    "AE": "AS",
    "BR": "SA",
}

DETAIL = FileDetail(1_789_000_000, 1234, "a" * 32, "b" * 40, "c" * 64, "d" * 128)
OLDER = FileDetail(1_788_000_000, 1200, "1" * 32, "2" * 40, "3" * 64, "4" * 128)

GEO: Mapping[str, Location] = {
    "10.1.0.0/16": Location("DE"),
    "10.2.0.0/16": Location("FR"),
    "10.3.0.0/16": Location("US"),
    "10.4.0.0/16": Location("JP"),
    "10.5.0.0/16": Location("SA"),
    "10.6.0.0/16": Location("BR"),
    "10.7.0.0/16": Location("CZ"),
    "2001:db8:1::/48": Location("DE"),
}
ASNS: Mapping[str, int] = {"10.1.64.0/18": 64496, "10.9.0.0/16": 64497}


def net(text: str):  # type: ignore[no-untyped-def]
    return ip_network(text)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A host and what it carries; urls None: https and http under its own name."""

    host: Host
    urls: tuple[str, ...] | None = None

    def base_urls(self) -> tuple[str, ...]:
        return self.urls or (f"http://{self.host.name}/pub", f"https://{self.host.name}/pub")


def mirror(name: str, country: str | None = None, *urls: str, **facts: object) -> Mirror:
    """A mirror in a line: name, country, URLs, and any field of `Host`."""
    networks = tuple(ip_network(str(text)) for text in facts.pop("netblocks", ()))  # type: ignore[attr-defined]
    host = replace(Host(name, country), netblocks=networks, **facts)  # type: ignore[arg-type]
    return Mirror(host, urls or None)


def catalog_of(mirrors: Sequence[Mirror], dialect: Dialect = Dialect.MIRRORMANAGER, **fields: object) -> Catalog:
    """A catalog with one host set, two directories and the repository `fedora-40` for x86_64."""
    hosts = tuple(each.host for each in mirrors)
    by_country: dict[str, list[HostId]] = {}
    for n, host in enumerate(hosts):
        if host.country and not host.private:
            by_country.setdefault(host.country, []).append(HostId(n))
    carriers = HostSet(
        urls={HostId(n): each.base_urls() for n, each in enumerate(mirrors)},
        public=tuple(HostId(n) for n, host in enumerate(hosts) if not host.private and not host.local),
        by_country={country: tuple(members) for country, members in by_country.items()},
    )
    base = Catalog(
        dialect=dialect,
        choice=Choice.DISTANCE if dialect is Dialect.ALMALINUX else Choice.TIERS,
        dated=dialect is Dialect.MIRRORMANAGER,
        path="made-up",
        built=NOW - 3600,
        hosts=hosts,
        host_sets=(carriers,),
        directories={
            "pub/linux/40/x86_64/os": Directory(HostSetId(0), cut=len("pub/")),
            "pub/linux/40/x86_64/os/repodata": Directory(HostSetId(0), cut=len("pub/")),
        },
        repositories={("fedora-40", "x86_64"): "pub/linux/40/x86_64/os", ("gone", "x86_64"): "pub/gone"},
        disabled=frozenset({"off"}),
        redirects={"fedora-rawhide": "fedora-40"},
        details={("pub/linux/40/x86_64/os/repodata", "repomd.xml"): (DETAIL, OLDER)},
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def snapshot_of(
    catalog: Catalog,
    compatibility: str | None = None,
    window_s: int = 3600,
    minimum: int = 5,
    geo: Mapping[str, Location] = GEO,
    asns: Mapping[str, int] = ASNS,
    pool_bytes: int = 10_000_000,
    newest_s: float = 0.0,
) -> Snapshot:
    """Compile *catalog* with small made-up tables."""
    tables = Tables(_database(tuple(geo.items())), _as_table(tuple(asns.items())), CONTINENTS, {})
    policy = policy_of(catalog.choice, compatibility)
    limits = Limits(minimum, window_s, pool_bytes, newest_s)
    return compile_snapshot(catalog, tables, policy, limits, NOW, catalog.problems)


@cache
def _database(geo: tuple[tuple[str, Location], ...]) -> GeoDatabase:
    locations = tuple(dict.fromkeys([Location(), *(location for _, location in geo)]))
    return GeoDatabase(
        path="made-up.mmdb",
        locations=locations,
        table=table_of_networks((ip_network(prefix), locations.index(location)) for prefix, location in geo),
        build_epoch=NOW,
        node_count=1,
        database_type="made-up",
        credit="made-up places",
        has_coordinates=any(location.latitude is not None for location in locations),
        problems=(),
    )


@cache
def _as_table(asns: tuple[tuple[str, int], ...]) -> AsnTable:
    return AsnTable(table_of_networks((ip_network(prefix), asn) for prefix, asn in asns), len(asns), None, ())


@dataclass(slots=True)
class Rig:
    """A responder and a client in front of it."""

    responder: Responder
    chance: int = field(default=0)

    def get(
        self,
        target: str | bytes,
        client: str | None = "10.1.0.1",
        trusted: bool = False,
        now: float = NOW,
        readable: bool = True,
        accept: str = "",
    ) -> Answer:
        """Ask; every call draws another chance."""
        self.chance = (self.chance * 6364136223846793005 + 1442695040888963407) % 2**64
        address = ip_address(client).packed if client else None
        raw = target.encode() if isinstance(target, str) else target
        return self.responder.answer(
            Request(raw, Client(address, trusted, readable), now, self.chance ^ self.chance >> 29, accept)
        )

    def urls(self, target: str, client: str | None = "10.1.0.1", **more: object) -> list[str]:
        """The URLs of a mirrorlist."""
        answer = self.get(target, client, **more)  # type: ignore[arg-type]
        assert answer.status == 200, answer.body
        return [line for line in answer.body.decode().splitlines() if not line.startswith("#")]

    def hosts(self, target: str, client: str | None = "10.1.0.1", **more: object) -> list[str]:
        """The host names of a mirrorlist's URLs."""
        return [url.split("/")[2] for url in self.urls(target, client, **more)]


def rig(*mirrors: Mirror, dialect: Dialect = Dialect.MIRRORMANAGER, **options: object) -> Rig:
    """A rig over a MirrorManager catalog of *mirrors*; *options* as in `snapshot_of`."""
    return rig_of(catalog_of(mirrors, dialect), **options)


def rig_of(catalog: Catalog, **options: object) -> Rig:
    """A rig over *catalog*; *options* as in `snapshot_of`."""
    return Rig(Responder(snapshot_of(catalog, **options)))  # type: ignore[arg-type]

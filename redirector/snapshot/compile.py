"""Catalog -> Snapshot: everything that does not depend on the client is worked out here, once."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from redirector.locate.crowd import Crowd, gazetteer_crowd
from redirector.locate.geoip import GeoDatabase
from redirector.locate.networks import AsnTable, netblocks_of
from redirector.locate.places import place_of_country
from redirector.locate.ranges import RangeTable, merge, table_of, table_of_networks
from redirector.locate.vectors import vector_of
from redirector.model import Catalog, Choice, Host, HostId, HostSet, HostSetId, Place, Problem, listings
from redirector.snapshot.audiences import Audiences
from redirector.snapshot.balance import Balance, HostColumns, over_limit, work_out
from redirector.snapshot.draws import draws_of
from redirector.snapshot.policy import Policy
from redirector.snapshot.snapshot import Counts, Snapshot
from redirector.tree.releases import vault_directories

_SCHEME_RANK = {"https": 0, "http": 1, "ftp": 2}


@dataclass(frozen=True, slots=True)
class Tables:
    """What a snapshot is compiled with besides its catalog; None where there is no file.

    clients  country -> how many clients are there, in proportion; empty: as many as it has addresses
    """

    geo: GeoDatabase | None
    asns: AsnTable | None
    continents: Mapping[str, str]
    databases: Mapping[str, int]
    geo_path: str = ""
    asn_path: str = ""
    clients: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the configuration that a snapshot carries."""

    minimum: int
    order_window_s: int
    pool_bytes: int
    newest_s: float = 0.0
    share_limit: float = 5.0


def compile_snapshot(
    catalog: Catalog, tables: Tables, policy: Policy, limits: Limits, now: float, problems: Sequence[Problem]
) -> Snapshot:
    """Compile *catalog*. Raises nothing: what cannot be served was refused before.

    cost  1.5 s at Fedora's size with real country and AS tables
    """
    hosts = catalog.hosts
    audiences, netblocks = _audiences(catalog, tables, policy)
    continents = _continents(catalog, tables)
    host_sets = _host_sets(catalog, policy)
    families_known = any(host.ipv4 is not None or host.ipv6 is not None for host in hosts)
    vectors = _vectors(hosts, policy.choice is Choice.NEARNESS)
    balance = _balance(catalog, tables, policy, limits, audiences, vectors)
    return Snapshot(
        policy=policy,
        path=catalog.path,
        dated=catalog.dated,
        built=catalog.built,
        loaded=now,
        hosts=hosts,
        host_sets=host_sets,
        everybody=_everybody(hosts),
        regular=frozenset() if policy.by_distance else _regular_sets(host_sets, hosts),
        directories=catalog.directories,
        repositories=catalog.repositories,
        disabled=catalog.disabled,
        redirects=catalog.redirects,
        details=catalog.details,
        releases=catalog.releases,
        files=catalog.files,
        has_primary=catalog.files is not None or bool(catalog.details),
        vault=vault_directories(catalog.releases),
        audiences=audiences,
        continents=continents,
        by_continent=_by_continent(continents),
        restricted=frozenset(HostId(n) for n, host in enumerate(hosts) if host.allowed or host.excluded),
        families_known=families_known,
        health_known=families_known or not all(host.up for host in hosts),
        origin=next((HostId(n) for n, host in enumerate(hosts) if host.origin), None),
        minimum=limits.minimum,
        list_length=catalog.list_length,
        near_km=catalog.near_km,
        newest_s=limits.newest_s,
        order_window_s=limits.order_window_s,
        pool_bytes=limits.pool_bytes,
        draws=draws_of([host.name for host in hosts]),
        vectors=vectors,
        balance=balance,
        url_names=_url_names(catalog),
        geo_path=tables.geo_path,
        geo_credit=tables.geo.credit if tables.geo else "",
        asns=tables.asns,
        asn_path=tables.asn_path,
        countries=audiences.countries[1:],
        databases=tables.databases,
        health=catalog.health,
        health_checked=catalog.health_checked,
        counts=_counts(catalog, tables, netblocks),
        inputs=catalog.inputs,
        problems=(*problems, *(over_limit(balance, hosts, catalog.path) if balance else ())),
        good=catalog.good,
        broken=catalog.broken,
    )


def _continents(catalog: Catalog, tables: Tables) -> dict[str, str]:
    """Country -> continent, where the catalog's word comes before the table's."""
    known = {country: continent for country, continent in tables.continents.items() if continent.isalpha()}
    return known | dict(catalog.continents)


def _host_sets(catalog: Catalog, policy: Policy) -> tuple[HostSet, ...]:
    """The catalog's, with each host's URLs in the policy's order."""
    sets = _best_urls_first(catalog.host_sets, catalog.hosts) if policy.https_first else catalog.host_sets
    return tuple(_without_doubles(carriers, catalog.hosts) for carriers in sets) if policy.relax else sets


def _balance(
    catalog: Catalog, tables: Tables, policy: Policy, limits: Limits, audiences: Audiences, vectors: NDArray[np.float64]
) -> Balance | None:
    """How much each host draws where clients choose by nearness, so that none gets more than it can carry."""
    if policy.choice is not Choice.NEARNESS:
        return None
    crowd = gazetteer_crowd(clients_by_country(audiences, tables.clients))
    return work_out(crowd, host_columns(catalog.host_sets, catalog.hosts, vectors, crowd), limits.share_limit)


def _counts(catalog: Catalog, tables: Tables, netblocks: int) -> Counts:
    private = sum(host.private for host in catalog.hosts)
    return Counts(
        hosts=len(catalog.hosts),
        public_hosts=len(catalog.hosts) - private,
        private_hosts=private,
        urls=len({url for _, urls in listings(catalog.host_sets) for url in urls}),
        directories=len(catalog.directories),
        repositories=len(catalog.releases.repositories) if catalog.releases else len(catalog.repositories),
        details=len(catalog.details),
        netblocks=netblocks,
        asns=tables.asns.lines if tables.asns else 0,
        geoip_nodes=tables.geo.node_count if tables.geo else 0,
        files=len(catalog.inputs),
        broken=len(catalog.broken),
    )


def _audiences(catalog: Catalog, tables: Tables, policy: Policy) -> tuple[Audiences, int]:
    """The flat table address -> audience, merged from all layers; and how many host netblocks there are."""
    hosts = catalog.hosts
    named: dict[int, list[HostId]] = {}
    for n, host in enumerate(hosts):
        for asn in host.asns:
            named.setdefault(asn, []).append(HostId(n))
        if host.own_asn is not None and policy.by_distance and host.for_strangers:
            named.setdefault(host.own_asn, [])  # its clients are told apart, and get it first where it is near
    blocks = netblocks_of([(n, host.netblocks) for n, host in enumerate(hosts) if host.netblocks])
    by_place = policy.by_distance and any(host.place for host in hosts)
    locations, location_table = _locations(tables.geo, by_place)
    overrides = ["", *sorted({country for _, country in catalog.client_countries})]
    table, combinations = merge(
        [
            location_table,
            table_of_networks((network, overrides.index(country)) for network, country in catalog.client_countries),
            blocks.table,
            tables.asns.table.translated({asn: asn for asn in named}) if tables.asns else table_of(),
        ]
    )
    countries = ["", *sorted({country for country, _ in locations if country} | set(overrides[1:]))]
    position = {country: n for n, country in enumerate(countries)}
    country_of = array(
        "H",
        [position[overrides[override] or locations[location][0] or ""] for location, override, _, _ in combinations],
    )
    audiences = Audiences(
        table=table,
        combinations=combinations,
        locations=locations,
        overrides=overrides,
        netblocks=[
            tuple((length, tuple(HostId(host) for host in members)) for length, members in answer)
            for answer in blocks.answers
        ],
        asn_hosts={asn: tuple(members) for asn, members in named.items()},
        country_of=country_of,
        countries=tuple(countries),
    )
    return audiences, sum(len(host.netblocks) for host in hosts)


def _locations(geo: GeoDatabase | None, by_place: bool) -> tuple[list[tuple[str | None, Place | None]], RangeTable]:
    """Locations and their table; where places do not matter, those of one country are one."""
    if geo is None:
        return [(None, None)], table_of()
    found: dict[tuple[str | None, Place | None], int] = {(None, None): 0}
    numbers = {}
    for n, location in enumerate(geo.locations):
        place = None
        if by_place and location.latitude is not None and location.longitude is not None:
            place = Place(location.latitude, location.longitude)
        numbers[n] = found.setdefault((location.country, place), len(found))
    return list(found), geo.table.translated(numbers)


def _best_urls_first(host_sets: Sequence[HostSet], hosts: Sequence[Host]) -> tuple[HostSet, ...]:
    """The host sets with each host's URLs ordered https, http, ftp, others, repaired ones last; equal tuples become
    one."""
    guessed = {url for host in hosts for url in host.guessed}
    known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def merit(url: str) -> tuple[bool, int]:
        return url in guessed, _SCHEME_RANK.get(url.partition(":")[0], 3)

    def ordered(urls: tuple[str, ...]) -> tuple[str, ...]:
        best = known.get(urls)
        if best is None:
            best = known[urls] = tuple(sorted(urls, key=merit))
        return best

    return tuple(
        replace(carriers, urls={host: ordered(urls) for host, urls in carriers.urls.items()}) for carriers in host_sets
    )


def _without_doubles(carriers: HostSet, hosts: Sequence[Host]) -> HostSet:
    """The host set with each URL at one host alone, but for twins, all of whose URLs are another's.

    Of two hosts with one URL the `primary_url` keeps it, and is a twin of the other; else the first that strangers may
    have keeps it.
    """
    public = frozenset(carriers.public)
    owners: dict[str, HostId] = {}
    for host in sorted(carriers.urls, key=lambda host: (not hosts[host].origin, host not in public, host)):
        for url in carriers.urls[host]:
            owners.setdefault(url, host)
    if len(owners) == sum(map(len, carriers.urls.values())):
        return carriers
    urls: dict[HostId, tuple[str, ...]] = {}
    twins: dict[HostId, HostId] = {}
    for host, listed in carriers.urls.items():
        own = tuple(url for url in dict.fromkeys(listed) if owners[url] == host)
        others = [owner for url in listed if (owner := owners[url]) != host]
        origin = next((owner for owner in others if hosts[owner].origin), None)
        if origin is not None or (others and not own):
            twins[host] = others[0] if origin is None else origin
        urls[host] = listed if host in twins else own
    return replace(carriers, urls=urls, twins=twins)


def _everybody(hosts: Sequence[Host]) -> HostSet:
    """All hosts as one set, each where `Host` says it is."""
    public = tuple(HostId(n) for n, host in enumerate(hosts) if not host.private)
    return HostSet({HostId(n): () for n in range(len(hosts))}, public, _by_country(public, hosts))


def _by_country(public: Sequence[HostId], hosts: Sequence[Host]) -> dict[str, tuple[HostId, ...]]:
    found: dict[str, list[HostId]] = {}
    for host in public:
        country = hosts[host].country
        if country is not None:
            found.setdefault(country, []).append(host)
    return {country: tuple(members) for country, members in found.items()}


def _regular_sets(host_sets: Sequence[HostSet], hosts: Sequence[Host]) -> frozenset[HostSetId]:
    ill = frozenset(HostId(n) for n, host in enumerate(hosts) if _is_ill(host))
    listed = frozenset(chain.from_iterable(carriers.urls.values() for carriers in host_sets))
    odd = frozenset(urls for urls in listed if not any(url.startswith(("https:", "http:")) for url in urls))
    return frozenset(HostSetId(n) for n, carriers in enumerate(host_sets) if _is_regular(carriers, hosts, ill, odd))


def _is_regular(
    carriers: HostSet, hosts: Sequence[Host], ill: frozenset[HostId], odd: frozenset[tuple[str, ...]]
) -> bool:
    """Whether *carriers* agrees with `Host` on who is public and where, and all clients can read a URL of each; and,
    where some host is *ill*, whether one is left that every client can have.

    odd  URLs of a host none of which all clients can read
    """
    public = [host for host in carriers.urls if not hosts[host].private]
    if not ill.isdisjoint(carriers.urls) and not any(
        not (host in ill or hosts[host].allowed or hosts[host].excluded) for host in public
    ):
        return False
    placed = {country: frozenset(members) for country, members in _by_country(public, hosts).items()}
    return (
        not carriers.twins
        and frozenset(public) == frozenset(carriers.public)
        and placed == {country: frozenset(members) for country, members in carriers.by_country.items() if members}
        and odd.isdisjoint(carriers.urls.values())
    )


def _is_ill(host: Host) -> bool:
    """Some or all clients are not given it while they can have another."""
    return not host.up or host.ipv4 is False or host.ipv6 is False


def _by_continent(continents: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    members: dict[str, list[str]] = {}
    for country in sorted(continents):
        members.setdefault(continents[country], []).append(country)
    return {continent: tuple(countries) for continent, countries in members.items()}


def _vectors(hosts: Sequence[Host], by_country: bool) -> NDArray[np.float64]:
    """Where hosts are; *by_country*: those that do not say are in the largest city of their country."""
    nowhere = np.full(3, np.nan)

    def vector(host: Host) -> NDArray[np.float64]:
        place = host.place or (place_of_country(host.country) if by_country and host.country else None)
        return vector_of(place) if place else nowhere

    return np.array([vector(host) for host in hosts]).reshape(len(hosts), 3)


def clients_by_country(audiences: Audiences, counted: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """How many clients each country has: as *counted*, else by its addresses. (): nobody knows."""
    if counted:
        return tuple(sorted(counted.items()))
    found: dict[str, float] = {}
    for audience, size in audiences.sizes().items():
        country = audiences.country(audience)
        if country is not None:
            found[country] = found.get(country, 0.0) + size
    return tuple(sorted(found.items()))


def host_columns(
    host_sets: Sequence[HostSet], hosts: Sequence[Host], vectors: NDArray[np.float64], crowd: Crowd
) -> HostColumns:
    """The hosts of a snapshot as `balance` wants them: open are those that carry something, and are well while any is.

    A bandwidth of 1 is what a source says that knows none.
    """
    public = {host for carriers in host_sets for host in carriers.public}
    can = np.array([n in public and host.for_strangers and not host.origin for n, host in enumerate(hosts)], np.bool_)
    well = can & np.array([host.up for host in hosts], np.bool_)
    number = {country: n for n, country in enumerate(crowd.countries)}
    mbit = np.array([host.bandwidth_mbit for host in hosts], np.float64)
    known = mbit[mbit > 1]
    barred: dict[int, list[int]] = {}
    for n, host in enumerate(hosts):
        if host.allowed or host.excluded:
            for country, position in number.items():
                if country in host.excluded or (host.allowed and country not in host.allowed):
                    barred.setdefault(position, []).append(n)
    return HostColumns(
        open=well if well.any() else can,
        vectors=vectors,
        country=np.array([number.get(host.country or "", -1) for host in hosts], np.intp),
        bandwidth=np.where(mbit > 1, mbit, np.median(known) if len(known) else 1.0),
        barred={position: np.array(members) for position, members in barred.items()},
    )


def _url_names(catalog: Catalog) -> dict[str, frozenset[HostId]]:
    """Lower-case host names of URLs, names of hosts, and the domains above all of these -> hosts."""
    names: dict[str, set[HostId]] = {}
    for n, host in enumerate(catalog.hosts):
        names.setdefault(host.name.lower(), set()).add(HostId(n))
    for host_id, urls in listings(catalog.host_sets):
        for url in urls:
            names.setdefault((urlsplit(url).hostname or "").lower(), set()).add(host_id)
    for name in list(names):
        domain = name
        while domain.rpartition(".")[2].isalpha() and (domain := domain.partition(".")[2]):
            names.setdefault(domain, set()).update(names[name])
    return {name: frozenset(members) for name, members in names.items()}

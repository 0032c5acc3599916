"""The frozen, compiled data of one age: hosts, networks and places travel together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redirector.locate.networks import AsnTable
from redirector.model import (
    Directory,
    FileDetail,
    FileIndex,
    Host,
    HostId,
    HostSet,
    HostSetId,
    Problem,
    Releases,
)
from redirector.snapshot.audiences import Audiences
from redirector.snapshot.balance import Balance
from redirector.snapshot.policy import Policy


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of everything there is; what a reload compares and `/snapshot` shows."""

    files: int
    hosts: int
    public_hosts: int
    private_hosts: int
    urls: int
    directories: int
    repositories: int
    details: int
    netblocks: int
    asns: int
    geoip_nodes: int
    broken: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One age, ready to answer. Nothing in it ever changes.

    dated           see `Catalog`
    everybody       all hosts as one set, under no URL: what is drawn from, whatever the directory
    regular         host sets that are a part of `everybody` in every respect that ranking looks at
    directories     name -> how it is carried; 0.2 kB each, shared by forked workers until touched
    vault           directories that the vault of a tree alone has -> their URLs, without trailing slash
    continents      country -> continent
    by_continent    continent -> its countries
    restricted      hosts that not every country may have
    families_known  some host is known to serve, or not to serve, IPv4 or IPv6
    health_known    that, or some host is known to be down
    origin          the host of `primary_url`
    draws           variates of the hosts, see `draws`
    vectors         unit vector of each host's place, one row a host; nan without a place
    balance         what nearness weighs hosts by besides; None with the other rules
    url_names       host names of URLs -> hosts, for `exclude_host`
    geo_path        the file that says where clients are; "" without one
    geo_credit      whose data that is
    asns, asn_path  the AS table as loaded, and its file; `explain` names them
    countries       all that a client can come from
    health          the health file; None: none was named
    health_checked  when the mirrors were checked whose health is in this; None: nobody's is
    databases       base name of each MMDB -> when it was built, epoch seconds
    good, broken    see `Catalog`
    pool_bytes      limit of the line-ups, and what they are made of, that a worker keeps
    """

    policy: Policy
    path: str
    dated: bool
    built: int
    loaded: float
    hosts: tuple[Host, ...]
    host_sets: tuple[HostSet, ...]
    everybody: HostSet
    regular: frozenset[HostSetId]
    directories: Mapping[str, Directory]
    repositories: Mapping[tuple[str, str], str]
    disabled: frozenset[str]
    redirects: Mapping[str, str]
    details: Mapping[tuple[str, str], tuple[FileDetail, ...]]
    releases: Releases | None
    files: FileIndex | None
    has_primary: bool
    vault: Mapping[str, str]
    audiences: Audiences
    continents: Mapping[str, str]
    by_continent: Mapping[str, tuple[str, ...]]
    restricted: frozenset[HostId]
    families_known: bool
    health_known: bool
    origin: HostId | None
    minimum: int
    list_length: int
    near_km: float
    newest_s: float
    order_window_s: int
    pool_bytes: int
    draws: NDArray[np.float32]
    vectors: NDArray[np.float64]
    balance: Balance | None
    url_names: Mapping[str, frozenset[HostId]]
    geo_path: str
    geo_credit: str
    asns: AsnTable | None
    asn_path: str
    countries: tuple[str, ...]
    databases: Mapping[str, int]
    health: str | None
    health_checked: float | None
    counts: Counts
    inputs: tuple[str, ...]
    problems: tuple[Problem, ...]
    good: Mapping[str, tuple[bytes, float]]
    broken: tuple[str, ...]

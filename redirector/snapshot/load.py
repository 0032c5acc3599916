"""From the operator's files to a `Snapshot`: read them all, check, compile; or say everything that is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar, cast

from redirector.errors import ConfigError, SnapshotError
from redirector.files import explain_failure
from redirector.locate.continents import Continents, gazetteer_continents, load_continents
from redirector.locate.geoip import GeoDatabase, load_geoip
from redirector.locate.networks import AsnTable, load_asns
from redirector.model import Catalog, Choice, Host, Problem, Severity
from redirector.settings.serving import Config
from redirector.snapshot.check import NAMED, check_catalog
from redirector.snapshot.compile import Limits, Tables, compile_snapshot
from redirector.snapshot.policy import policy_of
from redirector.snapshot.snapshot import Snapshot
from redirector.sources.clients import NO_CLIENTS, Clients, load_clients
from redirector.sources.health import heed_health
from redirector.sources.inputs import NO_FILES, GoodFiles
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree
from redirector.sources.mirrors_d.remembered import FILE, NOTHING, Remembered, load_remembered
from redirector.sources.switched_off import SwitchedOff, switch_off

T = TypeVar("T")


def load_source(
    path: str,
    now: float,
    remembered: Remembered = NOTHING,
    health: str | None = None,
    repair: bool = True,
    earlier: GoodFiles = NO_FILES,
) -> Catalog:
    """A catalog of either dialect: a directory is a tree, anything else a snapshot file.

    health  the health file, in place of the one that the source names
    repair   slips in a snapshot are mended
    earlier  what earlier loads read of files that may be broken now
    raises  SnapshotError when nothing in it can be served
    """
    return heed_health(_load_bare(path, now, remembered, repair, earlier), health, now, earlier)


def _load_bare(path: str, now: float, remembered: Remembered, repair: bool, earlier: GoodFiles) -> Catalog:
    """`load_source` without health."""
    return load_tree(path, now, remembered, earlier) if os.path.isdir(path) else load_snapshot_file(path, repair)


@dataclass(frozen=True, slots=True)
class Material:
    """What a snapshot is made of, as it was read: everything but what changes more often than that, which is health
    and the hosts that are switched off.

    None is what cannot be read; *problems* say why, and those of the rest are with it.
    """

    catalog: Catalog | None
    geo: GeoDatabase | None
    asns: AsnTable | None
    continents: Continents | None
    clients: Clients | None
    problems: tuple[Problem, ...]


class KnownTables:
    """Tables of addresses that were read before, for whoever loads several snapshots with the same ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, str], object] = {}

    def load(self, load: Callable[[str], T], path: str) -> T:
        """What *load* made of the file *path*."""
        key = load, path
        if key not in self._known:
            self._known[key] = load(path)
        return cast(T, self._known[key])


def load_snapshot(
    config: Config,
    now: float,
    earlier: GoodFiles = NO_FILES,
    known: KnownTables | None = None,
    lint: bool = True,
    off: Collection[SwitchedOff] = (),
    named: int = NAMED,
) -> Snapshot:
    """Load what *config* names.

    now      epoch seconds: the age of health files and of alternates is judged by it
    earlier  what the last load read of files that may be broken now (`Snapshot.good`)
    known    tables that were read before
    lint     look for what is odd about the catalog, and nobody but an operator wants to know
    off      hosts that an operator has switched off
    named    see `check_catalog`
    raises  SnapshotError with the problems of all inputs, if any of them cannot be served; ConfigError when options
            and source do not go together
    """
    return make_snapshot(read_material(config, now, earlier, known), config, now, lint, off, named, earlier)


def read_material(
    config: Config, now: float, earlier: GoodFiles = NO_FILES, known: KnownTables | None = None
) -> Material:
    """The first half of `load_snapshot`. Raises ConfigError when options and source do not go together."""
    if config.compatibility and os.path.isdir(config.source):
        way_out = "needs a MirrorManager snapshot as its source, and this is a tree of mirror files"
        raise ConfigError(config.source, "compatibility", config.compatibility, way_out)
    if config.compatibility and config.choice not in (None, Choice.TIERS.value):
        way_out = "cannot be had with compatibility, which chooses by tiers as today's server does"
        raise ConfigError("options", "choice", config.choice, way_out)
    problems: list[Problem] = []
    known = known or KnownTables()

    def attempt(load: Callable[[str], T], path: str) -> T | None:
        try:
            return load(path)
        except SnapshotError as error:
            problems.extend(error.problems)
            return None

    remembered = _load_remembered(config.state, problems) if config.state else NOTHING
    catalog = attempt(lambda path: _load_bare(path, now, remembered, not config.compatibility, earlier), config.source)
    geo = attempt(lambda path: known.load(load_geoip, path), config.geoip) if config.geoip else None
    asns = attempt(lambda path: known.load(load_asns, path), config.asn) if config.asn else None
    continents = attempt(load_continents, config.continents) if config.continents else gazetteer_continents()
    clients = attempt(load_clients, config.clients) if config.clients else NO_CLIENTS
    if catalog is not None and asns is not None:
        catalog = replace(catalog, hosts=tuple(_with_own_asn(host, asns) for host in catalog.hosts))
    return Material(catalog, geo, asns, continents, clients, tuple(problems))


def make_snapshot(
    material: Material,
    config: Config,
    now: float,
    lint: bool = True,
    off: Collection[SwitchedOff] = (),
    named: int = NAMED,
    earlier: GoodFiles = NO_FILES,
) -> Snapshot:
    """The second half of `load_snapshot`: health as it is now, and what follows."""
    geo, asns, continents, clients = material.geo, material.asns, material.continents, material.clients
    catalog = material.catalog
    odd: list[Problem] = []
    if catalog is not None:
        catalog = heed_health(catalog, config.health, now, earlier)
        odd = check_catalog(catalog, config.trusted_proxies, named) if lint else []
        catalog = switch_off(catalog, off)
    problems = list(material.problems)
    for loaded in (catalog, geo, asns, continents, clients):
        problems.extend(loaded.problems if loaded is not None else ())
    if catalog is not None:
        problems.extend(_missing_inputs(config, catalog, geo))
        problems.extend(odd)
    if catalog is None or continents is None or clients is None or any(problem.fatal for problem in problems):
        raise SnapshotError(problems)
    databases = {}
    for path, built in ((config.geoip, geo and geo.build_epoch), (config.asn, asns and asns.build_epoch)):
        if path and built:
            databases[Path(path).name] = built
    return compile_snapshot(
        catalog,
        Tables(geo, asns, continents.continents, databases, config.geoip or "", config.asn or "", clients.weights),
        policy_of(Choice(config.choice) if config.choice else catalog.choice, config.compatibility),
        Limits(
            config.minimum,
            config.order_window_s,
            config.lineup_pool_mb * 1_000_000,
            config.newest_s,
            config.share_limit,
        ),
        now,
        problems,
    )


def _with_own_asn(host: Host, asns: AsnTable) -> Host:
    """*host* with the AS that its addresses are in, unless that is known, or they are in several."""
    if host.own_asn is not None or not host.addresses:
        return host
    found = {asns.table.find(ip_address(address).packed) for address in host.addresses} - {0}
    return replace(host, own_asn=found.pop()) if len(found) == 1 else host


def _load_remembered(state: str, problems: list[Problem]) -> Remembered:
    """What earlier loads found; a lost or broken file means fewer alternates, and no more than that."""
    try:
        return load_remembered(state)
    except (OSError, ValueError) as error:
        text = f"{explain_failure(error)}: alternates of metalinks are missing until there are new ones"
        problems.append(Problem(Severity.WARNING, str(Path(state, FILE)), "file", text))
        return NOTHING


def _missing_inputs(config: Config, catalog: Catalog, geo: GeoDatabase | None) -> list[Problem]:
    """Options without which something in the catalog is in vain."""
    problems = []
    if config.geoip is None:
        text = "no country database is given: nobody has a country, and all get mirrors from everywhere"
        problems.append(Problem(Severity.WARNING, config.source, "geoip", text))
    choice = Choice(config.choice) if config.choice else catalog.choice
    if geo is not None and not geo.has_coordinates and choice is not Choice.TIERS:
        what = (
            "all clients of a country share its mirrors as its cities' people would, wherever they are"
            if choice is Choice.NEARNESS
            else "each client counts as if it were in its country's largest city"
        )
        text = f"has countries, but no coordinates: {what}; a City database tells more"
        problems.append(Problem(Severity.WARNING, geo.path, "geoip", text))
    if config.asn is None and any(host.asns for host in catalog.hosts):
        text = "no AS table is given, so the AS numbers of hosts choose nobody"
        problems.append(Problem(Severity.WARNING, config.source, "asn", text))
    return problems

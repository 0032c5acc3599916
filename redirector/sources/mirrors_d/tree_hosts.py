"""Mirrors of a tree become hosts: placed, with networks and health, gathered in the sets that carry directories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from statistics import median_low

from redirector.locate.places import CityName, find_cities, place_of_country
from redirector.model import Host, HostId, HostSet, HostSetId, Network, Place, Releases
from redirector.sources.base_url import authority_of
from redirector.sources.inputs import Inputs
from redirector.sources.mirrors_d.cloud import CLOUD_LIMIT_BYTES, parse_ranges, pick_networks
from redirector.sources.mirrors_d.mirror_file import Mirror
from redirector.sources.mirrors_d.places_file import Located, read_places
from redirector.sources.mirrors_d.tree_config import TreeConfig
from redirector.sources.problems import Report, list_some
from redirector.tree.lacking import compile_patterns
from redirector.tree.releases import list_spots

ORIGIN_NAME = "primary_url"
"""The host of `primary_url`, where a mirror bears the name in that URL already."""


def build_hosts(inputs: Inputs, config: TreeConfig, mirrors: tuple[Mirror, ...]) -> tuple[Host, ...]:
    """One host a mirror, in their order, and last the host of `primary_url` if there is one."""
    places = _place_mirrors(inputs, config, mirrors)
    clouds = _CloudRanges(inputs, config)
    known = [mirror.bandwidth_mbit for mirror in mirrors if mirror.bandwidth_mbit]
    usual = median_low(known) if known else 1
    hosts = [
        _build_host(
            inputs.report.of(mirror.path),
            mirror,
            usual,
            located,
            clouds.find(mirror) if mirror.cloud else (),
        )
        for mirror, located in zip(mirrors, places, strict=True)
    ]
    if config.primary_url:
        name = authority_of(config.primary_url)
        if any(config.primary_url in mirror.urls for mirror in mirrors):
            inputs.report.of(config.path).warning(
                "primary_url", f"{config.primary_url} is a mirror too: listed once, last"
            )
        taken = name.casefold() in {mirror.name.casefold() for mirror in mirrors}
        hosts.append(Host(name=ORIGIN_NAME if taken else name, origin=True))
    return tuple(hosts)


def _build_host(report: Report, mirror: Mirror, usual_mbit: int, located: Located, ranges: tuple[Network, ...]) -> Host:
    host = Host(
        name=mirror.name,
        key=mirror.name,
        city=mirror.city.city if mirror.city else "",
        state=mirror.city.state if mirror.city else "",
        country=located.country,
        place=located.place,
        bandwidth_mbit=mirror.bandwidth_mbit or usual_mbit,
        bandwidth_said=bool(mirror.bandwidth_mbit),
        netblocks=() if mirror.withheld else tuple(dict.fromkeys((*mirror.subnets, *ranges))),
        asns=() if mirror.withheld else mirror.asns,
        private=mirror.private or bool(mirror.withheld),
        local=mirror.cloud is not None,
        monopoly=mirror.monopoly,
        allowed=mirror.allowed,
        excluded=mirror.excluded,
        own_asn=mirror.own_asn or located.asn,
        addresses=located.addresses,
        guessed=mirror.guessed,
        withheld=mirror.withheld,
        file=mirror.path,
        sponsor=mirror.sponsor,
        sponsor_url=mirror.sponsor_url,
    )
    if not host.netblocks and not host.asns and not host.withheld:
        if host.private:
            report.warning("private", "true without subnets, asn or cloud ranges: given to nobody")
        elif host.monopoly:
            report.warning("monopoly", "true without subnets, asn or cloud ranges: without effect")
    if host.place is None and host.for_strangers:
        report.warning("geolocation", f"{host.name} cannot be placed: it comes after those that can")
    return host


def _place_mirrors(inputs: Inputs, config: TreeConfig, mirrors: tuple[Mirror, ...]) -> tuple[Located, ...]:
    """Country and place of each mirror: its own coordinates, else the places file's, else its city's or country's."""
    told = _load_places(inputs, config, mirrors)
    unplaced = [mirror.city for mirror in mirrors if mirror.city and not (mirror.place or told[mirror.name].place)]
    states = [CityName("", city.state, city.country) for city in unplaced]
    cities = find_cities(frozenset(city for city in (*unplaced, *states) if city.city or city.state))
    located = []
    for mirror in mirrors:
        country = mirror.country or told[mirror.name].country
        place = mirror.place or told[mirror.name].place
        if place is None and mirror.city:
            place = _place_city(inputs.report.of(mirror.path), cities, mirror.city)
        place = place or (country and place_of_country(country)) or None
        located.append(replace(told[mirror.name], country=country, place=place))
    return tuple(located)


def _load_places(inputs: Inputs, config: TreeConfig, mirrors: tuple[Mirror, ...]) -> dict[str, Located]:
    told = {mirror.name: Located() for mirror in mirrors}
    parsed = inputs.load_yaml(config.places, "no mirror is placed by it", keep=True) if config.places else None
    if config.places and parsed:
        told |= read_places(inputs.report.of(config.places), parsed.value, frozenset(told))
    return told


def _place_city(report: Report, cities: Mapping[CityName, Place], name: CityName) -> Place | None:
    if name in cities:
        return cities[name]
    state = CityName("", name.state, name.country)
    if name.city:
        where = name.state if state in cities else name.country
        report.warning("geolocation.city", f"{name.city!r} is not in the gazetteer: placed in {where}")
    return cities.get(state)


@dataclass(frozen=True, slots=True)
class _CloudRanges:
    """Networks of clouds by region, each list read when the first mirror needs it."""

    inputs: Inputs
    config: TreeConfig
    read: dict[str, Mapping[str, frozenset[Network]]] = field(default_factory=dict)
    picked: dict[tuple[str, tuple[str, ...]], tuple[Network, ...]] = field(default_factory=dict)

    def find(self, mirror: Mirror) -> tuple[Network, ...]:
        """The networks of the mirror's cloud and regions; empty, and reported, if there are none."""
        cloud = mirror.cloud or ""
        report = self.inputs.report.of(mirror.path)
        if cloud not in self.config.cloud_ranges:
            report.warning(
                "cloud_type", f"{cloud} has no list in cloud_ranges of {self.config.path}: no ranges are known"
            )
            return ()
        if cloud not in self.read:
            self.read[cloud] = self._load(self.config.cloud_ranges[cloud], cloud)
        key = cloud, mirror.cloud_regions
        if key not in self.picked:
            self.picked[key] = pick_networks(self.read[cloud], mirror.cloud_regions)
        missing = sorted({region.lower() for region in mirror.cloud_regions} - {*self.read[cloud], "all"})
        if missing:
            report.warning("cloud_regions", f"{list_some(missing)}: not in the list of {cloud}")
        return self.picked[key]

    def _load(self, path: str, cloud: str) -> Mapping[str, frozenset[Network]]:
        otherwise = f"no ranges of {cloud} are known"
        found = self.inputs.load_good(path, CLOUD_LIMIT_BYTES, otherwise, lambda raw: parse_ranges(cloud, raw))
        if found is None:
            return {}
        try:
            return parse_ranges(cloud, found.raw)
        except ValueError as error:
            self.inputs.report.of(path).error("file", f"{error}: {otherwise}")
            return {}


@dataclass(frozen=True, slots=True)
class HostSets:
    """Host sets of a catalog, each stored once."""

    hosts: tuple[Host, ...]
    members: list[HostSet] = field(default_factory=list)

    def add(self, urls: Mapping[HostId, tuple[str, ...]]) -> HostSetId:
        """The set whose hosts have these base URLs."""
        public = tuple(host for host in urls if self.hosts[host].for_strangers)
        by_country: dict[str, list[HostId]] = {}
        for host in public:
            if country := self.hosts[host].country:
                by_country.setdefault(country, []).append(host)
        made = HostSet(urls, public, {country: tuple(members) for country, members in by_country.items()})
        if made not in self.members:
            self.members.append(made)
        return HostSetId(self.members.index(made))


def build_releases(report: Report, config: TreeConfig, mirrors: tuple[Mirror, ...], sets: HostSets) -> Releases:
    """The tree's versions and who carries them: the standard tree, modules, and directories that some mirrors lack."""
    origin: dict[HostId, tuple[str, ...]] = {}
    if config.primary_url:
        origin[HostId(len(mirrors))] = (config.primary_url,)
    standard = {HostId(number): mirror.urls for number, mirror in enumerate(mirrors)}
    modules = {
        module: {
            HostId(number): mirror.modules[module] for number, mirror in enumerate(mirrors) if module in mirror.modules
        }
        for module in config.modules
    }
    by_version = {f"{version}-{module}": modules[module] for module in modules for version in config.modules[module]}
    carriers = defaultdict(lambda: standard, by_version)
    releases = Releases(
        versions=config.versions,
        duplicated=config.duplicated,
        vault=config.vault,
        modules=config.modules,
        arches=config.arches,
        repositories=config.repositories,
        vault_url=config.vault_url,
        standard_set=sets.add(standard | origin),
        module_sets={module: sets.add(urls | origin) for module, urls in modules.items()},
    )
    lacked = {HostId(number): mirror.lacking for number, mirror in enumerate(mirrors) if mirror.lacking}
    known = {*config.versions, *config.duplicated, *config.duplicated.values(), *config.module_versions}
    for host, patterns in lacked.items():
        lacked[host] = _read_patterns(report.of(mirrors[host].path), patterns, known)
    return replace(releases, directory_sets=_directory_sets(report, releases, mirrors, lacked, carriers, origin, sets))


def _read_patterns(report: Report, patterns: tuple[str, ...], versions: Collection[str]) -> tuple[str, ...]:
    """*patterns* from the base on: one that begins with no version is meant for each of them."""
    read = []
    for pattern in patterns:
        first = compile_patterns([pattern.partition("/")[0]])
        if any(first.fullmatch(version) for version in versions):
            read.append(pattern)
        else:
            report.warning("lacking", f"{pattern!r} begins with no version: taken as */{pattern}")
            read.append(f"*/{pattern}")
    return tuple(read)


def _directory_sets(
    report: Report,
    releases: Releases,
    mirrors: tuple[Mirror, ...],
    lacked: Mapping[HostId, tuple[str, ...]],
    carriers: Mapping[str, Mapping[HostId, tuple[str, ...]]],
    origin: dict[HostId, tuple[str, ...]],
    sets: HostSets,
) -> dict[str, HostSetId]:
    """The directories that some hosts lack, and who carries them; patterns that match none are reported."""
    if not lacked:
        return {}
    found: dict[str, HostSetId] = {}
    made: dict[tuple[str, frozenset[HostId]], HostSetId] = {}
    compiled = {host: [(pattern, compile_patterns([pattern])) for pattern in lacked[host]] for host in lacked}
    used: set[tuple[HostId, str]] = set()
    spellings: dict[str, list[str]] = {}
    for spot in list_spots(releases):
        if spot.on_mirrors:
            spellings.setdefault(spot.full_name, [spot.full]).append(spot.name)
    for name, (version, *names) in spellings.items():
        missing = set()
        for host, patterns in compiled.items():
            for pattern, expression in patterns:
                if any(expression.match(spelling) for spelling in (name, *names)):
                    used.add((host, pattern))
                    missing.add(host)
        urls = carriers[version]
        if missing & urls.keys():
            key = version, frozenset(missing)
            if key not in made:
                made[key] = sets.add({host: urls[host] for host in urls if host not in missing} | origin)
            found[name] = made[key]
    for host, patterns in compiled.items():
        for pattern, _ in patterns:
            if (host, pattern) not in used:
                report.of(mirrors[host].path).warning("lacking", f"{pattern!r} names no directory: without effect")
    return found

"""A tree of YAML files becomes a harvest: a site a sponsor, one category for `address` and one a module."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from redirector.errors import SnapshotError
from redirector.model import Catalog, HostId, HostSetId, Releases
from redirector.plain_yaml import Value
from redirector.registry.importing.harvest import (
    Harvest,
    HarvestedCarried,
    HarvestedCategory,
    HarvestedHost,
    HarvestedRepository,
    HarvestedSite,
    HarvestedUrl,
)
from redirector.registry.publish.contents import CategoryContents
from redirector.registry.rules import name_key
from redirector.sources.inputs import Inputs
from redirector.sources.mirrors_d.load import CONFIG_FILE, load_tree
from redirector.sources.mirrors_d.mirror_file import Mirror, read_mirror
from redirector.sources.mirrors_d.places_file import Located, read_places
from redirector.sources.mirrors_d.tree_config import TreeConfig, read_config
from redirector.sources.problems import Report
from redirector.tree.releases import module_of
from redirector.tree.resolve import plain_arches, plain_releases

_OWN_KEYS = ("countries_excluded", "lacking")
"""Keys that stay with a host as they are: no form shows them."""


def read_tree(path: str, now: float) -> Harvest:
    """What the tree in the folder *path* says. Raises SnapshotError."""
    catalog = load_tree(path, now)
    inputs = Inputs(Report(path))
    config, raw = _read_config(inputs, path)
    mirrors = list(_read_mirrors(inputs, config))
    places = _read_places(inputs, config, [mirror.name for mirror, _ in mirrors])
    root = os.path.basename(os.path.abspath(path))
    categories, bits = _categories(catalog, root)
    numbers = {host.name: HostId(number) for number, host in enumerate(catalog.hosts)}
    sites: dict[str, list[tuple[Mirror, dict[str, Value]]]] = defaultdict(list)
    hosts = []
    for mirror, document in mirrors:
        name = mirror.sponsor or mirror.name
        sites[name_key(name)].append((mirror, document))
        first, _ = sites[name_key(name)][0]
        hosts.append(_host(mirror, document, first, places[mirror.name], bits, numbers[mirror.name]))
    return Harvest(
        source="tree",
        built=catalog.built,
        sites=[_site(key, files) for key, files in sites.items()],
        hosts=hosts,
        categories=categories,
        repositories=_repositories(catalog),
        facts={"config.yml": raw.decode(errors="replace")},
        root="",
        modules={module: module for module in config.modules},
        left_out=[str(problem) for problem in catalog.problems],
    )


def _read_config(inputs: Inputs, path: str) -> tuple[TreeConfig, bytes]:
    config_path = os.path.join(path, CONFIG_FILE)
    parsed = inputs.load_yaml(config_path, "nothing can be imported", fatal=True)
    config = read_config(inputs.report.of(config_path), parsed.value) if parsed else None
    if config is None:
        raise SnapshotError(tuple(inputs.report.problems))
    with open(config_path, "rb") as file:
        return config, file.read()


def _read_mirrors(inputs: Inputs, config: TreeConfig) -> Iterator[tuple[Mirror, dict[str, Value]]]:
    """Each mirror once, by its file's name, as `load_tree` takes them."""
    seen: set[str] = set()
    for name in sorted(os.listdir(config.mirrors_dir)):
        if name.startswith(".") or not name.endswith((".yml", ".yaml")):
            continue
        path = os.path.join(config.mirrors_dir, name)
        parsed = inputs.load_yaml(path, "mirror left out")
        mirror = read_mirror(inputs.report.of(path), parsed.value, config.modules) if parsed else None
        if mirror is not None and parsed is not None and mirror.name.casefold() not in seen:
            seen.add(mirror.name.casefold())
            yield mirror, parsed.value if isinstance(parsed.value, dict) else {}


def _read_places(inputs: Inputs, config: TreeConfig, names: Sequence[str]) -> Mapping[str, Located]:
    parsed = inputs.load_yaml(config.places, "no mirror is placed by it") if config.places else None
    told = {name: Located() for name in names}
    if parsed and config.places:
        told |= read_places(inputs.report.of(config.places), parsed.value, frozenset(told))
    return told


# -- What the tree holds -----------------------------------------------------------------------------------------------

_Sets = Mapping[str, tuple[CategoryContents, Sequence[HostSetId]]]
"""Category's key -> its contents, and which host set each directory has."""


def _categories(catalog: Catalog, root: str) -> tuple[list[HarvestedCategory], _Carriers]:
    releases = catalog.releases
    assert releases is not None
    names: dict[str, dict[str, HostSetId]] = {"": {}, **{module: {} for module in releases.modules}}
    subpaths: dict[str, dict[str, str]] = {key: {} for key in names}
    for name, directory in catalog.directories.items():
        key = _module(releases, name)
        names[key][name] = directory.host_set
        if directory.subpath_of(name) != name:
            subpaths[key][name] = directory.subpath_of(name)
    categories, sets = [], {}
    for key in names:
        ordered = tuple(sorted(names[key]))
        own = set(ordered)
        contents = CategoryContents(
            top="",
            names=ordered,
            subpaths=subpaths[key],
            details={at: found for at, found in catalog.details.items() if at[0] in own},
            made=catalog.built,
        )
        sets[key] = contents, [names[key][name] for name in ordered]
        categories.append(HarvestedCategory(key=key, name=key or root, top="", contents=contents))
    return categories, _Carriers(catalog, sets)


def _module(releases: Releases, name: str) -> str:
    version = name.partition("/")[0]
    return module_of(releases, releases.duplicated.get(version, version)) or ""


class _Carriers:
    """Which directories of a category a host has."""

    def __init__(self, catalog: Catalog, sets: _Sets) -> None:
        self._catalog = catalog
        self._sets = {key: (contents, np.array(numbers, dtype=np.int64)) for key, (contents, numbers) in sets.items()}

    def find(self, key: str, host: HostId) -> HarvestedCarried | None:
        contents, numbers = self._sets[key]
        having = [number for number, each in enumerate(self._catalog.host_sets) if host in each.urls]
        bits = np.isin(numbers, having) if len(contents.names) else np.zeros(0, dtype=np.bool_)
        return HarvestedCarried(key="", category=key, urls=(), current=bits)


def _repositories(catalog: Catalog) -> list[HarvestedRepository]:
    """Names as clients of `repo=` may write them, for a snapshot of the same."""
    releases = catalog.releases
    assert releases is not None
    found = {}
    for version, name in plain_releases(releases):
        path = releases.repositories[name].path
        for arch in plain_arches(releases, version):
            directory = f"{version}/{path.replace('$basearch', arch)}"
            if directory in catalog.directories:
                found[f"{name}-{version}", arch] = directory
    return [
        HarvestedRepository(prefix=prefix, arch=arch, directory=directory)
        for (prefix, arch), directory in sorted(found.items())
    ]


# -- Sites and hosts ---------------------------------------------------------------------------------------------------


def _site(key: str, files: Sequence[tuple[Mirror, dict[str, Value]]]) -> HarvestedSite:
    first, _ = files[0]
    mails = (document.get("email") for _, document in files)
    contacts = {mail.strip().casefold(): mail.strip() for mail in mails if isinstance(mail, str) and mail.strip()}
    return HarvestedSite(
        key=key,
        name=first.sponsor or first.name,
        url=first.sponsor_url,
        contacts=tuple(contacts.values()),
    )


def _host(
    mirror: Mirror, document: dict[str, Value], first: Mirror, located: Located, carriers: _Carriers, number: HostId
) -> HarvestedHost:
    place, own = mirror.place or located.place, _number(document.get("own_asn"))
    told = document.get("geolocation")
    where = told if isinstance(told, dict) else {}
    extra: dict[str, object] = {}
    if mirror.sponsor != first.sponsor:
        extra["sponsor"] = mirror.sponsor
    if not mirror.sponsor:
        extra["sponsor"] = ""
    if mirror.sponsor_url != first.sponsor_url:
        extra["sponsor_url"] = mirror.sponsor_url
    for key in _OWN_KEYS:
        value = document.get(key)
        texts = value if isinstance(value, list) else [value]
        if kept := [each for each in texts if isinstance(each, str)]:
            extra[key] = kept
    return HarvestedHost(
        key=mirror.name,
        site=name_key(mirror.sponsor or mirror.name),
        name=mirror.name,
        country=mirror.country or located.country,
        state=mirror.city.state if mirror.city else _text(where.get("state_province")),
        city=mirror.city.city if mirror.city else _text(where.get("city")),
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        bandwidth_mbit=_number(document.get("bandwidth_mbit")),
        private=mirror.private or bool(mirror.withheld),
        monopoly=mirror.monopoly,
        own_asn=own,
        serves_own_asn=own in mirror.asns,
        update_frequency=_text(document.get("update_frequency")),
        cloud_type=mirror.cloud,
        cloud_regions=mirror.cloud_regions,
        extra=extra,
        carried=tuple(_carried(mirror, carriers, number)),
        networks=() if mirror.withheld else tuple((str(network), "") for network in mirror.subnets),
        asns=() if mirror.withheld else tuple((asn, asn == own) for asn in mirror.asns),
        countries=tuple(_texts(document.get("countries_allowed"))),
    )


def _carried(mirror: Mirror, carriers: _Carriers, number: HostId) -> Iterator[HarvestedCarried]:
    for category, urls in (("", mirror.urls), *mirror.modules.items()):
        found = carriers.find(category, number)
        if found is not None:
            yield HarvestedCarried(
                key=f"{mirror.name} {category}",
                category=category,
                urls=tuple(HarvestedUrl(key=f"{mirror.name} {category} {url}"[:255], url=url) for url in urls),
                current=found.current,
            )


def _text(value: Value) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _texts(value: Value) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and len(each.strip()) == 2:
            yield each.strip().upper()


def _number(value: Value) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else None

"""A tree of YAML files, `config.yml` and `mirrors.d/*.yml`, becomes a `Catalog` (`docs/almalinux.md`).

A file or a field that is wrong never stops the rest: it is repaired or left out, and is in `Catalog.problems`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from redirector.errors import SnapshotError
from redirector.files import read_bytes
from redirector.model import Catalog, Choice, Dialect, Directory, FileDetail, HostSetId, Releases, Severity
from redirector.plain_yaml import YAML_LIMIT_BYTES, parse_yaml
from redirector.sources.inputs import NO_FILES, Good, GoodFiles, Inputs
from redirector.sources.mirrors_d.mirror_file import TEXT_KEYS, Mirror, read_mirror
from redirector.sources.mirrors_d.primary import MasterTree, Metadata, read_pushes, read_tree_root
from redirector.sources.mirrors_d.primary_files import index_files
from redirector.sources.mirrors_d.remembered import DETAILS_LIMIT_BYTES, NOTHING, Remembered, parse_remembered
from redirector.sources.mirrors_d.restrictions import names_more
from redirector.sources.mirrors_d.tree_config import TEXT_KEYS as TEXT_KEYS_OF_CONFIG
from redirector.sources.mirrors_d.tree_config import TreeConfig, read_config
from redirector.sources.mirrors_d.tree_hosts import HostSets, build_hosts, build_releases
from redirector.sources.problems import Report, show
from redirector.tree.releases import Spot, host_set_of, list_spots
from redirector.tree.repomd import REPOMD

CONFIG_FILE = "config.yml"


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """What `config.yml` and the mirrors' files say beside what is served.

    contacts  mirror -> its mail address; never published
    """

    primary: str | None
    health: str | None
    allowed_outdate_s: float | None
    contacts: Mapping[str, str]


def read_tree_settings(path: str) -> TreeSettings:
    """What a crawler must know of the tree in the directory *path*. Raises SnapshotError as `load_tree` does."""
    inputs = Inputs(Report(path))
    config = _load_config(inputs, path)
    if config is None:
        raise SnapshotError(tuple(inputs.report.problems))
    contacts = {mirror.name: mirror.email for mirror in _load_mirrors(inputs, config) if mirror.email}
    return TreeSettings(config.primary, config.health, config.allowed_outdate_s, contacts)


def load_tree(path: str, now: float, remembered: Remembered = NOTHING, earlier: GoodFiles = NO_FILES) -> Catalog:
    """The tree in the directory *path*.

    now         epoch seconds; judges the age of earlier pushes
    remembered  what earlier loads found in the primary tree, for a tree without a history of pushes
    earlier     what earlier loads read of files that may be broken now
    raises      SnapshotError with all problems when there is no readable `config.yml` or no usable mirror
    cost        530 mirrors take half a second, most of it for the gazetteer
    """
    inputs = Inputs(Report(path), earlier=earlier)
    config = _load_config(inputs, path)
    mirrors = _load_mirrors(inputs, config) if config else ()
    if config is None or not mirrors:
        raise SnapshotError(tuple(inputs.report.problems))
    return _load_catalog(inputs, path, config, mirrors, NOTHING if config.primary_history else remembered, now)


def read_primary_path(path: str) -> str | None:
    """The folder of the master's copy that the tree at *path* names; None when it names none.

    raises  SnapshotError when there is no readable `config.yml`
    """
    inputs = Inputs(Report(path))
    config = _load_config(inputs, path)
    if config is None:
        raise SnapshotError(tuple(inputs.report.problems))
    return config.primary


def _load_config(inputs: Inputs, path: str) -> TreeConfig | None:
    config_path = os.path.join(path, CONFIG_FILE)
    parsed = inputs.load_yaml(config_path, "nothing can be served", fatal=True, texts=TEXT_KEYS_OF_CONFIG)
    if parsed is None:
        return None
    report = inputs.report.of(config_path)
    try:
        inputs.refuse_half(config_path, parsed.raw)
    except ValueError as error:
        report.error("file", f"{error}: nothing can be served", fatal=True)
        return None
    config = read_config(report, parsed.value)
    if config is not None:
        inputs.good[config_path] = Good(parsed.raw, inputs.mtimes[config_path])
    return config


def _load_mirrors(inputs: Inputs, config: TreeConfig) -> tuple[Mirror, ...]:
    """Every usable mirror by the order of file names; a fatal problem when there is none."""
    report = inputs.report.of(config.path)
    try:
        paths = _list_files(config.mirrors_dir)
    except OSError as error:
        report.error(
            "mirrors_dir", f"{show(config.mirrors_dir)} cannot be read ({error.strerror}): no mirrors", fatal=True
        )
        return ()
    mirrors: dict[str, Mirror] = {}
    for path in paths:
        if not _is_yaml(path):
            inputs.report.of(path).warning("file", "its name does not end in .yml: left out")
            continue
        mirror = _load_mirror(inputs, path, config)
        if mirror is None:
            continue
        first = mirrors.setdefault(mirror.name.casefold(), mirror)
        if first is not mirror:
            inputs.report.of(path).error("name", f"{mirror.name} is in {first.path} already: left out")
    if not mirrors:
        report.error("mirrors_dir", f"no usable mirror in {show(config.mirrors_dir)}", fatal=True)
    return tuple(mirrors.values())


def _load_mirror(inputs: Inputs, path: str, config: TreeConfig) -> Mirror | None:
    """The mirror in the file *path*; in place of a broken one, what was read of it before.

    Not where the broken one has a restriction that the earlier has not: who wrote it means that fewer shall have it.
    """
    known = len(inputs.report.problems)
    mirror = _read_mirror(inputs, path, config)
    if mirror is not None:
        return mirror
    said = next(each for each in inputs.report.problems[known:] if each.severity is Severity.ERROR)
    text = said.text.removesuffix(": left out").removesuffix(": mirror left out")
    found: list[Mirror] = []
    broken = b""
    with suppress(OSError, ValueError):
        broken = read_bytes(path, YAML_LIMIT_BYTES)

    def check(raw: bytes) -> None:
        parsed = parse_yaml(raw, TEXT_KEYS)
        earlier = read_mirror(Report(path), parsed.value, config.modules, parsed.contradictions)
        if earlier is None:
            raise ValueError("no mirror either")
        if names_more(broken, raw):
            raise ValueError("was for more clients than it is meant to be")
        found.append(earlier)

    if inputs.take_earlier(path, ValueError(text), check, said.key) is None:
        return None
    del inputs.report.problems[known:-1]  # the last one says what is done about them
    return found[0]


def _read_mirror(inputs: Inputs, path: str, config: TreeConfig) -> Mirror | None:
    """The mirror that the file *path* describes now; None, and an error, when it is none."""
    parsed = inputs.load_yaml(path, "mirror left out", texts=TEXT_KEYS)
    if parsed is None:
        return None
    try:
        inputs.refuse_half(path, parsed.raw)
    except ValueError as error:
        inputs.report.of(path).error("file", f"{error}: mirror left out")
        return None
    mirror = read_mirror(inputs.report.of(path), parsed.value, config.modules, parsed.contradictions)
    if mirror is not None:
        inputs.good[path] = Good(parsed.raw, inputs.mtimes[path])
    return mirror


def _list_files(folder: str) -> list[str]:
    """The files below *folder* by their names, those of its own folders last; hidden ones are passed over.

    A folder that is called like a mirror file counts as one, so that it is reported. Raises OSError for *folder* alone.
    """
    found: list[str] = []
    waiting = [(folder, os.listdir(folder), frozenset[str]())]
    while waiting:
        folder, names, above = waiting.pop()
        paths = [os.path.join(folder, name) for name in sorted(names) if not name.startswith(".")]
        folders = [path for path in paths if os.path.isdir(path) and not _is_yaml(path)]
        found += [path for path in paths if path not in folders]
        above |= {os.path.realpath(folder)}
        for each in reversed(folders):
            if os.path.realpath(each) not in above:  # a link may lead back to where it came from
                with suppress(OSError):
                    waiting.append((each, os.listdir(each), above))
    return found


def _is_yaml(path: str) -> bool:
    return path.lower().endswith((".yml", ".yaml"))


def _load_catalog(
    inputs: Inputs, path: str, config: TreeConfig, mirrors: tuple[Mirror, ...], remembered: Remembered, now: float
) -> Catalog:
    hosts = build_hosts(inputs, config, mirrors)
    sets = HostSets(hosts)
    report = inputs.report.of(config.path)
    releases = build_releases(report, config, mirrors, sets)
    primary = read_tree_root(report, "primary", config.primary) if config.primary else None
    return Catalog(
        dialect=Dialect.ALMALINUX,
        choice=Choice.NEARNESS,
        dated=False,
        path=path,
        hosts=hosts,
        host_sets=tuple(sets.members),
        directories=_build_directories(releases),
        releases=releases,
        details=_load_details(inputs, config, primary, releases, remembered, now),
        files=index_files(report, primary, _list_places(releases, primary), inputs.good) if primary else None,
        list_length=config.list_length,
        near_km=config.near_km,
        health=config.health,
        good=inputs.good,
        broken=tuple(inputs.broken),
        built=int(max(inputs.mtimes.values())),
        inputs=tuple(inputs.mtimes),
        problems=tuple(sorted(inputs.report.problems, key=lambda problem: problem.path)),
    )


def _build_directories(releases: Releases) -> dict[str, Directory]:
    """Names as clients may write them (`9/...` too) -> where they are carried; the vault's are no directories."""
    directories: dict[str, Directory] = {}
    shared: dict[HostSetId, Directory] = {}
    for spot in list_spots(releases):
        if not spot.on_mirrors:
            continue
        host_set = host_set_of(releases, spot.full, spot.path)
        for tail in ("", "/repodata") if spot.metadata else ("",):
            if spot.name == spot.full_name:
                directory = shared.setdefault(host_set, Directory(host_set))
            else:
                directory = Directory(host_set, subpath=spot.full_name + tail)
            directories[spot.name + tail] = directory
    return directories


def _load_scanned(inputs: Inputs, config: TreeConfig) -> Remembered:
    """What `redirector scan` found at the master; nothing, and a problem, where its file cannot be used."""
    if config.details is None:
        return {}
    raw = inputs.load(config.details, DETAILS_LIMIT_BYTES, "metalinks do without it")
    try:
        return {} if raw is None else parse_remembered(raw)
    except ValueError as error:
        inputs.report.of(config.details).error("file", f"{error}: metalinks do without it")
        return {}


def _load_details(
    inputs: Inputs,
    config: TreeConfig,
    primary: MasterTree | None,
    releases: Releases,
    remembered: Remembered,
    now: float,
) -> dict[tuple[str, str], tuple[FileDetail, ...]]:
    """What the primary tree and earlier pushes hold, under every name that clients may write."""
    scanned = _load_scanned(inputs, config)
    if primary is None and not scanned:
        return {}
    report = inputs.report.of(config.path)
    pushes = read_pushes(report, "primary_history", config.primary_history) if config.primary_history else ()
    metadata = Metadata(primary, pushes, inputs, remembered, scanned)
    found: dict[str, tuple[FileDetail, ...]] = {}
    details: dict[tuple[str, str], tuple[FileDetail, ...]] = {}
    for spot in list_spots(releases):
        if not spot.metadata:
            continue
        if spot.full_name not in found:
            versions = metadata.load_versions(_names_of(releases, spot))
            found[spot.full_name] = config.alternates.pick(versions, now)
        if found[spot.full_name]:
            details[f"{spot.name}/repodata", REPOMD] = found[spot.full_name]
    return details


def _list_places(releases: Releases, primary: MasterTree) -> dict[str, tuple[str, ...]]:
    """Every directory that mirrors carry -> its names in the primary tree; and what lies outside of them: the whole of
    each version, all other folders, and the root."""
    places = {spot.full_name: _names_of(releases, spot) for spot in list_spots(releases) if spot.on_mirrors}
    versions = {name.partition("/")[0] for name in places}
    shorter = {short: full for short, full in releases.duplicated.items() if short != full}
    for version in sorted(versions):
        places[version] = (version, *(short for short, full in shorter.items() if full == version))
    for name in sorted(primary.versions - versions - shorter.keys() - set(releases.vault)):
        if not name.startswith("."):
            places[name] = (name,)
    skipped = (shorter.keys() | set(releases.vault)) - places.keys()
    return places | {name: () for name in skipped} | {"": ("",)}


def _names_of(releases: Releases, spot: Spot) -> tuple[str, ...]:
    """All names of a directory, the mapped version's first: one of them is a folder, the others may be links."""
    shorter = [version for version, full in releases.duplicated.items() if full == spot.full]
    return (spot.full_name, *(f"{version}/{spot.path}" for version in shorter))

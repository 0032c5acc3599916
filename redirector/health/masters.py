"""What the masters hold: read for a visit from a tree's `primary`, or from the details of a snapshot."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import filterfalse
from typing import Any
from xml.etree import ElementTree

from msgspec import structs

from redirector.files import read_bytes
from redirector.health.evidence import MARKER_LIMIT_BYTES
from redirector.health.expected import Expected, Master, NamedFile, Version, why_unasked
from redirector.health.keeping import Known
from redirector.health.reading import read_marker
from redirector.health.rules import FUTURE_S
from redirector.master.formats import parse_state, parse_trace
from redirector.master.merging import find_list_of_packages
from redirector.master.names import MARKERS, STATES, TRACES, is_under_way
from redirector.model import Catalog, FileDetail, Releases
from redirector.store.directories import Contents, MasterDirectory, MasterFile
from redirector.tree.releases import Spot, list_spots, module_of
from redirector.tree.repomd import REPOMD, REPOMD_LIMIT_BYTES, parse_repomd

INDEX = f"repodata/{REPOMD}"
TREE_MARKER = "TIME"
"""Of a tree whose master is elsewhere."""

VERSIONS_KEPT = 12
NEWEST_FILES = 2
TRACES_READ = 100


def read_tree(
    catalog: Catalog, primary: str | None, known: Mapping[str, Known], now: float
) -> tuple[list[Master], dict[str, Known]]:
    """The categories of a tree, and what to remember of them: the tree itself is "", a module bears its name.

    catalog  of the tree; its details are what the primary tree and earlier pushes hold
    primary  the path of the master's copy; None: nothing is known but what there should be
    known    category -> what earlier looks found
    """
    releases = catalog.releases
    assert releases is not None
    spots: dict[str, list[Spot]] = {}
    for spot in list_spots(releases):
        if spot.on_mirrors and spot.name == spot.full_name and "$" not in spot.path and _is_built(releases, spot):
            spots.setdefault(module_of(releases, spot.full) or "", []).append(spot)
    masters, kept = [], {}
    readable = primary is None or os.path.isdir(primary)
    for category, members in spots.items():
        before = _set_back(known.get(category, Known()), now)
        master, kept[category] = _read_category(catalog, category, members, primary, readable, before, now)
        masters.append(master)
    return masters, kept


def _set_back(known: Known, now: float) -> Known:
    """What a clock that was ahead saw was there by now at the latest."""
    latest = max((each.pushed for versions in known.versions.values() for each in versions), default=0)
    if max(latest, known.marker_since) <= now + FUTURE_S:
        return known
    versions, gone = (
        {name: [replace(each, pushed=min(each.pushed, int(now))) for each in found] for name, found in names.items()}
        for names in (known.versions, known.gone)
    )
    return structs.replace(known, versions=versions, gone=gone, marker_since=min(known.marker_since, int(now)))


def _is_built(releases: Releases, spot: Spot) -> bool:
    """`arches` of a repository say for which it is built; where it names none, for all."""
    if not spot.metadata:
        return True
    for repository in releases.repositories.values():
        before, found, after = repository.path.partition("$basearch")
        if not found:
            if spot.path == repository.path:
                return True
            continue
        arch = spot.path.removeprefix(before).removesuffix(after) if spot.path.startswith(before) else ""
        if spot.path == f"{before}{arch}{after}" and arch and "/" not in arch:
            return not repository.arches or arch in repository.arches
    return True


def _read_category(
    catalog: Catalog,
    category: str,
    spots: list[Spot],
    primary: str | None,
    readable: bool,
    known: Known,
    now: float,
) -> tuple[Master, Known]:
    first = not known.versions
    versions: dict[str, list[Version]] = {}
    gone: dict[str, list[Version]] = {}
    files: dict[str, list[NamedFile]] = {}
    directories: dict[str, Expected] = {}
    for spot in spots:
        name = spot.full_name
        if spot.metadata:
            details = catalog.details.get((f"{name}/repodata", "repomd.xml"), ())
            before = known.versions.get(name) or known.gone.get(name, [])
            broken = primary is not None and bool(before) and _is_broken(primary, name, details)
            if primary is not None and not details and not broken:
                if before:
                    gone[name] = before
                continue
            versions[name] = before if broken else _merge(details, before, now, first=first)
            identity = _identity(name, versions[name][0].sha256) if versions[name] else ""
            files_of = tuple(known.files.get(identity, ()))
            if primary is not None and not files_of and not broken:
                files_of = _read_files(primary, name)
            if files_of:
                files[identity] = list(files_of)
            directories[name] = Expected(
                name=name,
                index=f"{name}/{INDEX}",
                versions=tuple(versions[name]),
                files=files_of,
                pushed=versions[name][0].pushed if versions[name] else 0,
            )
        elif primary is not None and (images := _newest_in(primary, name)):
            directories[name] = Expected(
                name=name,
                files=tuple(NamedFile(f"{name}/{file}", size) for file, size, _ in images),
                pushed=int(max(mtime for _, _, mtime in images)),
            )
    shrunken = len(versions) * 2 < len(known.versions)
    if not readable or shrunken or (not first and primary is not None and _is_under_way(primary)):
        versions, gone, files = dict(known.versions), dict(known.gone), dict(known.files)
        directories = {
            name: Expected(name, f"{name}/{INDEX}", tuple(each), pushed=each[0].pushed)
            for name, each in versions.items()
            if each
        }
    marker = _read_marker(primary, now) if not category else _NO_MARKER
    since = known.marker_since if marker.sha256 == known.marker else marker.since if not known.marker else int(now)
    master = Master(
        category=category,
        directories=tuple(directories[name] for name in sorted(directories)),
        marker=marker.path,
        stamp=marker.stamp,
        text=marker.text,
        sha256=marker.sha256,
        since=since,
        read=readable and not shrunken,
    )
    return master, Known(versions, files, marker.sha256, since, gone)


def _is_broken(primary: str, name: str, details: Sequence[FileDetail]) -> bool:
    """Whether the index that lies at the master is none of which the details are: it is being written, or damaged. What
    was known of it counts then, as where a push is under way."""
    try:
        size_bytes = os.stat(os.path.join(primary, name, INDEX)).st_size
    except OSError:
        return False
    return not details or details[0].size_bytes != size_bytes


def _merge(details: Iterable[FileDetail], before: list[Version], now: float, *, first: bool) -> list[Version]:
    """Versions newest first: those there are, with the time when they were first seen, and those that were."""
    seen = {version.sha256: version for version in before}
    listed = list(details)
    merged: list[Version] = []
    for number, detail in enumerate(listed):
        version = seen.get(detail.sha256)
        if version is None:
            new = number == 0 and not first
            pushed = int(now) if new else int(min(detail.timestamp or now, now))
            version = Version(detail.sha256, detail.size_bytes, detail.timestamp, pushed)
        merged.append(version)
    there = {version.sha256 for version in merged}
    older = [version for version in before if version.sha256 not in there]
    rest = sorted([*merged[1:], *older], key=lambda version: (-version.pushed, version.sha256))
    return [*merged[:1], *rest][:VERSIONS_KEPT]


@dataclass(frozen=True, slots=True)
class _Marker:
    """The marker of a master, as `Master` has it."""

    path: str = ""
    stamp: float | None = None
    text: str | None = None
    sha256: str = ""
    since: int = 0


_NO_MARKER = _Marker()


def _read_marker(primary: str | None, now: float) -> _Marker:
    """By what mirrors of the tree tell how old they are: the first that its master has."""
    if primary is None:
        return _Marker(TREE_MARKER)
    for name in map(_text, MARKERS):
        with suppress(OSError, ValueError):
            raw = read_bytes(os.path.join(primary, name), MARKER_LIMIT_BYTES)
            text, stamp = read_marker(name, raw, now)
            if stamp is not None:
                return _Marker(name, stamp)
            if name.encode() in STATES:
                parse_state(raw)
                own = int(min(os.path.getmtime(os.path.join(primary, name)), now))
                return _Marker(name, text=text, sha256=hashlib.sha256(raw).hexdigest(), since=own)
    return max(
        _read_traces(primary, now), key=lambda found: (found.stamp or 0, found.path), default=_Marker(TREE_MARKER)
    )


def _read_traces(primary: str, now: float) -> Iterator[_Marker]:
    folder = os.path.join(primary, _text(TRACES))
    with suppress(OSError):
        for name in filterfalse(why_unasked, sorted(os.listdir(folder))[:TRACES_READ]):
            with suppress(OSError, ValueError):
                trace = parse_trace(read_bytes(os.path.join(folder, name), MARKER_LIMIT_BYTES), now)
                yield _Marker(f"{_text(TRACES)}/{name}", float(trace.time))


def _is_under_way(primary: str) -> bool:
    """Whether a file at the master's top says that it is being changed: what is seen meanwhile is no push."""
    try:
        return any(is_under_way(os.fsencode(name)) for name in os.listdir(primary))
    except OSError:
        return False


def _newest_in(primary: str, name: str) -> list[tuple[str, int, float]]:
    """Name, size and time of the newest files in a folder of the master."""
    found = []
    with suppress(OSError), os.scandir(os.path.join(primary, name)) as entries:
        for entry in entries:
            if entry.is_file() and not entry.name.startswith(".") and not why_unasked(entry.name):
                stat = entry.stat()
                found.append((entry.name, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda file: (-file[2], file[0]))[:NEWEST_FILES]


# -- The newest package and the primary of a repository ----------------------------------------------------------------


def _read_files(primary: str, name: str) -> tuple[NamedFile, ...]:
    """What a mirror must have beside the newest index: asked of the master once for each identity."""
    folder = os.path.join(primary, name)
    try:
        listed = parse_repomd(read_bytes(os.path.join(folder, INDEX), REPOMD_LIMIT_BYTES)).primary
    except (OSError, ValueError):
        return ()
    if listed is None or listed.kind != "primary":
        return ()
    path, href = os.path.join(folder, os.fsdecode(listed.path)), os.fsdecode(listed.path)
    if not os.path.isfile(path):
        return ()
    size = listed.size_bytes if listed.size_bytes is not None else os.path.getsize(path)
    newest = read_newest_package(path)
    found = [NamedFile(f"{name}/{href}", size)]
    if newest is not None and not why_unasked(newest.path):
        found.append(NamedFile(f"{name}/{newest.path}", newest.size_bytes))
    return tuple(found)


def _identity(name: str, sha256: str) -> str:
    """Two repositories may have the same index: its paths are relative."""
    return f"{sha256} {name}"


_OPENERS: Mapping[str, Callable[[str], Any]] = {
    ".gz": lambda path: gzip.open(path, "rb"),
    ".xz": lambda path: lzma.open(path, "rb"),
    ".bz2": lambda path: bz2.open(path, "rb"),
    ".xml": lambda path: open(path, "rb"),
}


def read_newest_package(path: str) -> NamedFile | None:
    """The package in a `primary.xml` whose file is the newest; None when that cannot be told."""
    opener = _OPENERS.get(os.path.splitext(path)[1])
    if opener is None:
        return None
    best: tuple[int, str, int | None] | None = None
    try:
        with opener(path) as file:
            for _, element in ElementTree.iterparse(file):
                if element.tag.rpartition("}")[2] != "package":
                    continue
                time, location, size = element.find("{*}time"), element.find("{*}location"), element.find("{*}size")
                if time is not None and location is not None and time.get("file", "").isdigit():
                    bytes_text = size.get("package", "") if size is not None else ""
                    entry = (
                        int(time.get("file", "0")),
                        location.get("href", ""),
                        int(bytes_text) if bytes_text.isdigit() else None,
                    )
                    best = entry if best is None or entry[:2] > best[:2] else best
                element.clear()
    except (OSError, EOFError, lzma.LZMAError, ElementTree.ParseError, ValueError):
        return None
    return NamedFile(best[1], best[2]) if best and best[1] else None


# -- Snapshots ---------------------------------------------------------------------------------------------------------


def read_snapshot(catalog: Catalog, known: Mapping[str, Known], now: float) -> tuple[list[Master], dict[str, Known]]:
    """The categories of a snapshot: a directory less its subpath. Its file details are the master's word."""
    directories: dict[str, dict[str, Expected]] = {}
    kept: dict[str, Known] = {}
    for (folder, file), details in sorted(catalog.details.items()):
        directory = catalog.directories.get(folder)
        if file != "repomd.xml" or directory is None:
            continue
        subpath = directory.subpath_of(folder)
        category = folder[: len(folder) - len(subpath)].strip("/") if folder.endswith(subpath) else folder
        name = subpath.removesuffix("repodata").rstrip("/")
        before = _set_back(known.get(category, Known()), now)
        versions = _merge(details, before.versions.get(name, []), now, first=not before.versions)
        kept.setdefault(category, Known()).versions[name] = versions
        index = f"{subpath}/{file}" if subpath else file
        directories.setdefault(category, {})[name] = Expected(
            name=name, index=index, versions=tuple(versions), pushed=versions[0].pushed
        )
    masters = [
        Master(
            category=category,
            directories=tuple(members[name] for name in sorted(members)),
            prefix=f"{category}/" if category else "",
            checked=catalog.built,
        )
        for category, members in sorted(directories.items())
    ]
    return masters, kept


# -- What a scan keeps -------------------------------------------------------------------------------------------------

_INDEXES = (b"repomd.xml", b"InRelease", b"Release", b"summary", b"APKINDEX.tar.gz", b".treeinfo", b"treeinfo")
"""Files that say what a directory holds, the best of them first; and `*.db`, the lists of packages of Arch."""


def read_contents(contents: Contents) -> Master:
    """A category as its scan keeps it. The directory of a repository is the one above its `repodata`."""
    directories: dict[str, Expected] = {}
    packages = _newest_packages(contents)
    for each in contents.directories:
        versions = each.versions
        path = _text(each.path)
        index = _index_of([name for name in versions if not why_unasked(_below(path, name))])
        if index is None:
            named = [NamedFile(_below(path, file.name), file.size_bytes) for file in each.files]
            files = tuple(file for file in named if not why_unasked(file.path))[:NEWEST_FILES]
            expected = Expected(path, files=files, pushed=each.changed, judged=not each.secret and each.count > 0)
            directories.setdefault(path, expected)
            continue
        is_repository = index == b"repomd.xml" and path.rpartition("/")[2] == "repodata"
        name = path.rpartition("/")[0] if is_repository else path
        told = tuple(
            Version(version.detail.sha256, version.detail.size_bytes, version.detail.timestamp, version.seen)
            for version in versions[index][:VERSIONS_KEPT]
        )
        directories[name] = Expected(
            name=name,
            index=_below(path, index),
            versions=told,
            files=_newest_of(each, packages) if is_repository else (),
            pushed=told[0].pushed if told else each.changed,
            judged=not each.secret,
        )
    marker = _marker_of(contents)
    return Master(
        category=contents.category,
        directories=tuple(directories[name] for name in sorted(directories)),
        prefix=f"{contents.top}/" if contents.top else "",
        marker=marker.path,
        stamp=marker.stamp,
        text=marker.text,
        sha256=marker.sha256,
        since=marker.since,
        checked=contents.checked,
    )


def _index_of(names: Collection[bytes]) -> bytes | None:
    """Which of the files that were read says what the directory holds."""
    lists = sorted(name for name in names if name.endswith(b".db"))
    return next((name for name in (*_INDEXES[:-2], *lists, *_INDEXES[-2:]) if name in names), None)


def _marker_of(contents: Contents) -> _Marker:
    """The marker that the scan read at the top of a category, or the newest trace."""
    top, traces = contents.find(b""), contents.find(TRACES)
    for name in MARKERS if top and not top.secret else ():
        if found := top.versions.get(name) if top else None:
            detail = found[0].detail
            stamp = None if name in STATES else float(detail.timestamp)
            return _Marker(_text(name), stamp, sha256=detail.sha256 or "", since=found[0].seen)
    if traces is None or traces.secret:
        return _NO_MARKER
    told = [
        (found[0].detail.timestamp, name)
        for name, found in traces.versions.items()
        if not why_unasked(_below(_text(TRACES), name))
    ]
    return _Marker(_below(_text(TRACES), max(told)[1]), float(max(told)[0])) if told else _NO_MARKER


def _newest_packages(contents: Contents) -> dict[bytes, MasterFile]:
    """Repository -> its newest package, wherever below `Packages` it lies; named as below the top."""
    newest: dict[bytes, MasterFile] = {}
    for directory in contents.directories:
        if directory.secret:
            continue
        path, slash, _ = (directory.path + b"/").partition(b"/Packages/")
        repository = path if slash else directory.path
        for file in directory.files:
            known = newest.get(repository)
            if file.name.endswith(b".rpm") and (known is None or (known.time, known.name) < (file.time, file.name)):
                name = b"/".join(filter(None, (directory.path, file.name)))
                if not why_unasked(_text(name)):
                    newest[repository] = MasterFile(name, file.size_bytes, file.time, file.seen)
    return newest


def _newest_of(repodata: MasterDirectory, packages: Mapping[bytes, MasterFile]) -> tuple[NamedFile, ...]:
    """The newest `primary` beside an index, and the newest package of the repository."""
    found = []
    primary = find_list_of_packages(repodata.files)
    if primary is not None and not why_unasked(path := _below(_text(repodata.path), primary.name)):
        found.append(NamedFile(path, primary.size_bytes))
    package = packages.get(repodata.path.rpartition(b"/")[0])
    if package is not None:
        found.append(NamedFile(_text(package.name), package.size_bytes))
    return tuple(found)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _below(path: str, name: bytes) -> str:
    return f"{path}/{_text(name)}" if path else _text(name)

"""What scans and crawls keep, as publishing wants it: contents of categories, and which of them each host has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.health.expected import Master
from redirector.health.keeping import unpack_names
from redirector.health.published import Judged, judge_all
from redirector.health.rules import Rules
from redirector.model import FileDetail
from redirector.registry.publish.contents import Bits, CategoryContents, Look
from redirector.registry.rules import name_key
from redirector.registry.world import Rows, read_world_of
from redirector.sources.mirrors_d.primary import AlternatesRule
from redirector.store import evidence
from redirector.store.contents import find_categories, find_packed
from redirector.store.directories import MasterRepository, Packed

_RULE = AlternatesRule()


async def read_scans(connection: AsyncConnection) -> dict[str, Packed]:
    """What was scanned, by the category's name without regard to case."""
    found = {}
    for name in await find_categories(connection):
        contents = await find_packed(connection, name)
        if contents is not None:
            found[name_key(name)] = contents
    return found


def contents_of(scan: Packed) -> CategoryContents:
    """A scan's list of directories, with hashes: of the newest files, and of what may still be an alternate.

    Which of the older ones may is judged by the time of the scan: the same scan gives the same bytes.
    """
    top = scan.top.strip("/")
    names: list[str] = []
    secret: set[str] = set()
    details: dict[tuple[str, str], tuple[FileDetail, ...]] = {}
    for directory in scan.directories():
        name = _name(top, directory.path)
        if name is None:
            continue
        names.append(name)
        if directory.secret:
            secret.add(name)
            continue
        for file, versions in directory.versions.items():
            told = _RULE.pick([version.detail for version in versions], scan.checked)
            if (text := _text(file)) is not None:
                details[name, text] = told
    return CategoryContents(
        top=top, names=tuple(sorted(names)), details=details, secret=frozenset(secret), made=scan.checked
    )


def repositories_of(scan: Packed) -> Iterator[tuple[MasterRepository, str]]:
    """Repositories that the rules of `masters` name, and their directories."""
    for repository in scan.repositories:
        name = _name(scan.top.strip("/"), repository.path)
        if name is not None:
            yield repository, name


def _name(top: str, path: bytes) -> str | None:
    text = _text(path)
    return None if text is None else "/".join(filter(None, (top, text)))


def _text(raw: bytes) -> str | None:
    """None for what no answer could hold."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


async def read_health(
    connection: AsyncConnection,
    rows: Rows,
    contents: Mapping[int, CategoryContents],
    rules: Rules,
    now: int,
    judged: Judged | None = None,
) -> tuple[dict[int, Look], dict[int, Bits]]:
    """(host -> what the vantage points together say, carried -> which directories are current there).

    What was seen before the host became `unchecked` does not count. *judged*: see `judge_all`.
    """
    world = await read_world_of(connection, rows, rules, (), now)
    entries, overalls = await judge_all(connection, world, now, judged)
    hosts = rows.hosts
    numbers = {row.name: row.id for row in hosts.values()}
    looks: dict[int, Look] = {}
    out: dict[int, frozenset[str]] = {}
    for key, entry in entries.items():
        number = numbers.get(key)
        if number is None or entry.checked < hosts[number].unchecked_since:
            continue
        looks[number] = Look(
            state=entry.state.value,
            since=entry.since,
            reason=entry.reason,
            checked=entry.checked,
            lag_s=entry.lag_s,
            ipv4=entry.ipv4,
            ipv6=entry.ipv6,
        )
        out[number] = frozenset(overalls[key].out)
    views: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
    for row in await evidence.find_contents(connection):
        if numbers.get(row.host) in looks:
            views.setdefault((row.host, row.category), []).append((row.directories, row.served))
    maps = _Maps(connection, world.masters)
    current: dict[int, Bits] = {}
    masters = {name_key(name): name for name in world.masters}
    for part in (part for parts in rows.carried.values() for part in parts):
        master = masters.get(rows.categories[part.category].name_key)
        seen = views.get((hosts[part.host].name, master or ""), [])
        if part.host not in looks or master is None or not seen:
            continue
        if master in out[part.host]:
            current[part.id] = np.zeros(len(contents[part.category].names), dtype=np.bool_)
            continue
        saying = [await maps.apply(master, contents[part.category], digest, served) for digest, served in seen]
        missing = len(saying) - np.sum(saying, axis=0)
        current[part.id] = missing < min(2, len(saying))
    return looks, current


class _Maps:
    """From the crawler's lists of directories to those of a scan, each worked out once."""

    def __init__(self, connection: AsyncConnection, masters: Mapping[str, Master]) -> None:
        self._connection = connection
        self._masters = masters
        self._found: dict[tuple[str, str], tuple[NDArray[np.int64], list[tuple[int, int]]]] = {}

    async def apply(self, category: str, contents: CategoryContents, digest: str, served: bytes) -> Bits:
        """Which of the *contents* a host has by the bits *served*: those that nobody judges go by what is below."""
        places, links = await self._find(category, contents, digest)
        flags = np.unpackbits(np.frombuffer(served, np.uint8), bitorder="little").astype(np.bool_)
        bits: Bits = np.append(flags, np.False_)[np.where(places < len(flags), places, -1)]
        for parent, child in links:
            if bits[child]:
                bits[parent] = True
        return bits

    async def _find(
        self, category: str, contents: CategoryContents, digest: str
    ) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
        """For each name its number in the crawler's list, -1 without one; and (parent, child) as of `_links`."""
        if (category, digest) in self._found:
            return self._found[category, digest]
        raw = await evidence.find_names(self._connection, digest)
        listed = {name: number for number, name in enumerate(unpack_names(raw))} if raw else {}
        unjudged = {each.name for each in self._masters[category].directories if not each.judged}
        subpaths = [contents.subpath_of(name) for name in contents.names]
        places = np.full(len(subpaths), -1, dtype=np.int64)
        for position, subpath in enumerate(subpaths):
            name = subpath if subpath in listed else _repository_of(subpath)
            if name in listed and name not in unjudged:
                places[position] = listed[name]
        self._found[category, digest] = (places, _links(subpaths, places))
        return self._found[category, digest]


def _repository_of(subpath: str) -> str:
    """The directory that stands for a `repodata`."""
    folder, _, last = subpath.rpartition("/")
    return folder if last == "repodata" else subpath


def _links(subpaths: Sequence[str], places: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(parent, child), the deepest first, for parents that nobody judges."""
    numbers = {subpath: number for number, subpath in enumerate(subpaths)}
    links = []
    for subpath in sorted(subpaths, key=lambda each: -each.count("/")):
        parent = subpath.rpartition("/")[0] if "/" in subpath else ""
        number = numbers.get(parent)
        if subpath and number is not None and places[number] < 0:
            links.append((number, numbers[subpath]))
    return links

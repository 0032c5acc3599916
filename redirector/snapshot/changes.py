"""What is different between two snapshots, told by outlines that are small enough to be kept: a reload answers with it.

An outline holds names and, for each, sums over what stands behind it; so that a later snapshot can be compared with one
that is gone.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from redirector.counted import counted
from redirector.model import FileDetail, HostId, listings

if TYPE_CHECKING:  # whoever keeps and compares outlines needs none of what a snapshot is made of
    from redirector.snapshot.snapshot import Snapshot

FACETS = ("URLs", "place", "networks", "bandwidth", "restrictions", "health", "lacking", "sponsor", "switch")
"""What may be different about a host; the last one: an operator has switched it off, or on, which says all."""

MAX_NAMED = 20
"""How many of a kind are named; there may be 100,000 directories."""

_facts = attrgetter(*(fact.name for fact in fields(FileDetail)))

_LEVEL = 1
"""Of zlib: 200,000 names of directories are packed in 0.2 s."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One snapshot in short.

    hosts         name -> a sum for each of `FACETS`
    repositories  name -> a sum
    directories   name -> a sum
    """

    hosts: dict[str, tuple[int, ...]]
    repositories: dict[str, int]
    directories: dict[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different about one kind of thing; names are cut at `MAX_NAMED`, counts are not."""

    came: int = 0
    went: int = 0
    changed: int = 0
    came_names: tuple[str, ...] = ()
    went_names: tuple[str, ...] = ()
    changed_names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.came or self.went or self.changed)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different between two snapshots. *changed_names* of hosts say what: `a.example (URLs, health)`."""

    hosts: Difference = field(default_factory=Difference)
    repositories: Difference = field(default_factory=Difference)
    directories: Difference = field(default_factory=Difference)

    def __bool__(self) -> bool:
        return bool(self.hosts or self.repositories or self.directories)

    def describe(self) -> str:
        """One line for the log: `1 host came (a.example), 2 changed (b.example (health), …)`."""
        kinds = (("hosts", self.hosts), ("repositories", self.repositories), ("directories", self.directories))
        return "; ".join(_describe(name, each) for name, each in kinds if each) or "nothing changed"


_LOGGED = 5
"""How many of a kind a log line names."""


def _describe(name: str, difference: Difference) -> str:
    parts: list[str] = []
    for verb, count, names in (
        ("came", difference.came, difference.came_names),
        ("went", difference.went, difference.went_names),
        ("changed", difference.changed, difference.changed_names),
    ):
        if count:
            more = f" and {count - _LOGGED:,} more" if count > _LOGGED else ""
            parts.append(
                f"{f'{count:,}' if parts else counted(count, name)} {verb} ({', '.join(names[:_LOGGED])}{more})"
            )
    return ", ".join(parts)


def outline_of(snapshot: Snapshot) -> Outline:
    """The outline of *snapshot*. cost: 3 µs a directory"""
    details: dict[str, list[object]] = {}
    for (directory, file), versions in snapshot.details.items():
        details.setdefault(directory, []).append((file, [_facts(each) for each in versions]))
    plain = {each: _sum((each.cut, each.subpath)) for each in set(snapshot.directories.values())}
    return Outline(
        hosts=_outline_hosts(snapshot),
        repositories=_outline_repositories(snapshot),
        directories={
            name: _sum((plain[each], details[name])) if name in details else plain[each]
            for name, each in snapshot.directories.items()
        },
    )


def _outline_hosts(snapshot: Snapshot) -> dict[str, tuple[int, ...]]:
    urls, lacked = urls_of(snapshot), _lacked(snapshot)
    return {
        host.name: (
            _sum(sorted(urls.get(HostId(n), ()))),
            _sum((host.country, host.place)),
            _sum((host.netblocks, host.asns, host.own_asn)),
            host.bandwidth_mbit if host.bandwidth_said else 0,
            _sum((host.private, host.local, host.monopoly, sorted(host.allowed), sorted(host.excluded), host.withheld)),
            _sum((host.up, host.ipv4, host.ipv6)),
            lacked[HostId(n)],
            _sum((host.sponsor, host.sponsor_url)),
            int(host.switched_off),
        )
        for n, host in enumerate(snapshot.hosts)
    }


def _outline_repositories(snapshot: Snapshot) -> dict[str, int]:
    if snapshot.releases is None:
        return {f"{prefix} {arch}": _sum(name) for (prefix, arch), name in snapshot.repositories.items()}
    return {
        name: _sum((each.path, sorted(each.versions), sorted(each.arches), each.vault))
        for name, each in snapshot.releases.repositories.items()
    }


def urls_of(snapshot: Snapshot) -> dict[HostId, dict[str, None]]:
    """Every host's base URLs, once each."""
    urls: dict[HostId, dict[str, None]] = {}
    for host, listed in listings(snapshot.host_sets):
        urls.setdefault(host, {}).update(dict.fromkeys(listed))
    return urls


def _lacked(snapshot: Snapshot) -> Counter[HostId]:
    """How many directories each host is known to lack."""
    lacked: Counter[HostId] = Counter()
    for host_set, count in Counter(each.host_set for each in snapshot.directories.values()).items():
        for host in snapshot.host_sets[host_set].lacking:
            lacked[host] += count
    return lacked


def directories_of(snapshot: Snapshot) -> Counter[HostId]:
    """How many directories each host carries."""
    carried: Counter[HostId] = Counter()
    for host_set, count in Counter(each.host_set for each in snapshot.directories.values()).items():
        for host in snapshot.host_sets[host_set].urls:
            carried[host] += count
    return carried


def _sum(value: object) -> int:
    return zlib.crc32(repr(value).encode("utf-8", "surrogatepass"))


def pack_outline(outline: Outline) -> bytes:
    """*outline* in some 30 bytes a directory."""
    return zlib.compress(msgspec.msgpack.encode(outline), _LEVEL)


def unpack_outline(packed: bytes) -> Outline:
    """The outline that `pack_outline` packed."""
    return msgspec.msgpack.decode(zlib.decompress(packed), type=Outline)


def compare(old: Outline, new: Outline) -> Changes:
    """What is different in *new*."""

    def say(name: str) -> str:
        before, after = old.hosts[name], new.hosts[name]
        if before[-1] != after[-1]:
            return f"{name} (switched {'off' if after[-1] else 'on'})"
        return f"{name} ({', '.join(facet for n, facet in enumerate(FACETS) if before[n] != after[n])})"

    return Changes(
        hosts=_compare(old.hosts, new.hosts, say),
        repositories=_compare(old.repositories, new.repositories),
        directories=_compare(old.directories, new.directories),
    )


def _compare(old: Mapping[str, object], new: Mapping[str, object], say: Callable[[str], str] = str) -> Difference:
    came = sorted(new.keys() - old.keys())
    went = sorted(old.keys() - new.keys())
    changed = sorted(name for name, value in new.items() if name in old and old[name] != value)
    return Difference(
        len(came),
        len(went),
        len(changed),
        tuple(came[:MAX_NAMED]),
        tuple(went[:MAX_NAMED]),
        tuple(say(name) for name in changed[:MAX_NAMED]),
    )

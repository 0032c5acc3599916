"""What categories hold, and what of it hosts have: bits over a list of directories. Values, and how they are packed."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

import numpy as np
from numpy.typing import NDArray

from redirector.model import FileDetail

Bits = NDArray[np.bool_]
"""One for each directory of a category, in the order of its names."""

Details = Mapping[tuple[str, str], tuple[FileDetail, ...]]
"""(directory, file) -> versions, newest first."""


@dataclass(frozen=True, slots=True)
class CategoryContents:
    """What the master holds of a category.

    names     directories with their whole names, no outer slashes, sorted
    subpaths  what follows a host's base URL, for names that are not simply below the top
    details   hashes of files
    secret    names that are not public yet
    made      when that was so, epoch seconds
    """

    top: str
    names: tuple[str, ...]
    subpaths: Mapping[str, str] = field(default_factory=dict)
    details: Details = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    made: int = 0

    def subpath_of(self, name: str) -> str:
        """What follows a base URL for the directory *name*."""
        if name in self.subpaths:
            return self.subpaths[name]
        return name[len(self.top) :].strip("/") if self.top else name


@dataclass(frozen=True, slots=True)
class Look:
    """What a checker, or a host's own check-in, says.

    state    `ok`, `unchecked`, `unknown`, `unreachable`, `stale`
    since    of the state, epoch seconds
    checked  the last visit that was judged; 0: none
    lag_s    how far it is behind; None: not known
    """

    state: str = "unchecked"
    since: int = 0
    reason: str = ""
    checked: int = 0
    lag_s: int | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None


class Exclusions:
    """What hosts leave out of a category, worked out once for all that leave out the same."""

    def __init__(self, contents: CategoryContents) -> None:
        self._contents = contents
        self._found: dict[tuple[str, ...], Bits] = {}
        self._kept: dict[tuple[str, ...], frozenset[str]] = {}

    def of(self, patterns: Sequence[str]) -> Bits:
        """Directories that a host's *patterns* leave out, with all below them; `*` stands for anything."""
        key = tuple(patterns)
        if key not in self._found:
            self._found[key] = self._match(key)
        return self._found[key]

    def kept(self, patterns: Sequence[str]) -> frozenset[str]:
        """Names of the others."""
        key = tuple(patterns)
        if key not in self._kept:
            out = self.of(key).tolist()
            self._kept[key] = frozenset(
                name for name, is_out in zip(self._contents.names, out, strict=True) if not is_out
            )
        return self._kept[key]

    def _match(self, patterns: Sequence[str]) -> Bits:
        names = self._contents.names
        if not patterns:
            return np.zeros(len(names), dtype=np.bool_)
        either = re.compile(
            "|".join(f"(?:{translate(pattern)}|{translate(pattern.rstrip('/') + '/*')})" for pattern in patterns)
        )
        matches = (either.match(self._contents.subpath_of(name)) is not None for name in names)
        return np.fromiter(matches, np.bool_, len(names))


def renumber(bits: Bits, old: Sequence[str], new: Sequence[str]) -> Bits:
    """*bits* over the names *old* as bits over *new*; what is new is not there."""
    if old is new or tuple(old) == tuple(new):
        return bits
    positions = {name: number for number, name in enumerate(old)}
    padded = np.append(bits, np.False_)
    return padded[[positions.get(name, -1) for name in new]]


# -- How an import keeps them ------------------------------------------------------------------------------------------


def pack_names(names: Iterable[str]) -> bytes:
    """Names, one a line."""
    return zlib.compress("".join(f"{name}\n" for name in names).encode(), 6)


def unpack_names(packed: bytes) -> tuple[str, ...]:
    """The names of `pack_names`."""
    return tuple(zlib.decompress(packed).decode().split("\n")[:-1])


def pack_bits(bits: Bits) -> bytes:
    """Bits, deflated: most hosts have all or nothing."""
    return zlib.compress(np.packbits(bits).tobytes(), 6)


def unpack_bits(packed: bytes, count: int) -> Bits:
    """The bits of `pack_bits`."""
    raw = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
    return np.unpackbits(raw, count=count).astype(np.bool_)


def pack_subpaths(subpaths: Mapping[str, str]) -> bytes:
    """A mapping of texts."""
    return zlib.compress(json.dumps(subpaths, sort_keys=True).encode(), 6)


def unpack_subpaths(packed: bytes) -> dict[str, str]:
    """The mapping of `pack_subpaths`."""
    return dict(json.loads(zlib.decompress(packed)))


def pack_details(details: Details) -> bytes:
    """Hashes of files."""
    rows = [
        [
            directory,
            file,
            [[one.timestamp, one.size_bytes, one.md5, one.sha1, one.sha256, one.sha512] for one in versions],
        ]
        for (directory, file), versions in sorted(details.items())
    ]
    return zlib.compress(json.dumps(rows).encode(), 6)


def unpack_details(packed: bytes) -> dict[tuple[str, str], tuple[FileDetail, ...]]:
    """The hashes of `pack_details`."""
    return {
        (directory, file): tuple(FileDetail(*one) for one in versions)
        for directory, file, versions in json.loads(zlib.decompress(packed))
    }

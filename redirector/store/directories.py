"""What a master holds, as values, and how they are packed for the store. No SQL here: everyone may read these.

A million directories must fit: what few readers want of each is kept packed, and unpacked when it is asked for.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from redirector.model import FileDetail


class MasterFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of the newest files of a directory.

    time  the later of when it was written and when it was put there, as the master's list says; no mirror has the same
    seen  when its push was first seen; at the first scan of all, `time`
    """

    name: bytes
    size_bytes: int
    time: int
    seen: int


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One push of a file that says what its directory holds (`repomd.xml`, `Release`, …), or of an image.

    detail  size, hashes, and its own time: what is not known is 0 or ""
    seen    when a scan first saw it; at the first scan of all its own time, or the list's
    push    the number of that push
    listed  its time in the master's list
    """

    detail: FileDetail
    seen: int
    push: int
    listed: int


Versions = dict[bytes, tuple[Version, ...]]
"""Name of a file in a directory -> its versions, newest first."""


class MasterDirectory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One directory of the master.

    path     below the category's top; b"" is the top itself
    changed  when the push was first seen that changed it last; at the first scan of all, its newest file's time
    push     the number of that push
    secret   not readable by the world, or below such a directory: never shown, not judged
    count    how many files lie in it itself
    digest   of all that lies in it itself: names, sizes, times
    size_bytes  of its files; one with several links counts once
    """

    path: bytes
    changed: int
    push: int
    secret: bool
    count: int
    digest: int
    packed_files: bytes
    packed_versions: bytes
    size_bytes: int = 0

    @property
    def files(self) -> tuple[MasterFile, ...]:
        """Its newest readable files, newest first: by them it is known whether a mirror is current."""
        return _FILES.decode(self.packed_files) if self.packed_files else ()

    @property
    def versions(self) -> Versions:
        """Versions of the files that say what it holds, and of its images."""
        return _VERSIONS.decode(self.packed_versions) if self.packed_versions else {}


_FILES = msgspec.msgpack.Decoder(tuple[MasterFile, ...])
_VERSIONS = msgspec.msgpack.Decoder(Versions)
_ENCODER = msgspec.msgpack.Encoder()


def pack_files(files: Iterable[MasterFile]) -> bytes:
    """For `MasterDirectory`."""
    rows = tuple(files)
    return _ENCODER.encode(rows) if rows else b""


def pack_versions(versions: Mapping[bytes, tuple[Version, ...]]) -> bytes:
    """For `MasterDirectory`."""
    return _ENCODER.encode(dict(sorted(versions.items()))) if versions else b""


class MasterRepository(msgspec.Struct, frozen=True, array_like=True):
    """A directory with a `repodata/`, named by the first rule that matches it."""

    prefix: str
    arch: str
    product: str
    path: bytes
    groups: dict[str, str] = {}


class Push(msgspec.Struct, frozen=True, array_like=True):
    """One change of the master.

    seen     when a scan first saw it
    changed  how many directories it changed
    """

    number: int
    seen: int
    changed: int


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """How much there is; `repositories` are directories called `repodata`.

    sizes  bytes by the first two parts of the path, or the first alone where that would be too many
    """

    directories: int = 0
    secret: int = 0
    files: int = 0
    repositories: int = 0
    sizes: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Contents:
    """What the master of one category holds.

    generation    number of the list of paths; bit N of a bit string of this generation is `directories[N]`
    push          number of the newest push
    checked       when it was last read or found unchanged
    read          when it was last read in full
    validator     what tells its reader that nothing changed
    directories   by path
    pushes        newest first, as far as they are kept
    repositories  those that rules name
    """

    category: str
    top: str
    generation: int
    push: int
    checked: int
    read: int
    validator: bytes
    directories: tuple[MasterDirectory, ...]
    pushes: tuple[Push, ...]
    repositories: tuple[MasterRepository, ...] = ()

    def find(self, path: bytes) -> MasterDirectory | None:
        """The directory at *path* below the top."""
        at = self.find_bit(path)
        return None if at is None else self.directories[at]

    def find_bit(self, path: bytes) -> int | None:
        """Which bit of this generation stands for *path*."""
        at = bisect_left(self.directories, path, key=_path_of)
        return at if at < len(self.directories) and self.directories[at].path == path else None


@dataclass(frozen=True, slots=True)
class Packed:
    """`Contents` as they are kept: a quarter of a million directories in 16 MB."""

    category: str
    top: str
    generation: int
    push: int
    checked: int
    read: int
    validator: bytes
    pushes: tuple[Push, ...]
    repositories: tuple[MasterRepository, ...]
    counts: Counts
    packed: bytes

    @classmethod
    def of(cls, contents: Contents) -> Packed:
        """*contents*, packed."""
        sizes: dict[bytes, int] = {}
        for directory in contents.directories:
            add_size(sizes, directory)
        counts = Counts(
            len(contents.directories),
            sum(directory.secret for directory in contents.directories),
            sum(directory.count for directory in contents.directories),
            sum(directory.path.rpartition(b"/")[2] == b"repodata" for directory in contents.directories),
            bound_sizes(sizes),
        )
        fields = {name: getattr(contents, name) for name in _SHARED}
        return cls(**fields, counts=counts, packed=pack_directories(contents.directories))

    def unpack(self) -> Contents:
        """All at once. cost: 4 µs a directory"""
        fields = {name: getattr(self, name) for name in _SHARED}
        return Contents(**fields, directories=tuple(self.directories()))

    def directories(self) -> Iterator[MasterDirectory]:
        """One after another, by path."""
        return map(_DIRECTORY.decode, _split(self.packed))


_SHARED = ("category", "top", "generation", "push", "checked", "read", "validator", "pushes", "repositories")


MOST_SIZES = 2000


def add_size(sizes: dict[bytes, int], directory: MasterDirectory) -> None:
    """Count a directory that everybody may see."""
    if directory.size_bytes and not directory.secret:
        parts = b"/".join(directory.path.split(b"/", 2)[:2])
        sizes[parts] = sizes.get(parts, 0) + directory.size_bytes


def bound_sizes(sizes: Mapping[bytes, int]) -> dict[str, int]:
    """What is kept of it."""
    found: dict[str, int] = {}
    for path, size in sizes.items():
        name = path.decode("utf-8", "replace")
        name = name if len(sizes) <= MOST_SIZES else name.partition("/")[0]
        found[name] = found.get(name, 0) + size
    return found


def _path_of(directory: MasterDirectory) -> bytes:
    return directory.path


# Packed for the store

_DIRECTORY = msgspec.msgpack.Decoder(MasterDirectory)
_LEVEL = 1
"""Three times as fast as zlib's usual one, and a sixth larger."""

_FLUSH_BYTES = 1 << 20


def pack_directories(directories: Iterable[MasterDirectory]) -> bytes:
    """All of them, one after another, each behind its length, compressed; in little more memory than the result."""
    return b"".join(_compress(map(_ENCODER.encode, directories)))


def pack_paths(paths: Iterable[bytes]) -> bytes:
    """A generation's list of paths."""
    return b"".join(_compress(paths))


def unpack_paths(packed: bytes) -> tuple[bytes, ...]:
    """What `pack_paths` packed."""
    return tuple(_split(packed))


def _compress(items: Iterable[bytes]) -> Iterator[bytes]:
    compressor, waiting = zlib.compressobj(_LEVEL), bytearray()
    for item in items:
        waiting += len(item).to_bytes(4) + item
        if len(waiting) > _FLUSH_BYTES:
            yield compressor.compress(waiting)
            waiting.clear()
    yield compressor.compress(waiting) + compressor.flush()


def _split(packed: bytes) -> Iterator[bytes]:
    decompressor, waiting, at = zlib.decompressobj(), b"", 0
    while not decompressor.eof:
        chunk = decompressor.decompress(packed, _FLUSH_BYTES)
        if not chunk and not packed and not decompressor.eof:
            raise ValueError("packed values are cut")
        waiting = waiting[at:] + chunk
        packed, at = decompressor.unconsumed_tail, 0
        while at + 4 <= len(waiting) and (end := at + 4 + int.from_bytes(waiting[at : at + 4])) <= len(waiting):
            yield waiting[at + 4 : end]
            at = end

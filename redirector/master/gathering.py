"""From one entry after another to what is worth knowing of each directory, in as little memory as a directory needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from zlib import crc32

from redirector.errors import MasterError
from redirector.master.formats import show
from redirector.master.names import KEPT_ENDS, is_kept, is_traces, is_under_way
from redirector.tree.paths import is_safe_path

NEWEST_FILES = 3
"""How many of a directory's newest files are looked for at mirrors."""

LIMIT_DIRECTORIES = 2_000_000
LIMIT_ENTRIES = 20_000_000
"""Fedora's master has some 3 million entries in 200,000 directories, its archive twice that."""

_ROOM = 5
"""Files of a directory that wait to be sorted."""

_TIME_BYTES, _SIZE_BYTES = 6, 8
_MIX, _WORD = 2_654_435_761, 0xFFFFFFFF

_NO_NAMES = frozenset({b"", b".", b".."})
_BEGINS = frozenset({b".", b"A"})

NO_END = "a list without an end is no list; name a smaller part of it"

Row = tuple[bytes, bytes, bytes, bytes]
"""Time, type as in a file list (`f`, `d-`; `f=` is another link to a file that was listed before), size, path."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as a listing has it."""

    name: bytes
    time: int
    size_bytes: int


@dataclass(slots=True)
class _Folder:
    """What is known of one directory so far. `floor`: older files are not among the newest."""

    time: int = 0
    secret: bool = False
    count: int = 0
    size_bytes: int = 0
    digest: int = 0
    floor: int = 0
    newest: list[bytes] = field(default_factory=list)
    kept: list[ListedFile] | None = None


@dataclass(frozen=True, slots=True)
class ListedDirectory:
    """One directory of the master as a listing has it.

    path    below the category's top
    secret  not readable by the world, or below such a directory
    count   of its readable files
    size_bytes  of them; a file with several links counts where it was listed first
    digest  of names, sizes and times of its files and links
    kept    its readable files that are looked at by themselves
    """

    path: bytes
    time: int
    secret: bool
    count: int
    size_bytes: int
    digest: int
    packed: tuple[bytes, ...]
    kept: tuple[ListedFile, ...]

    @property
    def newest(self) -> tuple[ListedFile, ...]:
        """Its newest readable files, newest first."""
        return tuple(map(_unpack, self.packed))


@dataclass(slots=True)
class Gathering:
    """Takes entries, in any order, and gives directories, by path.

    master   for messages
    exclude  paths that are left out, with all below them
    """

    master: str
    exclude: re.Pattern[bytes] | None = None
    entries: int = 0
    _folders: dict[bytes, _Folder] = field(default_factory=lambda: {b"": _Folder()})
    _under_way: list[tuple[bytes, bytes]] = field(default_factory=list)

    def take(self, rows: Sequence[Row]) -> None:
        """Take entries as a file list has them. cost: 2 µs each

        raises  MasterError for a path that leads elsewhere, and beyond the limits
        """
        folders, exclude = self._folders, self.exclude
        self.entries += len(rows)
        if self.entries > LIMIT_ENTRIES:
            raise MasterError(self.master, f"more than {LIMIT_ENTRIES:,} entries", NO_END)
        for time, kind, size, full in rows:
            path, slash, name = full.rpartition(b"/")
            if name in _NO_NAMES or (slash and not path):
                raise self._elsewhere(full)
            if exclude is not None and exclude.fullmatch(full):
                continue
            if kind[:1] == b"d":
                folder = folders.get(full) or self._make(full)
                folder.time = int(time)
                if len(kind) > 1:
                    folder.secret = True
                continue
            folder = folders.get(path) or self._make(path)
            written, length = int(time), int(size)
            folder.digest += crc32(name, (written ^ length * _MIX) & _WORD)
            if kind == b"f":
                folder.size_bytes += length
            elif kind != b"f=":
                continue
            folder.count += 1
            if written >= folder.floor:
                newest = folder.newest
                newest.append(written.to_bytes(_TIME_BYTES) + length.to_bytes(_SIZE_BYTES) + name)
                if len(newest) > _ROOM:
                    newest.sort(reverse=True)
                    del newest[NEWEST_FILES:]
                    folder.floor = int.from_bytes(newest[-1][:_TIME_BYTES])
            if (name[-3:] in KEPT_ENDS and is_kept(name)) or (path[-5:] == b"trace" and is_traces(path)):
                folder.kept = [*(folder.kept or ()), ListedFile(name, written, length)]
            elif name[:1] in _BEGINS and is_under_way(name):
                self._under_way.append((path, name))

    def is_excluded(self, path: bytes) -> bool:
        """Whether *path* and all below it are left out."""
        return self.exclude is not None and self.exclude.fullmatch(path) is not None

    def _elsewhere(self, path: bytes) -> MasterError:
        way_out = "nothing of it is used; find out who wrote that"
        return MasterError(self.master, f"a path that leads elsewhere: {show(path)!r}", way_out)

    def _make(self, path: bytes) -> _Folder:
        if len(self._folders) > LIMIT_DIRECTORIES:
            raise MasterError(self.master, f"more than {LIMIT_DIRECTORIES:,} directories", NO_END)
        if not is_safe_path(path):
            raise self._elsewhere(path)
        folder = self._folders[path] = _Folder()
        return folder

    def find_start(self, top: str) -> bytes:
        """Where the category begins: the longest end of *top* that is a directory here, else the list's own top."""
        ends = (end.encode("utf-8", "surrogateescape") for end in list_starts(top))
        return next((end for end in ends if end in self._folders or self._has_below(end)), b"")

    def _has_below(self, start: bytes) -> bool:
        return any(path.startswith(start + b"/") for path in self._folders)

    def finish(self, start: bytes) -> Iterator[ListedDirectory]:
        """The directories below *start*, by path; each is forgotten here once it is given.

        raises  MasterError: a push is under way, or one of the files that are looked at stands there twice
        """
        above = {start[:at] for at in range(len(start)) if start[at : at + 1] == b"/"} | {b"", start}
        for path, name in self._under_way:
            if path in above:
                raise MasterError(
                    self.master, f"a push is under way ({name.decode(errors='replace')[:60]})", "scan later"
                )
        self._add_parents()
        folders = self._folders
        secret: set[bytes] = set()
        for path in sorted(folders):
            folder = folders.pop(path)
            if folder.secret or (path and path.rpartition(b"/")[0] in secret):
                secret.add(path)
            if path == start or path.startswith(start + b"/" if start else b""):
                listed = _listed(path[len(start) + 1 :] if start else path, folder, path in secret)
                if (twice := _find_twice(listed)) is not None:
                    reason = f"{show(path + b'/' + twice)!r} stands there twice"
                    raise MasterError(self.master, reason, "nothing of it is used; make it anew")
                yield listed

    def _add_parents(self) -> None:
        for path in list(self._folders):
            while path and (path := path.rpartition(b"/")[0]) not in self._folders:
                self._make(path)


def _listed(path: bytes, folder: _Folder, secret: bool) -> ListedDirectory:
    return ListedDirectory(
        path=path,
        time=folder.time,
        secret=secret,
        count=folder.count,
        size_bytes=folder.size_bytes,
        digest=folder.digest & (1 << 63) - 1,
        packed=tuple(sorted(folder.newest, reverse=True)[:NEWEST_FILES]),
        kept=tuple(sorted(folder.kept, key=lambda file: file.name)) if folder.kept else (),
    )


def _find_twice(listed: ListedDirectory) -> bytes | None:
    """A name that two of its newest files, or of those that are looked at by themselves, have: which of them is there
    cannot be known."""
    for files in (listed.newest, listed.kept):
        names = [file.name for file in files]
        if len(set(names)) < len(names):
            return max(names, key=names.count)
    return None


def _unpack(packed: bytes) -> ListedFile:
    head = _TIME_BYTES + _SIZE_BYTES
    return ListedFile(packed[head:], int.from_bytes(packed[:_TIME_BYTES]), int.from_bytes(packed[_TIME_BYTES:head]))


def compile_exclude(patterns: Sequence[str], starts: Sequence[str] = ()) -> re.Pattern[bytes] | None:
    """One expression for shell *patterns* of whole paths below the top; what is below a match is left out too.

    starts  where the category may begin in a list, the longest first: not part of what patterns say
    """
    if not patterns:
        return None
    # A path that begins with one of them is either below the start of the category, or not of it at all.
    begin = "|".join(re.escape(start) + "/" for start in starts if start)
    wanted = "|".join(translate(pattern.strip("/")).removesuffix(r"\Z").removesuffix(r"\z") for pattern in patterns)
    return re.compile(f"(?:{begin})?+(?:{wanted})(?:/.*)?".encode("utf-8", "surrogateescape"), re.DOTALL)


def list_starts(top: str) -> list[str]:
    """Every end of the path *top*, the longest first: one of them is where the category begins in a list."""
    segments = top.split("/")
    return ["/".join(segments[at:]) for at in range(len(segments))]

"""A master that lies in a folder of this machine."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence

from redirector.errors import MasterError
from redirector.master.formats import INDEX_LIMIT_BYTES, show
from redirector.master.gathering import Gathering, Row, compile_exclude
from redirector.master.merging import Content, join
from redirector.master.names import is_index, is_kept
from redirector.master.reading import Progress, Read
from redirector.model import FileDetail
from redirector.settings.masters import Master
from redirector.store.directories import Packed

HASHED_BYTES = 256 << 20
"""Larger files are told apart by size and time. Arch's `extra.files` has 40 MB."""

FULL_S = 86_400
"""How long the times of directories are believed: a file that is written in place changes none."""

_KINDS = {stat.S_IFREG: b"f", stat.S_IFDIR: b"d", stat.S_IFLNK: b"l"}


class Walk:
    """Reads the folder of *master*. `now` is the time of this scan."""

    def __init__(self, master: Master, now: int) -> None:
        self._master = master
        self._now = now
        self._links: set[tuple[int, int]] = set()
        self._top = os.fsencode(master.where)

    async def check(self, known: Packed, validator: bytes) -> bool:
        if self._now - known.read >= FULL_S:
            return False
        return await asyncio.to_thread(self._stamp_known, known) == validator

    async def read(self, known: Packed | None, progress: Progress) -> Read:
        return await asyncio.to_thread(self._read, progress)

    async def fetch(self, paths: Sequence[bytes]) -> Mapping[bytes, Content]:
        return await asyncio.to_thread(self._fetch, paths)

    def _read(self, progress: Progress) -> Read:
        gathering = Gathering(self._master.where, compile_exclude(self._master.exclude))
        stamps: dict[bytes, bytes] = {}
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            rows = []
            try:
                before = os.stat(self._path_of(path))
                for row, is_open in self._list(path):
                    rows.append(row)
                    if is_open and not gathering.is_excluded(row[3]):
                        waiting.append(row[3])
            except OSError as error:
                raise self._failed(path, error) from error
            stamps[path] = _stamp(before)
            gathering.take(rows)
            progress(gathering.entries)
        directories = list(gathering.finish(b""))
        kept = {
            each.path: [file.name for file in each.kept if is_index(file.name, each.path)]
            for each in directories
            if each.kept
        }
        for path, stamp in stamps.items():
            if self._stamp(path) != stamp:
                reason = f"changed while it was read ({show(path) or 'its top'})"
                raise MasterError(self._master.where, reason, "scan later")
        paths = [each.path for each in directories]
        return Read(directories, self._stamp_all(paths, kept))

    def _path_of(self, path: bytes) -> bytes:
        return os.path.join(self._top, path) if path else self._top

    def _list(self, path: bytes) -> Iterator[tuple[Row, bool]]:
        """Entries of one directory, as a file list has them, and whether each is a directory to go into."""
        with os.scandir(self._path_of(path)) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                kind = _KINDS.get(stat.S_IFMT(status.st_mode))
                if kind == b"l" and is_kept(entry.name):
                    # `core.db` is a link to `core.db.tar.gz`: mirrors show what it leads to.
                    kind, status = self._follow(entry, status)
                if kind is None:
                    continue
                wanted = stat.S_IROTH | (stat.S_IXOTH if kind == b"d" else 0)
                is_secret = kind != b"l" and status.st_mode & wanted != wanted
                time = max(int(status.st_mtime), int(status.st_ctime), 0)
                full = join(path, entry.name)
                if is_secret:
                    kind += b"-"
                elif kind == b"f" and status.st_nlink > 1:
                    link = status.st_dev, status.st_ino
                    kind = b"f=" if link in self._links else kind
                    self._links.add(link)
                row = (b"%d" % time, kind, b"%d" % status.st_size, full)
                yield row, kind[:1] == b"d" and (not is_secret or os.access(entry.path, os.R_OK | os.X_OK))

    def _follow(self, entry: os.DirEntry[bytes], status: os.stat_result) -> tuple[bytes, os.stat_result]:
        try:
            target = entry.stat()
        except OSError:
            return b"l", status
        return (b"f", target) if stat.S_ISREG(target.st_mode) else (b"l", status)

    def _failed(self, path: bytes, error: OSError) -> MasterError:
        if path and isinstance(error, FileNotFoundError | NotADirectoryError):
            return MasterError(self._master.where, f"changed while it was read ({show(path)})", "scan later")
        reason = f"{show(path)}: {error.strerror}" if path else f"cannot be read: {error.strerror}"
        return MasterError(self._master.where, reason, "this user must be able to read all of it")

    # What tells that nothing changed

    def _stamp_known(self, known: Packed) -> bytes:
        paths, kept = [], {}
        for each in known.directories():
            paths.append(each.path)
            if each.packed_versions:
                kept[each.path] = [name for name in each.versions if is_index(name, each.path)]
        return self._stamp_all(paths, kept)

    def _stamp_all(self, paths: Sequence[bytes], kept: Mapping[bytes, Sequence[bytes]]) -> bytes:
        """One hash of the times of all directories and indexes. cost: 3 µs a directory"""
        digest = hashlib.blake2b(digest_size=16)
        for path in paths:
            digest.update(self._stamp(path))
            for name in kept.get(path, ()):
                digest.update(self._stamp(join(path, name)))
        return digest.digest()

    def _stamp(self, path: bytes) -> bytes:
        try:
            return _stamp(os.stat(self._path_of(path)))
        except OSError:
            return b""

    # Content

    def _fetch(self, paths: Sequence[bytes]) -> dict[bytes, Content]:
        found: dict[bytes, Content] = {}
        for path in paths:
            try:
                found[path] = self._read_file(path)
            except OSError as error:
                raise self._failed(path, error) from error
        return found

    def _read_file(self, path: bytes) -> Content:
        descriptor = os.open(self._path_of(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or before.st_size > HASHED_BYTES:
                return None
            content: Content
            if before.st_size <= INDEX_LIMIT_BYTES:
                content = file.read(INDEX_LIMIT_BYTES + 1)
                size = len(content)
            else:
                hashes = {
                    name: hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "sha256", "sha512")
                }
                size = 0
                while block := file.read(1 << 20):
                    size += len(block)
                    for each in hashes.values():
                        each.update(block)
                content = FileDetail(0, size, **{name: each.hexdigest() for name, each in hashes.items()})
            if size != before.st_size or _stamp(os.fstat(descriptor)) != _stamp(before):
                raise MasterError(self._master.where, f"changed while it was read ({show(path)})", "scan later")
        return content


def _stamp(status: os.stat_result) -> bytes:
    return b"%d %d %d\n" % (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)

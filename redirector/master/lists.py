"""A master that has a file list, in a file or at a URL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from redirector.errors import MasterError
from redirector.files import read_bytes
from redirector.master.filelist import FileListReader
from redirector.master.formats import INDEX_LIMIT_BYTES
from redirector.master.gathering import Gathering, ListedDirectory, compile_exclude, list_starts
from redirector.master.merging import Content, join
from redirector.master.reading import Progress, Read
from redirector.settings.masters import Master
from redirector.store.directories import Packed

BLOCK_BYTES = 1 << 20


class FileList:
    """Reads the list of *master*, which names paths from the top of an rsync module on."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self._is_url = "://" in master.where
        self._start = b""

    async def check(self, known: Packed, validator: bytes) -> bool:
        if not validator:
            return False
        if not self._is_url:
            return self._stamp() == validator
        from redirector.master.web import Web

        async with Web(self._master.where) as web, web.open(self._master.where, validator.decode()) as response:
            web.refuse_status(self._master.where, response.status)
            return response.status == 304 or _validator(response.headers) == validator

    async def read(self, known: Packed | None, progress: Progress) -> Read:
        starts = list_starts(self._master.top) if self._master.start is None else [self._master.start]
        gathering = Gathering(self._master.where, compile_exclude(self._master.exclude, starts))
        reader = FileListReader(gathering)
        if self._is_url:
            validator = await self._read_url(reader, progress)
        else:
            validator = await asyncio.to_thread(self._read_file, reader, progress)
        return await asyncio.to_thread(self._finish, reader, validator)

    def _finish(self, reader: FileListReader, validator: bytes) -> Read:
        reader.finish()
        start = self._master.start
        self._start = reader.gathering.find_start(self._master.top) if start is None else os.fsencode(start)
        directories: list[ListedDirectory] = list(reader.gathering.finish(self._start))
        if not directories:
            way_out = "correct top, or say where it begins with start"
            raise MasterError(self._master.where, f"nothing of {self._master.top} in it", way_out)
        skip = len(self._start) + 1 if self._start else 0
        sums = {path[skip:]: each for path, each in reader.checksums.items() if path.startswith(join(self._start, b""))}
        return Read(directories, validator, sums if skip else reader.checksums)

    async def _read_url(self, reader: FileListReader, progress: Progress) -> bytes:
        from redirector.master.web import Web

        async with Web(self._master.where) as web, web.open(self._master.where) as response:
            if response.status != 200:
                raise MasterError(self._master.where, f"status {response.status}", "see that the list is there")
            async for block in web.blocks(response):
                await asyncio.to_thread(reader.feed, block)
                progress(reader.gathering.entries)
            return _validator(response.headers)

    def _read_file(self, reader: FileListReader, progress: Progress) -> bytes:
        before = self._stamp()
        try:
            with open(self._master.where, "rb", buffering=0) as file:
                while block := file.read(BLOCK_BYTES):
                    reader.feed(block)
                    progress(reader.gathering.entries)
        except OSError as error:
            raise self._unreadable(error) from error
        if self._stamp() != before:
            raise MasterError(self._master.where, "changed while it was read", "scan later")
        return before

    def _stamp(self) -> bytes:
        try:
            status = os.stat(self._master.where)
        except OSError as error:
            raise self._unreadable(error) from error
        return b"%d %d %d" % (status.st_size, status.st_mtime_ns, status.st_ino)

    def _unreadable(self, error: OSError) -> MasterError:
        return MasterError(self._master.where, f"cannot be read: {error.strerror}", "name a file list that is there")

    # Content

    async def fetch(self, paths: Sequence[bytes]) -> Mapping[bytes, Content]:
        files = self._master.files
        if files is None:
            files = self._master.where.rpartition("/")[0] + "/" if self._is_url else os.path.dirname(self._master.where)
        if "://" in files:
            return await self._fetch_urls(files, paths)
        return await asyncio.to_thread(self._fetch_files, files, paths)

    async def _fetch_urls(self, base: str, paths: Sequence[bytes]) -> dict[bytes, Content]:
        from redirector.master.web import Web, join_url

        async with Web(self._master.where) as web:
            urls = (join_url(base, join(self._start, path)) for path in paths)
            bodies = await asyncio.gather(*map(web.find, urls))
        return {path: body for path, body in zip(paths, bodies, strict=True) if body is not None}

    def _fetch_files(self, folder: str, paths: Sequence[bytes]) -> dict[bytes, Content]:
        found: dict[bytes, Content] = {}
        for path in paths:
            full = os.path.join(os.fsencode(folder), self._start, path)
            try:
                found[path] = read_bytes(os.fsdecode(full), INDEX_LIMIT_BYTES)
            except (OSError, ValueError):
                continue  # the list's own checksums do
        return found


def _validator(headers: Mapping[str, str]) -> bytes:
    return (headers.get("ETag") or headers.get("Last-Modified") or "").encode("utf-8", "replace")

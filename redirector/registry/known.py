"""Which directories of a category there are, for whoever is told of some: read quickly, and worked out in a thread."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.registry.publish.contents import CategoryContents
from redirector.registry.publish.holdings import bare_contents, imported_contents
from redirector.registry.publish.scanned import contents_of
from redirector.registry.rules import name_key
from redirector.store.contents import find_categories, find_packed, find_push
from redirector.store.directories import Packed
from redirector.store.registry import queries
from redirector.store.registry.rows import CategoryRow, ImportedCategoryRow, RepositoryRow

Stamp = tuple[object, ...]
"""What is equal while nothing changed."""

_METADATA = "repomd.xml"


@dataclass(frozen=True, slots=True)
class Known:
    """The directories of one category below its top, "" among them where the top is one.

    hashes  directory of a `repomd.xml` -> the SHA-256 that are current, or an alternate
    """

    top: str
    paths: frozenset[str]
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def find(self, path: str) -> str | None:
        """The directory that *path* names, below the top or by its whole name; None when there is none."""
        if path in self.paths:
            return path
        below = path[len(self.top) + 1 :] if self.top and path.startswith(f"{self.top}/") else None
        if path == self.top:
            below = ""
        return below if below in self.paths else None


@dataclass(frozen=True, slots=True)
class Source:
    """What a category's directories are worked out from."""

    stamp: Stamp
    category: CategoryRow
    scan: Packed | None
    imported: ImportedCategoryRow | None
    repositories: Sequence[RepositoryRow]

    def work_out(self) -> Known:
        """cost: some 10 µs a directory"""
        contents = self._contents()
        hashes: dict[str, frozenset[str]] = {}
        for (directory, file), versions in contents.details.items():
            if file == _METADATA:
                digests = {digest.lower() for one in versions for digest in one.sha256}
                hashes[contents.subpath_of(directory)] = frozenset(digests)
        paths = frozenset(contents.subpath_of(name) for name in contents.names)
        return Known(contents.top.strip("/"), paths, hashes)

    def _contents(self) -> CategoryContents:
        if self.scan is not None:
            return contents_of(self.scan)
        if self.imported is not None:
            return imported_contents(self.category, self.imported)
        return bare_contents(self.category, self.repositories)


async def find_source(connection: AsyncConnection, category: CategoryRow, stamp: Stamp = ()) -> Source | None:
    """What there is of *category*; None when it is still as it was at *stamp*."""
    scanned = {name_key(name): name for name in await find_categories(connection)}.get(category.name_key)
    if scanned is not None:
        now: Stamp = ("scan", category.version, *(await find_push(connection, scanned) or ()))
        if now == stamp:
            return None
        return Source(now, category, await find_packed(connection, scanned), None, ())
    imported = await queries.find(connection, ImportedCategoryRow, category=category.id)
    if imported is not None:
        now = ("import", category.version, zlib.crc32(imported.paths), zlib.crc32(imported.details))
        return None if now == stamp else Source(now, category, None, imported, ())
    repositories = await queries.list_rows(connection, RepositoryRow)
    now = ("rows", category.version, len(repositories), max((row.edited for row in repositories), default=0))
    return None if now == stamp else Source(now, category, None, None, repositories)

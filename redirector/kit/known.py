"""What a source has that a mirror must have too: its time stamp, an index with its checksum, what that names."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from redirector.errors import FormatError
from redirector.health.reading import read_index, read_marker
from redirector.master.formats import parse_release
from redirector.tree.paths import is_safe_path
from redirector.tree.repomd import Repomd, parse_repomd

MARKERS = ("TIME", "lastsync", "lastupdate", "last-updated", "state", "COMPOSE_ID")
INDEX_NAMES = ("repomd.xml", "InRelease", "Release")
PACKAGES = (".rpm", ".deb", ".apk", ".pkg.tar.zst", ".pkg.tar.xz")
IMAGES = (".iso",)
_UNPACKED_BYTES = 1 << 20
"""Of a list of packages, whose first entry is wanted."""

_LIST_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file and what is known of it; None for what is not."""

    path: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was found at a source.

    marker   the path of its time stamp, with its text and time
    index    an index, with its own time
    named    what the index names with a checksum
    package, image  files by whose kind servers choose a type
    staged   folders that strangers must not see
    """

    marker: str = ""
    marker_text: str = ""
    marker_time: float | None = None
    index: KnownFile | None = None
    index_time: float | None = None
    named: KnownFile | None = None
    package: KnownFile | None = None
    image: KnownFile | None = None
    staged: tuple[str, ...] = ()

    @property
    def file(self) -> KnownFile | None:
        """The file that everything else is asked about."""
        return self.index or self.named or self.package or self.image


def with_marker(known: Known, path: str, body: bytes, now: float) -> Known:
    """*known*, and the time stamp *body* at *path* if it is one."""
    text, time = read_marker(path, body, now)
    if time is None and path.rpartition("/")[2] not in ("state", "COMPOSE_ID"):
        return known
    return replace(known, marker=path, marker_text=text, marker_time=time)


def with_index(known: Known, path: str, body: bytes) -> Known:
    """*known*, and the index *body* at *path* if it is one."""
    named = named_by(path, body)
    if named is None:
        return known
    index = KnownFile(path, len(body), hashlib.sha256(body).hexdigest())
    return replace(known, index=index, index_time=read_index(path, body)[0], named=named[0] if named else None)


def with_list(known: Known, path: str, body: bytes) -> Known:
    """*known*, and what the list of packages at *path* names first."""
    repository = path.rpartition("/repodata/")[0] if "/repodata/" in f"/{path}" else path.partition("dists/")[0]
    first = first_package(path, body)
    return replace(known, package=KnownFile(f"{repository}/{first}".strip("/"))) if first else known


def named_by(path: str, body: bytes) -> list[KnownFile] | None:
    """The files that the index *body* at *path* names with size and checksum, best first; None: it is none."""
    folder, _, name = path.rpartition("/")
    try:
        if name == "repomd.xml":
            return _named_by_repomd(folder.rpartition("/")[0] if "/" in folder else "", parse_repomd(body))
        release = parse_release(body)
    except FormatError:
        return None
    sums = {p.decode("utf-8", "surrogateescape"): each for p, each in release.sha256.items()}
    listed = [
        KnownFile(f"{folder}/{p}" if folder else p, each.size_bytes, each.hash)
        for p, each in sums.items()
        if re.search(r"/Packages\.(gz|xz)$", f"/{p}") and 0 < (each.size_bytes or 0) <= _LIST_BYTES
    ]
    return sorted(listed, key=lambda each: (each.size_bytes or 0) < 100)


def _named_by_repomd(repository: str, index: Repomd) -> list[KnownFile]:
    found = []
    for file in index.files:
        if file.kind in ("primary", "primary_db") and (file.size_bytes or 0) <= _LIST_BYTES:
            below = file.path.decode("utf-8", "surrogateescape")
            path = f"{repository}/{below}" if repository else below
            found.append(KnownFile(path, file.size_bytes or None, file.sha256))
    return found


def first_package(path: str, body: bytes) -> str | None:
    """The path of the first package in a list of them, as its repository counts; None where none can be found."""
    begin = unpack_begin(path, body)
    if path.rpartition("/")[2].startswith("Packages"):
        found = re.search(rb"^Filename: *(\S+)", begin, re.MULTILINE)
    else:
        found = re.search(rb'<location[^>]* href="([^"]+)"', begin)
    if not found or not is_safe_path(found[1]):
        return None
    return found[1].decode("utf-8", "surrogateescape")


def unpack_begin(path: str, body: bytes) -> bytes:
    """The begin of what is packed in *body*; b"" where that cannot be unpacked."""
    try:
        if path.endswith(".gz"):
            return zlib.decompressobj(47).decompress(body, _UNPACKED_BYTES)
        if path.endswith(".xz"):
            return lzma.LZMADecompressor(memlimit=128 << 20).decompress(body, _UNPACKED_BYTES)
        if path.endswith(".bz2"):
            return bz2.BZ2Decompressor().decompress(body, _UNPACKED_BYTES)
    except (zlib.error, lzma.LZMAError, OSError, gzip.BadGzipFile, EOFError):
        return b""
    return body[:_UNPACKED_BYTES] if path.endswith((".xml", "Packages")) else b""


def order_folders(names: Iterable[str], hints: Mapping[str, int] = {}) -> list[str]:
    """Folders in the order in which a search enters them: newest versions first, sources and debug packages last."""

    def key(name: str) -> tuple[int, list[tuple[int, str]]]:
        late = bool(re.search(r"debug|source|srpms|vault|archive|iso|images", name, re.IGNORECASE))
        first = name in ("repodata", "dists", "os", "x86_64", "Packages", "BaseOS", "releases")
        parts = [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d{1,9})", name)]
        return (0 if late else 2 if first else 1), parts

    return sorted(names, key=key, reverse=True)

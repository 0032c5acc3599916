"""`repomd.xml`, the index of a repository: what it is, when it was made, what it names."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from xml.etree import ElementTree

from redirector.errors import FormatError
from redirector.model import FileDetail
from redirector.one_line import one_line
from redirector.tree.paths import is_safe_path

REPOMD = "repomd.xml"

REPOMD_LIMIT_BYTES = 4 << 20
"""Real ones have 3 to 10 kB; with the XML as a tree, 4 MB take some 50 MB for a moment."""

_TIME = re.compile(r"[ \t\r\n\f\v]*([0-9]{1,20})(?:\.[0-9]{1,20})?[ \t\r\n\f\v]*")


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file that an index names.

    kind        of metadata: `primary`, `filelists`
    path        below the repository
    size_bytes  None where the index does not say
    sha256      lower-case hex; likewise
    """

    kind: str
    path: bytes
    size_bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Repomd:
    """What a `repomd.xml` is and names.

    detail  its size, hashes and time: the greatest `data/timestamp`, 0 without one
    files   in its order; only those that stay below the repository
    """

    detail: FileDetail
    files: tuple[IndexedFile, ...]

    @property
    def primary(self) -> IndexedFile | None:
        """The list of packages."""
        kinds = {file.kind: file for file in reversed(self.files)}
        return kinds.get("primary") or kinds.get("primary_db")


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds trees of documents without document type, hence without entities that expand or name files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("has a document type")


def parse_repomd(raw: bytes) -> Repomd:
    """What *raw* says. Raises FormatError, for a document type as well."""
    if len(raw) > REPOMD_LIMIT_BYTES:
        raise FormatError("not a repomd.xml: too long")
    try:
        root = ElementTree.fromstring(raw, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise FormatError(f"not a repomd.xml: {_show(str(error))}") from None
    if root.tag.rpartition("}")[2] != "repomd":
        raise FormatError(f"not a repomd.xml: its root is {_show(root.tag)!r}")
    times = [_timestamp(element.text or "") for element in root.iterfind("{*}data/{*}timestamp")]
    files = [file for data in root.iterfind("{*}data") if (file := _file(data)) is not None]
    return Repomd(hash_file(raw, max(times, default=0)), tuple(files))


def _file(data: ElementTree.Element) -> IndexedFile | None:
    location, size = data.find("{*}location"), data.findtext("{*}size", "").strip()
    if location is None or any(name.rpartition("}")[2] == "base" for name in location.keys()):
        return None
    path = location.get("href", "").encode("utf-8", "surrogateescape")
    if not is_safe_path(path):
        return None
    sums = {each.get("type"): (each.text or "").strip().lower() for each in data.iterfind("{*}checksum")}
    return IndexedFile(
        kind=data.get("type") or "",
        path=path,
        size_bytes=int(size) if re.fullmatch("[0-9]{1,18}", size) else None,
        sha256=sums.get("sha256") or None,
    )


def _timestamp(text: str) -> int:
    found = _TIME.fullmatch(text)
    if not found:
        raise FormatError(f"not a repomd.xml: {_show(text)!r} is no time")
    return int(found[1])


def _show(text: str) -> str:
    return one_line(text[:100])[:100]


def hash_file(raw: bytes, timestamp: int = 0) -> FileDetail:
    """Size and all hashes of a whole file."""
    return FileDetail(
        timestamp=timestamp,
        size_bytes=len(raw),
        md5=hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        sha1=hashlib.sha1(raw, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(raw).hexdigest(),
        sha512=hashlib.sha512(raw).hexdigest(),
    )

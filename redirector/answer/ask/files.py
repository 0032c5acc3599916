"""Which file or directory of the master tree a path names, and whether mirrors can be asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from redirector.answer.ask.listing import MAX_NAME_BYTES, Listing, ending_of
from redirector.answer.ask.query import UNKNOWN_PAGE
from redirector.errors import QueryError
from redirector.model import FileIndex, HostSetId
from redirector.snapshot.snapshot import Snapshot
from redirector.tree.releases import host_set_of
from redirector.tree.resolve import resolve_version

_MAX_SEGMENTS = 64
"""No tree is that deep; each segment of an unknown path costs a look-up."""

_MAX_PATH = 1000

_MAX_SHOWN = 200
"""Characters of a path in an error's line."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a path names.

    written  when it was, epoch seconds; None: not known
    missing  the primary tree lacks it
    """

    listing: Listing
    written: int | None = None
    missing: bool = False


def resolve_file(snapshot: Snapshot, path: str) -> Found:
    """What *path* lists: a directory that the snapshot knows, or something in one.

    A MirrorManager snapshot knows every directory. A tree knows its repositories, and takes all that is below them.

    path    without slash in front; one at its end is kept, and stands for a directory
    raises  QueryError 404 for an unknown directory
    """
    asked, is_folder = path.rstrip("/"), path.endswith("/")
    split = _split(snapshot, asked)
    if split is None:
        return _outside(snapshot, asked, is_folder)
    name, below = split
    is_folder = is_folder or not below
    directory = snapshot.directories.get(name)
    if directory is None:
        ending = ending_of(below, None) if is_folder else ending_of("", below)
        return Found(Listing(HostSetId(0), name, ending, only_url=snapshot.vault[name] + ending))
    if snapshot.releases is None and ("/" in below or (is_folder and below)):
        raise QueryError(404, UNKNOWN_PAGE)
    stem = directory.subpath_of(name)
    whole = f"{stem}/{below}" if stem and below else stem or below
    written, missing = None, False
    if snapshot.files is not None and below:
        # A snapshot's index has paths as it names directories, a tree's has them below the base.
        top, indexed = (stem, whole) if snapshot.releases is not None else (name, f"{name}/{below}")
        if snapshot.releases is not None and indexed in snapshot.files.links:
            whole = indexed = snapshot.files.links[indexed]
        is_folder = is_folder or snapshot.files.find(f"{indexed}/") is not None
        written = snapshot.files.find(f"{indexed}/" if is_folder else indexed)
        missing = written is None and _is_complete(snapshot.files, top, indexed)
    if is_folder:
        return Found(Listing(directory.host_set, asked, ending_of(whole, None)), None, missing)
    folder, _, file = asked.rpartition("/")
    details = snapshot.details.get((folder, file), ())
    if snapshot.releases is not None:
        file = whole.rpartition("/")[2]
    ending = ending_of(whole.rpartition("/")[0], file)
    return Found(Listing(directory.host_set, folder, ending, file, details), written, missing)


def _outside(snapshot: Snapshot, path: str, is_folder: bool) -> Found:
    """What *path* names outside of all known directories: something that a tree's `primary` holds, or of a version on
    the vault. Raises QueryError 404."""
    releases, files = snapshot.releases, snapshot.files
    version, _, below = path.partition("/")
    found = None if releases is None else resolve_version(releases, version)
    if releases is None or len(path) > _MAX_PATH:
        raise QueryError(404, UNKNOWN_PAGE)
    if found is not None and found.vault and below and releases.vault_url is not None:
        folder, _, file = below.rpartition("/") if not is_folder else (below, "", "")
        ending = ending_of("/".join(filter(None, (found.full, folder))), file or None)
        return Found(Listing(HostSetId(0), path, ending, only_url=releases.vault_url + ending))
    whole = path if found is None else "/".join(filter(None, (found.full, below)))
    if files is None or (files.find(whole) is None and files.find(f"{whole}/") is None):
        raise QueryError(404, UNKNOWN_PAGE)
    whole = files.links.get(whole, whole)
    is_folder = is_folder or files.find(whole) is None
    host_set = releases.standard_set if found is None else host_set_of(releases, found.full, below)
    if is_folder:
        return Found(Listing(host_set, path, ending_of(whole, None)), files.find(f"{whole}/"))
    folder, _, file = whole.rpartition("/")
    return Found(Listing(host_set, path.rpartition("/")[0], ending_of(folder, file), file), files.find(whole))


def _split(snapshot: Snapshot, path: str) -> tuple[str, str] | None:
    """The longest known directory that *path* begins with, and what is below it, "" for itself; None without one."""
    segments = path.split("/")
    if len(segments) <= _MAX_SEGMENTS and all(len(segment.encode()) <= MAX_NAME_BYTES for segment in segments):
        for count in range(len(segments), 0, -1):
            name = "/".join(segments[:count])
            if name in snapshot.directories or name in snapshot.vault:
                return name, "/".join(segments[count:])
    return None


def _is_complete(files: FileIndex, stem: str, path: str) -> bool:
    """Whether the primary tree would have *path*, below the directory *stem*, if it existed.

    False where the nearest folder that is there may be a copy of metadata alone, or none is there.
    """
    folder = path.rpartition("/")[0]
    while len(folder) >= len(stem):
        holds = files.find(f"{folder}/")
        if holds is not None:
            return bool(holds)
        folder = folder.rpartition("/")[0]
    return False

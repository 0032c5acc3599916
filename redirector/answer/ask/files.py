"""Which file or directory of the master tree a path names, and whether mirrors can be asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from redirector.answer.ask.listing import MAX_NAME_BYTES, Listing, ending_of
from redirector.answer.ask.query import UNKNOWN_PAGE
from redirector.errors import QueryError
from redirector.model import FileIndex, HostSetId
from redirector.snapshot.snapshot import Snapshot

_MAX_SEGMENTS = 64
"""No tree is that deep; each segment of an unknown path costs a look-up."""

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
    name, below = _split(snapshot, asked)
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
        is_folder = is_folder or snapshot.files.find(f"{indexed}/") is not None
        written = snapshot.files.find(f"{indexed}/" if is_folder else indexed)
        missing = written is None and _is_complete(snapshot.files, top, indexed)
    if is_folder:
        return Found(Listing(directory.host_set, asked, ending_of(whole, None)), None, missing)
    folder, _, file = asked.rpartition("/")
    details = snapshot.details.get((folder, file), ())
    ending = ending_of(whole.rpartition("/")[0], file)
    return Found(Listing(directory.host_set, folder, ending, file, details), written, missing)


def _split(snapshot: Snapshot, path: str) -> tuple[str, str]:
    """The longest known directory that *path* begins with, and what is below it; "" for itself."""
    segments = path.split("/")
    if len(segments) <= _MAX_SEGMENTS and all(len(segment.encode()) <= MAX_NAME_BYTES for segment in segments):
        for count in range(len(segments), 0, -1):
            name = "/".join(segments[:count])
            if name in snapshot.directories or name in snapshot.vault:
                return name, "/".join(segments[count:])
    raise QueryError(404, UNKNOWN_PAGE)


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

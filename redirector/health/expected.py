"""What a master holds, as far as judgement needs it: the directories of a category, and their pushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray


def why_unasked(path: str) -> str:
    """Why no mirror is asked for *path*, below a base URL; "" where any may be, over every scheme.

    A line of rsync's holds no control characters, and what leads up once it is decoded is asked of nobody. A master may
    have such names all the same; they tell nothing about mirrors then.
    """
    if path.isprintable() and "%" not in path and ".." not in path:
        return ""  # nearly all of them, in a tenth of the time
    if ".." in path.split("/") or ".." in unquote(path).split("/"):
        return "a path with .."
    return "a path with control characters" if any(ord(c) < 32 or ord(c) == 127 for c in path) else ""


@dataclass(frozen=True, slots=True)
class Version:
    """The index of a directory as one push left it.

    sha256  lower-case hex; "" when it is not known, and size and time must do
    stamp   the time inside, epoch seconds; 0 when unknown
    pushed  when a scan first saw it (in the first scan: its own time), epoch seconds
    """

    sha256: str
    size_bytes: int
    stamp: int
    pushed: int


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a current mirror has; *path* is below the category's top."""

    path: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """One directory of a master.

    name      below the category's top, without outer slashes
    index     path of its index below the category's top (`…/repodata/repomd.xml`); "" for a directory without one
    versions  of the index, newest first; () when nothing is known but that it must be there
    files     newest package and `primary` of a repository, the newest files of another directory
    pushed    when it changed last, epoch seconds; 0 when unknown
    judged    False where it is secret or empty at the master
    """

    name: str
    index: str = ""
    versions: tuple[Version, ...] = ()
    files: tuple[NamedFile, ...] = ()
    pushed: int = 0
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Master:
    """One category at its master.

    category     its name; a tree's own is "", a module's is the module
    prefix       what stands before a directory's name in the health file; "" or closed by a slash
    marker       path of the time stamp or state that mirrors copy; "" without one
    stamp, text  what it says at the master; None where that cannot be read
    sha256       of the marker there, where it bears no time; "" where it is not known
    since        when that marker was first seen, epoch seconds; 0 where it is not known
    directories  sorted by name
    read         False: nothing new could be learnt about it, and what stands here is old
    checked      when somebody last looked at it, epoch seconds; inf: just now
    columns      of the directories
    checksums    some index's checksum is known, so that checksums decide
    """

    category: str
    directories: tuple[Expected, ...]
    prefix: str = ""
    marker: str = ""
    stamp: float | None = None
    text: str | None = None
    sha256: str = ""
    since: int = 0
    read: bool = True
    checked: float = inf
    columns: Columns = field(init=False, compare=False, repr=False)
    checksums: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _columns_of(self.directories))
        known = any(version.sha256 for each in self.directories for version in each.versions)
        object.__setattr__(self, "checksums", known)

    @property
    def pushed(self) -> int:
        """When it changed last."""
        return int(self.columns.pushed.max()) if len(self.directories) else 0


@dataclass(frozen=True, slots=True)
class Columns:
    """The directories once more, a column each: what a visit asks of all of them at once.

    wanted   they can be judged, and there is something to ask for
    indexed  they have an index
    known    their index's versions are known
    files    how many files tell of them
    """

    pushed: NDArray[np.int64]
    wanted: NDArray[np.bool_]
    indexed: NDArray[np.bool_]
    known: NDArray[np.bool_]
    files: NDArray[np.int64]


def _columns_of(directories: Sequence[Expected]) -> Columns:
    count = len(directories)
    return Columns(
        pushed=np.fromiter((each.pushed for each in directories), np.int64, count),
        wanted=np.fromiter((each.judged and bool(each.index or each.files) for each in directories), np.bool_, count),
        indexed=np.fromiter((bool(each.index) for each in directories), np.bool_, count),
        known=np.fromiter((bool(each.versions) for each in directories), np.bool_, count),
        files=np.fromiter((len(each.files) for each in directories), np.int64, count),
    )

"""Which files the primary tree holds: looked up once, at load, so that no request ever touches the tree."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np

from redirector.files import read_bytes
from redirector.model import FileIndex, path_key
from redirector.sources.inputs import NO_FILES, GoodFiles
from redirector.sources.mirrors_d.primary import MasterTree
from redirector.sources.problems import Report
from redirector.tree.repomd import REPOMD, REPOMD_LIMIT_BYTES, parse_repomd

LIMIT_FILES = 4_000_000
"""AlmaLinux's three releases have some 300,000; 16 bytes each."""


def index_files(
    report: Report, tree: MasterTree, places: Mapping[str, Sequence[str]], good: GoodFiles = NO_FILES
) -> FileIndex | None:
    """The files in *tree* below the directories of *places*: name -> names under which it may lie there.

    good     contents of `repomd.xml` files that have been read, or were before they were broken
    returns  None, and a warning, when there are too many to keep
    cost     12 µs a file whose folder is in the page cache, one `stat` among them
    """
    keys, values = array("Q"), array("Q")
    links: dict[str, str] = {}
    for name, spots in places.items():
        for path, value in _find(report, tree, name, spots, places.keys(), links, good):
            keys.append(path_key(path))
            values.append(value)
            if len(keys) > LIMIT_FILES:
                text = f"holds more than {LIMIT_FILES:,} files: not indexed, and no file counts as missing"
                report.warning("primary", text)
                return None
    order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable")
    return FileIndex(_ordered(keys, order), _ordered(values, order), links)


def _ordered(numbers: array[int], order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> array[int]:
    ordered = array("Q")
    ordered.frombytes(np.frombuffer(numbers, np.uint64)[order].tobytes())
    return ordered


def _find(
    report: Report,
    tree: MasterTree,
    name: str,
    spots: Sequence[str],
    places: Collection[str],
    links: dict[str, str],
    good: GoodFiles,
) -> Iterator[tuple[bytes, int]]:
    """What an index holds of the first of *spots* that is there, under *name*; what other *places* hold is theirs."""
    for spot in spots:
        folder = os.path.join(tree.path, spot)
        if (not spot or spot.partition("/")[0] in tree.versions) and os.path.isdir(folder):
            yield from _walk(report, os.fsencode(folder), name, places, links, good)
            return


def _walk(
    report: Report, folder: bytes, place: str, places: Collection[str], links: dict[str, str], good: GoodFiles
) -> Iterator[tuple[bytes, int]]:
    """Every file below *folder* with its time, and every folder, closed by a slash; see `FileIndex`."""
    top, start = os.path.realpath(folder), os.path.join(place, "").encode()
    waiting: list[tuple[bytes, bytes, frozenset[tuple[int, int]]]] = [(folder, place.encode(), frozenset())]
    while waiting:
        folder, name, above = waiting.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in above:  # a link leads back to where it came from
                continue
            with os.scandir(folder) as entries:
                folders, files = _sort(entries)
        except OSError as error:
            report.of(os.fsdecode(folder)).warning("folder", f"{error.strerror}: none of its files counts as missing")
            yield name + b"/", 0
            continue
        if REPOMD.encode() in files:
            files = {**dict.fromkeys(_named(folder, good), files[REPOMD.encode()]), **files}
        inside = os.path.join(name, b"")
        if name:
            yield inside, int(bool(files) or not folders <= {b"repodata"})
        for file, written in files.items():
            yield inside + file, written
            path = os.path.join(folder, file)
            if os.path.islink(path) and (meant := os.path.realpath(path)).startswith(top + b"/"):
                links[os.fsdecode(inside + file)] = os.fsdecode(start + meant[len(top) + 1 :])
        above |= {(status.st_dev, status.st_ino)}
        further = [each for each in folders if os.fsdecode(inside + each) not in places]
        waiting += [(os.path.join(folder, each), inside + each, above) for each in further]


def _sort(entries: Iterable[os.DirEntry[bytes]]) -> tuple[set[bytes], dict[bytes, int]]:
    """Names of folders, and of files with their times. Links count as what they lead to, hidden folders not at all."""
    folders, files = set(), {}
    for entry in entries:
        if entry.is_dir():
            if not entry.name.startswith(b"."):
                folders.add(entry.name)
            continue
        with suppress(FileNotFoundError):
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                files[entry.name] = max(int(status.st_mtime), 1)
    return folders, files


def _named(folder: bytes, good: GoodFiles) -> Iterator[bytes]:
    """The files beside a `repomd.xml` that it names: they are part of the push, even where metadata alone is copied."""
    path = os.path.join(os.fsdecode(folder), REPOMD)
    try:
        known = good.get(path)
        raw = read_bytes(path, REPOMD_LIMIT_BYTES) if known is None else known.raw
        for file in parse_repomd(raw).files:
            if file.path.startswith(b"repodata/"):
                yield file.path.removeprefix(b"repodata/")
    except (OSError, ValueError):
        return

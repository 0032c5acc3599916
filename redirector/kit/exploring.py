"""Finds at a source, or at a mirror, what can be asked about: by listing folders, a few of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from redirector.kit.known import (
    IMAGES,
    INDEX_NAMES,
    MARKERS,
    PACKAGES,
    Known,
    KnownFile,
    order_folders,
    with_index,
    with_list,
    with_marker,
)

LISTINGS = 40
DEPTH = 9
_INDEX_BYTES = 4 << 20
_LIST_BYTES = 32 << 20
_FILE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One name in a folder. *hidden*: the world may not read it; known on the machine itself alone."""

    name: str
    folder: bool
    hidden: bool = False


class Tree(Protocol):
    """Where files lie."""

    async def list(self, path: str) -> Sequence[Item]:
        """What the folder *path* holds; nothing where that is not said."""

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        """The file *path*, if it is there and not larger."""


class LocalTree:
    """On this machine."""

    def __init__(self, root: str) -> None:
        self._root = root

    async def list(self, path: str) -> Sequence[Item]:
        try:
            with os.scandir(os.path.join(self._root, path)) as entries:
                return [_item_of(entry) for entry in entries]
        except OSError:
            return ()

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        try:
            with open(os.path.join(self._root, path), "rb") as file:
                raw = file.read(limit_bytes + 1)
        except OSError:
            return None
        return raw if len(raw) <= limit_bytes else None


def _item_of(entry: os.DirEntry[str]) -> Item:
    folder = entry.is_dir(follow_symlinks=False)
    mode = entry.stat(follow_symlinks=False).st_mode
    return Item(entry.name, folder, hidden=not mode & (stat.S_IXOTH if folder else stat.S_IROTH))


async def explore(tree: Tree, now: float, staged: Sequence[str] = ()) -> Known:
    """What can be asked about *tree*.

    staged  folders that are known to be hidden, beside those that are found
    """
    known = Known()
    hidden = list(staged)
    left = LISTINGS
    waiting: list[tuple[str, int]] = [("", 0)]
    plain = ""
    while waiting and left > 0:
        path, depth = waiting.pop()
        left -= 1
        items = [each for each in await tree.list(path) if each.name not in (".~tmp~", "lost+found")]
        prefix = f"{path}/" if path else ""
        hidden += [prefix + each.name for each in items if each.hidden and each.folder]
        names = sorted(each.name for each in items if not each.folder and not each.hidden)
        if depth == 0:
            known = await _add_marker(tree, known, names, now)
        known = replace(
            known,
            package=known.package or _first_of(names, PACKAGES, prefix),
            image=known.image or _first_of(names, IMAGES, prefix),
        )
        plain = plain or next((prefix + name for name in names if name not in MARKERS), "")
        if known.index is None:
            known = await _add_index(tree, known, prefix, names)
        folders = order_folders(each.name for each in items if each.folder and not each.hidden)
        if known.index is not None and (known.package is not None or depth > 3):
            # What is searched for now are images and what is hidden: near the top.
            folders = folders[:8] if depth < 2 else []
        if depth < DEPTH:
            waiting += [(prefix + name, depth + 1) for name in reversed(folders)]
        if known.index is not None and known.package is not None and known.image is not None and left < LISTINGS - 20:
            break
    if known.index is None and plain:
        body = await tree.read(plain, _FILE_BYTES)
        if body is not None:
            known = replace(known, named=KnownFile(plain, len(body), hashlib.sha256(body).hexdigest()))
    return replace(known, staged=tuple(hidden[:3]))


def _first_of(names: Sequence[str], endings: tuple[str, ...], prefix: str) -> KnownFile | None:
    return next((KnownFile(prefix + name) for name in names if name.endswith(endings)), None)


async def _add_marker(tree: Tree, known: Known, names: Sequence[str], now: float) -> Known:
    for name in MARKERS:
        if name in names and not known.marker:
            body = await tree.read(name, 64)
            if body is not None:
                known = with_marker(known, name, body, now)
    return known


async def _add_index(tree: Tree, known: Known, prefix: str, names: Sequence[str]) -> Known:
    for name in INDEX_NAMES:
        if name not in names:
            continue
        body = await tree.read(prefix + name, _INDEX_BYTES)
        if body is None:
            continue
        known = with_index(known, prefix + name, body)
        if known.index is None:
            continue
        if known.named is not None:
            listed = await tree.read(known.named.path, _LIST_BYTES)
            if listed is not None:
                known = with_list(known, known.named.path, listed)
        return known
    return known

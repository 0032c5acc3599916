"""Finds at a source, or at a mirror, what can be asked about: by listing folders, a few of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from redirector.kit.known import IMAGES, INDEX_NAMES, MARKERS, PACKAGES, Found, Known, KnownFile, order_folders

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


class Place(Protocol):
    """Where files lie."""

    async def list(self, path: str) -> Sequence[Item]:
        """What the folder *path* holds; nothing where that is not said."""

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        """The file *path*, if it is there and not larger."""


class Folder:
    """A tree on this machine."""

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


async def explore(place: Place, now: float, staged: Sequence[str] = ()) -> Known:
    """What can be asked about the tree at *place*.

    staged  folders that are known to be hidden, beside those that are found
    """
    found = Found(staged=list(staged))
    left = LISTINGS
    waiting: list[tuple[str, int]] = [("", 0)]
    plain = ""
    while waiting and left > 0:
        path, depth = waiting.pop()
        left -= 1
        items = [each for each in await place.list(path) if each.name not in (".~tmp~", "lost+found")]
        prefix = f"{path}/" if path else ""
        found.staged += [prefix + each.name for each in items if each.hidden and each.folder]
        names = {each.name for each in items if not each.folder and not each.hidden}
        if depth == 0:
            await _take_marker(place, found, prefix, names, now)
        for name in sorted(names):
            if found.package is None and name.endswith(PACKAGES):
                found.package = KnownFile(prefix + name)
            if found.image is None and name.endswith(IMAGES):
                found.image = KnownFile(prefix + name)
            plain = plain or (prefix + name if name not in MARKERS else "")
        if found.index is None:
            await _take_index(place, found, prefix, names)
        folders = order_folders(each.name for each in items if each.folder and not each.hidden)
        if found.index is not None and (found.package is not None or depth > 3):
            # What is searched for now are images and what is hidden: near the top.
            folders = folders[:8] if depth < 2 else []
        if depth < DEPTH:
            waiting += [(prefix + name, depth + 1) for name in reversed(folders)]
        if found.index is not None and found.package is not None and found.image is not None and left < LISTINGS - 20:
            break
    if found.index is None and plain:
        body = await place.read(plain, _FILE_BYTES)
        if body is not None:
            found.named = KnownFile(plain, len(body), hashlib.sha256(body).hexdigest())
    return found.known()


async def _take_marker(place: Place, found: Found, prefix: str, names: set[str], now: float) -> None:
    for name in MARKERS:
        if name in names and not found.marker:
            body = await place.read(prefix + name, 64)
            if body is not None:
                found.take_marker(prefix + name, body, now)


async def _take_index(place: Place, found: Found, prefix: str, names: set[str]) -> None:
    for name in INDEX_NAMES:
        if name not in names:
            continue
        body = await place.read(prefix + name, _INDEX_BYTES)
        if body is not None and found.take_index(prefix + name, body):
            if found.named is not None:
                listed = await place.read(found.named.path, _LIST_BYTES)
                if listed is not None:
                    found.take_list(found.named.path, listed)
            return

"""A master in a folder, scanned by a clock that is set by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from redirector.master.merging import Merged
from redirector.master.scanning import read_master
from redirector.settings.masters import Master, Reading
from redirector.store.directories import Contents, MasterDirectory, Packed

START = 1_795_000_000


def make_repomd(time: int, text: str = "") -> bytes:
    return f"<repomd><!--{text}--><data><timestamp>{time}</timestamp></data></repomd>".encode()


def nothing(entries: int) -> None:
    """Nobody watches."""


@dataclass(slots=True)
class Rig:
    """`write` and `scan` as often as you like; the last good contents are in `known`."""

    folder: Path
    master: Master
    now: int = START
    known: Packed | None = None
    last: Merged | None = None
    watch: Callable[[int], None] = field(default=nothing)

    @classmethod
    def make(cls, folder: Path) -> Rig:
        folder.mkdir(exist_ok=True)
        return cls(folder, Master("Example Linux", "pub/linux", Reading.PATH, str(folder)))

    def set(self, **changes: object) -> None:
        """Change what the operator wrote about the master."""
        self.master = replace(self.master, **changes)  # type: ignore[arg-type]

    def write(self, path: str, content: bytes | str = b"", time: int | None = None) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        raw = content.encode() if isinstance(content, str) else content
        file.with_name(".fresh").write_bytes(raw)
        os.utime(file.with_name(".fresh"), (time or self.now, time or self.now))
        os.replace(file.with_name(".fresh"), file)
        return file

    async def scan(self, after_s: int = 900, allow_shrink: bool = False) -> Contents:
        """What is known after a scan *after_s* later; `last` is None when nothing was read."""
        self.now += after_s
        self.last = await read_master(self.master, self.known, self.now, self.watch, allow_shrink)
        if self.last is not None:
            self.known = self.last.known
        assert self.known is not None
        return self.known.unpack()

    def directory(self, path: str) -> MasterDirectory:
        assert self.known
        found = self.known.unpack().find(path.encode())
        assert found, path
        return found

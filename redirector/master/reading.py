"""What every way of reading a master offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from redirector.master.gathering import ListedDirectory
from redirector.master.merging import Content
from redirector.store.directories import Packed

Progress = Callable[[int], None]
"""Is told now and then how many entries have been read."""


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of a whole master.

    directories  below the category's top, by path
    validator    what `Reader.check` will compare
    checksums    path below the top -> kind -> hex, where the list says so
    """

    directories: list[ListedDirectory]
    validator: bytes
    checksums: Mapping[bytes, Mapping[str, str]] = field(default_factory=dict)


class Reader(Protocol):
    """One way to read one master. Each method raises MasterError."""

    async def check(self, known: Packed, validator: bytes) -> bool:
        """Whether the master is as it was when it gave *validator*, as far as that can be told without reading it."""

    async def read(self, known: Packed | None, progress: Progress) -> Read:
        """Read all of it."""

    async def fetch(self, paths: Sequence[bytes]) -> Mapping[bytes, Content]:
        """The content of files below the top; those that cannot be had are missing."""

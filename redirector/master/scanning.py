"""One scan: each master is read if it changed, and what was found is kept. Where one cannot be, nothing changes."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from redirector.errors import MasterError
from redirector.master.formats import FUTURE_S
from redirector.master.gathering import ListedDirectory
from redirector.master.merging import Merged, Scan, find_wanted, merge, refuse_implausible, set_back
from redirector.master.reading import Reader
from redirector.settings.masters import Master, Reading
from redirector.store.contents import find_packed, keep_contents, note_unchanged
from redirector.store.directories import Packed
from redirector.store.opening import Store

LOCK = "scan"
WAIT_S = 3_600.0
"""How long one scan waits for another on the same store. The longest is bounded by half an hour for each master."""

Progress = Callable[[Master, int], None]
"""Is told how many entries of a master have been read."""


class Outcome(StrEnum):
    """What a scan did with one master."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan did at one master.

    known     what is known now; where it failed, what was known before; None where nothing ever was
    changed   how many directories differ from before
    problems  files of the master that are not what their names say
    reason    why it failed
    """

    master: Master
    outcome: Outcome
    known: Packed | None
    duration_s: float
    changed: int = 0
    problems: tuple[str, ...] = ()
    reason: str = ""


async def scan_all(
    masters: Sequence[Master],
    store: Store,
    progress: Progress = lambda master, entries: None,
    *,
    allow_shrink: bool = False,
    clock: Callable[[], float] = time.time,
) -> tuple[Scanned, ...]:
    """Scan each of *masters*, one after another; the outcomes in their order.

    raises  StoreError; MasterError when another scan runs for too long
    """
    async with store.lock(LOCK, wait_s=WAIT_S) as held:
        if not held:
            raise MasterError(store.url, f"another scan has been running for {WAIT_S / 60:.0f} min", "see what it does")
        return tuple([await _scan(master, store, progress, allow_shrink, clock) for master in masters])


async def _scan(
    master: Master, store: Store, progress: Progress, allow_shrink: bool, clock: Callable[[], float]
) -> Scanned:
    began, now = time.monotonic(), int(clock())
    async with store.read() as connection:
        known = await find_packed(connection, master.category)
    called_off = False

    def show(entries: int) -> None:
        if called_off:  # a thread that reads cannot be ended from outside
            raise MasterError(master.where, "called off", "scan again")
        progress(master, entries)

    try:
        merged = await read_master(master, known, now, show, allow_shrink)
    except asyncio.CancelledError:
        called_off = True
        raise
    except MasterError as error:
        return Scanned(master, Outcome.FAILED, known, time.monotonic() - began, reason=str(error))
    async with store.write() as connection:
        if merged is None:
            assert known
            await note_unchanged(connection, master.category, now, known.validator)
            return Scanned(master, Outcome.UNCHANGED, known, time.monotonic() - began)
        await keep_contents(connection, merged.known)
    outcome = Outcome.CHANGED if merged.changed else Outcome.UNCHANGED
    duration_s = time.monotonic() - began
    return Scanned(master, outcome, merged.known, duration_s, merged.changed, merged.problems)


async def read_master(
    master: Master, known: Packed | None, now: int, progress: Callable[[int], None], allow_shrink: bool = False
) -> Merged | None:
    """What *master* holds now; None when it is as it was when *known* was found. Raises MasterError."""
    reader = make_reader(master, now)
    mark = _mark(master)
    if known and known.checked > now + FUTURE_S:
        known = set_back(known, now)
    if known and known.validator.startswith(mark) and await reader.check(known, known.validator[len(mark) :]):
        return None
    read = await reader.read(known, progress)
    refuse_implausible(master.where, known.counts if known and not allow_shrink else None, read.directories)
    contents = await reader.fetch(list(find_wanted(known, read.directories)))
    scan = Scan(
        category=master.category,
        top=master.top,
        now=now,
        validator=mark + read.validator,
        directories=_drain(read.directories),
        contents=contents,
        checksums=read.checksums,
        rules=master.rules,
    )
    return await asyncio.to_thread(merge, known, scan)


def _drain(directories: list[ListedDirectory]) -> Iterator[ListedDirectory]:
    """Each of *directories*, which is empty then: what follows needs the memory."""
    directories.reverse()
    while directories:
        yield directories.pop()


def make_reader(master: Master, now: int) -> Reader:
    """The way to read *master*, whose libraries are imported when they are needed."""
    match master.reading:
        case Reading.PATH:
            from redirector.master.walk import Walk

            return Walk(master, now)
        case Reading.LIST:
            from redirector.master.lists import FileList

            return FileList(master)
        case Reading.RSYNC:
            from redirector.master.rsync import Rsync

            return Rsync(master)
        case Reading.HTTP:
            from redirector.master.named import Named

            return Named(master, now)


def _mark(master: Master) -> bytes:
    """Stands for what the operator wrote about *master*: with other words it is read anew."""
    return hashlib.blake2b(repr(master).encode("utf-8", "backslashreplace"), digest_size=16).digest()

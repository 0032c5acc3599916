"""A master that has an rsync daemon: the program of that name lists it, and copies the few small files that are read.

It gets no shell, no input, no environment but what it needs, and bounds of time, memory and output.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redirector.errors import FormatError, MasterError
from redirector.files import read_bytes
from redirector.master import programs
from redirector.master.formats import INDEX_LIMIT_BYTES, Kind, parse_rsync_line, show
from redirector.master.gathering import Gathering, Row, compile_exclude
from redirector.master.merging import Content
from redirector.master.reading import Progress, Read
from redirector.master.rsync_exits import Exit, ended_with
from redirector.settings.masters import Master
from redirector.store.directories import Packed
from redirector.tree.paths import PATH_LIMIT_BYTES

WALL_CLOCK_S = 1_800.0
MEMORY_BYTES = 512 << 20
SILENCE_S = 60
CONNECT_S = 10
_LINE_BYTES = 4 * PATH_LIMIT_BYTES + 100
"""A name of which every byte is escaped."""

_CHUNK_BYTES = 256 << 10
_STDERR_BYTES = 4_096

_KINDS = {Kind.FILE: b"f", Kind.DIRECTORY: b"d", Kind.LINK: b"l"}


@dataclass(frozen=True, slots=True)
class _Run:
    """A program that runs: what it writes, and the beginning of its complaints."""

    process: asyncio.subprocess.Process
    output: asyncio.StreamReader
    errors: asyncio.Task[bytes]

    async def end(self) -> tuple[int, bytes]:
        return await self.process.wait(), await self.errors


class Rsync:
    """Reads the daemon of *master*. *program* is rsync itself; tests have others."""

    def __init__(self, master: Master, program: str = "rsync", wall_clock_s: float = WALL_CLOCK_S) -> None:
        self._master = master
        self._program = program
        self._wall_clock_s = wall_clock_s

    async def check(self, known: Packed, validator: bytes) -> bool:
        return False  # a list is the only thing that tells

    async def read(self, known: Packed | None, progress: Progress) -> Read:
        gathering = Gathering(self._master.where, compile_exclude(self._master.exclude))
        try:
            async with (
                asyncio.timeout(self._wall_clock_s),
                self._run(["--list-only", "--recursive", "--no-h"], [self._master.where]) as process,
            ):
                rest = b""
                while chunk := await process.output.read(_CHUNK_BYTES):
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > _LINE_BYTES:
                        raise self._wrong(f"a line longer than {_LINE_BYTES:,} bytes")
                    gathering.take([row for line in lines if (row := self._row(line))])
                    progress(gathering.entries)
                self._refuse_exit(*await process.end())
                if rest:
                    raise self._wrong("the list was cut")
        except TimeoutError:
            raise self._wrong(f"no end of the list in {self._wall_clock_s:.0f} s") from None
        return Read(list(gathering.finish(b"")), b"")

    def _row(self, line: bytes) -> Row | None:
        try:
            entry = parse_rsync_line(line)
        except FormatError as error:
            raise self._wrong(str(error)) from error
        kind = _KINDS.get(entry.kind)
        if kind is None:
            return None
        if entry.path == b".":
            if not entry.readable:
                raise self._wrong("the world cannot read its top")
            return None
        is_secret = not entry.readable and entry.kind is not Kind.LINK
        return b"%d" % max(entry.time, 0), kind + b"-" if is_secret else kind, b"%d" % entry.size_bytes, entry.path

    def _refuse_exit(self, status: int, errors: bytes) -> None:
        ended = ended_with(status)
        if ended.exit is Exit.COMPLETE:
            return
        text = show(b"; ".join(line for line in errors.split(b"\n") if line.strip())[:200])
        raise self._wrong(f"{ended.words} ({text})" if text else ended.words)

    def _wrong(self, reason: str) -> MasterError:
        return MasterError(self._master.where, reason, "see that its daemon runs and lets this machine read all")

    async def fetch(self, paths: Sequence[bytes]) -> Mapping[bytes, Content]:
        if not paths:
            return {}
        with tempfile.TemporaryDirectory(prefix="redirector-") as folder:
            names, copies = f"{folder}/names", f"{folder}/copies/"
            with open(names, "wb") as file:
                file.write(b"\0".join(paths))
            options = ["--from0", f"--files-from={names}", f"--max-size={INDEX_LIMIT_BYTES}", "--times", "--quiet"]
            try:
                async with (
                    asyncio.timeout(self._wall_clock_s),
                    self._run(options, [self._master.where, copies]) as process,
                ):
                    await programs.read_begin(process.output, _STDERR_BYTES)
                    status, errors = await process.end()
            except TimeoutError:
                raise self._wrong(f"no files in {self._wall_clock_s:.0f} s") from None
            if ended_with(status).exit is not Exit.PARTIAL:  # some of them went away
                self._refuse_exit(status, errors)
            return await asyncio.to_thread(_read_copies, copies, paths)

    @asynccontextmanager
    async def _run(self, options: Sequence[str], places: Sequence[str]) -> AsyncIterator[_Run]:
        """rsync with *options*; whatever happens, it is gone when the block ends."""
        bounds = ["--no-motd", f"--timeout={SILENCE_S}", f"--contimeout={CONNECT_S}"]
        try:
            process = await programs.start(self._program, *bounds, *options, "--", *places, env=environment())
        except OSError as error:
            way_out = "install rsync"
            raise MasterError(self._master.where, f"{self._program}: {error.strerror}", way_out) from error
        assert process.stdout and process.stderr
        run = _Run(process, process.stdout, asyncio.create_task(programs.read_begin(process.stderr, _STDERR_BYTES)))
        try:
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            yield run
        finally:
            programs.end(process)
            await programs.read_begin(run.output, _STDERR_BYTES)
            _ = await run.end()


def environment() -> dict[str, str]:
    """What rsync is given of ours: it writes times in UTC and numbers as C does, and reads nobody's files."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "USER": "nobody", "HOME": ""}


def _read_copies(folder: str, paths: Sequence[bytes]) -> dict[bytes, Content]:
    found: dict[bytes, Content] = {}
    for path in paths:
        with suppress(OSError, ValueError):
            found[path] = read_bytes(os.fsdecode(os.path.join(os.fsencode(folder), path)), INDEX_LIMIT_BYTES)
    return found

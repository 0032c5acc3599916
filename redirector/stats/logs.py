"""Reading logs: plain, packed by gzip or xz, from a pipe; all of it or what came since."""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BufferedReader, FileIO
from itertools import pairwise
from types import TracebackType
from typing import IO

from redirector.stats.counts import Counts
from redirector.stats.identity import HEAD_BYTES, digest_lines
from redirector.stats.lines import BLOCK_BYTES, Reader, Reading

MAX_LINE_BYTES = 1 << 20
"""A longer line is no line of a log; what is beyond is not kept."""

STANDARD_INPUT = 0

_Readable = BufferedReader | gzip.GzipFile | lzma.LZMAFile

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\0"
_OTHERWISE_PACKED = {b"BZh": "bzip2", b"(\xb5/\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"PK\x03\x04": "zip"}


@dataclass(frozen=True, slots=True)
class Part:
    """What was read of a log.

    end         where the last whole line ends: bytes from the start, unpacked
    tail_bytes  behind it: a line without its break that was counted all the same, since it is whole; else 0
    cut         the packed file ends too early, or is damaged: what comes before that was counted
    """

    counts: Counts
    end: int
    tail_bytes: int = 0
    cut: bool = False


@dataclass(slots=True)
class Log:
    """An open log. `open_log` makes it; `with` closes it.

    digests     of its first lines (`redirector.stats.identity`)
    size        of a plain file, when it was opened; None of others
    is_file     it can be opened a second time, and read anew
    is_growing  more may be written to it: a plain file
    """

    path: str
    size: int | None
    is_file: bool
    digests: tuple[str, ...] = ()
    cut: bool = False
    _file: _Readable | None = None
    _head: bytes = b""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def is_growing(self) -> bool:
        return self.size is not None

    def read(self, start: int, reading: Reading) -> Part:
        """Count what comes after *start*, the end of a line. Raises OSError."""
        reader = Reader(reading)
        end, rest = _read_lines(reader, start, self._blocks(start))
        tail_bytes = 0
        if rest and (_is_whole(rest) or not (self.is_growing or self.cut)):
            reader.read(rest)
            tail_bytes = len(rest)
        return Part(reader.counts(), end, tail_bytes, self.cut)

    def digests_of_first(self, size: int) -> tuple[str, ...]:
        """Digests as they were when the log had *size* bytes."""
        return digest_lines(self._head[:size])

    def _blocks(self, start: int) -> Iterator[bytes]:
        """All bytes from *start* on."""
        at = len(self._head)
        if start < at:
            yield self._head[start:]
        elif self.size is not None:
            assert self._file is not None
            self._file.seek(start)
        else:
            while at < start and (block := self._next(min(BLOCK_BYTES, start - at))):
                at += len(block)
        while block := self._next(BLOCK_BYTES):
            yield block

    def _next(self, size: int) -> bytes:
        """Up to *size* bytes; none at the end, and where a packed file is damaged."""
        assert self._file is not None
        try:
            return self._file.read1(size)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile):
            self.cut = True
            return b""


def open_log(path: str) -> Log:
    """The log *path* (`-`: standard input), and its first lines. Raises OSError, also when it is packed in a way that
    is not read."""
    with ExitStack() as stack:
        raw: BufferedReader = BufferedReader(
            FileIO(STANDARD_INPUT, closefd=False) if path == "-" else FileIO(path), BLOCK_BYTES
        )
        stack.callback(raw.close)
        status = os.fstat(raw.fileno())
        magic = raw.peek(len(_XZ))[: len(_XZ)]
        file: _Readable = raw
        is_file = stat.S_ISREG(status.st_mode) and path != "-"
        size = None
        if magic.startswith(_GZIP):
            file = gzip.GzipFile(fileobj=raw)
        elif magic.startswith(_XZ):
            file = lzma.LZMAFile(raw)
        elif packer := next((name for start, name in _OTHERWISE_PACKED.items() if magic.startswith(start)), None):
            raise OSError(f"packed by {packer}: logs are read plain or packed by gzip or xz, others from a pipe")
        elif is_file:
            size = status.st_size
        log = Log(path, size, is_file, _file=file)
        head = []
        wanted = HEAD_BYTES
        while wanted > 0 and (block := log._next(wanted)):
            head.append(block)
            wanted -= len(block)
        log._head = b"".join(head)
        log.digests = digest_lines(log._head)
        log._stack = stack.pop_all()
    return log


def read_range(path: str, start: int, stop: int, reading: Reading) -> Counts:
    """Count the lines of the plain file *path* from *start* to *stop*, ends of lines both. Raises OSError."""
    reader = Reader(reading)
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        _ = _read_lines(reader, start, _blocks_until(file, stop))
    return reader.counts()


def _blocks_until(file: IO[bytes], stop: int) -> Iterator[bytes]:
    """What is in *file* from where it stands to *stop*."""
    while (left := stop - file.tell()) > 0 and (block := file.read(min(BLOCK_BYTES, left))):
        yield block


def _read_lines(reader: Reader, start: int, blocks: Iterable[bytes]) -> tuple[int, bytes]:
    """Count the whole lines of *blocks*, which begin at *start*.

    returns  where what is left begins, and what is left: a line without its break, of one that is too long its end
    """
    end = start
    rest = b""
    for block in blocks:
        whole = block.rfind(b"\n") + 1
        if whole:
            reader.read(rest + block[:whole] if rest else block[:whole])
            end += len(rest) + whole
            rest = block[whole:]
        else:
            rest += block
        if len(rest) > MAX_LINE_BYTES:
            end += len(rest) - MAX_LINE_BYTES
            rest = rest[-MAX_LINE_BYTES:]
    return end, rest


def split_file(path: str, start: int, stop: int, parts: int) -> list[tuple[int, int]]:
    """About *parts* ranges of the plain file *path* that end where lines end. The rest of a last line is in none."""
    with open(path, "rb", buffering=0) as file:
        cuts = [start]
        for number in range(1, parts + 1):
            at = _last_break(file, cuts[-1], start + (stop - start) * number // parts)
            if at > cuts[-1]:
                cuts.append(at)
    return list(pairwise(cuts))


def _last_break(file: IO[bytes], start: int, stop: int) -> int:
    """Where the last line within *start* and *stop* ends; *start* when none does."""
    at = stop
    while at > start:
        before = max(start, at - BLOCK_BYTES)
        file.seek(before)
        found = file.read(at - before).rfind(b"\n")
        if found >= 0:
            return before + found + 1
        at = before
    return start


def _is_whole(line: bytes) -> bool:
    """Whether *line*, which has no break yet, is a line that lacks nothing else."""
    counts = Reader(Reading())
    if line[-1:] not in (b'"', b"}") and line[:4] != b"IP: ":
        return False
    if line[-1:] == b'"' and line.count(b'"') < 6:
        return False
    counts.read(line)
    return counts.counts().unread == 0

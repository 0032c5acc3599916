"""`fullfiletimelist-*`: a master's own list of all that it holds, read in blocks as they come.

    [Version]
    2

    [Files]
    1794000000<TAB>d<TAB>4096<TAB>releases
    1794000000<TAB>f-<TAB>1234<TAB>releases/44/secret.iso

    [Checksums SHA256]
    HEX<TAB>releases/43/Everything/x86_64/os/repodata/repomd.xml

    [End]

A list without `[End]` was cut, and nothing of it counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from redirector.errors import MasterError
from redirector.master.formats import show
from redirector.master.gathering import Gathering
from redirector.master.names import is_kept
from redirector.tree.paths import PATH_LIMIT_BYTES

NEWEST_VERSION = 3

LIMIT_BYTES = 4 << 30
"""5 million entries are 500 MB."""

_LINE_BYTES = PATH_LIMIT_BYTES + 100

_ROWS = re.compile(
    rb"^([0-9]{1,12})(?:\.[0-9]*)?\t([fdl][-*]?)\t([0-9]{1,18})\t(.{1,%d})\n" % PATH_LIMIT_BYTES, re.MULTILINE
)
_SUMS = re.compile(rb"^([0-9A-Fa-f]+)\t(.+)\n", re.MULTILINE)

_KINDS = {b"MD5": "md5", b"SHA1": "sha1", b"SHA256": "sha256", b"SHA512": "sha512"}
_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


class _In(Enum):
    """Where the reader is."""

    NOTHING = auto()
    VERSION = auto()
    FILES = auto()
    CHECKSUMS = auto()
    OTHER = auto()
    END = auto()


@dataclass(slots=True)
class FileListReader:
    """Reads one list: `feed` it blocks of any size, then `finish`.

    checksums  path -> kind -> lower-case hex, of files that are looked at by themselves
    """

    gathering: Gathering
    checksums: dict[bytes, dict[str, str]] = field(default_factory=dict)
    _where: _In = _In.NOTHING
    _seen: set[bytes] = field(default_factory=set)
    _kind: str = ""
    _versions: int = 0
    _rest: bytes = b""
    _size_bytes: int = 0

    def feed(self, block: bytes) -> None:
        """Take the next bytes. Raises MasterError for what is no such list."""
        self._size_bytes += len(block)
        if self._size_bytes > LIMIT_BYTES:
            raise self._wrong(f"longer than {LIMIT_BYTES >> 30} GiB")
        end = block.rfind(b"\n") + 1
        if not end:
            self._rest += block
        else:
            lines, self._rest = self._rest + block[:end], block[end:]
            self._take(lines)
        if len(self._rest) > _LINE_BYTES:
            raise self._wrong(f"a line longer than {_LINE_BYTES:,} bytes")

    def finish(self) -> None:
        """Take the end. Raises MasterError where the list has none."""
        if self._rest:
            self._take(self._rest + b"\n")
        if self._where is not _In.END:
            raise self._wrong("cut: it has no [End]")
        if not self._versions or b"[Files]" not in self._seen:
            raise self._wrong("no [Version] or no [Files]")

    def _take(self, lines: bytes) -> None:
        """Take whole lines, a section or what of it is in them at a time."""
        at = 0
        while at < len(lines):
            if self._where in (_In.NOTHING, _In.END):
                end = lines.index(b"\n", at) + 1
                self._open(lines[at : end - 1])
                at = end
                continue
            # The section ends with an empty line, which may be the first one here.
            if lines.startswith(b"\n", at):
                self._where = _In.NOTHING
                at += 1
                continue
            found = lines.find(b"\n\n", at)
            end = found + 1 if found >= 0 else len(lines)
            self._take_section(lines if at == 0 and end == len(lines) else lines[at:end])
            at = end

    def _open(self, line: bytes) -> None:
        if not line:
            return
        if self._where is _In.END:
            raise self._wrong(f"something behind [End]: {show(line)!r}")
        if not (line.startswith(b"[") and line.endswith(b"]")):
            raise self._wrong(f"no section: {show(line)!r}")
        if line in self._seen:
            raise self._wrong(f"{show(line)} stands there twice")
        self._seen.add(line)
        name, _, kind = line[1:-1].partition(b" ")
        self._kind = _KINDS.get(kind, "")
        sections = {b"Version": _In.VERSION, b"Files": _In.FILES, b"Checksums": _In.CHECKSUMS, b"End": _In.END}
        self._where = sections.get(name, _In.OTHER)

    def _take_section(self, lines: bytes) -> None:
        match self._where:
            case _In.VERSION:
                self._versions += lines.count(b"\n")
                if self._versions > 1 or not re.fullmatch(rb"[0-9]{1,3}\n", lines) or int(lines) > NEWEST_VERSION:
                    raise self._wrong(f"version {show(lines.strip())}, and not at most {NEWEST_VERSION}")
            case _In.FILES:
                self.gathering.take(self._rows(_ROWS, lines, "entry"))
            case _In.CHECKSUMS:
                self._take_checksums(lines)
            case _:
                pass

    def _take_checksums(self, lines: bytes) -> None:
        digits = _DIGITS.get(self._kind)
        for value, path in self._rows(_SUMS, lines, "checksum"):
            if digits and len(value) != digits:
                raise self._wrong(f"no {self._kind} of {show(path)}: {show(value)!r}")
            if digits and is_kept(path.rpartition(b"/")[2]):
                self.checksums.setdefault(path, {})[self._kind] = value.decode().lower()

    def _rows(self, pattern: re.Pattern[bytes], lines: bytes, name: str) -> list[Any]:
        """What *pattern* finds in *lines*, if that is all that is in them."""
        rows: list[Any] = pattern.findall(lines)
        if len(rows) != lines.count(b"\n") or b"\0" in lines or b"\r\n" in lines:
            wrong = (line for line in lines.split(b"\n") if b"\0" in line or not pattern.fullmatch(line + b"\n"))
            line = next(wrong, lines[:100])
            raise self._wrong(f"no {name}: {show(line)!r}")
        return rows

    def _wrong(self, reason: str) -> MasterError:
        return MasterError(self.gathering.master, reason, "no file list that can be used; make it anew")

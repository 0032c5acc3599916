"""The small documents by which a mirror, or the master, says how current it is. Each parser takes all of one document
and returns what it says, or raises FormatError: it never guesses from a part.
"""

from __future__ import annotations

import configparser
import re
from calendar import timegm
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import lru_cache

from redirector.errors import FormatError
from redirector.model import FileDetail
from redirector.one_line import one_line
from redirector.tree.paths import is_safe_path
from redirector.tree.repomd import hash_file

MARKER_LIMIT_BYTES = 64
"""`TIME` and its kin: a number has 10 digits, with nanoseconds 20."""

LINE_LIMIT_BYTES = 1_000
TRACE_LIMIT_BYTES = 64 << 10
INDEX_LIMIT_BYTES = 4 << 20
"""Real `repomd.xml` have 3 to 10 kB, Debian's `InRelease` 200 kB."""

FUTURE_S = 300
"""How far a clock may be ahead of ours before nothing that it says counts."""

"""Linux' own."""

_NUMBER = re.compile(rb"[ \t\r\n\f\v]*([0-9]+(?:\.[0-9]+)?)[ \t\r\n\f\v]*")


def show(raw: bytes) -> str:
    """*raw* as a message repeats it: 100 characters, all printable."""
    text = raw[:100].decode("utf-8", "backslashreplace")
    return one_line(text)[:100]


def parse_marker(raw: bytes, now: float) -> float:
    """The time in a `TIME`, `lastsync`, `lastupdate` or `last-updated`: epoch seconds.

    `b"1794990000\\n"` 1794990000.0 · `b" 1794990000.25 "` 1794990000.25 · `b""`, `b"<p>"`, `b"1e9"` FormatError

    raises  FormatError, for a time too far in the future as well
    """
    if len(raw) > MARKER_LIMIT_BYTES:
        raise FormatError(f"no time: longer than {MARKER_LIMIT_BYTES} bytes")
    found = _NUMBER.fullmatch(raw)
    if not found:
        raise FormatError(f"no time: {show(raw)!r}" if raw.strip() else "no time: empty")
    return _not_ahead(float(found[1]), now)


def _not_ahead(time: float, now: float) -> float:
    if time > now + FUTURE_S:
        raise FormatError(f"a time {time - now:.0f} s in the future")
    return time


def parse_state(raw: bytes) -> bytes:
    """The one line in a `state` or `COMPOSE_ID`, without space around it. Raises FormatError."""
    line = raw.strip()
    if not line or len(raw) > LINE_LIMIT_BYTES or b"\n" in line or b"\0" in line:
        raise FormatError("not one line")
    if line.startswith(b"<"):
        raise FormatError(f"no state: {show(line)!r}")
    return line


_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_TRACE_TIME = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ("
    + b"|".join(_MONTHS)
    + rb") ([ 0-3]?[0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2}) (?:UTC|GMT) ([0-9]{4})"
)
_TRACE_FIELD = re.compile(rb"([A-Za-z][^:\0-\x1f]{0,99}):[ \t]*([^\0-\x08\x0a-\x1f]*)")


@dataclass(frozen=True, slots=True)
class Trace:
    """A `project/trace/NAME`: when the archive was synchronized, and what else it says."""

    time: int
    fields: Mapping[str, str] = field(default_factory=dict)


def parse_trace(raw: bytes, now: float) -> Trace:
    """What `date -u` in the C locale wrote in the first line, then perhaps lines `Key: value`. Raises FormatError."""
    if len(raw) > TRACE_LIMIT_BYTES:
        raise FormatError("no trace: too long")
    first, *others = (line.rstrip(b" \t\r") for line in raw.split(b"\n"))
    found = _TRACE_TIME.fullmatch(first)
    if not found:
        raise FormatError(f"no trace: {show(first)!r}")
    month, day, hour, minute, second, year = found.groups()
    time = _epoch(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))
    fields = {}
    for line in filter(None, others):
        pair = _TRACE_FIELD.fullmatch(line)
        if not pair:
            raise FormatError(f"no trace: {show(line)!r}")
        fields[pair[1].decode("utf-8", "replace")] = pair[2].decode("utf-8", "replace").strip()
    return Trace(int(_not_ahead(time, now)), fields)


def _epoch(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    try:
        # 60 is a leap second, which a clock may show and `datetime` does not know.
        return timegm(datetime(year, month, day, hour, minute, min(second, 59)).timetuple()) + (second == 60)
    except ValueError:
        raise FormatError("no such day or time") from None


# Release


@dataclass(frozen=True, slots=True)
class Checksum:
    """A hash, lower-case hex, and the size where the list has it."""

    hash: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """What an apt `Release` or `InRelease` says; None for what it does not say.

    sha256  path below the file's directory -> checksum
    """

    detail: FileDetail
    date: int | None
    valid_until: int | None
    sha256: Mapping[bytes, Checksum]

    def is_expired(self, now: float) -> bool:
        """Whether apt refuses it."""
        return self.valid_until is not None and self.valid_until < now


_RELEASE_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)")
_RELEASE_SUM = re.compile(rb"[ \t]+([0-9A-Fa-f]{64})[ \t]+([0-9]{1,18})[ \t]+([^ \t].*)")


def parse_release(raw: bytes) -> Release:
    """What *raw* says, signed inside or not: the signature is not checked. Raises FormatError."""
    if len(raw) > INDEX_LIMIT_BYTES:
        raise FormatError("not a Release: too long")
    fields, sums, name = dict[bytes, bytes](), dict[bytes, Checksum](), b""
    for line in _unsigned(raw):
        if not line.strip():
            continue
        if line[:1] in b" \t":
            found = _RELEASE_SUM.fullmatch(line) if name == b"sha256" else None
            if (name == b"sha256" and not found) or not name:
                raise FormatError(f"not a Release: {show(line)!r}")
            if found and is_safe_path(found[3]):
                sums[found[3]] = Checksum(found[1].decode().lower(), int(found[2]))
            continue
        pair = _RELEASE_FIELD.fullmatch(line)
        if not pair:
            raise FormatError(f"not a Release: {show(line)!r}")
        name = pair[1].lower()
        fields.setdefault(name, pair[2].strip())
    date, until = (_rfc_date(fields.get(key)) for key in (b"date", b"valid-until"))
    if date is None and not sums:
        raise FormatError("not a Release: neither a date nor checksums")
    return Release(hash_file(raw, date or 0), date, until, sums)


def _unsigned(raw: bytes) -> Iterator[bytes]:
    """The lines of *raw*, which may be an OpenPGP message in clear (RFC 9580, section 7)."""
    lines = [line.rstrip(b"\r") for line in raw.split(b"\n")]
    if lines[0] != b"-----BEGIN PGP SIGNED MESSAGE-----":
        yield from lines
        return
    body = False
    for line in lines[1:]:
        if line == b"-----BEGIN PGP SIGNATURE-----":
            return
        if body:
            yield line.removeprefix(b"- ")
        body = body or not line.strip()
    raise FormatError("a signed message without its end")


def _rfc_date(value: bytes | None) -> int | None:
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        raise FormatError(f"not a Release: {show(value)!r} is no date") from None


# Checksums of images


_GNU_SUM = re.compile(rb"\\?([0-9A-Fa-f]+) [ *]([^ ].*)")
_BSD_SUM = re.compile(rb"(MD5|SHA1|SHA256|SHA512) \((.+)\) = ([0-9A-Fa-f]+)")
_KINDS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}


def parse_checksums(raw: bytes) -> dict[bytes, dict[str, str]]:
    """A `CHECKSUM`, `SHA256SUMS` or the like, as `sha256sum` writes it, with `--tag` or without, signed or not.

    returns  path below the file's directory -> kind (`md5`, `sha1`, `sha256`, `sha512`) -> lower-case hex
    raises   FormatError where no line is a checksum, or one is neither that nor a comment
    """
    if len(raw) > INDEX_LIMIT_BYTES:
        raise FormatError("no checksums: too long")
    sums: dict[bytes, dict[str, str]] = {}
    for line in _unsigned(raw):
        if not line.strip() or line.startswith(b"#"):
            continue
        if tagged := _BSD_SUM.fullmatch(line):
            name, value, kind = tagged[2], tagged[3], tagged[1].decode().lower()
        elif plain := _GNU_SUM.fullmatch(line):
            name, value, kind = plain[2], plain[1], _KINDS.get(len(plain[1]), "")
        else:
            raise FormatError(f"no checksum: {show(line)!r}")
        if _KINDS.get(len(value)) != kind or not kind:
            raise FormatError(f"no checksum: {show(line)!r}")
        name = name.removeprefix(b"./")
        if is_safe_path(name):
            sums.setdefault(name, {})[kind] = value.decode().lower()
    if not sums:
        raise FormatError("no checksums: none in it")
    return sums


def parse_treeinfo(raw: bytes) -> dict[bytes, dict[str, str]]:
    """The checksums in a `.treeinfo`: path below its directory -> kind -> lower-case hex. Raises FormatError."""
    if len(raw) > INDEX_LIMIT_BYTES:
        raise FormatError("not a .treeinfo: too long")
    parser = configparser.RawConfigParser(
        strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#", ";")
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # paths keep their case
    try:
        parser.read_string(raw.decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise FormatError(f"not a .treeinfo: {show(str(error).encode())}") from None
    if not parser.sections():
        raise FormatError("not a .treeinfo: empty")
    sums: dict[bytes, dict[str, str]] = {}
    for path, value in parser.items("checksums") if parser.has_section("checksums") else ():
        kind, _, digest = value.strip().lower().partition(":")
        if is_safe_path(path.encode()) and re.fullmatch("[0-9a-f]+", digest) and _KINDS.get(len(digest)) == kind:
            sums[path.encode()] = {kind: digest}
    return sums


# Paths and lists


class Kind(Enum):
    """What something in a list is; links are never followed."""

    FILE = "f"
    DIRECTORY = "d"
    LINK = "l"
    OTHER = "o"


@dataclass(frozen=True, slots=True)
class RsyncLine:
    """One line of a listing by rsync.

    path      below what was asked for; `.` is that itself
    readable  whether its mode lets the world read it (and enter it, if it is a directory)
    """

    kind: Kind
    path: bytes
    size_bytes: int
    time: int
    readable: bool


_RSYNC_LINE = re.compile(
    rb"([-dlbcps])([-rwxsStT]{9}) +([0-9]+) (\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d) (.+)", re.DOTALL
)
_RSYNC_KINDS = {b"-": Kind.FILE, b"d": Kind.DIRECTORY, b"l": Kind.LINK}
_RSYNC_ESCAPE = re.compile(rb"\\#([0-3][0-7]{2})")


def parse_rsync_line(line: bytes) -> RsyncLine:
    """One line, without its end, of `rsync --list-only --no-h` in UTC and the C locale.

    `b"-rw-r--r--          1,234 2026/11/28 …"` FormatError: numbers are not grouped
    `b"… lit\\\\#134#012x"` is the name `lit\\#012x`: an escape stands for one byte, what comes out is not read again

    raises  FormatError, for names that lead elsewhere as well
    """
    found = _RSYNC_LINE.fullmatch(line)
    if not found:
        raise FormatError(f"no line of a listing: {show(line)!r}")
    kind, mode, size, year, month, day, hour, minute, second, name = found.groups()
    if b"\\#" in name:
        name = _RSYNC_ESCAPE.sub(lambda escape: bytes((int(escape[1], 8),)), name)
    if name != b"." and not is_safe_path(name):
        raise FormatError(f"a name that leads elsewhere: {show(name)!r}")
    if hour > b"23" or minute > b"59" or second > b"60":
        raise FormatError(f"no such time: {show(line)!r}")
    time = _midnight(year, month, day) + 3600 * int(hour) + 60 * int(minute) + int(second)
    is_directory = kind == b"d"
    readable = mode[6:7] == b"r" and (not is_directory or mode[8:9] in b"xt")
    if len(size) > 18:
        raise FormatError(f"no such size: {show(line)!r}")
    return RsyncLine(_RSYNC_KINDS.get(kind, Kind.OTHER), name, int(size), time, readable)


@lru_cache(10_000)
def _midnight(year: bytes, month: bytes, day: bytes) -> int:
    return _epoch(int(year), int(month), int(day), 0, 0, 0)

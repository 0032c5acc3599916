"""Lines `PREFIX/LENGTH ASN`, of which an AS table that is text has a million.

`read_lines` is in C where a compiler was there at the installation: 0.1 µs a line, where `read_lines_plainly`, which
says the same, takes 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct

import numpy as np

from redirector.built import refuse_stale_build
from redirector.locate.ranges import DEEP, V4Prefixes, V6Prefixes
from redirector.model import Problem, Severity

NAMED = 5
"""How many wrong lines are named; the others are counted."""

_MOST_DIGITS = 10

_V4_RECORD = Struct("=4sBI")
_V6_RECORD = Struct("=16sBI")
_V4_COLUMNS = np.dtype([("address", ">u4"), ("length", "u1"), ("asn", "=u4")])
_V6_COLUMNS = np.dtype([("upper", ">u8"), ("lower", ">u8"), ("length", "u1"), ("asn", "=u4")])

Found = tuple[int, bytes, bytes, int, list[tuple[int, bytes]]]
"""How many lines there are; the prefixes of either family, each with its length and its AS number; how many lines are
wrong, and the first of them with their numbers."""


def read_lines_plainly(text: bytes, /) -> Found:
    """What the lines of *text* say. Blank ones say nothing, and are not wrong."""
    v4, v6, wrong, named = bytearray(), bytearray(), 0, []
    lines = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            prefix, asn_text = line.split()
            address, length_text = prefix.split(b"/")
            is_v6 = b":" in address
            packed = inet_pton(AF_INET6 if is_v6 else AF_INET, address.decode("ascii"))
            # A default route would give everybody an AS.
            length, asn = _number(length_text, 1, 8 * len(packed)), _number(asn_text, 0, DEEP - 1)
        except (ValueError, OSError):
            if line.strip():
                wrong += 1
                if wrong <= NAMED:
                    named.append((number, line))
        else:
            if is_v6:
                v6 += _V6_RECORD.pack(packed, length, asn)
            else:
                v4 += _V4_RECORD.pack(packed, length, asn)
    return len(lines), bytes(v4), bytes(v6), wrong, named


def _number(digits: bytes, least: int, most: int) -> int:
    """`int` also takes signs, underscores and white space, which are ValueErrors here."""
    if len(digits) > _MOST_DIGITS or not digits.isdigit() or not least <= int(digits) <= most:
        raise ValueError
    return int(digits)


try:
    from redirector.locate import _lines
    from redirector.locate._lines import read_lines as read_lines
except ImportError:
    read_lines = read_lines_plainly
else:
    refuse_stale_build(_lines, 1)


class AsnLines:
    """Takes lines, and notes those that are wrong."""

    def __init__(self) -> None:
        self._v4: list[bytes] = []
        self._v6: list[bytes] = []
        self._lines = self._wrong = 0
        self._named: list[tuple[int, bytes]] = []

    def take(self, text: bytes) -> None:
        """Take all lines of *text*."""
        lines, v4, v6, wrong, named = read_lines(text)
        self._v4.append(v4)
        self._v6.append(v6)
        self._named += [(self._lines + number, line) for number, line in named]
        self._lines += lines
        self._wrong += wrong

    def prefixes(self) -> tuple[V4Prefixes, V6Prefixes]:
        """Those of both families, as the lines came."""
        v4, v6 = np.frombuffer(b"".join(self._v4), _V4_COLUMNS), np.frombuffer(b"".join(self._v6), _V6_COLUMNS)
        uppers, lowers = v6["upper"].astype(np.uint64), v6["lower"].astype(np.uint64)
        return (
            V4Prefixes(v4["address"].astype(np.uint32), v4["length"], v4["asn"]),
            V6Prefixes(uppers, lowers, v6["length"], v6["asn"]),
        )

    def problems(self, path: str) -> Iterator[Problem]:
        """What is wrong with the lines of the file *path*."""
        for number, line in self._named[:NAMED]:
            text = f"{line.decode('latin-1')[:60]!r} is no line `PREFIX/LENGTH ASN`: skipped"
            yield Problem(Severity.WARNING, path, f"line {number}", text)
        if self._wrong:
            text = f"{self._wrong:,} of {self._lines:,} lines cannot be read and were skipped"
            yield Problem(Severity.WARNING, path, "lines", text)

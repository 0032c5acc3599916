"""Protocol buffers as they are written: just enough for a snapshot."""

from __future__ import annotations

from collections.abc import Iterable


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, lowest first."""
    if value < 0x80:
        return bytes((value,))
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def number(field: int, value: int) -> bytes:
    """One integer field."""
    return varint(field << 3) + varint(value)


def flag(field: int, value: bool) -> bytes:
    """One boolean field."""
    return number(field, int(value))


def numbers(field: int, values: Iterable[int]) -> bytes:
    """A repeated integer field, not packed."""
    return b"".join(number(field, value) for value in values)


def record(field: int, content: bytes | str) -> bytes:
    """One field of bytes, text or a nested message."""
    encoded = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(encoded)) + encoded

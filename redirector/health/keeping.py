"""How memory is packed for the store, and unpacked. What cannot be read is as if it had never been known."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from redirector.health.evidence import Evidence, readable
from redirector.health.expected import NamedFile, Version
from redirector.health.memory import Held, Memory, bits_of
from redirector.health.pace import Spent

T = TypeVar("T")


class Known(msgspec.Struct, frozen=True):
    """What earlier looks at a master found.

    versions  directory -> versions of its index, newest first
    marker, marker_since  checksum of a marker that bears no time, and when it was first seen; "" and 0 without one
    files     checksum of an index, and its directory -> the files that a mirror must have with it
    gone      versions of directories that the master has no more, or not just now
    """

    versions: dict[str, list[Version]] = msgspec.field(default_factory=dict)
    files: dict[str, list[NamedFile]] = msgspec.field(default_factory=dict)
    marker: str = ""
    marker_since: int = 0
    gone: dict[str, list[Version]] = msgspec.field(default_factory=dict)


def _pack(value: object) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(value), 6)


def _unpack(raw: bytes, kind: type[T], nothing: T) -> T:
    try:
        return msgspec.msgpack.decode(zlib.decompress(raw), type=kind)
    except (msgspec.MsgspecError, zlib.error):
        return nothing


def pack_memory(memory: Memory) -> bytes:
    return _pack(memory)


def unpack_memory(raw: bytes) -> Memory:
    return _unpack(raw, Memory, Memory())


def pack_held(held: Held) -> tuple[bytes, bytes]:
    """The bits of the directories that it serves, and everything."""
    return bits_of(held.states), _pack(held)


def unpack_held(raw: bytes) -> Held:
    return _unpack(raw, Held, Held())


def pack_names(names: Sequence[str]) -> bytes:
    return zlib.compress("\0".join(names).encode(errors="surrogateescape"), 6)


def unpack_names(raw: bytes) -> tuple[str, ...]:
    try:
        text = zlib.decompress(raw).decode(errors="surrogateescape")
    except zlib.error:
        return ()
    return tuple(text.split("\0")) if text else ()


def pack_known(known: Known) -> bytes:
    return _pack(known)


def unpack_known(raw: bytes) -> Known:
    return _unpack(raw, Known, Known())


def pack_delays(delays: Mapping[str, int]) -> bytes:
    return _pack(dict(delays))


def unpack_delays(raw: bytes) -> dict[str, int]:
    return _unpack(raw, dict[str, int], {})


def pack_spent(spent: Spent) -> bytes:
    return _pack(spent)


def unpack_spent(raw: bytes) -> Spent:
    return _unpack(raw, Spent, Spent())


_SHOWN = (
    "at vantage host category ask base path outcome scheme family address status sha256 size_bytes modified stamp text"
    " html duration_s retry_after redirected certificate_expires finding"
).split()


def evidence_text(seen: Evidence) -> str:
    """One JSON object: what was asked and what came, without what is empty."""
    fields = {name: getattr(seen, name) for name in _SHOWN}
    fields["duration_s"] = round(seen.duration_s, 3)
    told = {name: value for name, value in fields.items() if value not in (None, "", False)}
    safe = {name: readable(value) if isinstance(value, str) else value for name, value in told.items()}
    return msgspec.json.encode(safe).decode()


def unpack_evidence(text: str) -> Evidence:
    """What `evidence_text` wrote, as far as it goes."""
    return msgspec.convert({"category": "", "path": "", **msgspec.json.decode(text)}, Evidence, strict=False)

"""MMDB files as tables: the whole search tree is walked once, each distinct record is decoded once.

The file is read, never mapped: a file that is truncated while it is mapped kills its readers.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from redirector.errors import SnapshotError
from redirector.files import explain_failure, read_bytes
from redirector.locate.mmdb_records import PLAIN, RecordError, Records, Wanted
from redirector.locate.ranges import Lengths, RangeTable, V4Prefixes, V6Prefixes, table_of
from redirector.locate.steps import Numbers
from redirector.model import Problem, Severity

_MARKER = b"\xab\xcd\xefMaxMind.com"
_MARKER_WITHIN = 128 << 10
"""The metadata begins with this, in the last 128 KiB (MaxMind DB file format 2.0)."""

MAX_FILE_BYTES = 4 << 30
"""Several times the largest that is sold, a City database with all names in all languages."""

_SEPARATOR_BYTES = 16
_METADATA = ("binary_format_major_version", "ip_version", "node_count", "record_size", "build_epoch", "database_type")
_DESCRIPTION_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Mmdb:
    """A database as a table: for each address a number, which stands for what its record says of a country, say.

    table         the numbers given to the records
    description   what it says of itself in English; "" when it says nothing
    networks      how many the tree tells apart
    readable      distinct records that could be read
    damaged       distinct records that could not: 0 in the table
    some_damaged  a network that has such a record; None when there is none
    """

    table: RangeTable
    database_type: str
    description: str
    build_epoch: int
    node_count: int
    networks: int
    readable: int
    damaged: int
    some_damaged: str | None

    def __str__(self) -> str:
        unreadable = f", {self.damaged} of them unreadable" if self.damaged else ""
        return f"this {self.database_type} database ({self.readable + self.damaged} records{unreadable})"

    def problems(self, path: str, lacking: str) -> tuple[Problem, ...]:
        """The warning about damaged records, if there are any: their addresses have no *lacking*."""
        if not self.damaged:
            return ()
        text = f"{self}: their addresses have no {lacking}, the first is {self.some_damaged}"
        return (Problem(Severity.WARNING, path, "file", text),)


def read_database(path: str) -> bytes:
    """The file *path*, whole. Raises SnapshotError."""
    try:
        return read_bytes(path, MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise SnapshotError.of(path, f"cannot be read: {explain_failure(error)}") from error


def is_mmdb(content: bytes) -> bool:
    """Whether *content* says of itself that it is one."""
    return content.rfind(_MARKER, max(0, len(content) - _MARKER_WITHIN)) >= 0


def parse_mmdb(content: bytes, path: str, wanted: Wanted, number_of: Callable[[object], int]) -> Mmdb:
    """The database in *content*. Once for each distinct record, *number_of* says what its *wanted* parts are worth.

    Every address has what `maxminddb` finds for it, but for the copies of the IPv4 tree inside the IPv6 tree (::/96,
    6to4, Teredo): hardly a client is left there, and the copies would triple the table.

    path    what messages name
    raises  SnapshotError when the metadata cannot be read, or the search tree is cut or endless
    cost    0.5 s for 1.3 million nodes, and what the records take
    """
    metadata = _read_metadata(content, path)
    tree = _Tree(path, _read_nodes(content, metadata.node_count, metadata.record_size))
    v4, v6 = _find_networks(tree, metadata.ip_version)
    split = len(v4.pointers)
    ends = np.append(v4.pointers, v6.pointers)
    pointers = np.sort(ends)
    pointers = pointers[np.append(pointers[:1] >= 0, pointers[1:] != pointers[:-1])]
    records = Records(content, metadata.data_start)
    numbers = np.zeros(len(pointers), np.uint32)
    damaged = []
    for i, pointer in enumerate(pointers.tolist()):
        try:
            record = records.read(pointer - metadata.node_count - _SEPARATOR_BYTES, wanted)
        except RecordError:
            damaged.append(int(np.argmax(ends == pointer)))
        else:
            numbers[i] = number_of(record)
    values = numbers[np.searchsorted(pointers, ends)]
    return Mmdb(
        table=table_of(
            V4Prefixes(v4.uppers >> np.uint64(32), v4.lengths, values[:split]),
            V6Prefixes(v6.uppers, v6.lowers, v6.lengths, values[split:]),
        ),
        database_type=metadata.database_type,
        description=metadata.description,
        build_epoch=metadata.build_epoch,
        node_count=metadata.node_count,
        networks=len(values),
        readable=len(pointers) - len(damaged),
        damaged=len(damaged),
        some_damaged=(v4.text(damaged[0]) if damaged[0] < split else v6.text(damaged[0] - split)) if damaged else None,
    )


def describe(path: str) -> tuple[str, str]:
    """What the MMDB file *path* calls itself, and what it says of itself. Raises SnapshotError."""
    metadata = _read_metadata(read_database(path), path)
    return metadata.database_type, metadata.description


class _Metadata(NamedTuple):
    ip_version: int
    node_count: int
    record_size: int
    build_epoch: int
    database_type: str
    description: str

    @property
    def data_start(self) -> int:
        return self.node_count * self.record_size // 4 + _SEPARATOR_BYTES


def _read_metadata(content: bytes, path: str) -> _Metadata:
    start = content.rfind(_MARKER) + len(_MARKER)
    try:
        members = Records(content, start).read(0, {**dict.fromkeys(_METADATA, PLAIN), "description": {"en": PLAIN}})
    except RecordError as error:
        raise SnapshotError.of(path, "the metadata of this MMDB file is damaged") from error
    match members:
        case {
            "binary_format_major_version": 2,
            "ip_version": 4 | 6 as ip_version,
            "node_count": int(node_count),
            "record_size": 24 | 28 | 32 as record_size,
            "build_epoch": int(build_epoch),
            "database_type": str(database_type),
        } if database_type.isprintable() and build_epoch < 2**40:
            metadata = _Metadata(
                ip_version, node_count, record_size, build_epoch, database_type, _description_of(members)
            )
        case _:
            raise SnapshotError.of(path, "not an MMDB file of version 2, or its metadata is damaged")
    if not 0 < metadata.data_start <= start:
        raise SnapshotError.of(path, "this MMDB file is cut off, or its metadata is damaged")
    return metadata


def _description_of(members: object) -> str:
    match members:
        case {"description": {"en": str(text)}} if text.isprintable():
            return text[:_DESCRIPTION_LIMIT]
        case _:
            return ""


class _Networks(NamedTuple):
    """Disjoint networks and what the tree says about each. IPv4 addresses stand in the upper 32 bits of `uppers`."""

    uppers: Numbers
    lowers: Numbers
    lengths: Lengths
    pointers: npt.NDArray[np.uint32]
    bits: int

    def text(self, row: int) -> str:
        address = int(self.uppers[row]) << 64 | int(self.lowers[row])
        packed = address.to_bytes(16)[: self.bits // 8]
        family = socket.AF_INET if self.bits == 32 else socket.AF_INET6
        return f"{socket.inet_ntop(family, packed)}/{self.lengths[row]}"


class _Tree(NamedTuple):
    """The search tree of the file *path*: left and right record of each node."""

    path: str
    nodes: npt.NDArray[np.uint32]


def _read_nodes(content: bytes, node_count: int, record_size: int) -> npt.NDArray[np.uint32]:
    width = record_size // 4
    raw = np.frombuffer(content, np.uint8, node_count * width).reshape(node_count, width)
    byte = [raw[:, i].astype(np.uint32) for i in range(width)]
    if record_size == 24:
        halves = byte[0] << 16 | byte[1] << 8 | byte[2], byte[3] << 16 | byte[4] << 8 | byte[5]
    elif record_size == 28:
        left = (byte[3] >> 4) << 24 | byte[0] << 16 | byte[1] << 8 | byte[2]
        halves = left, (byte[3] & 15) << 24 | byte[4] << 16 | byte[5] << 8 | byte[6]
    else:
        left = byte[0] << 24 | byte[1] << 16 | byte[2] << 8 | byte[3]
        halves = left, byte[4] << 24 | byte[5] << 16 | byte[6] << 8 | byte[7]
    return np.stack(halves, axis=1)


def _find_networks(tree: _Tree, ip_version: int) -> tuple[_Networks, _Networks]:
    nothing = len(tree.nodes)
    if ip_version == 4:
        return _walk(tree, 0, 32, nothing), _walk(tree, nothing, 128, nothing)
    v4_root = 0
    for _ in range(96):
        if v4_root < nothing:
            v4_root = int(tree.nodes[v4_root, 0])
    return _walk(tree, v4_root, 32, nothing), _walk(tree, 0, 128, v4_root)


def _walk(tree: _Tree, root: int, bits: int, alias: int) -> _Networks:
    """All networks below *root* for which the tree has anything but "nothing", level by level.

    Branches that lead to the inner node *alias* are left out. A node that is left after the last bit is kept like a
    record: whoever looks its network up is told that the tree is damaged.
    """
    node_count = len(tree.nodes)
    most = max(8 * node_count, 1 << 20)
    nodes = np.array([root], np.uint32)
    uppers, lowers = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    found = []
    for depth in range(bits + 1):
        is_inner = nodes < (node_count if depth < bits else 0)
        is_end = ~is_inner & (nodes != node_count)
        lengths = np.full(np.count_nonzero(is_end), depth, np.uint8)
        found.append((uppers[is_end], lowers[is_end], lengths, nodes[is_end]))
        if depth:
            is_inner &= nodes != alias
        nodes = tree.nodes[nodes[is_inner]].reshape(-1)
        uppers, lowers = np.repeat(uppers[is_inner], 2), np.repeat(lowers[is_inner], 2)
        (uppers if depth < 64 else lowers)[1::2] |= np.uint64(1 << (63 - depth % 64))
        most -= len(lengths)
        if len(nodes) > most:
            raise SnapshotError.of(tree.path, "the search tree of this MMDB file is damaged: it has no end")
    uppers, lowers, lengths, pointers = (np.concatenate(column) for column in zip(*found, strict=True))
    return _Networks(uppers, lowers, lengths, pointers, bits)

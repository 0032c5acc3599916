"""Writes small MMDB files (MaxMind DB file format 2.0), so that tests can say what a database holds."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_network
from typing import TypeAlias

from redirector.model import Network

Value: TypeAlias = "str | int | float | list[Value] | Mapping[str, Value]"

BUILD_EPOCH = 1_790_000_000


class Tree:
    """A search tree; each side of a node is a node's number, a record (in a tuple of one), or None."""

    def __init__(self, ip_version: int) -> None:
        self.ip_version = ip_version
        self.nodes: list[list[int | tuple[Value] | None]] = [[None, None]]

    def put(self, network: Network, side: int | tuple[Value]) -> None:
        """Give *network* a record or, with a number, the branch at that node."""
        in_v6 = self.ip_version == 6 and network.version == 4
        length = network.prefixlen + 96 * in_v6
        bits = f"{int(network.network_address):0{32 if self.ip_version == 4 else 128}b}"[:length]
        node = 0
        for bit in map(int, bits[:-1]):
            node = self._below(node, bit)
        self.nodes[node][int(bits[-1])] = side

    def node_of(self, network: Network) -> int:
        """The node at which the branch of *network*, an IPv6 one, begins."""
        node = 0
        for bit in f"{int(network.network_address):0128b}"[: network.prefixlen]:
            node = self._below(node, int(bit))
        return node

    def _below(self, node: int, bit: int) -> int:
        side = self.nodes[node][bit]
        if isinstance(side, int):
            return side
        self.nodes.append([side, side])
        self.nodes[node][bit] = len(self.nodes) - 1
        return len(self.nodes) - 1


def mmdb_bytes(
    networks: Mapping[str, Value],
    *,
    ip_version: int = 6,
    record_size: int = 24,
    database_type: str = "Test",
    alias: str | None = None,
) -> bytes:
    """The file in which *networks* have these records, the longest prefix winning; no network may have length 0.

    alias  an IPv6 network that shows the IPv4 tree once more, as 2002::/16 does in real files
    """
    tree = Tree(ip_version)
    for network, record in sorted(networks.items(), key=lambda item: ip_network(item[0]).prefixlen):
        tree.put(ip_network(network), (record,))
    if alias is not None:
        tree.put(ip_network(alias), tree.node_of(ip_network("::/96")))
    return tree_bytes(tree, record_size, database_type)


def tree_bytes(tree: Tree, record_size: int = 24, database_type: str = "Test") -> bytes:
    """The file with this search tree."""
    count, records, offsets = len(tree.nodes), bytearray(), dict[str, int]()

    def number(side: int | tuple[Value] | None) -> int:
        if side is None or isinstance(side, int):
            return count if side is None else side
        if repr(side) not in offsets:
            offsets[repr(side)] = len(records)
            records.extend(_encode(side[0]))
        return count + 16 + offsets[repr(side)]

    nodes = b"".join(_node(number(left), number(right), record_size) for left, right in tree.nodes)
    metadata = {
        "binary_format_major_version": _uint(5, 2),
        "binary_format_minor_version": _uint(5, 0),
        "build_epoch": _uint(9, BUILD_EPOCH),
        "database_type": _encode(database_type),
        "description": _encode({"en": "made up"}),
        "ip_version": _uint(5, tree.ip_version),
        "languages": _encode(["en"]),
        "node_count": _uint(6, count),
        "record_size": _uint(5, record_size),
    }
    members = b"".join(_encode(key) + member for key, member in metadata.items())
    return nodes + bytes(16) + bytes(records) + b"\xab\xcd\xefMaxMind.com" + _control(7, len(metadata)) + members


def _node(left: int, right: int, record_size: int) -> bytes:
    if record_size == 28:
        middle = (left >> 24) << 4 | right >> 24
        return (left & 0xFFFFFF).to_bytes(3) + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3)
    return left.to_bytes(record_size // 8) + right.to_bytes(record_size // 8)


def _encode(value: Value) -> bytes:
    if isinstance(value, str):
        content = value.encode()
        return _control(2, len(content)) + content
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return _uint(6, value)
    if isinstance(value, Mapping):
        return _control(7, len(value)) + b"".join(_encode(key) + _encode(member) for key, member in value.items())
    return _control(11, len(value)) + b"".join(map(_encode, value))


def _uint(kind: int, value: int) -> bytes:
    """Kinds 5, 6 and 9 have at most 2, 4 and 8 bytes; the reader insists on the kind that the format names."""
    content = value.to_bytes((value.bit_length() + 7) // 8)
    return _control(kind, len(content)) + content


def _control(kind: int, size: int) -> bytes:
    """The control byte; kinds above 7 have a second one, sizes from 29 one more."""
    head, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    return (bytes([kind << 5 | head]) if kind <= 7 else bytes([head, kind - 7])) + more

"""Who has the addresses: the table of AS numbers, and the netblocks of hosts merged into one answer per address."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6

from pytricia import PyTricia  # type: ignore[import-not-found]  # a C extension without stubs

from redirector.errors import SnapshotError
from redirector.locate.addresses import unwrap_network
from redirector.locate.asn_lines import AsnLines
from redirector.locate.mmdb import is_mmdb, parse_mmdb, read_database
from redirector.locate.mmdb_records import PLAIN
from redirector.locate.ranges import DEEP, RangeTable, table_of, table_of_networks
from redirector.model import Network, Problem

_CHUNK_BYTES = 1 << 20
_LINE_LIMIT_BYTES = 200
"""The longest sensible line, an IPv6 prefix written out in full, has 54 bytes."""

_TEXT_LIMIT_BYTES = 1 << 30
"""What a packed file may unfold to: forty times the real table."""

_ASN = "autonomous_system_number"
_FLAT_ASN = "asn"
"""MaxMind's name of it, and that of IPinfo's databases, in which it is a text such as `AS24940`."""


@dataclass(frozen=True, slots=True)
class AsnTable:
    """Which AS announces an address.

    table        address -> AS number; 0: none
    lines        how many prefixes the file has
    build_epoch  when it was made; None for text, which does not say
    """

    table: RangeTable
    lines: int
    build_epoch: int | None
    problems: tuple[Problem, ...]


def load_asns(path: str) -> AsnTable:
    """The AS table *path*: an MMDB, or lines `PREFIX/LENGTH ASN`, also packed by gzip or xz; told apart by content.

    Lines that cannot be read are left out. Bits beyond the length are cleared. Of equal prefixes the later one counts.

    raises  SnapshotError for a file that cannot be read or unpacked, and for one without any AS number
    cost    0.4 s for 1.15 million lines, without a compiler 2 s; 60 MB beyond the result
    """
    content = read_database(path)
    return _load_mmdb(content, path) if is_mmdb(content) else _load_text(content, path)


def _load_mmdb(content: bytes, path: str) -> AsnTable:
    mmdb = parse_mmdb(content, path, {_ASN: PLAIN, _FLAT_ASN: PLAIN}, _asn)
    if mmdb.table.numbers() == {0}:
        raise SnapshotError.of(path, f"{mmdb} has no AS number: --asn needs an ASN or ISP database, or text")
    return AsnTable(mmdb.table, mmdb.networks, mmdb.build_epoch, mmdb.problems(path, "AS number"))


def _asn(record: object) -> int:
    if not isinstance(record, dict):
        return 0
    number, flat = record.get(_ASN), record.get(_FLAT_ASN)
    if number is None and isinstance(flat, str):
        digits = flat.strip().upper().removeprefix("AS")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0
    return number if isinstance(number, int) and 0 <= number < DEEP else 0


def _load_text(content: bytes, path: str) -> AsnTable:
    lines = AsnLines()
    try:
        for text in _unpack(content):
            lines.take(text)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise SnapshotError.of(path, f"cannot be unpacked: {error}") from error
    v4, v6 = lines.prefixes()
    count = len(v4.values) + len(v6.values)
    if not count:
        raise SnapshotError.of(path, "neither an MMDB file nor text with a line `PREFIX/LENGTH ASN`")
    return AsnTable(table_of(v4, v6), count, None, tuple(lines.problems(path)))


def _unpack(content: bytes) -> Iterator[bytes]:
    """The text in *content*, in pieces of whole lines. A line far too long to be one of ours is cut off."""
    stream: lzma.LZMAFile | gzip.GzipFile | io.BytesIO
    if content.startswith(b"\xfd7zXZ\0"):
        stream = lzma.open(io.BytesIO(content))
    elif content.startswith(b"\x1f\x8b"):
        stream = gzip.open(io.BytesIO(content))
    else:
        stream = io.BytesIO(content)
    left, rest = _TEXT_LIMIT_BYTES, b""
    while chunk := stream.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise OSError(f"more than {_TEXT_LIMIT_BYTES:,} bytes of text")
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        rest = rest[:_LINE_LIMIT_BYTES]
        if newline:
            yield whole
    if rest:
        yield rest


Answer = tuple[tuple[int, tuple[int, ...]], ...]
"""Groups of hosts, longest prefix first: its length, and the hosts that have it, in the order they came."""


@dataclass(frozen=True, slots=True)
class NetblockTable:
    """Which hosts prefer the clients of an address.

    table    address -> position in `answers`
    answers  distinct ones; the first is ()
    """

    table: RangeTable
    answers: tuple[Answer, ...]

    def find(self, address: bytes) -> Answer:
        """Hosts whose netblocks contain *address*, each once, under its longest prefix."""
        return self.answers[self.table.find(address)]


def netblocks_of(hosts: Sequence[tuple[int, Sequence[Network]]]) -> NetblockTable:
    """The merged answer of possibly nested netblocks of *hosts*: one look-up finds them all.

    cost  10 µs for each netblock, and what the hosts of the wider ones around it add
    """
    tries = {4: PyTricia(32, AF_INET), 6: PyTricia(128, AF_INET6)}
    owners: dict[Network, dict[int, None]] = {}
    for host, networks in hosts:
        for network in networks:
            owners.setdefault(unwrap_network(network), {})[host] = None
    answers: dict[Answer, int] = {(): 0}
    numbers = {}
    for network in sorted(owners, key=lambda network: network.prefixlen):
        trie = tries[network.version]
        around: Answer = trie.get(network, ())
        inside = owners[network]
        groups = ((length, tuple(host for host in group if host not in inside)) for length, group in around)
        answer = ((network.prefixlen, tuple(inside)), *(group for group in groups if group[1]))
        trie[network] = answer
        numbers[network] = answers.setdefault(answer, len(answers))
    return NetblockTable(table_of_networks(numbers.items()), tuple(answers))

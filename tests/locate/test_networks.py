from __future__ import annotations

import gzip
import lzma
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import SnapshotError
from redirector.locate.networks import Answer, AsnTable, NetblockTable, load_asns, netblocks_of
from redirector.model import Network, Severity
from tests.locate.mmdb_writer import BUILD_EPOCH, Value, mmdb_bytes
from tests.locate.test_ranges import NETWORKS, probes
from tests.real import ASN_SAMPLE, ASNS, GEOIP

TEXT = b"""\
192.0.2.0/24 64500
198.51.100.0/22 64501

198.51.100.128/25 64502
2001:DB8::/32 64503
2001:db8:0:1:8000::/65\t64504 \r
"""


def load(tmp_path: Path, content: bytes) -> AsnTable:
    path = tmp_path / "table"
    path.write_bytes(content)
    return load_asns(str(path))


def asn_of(table: AsnTable, address: str) -> int:
    return table.table.find(ip_address(address).packed)


def same(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize("pack", [same, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_text_is_read_packed_or_not(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    table = load(tmp_path, pack(TEXT))
    assert asn_of(table, "192.0.2.255") == 64500
    assert asn_of(table, "198.51.100.1") == 64501
    assert asn_of(table, "198.51.103.255") == 64501
    assert asn_of(table, "198.51.100.200") == 64502
    assert asn_of(table, "2001:db8::1") == 64503
    assert asn_of(table, "2001:db8:0:1:8000::1") == 64504
    assert asn_of(table, "203.0.113.1") == asn_of(table, "2001:db9::1") == 0
    assert (table.lines, table.build_epoch, table.problems) == (5, None, ())


def test_last_line_needs_no_newline_and_later_lines_win(tmp_path: Path) -> None:
    table = load(tmp_path, b"192.0.2.0/24 1\n192.0.2.77/24 2")
    assert asn_of(table, "192.0.2.1") == 2


WRONG_LINES = [
    "rubbish", "192.0.2.0/24", "192.0.2.0/24 AS64500", "192.0.2.0/24 64500 more", "192.0.2.0 64500",
    "192.0.2.0/33 64500", "2001:db8::/129 64500", "0.0.0.0/0 64500", "::/0 64500", "192.0.2.0/24 4294967296",
    "192.0.2.0/24 4294967295", "192.0.2.0/24 -1", "192.0.2.0/24 +1", "192.0.2.0/24 6_4", "192.0.2.0/+24 1",
    "192.0.2.0/-1 1", "192.0.2/24 1", "192.0.2.00/24 1", "192.0.2.256/24 1", "192.0.2.0//24 1", "192.0.2.0/24/ 1",
    "2001:db8:::/32 1", "# a comment", "\0", "é/24 1", "192.0.2.0/24 " + "1" * 5000, "x" * 3_000_000,
]  # fmt: skip


@pytest.mark.parametrize("line", WRONG_LINES, ids=lambda line: repr(line[:30]))
def test_wrong_line_is_skipped_and_named(tmp_path: Path, line: str) -> None:
    table = load(tmp_path, f"198.51.100.0/24 64501\n\n{line}\n203.0.113.0/24 64502\n".encode())
    assert asn_of(table, "198.51.100.1") == 64501
    assert asn_of(table, "203.0.113.1") == 64502
    assert asn_of(table, "192.0.2.1") == 0
    named, counted = table.problems
    assert named.key == "line 3"
    assert repr(line.encode().decode("latin-1")[:20])[1:-1] in named.text
    assert len(named.text) < 200
    assert counted.text.startswith("1 of ")
    assert {problem.severity for problem in table.problems} == {Severity.WARNING}
    assert not any("\n" in str(problem) or problem.fatal for problem in table.problems)


def test_first_five_wrong_lines_are_named_and_all_are_counted(tmp_path: Path) -> None:
    wrong = "".join(f"192.0.2.0/24 1\nwrong {n}\n" for n in range(1000))
    table = load(tmp_path, wrong.encode())
    assert [problem.key for problem in table.problems] == ["line 2", "line 4", "line 6", "line 8", "line 10", "lines"]
    assert table.problems[-1].text.startswith("1,000 of 2,000 lines")
    assert table.lines == 1000


def assert_refused(path: Path, reason: str) -> None:
    with pytest.raises(SnapshotError, match=reason) as caught:
        load_asns(str(path))
    (problem,) = caught.value.problems
    assert (problem.path, problem.fatal, problem.severity) == (str(path), True, Severity.ERROR)
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither an MMDB"),
        (b"\n\n", "neither an MMDB"),
        (b"rubbish\n" * 100, "neither an MMDB"),
        (bytes(range(256)) * 100, "neither an MMDB"),
        (gzip.compress(b"", mtime=0), "neither an MMDB"),
        (gzip.compress(TEXT, mtime=0)[:-10], "cannot be unpacked"),
        (gzip.compress(TEXT, mtime=0)[:30] + b"rubbish", "cannot be unpacked"),
        (lzma.compress(TEXT)[:-10], "cannot be unpacked"),
        (lzma.compress(TEXT)[:40] + bytes(60), "cannot be unpacked"),
        (mmdb_bytes({"192.0.2.0/24": {"country": {"iso_code": "DE"}}}), "no AS number"),
        (mmdb_bytes({"192.0.2.0/24": {"autonomous_system_number": "64500"}}), "no AS number"),
        (mmdb_bytes({"192.0.2.0/24": {"autonomous_system_number": 64500}})[:-9], "damaged"),
    ],
)
def test_table_without_any_as_number_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "table").write_bytes(content)
    assert_refused(tmp_path / "table", reason)


def test_missing_file_and_country_database_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "missing", "No such file")
    assert_refused(tmp_path, "directory|regular")
    assert_refused(GEOIP / "GeoIP2-City-Test.mmdb", "no AS number")


def test_mmdb_is_told_apart_by_content(tmp_path: Path) -> None:
    records = {"192.0.2.0/24": {"autonomous_system_number": 64500}, "2001:db8::/32": {"autonomous_system_number": 0}}
    table = load(tmp_path, mmdb_bytes({**records, "198.51.100.0/24": {"autonomous_system_organization": "Example"}}))
    assert asn_of(table, "192.0.2.1") == 64500
    assert asn_of(table, "2001:db8::1") == asn_of(table, "198.51.100.1") == 0
    assert (table.lines, table.build_epoch, table.problems) == (3, BUILD_EPOCH, ())


def test_flat_records_are_read_too(tmp_path: Path) -> None:
    records: dict[str, Value] = {
        "5.9.0.0/16": {"asn": "AS24940", "domain": "example.net", "country": "DE"},
        "192.0.2.0/25": {"asn": "64500"},
        "192.0.2.128/25": {"asn": "AS"},
        "198.51.100.0/24": {"asn": ""},
    }
    table = load(tmp_path, mmdb_bytes(records)).table
    addresses = ("5.9.0.1", "192.0.2.1", "192.0.2.129", "198.51.100.1")
    assert [table.find(ip_address(address).packed) for address in addresses] == [24940, 64500, 0, 0]


@pytest.mark.parametrize("name", ["GeoIP2-ISP-Test.mmdb", "GeoLite2-ASN-Test.mmdb"])
def test_every_network_has_the_number_that_the_reader_finds(name: str) -> None:
    table = load_asns(str(GEOIP / name))
    numbers = set()
    with maxminddb.open_database(GEOIP / name) as reader:
        for network, record in reader:
            assert isinstance(record, dict)
            number = record.get("autonomous_system_number", 0)
            numbers.add(number)
            for address in (network.network_address, network.broadcast_address):
                assert table.table.find(address.packed) == number
    assert table.table.numbers() == numbers | {0}


def steps(table: AsnTable, block: Network) -> set[bytes]:
    """First addresses of the table's steps in *block*, and the last ones before them."""
    starts, low = (table.table.v4_starts, 0) if block.version == 4 else (table.table.v6_starts, 64)
    first, last = int(block.network_address), int(block.broadcast_address)
    inside = range(bisect_left(starts, first >> low), bisect_right(starts, last >> low))
    numbers = [int(starts[at]) << low for at in inside]
    return {each.to_bytes(len(block.network_address.packed)) for n in numbers for each in (n - 1, n) if each >= first}


def test_real_text_and_real_mmdb_are_the_same_table() -> None:
    text, mmdb = load_asns(str(ASN_SAMPLE)), load_asns(str(ASNS))
    assert text.lines == 13_459
    assert text.problems == mmdb.problems == ()
    assert asn_of(text, "1.0.5.1") == 38803
    compared = 0
    for block in map(ip_network, ("1.0.0.0/8", "41.0.0.0/8", "2001:67c::/32", "2c0f::/16")):
        ends = steps(text, block) | steps(mmdb, block)
        assert [end for end in ends if text.table.find(end) != mmdb.table.find(end)] == [], block
        compared += len(ends)
    assert compared > 10_000


HOSTS = st.lists(st.tuples(st.integers(0, 5), st.lists(NETWORKS, max_size=5)), max_size=6)


def scan(hosts: list[tuple[int, list[Network]]], address: bytes) -> Answer:
    """The naive model: each host's longest network around the address."""
    here = ip_address(address)
    longest: dict[int, int] = {}
    for host, networks in hosts:
        for network in networks:
            if here in network:
                longest[host] = max(longest.get(host, 0), network.prefixlen)
    return tuple(
        (length, tuple(sorted(host for host, its in longest.items() if its == length)))
        for length in sorted(set(longest.values()), reverse=True)
    )


def sorted_groups(answer: Answer) -> Answer:
    return tuple((length, tuple(sorted(group))) for length, group in answer)


@given(HOSTS)
def test_each_host_is_found_once_under_its_longest_netblock(hosts: list[tuple[int, list[Network]]]) -> None:
    table = netblocks_of(hosts)
    assert table.answers[0] == ()
    assert len(set(table.answers)) == len(table.answers)
    for address in probes(network for _, networks in hosts for network in networks):
        assert sorted_groups(table.find(address.packed)) == scan(hosts, address.packed), address


def netblocks(*hosts: str) -> NetblockTable:
    return netblocks_of([(n, [ip_network(text) for text in host.split()]) for n, host in enumerate(hosts)])


def test_nested_netblocks_are_merged_longest_first() -> None:
    table = netblocks("10.0.0.0/8", "10.1.0.0/16 10.0.0.0/8", "10.1.2.0/24", "10.1.0.0/16")
    assert table.find(ip_address("10.1.2.3").packed) == ((24, (2,)), (16, (1, 3)), (8, (0,)))
    assert table.find(ip_address("10.1.3.3").packed) == ((16, (1, 3)), (8, (0,)))
    assert table.find(ip_address("10.2.0.0").packed) == ((8, (0, 1)),)
    assert table.find(ip_address("11.0.0.0").packed) == ()


def test_equal_answers_share_one_number() -> None:
    table = netblocks("192.0.2.0/25 198.51.100.0/25 2001:db8::/32", "203.0.113.0/24")
    assert set(table.answers) == {(), ((25, (0,)),), ((24, (1,)),), ((32, (0,)),)}
    assert len(table.answers) == 4
    assert table.table.find(bytes.fromhex("C0000201")) == table.table.find(bytes.fromhex("C6336401"))


def test_netblocks_of_mapped_addresses_mean_ipv4() -> None:
    assert netblocks("::ffff:192.0.2.0/120").find(ip_address("192.0.2.1").packed) == ((24, (0,)),)

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redirector.errors import SnapshotError
from redirector.locate.geoip import NOWHERE, GeoDatabase, Location, load_geoip
from redirector.locate.ranges import RangeTable
from redirector.model import Severity
from tests.locate.mmdb_writer import BUILD_EPOCH, Tree, Value, mmdb_bytes, tree_bytes
from tests.real import ASNS, COUNTRIES, GEOIP

COUNTRY_FILES = [f"{kind}-Test.mmdb" for kind in ("GeoIP2-City", "GeoIP2-Country", "GeoLite2-City", "GeoLite2-Country")]
OTHER_FILES = [ASNS, GEOIP / "GeoIP2-ISP-Test.mmdb", GEOIP / "GeoLite2-ASN-Test.mmdb"]
BROKEN_FILES = sorted(str(path.relative_to(GEOIP)) for path in GEOIP.glob("broken/**/*.mmdb"))

COPIES_OF_IPV4 = [ip_network(text) for text in ("::/96", "::ffff:0:0/96", "2001::/32", "2002::/16")]

DE: Value = {"country": {"iso_code": "DE"}}
FR: Value = {"country": {"iso_code": "FR"}}


def expected_location(reader: maxminddb.Reader, address: IPv4Address | IPv6Address) -> Location:
    """What `maxminddb` says, read in the plainest way."""
    try:
        record: Any = reader.get(address)
        country, place = record.get("country", {}).get("iso_code"), record.get("location", {})
    except Exception:  # a damaged record can be anything, and its reader fails in many ways
        return NOWHERE
    if not re.fullmatch("[A-Za-z]{2}", str(country)):
        country = None
    return Location(country, place.get("latitude"), place.get("longitude"))


def boundaries(table: RangeTable) -> set[IPv4Address | IPv6Address]:
    """First and last address of each step of the table."""
    found: set[IPv4Address | IPv6Address] = {IPv4Address(2**32 - 1), IPv6Address(2**128 - 1)}
    for start in table.v4_starts:
        found.update(IPv4Address(number) for number in (start - 1, start) if number >= 0)
    deep = [upper << 64 | start for upper, (starts, _) in table.deep.items() for start in starts]
    for start in [*(upper << 64 for upper in table.v6_starts), *deep]:
        found.update(IPv6Address(number) for number in (start - 1, start) if number >= 0)
    return found


def network_ends(reader: maxminddb.Reader) -> set[IPv4Address | IPv6Address]:
    """First and last address of each network of the database, and their neighbours."""
    found: set[IPv4Address | IPv6Address] = set()
    for network, _ in reader:
        kind, most = type(network.network_address), 2**network.max_prefixlen
        for end in (int(network.network_address), int(network.broadcast_address)):
            found.update(kind(number) for number in (end - 1, end, end + 1) if 0 <= number < most)
    return found


def random_addresses(count: int) -> Iterable[IPv4Address | IPv6Address]:
    chance = random.Random(1)
    for _ in range(count):
        yield IPv4Address(chance.getrandbits(32))
        yield IPv6Address(chance.choice([0x2001, 0x2400, 0x2600, 0x2A00, 0x2C0F]) << 112 | chance.getrandbits(112))


def assert_same(
    database: GeoDatabase, reader: maxminddb.Reader, addresses: Iterable[IPv4Address | IPv6Address]
) -> None:
    is_v4 = reader.metadata().ip_version == 4
    for address in addresses:
        if address.version == 6 and (is_v4 or any(address in network for network in COPIES_OF_IPV4)):
            continue
        assert database.find(address.packed) == expected_location(reader, address), address


@pytest.mark.parametrize("name", COUNTRY_FILES)
def test_every_network_has_what_the_reader_finds(name: str) -> None:
    database = load_geoip(str(GEOIP / name))
    with maxminddb.open_database(GEOIP / name) as reader:
        assert_same(database, reader, network_ends(reader))
        assert_same(database, reader, boundaries(database.table))
        assert_same(database, reader, random_addresses(1000))
        assert (database.build_epoch, database.database_type) == (
            reader.metadata().build_epoch,
            reader.metadata().database_type,
        )
    assert database.has_coordinates == ("City" in name)
    assert database.problems == ()


def test_real_addresses_have_what_the_reader_finds() -> None:
    database = load_geoip(str(COUNTRIES))
    chance = random.Random(2)
    table = database.table
    starts: list[IPv4Address | IPv6Address] = [
        *(IPv4Address(chance.choice(table.v4_starts)) for _ in range(10_000)),
        *(IPv6Address(chance.choice(table.v6_starts) << 64) for _ in range(10_000)),
        *(IPv6Address(upper << 64 | start) for upper, (starts, _) in table.deep.items() for start in starts),
    ]
    with maxminddb.open_database(COUNTRIES) as reader:
        assert_same(database, reader, random_addresses(50_000))
        assert_same(database, reader, starts)
        assert_same(database, reader, (start - 1 for start in starts if int(start)))
    assert database.node_count > 1_000_000
    assert not database.has_coordinates


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_file_is_refused_or_loaded_with_problems(name: str) -> None:
    path = GEOIP / name
    try:
        database = load_geoip(str(path))
    except SnapshotError as error:
        assert_refused(error, str(path))
        return
    assert [problem.severity for problem in database.problems] == [Severity.WARNING]
    assert not database.problems[0].fatal
    with maxminddb.open_database(path, maxminddb.MODE_MEMORY) as reader:
        assert_same(database, reader, boundaries(database.table))
        assert_same(database, reader, random_addresses(1000))


def assert_refused(error: SnapshotError, path: str) -> None:
    assert [(problem.path, problem.fatal, problem.severity) for problem in error.problems] == [
        (path, True, Severity.ERROR)
    ]
    assert "\n" not in str(error)


@pytest.mark.parametrize("path", OTHER_FILES, ids=lambda path: path.name)
def test_database_without_countries_is_refused(path: Path) -> None:
    with pytest.raises(SnapshotError, match="names no country") as caught:
        load_geoip(str(path))
    assert_refused(caught.value, str(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an MMDB"),
        (b"\n", "not an MMDB"),
        (b"1.2.3.0/24 DE\n" * 1000, "not an MMDB"),
        (b"\xab\xcd\xefMaxMind.com", "metadata"),
        (mmdb_bytes({"10.0.0.0/8": DE})[:-40], "metadata"),
        (mmdb_bytes({"10.0.0.0/8": DE})[600:], "cut off"),
        (mmdb_bytes({}), "names no country"),
        (mmdb_bytes({"10.0.0.0/8": {"country": ["DE"]}}), "names no country"),
        (mmdb_bytes({"10.0.0.0/8": {"registered_country": {"iso_code": "DE"}}}), "names no country"),
    ],
    ids=["empty", "newline", "text", "marker", "cut metadata", "cut tree", "nothing", "shape", "registered"],
)
def test_file_that_cannot_be_served_is_refused_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "country.mmdb"
    path.write_bytes(content)
    with pytest.raises(SnapshotError, match=reason) as caught:
        load_geoip(str(path))
    assert_refused(caught.value, str(path))


@pytest.mark.parametrize(("name", "reason"), [("missing.mmdb", "No such file"), ("", "directory|regular")])
def test_missing_file_and_directory_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(SnapshotError, match=reason) as caught:
        load_geoip(str(tmp_path / name))
    assert_refused(caught.value, str(tmp_path / name))


def load(tmp_path: Path, content: bytes) -> GeoDatabase:
    path = tmp_path / "country.mmdb"
    path.write_bytes(content)
    return load_geoip(str(path))


RECORDS = st.sampled_from(
    [DE, FR, {"country": {"iso_code": "DE"}, "location": {"latitude": 52.5, "longitude": 13.5}}, {"city": 7}, "text"]
)
V4 = st.builds(lambda number, length: str(ip_network((number << 24 | number, length), strict=False)),
    st.integers(0, 255), st.integers(1, 32))  # fmt: skip
V6 = st.builds(
    lambda number, length: str(ip_network((0x2A << 120 | number << 60 | number, length), strict=False)),
    st.integers(0, 15), st.integers(9, 128),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(V4, RECORDS, max_size=8),
    st.dictionaries(V6, RECORDS, max_size=8),
    st.sampled_from([24, 28, 32]),
    st.sampled_from([4, 6]),
)
def test_any_database_has_what_the_reader_finds(
    tmp_path: Path, v4: dict[str, Value], v6: dict[str, Value], record_size: int, ip_version: int
) -> None:
    networks = {**v4, **(v6 if ip_version == 6 else {}), "192.0.2.0/24": DE}
    path = tmp_path / "country.mmdb"
    path.write_bytes(mmdb_bytes(networks, ip_version=ip_version, record_size=record_size))
    database = load_geoip(str(path))
    with maxminddb.open_database(path) as reader:
        assert_same(database, reader, boundaries(database.table))
        assert_same(database, reader, network_ends(reader))
    assert (database.build_epoch, database.database_type, database.problems) == (BUILD_EPOCH, "Test", ())


@pytest.mark.parametrize(
    ("record", "location"),
    [
        ({"country": {"iso_code": "de"}}, Location("DE")),
        ({"country": {"iso_code": "A1"}}, NOWHERE),
        ({"country": {"iso_code": "DEU"}}, NOWHERE),
        ({"country": {"iso_code": "ÄÖ"}}, NOWHERE),
        ({"country": {"iso_code": 49}}, NOWHERE),
        ({"country": {"names": {"en": "Germany"}}}, NOWHERE),
        ({"country": ["DE"]}, NOWHERE),
        ({"location": {"latitude": -33.9, "longitude": 151.2}}, Location(None, -33.9, 151.2)),
        ({"location": {"latitude": -33.9}}, NOWHERE),
        ({"location": {"latitude": 91.0, "longitude": 151.2}}, NOWHERE),
        ({"location": {"latitude": float("nan"), "longitude": 151.2}}, NOWHERE),
        ({"location": {"latitude": "north", "longitude": 151.2}}, NOWHERE),
        (7, NOWHERE),
    ],
)
def test_record_is_read_as_far_as_it_makes_sense(tmp_path: Path, record: Value, location: Location) -> None:
    database = load(tmp_path, mmdb_bytes({"192.0.2.0/24": DE, "198.51.100.0/24": record}))
    assert database.find(ip_address("198.51.100.1").packed) == location
    assert database.locations[0] == NOWHERE


@pytest.mark.parametrize(
    ("record", "location"),
    [
        ({"country": "DE", "lat": "50.47", "lng": "12.37", "city": "Falkenstein"}, Location("DE", 50.47, 12.37)),
        ({"country": "Germany", "country_code": "de", "continent": "Europe"}, Location("DE")),
        ({"country": "Germany"}, Location("DE")),
        ({"country": "FR", "latitude": "48.8", "longitude": 2}, Location("FR", 48.8, 2.0)),
        ({"country": "FR", "lat": "here", "lng": "12.37"}, Location("FR")),
        ({"country": "FR", "lat": "91", "lng": "12.37"}, Location("FR")),
        ({"country": "FR", "lat": "nan", "lng": "12.37"}, Location("FR")),
        ({"country": "FR", "lat": "50"}, Location("FR")),
        ({"country": "A1"}, Location()),
        ({"country": "Nowhere"}, Location()),
    ],
)
def test_flat_records_are_read_too(tmp_path: Path, record: Value, location: Location) -> None:
    database = load(tmp_path, mmdb_bytes({"5.9.0.0/16": record, "192.0.2.0/24": FR}))
    assert database.find(ip_address("5.9.0.1").packed) == location
    assert database.has_coordinates == (location.latitude is not None)


def test_damaged_records_leave_their_addresses_nowhere(tmp_path: Path) -> None:
    content = mmdb_bytes({"192.0.2.0/24": DE, "198.51.100.0/24": FR, "2001:db8::/32": FR})
    damaged = content.replace(b"BFR", b"\xffFR")
    database = load(tmp_path, damaged)
    assert database.find(ip_address("192.0.2.1").packed) == Location("DE")
    assert database.find(ip_address("198.51.100.1").packed) == NOWHERE
    assert database.find(ip_address("2001:db8::1").packed) == NOWHERE
    (problem,) = database.problems
    assert "2 records, 1 of them unreadable" in problem.text
    assert "198.51.100.0/24" in problem.text


def test_copies_of_the_ipv4_tree_are_not_followed(tmp_path: Path) -> None:
    networks = {"192.0.2.0/24": DE, "2001:db8::/32": FR}
    assert load(tmp_path, mmdb_bytes(networks, alias="2002::/16")).table == load(tmp_path, mmdb_bytes(networks)).table


def test_tree_that_never_ends_is_refused(tmp_path: Path) -> None:
    tree = Tree(6)
    tree.put(ip_network("2001:db8::/32"), (DE,))
    loop = tree.node_of(ip_network("2001:db9::/32"))
    tree.nodes[loop] = [loop, loop]
    with pytest.raises(SnapshotError, match="it has no end"):
        load(tmp_path, tree_bytes(tree))


def test_tree_that_is_too_deep_is_damage(tmp_path: Path) -> None:
    tree = Tree(4)
    tree.put(ip_network("192.0.2.0/24"), (DE,))
    tree.put(ip_network("198.51.100.1/32"), 0)
    database = load(tmp_path, tree_bytes(tree))
    assert database.find(ip_address("192.0.2.1").packed) == Location("DE")
    assert database.find(ip_address("198.51.100.1").packed) == NOWHERE
    assert "198.51.100.1/32" in database.problems[0].text


SMALL = (GEOIP / "GeoLite2-Country-Test.mmdb").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_any_damage_is_a_refusal_or_what_the_reader_finds(
    tmp_path: Path, damage: list[tuple[int, bytes]], chance: random.Random
) -> None:
    """The reader is the one in Python: the one in C ends the process on some of these files."""
    content = bytearray(SMALL)
    for at, new in damage:
        content[at : at + len(new)] = new
    try:
        database = load(tmp_path, bytes(content))
    except SnapshotError as error:
        assert_refused(error, str(tmp_path / "country.mmdb"))
        return
    found = sorted(boundaries(database.table), key=int)
    some = chance.sample(found, min(50, len(found)))
    with maxminddb.open_database(tmp_path / "country.mmdb", maxminddb.MODE_MEMORY) as reader:
        assert_same(database, reader, some)


def test_file_may_change_once_it_is_loaded(tmp_path: Path) -> None:
    """A mapped file that is truncated would end the process with SIGBUS."""
    path = tmp_path / "country.mmdb"
    path.write_bytes(mmdb_bytes({"192.0.2.0/24": DE}))
    database = load_geoip(str(path))
    path.write_bytes(b"")
    assert database.find(ip_address("192.0.2.1").packed) == Location("DE")

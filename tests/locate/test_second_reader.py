"""The second reader says what our tables say, and when they do not."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.errors import SnapshotError
from redirector.locate.geoip import NOWHERE, load_geoip
from redirector.locate.second_reader import find_doubt, open_second_reader
from tests.real import GEOIP

CITY = str(GEOIP / "GeoLite2-City-Test.mmdb")
ADDRESSES = ("81.2.69.142", "89.160.20.112", "192.0.2.1", "2001:218::1", "2002:5102:458e::1", "::1", "255.255.255.255")


@pytest.mark.parametrize("text", ADDRESSES)
def test_both_readers_say_the_same(text: str) -> None:
    address = ip_address(text).packed
    assert open_second_reader(CITY).find(address) == load_geoip(CITY).find(address)


def test_a_doubt_names_both() -> None:
    address = ip_address("81.2.69.142").packed
    assert find_doubt(CITY, address, "GB") is None
    assert find_doubt(CITY, address, "DE") == f"{CITY}: 81.2.69.142 is in DE by our own reader, in GB by maxminddb's"
    assert "is in nowhere by our own" in (find_doubt(CITY, address, None) or "")


def test_what_is_no_database_is_refused_and_damage_is_nowhere(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(SnapshotError, match="maxminddb cannot read it"):
        open_second_reader(str(tmp_path / "x"))
    raw = bytearray(Path(CITY).read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 4000] = b"\xff" * 4000
    (tmp_path / "y").write_bytes(raw)
    found = {open_second_reader(str(tmp_path / "y")).find(ip_address(text).packed) for text in ADDRESSES}
    assert found <= {NOWHERE, *(load_geoip(CITY).find(ip_address(text).packed) for text in ADDRESSES)}

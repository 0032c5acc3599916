"""Whose data says where addresses are is named as its licence asks."""

from __future__ import annotations

import pytest

from redirector.locate.credit import credit_of
from redirector.locate.geoip import load_geoip
from tests.real import COUNTRIES


@pytest.mark.parametrize(
    ("database_type", "description", "named"),
    [
        ("GeoLite2-City", "GeoLite2City database", "GeoLite2 Data created by MaxMind"),
        ("GeoIP2-City", "", "GeoIP2 by MaxMind"),
        ("DBIP-Country-Lite", "", "IP Geolocation by DB-IP"),
        ("ipinfo generic_country_free.mmdb", "", "powered by IPinfo"),
        ("GeoLite2-Country", "of the IPFire Location database", "IPFire Location database"),
        ("Own-Country", "our own table", "our own table"),
        ("Own-Country", "", "Own-Country"),
    ],
)
def test_each_product_is_named(database_type: str, description: str, named: str) -> None:
    assert named in credit_of(database_type, description)


def test_a_real_database_says_whose_it_is() -> None:
    assert "IPFire" in load_geoip(str(COUNTRIES)).credit

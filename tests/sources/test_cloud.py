from __future__ import annotations

import json
from ipaddress import ip_network

import pytest

from redirector.sources.mirrors_d.cloud import parse_ranges, pick_networks

LISTS = {
    "aws": {
        "syncToken": "1",
        "prefixes": [
            {"ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "AMAZON", "network_border_group": "x"},
            {"ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "EC2", "network_border_group": "x"},
            {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "EC2", "network_border_group": "x"},
        ],
        "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/40", "region": "us-east-1", "service": "EC2"}],
    },
    "gcp": {
        "prefixes": [
            {"ipv4Prefix": "192.0.2.0/25", "service": "Google Cloud", "scope": "us-east-1"},
            {"ipv6Prefix": "2001:db8::/40", "service": "Google Cloud", "scope": "us-east-1"},
            {"ipv4Prefix": "198.51.100.0/24", "service": "Google Cloud", "scope": "eu-west-1"},
        ]
    },
    "azure": {
        "values": [
            {
                "name": "A.us",
                "properties": {"region": "US-East-1", "addressPrefixes": ["192.0.2.0/25", "2001:db8::/40"]},
            },
            {"name": "A.eu", "properties": {"region": "eu-west-1", "addressPrefixes": ["198.51.100.0/24"]}},
        ]
    },
    "oci": {
        "regions": [
            {"region": "us-east-1", "cidrs": [{"cidr": "192.0.2.0/25", "tags": ["OCI"]}, {"cidr": "2001:db8::/40"}]},
            {"region": "eu-west-1", "cidrs": [{"cidr": "198.51.100.0/24", "tags": []}]},
        ]
    },
}
EAST = (ip_network("192.0.2.0/25"), ip_network("2001:db8::/40"))
WEST = (ip_network("198.51.100.0/24"),)


@pytest.mark.parametrize("cloud", LISTS)
def test_each_cloud_s_list_gives_the_networks_of_its_regions(cloud: str) -> None:
    ranges = parse_ranges(cloud, json.dumps(LISTS[cloud]).encode())
    assert pick_networks(ranges, ["us-east-1"]) == EAST
    assert pick_networks(ranges, ["EU-West-1"]) == WEST
    assert set(pick_networks(ranges, [])) == set(pick_networks(ranges, ["all"])) == {*EAST, *WEST}
    assert pick_networks(ranges, ["mars"]) == ()


def test_neighbouring_networks_are_joined() -> None:
    prefixes = [{"ip_prefix": f"192.0.2.{start}/26", "region": "x"} for start in (0, 64, 128, 192)]
    ranges = parse_ranges("aws", json.dumps({"prefixes": prefixes}).encode())
    assert pick_networks(ranges, ["x"]) == (ip_network("192.0.2.0/24"),)


@pytest.mark.parametrize("cloud", LISTS)
@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"prefixes": [{"region": "x", "scope": "x"}]}']
)
def test_anything_else_is_refused(cloud: str, raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_ranges(cloud, raw)


def test_a_prefix_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_ranges("gcp", b'{"prefixes": [{"ipv4Prefix": "192.0.2.1/24", "scope": "x"}]}')

"""Address ranges of clouds, from local copies of the lists that they publish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

import msgspec

from redirector.model import Network

CLOUD_LIMIT_BYTES = 64 << 20
"""Azure's list, the largest, has 5 MB."""


class _AwsPrefix(msgspec.Struct):
    region: str
    ip_prefix: str = ""
    ipv6_prefix: str = ""


class _Aws(msgspec.Struct):
    prefixes: list[_AwsPrefix]
    ipv6_prefixes: list[_AwsPrefix] = []


class _GcpPrefix(msgspec.Struct):
    scope: str
    ipv4_prefix: str = msgspec.field(default="", name="ipv4Prefix")
    ipv6_prefix: str = msgspec.field(default="", name="ipv6Prefix")


class _Gcp(msgspec.Struct):
    prefixes: list[_GcpPrefix]


class _AzureProperties(msgspec.Struct):
    region: str = ""
    address_prefixes: list[str] = msgspec.field(default_factory=list, name="addressPrefixes")


class _AzureTag(msgspec.Struct):
    properties: _AzureProperties


class _Azure(msgspec.Struct):
    values: list[_AzureTag]


class _OciCidr(msgspec.Struct):
    cidr: str


class _OciRegion(msgspec.Struct):
    region: str
    cidrs: list[_OciCidr]


class _Oci(msgspec.Struct):
    regions: list[_OciRegion]


def _parse_aws(raw: bytes) -> Iterator[tuple[str, str]]:
    ranges = msgspec.json.decode(raw, type=_Aws)
    for prefix in (*ranges.prefixes, *ranges.ipv6_prefixes):
        yield prefix.region, prefix.ip_prefix or prefix.ipv6_prefix


def _parse_gcp(raw: bytes) -> Iterator[tuple[str, str]]:
    for prefix in msgspec.json.decode(raw, type=_Gcp).prefixes:
        yield prefix.scope, prefix.ipv4_prefix or prefix.ipv6_prefix


def _parse_azure(raw: bytes) -> Iterator[tuple[str, str]]:
    for tag in msgspec.json.decode(raw, type=_Azure).values:
        for prefix in tag.properties.address_prefixes:
            yield tag.properties.region, prefix


def _parse_oci(raw: bytes) -> Iterator[tuple[str, str]]:
    for region in msgspec.json.decode(raw, type=_Oci).regions:
        for cidr in region.cidrs:
            yield region.region, cidr.cidr


_PARSERS: Mapping[str, Callable[[bytes], Iterator[tuple[str, str]]]] = {
    "aws": _parse_aws,
    "gcp": _parse_gcp,
    "azure": _parse_azure,
    "oci": _parse_oci,
}

CLOUDS = tuple(_PARSERS)


def parse_ranges(cloud: str, raw: bytes) -> Mapping[str, frozenset[Network]]:
    """Region in lower case -> its networks, from the list that *cloud* publishes.

    raises  ValueError with one line of text for anything else, and for a list without a network
    """
    regions: dict[str, set[Network]] = {}
    try:
        for region, prefix in _PARSERS[cloud](raw):
            regions.setdefault(region.lower(), set()).add(ip_network(prefix))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not regions:
        raise ValueError("names no network")
    return {region: frozenset(networks) for region, networks in regions.items()}


def pick_networks(ranges: Mapping[str, frozenset[Network]], regions: Iterable[str]) -> tuple[Network, ...]:
    """The fewest networks that cover the named *regions*; none, or `all`, means every region."""
    names = {region.lower() for region in regions}
    everything = not names or "all" in names
    networks = {net for region, members in ranges.items() if everything or region in names for net in members}
    return (
        *collapse_addresses(net for net in networks if isinstance(net, IPv4Network)),
        *collapse_addresses(net for net in networks if isinstance(net, IPv6Network)),
    )

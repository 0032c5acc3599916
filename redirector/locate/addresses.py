"""Addresses as bytes: 4 or 16 of them, network order; an IPv4 address in IPv6 clothes is that IPv4 address."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6, inet_pton

from redirector.model import Network

_MAPPED = bytes(10) + b"\xff\xff"
"""RFC 4291, section 2.5.5.2. The longest IPv4 address has fewer bytes."""


def parse_address(text: str) -> bytes | None:
    """The address *text* as 4 or 16 bytes, IPv4-mapped unwrapped; None for anything but a plain address.

    Octal, short and zero-padded forms (`1.2`, `010.0.0.1`) are read differently by different programs, so they are
    refused, as are ports, brackets and zones.
    """
    try:
        return unwrap(inet_pton(AF_INET6 if ":" in text else AF_INET, text))
    except (OSError, ValueError):  # ValueError: NUL, or what is no Unicode text
        return None


def unwrap(address: bytes) -> bytes:
    """The four bytes that 16 of an IPv4-mapped address end with; any other *address* as it is."""
    return address[12:] if address.startswith(_MAPPED) else address


def unwrap_network(network: Network) -> Network:
    """The IPv4 network that a network of IPv4-mapped addresses stands for, or *network*."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        address = unwrap(network.network_address.packed)
        if len(address) == 4:
            return IPv4Network((address, network.prefixlen - 96))
    return network

"""Whom the crawler may talk to: a mirror's name, its redirects and its DNS are written by others.

A name in the registry that points at an inner machine must not make the crawler knock there. So the question is never
"is this name harmless?", but "may a connection go to this number and port?", asked with the number that is about to be
used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import assert_never

from redirector.locate.addresses import unwrap

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

WEB_PORTS = frozenset({80, 443, 873})
"""Where a mirror is without saying so: http, https, rsync."""

_V4_REFUSED = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, RFC 1122
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared by carriers, RFC 6598
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and where clouds keep their credentials
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # relays of 6to4, given up by RFC 7526
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_V6_GLOBAL = IPv6Network("2000::/3")
"""All that is given out to anybody so far (RFC 4291, 2.4); the rest is reserved or not global."""

_V6_REFUSED = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation, RFC 3849
        "3fff::/20",  # documentation, RFC 9637
    )
)

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")


class Refusal(Enum):
    """Why a connection is not made."""

    ADDRESS = "address is not public"
    PORT = "port is neither 80, 443, 873 nor one of the mirror's own"


@dataclass(frozen=True, slots=True)
class Safety:
    """The rule by which connections are made or refused.

    allowed  networks that an operator exempts (`--allow-address`): those of an inner network, of tests
    """

    allowed: tuple[Network, ...] = ()

    def refusal(self, address: str | Address, port: int, own_ports: Iterable[int] = ()) -> Refusal | None:
        """Why no connection may go to *address* and *port*, or None.

        address    a number, as it is about to be connected to; anything else is refused
        own_ports  ports in the mirror's own URLs
        """
        if not self.allows(address):
            return Refusal.ADDRESS
        if port not in WEB_PORTS and port not in own_ports:
            return Refusal.PORT
        return None

    def allows(self, address: str | Address) -> bool:
        """Whether *address* may be connected to: public, or exempt. What is no number never is."""
        if isinstance(address, str):
            try:
                address = ip_address(address)
            except ValueError:
                return False
        if isinstance(address, IPv6Address) and address.scope_id is None:
            address = ip_address(unwrap(address.packed))
        return any(address in network for network in self.allowed) or is_public(address)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from their texts; an address is the network of itself alone.

    raises  ValueError that names the one that is none
    """
    return tuple(ip_network(text.strip()) for text in texts)


def is_public(address: Address) -> bool:
    """Whether *address* is global unicast, with any IPv4 address inside it likewise.

    The tables are our own: those of `ipaddress` differ between Python's versions, call site-local addresses global and
    every address of NAT64 reserved.
    """
    match address:
        case IPv4Address():
            return not any(address in network for network in _V4_REFUSED)
        case IPv6Address():
            if address.scope_id is not None:
                return False
            inner = _inside(address)
            if inner is not None:
                return is_public(inner)
            return address in _V6_GLOBAL and not any(address in network for network in _V6_REFUSED)
        case _:
            assert_never(address)


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that gets what is sent to *address* (RFC 4291 2.5.5.2, RFC 6052, RFC 3056)."""
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(number & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFFFFFF)
    return None

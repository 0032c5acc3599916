"""Addresses that clients may have."""

from __future__ import annotations

from ipaddress import IPv6Network
from random import Random

LOOPBACK = 127 << 24
"""127.0.0.0/8, from where a proxy is believed: no client's address."""

ALLOCATIONS_V6 = tuple(
    map(
        IPv6Network,
        "2601::/20 2601:9000::/20 2601:a000::/20 2630::/16 2408:8000::/20 2409:6000::/20 240e:2000::/19 2003:400::/22 "
        "2003:800::/21 2003:1000::/20 2a08::/19 2a01:c000::/22 2a01:d000::/21 2a01:2000::/20 2001:1c00::/23 "
        "2a01:1000::/21 2a02:9000::/23 2409:4000::/22 2400::/20 2400:4000::/22 2001:a000::/21 2001:b000::/21 "
        "2800:2000::/20 2c0e:2000::/20 2001:4600::/24 2a02:1800::/24".split(),
    )
)
"""Large providers' address space around the world. Most of IPv6 belongs to nobody yet, and so to no country."""


def draw_v4(chance: Random) -> int:
    """A unicast IPv4 address as an integer; never a loopback one."""
    address = chance.randrange(1 << 24, 223 << 24)
    return address if address < LOOPBACK else address + (1 << 24)


def draw_v6(chance: Random) -> int:
    """An IPv6 address of some large provider, as an integer."""
    allocation = chance.choice(ALLOCATIONS_V6)
    return int(allocation.network_address) | chance.getrandbits(128 - allocation.prefixlen)

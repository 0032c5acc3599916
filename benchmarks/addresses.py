"""Addresses that a client may have."""

from __future__ import annotations

from random import Random

LOOPBACK = 127 << 24
"""127.0.0.0/8, from where a proxy is believed: no client's address."""


def draw_v4(chance: Random) -> int:
    """A unicast IPv4 address as an integer; never a loopback one."""
    address = chance.randrange(1 << 24, 223 << 24)
    return address if address < LOOPBACK else address + (1 << 24)

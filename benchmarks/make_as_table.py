"""A made-up AS table of the internet's shape: `PREFIX/LENGTH ASN` a line, IPv4 before IPv6, both ascending."""

from __future__ import annotations

from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop

import numpy as np
from numpy.typing import NDArray

from benchmarks.addresses import ALLOCATIONS_V6, LOOPBACK

_LENGTHS_4 = {12: 1, 14: 2, 15: 2, 16: 14, 17: 9, 18: 14, 19: 26, 20: 44, 21: 53, 22: 114, 23: 103, 24: 587}
_LENGTHS_6 = {28: 1, 29: 5, 32: 25, 36: 7, 40: 14, 44: 18, 48: 90}
"""Prefix length -> how usual it is, per mille of the real table."""

_SHARE_6 = 0.155
_ASES = 80_000

_Draws = np.random.Generator
_Prefixes = NDArray[np.uint64]


def write_as_table(path: Path, lines: int, seed: int) -> list[int]:
    """Write *lines* prefixes; returns the AS numbers that occur, or some that could where *lines* is 0."""
    draws = np.random.default_rng(seed)
    numbers = draws.permutation(np.arange(1_000, 1_000 + 5 * _ASES))[:_ASES]
    count_6 = round(lines * _SHARE_6)
    # Few ASes announce most prefixes.
    chosen = (_ASES * draws.random(lines) ** 3).astype(int)
    asns = iter(numbers[chosen].tolist())
    with open(path, "w", buffering=1 << 20) as file:
        for packed in _draw_prefixes_4(draws, lines - count_6).tolist():
            address = inet_ntop(AF_INET, (packed >> 8).to_bytes(4, "big"))
            file.write(f"{address}/{packed & 0xFF} {next(asns)}\n")
        for packed in _draw_prefixes_6(draws, count_6).tolist():
            address = inet_ntop(AF_INET6, (packed >> 8).to_bytes(6, "big") + bytes(10))
            file.write(f"{address}/{packed & 0xFF} {next(asns)}\n")
    present = np.unique(chosen) if lines else np.arange(100)
    return list(numbers[present].tolist())


def _draw_prefixes_4(draws: _Draws, count: int) -> _Prefixes:
    """*count* different prefixes, ascending: 32 bits of address, then 8 of length."""
    wanted = count + count // 4
    addresses = draws.integers(1 << 24, 223 << 24, wanted, dtype=np.uint64)
    addresses += (addresses >= LOOPBACK).astype(np.uint64) << np.uint64(24)
    return _distinct(draws, count, addresses, 32, _LENGTHS_4)


def _draw_prefixes_6(draws: _Draws, count: int) -> _Prefixes:
    """Likewise, with the first 48 bits of the address."""
    wanted = count + count // 4
    starts = np.array([int(network.network_address) >> 80 for network in ALLOCATIONS_V6], dtype=np.uint64)
    sizes = np.array([1 << 48 - network.prefixlen for network in ALLOCATIONS_V6], dtype=np.uint64)
    chosen = draws.integers(0, len(starts), wanted)
    inside = (draws.random(wanted) * sizes[chosen]).astype(np.uint64)
    return _distinct(draws, count, starts[chosen] | inside, 48, _LENGTHS_6)


def _distinct(draws: _Draws, count: int, addresses: _Prefixes, bits: int, usual: dict[int, int]) -> _Prefixes:
    """*count* of the prefixes that *addresses* lie in, after each got a length."""
    shares = np.array(list(usual.values())) / sum(usual.values())
    lengths = draws.choice(np.array(list(usual), dtype=np.uint64), len(addresses), p=shares)
    free = np.uint64(bits) - lengths
    prefixes = np.unique((addresses >> free << free) << np.uint64(8) | lengths)
    assert len(prefixes) >= count, f"{count} prefixes are too many to be different"
    return np.sort(draws.choice(prefixes, count, replace=False))

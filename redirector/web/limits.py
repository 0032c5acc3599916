"""How often somebody may ask: a bucket for each account, and for each network of those who are nobody yet.

Pure: the time is an argument. What is kept is bounded; when it is full, who has been quiet for longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_network

from redirector.locate.addresses import parse_address

MAX_BUCKETS = 50_000
"""Some 10 MB."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limits:
    """Buckets of *burst* tokens that fill with *rate* a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, who: str, now: float, cost: float = 1.0) -> float:
        """0 when *who* may, else the seconds until he may. cost: 1 µs"""
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(self._burst, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(who)
            bucket.tokens = min(self._burst, bucket.tokens + max(0.0, now - bucket.at) * self._rate)
            bucket.at = now
        if bucket.tokens < cost:
            return (cost - bucket.tokens) / self._rate
        bucket.tokens -= cost
        return 0.0


def network_of(address: str) -> str:
    """The network whose members share a limit: IPv4 /24, IPv6 /48; the text itself where it is no address."""
    packed = parse_address(address.partition("%")[0])
    return address if packed is None else str(ip_network((packed, 24 if len(packed) == 4 else 48), strict=False))

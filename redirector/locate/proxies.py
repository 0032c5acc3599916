"""Who is the client: the connection's peer and `X-Forwarded-For`, walked from the right through trusted proxies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as far as the connection and the proxies that we trust can say.

    address   4 or 16 bytes, network order, IPv4-mapped already unwrapped; None: unknown, gets the public answer
    trusted   the address left after the walk is itself a trusted proxy's: its `ip=` is believed in full
    readable  False: some element of `X-Forwarded-For` could not be read (the address is None then)
    """

    address: bytes | None
    trusted: bool = False
    readable: bool = True

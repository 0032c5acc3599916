"""Who is the client: the connection's peer and `X-Forwarded-For`, walked from the right through trusted proxies.

The peer of a unix socket has no address and is trusted to speak for others. A trusted peer speaks for itself only on
loopback: elsewhere it is a balancer, and without a header nobody knows whom it speaks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from redirector.locate.addresses import parse_address
from redirector.locate.ranges import RangeTable, table_of_networks
from redirector.model import Network


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as far as the connection and the proxies that we trust can say.

    address   4 or 16 bytes, network order, IPv4-mapped already unwrapped; None: unknown, gets the public answer
    trusted   a proxy forwarded the request, and the address left after the walk is itself a trusted proxy's: its `ip=`
              is believed in full. Never true of the connection's own peer: a proxy that forgets its header must not
              lend its standing to strangers
    readable  False: some element of `X-Forwarded-For` could not be read (the address is None then)
    """

    address: bytes | None
    trusted: bool = False
    readable: bool = True


UNKNOWN = Client(None)
UNREADABLE = Client(None, readable=False)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks whose `X-Forwarded-For` is believed; a look-up takes 0.5 µs, however many there are."""

    table: RangeTable

    def __contains__(self, address: bytes) -> bool:
        return self.table.find(address) != 0


def trusted_proxies_of(networks: Iterable[Network]) -> TrustedProxies:
    """The table of *networks*, made once: it has 1.3 MB, and takes 6 while it is made, so whoever forks calls this
    before."""
    return _trusted_proxies(tuple(networks))


@lru_cache(maxsize=4)
def _trusted_proxies(networks: tuple[Network, ...]) -> TrustedProxies:
    return TrustedProxies(table_of_networks((network, 1) for network in networks))


def find_client(peer: str | None, forwarded: Sequence[str], trusted: TrustedProxies) -> Client:
    """Who asks over a connection from *peer* (None: a unix socket), with these lines of `X-Forwarded-For`.

    A *peer* that is no address, such as "" of a connection that was reset before anybody looked, is nobody.

    An untrusted peer is the client, whatever it says of others.
    cost  2 µs, and 1 µs for each element that is walked
    """
    if forwarded and is_proxy(peer, trusted):
        return find_forwarded(forwarded, trusted)
    return find_peer(peer, trusted)


def is_proxy(peer: str | None, trusted: TrustedProxies) -> bool:
    """Whether *peer* may say for whom it speaks."""
    if peer is None:
        return True
    address = _parse_element(peer)
    return address is not None and address in trusted


def find_peer(peer: str | None, trusted: TrustedProxies) -> Client:
    """The client of a connection that says nothing of others."""
    address = None if peer is None else _parse_element(peer)
    if address is None:
        return UNKNOWN
    if address not in trusted:
        return Client(address)
    return Client(address) if _is_loopback(address) else UNKNOWN


def find_forwarded(forwarded: Sequence[str], trusted: TrustedProxies) -> Client:
    """The client that the lines of a trusted peer's header name: the first from the right that is no trusted proxy.

    If all are, it is the leftmost. Whatever cannot be read ends the walk: beyond it, anybody may have written.
    """
    address = None
    for line in reversed(forwarded):
        for element in reversed(line.split(",")):
            address = _parse_element(element.strip(" \t"))
            if address is None:
                return UNREADABLE
            if address not in trusted:
                return Client(address)
    return UNKNOWN if address is None else Client(address, trusted=True)


_PARTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PAIR = re.compile(r'(?:^|;)\s*(?P<name>[A-Za-z]+)\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|[^;,"\s]*)')


def read_forwarded(lines: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Of `Forwarded` (RFC 7239): who asked each proxy, as a line of `X-Forwarded-For` would say; and how the first one
    was asked, "" where it is not said. What cannot be read stands for nobody."""
    clients, scheme = [], ""
    for part in _PARTS.findall(",".join(lines)):
        pairs = {match["name"].lower(): match["value"].strip('"') for match in _PAIR.finditer(part)}
        scheme = scheme or pairs.get("proto", "").lower()
        clients.append(pairs.get("for", "unknown"))
    return tuple(clients), scheme


def scheme_of(text: str) -> str:
    """How the client asked, by the value of `X-Forwarded-Proto`: the first proxy's word, in lower case."""
    return text.partition(",")[0].strip().lower()


_V6_LOOPBACK = bytes(15) + b"\x01"


def _is_loopback(address: bytes) -> bool:
    return address[0] == 127 if len(address) == 4 else address == _V6_LOOPBACK


def _parse_element(text: str) -> bytes | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `fe80::1%eth0`, `[2001:db8::1]`, `[fe80::1%2]:443`."""
    address = parse_address(text)
    if address is not None:
        return address
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in text or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, colon, port = text.partition(":")
        if not _is_port(colon + port):
            return None
    host, percent, zone = text.partition("%")
    if percent and not (zone and ":" in host):
        return None
    return parse_address(host)


def _is_port(text: str) -> bool:
    """Whether *text* is a colon and up to five digits."""
    return text[0] == ":" and 2 <= len(text) <= 6 and text.isascii() and text[1:].isdecimal()

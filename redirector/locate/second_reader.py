"""A second reader of country databases, `maxminddb`'s own in Python: for commands that look up few addresses, in which
it holds the tables that the server answers from to account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv6Network, ip_address

import maxminddb

from redirector.errors import SnapshotError
from redirector.locate.geoip import NOWHERE, Location, location_of

_COPIES = tuple(map(IPv6Network, ("::/96", "2001::/32", "2002::/16")))
"""Copies of the IPv4 tree inside the IPv6 tree, which our tables leave out."""


class SecondReader:
    """One database, in memory. Its reader is the one in Python: damage makes that in C end the process."""

    def __init__(self, reader: maxminddb.Reader) -> None:
        self._reader = reader

    def find(self, address: bytes) -> Location:
        """Where *address* is: 4 or 16 bytes. cost: 100 µs"""
        number = ip_address(address)
        if number.version == 6 and any(number in network for network in _COPIES):
            return NOWHERE
        try:
            return location_of(self._reader.get(number))
        except Exception:  # a damaged record can be anything, and its reader fails in many ways
            return NOWHERE


def open_second_reader(path: str) -> SecondReader:
    """The database *path* as `maxminddb` reads it. Raises SnapshotError."""
    try:
        return SecondReader(maxminddb.open_database(path, maxminddb.MODE_MEMORY))
    except Exception as error:  # likewise
        raise SnapshotError.of(path, f"maxminddb cannot read it: {error}") from error


def find_doubt(path: str, address: bytes, country: str | None) -> str | None:
    """Why it is doubtful that *address* is in *country*, as our tables say of the database *path*; None: it is not."""
    return next((f"{path}: {doubt}" for doubt in find_doubts(path, {address: country})), None)


def find_doubts(path: str, countries: Mapping[bytes, str | None]) -> Iterator[str]:
    """The same for each of these addresses that is in doubt, with the country that our tables say."""
    reader = open_second_reader(path)
    for address, country in countries.items():
        other = reader.find(address).country
        if other != country:
            names = [each or "nowhere" for each in (country, other)]
            yield f"{ip_address(address)} is in {names[0]} by our own reader, in {names[1]} by maxminddb's"

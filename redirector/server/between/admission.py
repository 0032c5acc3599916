"""Who may ask what operators do: by the peer's address, and never on behalf of a page from somewhere else.

A browser on an operator's machine reaches us as the operator does. What keeps a page of a stranger from using that:
browsers say where a request comes from (`Origin`, `Sec-Fetch-Site`), and a name that was made to lead here
(DNS rebinding) stands in `Host`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address

from redirector.locate.addresses import parse_address
from redirector.model import Network

_OWN_SITES = ("same-origin", "none")
"""`Sec-Fetch-Site` of a request that the page itself, or a person, has made (W3C Fetch Metadata)."""


def is_within(peer: str | None, networks: Collection[Network]) -> bool:
    """Whether *peer* is in *networks*. None, the peer of a unix socket, is: the file's permissions have decided."""
    if peer is None:
        return True
    packed = parse_address(peer.partition("%")[0])
    return packed is not None and any(ip_address(packed) in network for network in networks)


def find_foreign(headers: Mapping[str, str], names: Collection[str]) -> str | None:
    """The header by which a request shows that a page from elsewhere has caused it; None when none does.

    names  by which the listener may be asked, beside addresses and `localhost`
    """
    if not _is_own(headers.get("Host", ""), names):
        return "Host"
    if headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        return "Sec-Fetch-Site"
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != headers["Host"].lower():
        return "Origin"
    return None


def _is_own(host: str, names: Collection[str]) -> bool:
    """Whether *host*, with or without a port, is an address, `localhost` or one of *names*."""
    name = host.lower()
    if name.startswith("["):
        name, bracket, port = name[1:].partition("]")
        if not bracket or not _is_port(port):
            return False
    else:
        name, colon, port = name.partition(":")
        if not _is_port(colon + port):
            return False
    if name == "localhost" or name.rstrip(".") in {each.lower() for each in names}:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text == "" or (text[0] == ":" and text[1:].isascii() and text[1:].isdecimal())

"""The rules of what people type: text, names, URLs, networks, AS numbers, addresses, tiers. Pure functions.

`read_…` takes text or a number and returns the value in its one spelling, or raises ValueError with a line that says
what would be right; pydantic turns that into a problem at the field (`nouns`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from redirector.locate.places import countries, find_country
from redirector.model import SCHEMES, Network

TEXT_LIMIT = 255


BANDWIDTHS_MBIT = (1, 1_000_000)

ACL_LIMIT = 32
"""Addresses a host may name for itself: a master's list stays readable."""

CLOUDS = ("aws", "gcp", "azure", "oci")

_BREAKS = {"Cc", "Zl", "Zp", "Cs"}
"""Control characters, line and paragraph separators, halves of surrogate pairs."""

_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
"""Marks that turn the direction of what follows, so that a name reads as another; and what XML 1.0 rules out."""

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"

_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=[0-9-]*[A-Za-z]){_LABEL}")
"""At least two labels, the last not a number (RFC 1123, 2.1)."""

_HOST_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
"""A name, or an address with or without a port, as mirrors of a tree are called."""

_MAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?P<domain>[A-Za-z0-9.-]{1,253})")

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?:(?P<user>[^/@?#]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})"
    r"(?P<port>:[0-9]{0,5})?"
    r"(?P<path>/[A-Za-z0-9._~!&'()*+,;=:@%/-]*)?"
)
"""RFC 3986 without `$`, which package managers expand."""

_FREQUENCY = re.compile(r"[1-9][0-9]{0,3} ?(?:m|min|h|d|w)")

_USUAL_PORTS = {"http": "80", "https": "443", "rsync": "873", "ftp": "21"}


NAME_KEY_LIMIT, LOGIN_KEY_LIMIT = 255, 64
"""What the tables hold: folding makes some letters longer."""


def name_key(text: str, limit: int = NAME_KEY_LIMIT) -> str:
    """What names are compared by: case, width, ligatures and the way accents are written make no difference.

    limit  characters; of what is longer the end is a digest
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if len(folded) <= limit:
        return folded
    digest = blake2b(folded.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return folded[: limit - len(digest)] + digest


def login_key(text: str) -> str:
    """What logins are compared by."""
    return name_key(text, LOGIN_KEY_LIMIT)


# -- Text --------------------------------------------------------------------------------------------------------------


def read_text(text: str) -> str:
    """One line without control characters, at most 255 characters; white space at its ends goes."""
    text = text.strip()
    if any(unicodedata.category(character) in _BREAKS for character in text) or _TURNS.search(text):
        raise ValueError("one line without control characters is needed")
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"{len(text)} characters are too many: at most {TEXT_LIMIT}")
    return text


def read_filled_text(text: str) -> str:
    """The same, not empty."""
    text = read_text(text)
    if not text:
        raise ValueError("must not be empty")
    return text


def read_mail(text: str) -> str:
    """One mail address (RFC 5321, without quoted names)."""
    text = read_text(text)
    match = _MAIL.fullmatch(text)
    if match is None or ".." in text or text.startswith(".") or ".@" in text or not _DOMAIN.fullmatch(match["domain"]):
        raise ValueError("a mail address is needed, such as mirror@example.org")
    return text


def read_login(text: str) -> str:
    """A name to log in by: letters, digits, `.`, `_`, `-`, `@`, `+`."""
    text = read_filled_text(text)
    if not re.fullmatch(r"[\w.@+-]{1,64}", text):
        raise ValueError("letters, digits and . _ - @ + are allowed, at most 64")
    return text


def read_host_name(text: str) -> str:
    """A host's name: letters, digits, dots, hyphens; a bare address, perhaps with a port, is a name too."""
    text = read_filled_text(text)
    if not _HOST_NAME.fullmatch(text) or text in (".", "..") or text.casefold() == "master":
        raise ValueError("a host name is needed, such as mirror.example.org")
    return text


def read_country(text: str) -> str:
    """An ISO 3166 code of two letters, in upper case."""
    code = read_text(text).upper()
    if code in countries():
        return code
    meant = find_country(text)
    raise ValueError(f"an ISO 3166 code is needed{f'; {meant} would be right' if meant else ', such as DE'}")


def read_frequency(text: str) -> str:
    """How often a host updates, such as `3h`; "" for unknown."""
    text = read_text(text)
    if text and not _FREQUENCY.fullmatch(text):
        raise ValueError("a number and a unit are needed, such as 30m, 3h or 1d")
    return text


# -- Paths -------------------------------------------------------------------------------------------------------------


def read_tree_path(text: str) -> str:
    """A directory of the master tree, without outer slashes; "" is the top of all."""
    text = re.sub("/{2,}", "/", read_text(text)).strip("/")
    if not {".", ".."}.isdisjoint(text.split("/")) or "\\" in text:
        raise ValueError("a directory of the master tree is needed, such as pub/linux")
    return text


def read_top(text: str) -> str:
    """A category's top directory: not empty."""
    text = read_tree_path(text)
    if not text:
        raise ValueError("a directory of the master tree is needed, such as pub/linux")
    return text


def read_pattern(text: str) -> str:
    """A pattern of paths below a category's top, such as `*/source/*`."""
    text = read_filled_text(text).strip("/")
    if not text or not {".", ".."}.isdisjoint(text.split("/")):
        raise ValueError("a path below the category's top is needed, * stands for anything: */source/*")
    return text


# -- URLs --------------------------------------------------------------------------------------------------------------


def read_page_url(text: str) -> str:
    """An organisation's page: http or https, with a host."""
    text = read_filled_text(text)
    match = re.fullmatch(r"(?i:https?)://(?P<authority>[^/\s?#@\\]+)(?:[/?#]\S*)?", text)
    if match is None or not _is_authority(match["authority"]):
        raise ValueError("an http or https URL is needed, such as https://example.org/")
    return text


def _is_authority(text: str) -> bool:
    match = re.fullmatch(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?", text)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        return False
    return not match["host"].startswith("[") or _is_v6(match["host"])


def _is_v6(bracketed: str) -> bool:
    try:
        IPv6Address(bracketed[1:-1])
    except ValueError:
        return False
    return True


def read_base_url(text: str, allow_ftp: bool) -> str:
    """A base URL of a mirror: scheme and host in lower case, no usual port, one slash at the end.

    raises  ValueError: no query, fragment, user or password; http, https, rsync, or ftp where it is allowed
    """
    text = read_filled_text(text)
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    allowed = [name for name in SCHEMES if name != "ftp" or allow_ftp]
    if not separator or scheme not in allowed:
        no_ftp = "; ftp is not allowed here" if scheme == "ftp" and separator else ""
        raise ValueError(f"a URL of {', '.join(allowed[:-1])} or {allowed[-1]} is needed{no_ftp}")
    if "?" in rest or "#" in rest:
        raise ValueError("a base URL has no query and no fragment: paths are put behind it")
    match = _URL.fullmatch(f"{scheme}://{rest}")
    if match is None:
        raise ValueError("not a base URL, such as https://mirror.example.org/linux/")
    if match["user"] is not None:
        raise ValueError("a base URL holds no user and no password")
    host = match["host"].lower()
    if not (_is_v6(host) if host.startswith("[") else _is_name_or_v4(host)):
        raise ValueError(f"{host} is no host")
    digits = (match["port"] or "")[1:]
    if digits and not 0 < int(digits) < 65536:
        raise ValueError("no such port")
    port = digits.lstrip("0")
    path = re.sub("/{2,}", "/", match["path"] or "/")
    if not {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.isdisjoint(path.lower().split("/")):
        raise ValueError("a base URL has no . and no .. in its path")
    shown = f":{port}" if port and port != _USUAL_PORTS[scheme] else ""
    return f"{scheme}://{host}{shown}{path.rstrip('/')}/"


def _is_name_or_v4(host: str) -> bool:
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ip_address(host)
        except ValueError:
            return False
        return True
    return all(re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", label) for label in host.rstrip(".").split("."))


# -- Networks ----------------------------------------------------------------------------------------------------------


class Reach(Enum):
    """What a network of a host needs before it counts."""

    FREE = "free"
    """It counts at once."""
    WIDE = "wide"
    """It waits for a distribution admin."""
    SPECIAL = "special"
    """Not global: entered by distribution admins alone."""


_SPECIAL = tuple(
    map(
        ip_network,
        # IANA's special-purpose registries (RFC 6890 and its updates), multicast, and what is reserved.
        """
        0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
        192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
        ::/8 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7
        fe80::/10 fec0::/10 ff00::/8
        """.split(),
    )
)

_WIDEST = {4: 16, 6: 32}

_MAPPED = IPv6Network("::ffff:0:0/96")


def read_network(text: str) -> str:
    """A CIDR in its one spelling, or the DNS name of a NAT gateway in lower case.

    raises  ValueError for bits beyond the prefix, for all addresses there are, and for anything else
    """
    text = read_filled_text(text)
    if _DOMAIN.fullmatch(text.rstrip(".")) and not re.fullmatch(r"[0-9.]+", text):
        return text.rstrip(".").lower()
    try:
        network = ip_network(text)
    except ValueError:
        try:
            meant = ip_network(text, strict=False)
        except ValueError:
            raise ValueError("a network such as 192.0.2.0/24, or a host name, is needed") from None
        raise ValueError(f"bits are set behind the prefix; {meant} would be right") from None
    if network.prefixlen == 0:
        raise ValueError("this would be everybody")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
        if network.prefixlen == 0:
            raise ValueError("this would be everybody")
    return str(network)


def is_name(network: str) -> bool:
    """True for the DNS name of a gateway, as `read_network` leaves it."""
    return "/" not in network


def reach_of(network: str) -> Reach:
    """What the network, as `read_network` leaves it, needs. What a name resolves to is judged at publishing."""
    if is_name(network):
        return Reach.FREE
    parsed = ip_network(network)
    if not is_global(parsed):
        return Reach.SPECIAL
    return Reach.WIDE if parsed.prefixlen < _WIDEST[parsed.version] else Reach.FREE


def is_global(network: Network) -> bool:
    """False when *network* lies in addresses that are not routed on the internet, or holds nothing else."""
    return not any(
        network.version == special.version and (network.subnet_of(special))  # type: ignore[arg-type]
        for special in _SPECIAL
    )


def read_acl_address(text: str) -> str:
    """An address, a network no wider than /24 or /48, or a DNS name; a single address stands without its prefix."""
    text = read_filled_text(text)
    if _DOMAIN.fullmatch(text.rstrip(".")) and not re.fullmatch(r"[0-9.]+", text):
        return text.rstrip(".").lower()
    try:
        network: Network = ip_network(text)
    except ValueError:
        raise ValueError("an address, a network such as 192.0.2.0/28, or a host name is needed") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    widest = 24 if network.version == 4 else 48
    if network.prefixlen < widest:
        raise ValueError(f"wider than /{widest}: name the addresses that pull")
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


_RESERVED_ASNS = (
    range(0, 1),  # RFC 7607
    range(23456, 23457),  # AS_TRANS, RFC 6793
    range(64496, 131072),  # documentation, private use, last 16-bit, unallocated: RFC 5398, 6996, 7300; IANA
    range(4200000000, 2**32),  # private use, and the last: RFC 6996, 7300
)


def read_asn(number: int) -> int:
    """An AS number from 1 to 4294967295 that somebody may announce."""
    if not 0 < number < 2**32:
        raise ValueError("a number from 1 to 4294967295 is needed")
    if any(number in reserved for reserved in _RESERVED_ASNS):
        raise ValueError(f"AS {number} is reserved: nobody announces it")
    return number


# -- Who pulls from whom -----------------------------------------------------------------------------------------------

Host = int


def find_loop(host: Host, source: Host | None, sources: Mapping[Host, Host]) -> Sequence[Host]:
    """The hosts of the loop that *host* pulling from *source* would close, *host* first; () when there is none.

    sources  host -> the one it pulls from, as it is now
    """
    chain = [host]
    while source is not None:
        if source == host:
            return tuple(chain)
        if source in chain:
            return ()
        chain.append(source)
        source = sources.get(source)
    return ()

"""What comes into `answer/` and what leaves it: `Request` and `Answer`, and the closed sets that label them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from redirector.model import HostId

if TYPE_CHECKING:  # the supervisor knows these labels, and has no use for tables of networks
    from redirector.locate.proxies import Client


class Kind(Enum):
    """What was asked for; the label `answer` of the metrics. An error counts under the kind that was asked for."""

    MIRRORLIST = "mirrorlist"
    METALINK = "metalink"
    REDIRECT = "redirect"
    ISOLIST = "isolist"
    PAGE = "page"
    OTHER = "other"


class Form(IntEnum):
    """What a host shows of itself: one URL, all of its URLs, or the one that a client is sent to."""

    MIRRORLIST = 0
    METALINK = 1
    REDIRECT = 2


class Tier(Enum):
    """Why a host is in the list, nearest first; the label `tier` of the metrics."""

    NETBLOCK = "netblock"
    ASN = "asn"
    COUNTRY = "country"
    CONTINENT = "continent"
    GLOBAL = "global"
    NONE = "none"

    __hash__ = object.__hash__  # `Enum` has one in Python, which takes longer than all else of a look-up


@dataclass(frozen=True, slots=True)
class Request:
    """One question.

    target  the request target as it stood in the request line, undecoded
    now     epoch seconds
    chance  64 random bits, used where the order window is 0 or the client is unknown
    accept  the `Accept` header; only file redirects look at it
    host    the `Host` header; only the page looks at it
    scheme  how the client asked, as a trusted proxy in front of us says (`X-Forwarded-Proto`): the page shows it, and
            who came by https is sent on by https
    operator  it is the peer itself who asks, and `admin_allow` holds its address
    """

    target: bytes
    client: Client
    now: float
    chance: int
    accept: str = ""
    host: str = ""
    scheme: str = ""
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, ready to be written; the fields below the body are for metrics and logs.

    content_type  "" for an empty body
    headers       beyond `Content-Type`, `Content-Length` and `Cache-Control`
    first         the host given first; None when there is none
    country       the client's ISO code; None when unknown
    relaxed       wishes that could not be met (`country`, `protocol`, ...), from a closed set
    asked         (repo, arch) as asked, for the access log; None where no such line is due
    """

    status: int
    kind: Kind
    body: bytes
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    tier: Tier = Tier.NONE
    first: HostId | None = None
    country: str | None = None
    relaxed: tuple[str, ...] = ()
    asked: tuple[str, str] | None = None


def relaxed_header(relaxed: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What could not be met, said in a header."""
    return (("X-Relaxed", ", ".join(relaxed)),) if relaxed else ()

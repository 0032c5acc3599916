"""What a probe is asked to do, and what it saw: the values between plan, probes and judgement.

A `Probe` goes in, `Evidence` comes out. Evidence decides nothing: it says when, from where and how something was asked
and what came. Judgement is made of it alone, so it can be made again with other numbers.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

FINDING_LIMIT = 200
"""Characters of a stranger's text that are kept; all of them printable."""

REASON_LIMIT = 400
"""The same of a reason, which names a path beside it."""

MARKER_LIMIT_BYTES = 64 << 10
INDEX_LIMIT_BYTES = 4 << 20


class Ask(StrEnum):
    """What a probe wants to know.

    MARKER    the mirror's time stamp or state: the body counts, at most `MARKER_LIMIT_BYTES`
    INDEX     `repomd.xml`, `Release` and the like: the hash counts, at most `INDEX_LIMIT_BYTES`
    FILE      whether a file is there and how large it is; its body is not fetched
    CONTROL   a name that cannot exist, asked like a file: where it is there, only checksums count
    FOLDER    one directory, as a page of links or by rsync: which names it holds
    FILES     by rsync: the named files in one run, size and time of each
    LISTING   by rsync: everything below the base
    """

    MARKER = "marker"
    INDEX = "index"
    FILE = "file"
    CONTROL = "control"
    FOLDER = "folder"
    FILES = "files"
    LISTING = "listing"


class Scheme(StrEnum):
    HTTP = "http"
    HTTPS = "https"
    RSYNC = "rsync"


class Family(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Outcome(StrEnum):
    """What came of a probe.

    OK             what was asked for is there, whole
    UNCHANGED      304: as it was when the mirror gave the validators that were sent along
    MISSING        404, 410, rsync's "missing"
    BUSY           429, 503 with `Retry-After`, rsync's "max connections"
    DENIED         401, 403, rsync's refusal
    NO_NAME        the name does not resolve
    NO_CONNECTION  refused, reset, closed before an answer
    TIMEOUT        10 s to connect, 30 s in all, rsync's bounds
    TLS_EXPIRED, TLS_UNTRUSTED, TLS_NAME, TLS   the certificate, its issuer, its name; anything else before an answer
    SERVER_ERROR   5xx, 503 without `Retry-After`
    CUT            fewer bytes than `Content-Length` or the last chunk promised; rsync 12: a cut list looks whole
    REDIRECT       to another file name, from https to http, or the fourth in a row
    FORBIDDEN      the name, or a redirect, leads to an address or a port that nobody may be sent to
    HOSTILE        beyond a bound, a listing with `..`, rsync 4 and 22: discarded and reported
    UNREADABLE     an answer that is none of these (other status, broken HTTP)
    NO_ROUTE       ours: we have no route for that family
    OURS           ours: no rsync program, rsync 1 and 2, our own resolver dead
    UNASKED        ours: the budget of the address was spent, or the visit ended before
    """

    OK = "ok"
    UNCHANGED = "unchanged"
    MISSING = "missing"
    BUSY = "busy"
    DENIED = "denied"
    NO_NAME = "no-name"
    NO_CONNECTION = "no-connection"
    TIMEOUT = "timeout"
    TLS_EXPIRED = "tls-expired"
    TLS_UNTRUSTED = "tls-untrusted"
    TLS_NAME = "tls-name"
    TLS = "tls"
    SERVER_ERROR = "server-error"
    CUT = "cut"
    REDIRECT = "redirect"
    FORBIDDEN = "forbidden"
    HOSTILE = "hostile"
    UNREADABLE = "unreadable"
    NO_ROUTE = "no-route"
    OURS = "ours"
    UNASKED = "unasked"


ANSWERED = frozenset({Outcome.OK, Outcome.UNCHANGED, Outcome.MISSING})
"""The mirror answered as a mirror does."""

UNREACHED = frozenset({Outcome.NO_CONNECTION, Outcome.TIMEOUT})
"""Nothing came from where it was asked."""

OUR_OWN = frozenset({Outcome.NO_ROUTE, Outcome.OURS, Outcome.UNASKED})
"""Says nothing about the mirror."""

FAILED = frozenset(Outcome) - ANSWERED - OUR_OWN - {Outcome.BUSY}
"""Failures of the mirror (DENIED is none where the directory is secret at the master)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one mirror.

    host         the mirror's key
    category     whose base URL this is; "" where a host has but one
    ask          what is wanted
    base         base URL, `http://…/`, `https://…/` or `rsync://…/`, closed by a slash
    path         below the base, without outer slashes; bytes that are no UTF-8 as surrogate escapes
    paths        FILES: the names, likewise
    family       the family to be used; None: whichever connects first
    etag, modified  validators of an earlier answer, as they came (`If-None-Match`, `If-Modified-Since`); "": in full
    ports        ports of the mirror's own URLs, allowed beside 80, 443 and 873
    """

    host: str
    category: str
    ask: Ask
    base: str
    path: str = ""
    paths: tuple[str, ...] = ()
    family: Family | None = None
    etag: str = ""
    modified: str = ""
    ports: frozenset[int] = frozenset()

    @property
    def scheme(self) -> Scheme:
        return Scheme(self.base.partition(":")[0])


@dataclass(frozen=True, slots=True)
class FolderItem:
    """One line of a listing. *path* is below the probe's base and path; None where a page of links does not say."""

    path: str
    size_bytes: int | None = None
    modified: int | None = None
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one path at one moment. A `FILES` probe gives one for each name.

    at            when the answer was complete, epoch seconds
    vantage       who looked
    address       the address that was connected to, as text; "" where it did not come to that
    family        of that address
    status        HTTP status, or rsync's exit
    sha256        INDEX and MARKER: of the whole body, lower-case hex
    size_bytes    of the body, or as announced for a file
    modified      `Last-Modified`, rsync's time
    stamp         the time inside: a marker's (MARKER), the greatest `data/timestamp` of a repomd.xml, a `Release`'s
                  `Date` (INDEX); None: not readable
    valid_until   a `Release`'s `Valid-Until`
    text          MARKER: first line of the body, cut like a finding
    html          the body is a page for people though nobody asked for one
    duration_s    from the connection's begin to the last byte
    retry_after   BUSY: when to come again, epoch seconds
    etag, last_modified  validators, as they came
    redirected    host (and port) of another machine that the mirror sent us to
    certificate_made, certificate_expires  https: begin and end of the certificate, epoch seconds
    entries       FOLDER, LISTING: what it holds; not kept
    complete      FOLDER, LISTING: nothing is known to be missing from entries (rsync 23: false)
    finding       what deserves a line for people: error text, a stranger's reply; ≤ `FINDING_LIMIT`, printable
    """

    at: int
    vantage: str
    host: str
    category: str
    ask: Ask
    base: str
    path: str
    outcome: Outcome
    scheme: Scheme
    family: Family | None = None
    address: str = ""
    status: int | None = None
    sha256: str = ""
    size_bytes: int | None = None
    modified: int | None = None
    stamp: float | None = None
    valid_until: int | None = None
    text: str = ""
    html: bool = False
    duration_s: float = 0.0
    retry_after: int | None = None
    etag: str = ""
    last_modified: str = ""
    redirected: str = ""
    certificate_made: int | None = None
    certificate_expires: int | None = None
    entries: tuple[FolderItem, ...] = ()
    complete: bool = True
    finding: str = ""


def printable(text: str, limit: int = FINDING_LIMIT) -> str:
    """A stranger's text in one line: what cannot be printed is replaced, what is too long is cut with `…`."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def printable_reason(text: str) -> str:
    """Why a mirror is judged so, likewise: it names paths, whose bytes may be anything, beside what was found."""
    return printable(text, REASON_LIMIT)


def readable(path: str) -> str:
    """*path* as text that can be written: bytes that are no UTF-8, and were kept as surrogate escapes, are replaced."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Manners(Protocol):
    """Whoever connects asks here first, with the address that was checked. Every attempt is a turn: redirects too."""

    def turn(
        self, address: IPv4Address | IPv6Address, scheme: Scheme, *, whole_listing: bool = False
    ) -> AbstractAsyncContextManager[bool]:
        """Waits until that address may be asked, and holds one of its connections meanwhile.

        False: today's budget of that address is spent; nothing may be sent, the outcome is `UNASKED`.
        """


class Prober(Protocol):
    """An edge that answers probes; never raises for what a mirror does."""

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        """One evidence, or for `FILES` one for each name (a failed run: one for the first name, failed)."""

    async def close(self) -> None:
        """Ends connections and programs that are under way; what is awaited ends with `UNASKED`."""

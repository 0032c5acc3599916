"""What `format=` asks for besides mirrorlists and metalinks: the same ranked hosts, as other clients read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from redirector import __version__
from redirector.answer.answer import Form, Tier
from redirector.answer.ask.listing import Listing
from redirector.answer.show.urls import plain_url
from redirector.tree.releases import BASEARCH

METALINK4_TYPE = "application/metalink4+xml"
JSON_TYPE = "application/json"

_HASHES = {"sha512": "sha-512", "sha256": "sha-256", "sha1": "sha-1", "md5": "md5"}
"""Our names, and those that IANA registered (RFC 5854, section 4.2.4.2), strongest first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One host of a list, as a format may show it.

    km    distance from the client; None where it is not known or plays no part
    urls  whole, best first
    """

    host: str
    country: str | None
    tier: Tier
    reason: str
    km: float | None
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """All that a format may show.

    country  the client's ISO code; None when unknown
    relaxed  wishes that could not be met
    now      epoch seconds
    """

    listing: Listing
    entries: tuple[Entry, ...]
    country: str | None
    relaxed: tuple[str, ...]
    now: int


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a table becomes an answer.

    form       whose hosts and URLs are shown: a mirrorlist's, or a metalink's (every URL)
    every_url  of each host all URLs are shown, whatever *form* says, unless a protocol is wished for
    """

    form: Form
    content_type: str
    render: Callable[[Table], bytes]
    every_url: bool = False


@dataclass(frozen=True, slots=True)
class LineFormat:
    """How URLs, best first, become lines.

    form  whose hosts and URLs are shown: a mirrorlist's, or a redirect's (http and https)
    """

    form: Form
    render: Callable[[Sequence[str]], bytes]


def render_metalink4(table: Table) -> bytes:
    """Metalink 4 (RFC 5854) of a file whose details are known."""
    listing = table.listing
    assert listing.file is not None
    newest = listing.details[0]
    published = datetime.fromtimestamp(table.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
        f"  <generator>redirector/{__version__}</generator>",
        f"  <published>{published}</published>",
        f"  <file name={quoteattr(listing.file)}>",
    ]
    if newest.size_bytes:
        lines.append(f"    <size>{newest.size_bytes}</size>")
    for ours, name in _HASHES.items():
        if digest := getattr(newest, ours):
            lines.append(f'    <hash type="{name}">{digest}</hash>')
    shown = [(entry, url) for entry in table.entries for url in entry.urls]
    for priority, (entry, url) in enumerate(shown, 1):
        location = f' location="{entry.country.lower()}"' if entry.country else ""
        lines.append(f'    <url{location} priority="{priority}">{escape(plain_url(url))}</url>')
    return "\n".join([*lines, "  </file>", "</metalink>", ""]).encode()


def render_json(table: Table) -> bytes:
    """One object; its schema is in `docs/formats.md`."""
    hosts: list[dict[str, Any]] = [
        {
            "host": entry.host,
            "tier": entry.tier.value,
            "country": entry.country,
            "distance_km": None if entry.km is None else round(entry.km, 1),
            "reason": entry.reason,
            "urls": entry.urls,
        }
        for entry in table.entries
    ]
    lists = f"{table.listing.directory}/{table.listing.file or ''}"
    answer = {"lists": lists, "client": {"country": table.country}, "relaxed": table.relaxed, "hosts": hosts}
    return msgspec.json.format(msgspec.json.encode(answer), indent=1) + b"\n"


def render_apt(urls: Sequence[str]) -> bytes:
    """apt-transport-mirror's list: it tries the lowest priority first, and those without one last and at random."""
    return "".join(f"{plain_url(url)}\tpriority:{n}\n" for n, url in enumerate(urls, 1)).encode()


def render_pacman(urls: Sequence[str]) -> bytes:
    """`Server` lines; of what a listing leaves open, the architecture has another name with pacman."""
    plain = (plain_url(url).replace(BASEARCH, "$arch").removesuffix("/") for url in urls)
    return "".join(f"Server = {url}\n" for url in plain).encode()


TABLES: Mapping[str, TableFormat] = {
    "meta4": TableFormat(Form.METALINK, METALINK4_TYPE, render_metalink4),
    "json": TableFormat(Form.MIRRORLIST, JSON_TYPE, render_json, every_url=True),
}
"""What `format=` may say for answers that say more of hosts than their URLs."""

LINES: Mapping[str, LineFormat] = {
    "apt": LineFormat(Form.REDIRECT, render_apt),
    "pacman": LineFormat(Form.MIRRORLIST, render_pacman),
}
"""What it may say for lines of URLs that are not those of a mirrorlist."""

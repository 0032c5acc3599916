"""What `format=` asks for besides mirrorlists and metalinks: the same ranked hosts, as other clients read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from redirector import __version__
from redirector.answer.answer import Form, Tier
from redirector.answer.urls import plain_url
from redirector.snapshot.listing import Listing
from redirector.sources.releases import BASEARCH

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
class Format:
    """How a table becomes an answer.

    form       whose hosts and URLs are shown: a mirrorlist's, a metalink's (every URL), or a redirect's (http, https)
    every_url  of each host all URLs are shown, whatever *form* says, unless a protocol is wished for
    """

    form: Form
    content_type: str
    render: Callable[[Table], bytes]
    every_url: bool = False


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
    places = [(entry, url) for entry in table.entries for url in entry.urls]
    for priority, (entry, url) in enumerate(places, 1):
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
    return json.dumps(answer, indent=1).encode() + b"\n"


def render_apt(table: Table) -> bytes:
    """apt-transport-mirror's list: it tries the lowest priority first, and those without one last and at random."""
    urls = [plain_url(url) for entry in table.entries for url in entry.urls]
    return "".join(f"{url}\tpriority:{priority}\n" for priority, url in enumerate(urls, 1)).encode()


def render_pacman(table: Table) -> bytes:
    """`Server` lines; of what a listing leaves open, the architecture has another name with pacman."""
    urls = [plain_url(url).replace(BASEARCH, "$arch") for entry in table.entries for url in entry.urls]
    return "".join(f"Server = {url.removesuffix('/')}\n" for url in urls).encode()


TABLES: Mapping[str, Format] = {
    "meta4": Format(Form.METALINK, METALINK4_TYPE, render_metalink4),
    "json": Format(Form.MIRRORLIST, JSON_TYPE, render_json, every_url=True),
    "apt": Format(Form.REDIRECT, "text/plain", render_apt),
    "pacman": Format(Form.MIRRORLIST, "text/plain", render_pacman),
}
"""The formats that are made from a table; `mirrorlist` and `metalink` are not."""

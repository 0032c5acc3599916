"""Redirects: to the best mirror of a file, with the others and the file's hashes in headers (RFC 6249)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence

from redirector.answer.show.urls import plain_url
from redirector.model import FileDetail, Host, HostSet, listings

MAX_LINKS = 8
"""Mirrors in `Link` headers, one a line: more would fill the header buffers of small clients."""

_HEX = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")

_METALINKS = {"application/metalink4+xml": "meta4", "application/metalink+xml": "metalink"}
"""Media types, the newer one first, and what `format=` calls them."""


def wanted_metalink(accept: str) -> str | None:
    """The format of the metalink that an `Accept` header names; None when it names none. A range names none."""
    qualities: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        if format := _METALINKS.get(media):
            qualities[format] = _quality(parameters)
    wanted = [format for format in _METALINKS.values() if qualities.get(format, 0.0) > 0]
    return max(wanted, key=lambda format: qualities[format], default=None)


def _quality(parameters: Sequence[str]) -> float:
    """The weight that *parameters* give (RFC 9110, 12.4.2); one that cannot be read counts as none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def countries_of_urls(hosts: Sequence[Host], host_sets: Sequence[HostSet]) -> dict[str, str]:
    """Base URL -> country of the host that has it, in lower case."""
    return {
        url: country.lower() for host, urls in listings(host_sets) if (country := hosts[host].country) for url in urls
    }


def link_headers(bases: Sequence[str], ending: str, countries: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A `Link` (RFC 6249) for each of the first few of *bases*, best first; *countries* of `countries_of_urls`."""
    for priority, base in enumerate(bases[:MAX_LINKS], 1):
        geo = f"; geo={countries[base]}" if base in countries else ""
        yield "Link", f"<{plain_url(base + ending)}>; rel=duplicate; pri={priority}{geo}"


def digest_headers(details: Sequence[FileDetail]) -> Iterator[tuple[str, str]]:
    """The SHA-256 of the newest version, else its SHA-512, as RFC 3230 and as RFC 9530 spell it."""
    for newest in details[:1]:
        for name, digest in (("sha-256", newest.sha256), ("sha-512", newest.sha512)):
            if _HEX.fullmatch(digest):
                encoded = b64encode(bytes.fromhex(digest)).decode()
                yield "Digest", f"{name.upper()}={encoded}"
                yield "Repr-Digest", f"{name}=:{encoded}:"
                return

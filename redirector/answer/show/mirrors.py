"""Public mirrors as pages show them: by country, with who provides them and how they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from redirector.answer.show.urls import plain_url
from redirector.locate.places import fold, name_of_country
from redirector.model import Host, HostId, utc

_EMAIL = re.compile(r"[^\s@]@[^\s@]")


@dataclass(frozen=True, slots=True)
class ShownMirror:
    """One mirror.

    address          what its name leads to; "": it has nothing that a browser can read
    standing         that it is down or switched off, and since when; "": neither
    sponsor          who pays for it, without a way to write to them; "": not said
    sponsor_address  likewise
    """

    name: str
    address: str
    schemes: tuple[str, ...]
    standing: str
    sponsor: str
    sponsor_address: str


@dataclass(frozen=True, slots=True)
class ShownCountry:
    """The mirrors of one country, by name.

    name    in English; its code where no country has that, "" for mirrors of which it is not known
    anchor  where they stand on a page, whatever others there are
    """

    name: str
    anchor: str
    mirrors: tuple[ShownMirror, ...]


def by_country(hosts: Sequence[Host], urls: Mapping[HostId, Sequence[str]]) -> tuple[ShownCountry, ...]:
    """Those of *hosts* that have *urls*, which a browser may open; the unknown country last."""
    found: dict[str, list[ShownMirror]] = {}
    for host in sorted(urls, key=lambda host: hosts[host].name):
        facts = hosts[host]
        found.setdefault(name_of_country(facts.country or ""), []).append(_shown(facts, urls[host]))
    names = sorted(found, key=lambda name: (not name, name))
    return tuple(ShownCountry(name, _anchor(name), tuple(found[name])) for name in names)


def _anchor(country: str) -> str:
    return "in-" + (re.sub("[^a-z0-9]+", "-", fold(country)).strip("-") or "unknown")


def _shown(host: Host, urls: Sequence[str]) -> ShownMirror:
    readable = next((url for url in urls if url.startswith(("https:", "http:"))), "")
    sponsor = "" if _EMAIL.search(host.sponsor) else host.sponsor
    return ShownMirror(
        name=host.name,
        address=address_of(readable),
        schemes=tuple(dict.fromkeys(url.partition(":")[0] for url in urls)),
        standing=_standing(host),
        sponsor=sponsor,
        sponsor_address=address_of(host.sponsor_url) if sponsor else "",
    )


def _standing(host: Host) -> str:
    if host.switched_off:
        return host.withheld
    if host.up:
        return ""
    since = host.condition.since if host.condition is not None else None
    return "down" if since is None else f"down since {utc(since)}"


def address_of(url: str) -> str:
    """*url* where it is one of the web's and names no user, else ""."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in url:
        return ""
    return plain_url(url)

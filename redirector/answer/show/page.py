"""The page for people: what this server is, how programs are pointed at it, and the public mirrors by country."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from redirector.answer.answer import Answer, Kind
from redirector.answer.choose.listed import Listed
from redirector.answer.show.face import Face
from redirector.answer.show.isos import list_isos
from redirector.answer.show.mirrors import address_of, by_country
from redirector.answer.show.render import render
from redirector.answer.show.samples import SITE, absent_programs, pick_sample, snippets
from redirector.locate.places import countries
from redirector.model import HostId
from redirector.snapshot.snapshot import Snapshot
from redirector.tree.resolve import plain_names

VISITOR = "\1"
"""Where what depends on the visitor goes; no name holds a control character."""

YOURS = 5
"""How many of a visitor's own mirrors are shown."""

PLAIN_FACE = Face()

PAGE_TYPE = "text/html; charset=utf-8"

PAGE_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
)
"""The page loads nothing and runs nothing, whatever an operator's files say."""

_UNKNOWN_SITE = "http://mirrors.example"
"""What stands for it where a client does not say whom it asked."""

_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")

_MAX_NAMES = 2000
"""Fedora has some 500 repositories."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page, cut where this server's own address goes, and where what depends on the visitor does."""

    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


def compile_page(snapshot: Snapshot, face: Face = PLAIN_FACE) -> Page:
    """The page. cost: 20 ms for 500 mirrors"""
    urls = _public_urls(snapshot)
    groups = by_country(snapshot.hosts, urls)
    sample, repositories = pick_sample(snapshot), _repositories(snapshot)
    whole = render(
        "page.html",
        snapshot=snapshot,
        face=face,
        links=[_link_of_face(text, url) for text, url in face.links],
        mirrors=len(urls),
        countries=len([country for country in groups if country.name]),
        groups=groups,
        snippets=list(snippets(sample, face.gpgkey)),
        absent=absent_programs(sample),
        names=len(repositories),
        repositories=repositories[:_MAX_NAMES],
        versions=list(list_isos(snapshot.releases)) if snapshot.releases else [],
        visitor=VISITOR,
    )
    before, after = whole.split(VISITOR)
    return Page(*(tuple(piece.encode() for piece in part.split(SITE)) for part in (before, after)))


def answer_page(page: Page, host: str, scheme: str, visitor: str = "") -> Answer:
    """The page for a client that asked *host*, by *scheme* as a proxy in front of us says; either may be anything.

    visitor  what `write_visitor` wrote
    """
    site = _UNKNOWN_SITE
    if _HOST.fullmatch(host):
        site = f"{'https' if scheme.strip().lower() == 'https' else 'http'}://{host}"
    body = site.encode().join(page.before) + visitor.encode() + site.encode().join(page.after)
    return Answer(200, Kind.PAGE, body, PAGE_TYPE, PAGE_HEADERS)


def write_visitor(snapshot: Snapshot, listed: Sequence[Listed], country: str | None) -> str:
    """The mirrors that a visitor's own programs get, best first; "" when there are none."""
    facts = snapshot.hosts
    shown = [each for each in listed if facts[each.host].for_strangers and not facts[each.host].origin][:YOURS]
    if not shown:
        return ""
    mirrors = []
    for each in shown:
        host = facts[each.host]
        where = ", ".join(filter(None, (host.country, "" if each.km is None else f"{each.km:,.0f} km")))
        mirrors.append((host.name, address_of(f"{each.urls[0]}/") if each.urls else "", where))
    known = countries().get(country or "")
    return render("visitor.html", country=known.name if known else "", mirrors=mirrors)


def _link_of_face(text: str, url: str) -> tuple[str, str, bool]:
    """*text*, where it leads ("": nowhere), and whether that is a page beside this one."""
    beside = url.startswith("/") and not url.startswith("//")
    return text, url if beside else address_of(url), beside


def _repositories(snapshot: Snapshot) -> list[tuple[str, list[str]]]:
    """What `repo=` may say, and what `arch=` with each."""
    known = (name for name, directory in snapshot.repositories.items() if directory in snapshot.directories)
    arches: dict[str, list[str]] = {}
    for repo, arch in plain_names(snapshot.releases) if snapshot.releases else known:
        if repo not in snapshot.disabled:
            arches.setdefault(repo, []).append(arch)
    return [(repo, sorted(arches[repo])) for repo in sorted(arches)]


def _public_urls(snapshot: Snapshot) -> dict[HostId, tuple[str, ...]]:
    """Every host that strangers may have, also one that is switched off for a while, and its base URLs."""
    found: dict[HostId, dict[tuple[str, ...], None]] = {}
    resting = [HostId(n) for n, host in enumerate(snapshot.hosts) if host.public_again]
    for carriers in snapshot.host_sets:
        for host in (*carriers.public, *resting):
            found.setdefault(host, {})[carriers.urls.get(host, ())] = None
    urls = {}
    for host, listed in found.items():
        facts = snapshot.hosts[host]
        if any(listed) and (facts.for_strangers or facts.public_again) and not facts.origin:
            urls[host] = tuple(f"{url}/" for url in dict.fromkeys(chain.from_iterable(listed)))
    return urls

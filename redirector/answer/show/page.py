"""The page for people: what this server is, how programs are pointed at it, and the public mirrors by country."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlsplit

from redirector.answer.answer import Answer, Kind
from redirector.answer.choose.listed import Listed
from redirector.answer.show.face import Face
from redirector.answer.show.samples import SITE, Sample, absent_programs, pick_sample, snippets
from redirector.answer.show.urls import plain_url
from redirector.locate.places import countries, fold
from redirector.model import Host, HostId, utc
from redirector.snapshot.snapshot import Snapshot
from redirector.tree.resolve import iso_names, plain_names

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

_EMAIL = re.compile(r"[^\s@]@[^\s@]")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5a6570; --paper: #fff; --box: #f3f5f7; --line: #d9dee3;
  --link: #0b57a4; --ill: #a4260b }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9ba7b3; --paper: #14181c; --box: #1f252b;
  --line: #343c44; --link: #7db8f5; --ill: #f5a07d } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .5rem 0 }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem }
p { margin: .5rem 0; max-width: 42rem }
a { color: var(--link) }
nav a, .countries a { margin-right: .9rem; white-space: nowrap }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .75rem;
  margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere }
code { font: .875rem/1.5 ui-monospace, monospace }
table { border-collapse: collapse; table-layout: fixed; width: 100%; font-size: .95rem }
caption { text-align: left; color: var(--soft); padding: .25rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere }
thead th { color: var(--soft); font-weight: 600 }
thead th:nth-child(1) { width: 47% }
#mirrors thead th:nth-child(2) { width: 25% }
@media (max-width: 600px) { table { font-size: .9rem } th, td { padding-right: .5rem } }
tbody th { padding-top: 1.1rem; font-size: 1.05rem }
.schemes { overflow-wrap: normal; color: var(--soft) }
.soft { color: var(--soft) }
.ill { color: var(--ill); font-size: .9rem }
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The page, cut where this server's own address goes, and where what depends on the visitor does."""

    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


def compile_page(snapshot: Snapshot, face: Face = PLAIN_FACE) -> Page:
    """The page. cost: 20 ms for 500 mirrors"""
    hosts = _public_hosts(snapshot)
    places = _by_country(snapshot, hosts)
    sample = pick_sample(snapshot)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{escape(face.title)}</title>\n",
        f"<style>{STYLE}</style>\n</head>\n<body>\n<header>\n",
        f'<p class="logo">{escape(face.logo)}</p>\n' if face.logo else "",
        f"<h1>{escape(face.title)}</h1>\n",
        f"<p>This server tells package managers which mirrors are near them: {_count(len(hosts), 'public mirror')} in "
        f"{_count(len([place for place in places if place]), 'country', 'countries')}. Point a program at it once, and "
        "it gets the nearest ones at every update, best first.</p>\n",
        '<nav aria-label="On this page">',
        *(f'<a href="#{each.program}">{each.program}</a> ' for each in snippets(sample, face.gpgkey)),
        '<a href="#repositories">repositories</a> ',
        '<a href="#isos">ISO images</a> ' if snapshot.releases else "",
        '<a href="#mirrors">mirrors by country</a></nav>\n',
        *_links(face),
        "</header>\n<main>\n",
        VISITOR,
        *_usage(sample, face),
        *_repositories(snapshot),
        *_isos(snapshot),
        *_mirrors(snapshot, places),
        f'</main>\n<footer>\n<p class="soft">Data of {utc(snapshot.built)}</p>\n{credit_line(snapshot)}</footer>\n',
        "</body>\n</html>\n",
    ]
    before, after = "".join(parts).split(VISITOR)
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
    known = countries()
    where = f" in {known[country].name}" if country and country in known else ""
    lines = []
    for each in shown:
        host = snapshot.hosts[each.host]
        place = ", ".join(filter(None, (host.country, "" if each.km is None else f"{each.km:,.0f} km")))
        link = link_to(host.name, f"{each.urls[0]}/") if each.urls else escape(host.name)
        lines.append(f"<li>{link}" + (f' <span class="soft">{escape(place)}</span>' if place else "") + "</li>\n")
    return (
        f'<section id="yours">\n<h2>Your mirrors</h2>\n<p>Programs at your address{escape(where)} are given these '
        f"first:</p>\n<ol>\n{''.join(lines)}</ol>\n</section>\n"
    )


def credit_line(snapshot: Snapshot) -> str:
    """Whose data says where clients are; "" where nobody says."""
    return f'<p class="soft">Where addresses are: {escape(snapshot.geo_credit)}</p>\n' if snapshot.geo_credit else ""


def _links(face: Face) -> Iterator[str]:
    if face.links:
        yield '<p class="links">'
        yield from (f"{_link_of_ours(text, url)} " for text, url in face.links)
        yield "</p>\n"


def _isos(snapshot: Snapshot) -> Iterator[str]:
    """Where ISO images lie, by version and architecture."""
    releases = snapshot.releases
    if releases is None:
        return
    yield '<section id="isos">\n<h2>ISO images</h2>\n<ul>\n'
    for version, arches in iso_names(releases):
        prefix, short = ("/kitten", version.removesuffix("-kitten")) if version.endswith("-kitten") else ("", version)
        links = (f'<a href="{prefix}/isos/{quote(arch)}/{quote(short)}">{escape(arch)}</a>' for arch in arches)
        yield f"<li>{escape(version)}: {' '.join(links)}</li>\n"
    yield "</ul>\n</section>\n"


def _count(number: int, one: str, many: str = "") -> str:
    return f"<strong>{number:,}</strong> {one if number == 1 else many or one + 's'}"


def _link_of_ours(text: str, url: str) -> str:
    """A link that the operator set, or to a page beside this one."""
    if url.startswith("/") and not url.startswith("//"):
        return f'<a href="{escape(url)}">{escape(text)}</a>'
    return link_to(text, url)


def _usage(sample: Sample, face: Face) -> Iterator[str]:
    yield "<section>\n<h2>How to use it</h2>\n"
    for each in snippets(sample, face.gpgkey):
        yield f'<h3 id="{each.program}">{escape(each.title)}</h3>\n'
        for text, code in each.steps:
            yield f"<p>{_with_code(text)}</p>\n<pre><code>{escape(code)}</code></pre>\n"
    if absent := absent_programs(sample):
        yield f'<p class="soft">There is nothing for {escape(" and ".join(absent))} here.</p>\n'
    yield "</section>\n"


def _repositories(snapshot: Snapshot) -> Iterator[str]:
    """What `repo=` and `arch=` may say."""
    known = (name for name, directory in snapshot.repositories.items() if directory in snapshot.directories)
    arches: dict[str, list[str]] = {}
    for repo, arch in plain_names(snapshot.releases) if snapshot.releases else known:
        if repo not in snapshot.disabled:
            arches.setdefault(repo, []).append(arch)
    yield '<section id="repositories">\n<h2>Repositories</h2>\n<details>\n<summary>'
    yield f"{_count(len(arches), 'name')} for <code>repo=</code></summary>\n"
    yield "<table>\n<caption>Repositories and their architectures</caption>\n<thead><tr>"
    yield '<th scope="col">repo=</th><th scope="col">arch=</th></tr></thead>\n<tbody>\n'
    for repo in sorted(arches)[:_MAX_NAMES]:
        yield f"<tr><td>{escape(repo)}</td><td>{escape(', '.join(sorted(arches[repo])))}</td></tr>\n"
    yield "</tbody>\n</table>\n</details>\n</section>\n"


def _with_code(text: str) -> str:
    """*text* with what stands between back-ticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _public_hosts(snapshot: Snapshot) -> dict[HostId, tuple[str, ...]]:
    """Every host that strangers may have, also one that is switched off for a while, with its base URLs there."""
    found: dict[HostId, dict[str, None]] = {}
    resting = [HostId(n) for n, host in enumerate(snapshot.hosts) if host.public_again]
    for carriers in snapshot.host_sets:
        for host in (*carriers.public, *resting):
            facts = snapshot.hosts[host]
            if (facts.for_strangers or facts.public_again) and not facts.origin:
                found.setdefault(host, {}).update(dict.fromkeys(carriers.urls.get(host, ())))
    return {host: tuple(urls) for host, urls in found.items() if urls}


def _by_country(
    snapshot: Snapshot, hosts: dict[HostId, tuple[str, ...]]
) -> dict[str, list[tuple[Host, Sequence[str]]]]:
    """Country's English name -> its hosts by name; "" last, for those of whom it is not known."""
    known = countries()
    found: dict[str, list[tuple[Host, Sequence[str]]]] = {}
    for host, urls in hosts.items():
        facts = snapshot.hosts[host]
        code = facts.country or ""
        found.setdefault(known[code].name if code in known else code, []).append((facts, urls))
    names = sorted(found, key=lambda name: (not name, name))
    return {name: sorted(found[name], key=lambda pair: pair[0].name) for name in names}


def _mirrors(snapshot: Snapshot, places: dict[str, list[tuple[Host, Sequence[str]]]]) -> Iterator[str]:
    yield '<section id="mirrors">\n<h2>Mirrors by country</h2>\n<p class="countries">'
    for name in places:
        yield f'<a href="#{_anchor(name)}">{escape(name or "unknown place")}</a> '
    yield "</p>\n<table>\n<caption>Public mirrors, the protocols that they speak, and who "
    yield 'provides them</caption>\n<thead><tr><th scope="col">Mirror</th><th scope="col">Protocols</th>'
    yield '<th scope="col">Provided by</th></tr></thead>\n'
    for name, hosts in places.items():
        yield f'<tbody>\n<tr><th id="{_anchor(name)}" colspan="3" scope="rowgroup">{escape(name or "Unknown place")} '
        yield f'<span class="soft">{len(hosts)}</span></th></tr>\n'
        yield from (row_of(host, urls) for host, urls in hosts)
        yield "</tbody>\n"
    yield "</table>\n</section>\n"


def _anchor(country: str) -> str:
    """Where the mirrors of *country* stand, whatever others there are."""
    return "in-" + (re.sub("[^a-z0-9]+", "-", fold(country)).strip("-") or "unknown")


def row_of(host: Host, urls: Sequence[str], ending: str = "/") -> str:
    """A row of a table of mirrors, linked to the first of *urls* that a browser can read, with *ending* behind."""
    schemes = dict.fromkeys(url.partition(":")[0] for url in urls)
    address = next((url for url in urls if url.startswith(("https:", "http:"))), None)
    name = link_to(host.name, f"{address}{ending}") if address else escape(host.name)
    if said := _standing(host):
        name += f'<br>\n<span class="ill">{escape(said)}</span>'
    return f'<tr><td>{name}</td><td class="schemes">{escape(" ".join(schemes))}</td><td>{_sponsor(host)}</td></tr>\n'


def _standing(host: Host) -> str:
    """That *host* is down or switched off, and since when; "" when it is neither."""
    if host.switched_off:
        return host.withheld
    if host.up:
        return ""
    since = host.condition.since if host.condition is not None else None
    return "down" if since is None else f"down since {utc(since)}"


def _sponsor(host: Host) -> str:
    """Who pays for *host*, without a way to write to them."""
    if not host.sponsor or _EMAIL.search(host.sponsor):
        return ""
    return link_to(host.sponsor, host.sponsor_url)


def link_to(text: str, url: str) -> str:
    """*text*, linked where *url* is one of the web's and names no user."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return escape(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in url:
        return escape(text)
    return f'<a href="{escape(plain_url(url))}" rel="nofollow">{escape(text)}</a>'

"""What others need to know of the network, as text: who may pull from whom, what changed, tiers, mirmon's list.

Pure: from what was read and the time to lines. Each export is sorted, says each line once, and ends each with LF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from redirector.counted import counted
from redirector.registry import rules
from redirector.registry.listing import SiteState
from redirector.registry.publish.embargo import Embargo
from redirector.registry.publish.holdings import Holdings
from redirector.registry.publish.selection import public_urls, shown_carried
from redirector.store.registry.rows import HostRow

FORMATS = ("plain", "hosts", "json")
"""How addresses are written: one a line, for `&merge` in rsyncd.conf, as a JSON array."""

NOBODY = "- *"
"""The filter that transfers nothing: what a wrong request gets, so that a mirror loses nothing by it."""

_NOT_IN_FILTERS = re.compile(r"[\x00-\x1f\x7f]")
_IN_LINES = re.compile(r"[!-~]+")
_WILD = re.compile(r"([*?\[\\])")


@dataclass(frozen=True, slots=True)
class Changed:
    """Directories of a category: path below the top -> when its content changed last, epoch seconds."""

    top: str
    directories: Mapping[str, int]


# -- Who may pull ------------------------------------------------------------------------------------------------------


def is_admitted(holdings: Holdings, host: HostRow) -> bool:
    """A public host of an approved site, both switched on: it may pull before it is listed, or it would never be."""
    site = holdings.sites[host.site]
    on = site.enabled and host.enabled and site.leaving is None and host.leaving is None
    return site.state == SiteState.APPROVED.value and on and not (host.private or site.private)


def admitted_hosts(holdings: Holdings, tier: int | None = None) -> list[HostRow]:
    """Those whom the masters let in; *tier*: of that one alone."""
    return [host for host in holdings.hosts.values() if is_admitted(holdings, host) and tier in (None, host.tier)]


def pulling_hosts(holdings: Holdings, pullers: Iterable[int]) -> list[HostRow]:
    """Hosts of the sites *pullers*, private ones too: who may pull from a host that lets these sites in."""
    sites = {
        number
        for number in pullers
        if (site := holdings.sites.get(number)) is not None
        and site.state == SiteState.APPROVED.value
        and site.enabled
        and site.leaving is None
    }
    return [host for host in holdings.hosts.values() if host.site in sites and host.enabled and host.leaving is None]


def order_addresses(addresses: Iterable[str]) -> list[str]:
    """Each once: IPv4 first, by number, then IPv6, then names.

    What an import kept though it is none is left out: `*` or a line break would let everybody in.
    """
    return sorted(set(filter(None, map(_address_of, addresses))), key=_address_key)


def _address_of(text: str) -> str | None:
    try:
        return rules.read_acl_address(text)
    except ValueError:
        return None


def _address_key(text: str) -> tuple[int, int, int, str]:
    try:
        network = ip_network(text)
    except ValueError:
        return 7, 0, 0, text
    return network.version, int(network.network_address), network.prefixlen, ""


def render_addresses(addresses: Sequence[str], layout: str) -> str:
    """The addresses in one of `FORMATS`. Without any, `hosts` lets nobody in: an empty list alone lets in everybody."""
    if layout == "json":
        return json.dumps(list(addresses)) + "\n"
    if layout == "hosts":
        return f"hosts allow = {' '.join(addresses)}".rstrip() + "\nhosts deny = *\n"
    return "".join(f"{address}\n" for address in addresses)


# -- What changed ------------------------------------------------------------------------------------------------------


def render_filter(categories: Sequence[Changed], since: int, strip: str) -> str:
    """rsync's filter for what changed after *since*: those directories, and the way to them.

    strip  what the paths of the rsync module leave out at the start: `pub/fedora`
    """
    ways: set[str] = set()
    changed: set[str] = set()
    for category in categories:
        for below, time in category.directories.items():
            path = _strip("/".join(filter(None, (category.top, below))), strip)
            if time <= since or path is None or _NOT_IN_FILTERS.search(path):
                continue
            changed.add(path)
            parts = path.split("/") if path else []
            ways.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    lines = {f"+ /{_escape(way)}/" for way in ways} | {f"+ /{_escape(path)}/*".replace("//", "/") for path in changed}
    body = "".join(f"{line}\n" for line in sorted(lines))
    return f"# what changed since {since}: {counted(len(changed), 'directories')}\n{body}{NOBODY}\n"


def _strip(path: str, prefix: str) -> str | None:
    """*path* without *prefix*; None when it is elsewhere."""
    if not prefix:
        return path
    if path == prefix:
        return ""
    return path[len(prefix) + 1 :] if path.startswith(f"{prefix}/") else None


def _escape(path: str) -> str:
    """What is a pattern to rsync stands for itself."""
    return _WILD.sub(r"\\\1", path)


# -- Tiers and mirmon --------------------------------------------------------------------------------------------------


def render_tiers(holdings: Holdings, embargo: Embargo) -> str:
    """A line a public host: tier, name, country, Mbit/s, where it pulls from, rsync URL; `-` for what is not said."""
    lines = sorted(set(_tier_lines(holdings, embargo)))
    return "".join(f"{line}\n" for line in lines)


def _tier_lines(holdings: Holdings, embargo: Embargo) -> Iterator[str]:
    for host in admitted_hosts(holdings):
        source = "master" if host.pulls_from_master else None
        if host.pulls_from is not None and (named := holdings.hosts.get(host.pulls_from)) is not None:
            source = named.name if is_admitted(holdings, named) else None
        rsync = min((url for url in urls_of(holdings, host, embargo) if url.startswith("rsync:")), default=None)
        fields = (host.tier, host.name, host.country, host.bandwidth_mbit, source, rsync)
        yield "\t".join("-" if each is None or each == "" else _in_line(str(each)) for each in fields)


def urls_of(holdings: Holdings, host: HostRow, embargo: Embargo) -> list[str]:
    """Public URLs of all that the host carries and anybody may know of, less those that imports kept with blanks."""
    return [
        url.url
        for carried in shown_carried(holdings, host, embargo)
        for url in public_urls(holdings, carried)
        if _IN_LINES.fullmatch(url.url)
    ]


def _in_line(text: str) -> str:
    """No name that an import kept ends a line or a field."""
    return "".join(each if each.isprintable() else "?" for each in text)


def render_exclusions(holdings: Holdings, host: int) -> str:
    """A line a pattern of what the host leaves out: category, tab, pattern below the category's top."""
    lines = {
        f"{_in_line(holdings.categories[carried.category].name)}\t{_in_line(pattern)}\n"
        for carried in holdings.carried.get(host, ())
        for pattern in carried.exclusions
    }
    return "".join(sorted(lines))


def render_mirmon(holdings: Holdings, embargo: Embargo, mail: bool = False) -> str:
    """mirmon's list: `cc URL/` for each public URL; *mail*: and the first contact of the site."""
    lines = set()
    for host in admitted_hosts(holdings):
        contacts = holdings.contacts.get(host.site, ())
        for url in urls_of(holdings, host, embargo):
            words = [_in_line(host.country or "--").lower(), url.rstrip("/") + "/"]
            lines.add(" ".join(words + ([contacts[0].mail] if mail and contacts else [])))
    return "".join(f"{line}\n" for line in sorted(lines))

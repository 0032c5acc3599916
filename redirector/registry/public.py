"""What anybody may know of the mirrors: one value, made of what is published and the looks that went into it. Pure.

Pages, `/api/v1/mirrors` and the export `public` all read it, so that they cannot differ from what is served.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redirector.model import SCHEMES
from redirector.registry.listing import Condition, SiteState, listing_reason
from redirector.registry.publish.contents import Look
from redirector.registry.publish.embargo import Embargo
from redirector.registry.publish.holdings import Holdings
from redirector.registry.publish.selection import (
    Publication,
    PublishedHost,
    condition_of,
    embargo_of,
    public_urls,
    shown_carried,
    shown_look,
)
from redirector.registry.views import show_time
from redirector.store.registry.rows import CarriedRow, HostRow, SiteRow

OK = "ok"
CLOUD = "cloud"
"""Public, but given to the clients of a cloud alone."""

REASONS: Mapping[str, str] = {
    OK: "listed",
    "site-draft": "its site has not asked for approval yet",
    "site-waiting": "its site waits for approval",
    "site-refused": "its site was refused",
    "site-suspended": "its site is suspended",
    "site-off": "its site is switched off by its admins",
    "host-off": "it is switched off by its admins",
    "maintenance": "it is in maintenance",
    "no-url": "it has no public http or https URL",
    "no-network": "it is private, and has no network or AS number that counts",
    "unchecked": "nobody has looked at it yet",
    "unknown": "nothing could be learnt of it for a day",
    "unreachable": "it does not answer",
    "stale": "its content is not current",
    "embargo": "what it carries is not public yet",
    CLOUD: "it serves the clients of its cloud alone",
}
"""Why a mirror is in no list, in words."""

_VERSION = re.compile(r"[0-9][0-9A-Za-z.]*|rawhide|development|Kitten|stream", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """A base URL for everybody."""

    url: str
    protocol: str
    category: str


@dataclass(frozen=True, slots=True)
class PublicCategory:
    """What a mirror carries, and whether strangers are given it there; fields as those of `PublicMirror`."""

    category: str
    state: str
    since: int
    lag_s: int | None
    product: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class PublicMirror:
    """A public host of an approved site.

    state     `ok` exactly when strangers are given it; else why not, one of `REASONS`
    since     of the state, epoch seconds; 0: not known
    text      what a visit found, or why it is not listed, for people; "" when there is nothing to say
    lag_s     how far it is behind; None: not known
    ipv4, ipv6  whether it answers there; None: not known
    networks  how many networks and AS numbers prefer it; never which
    carries   (product, version, arch) of the repositories that strangers are given there
    """

    host: str
    site: str
    site_url: str
    country: str
    place: str
    city: str
    latitude: float | None
    longitude: float | None
    bandwidth_mbit: int | None
    state: str
    since: int
    text: str
    lag_s: int | None
    ipv4: bool | None
    ipv6: bool | None
    checked: int
    tier: int | None
    pulls_from: str
    networks: int
    urls: tuple[PublicUrl, ...]
    categories: tuple[PublicCategory, ...]
    carries: frozenset[tuple[str, str, str]] = frozenset()

    @property
    def ok(self) -> bool:
        """Strangers are given it."""
        return self.state == OK

    @property
    def protocols(self) -> tuple[str, ...]:
        """Of its URLs, https first."""
        found = {url.protocol for url in self.urls}
        return tuple(name for name in SCHEMES if name in found)


@dataclass(frozen=True, slots=True)
class PublicList:
    """All public mirrors, by name.

    built  of the published data, epoch seconds
    """

    built: int
    mirrors: tuple[PublicMirror, ...]


def public_list(holdings: Holdings, publication: Publication, now: int) -> PublicList:
    """The public hosts of approved sites, and how each stands at *now*.

    publication  what `select` made of the same holdings at the same time
    cost         some 20 ms for 700 hosts
    """
    published = {host.id: host for host in publication.hosts}
    given = _given(publication)
    embargo = embargo_of(holdings, now)
    carries = _carries(holdings, publication)
    mirrors = [
        _mirror(holdings, row, site, embargo, published.get(row.id), given.get(row.id, frozenset()), carries, now)
        for row, site in _public_hosts(holdings)
    ]
    return PublicList(publication.built, tuple(sorted(mirrors, key=lambda mirror: mirror.host)))


def _public_hosts(holdings: Holdings) -> Iterator[tuple[HostRow, SiteRow]]:
    for row in holdings.hosts.values():
        site = holdings.sites[row.site]
        if site.state == SiteState.APPROVED.value and not (row.private or site.private):
            yield row, site


def _given(publication: Publication) -> dict[int, frozenset[str]]:
    """Host -> categories of which strangers are given something there."""
    found: dict[int, set[str]] = {}
    for category in publication.categories:
        for number in {number for each in category.sets for number in each.public}:
            found.setdefault(number, set()).add(category.name)
    return {number: frozenset(names) for number, names in found.items()}


def _carries(holdings: Holdings, publication: Publication) -> dict[int, set[tuple[str, str, str]]]:
    """Host -> (product, version, arch) of repositories that strangers are given there."""
    versions = {release.version_name for release in holdings.releases}
    by_directory: dict[str, set[str]] = {}
    for (prefix, arch), directory in publication.repositories.items():
        if prefix not in publication.disabled:
            by_directory.setdefault(directory, set()).add(arch)
    found: dict[int, set[tuple[str, str, str]]] = {}
    for category in publication.categories:
        wanted: dict[int, set[tuple[str, str, str]]] = {}
        for name, member in zip(category.names, category.members, strict=True):
            for arch in by_directory.get(name, ()):
                version = version_of(category.contents.subpath_of(name), versions)
                wanted.setdefault(member, set()).add((category.product, version, arch))
        for member, what in wanted.items():
            for number in category.sets[member].public:
                found.setdefault(number, set()).update(what)
    return found


def version_of(path: str, versions: frozenset[str] | set[str] = frozenset()) -> str:
    """Which version a directory below its top belongs to: the first part that is a release's name, else one that looks
    like a version; "" when there is none."""
    parts = path.split("/")
    return next(
        (part for part in parts if part in versions), next((part for part in parts if _VERSION.fullmatch(part)), "")
    )


def _mirror(
    holdings: Holdings,
    row: HostRow,
    site: SiteRow,
    embargo: Embargo,
    published: PublishedHost | None,
    given: frozenset[str],
    carries: Mapping[int, set[tuple[str, str, str]]],
    now: int,
) -> PublicMirror:
    look = shown_look(holdings, row, embargo)
    carried = shown_carried(holdings, row, embargo)
    condition = condition_of(holdings, row)
    reason = published.reason if published else listing_reason(condition, now)
    local = row.cloud_type is not None
    state, since = _state(reason, bool(given), local, look, condition)
    source = holdings.hosts.get(row.pulls_from or 0)
    return PublicMirror(
        host=row.name,
        site=site.name,
        site_url=site.url,
        country=row.country or "",
        place=row.state,
        city=row.city,
        latitude=row.latitude,
        longitude=row.longitude,
        bandwidth_mbit=row.bandwidth_mbit,
        state=state,
        since=since,
        text=look.reason if state in (look.state, OK) else "",
        lag_s=look.lag_s,
        ipv4=look.ipv4,
        ipv6=look.ipv6,
        checked=look.checked,
        tier=row.tier,
        pulls_from="master" if row.pulls_from_master else _name(holdings, source),
        networks=sum(each.counts for each in holdings.networks.get(row.id, ()))
        + sum(each.counts for each in holdings.asns.get(row.id, ())),
        urls=tuple(
            PublicUrl(url.url, url.url.partition(":")[0], holdings.categories[each.category].name)
            for each in carried
            for url in public_urls(holdings, each)
        ),
        categories=tuple(_category(holdings, row, each, given, (state, since), look, now) for each in carried),
        carries=frozenset(carries.get(row.id, ())),
    )


def _name(holdings: Holdings, source: HostRow | None) -> str:
    """The name of the host that it pulls from, where that is public itself."""
    if source is None:
        return ""
    site = holdings.sites[source.site]
    return "" if source.private or site.private or site.state != SiteState.APPROVED.value else source.name


def _state(
    reason: tuple[Any, int] | None, given: bool, local: bool, look: Look, condition: Condition
) -> tuple[str, int]:
    """What is said of it, and since when: `ok` only when it is given."""
    if reason is not None:
        return reason[0].value, reason[1]
    since = look.since or condition.checked_since or condition.changed
    if given:
        return OK, since
    return (CLOUD if local else "stale"), since


def state_of(holdings: Holdings, row: HostRow, public: PublicMirror | None, now: int) -> tuple[str, int]:
    """(`ok` or why the host is not listed, since when), of any host: what its admins and operators are told.

    public  how strangers see it; None: not at all
    """
    reason = listing_reason(condition_of(holdings, row), now)
    if reason is not None:
        return reason[0].value, reason[1]
    if public is not None:
        return public.state, public.since
    look = holdings.looks.get(row.id)
    return OK, look.since if look else 0


def _category(
    holdings: Holdings,
    row: HostRow,
    carried: CarriedRow,
    given: frozenset[str],
    whole: tuple[str, int],
    look: Look,
    now: int,
) -> PublicCategory:
    category = holdings.categories[carried.category]
    condition = condition_of(holdings, row, carried.category)
    reason = listing_reason(condition, now)
    if category.name in given:
        state, since = OK, look.since or condition.checked_since
    elif reason is not None:
        state, since = reason[0].value, reason[1]
    elif whole[0] not in (OK, "stale"):
        state, since = whole
    else:
        state, since = "stale", look.since or condition.changed
    return PublicCategory(category.name, state, since, look.lag_s, category.product)


# -- As JSON -----------------------------------------------------------------------------------------------------------


def mirror_object(mirror: PublicMirror) -> dict[str, Any]:
    """A mirror as `/api/v1/mirrors` and the export `public` have it."""
    return {
        "host": mirror.host,
        "site": mirror.site,
        "country": mirror.country or None,
        "city": mirror.city or None,
        "latitude": mirror.latitude,
        "longitude": mirror.longitude,
        "bandwidth_mbit": mirror.bandwidth_mbit,
        "state": mirror.state,
        "since": show_time(mirror.since or None),
        "reason": None if mirror.ok else mirror.state,
        "text": mirror.text or (None if mirror.ok else REASONS[mirror.state]),
        "lag_s": mirror.lag_s,
        "ipv4": mirror.ipv4,
        "ipv6": mirror.ipv6,
        "checked": show_time(mirror.checked or None),
        "tier": mirror.tier,
        "pulls_from": mirror.pulls_from or None,
        "urls": [{"url": each.url, "protocol": each.protocol, "category": each.category} for each in mirror.urls],
        "categories": [
            {
                "category": each.category,
                "state": each.state,
                "since": show_time(each.since or None),
                "reason": None if each.state == OK else each.state,
                "lag_s": each.lag_s,
            }
            for each in mirror.categories
        ],
    }


def list_object(found: PublicList) -> dict[str, Any]:
    """The export `public`: all of it at once."""
    return {"items": [mirror_object(mirror) for mirror in found.mirrors]}

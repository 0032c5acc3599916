"""What of the registry is published: pure, from what was read and the time to what a file holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network

import numpy as np

from redirector.model import FileDetail, Network
from redirector.registry import rules
from redirector.registry.listing import Condition, Reason, SiteState, in_maintenance, listing_reason
from redirector.registry.publish.contents import Bits, CategoryContents, Exclusions, Look
from redirector.registry.publish.embargo import Embargo, embargo_at, shown_redirects, shown_repositories
from redirector.registry.publish.holdings import Holdings
from redirector.sources.mirrors_d.cloud import pick_networks
from redirector.store.registry.rows import CarriedRow, HostRow, SiteRow, UrlRow

WEIGHTS_MBIT = (1, 10_000)
"""MirrorManager's weights: what a host has beyond counts no more."""

GATEWAY_S = 86_400
"""How long the last address of a gateway's name counts after it resolved last."""

LISTING_SCHEMES = ("http:", "https:", "ftp:")
"""Without a public URL of one of these a public host is in no list: ftp ones are there only where they are allowed."""


@dataclass(frozen=True, slots=True)
class PublishedHost:
    """A host as it is published.

    reason    why it is listed nowhere, and since when; None when it is listed
    private   its own, or its site's
    networks  that count, gateways resolved
    """

    row: HostRow
    site: SiteRow
    look: Look
    reason: tuple[Reason, int] | None
    private: bool
    networks: tuple[Network, ...]
    asns: tuple[int, ...]
    countries: tuple[str, ...]
    urls: Mapping[int, str]

    @property
    def id(self) -> int:
        """The host's number."""
        return self.row.id

    @property
    def weight_mbit(self) -> int:
        """Bandwidth as a weight."""
        return min(max(self.row.bandwidth_mbit or WEIGHTS_MBIT[0], WEIGHTS_MBIT[0]), WEIGHTS_MBIT[1])

    @property
    def local(self) -> bool:
        """Public, but for the clients of a cloud alone."""
        return self.row.cloud_type is not None and not self.private


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """Who carries some directories: host -> URL numbers; *public*: those of them that strangers may have."""

    urls: Mapping[int, tuple[int, ...]]
    public: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PublishedCategory:
    """The directories of a category, and which set each has.

    sets     the sets there are
    members  for each name the position of its set
    """

    contents: CategoryContents
    names: tuple[str, ...]
    sets: Sequence[PublishedSet]
    members: Sequence[int]
    name: str = ""
    product: str = ""
    for_people: bool = True


@dataclass(frozen=True, slots=True)
class Publication:
    """What a snapshot holds.

    built         epoch seconds: of the newest edit, scan or round; of an import its source's
    hosts         all that are listed, and public ones of approved sites that are not, by number
    repositories  (prefix, arch) -> directory
    redirects     kind -> source -> target
    left_out      what an operator should know: what is not published, and why
    """

    built: int
    hosts: tuple[PublishedHost, ...]
    categories: tuple[PublishedCategory, ...]
    repositories: Mapping[tuple[str, str], str]
    disabled: tuple[str, ...]
    redirects: Mapping[str, Mapping[str, str]]
    details: Mapping[tuple[str, str], tuple[FileDetail, ...]]
    left_out: tuple[str, ...]

    @property
    def listed(self) -> Iterator[PublishedHost]:
        """Hosts that carry something here."""
        found = {number for category in self.categories for each in category.sets for number in each.urls}
        return (host for host in self.hosts if host.id in found)


Clouds = Mapping[str, Mapping[str, frozenset[Network]]]
"""Cloud -> region in lower case -> its networks."""

NO_CLOUDS: Clouds = {}


def select(holdings: Holdings, now: int, clouds: Clouds = NO_CLOUDS) -> Publication:
    """What is published at *now*, epoch seconds.

    clouds  whose networks are added to those of hosts that serve the clients of one
    """
    embargo = embargo_of(holdings, now)
    embargoed = {number: _embargoed(holdings, number, embargo) for number in holdings.contents}
    judged = {number: _judge(holdings, row, embargo, embargoed, now, clouds) for number, row in holdings.hosts.items()}
    categories = tuple(
        _select_category(holdings, number, judged, embargoed[number])
        for number, row in sorted(holdings.categories.items(), key=lambda pair: pair[1].name_key)
        if not embargo.hides_category(row)
    )
    listed = {number for category in categories for each in category.sets for number in each.urls}
    known = {name for category in categories for name in category.names}
    hosts = tuple(
        host for number, host in judged.items() if number in listed or (not host.private and _shown(host, now))
    )
    told = shown_repositories(embargo, holdings.categories.values(), holdings.repositories)
    rows = [row for row in holdings.repositories if row.id in told]
    enabled = {row.prefix for row in holdings.repositories if row.enabled}
    disabled = tuple(sorted({row.prefix for row in rows} - enabled))
    repositories = {
        (row.prefix, row.arch): row.directory
        for row in rows
        if row.directory and (row.enabled or row.prefix not in enabled)
    }
    secret = {name for number in holdings.contents for name in _hidden(holdings, number, embargoed[number])}
    details: dict[tuple[str, str], tuple[FileDetail, ...]] = {}
    for contents in holdings.contents.values():
        details |= {key: found for key, found in contents.details.items() if key[0] not in secret}
    redirects: dict[str, dict[str, str]] = {"repository": {}, "continent": {}, "country": {}}
    for redirect in shown_redirects(embargo, holdings.categories.values(), holdings.repositories, holdings.redirects):
        redirects[redirect.kind][redirect.source] = redirect.target
    return Publication(
        built=_built(holdings, now),
        hosts=tuple(sorted(hosts, key=lambda host: host.id)),
        categories=categories,
        repositories=repositories,
        disabled=disabled,
        redirects=redirects,
        details=details,
        left_out=tuple(_left_out(judged.values(), repositories, known)),
    )


# -- Hosts -------------------------------------------------------------------------------------------------------------


def condition_of(holdings: Holdings, row: HostRow, category: int | None = None, embargoed: bool = False) -> Condition:
    """What decides whether the host is listed, in *category* or at all."""
    site = holdings.sites[row.site]
    carried = [each for each in holdings.carried.get(row.id, ()) if category in (None, each.category)]
    private = row.private or site.private
    look = holdings.looks.get(row.id, Look(since=row.unchecked_since))
    trusted = any(each.always_current for each in carried)
    return Condition(
        site=SiteState(site.state),
        site_since=site.state_since,
        site_enabled=site.enabled and site.leaving is None,
        site_off_since=site.enabled_since,
        enabled=row.enabled and row.leaving is None,
        off_since=row.enabled_since,
        maintenance=row.maintenance,
        private=private,
        lists=any(_lists(holdings, each, private) for each in carried),
        networks=_has_networks(holdings, row) or row.origin is not None or row.cloud_type is not None,
        checked="ok" if trusted else look.state,
        checked_since=look.since,
        embargoed=embargoed,
        changed=row.edited,
    )


def _lists(holdings: Holdings, carried: CarriedRow, private: bool) -> bool:
    """An import's own sign-up counts as its source had it, even if it has rsync alone."""
    urls = [url.url for url in public_urls(holdings, carried)]
    return bool(urls) and (
        private or carried.origin is not None or any(url.startswith(LISTING_SCHEMES) for url in urls)
    )


def public_urls(holdings: Holdings, carried: CarriedRow) -> list[UrlRow]:
    """URLs for everybody; those for mirrors are in nothing that is published."""
    return [url for url in holdings.urls.get(carried.id, ()) if url.audience == "public"]


def shown_look(holdings: Holdings, row: HostRow, embargo: Embargo) -> Look:
    """What a checker says of the host, without words about what is not public."""
    look = holdings.looks.get(row.id, Look(since=row.unchecked_since))
    return replace(look, reason=embargo.clear(look.reason))


def _has_networks(holdings: Holdings, row: HostRow) -> bool:
    networks, asns = holdings.networks.get(row.id, ()), holdings.asns.get(row.id, ())
    return any(each.counts for each in networks) or any(each.counts for each in asns)


def shown_carried(holdings: Holdings, row: HostRow, embargo: Embargo) -> list[CarriedRow]:
    """What the host carries of categories that anybody may know of."""
    return [
        each
        for each in holdings.carried.get(row.id, ())
        if not embargo.hides_category(holdings.categories[each.category])
    ]


def _judge(
    holdings: Holdings, row: HostRow, embargo: Embargo, embargoed: Mapping[int, Bits], now: int, clouds: Clouds
) -> PublishedHost:
    site = holdings.sites[row.site]
    hidden = bool(holdings.carried.get(row.id)) and all(
        _is_hidden(holdings, each, embargoed[each.category]) for each in holdings.carried[row.id]
    )
    return PublishedHost(
        row=row,
        site=site,
        look=shown_look(holdings, row, embargo),
        reason=listing_reason(condition_of(holdings, row, embargoed=hidden), now),
        private=row.private or site.private,
        networks=tuple(dict.fromkeys((*_networks(holdings, row, now), *_cloud_networks(row, clouds)))),
        asns=tuple(each.asn for each in holdings.asns.get(row.id, ()) if each.counts),
        countries=tuple(sorted(each.country for each in holdings.countries.get(row.id, ()))),
        urls={
            url.id: url.url.rstrip("/")
            for each in shown_carried(holdings, row, embargo)
            for url in public_urls(holdings, each)
        },
    )


def _is_hidden(holdings: Holdings, carried: CarriedRow, embargoed: Bits) -> bool:
    """All that it has of the category is under embargo."""
    current = holdings.current.get(carried.id)
    return current is not None and bool(current.any()) and not bool((current & ~embargoed).any())


def _networks(holdings: Holdings, row: HostRow, now: int) -> Iterator[Network]:
    """Networks that count; a gateway's name stands for the addresses that it had within a day."""
    seen: set[Network] = set()
    for each in holdings.networks.get(row.id, ()):
        if not each.counts:
            continue
        texts = [each.network]
        if rules.is_name(each.network):
            texts = [
                found.address for found in holdings.addresses.get(each.network, ()) if found.seen + GATEWAY_S > now
            ]
        for text in texts:
            network = _parse_network(text)
            if network is not None and network not in seen:
                seen.add(network)
                yield network


def _cloud_networks(row: HostRow, clouds: Clouds) -> tuple[Network, ...]:
    """The networks of the regions that it serves; of all where it names none."""
    if row.cloud_type is None or row.cloud_type not in clouds:
        return ()
    return pick_networks(clouds[row.cloud_type], row.cloud_regions)


def _parse_network(text: str) -> Network | None:
    """None for what an import kept though it is none."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def _shown(host: PublishedHost, now: int) -> bool:
    """Public hosts of approved sites are on pages, listed or not; what was switched off is nobody's business."""
    off = not host.site.enabled or not host.row.enabled or host.row.leaving is not None or host.site.leaving is not None
    return host.site.state == SiteState.APPROVED.value and not off and bool(host.urls)


# -- Categories --------------------------------------------------------------------------------------------------------


def embargo_of(holdings: Holdings, now: int) -> Embargo:
    """What is not public at *now*, epoch seconds."""
    secret = frozenset(name for contents in holdings.contents.values() for name in contents.secret)
    return embargo_at(holdings.releases, holdings.categories.values(), holdings.repositories, now, secret)


def _embargoed(holdings: Holdings, number: int, embargo: Embargo) -> Bits:
    """Directories of releases whose time has not come."""
    contents, product = holdings.contents[number], holdings.categories[number].product
    if not embargo.waiting:
        return np.zeros(len(contents.names), dtype=np.bool_)
    hidden = (embargo.hides(f"{name}/{contents.subpath_of(name)}", product) for name in contents.names)
    return np.fromiter(hidden, np.bool_, len(contents.names))


def _hidden(holdings: Holdings, number: int, embargoed: Bits) -> Iterator[str]:
    contents = holdings.contents[number]
    yield from contents.secret
    yield from (name for name, hidden in zip(contents.names, embargoed.tolist(), strict=True) if hidden)


def _select_category(
    holdings: Holdings, number: int, judged: Mapping[int, PublishedHost], embargoed: Bits
) -> PublishedCategory:
    """Directories with equal carriers share one set: found by their columns of bits, all at once."""
    contents, category = holdings.contents[number], holdings.categories[number]
    open_ones = ~embargoed
    if contents.secret:
        open_ones &= np.fromiter(
            (name not in contents.secret for name in contents.names), np.bool_, len(contents.names)
        )
    carriers: list[tuple[PublishedHost, tuple[int, ...], Bits]] = []
    exclusions = Exclusions(contents)
    for host in judged.values():
        for carried in holdings.carried.get(host.id, ()):
            if carried.category == number and _is_listed(holdings, host, carried):
                urls = tuple(url.id for url in public_urls(holdings, carried))
                carriers.append(
                    (host, urls, _current(holdings, carried, contents) & ~exclusions.of(carried.exclusions))
                )
    names = tuple(name for name, shown in zip(contents.names, open_ones.tolist(), strict=True) if shown)
    sets, members = _group(carriers, open_ones)
    return PublishedCategory(contents, names, sets, members, category.name, category.product, category.for_people)


def _is_listed(holdings: Holdings, host: PublishedHost, carried: CarriedRow) -> bool:
    return host.reason is None and _lists(holdings, carried, host.private)


def _current(holdings: Holdings, carried: CarriedRow, contents: CategoryContents) -> Bits:
    if carried.always_current:
        return np.ones(len(contents.names), dtype=np.bool_)
    return holdings.current.get(carried.id, np.zeros(len(contents.names), dtype=np.bool_))


def _group(
    carriers: Sequence[tuple[PublishedHost, tuple[int, ...], Bits]], shown: Bits
) -> tuple[list[PublishedSet], list[int]]:
    count = int(shown.sum())
    if not carriers or not count:
        return [PublishedSet({}, ())], [0] * count
    packed = np.packbits(np.stack([bits[shown] for _, _, bits in carriers]), axis=0)
    columns = np.ascontiguousarray(packed.T)
    keys = columns.view(np.dtype((np.void, columns.shape[1]))).ravel()
    _, first, members = np.unique(keys, return_index=True, return_inverse=True)
    sets = []
    for position in first.tolist():
        bits = np.unpackbits(columns[position], count=len(carriers)).tolist()
        here = [carriers[number] for number, has in enumerate(bits) if has]
        sets.append(
            PublishedSet(
                {host.id: urls for host, urls, _ in here},
                tuple(host.id for host, _, _ in here if not host.private and not host.local),
            )
        )
    return sets, members.ravel().tolist()


# -- The rest ----------------------------------------------------------------------------------------------------------


def _built(holdings: Holdings, now: int) -> int:
    """The newest thing that made a difference and is not in the future."""
    times = [holdings.edited]
    for rows in (holdings.sites, holdings.hosts, holdings.categories):
        times += [row.edited for row in rows.values()]
    for children in (holdings.carried, holdings.urls, holdings.networks, holdings.asns, holdings.countries):
        times += [row.edited for found in children.values() for row in found]
    for listed in (holdings.repositories, holdings.redirects, holdings.releases):
        times += [row.edited for row in listed]
    times += [contents.made for contents in holdings.contents.values()]
    times += [look.checked for look in holdings.looks.values()]
    times += [end for row in holdings.hosts.values() if row.maintenance for end in row.maintenance]
    times += [row.not_before for row in holdings.releases if row.not_before]
    return max((time for time in times if time <= now), default=0)


def _left_out(
    hosts: Iterable[PublishedHost], repositories: Mapping[tuple[str, str], str], known: set[str]
) -> Iterator[str]:
    for host in hosts:
        if host.reason is not None:
            yield f"host {host.row.name}: {host.reason[0].value}"
        elif host.row.cloud_type is not None and not (host.networks or host.asns):
            yield f"host {host.row.name}: for the clients of a cloud, whose networks are not entered: given to nobody"
    for (prefix, arch), directory in sorted(repositories.items()):
        if directory not in known:
            yield f"repository {prefix}+{arch}: no category holds its directory {directory}"


def is_in_tree(holdings: Holdings, row: HostRow, now: int) -> bool:
    """Whether a tree of files has the host: all but those off or in maintenance; how they are says the health file."""
    site = holdings.sites[row.site]
    on = site.enabled and row.enabled and site.leaving is None and row.leaving is None
    return site.state == SiteState.APPROVED.value and on and not in_maintenance(row.maintenance, now)

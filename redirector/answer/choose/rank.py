"""Which hosts a client gets, in which groups, and why: by tiers, by distance, by nearness.

A `Ranking` says everything but the luck of the draw: hosts in groups, nearest group first, and every other host of the
set with the reason it was left out. A `Lineup` of it then draws for each client.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from math import inf

from redirector.answer.answer import Tier
from redirector.answer.ask.wishes import NO_WISHES, Wishes
from redirector.answer.choose.groups import Group
from redirector.answer.choose.near import field_of
from redirector.answer.choose.nearest import Field
from redirector.answer.choose.words import GLOBAL_WORDS, NETBLOCK_WORDS, asn_words, country_words
from redirector.locate.places import country_distance_km, neighbours
from redirector.model import Host, HostId, HostSet
from redirector.snapshot.audiences import STRANGER, Audience
from redirector.snapshot.snapshot import Snapshot

NEAR_CONTINENT_KM = 3000.0
"""Between largest cities: what is nearer than the rest of a continent. Keeps Riyadh from Tokyo (8,700 km) and still
counts nearly all of Europe as one."""


class Reason(Enum):
    """Why a host of the set is not in the list."""

    PRIVATE = "private, and the client is on none of its networks"
    LOCAL = "serves the clients on its own networks only"
    DOWN = "known to be down"
    LACKING = "known to lack this directory"
    DISALLOWED = "not for clients of this country"
    MONOPOLY = "another host alone serves the client's network"
    EXCLUDED = "excluded by the request"
    FAMILY = "not known to serve this address family"
    COUNTRY = "not in a requested country"
    PROTOCOL = "has no URL of a suitable protocol"
    FAR = "nearer hosts are enough"
    TWIN = "another host in the list has the same URL"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The outcome of ranking one host set for one audience.

    groups   nearest first; no host twice
    dropped  every other host of the set, once, with the reason
    relaxed  wishes that could not be met
    comment  MirrorManager's words for what was used: `Using ASN 680 country = DE `
    length   how many hosts of the groups are listed; None: all
    origin   listed after all others, outside of *length*; None: there is none
    km       host -> distance from the client; empty where distance played no part
    """

    groups: tuple[Group, ...]
    dropped: Mapping[HostId, Reason]
    relaxed: tuple[str, ...] = ()
    comment: str = ""
    length: int | None = None
    origin: HostId | None = None
    km: Mapping[HostId, float] = field(default_factory=dict)


def rank(
    snapshot: Snapshot, host_set: HostSet, audience: Audience, wishes: Wishes = NO_WISHES, family: int | None = None
) -> Ranking:
    """Rank the hosts of *host_set* for *audience*.

    family  4 or 6, the client's own; hosts known not to serve it are left out while others remain
    cost    170 µs for 90 hosts in reach of 470, 550 µs by distance over 530
    """
    choose = _by_distance if snapshot.policy.by_distance else _by_tiers
    ranking = choose(_draft(snapshot, host_set, audience, wishes, family))
    if wishes.unknown or len(ranking.relaxed) > 1:
        ranking = replace(ranking, relaxed=tuple(dict.fromkeys((*ranking.relaxed, *wishes.unknown))))
    if ranking.groups or ranking.origin is not None or not snapshot.policy.relax:
        return ranking
    unmet = ("country",) * bool(wishes.countries) + ("netblock",) * (not wishes.networks)
    if not unmet:
        return ranking
    # Only hosts of the client's own network are left, and these the wishes keep away.
    ranking = choose(_draft(snapshot, host_set, audience, replace(wishes, countries=(), networks=True), family))
    return replace(ranking, relaxed=(*ranking.relaxed, *unmet)) if ranking.groups else ranking


def kept_hosts(groups: Sequence[Group], kept: Container[HostId]) -> Iterator[Group]:
    """The groups without the hosts that are not *kept*."""
    for group in groups:
        positions = [position for position, host in enumerate(group.hosts) if host in kept]
        if len(positions) == len(group.hosts):
            yield group
        elif positions:
            weights = group.weights and tuple(group.weights[position] for position in positions)
            hosts = tuple(group.hosts[position] for position in positions)
            yield replace(group, hosts=hosts, weights=weights)


@dataclass(slots=True)
class _Draft:
    """A ranking in the making: each host is dropped with a reason, or taken by the first group that wants it."""

    snapshot: Snapshot
    host_set: HostSet
    audience: Audience
    wishes: Wishes
    family: int | None
    groups: list[Group] = field(default_factory=list)
    taken: set[HostId] = field(default_factory=set)
    shown: set[HostId] = field(default_factory=set)
    dropped: dict[HostId, Reason] = field(default_factory=dict)
    relaxed: list[str] = field(default_factory=list)
    comment: list[str] = field(default_factory=list)

    def open(self, hosts: Iterable[HostId]) -> list[HostId]:
        """Those of *hosts* that carry the content and are neither taken nor dropped yet."""
        urls, taken, dropped = self.host_set.urls, self.taken, self.dropped
        return [host for host in dict.fromkeys(hosts) if host in urls and host not in taken and host not in dropped]

    def drop(self, hosts: Iterable[HostId], reason: Reason) -> None:
        for host in hosts:
            if host not in self.taken:
                self.dropped.setdefault(host, reason)

    def add(
        self,
        tier: Tier,
        hosts: Iterable[HostId],
        weigh: Callable[[HostId], int] | None,
        whole: Iterable[HostId] = (),
    ) -> None:
        """Append a group of the open ones among *hosts*; without *weigh* they keep their order. *whole*: of `Group`."""
        chosen = tuple(self.open(hosts))
        if self.host_set.twins:
            chosen = tuple(host for host in chosen if self.is_first(host))
        if chosen:
            weights = tuple(map(weigh, chosen)) if weigh else None
            self.groups.append(Group(tier, chosen, weights, tuple(whole) or chosen, weigh is _evenly))
            self.taken.update(chosen)

    def is_first(self, host: HostId) -> bool:
        """Whether no twin of *host* is taken; it is, from now on. Those that are not first are dropped."""
        twin = self.host_set.twins.get(host, host)
        if twin in self.shown:
            self.drop([host], Reason.TWIN)
            return False
        self.shown.add(twin)
        return True

    def append(self, groups: Sequence[Group]) -> None:
        """Take the hosts of *groups*."""
        for group in groups:
            self.groups.append(group)
            self.taken.update(group.hosts)

    def narrow(
        self, hosts: list[HostId], keep: Callable[[HostId], bool], reason: Reason, wish: str = ""
    ) -> list[HostId]:
        """Drop those that *keep* refuses; if none would remain, drop nobody and say that the *wish* is relaxed."""
        kept = [host for host in hosts if keep(host)]
        if kept:
            self.drop(set(hosts).difference(kept), reason)
            return kept
        if wish and hosts:
            self.relaxed.append(wish)
        return hosts

    def heed(self, hosts: list[HostId]) -> list[HostId]:
        """Narrow *hosts* by health, by what the request excludes, and by address family."""
        facts, wishes = self.snapshot.hosts, self.wishes
        hosts = self.narrow(hosts, lambda host: facts[host].up, Reason.DOWN)
        if wishes.exclude_hosts:
            excluded = self.excluded()
            if not wishes.exclude_hosts <= self.snapshot.url_names.keys():
                self.relaxed.append("exclude_host")
            hosts = self.narrow(hosts, lambda host: host not in excluded, Reason.EXCLUDED, "exclude_host")
        if wishes.exclude_countries:
            hosts = self.narrow(
                hosts,
                lambda host: facts[host].country not in wishes.exclude_countries,
                Reason.EXCLUDED,
                "exclude_country",
            )
        if wishes.family == 4:
            return self.narrow(hosts, lambda host: facts[host].ipv4 is True, Reason.FAMILY, "ipv4")
        if wishes.family == 6:
            return self.narrow(hosts, lambda host: facts[host].ipv6 is True, Reason.FAMILY, "ipv6")
        if self.snapshot.families_known and self.family == 4:
            return self.narrow(hosts, lambda host: facts[host].ipv4 is not False, Reason.FAMILY)
        if self.snapshot.families_known and self.family == 6:
            return self.narrow(hosts, lambda host: facts[host].ipv6 is not False, Reason.FAMILY)
        return hosts

    def excluded(self) -> frozenset[HostId]:
        """The hosts that the request excludes by name."""
        names = self.snapshot.url_names
        return frozenset().union(*(names.get(name, ()) for name in self.wishes.exclude_hosts))

    def on_network(self) -> list[tuple[Tier, tuple[HostId, ...]]]:
        """The hosts around the client that carry the content, longest netblock first, then its AS."""
        wishes, facts = self.wishes, self.snapshot.hosts
        if not wishes.networks:
            return []
        shown: Container[HostId] = self.host_set.urls
        if not wishes.private:
            clouds = {host for host in self.host_set.urls if facts[host].local and not facts[host].private}
            shown = set(self.host_set.public) | clouds
        return networks_of(self.audience, shown)

    def heed_monopolies(self, around: Iterable[HostId]) -> None:
        """Where a host *around* the client has a monopoly, all that have none are dropped."""
        facts = self.snapshot.hosts
        if monopoly := {host for host in around if facts[host].monopoly and facts[host].up}:
            self.drop(self.host_set.urls.keys() - monopoly, Reason.MONOPOLY)

    def serves(self, schemes: Iterable[str]) -> Callable[[HostId], bool]:
        """Whether a host has a URL of one of *schemes*."""
        starts = tuple(f"{scheme}:" for scheme in schemes)
        urls = self.host_set.urls
        return lambda host: any(url.startswith(starts) for url in urls[host])

    def weight(self, host: HostId) -> int:
        return self.snapshot.hosts[host].bandwidth_mbit


def _draft(snapshot: Snapshot, host_set: HostSet, audience: Audience, wishes: Wishes, family: int | None) -> _Draft:
    """A ranking that begins with those dropped of whom it is known already."""
    draft = _Draft(snapshot, host_set, audience, wishes, family)
    draft.drop(host_set.lacking, Reason.LACKING)
    return draft


def _evenly(_: HostId) -> int:
    return 1


# --- MirrorManager: netblock, AS, country, continent, the world ----------------------------------------------------


def _by_tiers(draft: _Draft) -> Ranking:
    """`docs/mirrormanager.md`, section 5, items 5 to 11."""
    snapshot, host_set, wishes = draft.snapshot, draft.host_set, draft.wishes
    policy = snapshot.policy
    _drop_unreachable(draft)
    if policy.relax and not wishes.countries:
        draft.heed_monopolies(host for _, hosts in draft.on_network() for host in hosts)
    if not wishes.countries:
        _add_networks(draft)
    if not (wishes.countries and _add_requested(draft)):
        draft.comment.append(place_words(snapshot, host_set, draft.audience.country))
        _add_country(draft)
        _add_continent(draft)
        if _count(draft) < snapshot.minimum:
            draft.comment.append(GLOBAL_WORDS)
            if not policy.allowed_everywhere:
                draft.drop(_disallowed(draft), Reason.DISALLOWED)
            draft.add(Tier.GLOBAL, host_set.public, draft.weight, snapshot.everybody.public)
    groups = _of_protocol(draft)
    rest = Reason.COUNTRY if wishes.countries and "country" not in draft.relaxed else Reason.FAR
    draft.drop(host_set.urls, rest)
    return Ranking(groups, draft.dropped, tuple(draft.relaxed), "".join(draft.comment), wishes.limit)


def _drop_unreachable(draft: _Draft) -> None:
    """Drop what this client may not have, whatever the tier, and what it excluded."""
    snapshot, host_set = draft.snapshot, draft.host_set
    around = {host for _, hosts in draft.on_network() for host in hosts} if not draft.wishes.countries else set()
    public = set(host_set.public)
    if len(host_set.urls) > len(public):
        draft.drop((host for host in host_set.urls if host not in public and host not in around), Reason.PRIVATE)
    if snapshot.policy.allowed_everywhere:
        draft.drop(_disallowed(draft) - around, Reason.DISALLOWED)
    if draft.wishes is not NO_WISHES or snapshot.health_known:
        draft.heed(draft.open(host_set.urls))


def _disallowed(draft: _Draft) -> set[HostId]:
    snapshot, country = draft.snapshot, draft.audience.country
    return {
        host for host in snapshot.restricted if host in draft.host_set.urls and is_disallowed(snapshot, host, country)
    }


def is_disallowed(snapshot: Snapshot, host: HostId, country: str | None) -> bool:
    """Whether clients of *country* may not have *host*."""
    facts = snapshot.hosts[host]
    return (bool(facts.allowed) and country not in facts.allowed) or country in facts.excluded


def is_well(host: Host, family: int) -> bool:
    """Whether clients of *family* (0: not known) are given *host* while they can have others."""
    return host.up and not (family == 4 and host.ipv4 is False) and not (family == 6 and host.ipv6 is False)


def _add_networks(draft: _Draft) -> None:
    if not draft.wishes.networks:
        return
    around = draft.on_network()
    given = [(tier, tuple(draft.open(hosts))) for tier, hosts in around]
    draft.comment.append(network_words(draft.snapshot, draft.audience, given))
    for (tier, hosts), whole in zip(around, wholes_of(draft.audience), strict=True):
        draft.add(tier, hosts, _evenly, whole)


def networks_of(audience: Audience, shown: Container[HostId]) -> list[tuple[Tier, tuple[HostId, ...]]]:
    """Those of *shown* on the networks of *audience*: longest netblock first, then its AS; () where there are none."""
    around = [(Tier.NETBLOCK, hosts) for _, hosts in audience.netblocks]
    around.append((Tier.ASN, audience.asn_hosts))
    return [(tier, tuple([host for host in hosts if host in shown])) for tier, hosts in around]


def wholes_of(audience: Audience) -> list[tuple[HostId, ...]]:
    """All hosts on each of these networks, whatever they carry: their heads are drawn among them."""
    return [*(hosts for _, hosts in audience.netblocks), audience.asn_hosts]


def network_words(snapshot: Snapshot, audience: Audience, around: Iterable[tuple[Tier, Sequence[HostId]]]) -> str:
    """What the comment line says of the hosts *around* the client that carry the content."""
    tiers = {tier for tier, hosts in around if hosts}
    words = NETBLOCK_WORDS if Tier.NETBLOCK in tiers else ""
    if Tier.ASN in tiers or (audience.asn_hosts and not snapshot.policy.relax):
        words += asn_words(audience.asn)
    return words


def _add_requested(draft: _Draft) -> bool:
    """The hosts of the requested countries, or of their continents. False: there are none, the usual tiers follow."""
    host_set, countries = draft.host_set, [country.upper() for country in draft.wishes.countries]
    disallowed = _disallowed(draft)
    hosts: list[HostId] = []
    for typed, country in zip(draft.wishes.countries, countries, strict=True):
        if country == "GLOBAL":
            draft.comment.append(GLOBAL_WORDS)
            hosts = [host for host in (*hosts, *host_set.public) if host not in disallowed]
        elif country in host_set.by_country:
            draft.comment.append(country_words(typed))
            hosts += host_set.by_country[country]
    tier = Tier.GLOBAL if "GLOBAL" in countries else Tier.COUNTRY
    if not _is_list(draft, hosts):
        tier, hosts = Tier.CONTINENT, []
        draft.relaxed.append("country")
        around = [other for country in countries for other in countries_around(draft.snapshot, host_set, country)]
        for other in dict.fromkeys(around) if draft.snapshot.policy.relax else around:
            draft.comment.append(country_words(other))
            hosts += host_set.by_country[other]
    if not _is_list(draft, hosts):
        return False
    draft.drop(disallowed, Reason.DISALLOWED)
    everybody = draft.snapshot.everybody
    lone = everybody.by_country.get(countries[0], ()) if len(countries) == 1 and tier is Tier.COUNTRY else ()
    draft.add(tier, hosts, draft.weight, lone or everybody.public)
    return True


def _is_list(draft: _Draft, hosts: Sequence[HostId]) -> bool:
    """Whether *hosts* are enough for a client that wants no others; ftp and rsync alone are not, unless wished for."""
    if not draft.snapshot.policy.relax:
        return bool(hosts)
    left = draft.open(hosts)
    return bool(left) if draft.wishes.protocols else any(map(draft.serves(("https", "http")), left))


def _add_country(draft: _Draft) -> None:
    country = draft.audience.country
    if country is not None and country in draft.host_set.by_country:
        draft.add(
            Tier.COUNTRY,
            draft.host_set.by_country[country],
            draft.weight,
            draft.snapshot.everybody.by_country.get(country, ()),
        )


def _add_continent(draft: _Draft) -> None:
    country = draft.audience.country
    if country is None:
        return
    snapshot, everybody = draft.snapshot, draft.snapshot.everybody
    countries = countries_around(snapshot, draft.host_set, country)
    everywhere = countries_around(snapshot, everybody, country)
    if snapshot.policy.near_first:
        near = [other for other in countries if _is_near(country, other)]
        whole = _hosts_of(everybody, (other for other in everywhere if _is_near(country, other)))
        draft.add(Tier.CONTINENT, _hosts_of(draft.host_set, near), draft.weight, whole)
        everywhere = [other for other in everywhere if not _is_near(country, other)]
    draft.add(Tier.CONTINENT, _hosts_of(draft.host_set, countries), draft.weight, _hosts_of(everybody, everywhere))


def _hosts_of(host_set: HostSet, countries: Iterable[str]) -> Iterator[HostId]:
    return (host for country in countries for host in host_set.by_country[country])


def place_words(snapshot: Snapshot, host_set: HostSet, country: str | None) -> str:
    """What the comment line says of the client's country, and of the others on its continent."""
    if country is None:
        return ""
    countries = [country] if country in host_set.by_country else []
    return "".join(map(country_words, countries + countries_around(snapshot, host_set, country)))


def countries_around(snapshot: Snapshot, host_set: HostSet, country: str) -> list[str]:
    """The other countries of the continent of *country*, where *host_set* has hosts."""
    continent = snapshot.continents.get(country)
    others = snapshot.by_continent[continent] if continent else ()
    return [other for other in others if other != country and other in host_set.by_country]


@cache
def _is_near(country: str, other: str) -> bool:
    """Whether *other* is a neighbour of *country*, or close to it."""
    km = country_distance_km(country, other)
    return other in neighbours(country) or (km is not None and km <= NEAR_CONTINENT_KM)


def _suitable(draft: _Draft) -> Callable[[HostId], bool]:
    """Whether a host counts towards `minimum`: it has a URL of a wished protocol, or by default of http or https."""
    if draft.wishes.protocols:
        return draft.serves(draft.wishes.protocols)
    return draft.serves(("http", "https")) if draft.snapshot.policy.relax else lambda host: True


def _count(draft: _Draft) -> int:
    return sum(map(_suitable(draft), draft.taken))


def _of_protocol(draft: _Draft) -> tuple[Group, ...]:
    """The groups without the hosts that lack the wished protocols, unless that leaves none."""
    if not draft.wishes.protocols:
        return tuple(draft.groups)
    serves = draft.serves(draft.wishes.protocols)
    if not any(map(serves, draft.taken)):
        if draft.taken:
            draft.relaxed.append("protocol")
        return tuple(draft.groups)
    lacking = {host for host in draft.taken if not serves(host)}
    draft.taken -= lacking
    draft.drop(lacking, Reason.PROTOCOL)
    return tuple(kept_hosts(draft.groups, draft.taken))


# --- The client's network, then by where hosts are ------------------------------------------------------------------


def _by_distance(draft: _Draft) -> Ranking:
    """The client's network, then what the field says: `docs/almalinux.md`, section 3, or nearness."""
    snapshot, host_set, limit = draft.snapshot, draft.host_set, draft.wishes.limit
    tiers = {host: tier for tier, hosts in reversed(draft.on_network()) for host in hosts}
    draft.heed_monopolies(tiers)
    hosts, origin = _candidates(draft, tiers)
    if origin is not None and hosts and origin in draft.excluded():
        draft.drop([origin], Reason.EXCLUDED)
        origin = None
    if origin is not None:
        draft.shown.add(origin)
    own = [host for host in hosts if host in tiers]
    if own:
        tier = Tier.NETBLOCK if any(tiers[host] is Tier.NETBLOCK for host in own) else Tier.ASN
        words = NETBLOCK_WORDS if tier is Tier.NETBLOCK else asn_words(draft.audience.asn)
        draft.comment.append(words)
        draft.add(tier, own, _evenly)
    if host_set.twins:
        hosts = _without_twins(draft, hosts)
    length = min(max(snapshot.list_length, len(own)), limit or snapshot.counts.hosts)
    field = field_of(snapshot, hosts)
    km = field.measure(draft.audience)
    by_distance, words = field.rank(draft.audience, km, length - len(draft.taken), draft.taken)
    draft.comment.append(words)
    draft.append(by_distance)
    if limit and len(draft.taken) >= limit:
        origin = None
    draft.drop((host for host in host_set.urls if host != origin), Reason.FAR)
    distances = {} if km is None else {host: x for host, x in zip(hosts, km.tolist(), strict=True) if x == x}
    groups, relaxed, comment = tuple(draft.groups), tuple(draft.relaxed), "".join(draft.comment)
    return Ranking(groups, draft.dropped, relaxed, comment, length, origin, distances)


def _without_twins(draft: _Draft, hosts: list[HostId]) -> list[HostId]:
    """Of hosts with the same URLs the one that is taken, else in the client's country, else the nearest."""
    km = Field(draft.snapshot, hosts).measure(draft.audience)
    far = [0.0] * len(hosts) if km is None else [x if x == x else inf for x in km.tolist()]
    facts, country = draft.snapshot.hosts, draft.audience.country
    best = sorted(zip(far, hosts, strict=True), key=lambda each: (facts[each[1]].country != country, *each))
    kept = draft.taken | {host for _, host in best if host not in draft.taken and draft.is_first(host)}
    return [host for host in hosts if host in kept]


def strangers_of(snapshot: Snapshot, host_set: HostSet, family: int | None) -> tuple[list[HostId], HostId | None]:
    """The hosts that clients get by distance who are on no host's network and wish nothing; and the origin."""
    return _candidates(_draft(snapshot, host_set, STRANGER, NO_WISHES, family), ())


def _candidates(draft: _Draft, tiers: Collection[HostId]) -> tuple[list[HostId], HostId | None]:
    """What the client may have, narrowed by health and wishes; and the origin, if it may have that. *tiers* are on its
    network."""
    facts, host_set, wishes = draft.snapshot.hosts, draft.host_set, draft.wishes
    origin = draft.snapshot.origin if draft.snapshot.origin in draft.open(host_set.urls) else None
    strange = [host for host in host_set.urls if host not in tiers]
    draft.drop((host for host in strange if facts[host].private), Reason.PRIVATE)
    draft.drop((host for host in strange if facts[host].local), Reason.LOCAL)
    draft.drop(_disallowed(draft).difference(tiers), Reason.DISALLOWED)
    if origin is not None:
        draft.drop((host for host in host_set.urls if not facts[host].up), Reason.DOWN)
    hosts = draft.heed([host for host in draft.open(host_set.urls) if host != origin])
    hosts = _of_requested_countries(draft, hosts)
    if wishes.protocols:
        hosts = draft.narrow(hosts, draft.serves(wishes.protocols), Reason.PROTOCOL, "protocol")
    return hosts, origin


def _of_requested_countries(draft: _Draft, hosts: list[HostId]) -> list[HostId]:
    facts = draft.snapshot.hosts
    countries = {country.upper() for country in draft.wishes.countries}
    if not countries or "GLOBAL" in countries:
        return hosts
    kept = draft.narrow(hosts, lambda host: facts[host].country in countries, Reason.COUNTRY, "country")
    if "country" in draft.relaxed:
        around = {other for country in countries for other in countries_around(draft.snapshot, draft.host_set, country)}
        kept = draft.narrow(hosts, lambda host: facts[host].country in around, Reason.COUNTRY)
    return kept

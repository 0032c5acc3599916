"""What a change does to clients, before it is served: the same clients ask two snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from ipaddress import ip_address

import numpy as np
from numpy.typing import NDArray

from redirector.answer.answer import Form
from redirector.answer.compare.difference import CountryMove, Difference, Example, HostShare
from redirector.answer.compare.sample import Sample, draw_sample
from redirector.answer.reading import Reader
from redirector.locate.places import EARTH_RADIUS_KM
from redirector.model import Host, HostId, HostSetId
from redirector.snapshot.snapshot import Snapshot
from redirector.tree.resolve import plain_releases, resolve_repository

EXAMPLES = 10

_NOBODY = -1


def compare(
    old: Snapshot, new: Snapshot, count: int = 100_000, clients: Mapping[str, float] | None = None
) -> Difference:
    """What it does to *count* clients that *new* is served in place of *old*.

    clients  country -> how many are there, in proportion; None: as many as it has addresses
    cost     5 s for 100,000 clients and 530 hosts in the country database's 250 places
    """
    sample = draw_sample(new, count, clients or {})
    pairs = _lists_of_both(old, new) or [(usual_list(old), usual_list(new))]
    before = find_firsts(old, [pair[0] for pair in pairs], sample)
    after = find_firsts(new, [pair[1] for pair in pairs], sample)
    names = sorted({host.name for host in (*old.hosts, *new.hosts)})
    number = {name: n for n, name in enumerate(names)}
    was = _renumber(before, old.hosts, number)
    now = _renumber(after, new.hosts, number)
    km = measure_way(old, before, sample), measure_way(new, after, sample)
    moved = was != now
    changes = _changes(old, new)
    known = {host.name for host in old.hosts}, {host.name for host in new.hosts}
    return Difference(
        clients=count,
        moved=float(moved.mean()) if count else 0.0,
        km_before=_median(km[0]),
        km_after=_median(km[1]),
        added=tuple(sorted(known[1] - known[0])),
        removed=tuple(sorted(known[0] - known[1])),
        changed=tuple(sorted(changes)),
        shares=_shares(names, was, now, capacities_of(old), capacities_of(new)),
        countries=tuple(_countries(sample, moved, km)),
        examples=tuple(_examples(old, new, names, sample, was, now, km, changes)),
        changes=changes,
        lists_added=tuple(_names_of_lists(old, new)),
        lists_removed=tuple(_names_of_lists(new, old)),
    )


def lists_of(snapshot: Snapshot, modules: bool = False) -> dict[tuple[str, str], HostSetId]:
    """The lists that clients ask for: (repository, architecture) -> who carries it. In a tree the client fills the
    architecture in; here it is empty.

    modules  also those of a tree's modules, which few ask for
    """
    releases = snapshot.releases
    if releases is not None:
        return {
            (f"{name}-{version}", ""): resolve_repository(releases, version, name, None).host_set
            for version, name in plain_releases(releases)
            if modules or version in releases.versions
        }
    return {
        key: snapshot.directories[name].host_set
        for key, name in snapshot.repositories.items()
        if name in snapshot.directories
    }


def _lists_of_both(old: Snapshot, new: Snapshot, modules: bool = False) -> list[tuple[HostSetId, HostSetId]]:
    """Each list that both have, as it was and as it is."""
    before, after = lists_of(old, modules), lists_of(new, modules)
    return [(before[key], after[key]) for key in sorted(before.keys() & after.keys())]


def _names_of_lists(without: Snapshot, having: Snapshot) -> Iterator[str]:
    """Lists that *having* has and *without* has not; none where they are named in two ways."""
    if (without.releases is None) == (having.releases is None):
        for key in sorted(lists_of(having, modules=True).keys() - lists_of(without, modules=True).keys()):
            yield " ".join(filter(None, key))


def usual_list(snapshot: Snapshot) -> HostSetId:
    """Who carries most: of a tree most lists, else most directories."""
    releases = snapshot.releases
    carriers = (
        (directory.host_set for directory in snapshot.directories.values())
        if releases is None
        else lists_of(snapshot).values()
    )
    counted = Counter(carriers)
    if counted:
        return counted.most_common(1)[0][0]
    return HostSetId(0) if releases is None else releases.standard_set


def find_firsts(snapshot: Snapshot, lists: Sequence[HostSetId], sample: Sample) -> NDArray[np.intp]:
    """Who is first for each client, by host id; -1: nobody."""
    reader = Reader(snapshot)
    found = np.full(len(sample.addresses), _NOBODY, np.intp)
    if not snapshot.host_sets:
        return found
    line_up, count = reader.orders.line_up, len(lists)
    for n, address in enumerate(sample.addresses):
        audience, family, seed = reader.sit(address, 0, n * 0x9E3779B97F4A7C15 & 2**64 - 1)
        _, first = line_up(lists[n % count], Form.MIRRORLIST, audience, family).read(seed)
        if first is not None:
            found[n] = first
    return found


def _renumber(firsts: NDArray[np.intp], hosts: Sequence[Host], number: Mapping[str, int]) -> NDArray[np.intp]:
    """Host ids as positions in a list that both snapshots share."""
    numbers = np.array([*(number[host.name] for host in hosts), _NOBODY], np.intp)
    return numbers[firsts]


def measure_way(snapshot: Snapshot, firsts: NDArray[np.intp], sample: Sample) -> NDArray[np.float64]:
    """Kilometres of each client to its first host; nan where one of them has no place."""
    vectors = np.vstack([snapshot.vectors, np.full((1, 3), np.nan)])
    cosine = np.einsum("ij,ij->i", vectors[firsts], sample.vectors)
    return np.asarray(EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1.0, 1.0)))


def _median(km: NDArray[np.float64]) -> float | None:
    known = km[~np.isnan(km)]
    return float(np.median(known)) if len(known) else None


def capacities_of(snapshot: Snapshot) -> dict[str, float]:
    """Each host's share of the bandwidth of those that strangers may have; by nearness of those that have a place too,
    since the others come last."""
    mbit: Sequence[float] = [host.bandwidth_mbit for host in snapshot.hosts]
    if snapshot.balance is not None:
        mbit = np.where(np.isnan(snapshot.vectors[:, 0]), 0.0, snapshot.balance.bandwidth).tolist()
    open_hosts = {
        host.name: float(each)
        for host, each in zip(snapshot.hosts, mbit, strict=True)
        if host.for_strangers and not host.origin and not host.withheld
    }
    total = sum(open_hosts.values()) or 1.0
    return {name: each / total for name, each in open_hosts.items()}


def _shares(
    names: Sequence[str],
    was: NDArray[np.intp],
    now: NDArray[np.intp],
    capacity_before: Mapping[str, float],
    capacity_after: Mapping[str, float],
) -> tuple[HostShare, ...]:
    count = max(len(was), 1)
    before = np.bincount(was[was >= 0], minlength=len(names)) / count
    after = np.bincount(now[now >= 0], minlength=len(names)) / count
    found = [
        HostShare(
            names[n],
            float(before[n]),
            float(after[n]),
            capacity_after.get(names[n], capacity_before.get(names[n], 0.0)),
        )
        for n in np.flatnonzero((before > 0) | (after > 0)).tolist()
    ]
    return tuple(sorted(found, key=lambda share: (-abs(share.gain), share.host)))


def _countries(
    sample: Sample, moved: NDArray[np.bool_], km: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> Iterator[CountryMove]:
    sizes = np.bincount(sample.country, minlength=len(sample.countries))
    for number in sorted(np.flatnonzero(sizes).tolist(), key=lambda n: (-sizes[n], sample.countries[n])):
        mine = sample.country == number
        yield CountryMove(
            country=sample.countries[number] or "??",
            clients=int(sizes[number]),
            moved=float(moved[mine].mean()),
            km_before=_median(km[0][mine]),
            km_after=_median(km[1][mine]),
        )


def _changes(old: Snapshot, new: Snapshot) -> dict[str, tuple[str, ...]]:
    """What is another about hosts that both have: names of fields, `urls` and `content`, in which lists they are, among
    them."""
    urls = _urls(old), _urls(new)
    content: set[str] = set()
    for before, now in set(_lists_of_both(old, new, modules=True)):
        content |= _carriers(old, before) ^ _carriers(new, now)
    after = {host.name: host for host in new.hosts}
    found = {}
    for host in old.hosts:
        other = after.get(host.name)
        if other is None:
            continue
        plain = _told(host), _told(other)
        different = [each.name for each in fields(Host) if getattr(plain[0], each.name) != getattr(plain[1], each.name)]
        if urls[0].get(host.name) != urls[1].get(host.name):
            different.append("urls")
        if host.name in content:
            different.append("content")
        if different:
            found[host.name] = tuple(different)
    return found


def _carriers(snapshot: Snapshot, host_set: HostSetId) -> set[str]:
    return {snapshot.hosts[host].name for host in snapshot.host_sets[host_set].urls}


def _told(host: Host) -> Host:
    """What its source says of *host* itself: neither where that lies, nor what is usual among the others."""
    said = host.bandwidth_mbit if host.bandwidth_said else 0
    return replace(host, condition=None, file="", bandwidth_mbit=said, bandwidth_said=True)


def _urls(snapshot: Snapshot) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for carriers in snapshot.host_sets:
        for host, urls in carriers.urls.items():
            found.setdefault(snapshot.hosts[host].name, set()).update(urls)
    return found


def _examples(
    old: Snapshot,
    new: Snapshot,
    names: Sequence[str],
    sample: Sample,
    was: NDArray[np.intp],
    now: NDArray[np.intp],
    km: tuple[NDArray[np.float64], NDArray[np.float64]],
    changes: Mapping[str, tuple[str, ...]],
) -> Iterator[Example]:
    """The ways that most clients go, one of each country first."""
    moved = np.flatnonzero(was != now)
    ways = Counter(zip(sample.country[moved].tolist(), was[moved].tolist(), now[moved].tolist(), strict=True))
    hosts = {host.name: host for host in old.hosts}, {host.name: host for host in new.hosts}
    for way in _varied(ways):
        country, before, after = way
        mine = moved[(sample.country[moved] == country) & (was[moved] == before) & (now[moved] == after)]
        n = int(mine[len(mine) // 2])
        name = ["" if each == _NOBODY else names[each] for each in (before, after)]
        yield Example(
            address=str(ip_address(sample.addresses[n])),
            country=sample.countries[country],
            before=name[0],
            after=name[1],
            km_before=_or_none(km[0][n]),
            km_after=_or_none(km[1][n]),
            like=ways[way],
            why=_why(old, new, hosts[0], hosts[1], name[0], name[1], changes),
        )


Way = tuple[int, int, int]


def _varied(ways: Counter[Way]) -> Iterable[Way]:
    """Some of *ways*, the most common of each country first, then the most common of all."""
    ordered = [way for way, _ in sorted(ways.items(), key=lambda each: (-each[1], each[0]))]
    first_of: dict[int, Way] = {}
    for way in ordered:
        first_of.setdefault(way[0], way)
    return [*dict.fromkeys([*first_of.values(), *ordered])][:EXAMPLES]


def _or_none(km: float) -> float | None:
    return float(km) if km == km else None


def _why(
    old: Snapshot,
    new: Snapshot,
    before: Mapping[str, Host],
    after: Mapping[str, Host],
    was: str,
    now: str,
    changes: Mapping[str, tuple[str, ...]],
) -> str:
    """The likeliest reason why a client goes from one host to another."""
    if not was:
        return f"nobody was there for it, and {now} is now"
    if not now:
        return f"{was} was there for it, and nobody is now"
    if was not in after:
        return f"{was} is gone"
    if before[was].up and not after[was].up:
        return f"{was} is down" + (f": {after[was].down_reason}" if after[was].down_reason else "")
    if was in changes and not _may_have(after[was]):
        return f"{was} is given to strangers no more"
    if now not in before:
        return f"{now} is new"
    if after[now].up and not before[now].up:
        return f"{now} is up again"
    if old.policy.choice is not new.policy.choice:
        return f"by {new.policy.choice.value} in place of {old.policy.choice.value}"
    for name in (now, was):
        if name in changes:
            return f"{name} has another {', '.join(changes[name])}"
    factors = _factor(old, was), _factor(new, was)
    if None not in factors and factors[0] != factors[1]:
        return f"the factor on {was} is {factors[1]} in place of {factors[0]}, so that it carries what it can"
    return "others came or went, and shares with them"


def _may_have(host: Host) -> bool:
    return host.for_strangers and not host.withheld


def _factor(snapshot: Snapshot, name: str) -> str | None:
    """The factor on a host's weight, as it is told; None without one."""
    if snapshot.balance is None:
        return None
    position = next((HostId(n) for n, host in enumerate(snapshot.hosts) if host.name == name), None)
    return None if position is None else f"{float(snapshot.balance.factors[position]):.2g}"

"""The same list of public mirrors for whoever has no registry: of a tree or snapshot, as a server loads it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from redirector.model import Host, HostId
from redirector.registry.public import CLOUD, OK, PublicCategory, PublicList, PublicMirror, PublicUrl, version_of
from redirector.snapshot.snapshot import Snapshot

OUT = frozenset({"stale", "unreachable", "unknown"})


def public_list_of(snapshot: Snapshot, name: str = "") -> PublicList:
    """Every public host of *snapshot*; `ok` exactly when strangers are given it.

    name  of the one category where the source does not tell categories apart
    """
    given: dict[HostId, dict[str, None]] = {}
    listed: dict[HostId, dict[str, None]] = {}
    for carriers in snapshot.host_sets:
        public = {host for host in carriers.public if snapshot.hosts[host].for_strangers and snapshot.hosts[host].up}
        for host, urls in carriers.urls.items():
            listed.setdefault(host, {}).update(dict.fromkeys(urls))
            if host in public:
                given.setdefault(host, {}).update(dict.fromkeys(urls))
    carries = _carries(snapshot)
    mirrors = []
    for number, facts in enumerate(snapshot.hosts):
        key = HostId(number)
        if facts.origin or facts.private:
            continue
        bases = tuple(PublicUrl(f"{url}/", url.partition(":")[0], name) for url in listed.get(key, ()))
        mirrors.append(_mirror(facts, bases, key in given, name, frozenset(carries.get(key, ()))))
    return PublicList(snapshot.built, tuple(sorted(mirrors, key=lambda mirror: mirror.host)))


def _mirror(
    host: Host, urls: tuple[PublicUrl, ...], given: bool, name: str, carries: frozenset[tuple[str, str, str]]
) -> PublicMirror:
    condition = host.condition
    if given:
        state = OK
    elif host.local:
        state = CLOUD
    elif condition is not None and condition.state in OUT:
        state = condition.state
    else:
        state = "stale" if urls else "no-url"
    since = int(condition.since or 0) if condition else 0
    lag_s = int(condition.lag_s) if condition and condition.lag_s is not None else None
    return PublicMirror(
        host=host.name,
        site=host.sponsor or host.name,
        site_url=host.sponsor_url,
        country=host.country or "",
        place=host.state,
        city=host.city,
        latitude=host.place.latitude if host.place else None,
        longitude=host.place.longitude if host.place else None,
        bandwidth_mbit=host.bandwidth_mbit if host.bandwidth_mbit > 1 else None,
        state=state,
        since=since,
        text=(condition.reason if condition else "") or host.down_reason,
        lag_s=lag_s,
        ipv4=host.ipv4,
        ipv6=host.ipv6,
        checked=int(condition.checked or 0) if condition else 0,
        tier=None,
        pulls_from="",
        networks=len(host.netblocks) + len(host.asns),
        urls=urls,
        categories=(PublicCategory(name, state, since, lag_s, name),) if urls else (),
        carries=carries,
    )


def _carries(snapshot: Snapshot) -> dict[HostId, set[tuple[str, str, str]]]:
    """What strangers are given there: (product, version, arch)."""
    found: dict[HostId, set[tuple[str, str, str]]] = {}
    for directory, arch in _repositories(snapshot):
        known = snapshot.directories.get(directory)
        if known is not None:
            for host in snapshot.host_sets[known.host_set].public:
                found.setdefault(host, set()).add(("", version_of(directory), arch))
    return found


def _repositories(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for (_, arch), directory in snapshot.repositories.items():
        yield directory, arch

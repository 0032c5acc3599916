"""The hosts of a snapshot as operators see them."""

from __future__ import annotations

from collections import defaultdict

from redirector.model import Condition, Host, HostId, Problem
from redirector.server.between.messages import DescribedHost
from redirector.snapshot.changes import directories_of, urls_of
from redirector.snapshot.snapshot import Snapshot


def describe_hosts(snapshot: Snapshot) -> tuple[DescribedHost, ...]:
    """All hosts of *snapshot*, by their ids. cost: 20 ms for 530 hosts"""
    urls, carried = urls_of(snapshot), directories_of(snapshot)
    by_file: dict[str, list[Problem]] = defaultdict(list)
    for problem in snapshot.problems:
        by_file[problem.path].append(problem)
    general = [problem for problem in snapshot.problems if problem.path not in {host.file for host in snapshot.hosts}]
    return tuple(
        _row(
            host,
            tuple(urls.get(HostId(n), ())),
            carried[HostId(n)],
            (*(by_file.get(host.file, ()) if host.file else ()), *(each for each in general if _is_about(each, host))),
        )
        for n, host in enumerate(snapshot.hosts)
    )


def _is_about(problem: Problem, host: Host) -> bool:
    """Whether a problem of a file that is not the host's own names it, as `mirrors.a.example.up` and `host 17` do."""
    words = problem.key.split()
    return host.name in words or (bool(host.key) and f".{host.key}." in f".{problem.key}.") or host.key in words[1:]


def _row(host: Host, urls: tuple[str, ...], directories: int, problems: tuple[Problem, ...]) -> DescribedHost:
    condition = host.condition or Condition()
    is_public = host.for_strangers or host.public_again
    return DescribedHost(
        name=host.name,
        key=host.key,
        standing=host.standing,
        visibility="public" if is_public else "local" if host.local else "private",
        country=host.country or "",
        city=host.city,
        latitude=host.place.latitude if host.place else None,
        longitude=host.place.longitude if host.place else None,
        bandwidth_mbit=host.bandwidth_mbit if host.bandwidth_said else 1,
        sponsor=host.sponsor,
        own_asn=host.own_asn,
        asns=host.asns,
        netblocks=tuple(map(str, host.netblocks)),
        urls=urls,
        directories=directories,
        reason=host.withheld or host.down_reason,
        condition=condition.state,
        since=condition.since,
        checked=condition.checked,
        lag_s=condition.lag_s,
        ipv4=host.ipv4,
        ipv6=host.ipv6,
        file=host.file,
        problems=problems,
    )

"""What a publication does to the file that is there: hosts that come, go, change. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from redirector.model import Catalog, Host, HostId

NAMED = 20
"""Hosts of a kind that are named one by one; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Old against new, by the names of hosts.

    before, after  counts: hosts, URLs, directories, repositories
    gone           how many of the hosts and URLs there were are there no more
    problems       a line each error in what is new, which is done without
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    before: Mapping[str, int]
    after: Mapping[str, int]
    gone: Mapping[str, int]
    problems: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing that clients feel would change."""
        return not (self.added or self.removed or self.changed) and self.before == self.after

    @property
    def shrinks(self) -> tuple[str, ...]:
        """Of what half or more would be gone."""
        return tuple(name for name, gone in self.gone.items() if gone and gone * 2 >= self.before[name])


def compare(old: Catalog | None, new: Catalog) -> Plan:
    """The plan that leads from *old*, None where there is nothing yet, to *new*."""
    hosts_before, hosts_after = _hosts(old) if old else {}, _hosts(new)
    urls_before = {(name, url) for name, (_, urls) in hosts_before.items() for url in urls}
    urls_after = {(name, url) for name, (_, urls) in hosts_after.items() for url in urls}
    both = hosts_before.keys() & hosts_after.keys()
    return Plan(
        added=tuple(sorted(hosts_after.keys() - hosts_before.keys())),
        removed=tuple(sorted(hosts_before.keys() - hosts_after.keys())),
        changed=tuple(sorted(name for name in both if hosts_before[name] != hosts_after[name])),
        before=_counts(old, len(hosts_before), len(urls_before)),
        after=_counts(new, len(hosts_after), len(urls_after)),
        gone={"hosts": len(hosts_before.keys() - hosts_after.keys()), "urls": len(urls_before - urls_after)},
    )


def _hosts(catalog: Catalog) -> dict[str, tuple[Host, frozenset[str]]]:
    """Hosts that carry something, and all their base URLs; the order of networks makes no difference."""
    urls: dict[HostId, set[str]] = {}
    for host_set in catalog.host_sets:
        for host, bases in host_set.urls.items():
            urls.setdefault(host, set()).update(bases)
    return {catalog.hosts[host].name: (_sorted(catalog.hosts[host]), frozenset(found)) for host, found in urls.items()}


def _sorted(host: Host) -> Host:
    said = host.bandwidth_mbit if host.bandwidth_said else 0
    host = replace(host, file="", bandwidth_mbit=said, bandwidth_said=True)
    return replace(host, netblocks=tuple(sorted(host.netblocks, key=str)), asns=tuple(sorted(host.asns)))


def _counts(catalog: Catalog | None, hosts: int, urls: int) -> dict[str, int]:
    directories = len(catalog.directories) if catalog else 0
    repositories = len(catalog.repositories) if catalog else 0
    return {"hosts": hosts, "urls": urls, "directories": directories, "repositories": repositories}


def plan_lines(plan: Plan, hosts: bool = True) -> Iterator[str]:
    """The plan for people; *hosts*: who comes, goes and changes, too."""
    for words, names in (("added", plan.added), ("removed", plan.removed), ("changed", plan.changed)) if hosts else ():
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        yield f"hosts {words}: {len(names)}{f' ({shown})' if names else ''}"
    for name, after in plan.after.items():
        yield f"{name}: {plan.before[name]:,} → {after:,}"


def plan_object(plan: Plan) -> dict[str, object]:
    """The plan for machines."""
    hosts = {"added": list(plan.added), "removed": list(plan.removed), "changed": list(plan.changed)}
    return {"hosts": hosts, "before": dict(plan.before), "after": dict(plan.after)}

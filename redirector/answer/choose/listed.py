"""The hosts of one list in a client's order, each with the reason why it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redirector.answer.answer import Tier
from redirector.answer.choose.lineup import Lineup, Order
from redirector.answer.choose.rank import Ranking
from redirector.answer.choose.sheets import Sheet
from redirector.model import HostId
from redirector.snapshot.snapshot import Snapshot

_REASONS = {
    Tier.NETBLOCK: "the client is in its netblock or AS",
    Tier.ASN: "the client is in its AS",
    Tier.COUNTRY: "in the client's country, or a requested one",
    Tier.CONTINENT: "on the client's continent",
    Tier.GLOBAL: "anywhere in the world",
    Tier.NONE: "",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One host of a list.

    km    distance from the client; None where it is not known or plays no part
    urls  its base URLs, best first
    """

    host: HostId
    tier: Tier
    reason: str
    km: float | None
    urls: tuple[str, ...]


def list_hosts(
    snapshot: Snapshot, order: Order, ranking: Ranking, shown: Mapping[HostId, tuple[str, ...]], seed: int
) -> tuple[Listed, ...]:
    """Those of *shown*, base URLs by host, that are listed, in the order of *seed*.

    order  what was drawn for *ranking*
    """
    tiers = {host: group.tier_of(host) for group in ranking.groups for host in group.hosts}
    sheet = Sheet([(HostId(n),) if n in shown else None for n in range(len(snapshot.hosts))])
    hosts, _ = Lineup(order, sheet).read(seed)

    def listed(host: HostId) -> Listed:
        tier = tiers.get(host, Tier.GLOBAL)
        return Listed(host, tier, _why(snapshot, ranking, host, tier), ranking.km.get(host), shown[host])

    return tuple(listed(host) for (host,) in hosts)


def _why(snapshot: Snapshot, ranking: Ranking, host: HostId, tier: Tier) -> str:
    if host == ranking.origin:
        return "primary_url: has everything, last of every list"
    is_drawn = tier in (Tier.COUNTRY, Tier.CONTINENT, Tier.GLOBAL) and not snapshot.policy.by_distance
    weight = f", weight {snapshot.hosts[host].bandwidth_mbit}" if is_drawn else ""
    return _REASONS[tier] + weight

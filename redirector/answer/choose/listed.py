"""The hosts of one list in a client's order, each with the reason why it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redirector.answer.answer import Tier
from redirector.answer.choose.groups import Group
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


ABROAD = "abroad, and near enough"


@dataclass(frozen=True, slots=True)
class Odds:
    """How a host is drawn by nearness.

    weight  beside that of the heaviest of its group, which is 1, without factors
    factor  see `redirector.snapshot.balance`
    chance  to be first among its group
    """

    weight: float
    factor: float
    chance: float

    def __str__(self) -> str:
        return f"weight {self.weight:.3g}, factor {self.factor:.3g}, chance {self.chance:.1%}"


@dataclass(frozen=True, slots=True)
class Listed:
    """One host of a list.

    km    distance from the client; None where it is not known or plays no part
    urls  its base URLs, best first
    odds  how it was drawn by nearness; None where it was not
    """

    host: HostId
    tier: Tier
    reason: str
    km: float | None
    urls: tuple[str, ...]
    odds: Odds | None = None


def odds_of(snapshot: Snapshot, group: Group) -> dict[HostId, Odds]:
    """How each host of a group that is drawn by nearness was drawn; {} for any other."""
    balance = snapshot.balance
    if not group.is_keyed or group.weights is None or balance is None:
        return {}
    factors = [float(balance.factors[host]) for host in group.hosts]
    plain = [weight / factor for weight, factor in zip(group.weights, factors, strict=True)]
    most, total = max(plain), sum(group.weights)
    return {
        host: Odds(alone / most, factor, weight / total)
        for host, alone, factor, weight in zip(group.hosts, plain, factors, group.weights, strict=True)
    }


def list_hosts(
    snapshot: Snapshot, order: Order, ranking: Ranking, shown: Mapping[HostId, tuple[str, ...]], seed: int
) -> tuple[Listed, ...]:
    """Those of *shown*, base URLs by host, that are listed, in the order of *seed*.

    order  what was drawn for *ranking*
    """
    tiers = {host: group.tier_of(host) for group in ranking.groups for host in group.hosts}
    odds = {host: each for group in ranking.groups for host, each in odds_of(snapshot, group).items()}
    sheet = Sheet([(HostId(n),) if n in shown else None for n in range(len(snapshot.hosts))])
    hosts, _ = Lineup.of(order, sheet).read(seed)

    def listed(host: HostId) -> Listed:
        tier = tiers.get(host, Tier.GLOBAL)
        why = _why(snapshot, ranking, host, tier, odds.get(host))
        return Listed(host, tier, why, ranking.km.get(host), shown[host], odds.get(host))

    return tuple(listed(host) for (host,) in hosts)


def _why(snapshot: Snapshot, ranking: Ranking, host: HostId, tier: Tier, odds: Odds | None) -> str:
    if host == ranking.origin:
        return "primary_url: has everything, last of every list"
    if odds is not None:
        return f"{_REASONS[tier] if tier is not Tier.GLOBAL or not ranking.km else ABROAD}, {odds}"
    is_drawn = tier in (Tier.COUNTRY, Tier.CONTINENT, Tier.GLOBAL) and not snapshot.policy.by_distance
    weight = f", weight {snapshot.hosts[host].bandwidth_mbit}" if is_drawn else ""
    return _REASONS[tier] + weight

"""Hosts of one tier that stand together, as every rule of choosing returns them."""

from __future__ import annotations

from dataclasses import dataclass

from redirector.answer.answer import Tier
from redirector.model import HostId


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts of one tier that stand together.

    weights  one a host: drawn without replacement by weight; None: they stand in this order
    is_even  all weights are 1, whatever the hosts' bandwidths
    whole    hosts among which their head is drawn, theirs and others, whatever the directory and the wishes: so one
             client sees one order everywhere, and what is drawn from does not grow with what is asked for
    is_keyed each client draws anew among them, without a table, since nearly nobody shares the weights: heaviest first
    abroad   those of a country's group that are elsewhere
    """

    tier: Tier
    hosts: tuple[HostId, ...]
    weights: tuple[float, ...] | None
    whole: tuple[HostId, ...]
    is_even: bool = False
    is_keyed: bool = False
    abroad: frozenset[HostId] = frozenset()

    def tier_of(self, host: HostId) -> Tier:
        """The tier of one of its hosts."""
        return Tier.GLOBAL if host in self.abroad else self.tier

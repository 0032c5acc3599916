"""How often hosts are given first: of late, and by which tier, for operators who look at one host."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from redirector.answer.answer import Tier

WINDOW_S = 60.0

_TIERS = tuple(tier.value for tier in Tier)


@dataclass(frozen=True, slots=True)
class Firsts:
    """Of one host.

    per_minute  over the last minute, or for as long as anything was counted
    by_tier     tier -> share of its first places, since it came; empty where it has never been first
    """

    per_minute: float = 0.0
    by_tier: Mapping[str, float] = field(default_factory=dict)


class Pulse:
    """Adds up what ages count, each of which counts by its own numbers of hosts."""

    def __init__(self) -> None:
        self._seen: dict[object, list[int]] = {}
        self._total: dict[str, Counter[str]] = {}
        self._recent: deque[tuple[float, Counter[str]]] = deque()
        self._began: float | None = None

    def look(self, now: float, ages: Sequence[tuple[object, Sequence[str], list[int]]]) -> None:
        """Take what living *ages* have counted: (age, names by host id, `Age.firsts`). *now*: any clock, seconds.

        cost  1 ms for 530 hosts
        """
        self._began = now if self._began is None else self._began
        fresh: Counter[str] = Counter()
        for age, names, counted in ages:
            before = self._seen.get(age) or [0] * len(counted)
            for position, (value, earlier) in enumerate(zip(counted, before, strict=True)):
                if value > earlier:
                    host, tier = divmod(position, len(_TIERS))
                    self._total.setdefault(names[host], Counter())[_TIERS[tier]] += value - earlier
                    fresh[names[host]] += value - earlier
        self._seen = {age: counted for age, _, counted in ages}
        known = {name for _, names, _ in ages for name in names}
        for name in self._total.keys() - known:
            del self._total[name]
        self._recent.append((now, fresh))
        while self._recent[0][0] <= now - WINDOW_S:
            self._recent.popleft()

    def firsts(self, now: float) -> dict[str, Firsts]:
        """What is known of every host that was ever given first."""
        lately: Counter[str] = Counter()
        for _, fresh in self._recent:
            lately.update(fresh)
        began = now if self._began is None else self._began
        minutes = max(1.0, min(WINDOW_S, now - began)) / 60.0
        return {
            name: Firsts(lately[name] / minutes, {tier: count / sum(tiers.values()) for tier, count in tiers.items()})
            for name, tiers in self._total.items()
        }

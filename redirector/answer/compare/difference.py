"""What a change does to clients, as a value: pages, messages, commands and publications read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HostShare:
    """How many of all clients get a host first, as shares, before and after; and its share of the bandwidth.

    capacity  after; before for a host that goes
    """

    host: str
    before: float
    after: float
    capacity: float

    @property
    def gain(self) -> float:
        """What it gains; below 0: what it loses."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class CountryMove:
    """What becomes of one country's clients.

    clients              how many of the sample are there
    moved                share of them whose first host is another
    km_before, km_after  median way to the first host; None where no host of theirs has a place
    """

    country: str
    clients: int
    moved: float
    km_before: float | None
    km_after: float | None


@dataclass(frozen=True, slots=True)
class Example:
    """One client whose first host changes, for many like it.

    address        where it is
    before, after  hosts; "": none
    like           how many of the sample go the same way
    why            in words
    """

    address: str
    country: str
    before: str
    after: str
    km_before: float | None
    km_after: float | None
    like: int
    why: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two sources, or between two ways to choose.

    clients                  how many were asked about
    moved                    share of them whose first host is another
    km_before, km_after      median way to the first host
    added, removed, changed  names of hosts
    changes                  changed host -> what about it is another
    lists_added              repositories that nobody could ask for before, each with its architecture, if it has one
    lists_removed            repositories that are not there any more: who asks for one gets nothing
    shares                   of every host that is first for anybody, those that gain or lose most first
    countries                those with most clients first
    """

    clients: int
    moved: float
    km_before: float | None
    km_after: float | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    shares: tuple[HostShare, ...]
    countries: tuple[CountryMove, ...]
    examples: tuple[Example, ...] = ()
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists_added: tuple[str, ...] = ()
    lists_removed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """What JSON says of it; shares and kilometres rounded."""
        return {
            "clients": self.clients,
            "moved": _share(self.moved),
            "km_before": _km(self.km_before),
            "km_after": _km(self.km_after),
            "hosts": {"added": [*self.added], "removed": [*self.removed], "changed": [*self.changed]},
            "repositories": {"added": [*self.lists_added], "removed": [*self.lists_removed]},
            "shares": [
                {
                    "host": each.host,
                    "before": _share(each.before),
                    "after": _share(each.after),
                    "capacity": _share(each.capacity),
                }
                for each in self.shares
            ],
            "countries": [
                {
                    "country": each.country,
                    "clients": each.clients,
                    "moved": _share(each.moved),
                    "km_before": _km(each.km_before),
                    "km_after": _km(each.km_after),
                }
                for each in self.countries
            ],
            "examples": [
                {
                    "client": each.address,
                    "country": each.country,
                    "before": each.before or None,
                    "after": each.after or None,
                    "km_before": _km(each.km_before),
                    "km_after": _km(each.km_after),
                    "like": each.like,
                    "why": each.why,
                }
                for each in self.examples
            ],
        }


def _share(share: float) -> float:
    return round(share, 6)


def _km(km: float | None) -> float | None:
    return None if km is None else round(km, 1)

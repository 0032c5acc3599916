"""What a client may wish for beyond a directory; every field has a value that means "no wish"."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from redirector.errors import QueryError


@dataclass(frozen=True, slots=True)
class Wishes:
    """Parsed wishes.

    countries          sorted, without duplicates, as typed (`global` among them)
    protocols          schemes, sorted, without duplicates
    networks           False: netblocks and AS numbers are not looked at
    private            False: no private host is shown (an `ip=` from a stranger)
    exclude_hosts      names of hosts, or host names in their URLs, or domains above these
    exclude_countries  upper case
    limit              how many hosts at most; None: as many as the source's rule gives
    family             4 or 6: hosts known to serve it
    unknown            names of wishes that name a country which does not exist
    demands            names of wishes that must be met (`country`, `protocol`, `ipv4`, `ipv6`)
    """

    countries: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    networks: bool = True
    private: bool = True
    exclude_hosts: frozenset[str] = frozenset()
    exclude_countries: frozenset[str] = frozenset()
    limit: int | None = None
    family: int | None = None
    demands: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


NO_WISHES = Wishes()


def describe_wishes(wishes: Wishes) -> tuple[str, ...]:
    """Each wish as a parameter says it, and whether private hosts are shown to whom it is about."""
    words = {
        "country": ",".join(wishes.countries),
        "protocol": ",".join(wishes.protocols),
        "netblock": "" if wishes.networks else "0",
        "exclude_host": ",".join(sorted(wishes.exclude_hosts)),
        "exclude_country": ",".join(sorted(wishes.exclude_countries)),
        "limit": "" if wishes.limit is None else str(wishes.limit),
        "ipv4": "1" if wishes.family == 4 else "",
        "ipv6": "1" if wishes.family == 6 else "",
        "require": ",".join(sorted(wishes.demands)),
    }
    described = [f"{name}={value}" for name, value in words.items() if value]
    return (*described, *(() if wishes.private else ("no private hosts: ip= comes from a stranger",)))


def refuse_unmet(wishes: Wishes, relaxed: Collection[str]) -> None:
    """Refuse what can be answered only by relaxing a demand. Raises QueryError 404."""
    unmet = wishes.demands.intersection(relaxed)
    if unmet:
        raise QueryError(404, f"no mirror that carries this meets what is required: {', '.join(sorted(unmet))}")

"""Hosts that an operator has switched off: given to nobody until they are switched on again, whatever the source says.

They are kept in a small file of the state directory, so that they survive reloads and restarts.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, replace

import msgspec

from redirector.files import read_bytes, write_atomically
from redirector.model import Catalog, Host, HostId, HostSet, Problem, Severity, utc

FILE = "off.json"

_LIMIT_BYTES = 4 << 20
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """One host that is switched off.

    since  epoch seconds
    until  epoch seconds; None: until somebody switches it on
    why    for people, one line
    """

    name: str
    since: float
    until: float | None = None
    why: str = ""

    def describe(self) -> str:
        """What people read where the host is shown."""
        until = "" if self.until is None else f" until {utc(self.until)}"
        return f"switched off by an operator since {utc(self.since)}{until}" + (f": {self.why}" if self.why else "")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    hosts: tuple[SwitchedOff, ...]


def load_switched_off(state: str | None, now: float) -> tuple[SwitchedOff, ...]:
    """What is kept in the directory *state*, without what is over; () where there is no such file.

    raises  OSError, or ValueError with one line of text, for a file that cannot be used
    """
    if state is None:
        return ()
    try:
        file = msgspec.json.decode(read_bytes(os.path.join(state, FILE), _LIMIT_BYTES), type=_File)
    except FileNotFoundError:
        return ()
    except msgspec.MsgspecError as error:
        raise ValueError(f"not what was kept: {error}") from error
    return without_ended(file.hosts, now)


def keep_switched_off(state: str, hosts: Iterable[SwitchedOff]) -> None:
    """Put *hosts* into the directory *state*, at once or not at all. Raises OSError."""
    os.makedirs(state, exist_ok=True)
    write_atomically(os.path.join(state, FILE), msgspec.json.encode(_File(_FORMAT, tuple(hosts))))


def without_ended(hosts: Iterable[SwitchedOff], now: float) -> tuple[SwitchedOff, ...]:
    """Those of *hosts* whose time is not over."""
    return tuple(each for each in hosts if each.until is None or each.until > now)


def switch_off(catalog: Catalog, hosts: Collection[SwitchedOff]) -> Catalog:
    """*catalog* with *hosts* withheld from everybody; one that is not in it is a warning."""
    if not hosts:
        return catalog
    numbers = {host.name.casefold(): HostId(n) for n, host in enumerate(catalog.hosts)}
    found = {numbers[each.name.casefold()]: each for each in hosts if each.name.casefold() in numbers}
    missing = [each for each in hosts if each.name.casefold() not in numbers]
    problems = tuple(
        Problem(Severity.WARNING, catalog.path, f"off {each.name}", f"no such host now; it was {each.describe()}")
        for each in missing
    )
    return replace(
        catalog,
        hosts=tuple(_withhold(host, found.get(HostId(n))) for n, host in enumerate(catalog.hosts)),
        host_sets=tuple(_without(carriers, found.keys()) for carriers in catalog.host_sets),
        problems=(*catalog.problems, *problems),
    )


def _withhold(host: Host, off: SwitchedOff | None) -> Host:
    if off is None:
        return host
    return replace(
        host,
        private=True,
        netblocks=(),
        asns=(),
        monopoly=False,
        origin=False,
        withheld=off.describe(),
        switched_off=True,
        public_again=host.for_strangers,
    )


def _without(carriers: HostSet, off: Set[HostId]) -> HostSet:
    """*carriers* with the hosts *off* for nobody. They stay among its URLs, so that `explain` can name them."""
    if off.isdisjoint(carriers.urls.keys()):
        return carriers
    return replace(
        carriers,
        public=tuple(host for host in carriers.public if host not in off),
        by_country={
            country: left
            for country, hosts in carriers.by_country.items()
            if (left := tuple(host for host in hosts if host not in off))
        },
    )

"""Which mirrors somebody wants to see, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import inf

from redirector.locate.places import countries
from redirector.registry.public import PublicMirror
from redirector.web.pages.shown import Shown
from redirector.web.pages.versions import version_key

ORDERS = ("country", "lag", "score", "name")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for; "" is everything. *sort*: one of `ORDERS`."""

    country: str = ""
    product: str = ""
    version: str = ""
    arch: str = ""
    protocol: str = ""
    family: str = ""
    tier: str = ""
    state: str = ""
    sort: str = "country"

    @property
    def narrows(self) -> bool:
        """Something was asked for."""
        return any(getattr(self, each.name) for each in fields(self) if each.name != "sort")


def read_choice(query: Mapping[str, str]) -> Choice:
    """The choice in the parameters of a page; what is unknown there chooses nothing, an unknown order is the usual."""
    told = {each.name: query[each.name].strip()[:100] for each in fields(Choice) if each.name in query}
    if told.get("sort") not in ORDERS:
        told.pop("sort", None)
    return Choice(**told)


def choose(shown: Shown, choice: Choice, *, in_order: bool = True) -> list[PublicMirror]:
    """The mirrors that fit, in the order that was asked for; else by name."""
    found = [mirror for mirror in shown.listed.mirrors if _fits(mirror, choice)]
    return sorted(found, key=lambda mirror: _rank(shown, mirror, choice.sort)) if in_order else found


def _fits(mirror: PublicMirror, choice: Choice) -> bool:
    plain = (
        (choice.country.upper(), mirror.country),
        (choice.state, mirror.state),
        (choice.tier, "none" if mirror.tier is None else str(mirror.tier)),
    )
    if any(wanted and wanted != has for wanted, has in plain):
        return False
    if choice.protocol and choice.protocol not in mirror.protocols:
        return False
    if choice.family and {"ipv4": mirror.ipv4, "ipv6": mirror.ipv6, "4": mirror.ipv4, "6": mirror.ipv6}.get(
        choice.family.lower()
    ) not in (True,):
        return False
    content = (choice.product, choice.version, choice.arch)
    if any(content):
        products = {each.product for each in mirror.categories} | {each.category for each in mirror.categories}
        if not (choice.version or choice.arch):
            return choice.product in products
        return any(all(w in ("", has) for w, has in zip(content, each, strict=True)) for each in mirror.carries)
    return True


def _rank(shown: Shown, mirror: PublicMirror, sort: str) -> tuple[bool | float | str, ...]:
    country = countries().get(mirror.country)
    if sort == "lag":
        return inf if mirror.lag_s is None else mirror.lag_s, mirror.host
    if sort == "score":
        return shown.scores.get(mirror.host, inf), mirror.host
    if sort == "name":
        return (mirror.host,)
    return country is None, country.name if country else "", mirror.host


def values_of(shown: Shown, name: str) -> list[str]:
    """What can be asked for of *name*, in order."""
    return sorted(dict.fromkeys(filter(None, _values(shown, name))), key=version_key)


def _values(shown: Shown, name: str) -> Iterator[str]:
    for mirror in shown.listed.mirrors:
        if name == "product":
            yield from (each.product or each.category for each in mirror.categories)
        elif name == "version":
            yield from (version for _, version, _ in mirror.carries)
        elif name == "arch":
            yield from (arch for _, _, arch in mirror.carries)
        elif name == "protocol":
            yield from mirror.protocols
        elif name == "tier":
            yield "none" if mirror.tier is None else str(mirror.tier)
        else:
            yield str(getattr(mirror, name))

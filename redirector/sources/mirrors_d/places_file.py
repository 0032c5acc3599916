"""The places file: where mirrors are that do not say so themselves (`docs/almalinux.md`, section 7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from redirector.model import Place
from redirector.plain_yaml import Value
from redirector.sources.fields import known_keys, read_asns, read_country, read_mapping, read_networks, read_place
from redirector.sources.problems import Report, list_some

_KEYS = ("country", "latitude", "longitude", "asn", "address")


@dataclass(frozen=True, slots=True)
class Located:
    """What the places file says about one mirror.

    asn        the AS that its address is in
    addresses  its own ones, by which a table of AS numbers finds that AS
    """

    country: str | None = None
    place: Place | None = None
    asn: int | None = None
    addresses: tuple[str, ...] = ()


def read_places(report: Report, document: Value, mirrors: Collection[str]) -> dict[str, Located]:
    """Mirror name -> where it is; names that are no *mirrors* are reported."""
    entries = read_mapping(report, "file", document)
    strangers = sorted(name for name in entries if name not in mirrors)
    if strangers:
        report.warning("file", f"no such mirror: {list_some(strangers)}: left out")
    return {name: _read_entry(report, name, entries[name]) for name in entries if name in mirrors}


def _read_entry(report: Report, name: str, value: Value) -> Located:
    record = known_keys(report, read_mapping(report, name, value), _KEYS, f"{name}.")
    asns = read_asns(report, f"{name}.asn", record.get("asn"))
    networks = read_networks(report, f"{name}.address", record.get("address"))
    return Located(
        asn=asns[0] if asns else None,
        addresses=tuple(str(each.network_address) for each in networks if each.prefixlen == each.max_prefixlen),
        country=read_country(report, f"{name}.country", record.get("country")),
        place=read_place(report, f"{name}.", record),
    )

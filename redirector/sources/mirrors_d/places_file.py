"""The places file: where mirrors are that do not say so themselves (`docs/almalinux.md`, section 7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from redirector.model import Place
from redirector.plain_yaml import Value
from redirector.sources.fields import known_keys, read_country, read_mapping, read_place
from redirector.sources.problems import Report, list_some

_KEYS = ("country", "latitude", "longitude")


@dataclass(frozen=True, slots=True)
class Located:
    """What the places file says about one mirror."""

    country: str | None = None
    place: Place | None = None


def read_places(report: Report, document: Value, mirrors: Collection[str]) -> dict[str, Located]:
    """Mirror name -> where it is; names that are no *mirrors* are reported."""
    entries = read_mapping(report, "file", document)
    strangers = sorted(name for name in entries if name not in mirrors)
    if strangers:
        report.warning("file", f"no such mirror: {list_some(strangers)}: left out")
    return {name: _read_entry(report, name, entries[name]) for name in entries if name in mirrors}


def _read_entry(report: Report, name: str, value: Value) -> Located:
    record = known_keys(report, read_mapping(report, name, value), _KEYS, f"{name}.")
    return Located(
        country=read_country(report, f"{name}.country", record.get("country")),
        place=read_place(report, f"{name}.", record),
    )

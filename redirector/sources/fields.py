"""Single fields of operators' YAML: each is returned in the right type, or reported and left out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from ipaddress import IPv6Network, ip_network

from redirector.locate.places import find_country
from redirector.model import Network, Place
from redirector.plain_yaml import Value
from redirector.sources.problems import Report, nearest_key, show

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no name, path or text for people holds; lone surrogates cannot even be written."""

NO_ALIASES: Mapping[str, str] = {}

_ASNS = range(1, 2**32)
"""RFC 6793; 0 is reserved (RFC 7607)."""

_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses written as IPv6 ones (RFC 4291, 2.5.5.2)."""


WIDEST = {4: 8, 6: 19}
"""Prefix lengths of the largest blocks that anybody was ever given: an address before a shorter one is a slip."""


def known_keys(
    report: Report,
    record: Mapping[str, Value],
    known: tuple[str, ...],
    prefix: str = "",
    aliases: Mapping[str, str] = NO_ALIASES,
) -> dict[str, Value]:
    """*record* reduced to *known* keys; a misspelt one counts as the one that it is nearest to, if that is absent.

    aliases  other words for keys
    """
    kept = {key: value for key, value in record.items() if key in known}
    for key, value in record.items():
        if key in kept:
            continue
        meant = aliases.get(key.casefold()) or nearest_key(key, known)
        if meant is None:
            report.warning(prefix + key, "unknown key: left out")
        elif meant in kept:
            report.warning(prefix + key, f"unknown key, and {meant} is there already: left out")
        else:
            report.warning(prefix + key, f"unknown key: taken as {meant}")
            kept[meant] = value
    return kept


def read_text(report: Report, key: str, value: Value) -> str | None:
    """One line of text, white space collapsed; None when absent, empty, or something else (reported)."""
    if value is None:
        return None
    if not isinstance(value, str):
        report.error(key, f"{show(value)} is no text: left out")
        return None
    text = " ".join(value.split())
    if _CONTROLS.search(text):
        report.error(key, f"{show(text)} holds control characters: left out")
        return None
    return text or None


def read_texts(report: Report, key: str, value: Value) -> tuple[str, ...]:
    """A list of texts, each once; a single text counts as a list of one."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    texts = (read_text(report, key, item) for item in items)
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def read_mapping(report: Report, key: str, value: Value) -> dict[str, Value]:
    """A mapping; empty when absent or something else (reported)."""
    if isinstance(value, dict):
        return value
    if value is not None:
        report.error(key, f"{show(value)} is no mapping: left out")
    return {}


def read_flag(report: Report, key: str, value: Value, unreadable: bool) -> bool:
    """True or false; absent is false, and what cannot be read counts as *unreadable*."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
        taken = value.strip().casefold() == "true"
        report.warning(key, f"{show(value)} is a text: taken as {str(taken).lower()}")
        return taken
    report.error(key, f"{show(value)} is neither true nor false: taken as {str(unreadable).lower()}")
    return unreadable


def read_number(report: Report, key: str, value: Value, low: float, high: float) -> float | None:
    """A finite number from *low* to *high*; None when absent or something else (reported)."""
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    if low <= number <= high:
        return number
    report.error(key, f"{show(value)} is no number from {low:g} to {high:g}: left out")
    return None


def read_country(report: Report, key: str, value: Value) -> str | None:
    """An ISO code; a name, an alias, another case or YAML's false for an unquoted `NO` is repaired."""
    if value is None:
        return None
    if value is False:
        report.warning(key, "NO without quotation marks is false in YAML: taken as 'NO'")
        return "NO"
    country = find_country(value) if isinstance(value, str) else None
    if country is None:
        report.error(key, f"{show(value)} is no country: left out")
    elif country != value:
        report.warning(key, f"{show(value)}: taken as {country}")
    return country


def read_place(report: Report, prefix: str, record: Mapping[str, Value]) -> Place | None:
    """The keys `latitude` and `longitude` of *record*; None unless both are there and right."""
    latitude = read_number(report, f"{prefix}latitude", record.get("latitude"), -90, 90)
    longitude = read_number(report, f"{prefix}longitude", record.get("longitude"), -180, 180)
    if latitude is not None and longitude is not None:
        return Place(latitude, longitude)
    if record.get("latitude") is None and record.get("longitude") is not None:
        report.error(f"{prefix}longitude", "latitude is missing: left out")
    if record.get("longitude") is None and record.get("latitude") is not None:
        report.error(f"{prefix}latitude", "longitude is missing: left out")
    return None


def read_asns(report: Report, key: str, value: Value) -> tuple[int, ...]:
    """AS numbers, one or a list, each once."""
    return tuple(
        dict.fromkeys(number for text in read_texts(report, key, value) if (number := _asn(report, key, text)))
    )


def _asn(report: Report, key: str, text: str) -> int | None:
    digits = text[2:].strip() if text[:2].upper() == "AS" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and int(digits) in _ASNS):
        report.error(key, f"{show(text)} is no AS number: left out")
        return None
    if digits != text:
        report.warning(key, f"{show(text)}: taken as {int(digits)}")
    return int(digits)


def read_networks(report: Report, key: str, value: Value) -> tuple[Network, ...]:
    """Networks in CIDR notation, one or a list, each once; bare addresses are networks of one."""
    return tuple(
        dict.fromkeys(network for text in read_texts(report, key, value) if (network := _network(report, key, text)))
    )


def _network(report: Report, key: str, text: str) -> Network | None:
    if "://" in text:
        report.error(key, f"{show(text)} would have to be fetched, which is never done: left out")
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        report.error(key, f"{show(text)} is no network ({error}): left out")
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
        report.warning(key, f"{show(text)} holds IPv4 addresses: taken as {network}")
    elif not _starts_at(text, network):
        if network.prefixlen < WIDEST[network.version]:
            report.error(key, f"{show(text)} has bits beyond its prefix, and {network} is nobody's network: left out")
            return None
        report.warning(key, f"{show(text)} has bits beyond its prefix: taken as {network}")
    return network


def _starts_at(text: str, network: Network) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True

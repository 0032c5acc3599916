"""One file of `mirrors.d` (`docs/almalinux.md`, section 5): what it says, with each oddity mended or left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePath

from redirector.locate.places import CityName, find_country
from redirector.model import Network, Place
from redirector.plain_yaml import Value
from redirector.sources.base_url import host_of, read_base_urls
from redirector.sources.fields import (
    known_keys,
    read_asns,
    read_flag,
    read_mapping,
    read_networks,
    read_place,
    read_text,
    read_texts,
)
from redirector.sources.mirrors_d.cloud import CLOUDS
from redirector.sources.problems import Report, show

_KEYS = (
    "name",
    "address",
    "address_optional",
    "update_frequency",
    "sponsor",
    "sponsor_url",
    "email",
    "geolocation",
    "private",
    "monopoly",
    "asn",
    "subnets",
    "cloud_type",
    "cloud_regions",
)
_GEOLOCATION_KEYS = ("country", "state_province", "city", "latitude", "longitude")
_REQUIRED_TEXTS = ("update_frequency", "sponsor", "sponsor_url")

_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
"""A host name, or an address with or without a port."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror as its file says, not yet placed by a gazetteer.

    modules  module -> base URLs
    city     what the gazetteer may be asked for; None without a country
    """

    path: str
    name: str
    urls: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]
    country: str | None
    city: CityName | None
    place: Place | None
    private: bool
    monopoly: bool
    asns: tuple[int, ...]
    subnets: tuple[Network, ...]
    cloud: str | None
    cloud_regions: tuple[str, ...]
    sponsor: str
    sponsor_url: str


def read_mirror(report: Report, document: Value, modules: Collection[str]) -> Mirror | None:
    """The mirror that *document*, the value of a whole file, describes; None (and an error) without name or address.

    modules  those of the tree; addresses of others are left out
    """
    if not isinstance(document, dict):
        report.error("file", f"{show(document)} is no mapping: left out")
        return None
    record = known_keys(report, document, _KEYS)
    name = read_text(report, "name", record.get("name"))
    if name is None or not _NAME.fullmatch(name):
        report.error("name", f"{show(record.get('name'))} is no host name: mirror left out")
        return None
    urls = read_base_urls(report, "address", record.get("address"))
    if not urls:
        report.error("address", f"{name} has no usable address: mirror left out")
        return None
    for key in _REQUIRED_TEXTS:
        if record.get(key) in (None, ""):
            report.warning(key, "missing")
    _compare_names(report, name, urls)
    country, city, place = _read_geolocation(report, record.get("geolocation"))
    return Mirror(
        path=report.path,
        name=name,
        urls=urls,
        modules=_read_modules(report, record.get("address_optional"), modules),
        country=country,
        city=city,
        place=place,
        private=read_flag(report, "private", record.get("private"), unreadable=True),
        monopoly=read_flag(report, "monopoly", record.get("monopoly"), unreadable=False),
        asns=read_asns(report, "asn", record.get("asn")),
        subnets=read_networks(report, "subnets", record.get("subnets")),
        cloud=_read_cloud(report, record.get("cloud_type")),
        cloud_regions=read_texts(report, "cloud_regions", record.get("cloud_regions")),
        sponsor=read_text(report, "sponsor", record.get("sponsor")) or "",
        sponsor_url=_read_sponsor_url(report, record.get("sponsor_url")),
    )


def _compare_names(report: Report, name: str, urls: tuple[str, ...]) -> None:
    """Report a file or a web address that is named unlike the mirror; bare addresses have no name to compare."""
    if PurePath(report.path).stem.casefold() != name.casefold() and ":" not in name and not _is_address(name):
        report.warning("name", f"{show(name)} is not the file's name")
    hosts = {host_of(url) for url in urls if url.startswith("http")}
    others = sorted(host for host in hosts if host != name.casefold() and not _is_address(host))
    if others:
        report.warning("address", f"host {', '.join(others)} is not the mirror's name {name}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _read_modules(report: Report, value: Value, known: Collection[str]) -> dict[str, tuple[str, ...]]:
    modules = {}
    for module, addresses in read_mapping(report, "address_optional", value).items():
        key = f"address_optional.{module}"
        if module not in known:
            report.warning(key, "no such module in config.yml: left out")
        elif urls := read_base_urls(report, key, addresses):
            modules[module] = urls
    return modules


def _read_geolocation(report: Report, value: Value) -> tuple[str | None, CityName | None, Place | None]:
    record = known_keys(report, read_mapping(report, "geolocation", value), _GEOLOCATION_KEYS, "geolocation.")
    place = read_place(report, "geolocation.", record)
    country = read_country(report, "geolocation.country", record.get("country"))
    city = read_text(report, "geolocation.city", record.get("city"))
    state = read_text(report, "geolocation.state_province", record.get("state_province"))
    if "city" in record and city is None and place is None:
        report.warning("geolocation.city", "empty: placed by state or country")
    return country, CityName(city or "", state or "", country) if country else None, place


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


def _read_cloud(report: Report, value: Value) -> str | None:
    cloud = read_text(report, "cloud_type", value)
    if cloud is None or cloud in CLOUDS:
        return cloud
    report.error("cloud_type", f"{show(cloud)} is none of {', '.join(CLOUDS)}: no ranges are known")
    return cloud


def _read_sponsor_url(report: Report, value: Value) -> str:
    url = read_text(report, "sponsor_url", value)
    if url is None:
        return ""
    if re.match(r"https?://\S+$", url, re.IGNORECASE):
        return url
    if re.fullmatch(r"[\w.-]+\.\w+(/\S*)?", url):
        report.warning("sponsor_url", f"{show(url)} has no scheme: taken as https://{url}")
        return f"https://{url}"
    report.error("sponsor_url", f"{show(url)} is no web address: left out")
    return ""

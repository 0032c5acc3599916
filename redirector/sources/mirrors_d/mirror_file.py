"""One file of `mirrors.d` (`docs/almalinux.md`, section 5): what it says, with each oddity mended or left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePath

from redirector.locate.places import CityName
from redirector.model import Network, Place
from redirector.plain_yaml import Value
from redirector.sources.base_url import BaseUrls, host_of, is_slip, mend_scheme, read_base_urls
from redirector.sources.fields import (
    known_keys,
    read_asns,
    read_country,
    read_flag,
    read_mapping,
    read_networks,
    read_number,
    read_place,
    read_text,
    read_texts,
)
from redirector.sources.mirrors_d.restrictions import Restrictions, without_restrictions
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
    "bandwidth_mbit",
    "disabled",
    "own_asn",
    "countries_allowed",
    "countries_excluded",
    "lacking",
)
_ALIASES = {
    "bandwidth": "bandwidth_mbit",
    "lacks": "lacking",
    "allowed_countries": "countries_allowed",
    "excluded_countries": "countries_excluded",
}
"""What people call keys that are not near enough to be taken for misspelt."""

TEXT_KEYS = frozenset(
    ("name", "update_frequency", "sponsor", "sponsor_url", "email", "state_province", "city", "cloud_type", "lacking")
)
"""Under these a word is a text, whatever YAML calls it: `ON` is Ontario."""

_GEOLOCATION_KEYS = ("country", "state_province", "city", "latitude", "longitude")
_REQUIRED_TEXTS = ("update_frequency", "sponsor", "sponsor_url")

_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
"""A host name, or an address with or without a port."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror as its file says, not yet placed by a gazetteer.

    modules         module -> base URLs
    guessed         those of its URLs that were repaired from a slip
    city            what the gazetteer may be asked for; None without a country
    bandwidth_mbit  None: not said
    own_asn         the AS that its address is in; None: not said
    allowed         countries whose clients may have it; empty: all but *excluded*
    lacking         patterns of paths below the base that it does not carry
    withheld        why it is given to nobody; "": it is not withheld
    email           for notices to its admin alone; never published
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
    guessed: frozenset[str] = frozenset()
    bandwidth_mbit: int | None = None
    own_asn: int | None = None
    allowed: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    lacking: tuple[str, ...] = ()
    withheld: str = ""
    email: str = ""


def read_mirror(
    report: Report, document: Value, modules: Collection[str], contradictions: Collection[str] = ()
) -> Mirror | None:
    """The mirror that *document*, the value of a whole file, describes; None (and an error) without name or address.

    modules         those of the tree; addresses of others are left out
    contradictions  keys that stand in the file twice, with different values
    """
    if not isinstance(document, dict):
        report.error("file", f"{show(document)} is no mapping: left out")
        return None
    record = known_keys(report, document, _KEYS, aliases=_ALIASES)
    restrictions = Restrictions(report)
    restrictions.find_misplaced(document, record)
    restrictions.find_contradictions(contradictions)
    name = read_text(report, "name", record.get("name"))
    if name is None or not _NAME.fullmatch(name):
        report.error("name", f"{show(record.get('name'))} is no host name: mirror left out")
        return None
    address = read_base_urls(report, "address", record.get("address"))
    urls = address.urls
    if not urls:
        report.error("address", f"{name} has no usable address: mirror left out")
        return None
    for key in _REQUIRED_TEXTS:
        if record.get(key) in (None, ""):
            report.warning(key, "missing")
    for key in ("private", "disabled"):
        if key in record and record[key] is None:
            report.warning(key, "empty: taken as false")
    _compare_names(report, name, urls)
    country, city, place = _read_geolocation(report, record.get("geolocation"))
    modules_urls = _read_modules(report, record.get("address_optional"), modules)
    allowed = restrictions.read_countries("countries_allowed", record.get("countries_allowed"))
    excluded = restrictions.read_countries("countries_excluded", record.get("countries_excluded"))
    cloud = restrictions.read_cloud(record.get("cloud_type"), record.get("cloud_regions"))
    if read_flag(report, "disabled", record.get("disabled"), unreadable=True):
        restrictions.withhold("disabled in its file")
    bandwidth = read_number(report, "bandwidth_mbit", record.get("bandwidth_mbit"), 1, 10_000_000)
    own_asns = read_asns(report, "own_asn", record.get("own_asn"))
    if len(own_asns) > 1:
        report.error("own_asn", f"its address is in one AS, and {len(own_asns)} are named: the first counts")
    return Mirror(
        path=report.path,
        name=name,
        urls=urls,
        modules={module: found.urls for module, found in modules_urls.items()},
        country=country,
        city=city,
        place=place,
        private=read_flag(report, "private", record.get("private"), unreadable=True),
        monopoly=read_flag(report, "monopoly", record.get("monopoly"), unreadable=False),
        asns=read_asns(report, "asn", record.get("asn")),
        subnets=read_networks(report, "subnets", record.get("subnets")),
        cloud=cloud,
        cloud_regions=read_texts(report, "cloud_regions", record.get("cloud_regions")),
        sponsor=read_text(report, "sponsor", record.get("sponsor")) or "",
        sponsor_url=_read_sponsor_url(report, record.get("sponsor_url")),
        guessed=address.guessed.union(*(found.guessed for found in modules_urls.values())),
        bandwidth_mbit=None if bandwidth is None else round(bandwidth),
        own_asn=own_asns[0] if own_asns else None,
        allowed=allowed,
        excluded=excluded,
        lacking=_read_lacking(report, record.get("lacking")),
        withheld=restrictions.reason,
        email=read_text(report, "email", record.get("email")) or "",
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


def _read_modules(report: Report, value: Value, known: Collection[str]) -> dict[str, BaseUrls]:
    modules = {}
    for module, addresses in read_mapping(report, "address_optional", value).items():
        key = f"address_optional.{module}"
        if module not in known:
            report.warning(key, "no such module in config.yml: left out")
        elif (found := read_base_urls(report, key, addresses)).urls:
            modules[module] = found
    return modules


def _read_lacking(report: Report, value: Value) -> tuple[str, ...]:
    """Patterns of paths below the base, without outer slashes."""
    patterns = []
    for text in read_texts(report, "lacking", value):
        pattern = re.sub("/{2,}", "/", text).strip("/")
        if not pattern or any(segment in (".", "..") for segment in pattern.split("/")):
            report.error("lacking", f"{show(text)} is no path below the base: left out")
        else:
            patterns.append(pattern)
    return tuple(patterns)


def _read_geolocation(report: Report, value: Value) -> tuple[str | None, CityName | None, Place | None]:
    said = without_restrictions(read_mapping(report, "geolocation", value))
    record = known_keys(report, said, _GEOLOCATION_KEYS, "geolocation.")
    place = read_place(report, "geolocation.", record)
    country = read_country(report, "geolocation.country", record.get("country"))
    city = read_text(report, "geolocation.city", record.get("city"))
    state = read_text(report, "geolocation.state_province", record.get("state_province"))
    if "city" in record and city is None and place is None:
        report.warning("geolocation.city", "empty: placed by state or country")
    return country, CityName(city or "", state or "", country) if country else None, place


def _read_sponsor_url(report: Report, value: Value) -> str:
    url = read_text(report, "sponsor_url", value)
    if url is None:
        return ""
    if is_slip(url) and re.match(r"https?[^\w.-]", url, re.IGNORECASE):
        with suppress(ValueError):
            mended = mend_scheme(url, "https")
            report.warning("sponsor_url", f"{show(url)}: taken as {mended}")
            url = mended
    if re.match(r"https?://[^\s/:]+\S*$", url, re.IGNORECASE):
        return url
    if re.fullmatch(r"[\w.-]+\.\w+(/\S*)?", url):
        report.warning("sponsor_url", f"{show(url)} has no scheme: taken as https://{url}")
        return f"https://{url}"
    report.error("sponsor_url", f"{show(url)} is no web address: left out")
    return ""

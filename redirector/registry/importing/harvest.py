"""What a source says, whichever kind it is: values that `apply` writes. Keys name things within their source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from redirector.registry.publish.contents import Bits, CategoryContents


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedSite:
    """A site.

    number    what it shall be called here, too, where that is free; None: any
    admins    logins
    pullers   keys of sites that may pull from it
    password  what its hosts check in with, in clear: kept hashed
    state     `approved`, or `suspended` where the source's admins switched it off
    """

    key: str
    name: str
    url: str = ""
    number: int | None = None
    contacts: tuple[str, ...] = ()
    private: bool = False
    enabled: bool = True
    state: str = "approved"
    comment: str = ""
    pulled_by_all: bool = False
    pullers: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedUrl:
    """A base URL, as the source spells it; its slash at the end is added here."""

    key: str
    url: str
    number: int | None = None
    audience: str = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedCarried:
    """A category of a host; *current* is over the names of the category's contents."""

    key: str
    category: str
    urls: tuple[HarvestedUrl, ...]
    current: Bits | None = None
    always_current: bool = False
    exclusions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedHost:
    """A host.

    networks  (CIDR or name, label)
    asns      (number, whether it is its own)
    extra     what no form shows
    note      for distribution admins
    """

    key: str
    site: str
    name: str
    number: int | None = None
    country: str | None = None
    state: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None
    bandwidth_mbit: int | None = None
    private: bool = False
    monopoly: bool = False
    own_asn: int | None = None
    serves_own_asn: bool = True
    update_frequency: str = ""
    cloud_type: str | None = None
    cloud_regions: tuple[str, ...] = ()
    enabled: bool = True
    extra: Mapping[str, object] = field(default_factory=dict)
    carried: tuple[HarvestedCarried, ...] = ()
    networks: tuple[tuple[str, str], ...] = ()
    asns: tuple[tuple[int, bool], ...] = ()
    countries: tuple[str, ...] = ()
    acl: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedCategory:
    """A category, and what it held."""

    key: str
    name: str
    top: str
    product: str = ""
    joinable: bool = True
    for_people: bool = True
    contents: CategoryContents | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedRepository:
    """A repository; one without a directory stands for a prefix that is disabled whatever it names."""

    prefix: str
    arch: str
    directory: str
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestedRelease:
    """A version of a product."""

    product: str
    version: str
    arches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """All of it.

    source     the kind of source: keys of one kind mean the same in each import
    built      when the source was made, epoch seconds
    redirects  (kind, from, to)
    facts      single values that publishing wants: a tree's `config.yml`
    left_out   what cannot be carried over, a line each
    """

    source: str
    built: int
    sites: Sequence[HarvestedSite]
    hosts: Sequence[HarvestedHost]
    categories: Sequence[HarvestedCategory]
    repositories: Sequence[HarvestedRepository] = ()
    redirects: Sequence[tuple[str, str, str]] = ()
    releases: Sequence[HarvestedRelease] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    """Module of a tree -> key of its category."""
    root: str | None = None
    """Key of the category that a tree's `address` is for."""
    left_out: Sequence[str] = ()

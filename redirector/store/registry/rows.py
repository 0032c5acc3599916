"""Rows of the registry as values. A field is a column of the same name; `TABLE` says which table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy import Table

from redirector.store.tables import registry as tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; the columns are its fields."""

    TABLE: ClassVar[Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited(Row):
    """A row that people edit: *version* counts the changes, *edited* is when the last was."""

    id: int
    version: int
    edited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow(Row):
    """An account."""

    TABLE: ClassVar[Table] = tables.account
    id: int
    login: str
    login_key: str
    mail: str | None
    mail_verified: int | None
    password: str | None = field(repr=False)
    issuer: str | None
    subject: str | None
    distribution_admin: bool
    disabled: bool
    created: int
    seen: int | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow(Row):
    """A one-time link of an account."""

    TABLE: ClassVar[Table] = tables.one_time_link
    id: int
    account: int
    hash: str = field(repr=False)
    purpose: str
    mail: str | None
    expires: int
    used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow(Edited):
    """A site."""

    TABLE: ClassVar[Table] = tables.site
    name: str
    name_key: str
    url: str
    private: bool
    enabled: bool
    enabled_since: int
    state: str
    state_since: int
    state_text: str
    pulled_by_all: bool
    comment: str
    leaving: int | None
    origin: str | None
    created: int
    creator: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow(Row):
    """A mail address of a site."""

    TABLE: ClassVar[Table] = tables.site_contact
    id: int
    site: int
    mail: str
    verified: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullerRow(Row):
    """A site that may pull from another."""

    TABLE: ClassVar[Table] = tables.site_puller
    site: int
    puller: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRow(Row):
    """An account that is an admin of a site."""

    TABLE: ClassVar[Table] = tables.site_admin
    site: int
    account: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRow(Row):
    """An account, or whoever reads a mail address, that was asked to be an admin."""

    TABLE: ClassVar[Table] = tables.invitation
    id: int
    site: int
    account: int | None
    mail: str | None
    hash: str = field(repr=False)
    made: int
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow(Edited):
    """A host."""

    TABLE: ClassVar[Table] = tables.host
    site: int
    name: str
    name_key: str
    country: str | None
    state: str
    city: str
    latitude: float | None
    longitude: float | None
    bandwidth_mbit: int | None
    private: bool
    monopoly: bool
    own_asn: int | None
    serves_own_asn: bool
    update_frequency: str
    cloud_type: str | None
    cloud_regions: list[str]
    maintenance_from: int | None
    maintenance_to: int | None
    new_releases: bool
    tier: int | None
    pulls_from: int | None
    pulls_from_master: bool
    enabled: bool
    enabled_since: int
    unchecked_since: int
    leaving: int | None
    origin: str | None
    extra: Mapping[str, Any]
    created: int

    @property
    def maintenance(self) -> tuple[int, int] | None:
        """From and to, epoch seconds."""
        if self.maintenance_from is None or self.maintenance_to is None:
            return None
        return self.maintenance_from, self.maintenance_to


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRow(Edited):
    """A category."""

    TABLE: ClassVar[Table] = tables.category
    name: str
    name_key: str
    top: str
    product: str
    joinable: bool
    for_people: bool
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedRow(Edited):
    """A category of a host."""

    TABLE: ClassVar[Table] = tables.carried
    host: int
    category: int
    always_current: bool
    exclusions: list[str]
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRow(Edited):
    """A base URL; *password* is encrypted."""

    TABLE: ClassVar[Table] = tables.url
    carried: int
    url: str
    audience: str
    user: str | None
    password: bytes | None = field(repr=False)
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow(Edited):
    """A network of a host."""

    TABLE: ClassVar[Table] = tables.network
    host: int
    network: str
    name: str
    waits: bool
    refused: bool
    origin: str | None

    @property
    def counts(self) -> bool:
        """It is published."""
        return not self.waits and not self.refused


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRow(Row):
    """An address that a gateway's name resolved to."""

    TABLE: ClassVar[Table] = tables.gateway_address
    name: str
    address: str
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AsnRow(Edited):
    """An AS number of a host. *found*: it counts because the host's addresses were in it; nobody decided."""

    TABLE: ClassVar[Table] = tables.asn
    host: int
    asn: int
    waits: bool
    refused: bool
    own: bool
    found: bool
    origin: str | None

    @property
    def counts(self) -> bool:
        """It is published."""
        return not self.waits and not self.refused


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryRow(Edited):
    """A country whose clients may have the host."""

    TABLE: ClassVar[Table] = tables.country_allowed
    host: int
    country: str
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AclRow(Edited):
    """An address that a host pulls with."""

    TABLE: ClassVar[Table] = tables.acl_address
    host: int
    address: str
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRow(Edited):
    """A repository."""

    TABLE: ClassVar[Table] = tables.repository
    prefix: str
    arch: str
    directory: str
    enabled: bool
    category: str | None
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectRow(Edited):
    """One name that stands for another."""

    TABLE: ClassVar[Table] = tables.redirect
    kind: str
    source: str
    target: str
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow(Edited):
    """A version of a product."""

    TABLE: ClassVar[Table] = tables.release
    product: str
    version_name: str
    arches: list[str]
    not_before: int | None
    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRow(Row):
    """A note of the distribution."""

    TABLE: ClassVar[Table] = tables.note
    id: int
    site: int | None
    host: int | None
    at: int
    writer: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow(Row):
    """What was changed, by whom, when."""

    TABLE: ClassVar[Table] = tables.event
    id: int
    at: int
    account: int | None
    actor: str
    what: str
    site: int | None
    host: int | None
    subject: int | None
    name: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow(Row):
    """A token: hashes alone."""

    TABLE: ClassVar[Table] = tables.token
    id: int
    hash: str = field(repr=False)
    kind: str
    secret: str | None = field(repr=False)
    scope: str
    account: int | None
    site: int | None
    host: int | None
    made: int
    expires: int | None
    used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCategoryRow(Row):
    """The directories of a category as an import found them; see `content`."""

    TABLE: ClassVar[Table] = tables.imported_category
    category: int
    paths: bytes
    subpaths: bytes
    details: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedContentRow(Row):
    """Which of them a host had then; see `content`."""

    TABLE: ClassVar[Table] = tables.imported_content
    carried: int
    current: bytes
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedThingRow(Row):
    """What an import brought."""

    TABLE: ClassVar[Table] = tables.imported_thing
    kind: str
    origin: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedInRow(Row):
    """What a host said last that it has of a category."""

    TABLE: ClassVar[Table] = tables.checked_in
    carried: int
    paths: bytes
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtedRow(Row):
    """What it said that lost most of that."""

    TABLE: ClassVar[Table] = tables.doubted
    carried: int
    paths: bytes
    at: int

"""The registry: who runs which host, what it carries, who prefers it, who may change that, and what changed.

Every row that people edit has a `version`, which each change adds one to: an edit of an older version is refused.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from redirector.store.schema import NUMBER, metadata


def _id() -> Column[int]:
    """A number that is never given twice (in SQLite by `sqlite_autoincrement`)."""
    return Column("id", NUMBER, primary_key=True)


def _version() -> Column[int]:
    return Column("version", NUMBER, nullable=False, default=1)


def _of(name: str, target: str, *, index: bool = False) -> Column[int]:
    return Column(name, NUMBER, ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=False, index=index)


account = Table(
    "account",
    metadata,
    _id(),
    Column("login", String(64), nullable=False),
    Column("login_key", String(64), nullable=False, unique=True, comment="the login, case folded"),
    Column("mail", String(255), nullable=True),
    Column("mail_verified", BigInteger, nullable=True),
    Column("password", String(255), nullable=True, comment="argon2, with its parameters"),
    Column("issuer", String(255), nullable=True),
    Column("subject", String(255), nullable=True),
    Column("distribution_admin", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=True, comment="the last login"),
    _version(),
    UniqueConstraint("issuer", "subject"),
    sqlite_autoincrement=True,
)

one_time_link = Table(
    "one_time_link",
    metadata,
    _id(),
    _of("account", "account", index=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("purpose", String(20), nullable=False, comment="password, mail"),
    Column("mail", String(255), nullable=True, comment="the address that it proves"),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=True),
    sqlite_autoincrement=True,
)

site = Table(
    "site",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("name_key", String(255), nullable=False, unique=True, comment="the name, case folded"),
    Column("url", String(255), nullable=False),
    Column("private", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("enabled_since", BigInteger, nullable=False, comment="when it was switched on or off"),
    Column("state", String(10), nullable=False),
    Column("state_since", BigInteger, nullable=False),
    Column("state_text", String(255), nullable=False),
    Column("pulled_by_all", Boolean, nullable=False),
    Column("comment", String(255), nullable=False),
    Column("leaving", BigInteger, nullable=True, comment="since when; it is deleted 30 days later"),
    Column("origin", String(255), nullable=True, comment="what an import took it from"),
    Column("created", BigInteger, nullable=False),
    Column("creator", NUMBER, ForeignKey("account.id", ondelete="SET NULL"), nullable=True, index=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    sqlite_autoincrement=True,
)

site_contact = Table(
    "site_contact",
    metadata,
    _id(),
    _of("site", "site", index=True),
    Column("mail", String(255), nullable=False),
    Column("verified", BigInteger, nullable=True),
    sqlite_autoincrement=True,
)

site_puller = Table(
    "site_puller",
    metadata,
    Column("site", NUMBER, ForeignKey("site.id", ondelete="CASCADE"), primary_key=True),
    Column("puller", NUMBER, ForeignKey("site.id", ondelete="CASCADE"), primary_key=True),
)

site_admin = Table(
    "site_admin",
    metadata,
    Column("site", NUMBER, ForeignKey("site.id", ondelete="CASCADE"), primary_key=True),
    Column("account", NUMBER, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("since", BigInteger, nullable=False),
)

invitation = Table(
    "invitation",
    metadata,
    _id(),
    _of("site", "site", index=True),
    Column("account", NUMBER, ForeignKey("account.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("mail", String(255), nullable=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("made", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    CheckConstraint("account IS NOT NULL OR mail IS NOT NULL", name="somebody"),
    sqlite_autoincrement=True,
)

host = Table(
    "host",
    metadata,
    _id(),
    _of("site", "site", index=True),
    Column("name", String(255), nullable=False),
    Column("name_key", String(255), nullable=False, unique=True, comment="the name, case folded"),
    Column("country", String(2), nullable=True),
    Column("state", String(255), nullable=False),
    Column("city", String(255), nullable=False),
    Column("latitude", Float, nullable=True),
    Column("longitude", Float, nullable=True),
    Column("bandwidth_mbit", NUMBER, nullable=True),
    Column("private", Boolean, nullable=False),
    Column("monopoly", Boolean, nullable=False),
    Column("own_asn", BigInteger, nullable=True),
    Column("serves_own_asn", Boolean, nullable=False),
    Column("update_frequency", String(255), nullable=False),
    Column("cloud_type", String(10), nullable=True),
    Column("cloud_regions", JSON, nullable=False),
    Column("maintenance_from", BigInteger, nullable=True),
    Column("maintenance_to", BigInteger, nullable=True),
    Column("new_releases", Boolean, nullable=False),
    Column("tier", NUMBER, nullable=True),
    Column("pulls_from", NUMBER, ForeignKey("host.id", ondelete="SET NULL"), nullable=True, index=True),
    Column("pulls_from_master", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("enabled_since", BigInteger, nullable=False, comment="when it was switched on or off"),
    Column("unchecked_since", BigInteger, nullable=False, comment="what a visit found before this counts no more"),
    Column("leaving", BigInteger, nullable=True, comment="since when; it is deleted 30 days later"),
    Column("origin", String(255), nullable=True, comment="what an import took it from"),
    Column("extra", JSON, nullable=False, comment="what an import brought and no form shows"),
    Column("created", BigInteger, nullable=False),
    Column("edited", BigInteger, nullable=False),
    _version(),
    CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="place"),
    sqlite_autoincrement=True,
)

category = Table(
    "category",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("name_key", String(255), nullable=False, unique=True, comment="the name, case folded"),
    Column("top", String(255), nullable=False),
    Column("product", String(255), nullable=False),
    Column("joinable", Boolean, nullable=False, comment="by everybody, or by distribution admins alone"),
    Column("for_people", Boolean, nullable=False),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    sqlite_autoincrement=True,
)

carried = Table(
    "carried",
    metadata,
    _id(),
    _of("host", "host", index=True),
    _of("category", "category", index=True),
    Column("always_current", Boolean, nullable=False),
    Column("exclusions", JSON, nullable=False),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("host", "category"),
    sqlite_autoincrement=True,
)

url = Table(
    "url",
    metadata,
    _id(),
    _of("carried", "carried", index=True),
    Column("url", String(2048), nullable=False),
    Column("audience", String(10), nullable=False),
    Column("user", String(255), nullable=True),
    Column("password", LargeBinary, nullable=True, comment="encrypted with the registry's key file"),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    sqlite_autoincrement=True,
)
Index("ix_url_url", url.c.url)

network = Table(
    "network",
    metadata,
    _id(),
    _of("host", "host", index=True),
    Column("network", String(255), nullable=False, comment="a CIDR, or the DNS name of a gateway"),
    Column("name", String(255), nullable=False),
    Column("waits", Boolean, nullable=False, comment="for a distribution admin"),
    Column("refused", Boolean, nullable=False),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("host", "network"),
    sqlite_autoincrement=True,
)

gateway_address = Table(
    "gateway_address",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("seen", BigInteger, nullable=False, comment="when the name last resolved to it"),
)

asn = Table(
    "asn",
    metadata,
    _id(),
    _of("host", "host", index=True),
    Column("asn", BigInteger, nullable=False),
    Column("waits", Boolean, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("own", Boolean, nullable=False, comment="it stands here for the host's `own_asn`"),
    Column("found", Boolean, nullable=False, comment="nobody decided: the host's addresses were in it"),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("host", "asn"),
    sqlite_autoincrement=True,
)

country_allowed = Table(
    "country_allowed",
    metadata,
    _id(),
    _of("host", "host", index=True),
    Column("country", String(2), nullable=False),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("host", "country"),
    sqlite_autoincrement=True,
)

acl_address = Table(
    "acl_address",
    metadata,
    _id(),
    _of("host", "host", index=True),
    Column("address", String(255), nullable=False),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("host", "address"),
    sqlite_autoincrement=True,
)

repository = Table(
    "repository",
    metadata,
    _id(),
    Column("prefix", String(255), nullable=False),
    Column("arch", String(255), nullable=False),
    Column("directory", String(2048), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("category", String(255), nullable=True, comment="whose scan made it"),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("prefix", "arch"),
    sqlite_autoincrement=True,
)

redirect = Table(
    "redirect",
    metadata,
    _id(),
    Column("kind", String(10), nullable=False, comment="repository, continent, country"),
    Column("source", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("kind", "source"),
    sqlite_autoincrement=True,
)

release = Table(
    "release",
    metadata,
    _id(),
    Column("product", String(255), nullable=False),
    Column("version_name", String(255), nullable=False),
    Column("arches", JSON, nullable=False),
    Column("not_before", BigInteger, nullable=True),
    Column("origin", String(255), nullable=True),
    Column("edited", BigInteger, nullable=False),
    _version(),
    UniqueConstraint("product", "version_name"),
    sqlite_autoincrement=True,
)

note = Table(
    "note",
    metadata,
    _id(),
    Column("site", NUMBER, ForeignKey("site.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("host", NUMBER, ForeignKey("host.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("at", BigInteger, nullable=False),
    Column("writer", String(255), nullable=False),
    Column("text", String(255), nullable=False),
    sqlite_autoincrement=True,
)

event = Table(
    "event",
    metadata,
    _id(),
    Column("at", BigInteger, nullable=False, index=True),
    Column("account", NUMBER, nullable=True, comment="of whoever did it, while there is such an account"),
    Column("actor", String(255), nullable=False),
    Column("what", String(40), nullable=False, comment="`host.change`, `site.approve`, …"),
    Column("site", NUMBER, nullable=True, index=True),
    Column("host", NUMBER, nullable=True, index=True),
    Column("subject", NUMBER, nullable=True, comment="number of what was changed"),
    Column("name", String(2048), nullable=False, comment="of what was changed"),
    Column("old", JSON, nullable=False),
    Column("new", JSON, nullable=False),
    sqlite_autoincrement=True,
)

token = Table(
    "token",
    metadata,
    _id(),
    Column("hash", String(64), nullable=False, unique=True),
    Column("kind", String(10), nullable=False, comment="rdr: SHA-256 of the token; argon2: of an imported password"),
    Column("secret", String(255), nullable=True, comment="argon2, of an imported password"),
    Column("scope", String(10), nullable=False),
    Column("account", NUMBER, ForeignKey("account.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("site", NUMBER, ForeignKey("site.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("host", NUMBER, ForeignKey("host.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("made", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=True),
    Column("used", BigInteger, nullable=True),
    sqlite_autoincrement=True,
)

imported_category = Table(
    "imported_category",
    metadata,
    Column("category", NUMBER, ForeignKey("category.id", ondelete="CASCADE"), primary_key=True),
    Column("paths", LargeBinary, nullable=False, comment="deflated lines, sorted: bit N is path N"),
    Column("subpaths", LargeBinary, nullable=False, comment="deflated JSON: path -> subpath, where it is no cut"),
    Column("details", LargeBinary, nullable=False, comment="deflated JSON: hashes of files"),
)

imported_content = Table(
    "imported_content",
    metadata,
    Column("carried", NUMBER, ForeignKey("carried.id", ondelete="CASCADE"), primary_key=True),
    Column("current", LargeBinary, nullable=False, comment="deflated bits over the category's paths"),
    Column("at", BigInteger, nullable=False, comment="how old the source was"),
)

checked_in = Table(
    "checked_in",
    metadata,
    Column("carried", NUMBER, ForeignKey("carried.id", ondelete="CASCADE"), primary_key=True),
    Column("paths", LargeBinary, nullable=False, comment="deflated lines: directories below the category's top"),
    Column("at", BigInteger, nullable=False),
)
"""What hosts said last that they have. The word of private ones counts, for nobody else can look."""

doubted = Table(
    "doubted_check_in",
    metadata,
    Column("carried", NUMBER, ForeignKey("carried.id", ondelete="CASCADE"), primary_key=True),
    Column("paths", LargeBinary, nullable=False, comment="deflated lines, as in checked_in"),
    Column("at", BigInteger, nullable=False, comment="when it came first"),
)
"""What a host said that lost most of what it had: it counts once it comes again, or a visit agrees."""

imported_thing = Table(
    "imported_thing",
    metadata,
    Column("kind", String(20), primary_key=True, comment="the table of the row"),
    Column("origin", String(255), primary_key=True, comment="what the source calls it"),
    Column("row", NUMBER, nullable=False, comment="its number here, whether the row is still there or not"),
)
"""What imports brought: what was deleted here since does not come again."""

registry_fact = Table(
    "registry_fact",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Single values: when an import's source was made, the folder of its `config.yml`."""

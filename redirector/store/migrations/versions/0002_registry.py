"""The registry: who runs which host, what it carries, and what changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("login_key", sa.String(length=64), nullable=False, comment="the login, case folded"),
        sa.Column("mail", sa.String(length=255), nullable=True),
        sa.Column("mail_verified", sa.BigInteger(), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=True, comment="argon2, with its parameters"),
        sa.Column("issuer", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("distribution_admin", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=True, comment="the last login"),
        sa.Column("version", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_account_issuer_subject")),
        sa.UniqueConstraint("login_key", name=op.f("uq_account_login_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "category",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False, comment="the name, case folded"),
        sa.Column("top", sa.String(length=255), nullable=False),
        sa.Column("product", sa.String(length=255), nullable=False),
        sa.Column("joinable", sa.Boolean(), nullable=False, comment="by everybody, or by distribution admins alone"),
        sa.Column("for_people", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category")),
        sa.UniqueConstraint("name_key", name=op.f("uq_category_name_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "event",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("account", NUMBER, nullable=True, comment="of whoever did it, while there is such an account"),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("what", sa.String(length=40), nullable=False, comment="`host.change`, `site.approve`, …"),
        sa.Column("site", NUMBER, nullable=True),
        sa.Column("host", NUMBER, nullable=True),
        sa.Column("subject", NUMBER, nullable=True, comment="number of what was changed"),
        sa.Column("name", sa.String(length=2048), nullable=False, comment="of what was changed"),
        sa.Column("old", sa.JSON(), nullable=False),
        sa.Column("new", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_at"), "event", ["at"], unique=False)
    op.create_index(op.f("ix_event_host"), "event", ["host"], unique=False)
    op.create_index(op.f("ix_event_site"), "event", ["site"], unique=False)
    op.create_table(
        "gateway_address",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False, comment="when the name last resolved to it"),
        sa.PrimaryKeyConstraint("name", "address", name=op.f("pk_gateway_address")),
    )
    op.create_table(
        "imported_thing",
        sa.Column("kind", sa.String(length=20), nullable=False, comment="the table of the row"),
        sa.Column("origin", sa.String(length=255), nullable=False, comment="what the source calls it"),
        sa.Column("row", NUMBER, nullable=False, comment="its number here, whether the row is still there or not"),
        sa.PrimaryKeyConstraint("kind", "origin", name=op.f("pk_imported_thing")),
    )
    op.create_table(
        "redirect",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="repository, continent, country"),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redirect")),
        sa.UniqueConstraint("kind", "source", name=op.f("uq_redirect_kind_source")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "registry_fact",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_registry_fact")),
    )
    op.create_table(
        "release",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("product", sa.String(length=255), nullable=False),
        sa.Column("version_name", sa.String(length=255), nullable=False),
        sa.Column("arches", sa.JSON(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("product", "version_name", name=op.f("uq_release_product_version_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "repository",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("prefix", sa.String(length=255), nullable=False),
        sa.Column("arch", sa.String(length=255), nullable=False),
        sa.Column("directory", sa.String(length=2048), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("category", sa.String(length=255), nullable=True, comment="whose scan made it"),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository")),
        sa.UniqueConstraint("prefix", "arch", name=op.f("uq_repository_prefix_arch")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "imported_category",
        sa.Column("category", NUMBER, nullable=False),
        sa.Column("paths", sa.LargeBinary(), nullable=False, comment="deflated lines, sorted: bit N is path N"),
        sa.Column(
            "subpaths", sa.LargeBinary(), nullable=False, comment="deflated JSON: path -> subpath, where it is no cut"
        ),
        sa.Column("details", sa.LargeBinary(), nullable=False, comment="deflated JSON: hashes of files"),
        sa.ForeignKeyConstraint(
            ["category"], ["category.id"], name=op.f("fk_imported_category_category_category"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("category", name=op.f("pk_imported_category")),
    )
    op.create_table(
        "one_time_link",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("account", NUMBER, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False, comment="password, mail"),
        sa.Column("mail", sa.String(length=255), nullable=True, comment="the address that it proves"),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["account.id"], name=op.f("fk_one_time_link_account_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link")),
        sa.UniqueConstraint("hash", name=op.f("uq_one_time_link_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_one_time_link_account"), "one_time_link", ["account"], unique=False)
    op.create_table(
        "site",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False, comment="the name, case folded"),
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("enabled_since", sa.BigInteger(), nullable=False, comment="when it was switched on or off"),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("state_since", sa.BigInteger(), nullable=False),
        sa.Column("state_text", sa.String(length=255), nullable=False),
        sa.Column("pulled_by_all", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.String(length=255), nullable=False),
        sa.Column("leaving", sa.BigInteger(), nullable=True, comment="since when; it is deleted 30 days later"),
        sa.Column("origin", sa.String(length=255), nullable=True, comment="what an import took it from"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("creator", NUMBER, nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["creator"], ["account.id"], name=op.f("fk_site_creator_account"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("name_key", name=op.f("uq_site_name_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_creator"), "site", ["creator"], unique=False)
    op.create_table(
        "host",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("site", NUMBER, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False, comment="the name, case folded"),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("state", sa.String(length=255), nullable=False),
        sa.Column("city", sa.String(length=255), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("bandwidth_mbit", NUMBER, nullable=True),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("monopoly", sa.Boolean(), nullable=False),
        sa.Column("own_asn", sa.BigInteger(), nullable=True),
        sa.Column("serves_own_asn", sa.Boolean(), nullable=False),
        sa.Column("update_frequency", sa.String(length=255), nullable=False),
        sa.Column("cloud_type", sa.String(length=10), nullable=True),
        sa.Column("cloud_regions", sa.JSON(), nullable=False),
        sa.Column("maintenance_from", sa.BigInteger(), nullable=True),
        sa.Column("maintenance_to", sa.BigInteger(), nullable=True),
        sa.Column("new_releases", sa.Boolean(), nullable=False),
        sa.Column("tier", NUMBER, nullable=True),
        sa.Column("pulls_from", NUMBER, nullable=True),
        sa.Column("pulls_from_master", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("enabled_since", sa.BigInteger(), nullable=False, comment="when it was switched on or off"),
        sa.Column(
            "unchecked_since", sa.BigInteger(), nullable=False, comment="what a visit found before this counts no more"
        ),
        sa.Column("leaving", sa.BigInteger(), nullable=True, comment="since when; it is deleted 30 days later"),
        sa.Column("origin", sa.String(length=255), nullable=True, comment="what an import took it from"),
        sa.Column("extra", sa.JSON(), nullable=False, comment="what an import brought and no form shows"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name=op.f("ck_host_place")),
        sa.ForeignKeyConstraint(["pulls_from"], ["host.id"], name=op.f("fk_host_pulls_from_host"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_host_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("name_key", name=op.f("uq_host_name_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_host_pulls_from"), "host", ["pulls_from"], unique=False)
    op.create_index(op.f("ix_host_site"), "host", ["site"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("site", NUMBER, nullable=False),
        sa.Column("account", NUMBER, nullable=True),
        sa.Column("mail", sa.String(length=255), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("account IS NOT NULL OR mail IS NOT NULL", name=op.f("ck_invitation_somebody")),
        sa.ForeignKeyConstraint(
            ["account"], ["account.id"], name=op.f("fk_invitation_account_account"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_invitation_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("hash", name=op.f("uq_invitation_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_invitation_account"), "invitation", ["account"], unique=False)
    op.create_index(op.f("ix_invitation_site"), "invitation", ["site"], unique=False)
    op.create_table(
        "site_admin",
        sa.Column("site", NUMBER, nullable=False),
        sa.Column("account", NUMBER, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["account.id"], name=op.f("fk_site_admin_account_account"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_site_admin_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("site", "account", name=op.f("pk_site_admin")),
    )
    op.create_index(op.f("ix_site_admin_account"), "site_admin", ["account"], unique=False)
    op.create_table(
        "site_contact",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("site", NUMBER, nullable=False),
        sa.Column("mail", sa.String(length=255), nullable=False),
        sa.Column("verified", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_site_contact_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_contact")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_contact_site"), "site_contact", ["site"], unique=False)
    op.create_table(
        "site_puller",
        sa.Column("site", NUMBER, nullable=False),
        sa.Column("puller", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["puller"], ["site.id"], name=op.f("fk_site_puller_puller_site"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_site_puller_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("site", "puller", name=op.f("pk_site_puller")),
    )
    op.create_table(
        "acl_address",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("host", NUMBER, nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_acl_address_host_host"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acl_address")),
        sa.UniqueConstraint("host", "address", name=op.f("uq_acl_address_host_address")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_acl_address_host"), "acl_address", ["host"], unique=False)
    op.create_table(
        "asn",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("host", NUMBER, nullable=False),
        sa.Column("asn", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False, comment="it stands here for the host's `own_asn`"),
        sa.Column("found", sa.Boolean(), nullable=False, comment="nobody decided: the host's addresses were in it"),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_asn_host_host"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asn")),
        sa.UniqueConstraint("host", "asn", name=op.f("uq_asn_host_asn")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_asn_host"), "asn", ["host"], unique=False)
    op.create_table(
        "carried",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("host", NUMBER, nullable=False),
        sa.Column("category", NUMBER, nullable=False),
        sa.Column("always_current", sa.Boolean(), nullable=False),
        sa.Column("exclusions", sa.JSON(), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["category"], ["category.id"], name=op.f("fk_carried_category_category"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_carried_host_host"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carried")),
        sa.UniqueConstraint("host", "category", name=op.f("uq_carried_host_category")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_carried_category"), "carried", ["category"], unique=False)
    op.create_index(op.f("ix_carried_host"), "carried", ["host"], unique=False)
    op.create_table(
        "country_allowed",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("host", NUMBER, nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_country_allowed_host_host"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_country_allowed")),
        sa.UniqueConstraint("host", "country", name=op.f("uq_country_allowed_host_country")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_country_allowed_host"), "country_allowed", ["host"], unique=False)
    op.create_table(
        "network",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("host", NUMBER, nullable=False),
        sa.Column("network", sa.String(length=255), nullable=False, comment="a CIDR, or the DNS name of a gateway"),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False, comment="for a distribution admin"),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_network_host_host"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network")),
        sa.UniqueConstraint("host", "network", name=op.f("uq_network_host_network")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_network_host"), "network", ["host"], unique=False)
    op.create_table(
        "note",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("site", NUMBER, nullable=True),
        sa.Column("host", NUMBER, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.String(length=255), nullable=False),
        sa.Column("text", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_note_host_host"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_note_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_note_host"), "note", ["host"], unique=False)
    op.create_index(op.f("ix_note_site"), "note", ["site"], unique=False)
    op.create_table(
        "token",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column(
            "kind",
            sa.String(length=10),
            nullable=False,
            comment="rdr: SHA-256 of the token; argon2: of an imported password",
        ),
        sa.Column("secret", sa.String(length=255), nullable=True, comment="argon2, of an imported password"),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("account", NUMBER, nullable=True),
        sa.Column("site", NUMBER, nullable=True),
        sa.Column("host", NUMBER, nullable=True),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name=op.f("fk_token_account_account"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_token_host_host"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["site"], ["site.id"], name=op.f("fk_token_site_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_token_account"), "token", ["account"], unique=False)
    op.create_index(op.f("ix_token_host"), "token", ["host"], unique=False)
    op.create_index(op.f("ix_token_site"), "token", ["site"], unique=False)
    op.create_table(
        "checked_in",
        sa.Column("carried", NUMBER, nullable=False),
        sa.Column(
            "paths", sa.LargeBinary(), nullable=False, comment="deflated lines: directories below the category's top"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["carried"], ["carried.id"], name=op.f("fk_checked_in_carried_carried"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("carried", name=op.f("pk_checked_in")),
    )
    op.create_table(
        "imported_content",
        sa.Column("carried", NUMBER, nullable=False),
        sa.Column("current", sa.LargeBinary(), nullable=False, comment="deflated bits over the category's paths"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="how old the source was"),
        sa.ForeignKeyConstraint(
            ["carried"], ["carried.id"], name=op.f("fk_imported_content_carried_carried"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("carried", name=op.f("pk_imported_content")),
    )
    op.create_table(
        "url",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("carried", NUMBER, nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("audience", sa.String(length=10), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=True),
        sa.Column("password", sa.LargeBinary(), nullable=True, comment="encrypted with the registry's key file"),
        sa.Column("origin", sa.String(length=255), nullable=True),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["carried"], ["carried.id"], name=op.f("fk_url_carried_carried"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_url")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_url_carried"), "url", ["carried"], unique=False)
    op.create_index("ix_url_url", "url", ["url"], unique=False)


def downgrade() -> None:
    for table in (
        "url",
        "imported_content",
        "checked_in",
        "token",
        "note",
        "network",
        "country_allowed",
        "carried",
        "asn",
        "acl_address",
        "site_puller",
        "site_contact",
        "site_admin",
        "invitation",
        "host",
        "site",
        "one_time_link",
        "imported_category",
        "repository",
        "release",
        "registry_fact",
        "redirect",
        "imported_thing",
        "gateway_address",
        "event",
        "category",
        "account",
    ):
        op.drop_table(table)

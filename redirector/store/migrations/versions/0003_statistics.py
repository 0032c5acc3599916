"""What was counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _system() -> list[sa.Column[object]]:
    return [
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("weeknum", NUMBER, nullable=False, autoincrement=False),
        sa.Column("os_name", sa.String(255), nullable=False),
        sa.Column("os_version", sa.String(255), nullable=False),
        sa.Column("os_variant", sa.String(255), nullable=False),
        sa.Column("os_arch", sa.String(255), nullable=False),
        sa.Column("sys_age", NUMBER, nullable=False, autoincrement=False),
        sa.Column("repo_tag", sa.String(255), nullable=False),
        sa.Column("repo_arch", sa.String(255), nullable=False),
    ]


_KEY = ("weeknum", "os_name", "os_version", "os_variant", "os_arch", "sys_age", "repo_tag", "repo_arch")


def upgrade() -> None:
    op.create_table(
        "access",
        sa.Column("day", sa.String(10), nullable=False, comment="2026-11-28, in UTC"),
        sa.Column("country", sa.String(2), nullable=False, comment="-- where unknown, as in the next two"),
        sa.Column("repository", sa.String(255), nullable=False),
        sa.Column("arch", sa.String(255), nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "country", "repository", "arch", name="pk_access"),
    )
    op.create_table(
        "access_margins",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("category", sa.String(20), nullable=False, comment="countries, archs, repositories"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "category", "name", name="pk_access_margins"),
    )
    op.create_table("countme_totals", *_system(), sa.PrimaryKeyConstraint(*_KEY, name="pk_countme_totals"))
    op.create_table(
        "countme_waiting",
        sa.Column("server", sa.String(255), nullable=False),
        *_system(),
        sa.PrimaryKeyConstraint("server", *_KEY, name="pk_countme_waiting"),
    )
    op.create_table(
        "statistics_server",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False, comment="the minute of the newest line that was seen"),
        sa.PrimaryKeyConstraint("name", name="pk_statistics_server"),
    )
    op.create_table(
        "statistics_log",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("server", sa.String(255), nullable=False),
        sa.Column("first", sa.String(32), nullable=False, comment="a digest of the first line, without its address"),
        sa.Column("marks", sa.String(2000), nullable=False, comment="digests of the first 1, 2, 4, … lines"),
        sa.Column("end", sa.BigInteger, nullable=False, comment="how far it was counted, in bytes, unpacked"),
        sa.Column("tail_bytes", NUMBER, nullable=False, comment="behind it: a line without break, counted"),
        sa.Column("options", sa.String(2000), nullable=False, comment="how its lines were read"),
        sa.Column("newest", sa.BigInteger, nullable=False),
        sa.Column("counted", sa.LargeBinary, comment="what its lines add up to; none where that is no longer kept"),
        sa.PrimaryKeyConstraint("number", name="pk_statistics_log"),
    )
    op.create_index("ix_statistics_log_server_first", "statistics_log", ["server", "first"])
    op.create_table(
        "propagation",
        sa.Column("run", sa.BigInteger, nullable=False, autoincrement=False, comment="when the round ended"),
        sa.Column("repository", sa.String(255), nullable=False),
        sa.Column("same_day", NUMBER, nullable=False),
        sa.Column("one_day", NUMBER, nullable=False),
        sa.Column("two_day", NUMBER, nullable=False),
        sa.Column("older", NUMBER, nullable=False),
        sa.Column("no_info", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("run", "repository", name="pk_propagation"),
    )
    op.create_table(
        "traffic",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "host", name="pk_traffic"),
    )


def downgrade() -> None:
    op.drop_index("ix_statistics_log_server_first", "statistics_log")
    for table in (
        "traffic",
        "propagation",
        "statistics_log",
        "statistics_server",
        "countme_waiting",
        "countme_totals",
        "access_margins",
        "access",
    ):
        op.drop_table(table)

"""What visits found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "health_content",
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("vantage", sa.String(64), nullable=False),
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("directories", sa.String(32), nullable=False, comment="which list of names the bits belong to"),
        sa.Column("served", sa.LargeBinary(), nullable=False, comment="a bit a directory: there, and not out"),
        sa.Column("memory", sa.LargeBinary(), nullable=False, comment="packed; see redirector.health.keeping"),
        sa.PrimaryKeyConstraint("host", "vantage", "category", name="pk_health_content"),
    )
    op.create_table(
        "health_directories",
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("names", sa.LargeBinary(), nullable=False, comment="packed, in order"),
        sa.PrimaryKeyConstraint("digest", name="pk_health_directories"),
    )
    op.create_table(
        "health_evidence",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("vantage", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("notable", sa.Boolean(), nullable=False, comment="worth keeping when room is made"),
        sa.Column("text", sa.Text(), nullable=False, comment="one JSON object"),
        sa.PrimaryKeyConstraint("id", name="pk_health_evidence"),
    )
    op.create_index("ix_health_evidence_host", "health_evidence", ["host", "at"])
    op.create_table(
        "health_history",
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lacking", NUMBER, nullable=False, comment="how many directories were left out"),
        sa.PrimaryKeyConstraint("host", "at", name="pk_health_history"),
    )
    op.create_table(
        "health_host",
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("vantage", sa.String(64), nullable=False),
        sa.Column("visited", sa.BigInteger(), nullable=False),
        sa.Column("next_visit", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lag_s", sa.BigInteger(), nullable=True, comment="unknown where nothing tells"),
        sa.Column("memory", sa.LargeBinary(), nullable=False, comment="packed; see redirector.health.keeping"),
        sa.PrimaryKeyConstraint("host", "vantage", name="pk_health_host"),
    )
    op.create_table(
        "health_push",
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("pushed", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("changed", NUMBER, nullable=False, comment="directories"),
        sa.Column(
            "delays", sa.LargeBinary(), nullable=False, comment="packed: host -> seconds until it was seen with it"
        ),
        sa.PrimaryKeyConstraint("category", "pushed", name="pk_health_push"),
    )
    op.create_table(
        "health_round",
        sa.Column("vantage", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("took_s", sa.Float(), nullable=False),
        sa.Column("visits", NUMBER, nullable=False),
        sa.Column("failed", NUMBER, nullable=False),
        sa.Column("requests", NUMBER, nullable=False),
        sa.Column("void", sa.Text(), nullable=False, comment="why nothing was concluded; empty when something was"),
        sa.PrimaryKeyConstraint("vantage", "at", name="pk_health_round"),
    )
    op.create_table(
        "health_spent",
        sa.Column("vantage", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.LargeBinary(), nullable=False, comment="packed; see redirector.health.keeping"),
        sa.PrimaryKeyConstraint("vantage", "address", name="pk_health_spent"),
    )
    op.create_table(
        "health_visit",
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("vantage", sa.String(64), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False, comment="false in a void round"),
        sa.Column("content", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="after the visit, as this vantage point sees it"),
        sa.Column("lag_s", sa.BigInteger(), nullable=True),
        sa.Column("delay_s", sa.BigInteger(), nullable=True, comment="age of the mirror's own time"),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("requests", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("host", "at", "vantage", name="pk_health_visit"),
    )
    op.create_index("ix_health_visit_at", "health_visit", ["at"])

    op.create_table(
        "health_master",
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("known", sa.LargeBinary(), nullable=False, comment="packed: what earlier looks at the master found"),
        sa.PrimaryKeyConstraint("category", name="pk_health_master"),
    )


def downgrade() -> None:
    for table in (
        "health_master",
        "health_content",
        "health_directories",
        "health_evidence",
        "health_history",
        "health_host",
        "health_push",
        "health_round",
        "health_spent",
        "health_visit",
    ):
        op.drop_table(table)

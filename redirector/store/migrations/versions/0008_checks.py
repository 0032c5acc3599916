"""The last look at each host that somebody asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_check",
        sa.Column("host", NUMBER, nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="when it began"),
        sa.Column("took_s", NUMBER, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False, comment="[url, check, level, text] each"),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name="fk_host_check_host_host", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host", name="pk_host_check"),
    )


def downgrade() -> None:
    op.drop_table("host_check")

"""Check-ins that lost most of what a host had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "doubted_check_in",
        sa.Column("carried", NUMBER, nullable=False),
        sa.Column("paths", sa.LargeBinary(), nullable=False, comment="deflated lines, as in checked_in"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="when it came first"),
        sa.ForeignKeyConstraint(
            ["carried"], ["carried.id"], name="fk_doubted_check_in_carried_carried", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("carried", name="pk_doubted_check_in"),
    )


def downgrade() -> None:
    op.drop_table("doubted_check_in")

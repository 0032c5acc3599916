"""What the masters hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contents",
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("top", sa.String(1000), nullable=False),
        sa.Column("generation", NUMBER, nullable=False),
        sa.Column("push", NUMBER, nullable=False),
        sa.Column(
            "checked", sa.BigInteger, nullable=False, comment="when the master was last read, or found unchanged"
        ),
        sa.Column("read", sa.BigInteger, nullable=False, comment="when it was last read in full"),
        sa.Column("validator", sa.LargeBinary, nullable=False, comment="what tells that the master is unchanged"),
        sa.Column("repositories", sa.LargeBinary, nullable=False, comment="packed; see redirector.store.directories"),
        sa.Column("counts", sa.LargeBinary, nullable=False, comment="packed; see redirector.store.directories"),
        sa.Column("directories", sa.LargeBinary, nullable=False, comment="packed; see redirector.store.directories"),
        sa.PrimaryKeyConstraint("category", name="pk_contents"),
    )
    op.create_table(
        "contents_push",
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("number", NUMBER, nullable=False, autoincrement=False),
        sa.Column("seen", sa.BigInteger, nullable=False, comment="when a scan first saw it"),
        sa.Column("changed", NUMBER, nullable=False, comment="how many directories it changed"),
        sa.PrimaryKeyConstraint("category", "number", name="pk_contents_push"),
    )
    op.create_table(
        "contents_generation",
        sa.Column("category", sa.String(200), nullable=False),
        sa.Column("number", NUMBER, nullable=False, autoincrement=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column(
            "paths", sa.LargeBinary, nullable=False, comment="packed, sorted; bit N of a bit string is its path N"
        ),
        sa.PrimaryKeyConstraint("category", "number", name="pk_contents_generation"),
    )


def downgrade() -> None:
    for table in ("contents_generation", "contents_push", "contents"):
        op.drop_table(table)

"""What is to be sent, and what was told of each mirror."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("name", sa.String(255), nullable=False, comment="the same thing is put in once"),
        sa.Column("channel", sa.String(16), nullable=False, comment="mail, webhook, command"),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False, comment="empty where it is about none"),
        sa.Column("target", sa.Text(), nullable=False, comment="mail address, URL, or command"),
        sa.Column("subject", sa.Text(), nullable=False, comment="of a mail"),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False, comment="when it is tried next; a claim moves it"),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True, comment="sent, or given up; waiting without"),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False, comment="of the latest attempt"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("name", name="uq_outbox_name"),
    )
    op.create_index("ix_outbox_due", "outbox", ["ended", "due"])
    op.create_table(
        "notice_memo",
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False, comment="one JSON object"),
        sa.PrimaryKeyConstraint("host", name="pk_notice_memo"),
    )


def downgrade() -> None:
    op.drop_table("notice_memo")
    op.drop_table("outbox")

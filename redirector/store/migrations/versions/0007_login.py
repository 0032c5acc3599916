"""Sessions, and logins by a provider that are under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from redirector.store.schema import NUMBER

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "login_session",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=True, comment="the hash before the last rotation"),
        sa.Column("previous_until", sa.BigInteger(), nullable=False, comment="pages that were open then go on until"),
        sa.Column("account", NUMBER, nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("rotated", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("network", sa.String(64), nullable=False, comment="/24 or /48 that it was made from"),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["account.id"], name="fk_login_session_account_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_login_session"),
        sa.UniqueConstraint("hash", name="uq_login_session_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_login_session_previous", "login_session", ["previous"])
    op.create_index("ix_login_session_account", "login_session", ["account"])
    op.create_table(
        "login_flow",
        sa.Column("state", sa.String(64), nullable=False, comment="hash"),
        sa.Column("browser", sa.String(64), nullable=False, comment="hash of the cookie that began it"),
        sa.Column("verifier", sa.String(128), nullable=False, comment="of PKCE"),
        sa.Column("nonce", sa.String(128), nullable=False),
        sa.Column("target", sa.String(2048), nullable=False, comment="path to go to afterwards"),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state", name="pk_login_flow"),
    )


def downgrade() -> None:
    op.drop_table("login_flow")
    op.drop_table("login_session")

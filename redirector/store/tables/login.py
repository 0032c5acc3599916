"""Who is logged in, and who is on the way to it by a provider. Secrets are hashed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from redirector.store.schema import NUMBER, metadata

session = Table(
    "login_session",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("previous", String(64), nullable=True, index=True, comment="the hash before the last rotation"),
    Column("previous_until", BigInteger, nullable=False, comment="pages that were open then go on until"),
    Column("account", NUMBER, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("made", BigInteger, nullable=False),
    Column("rotated", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("network", String(64), nullable=False, comment="/24 or /48 that it was made from"),
    Column("agent", String(200), nullable=False),
    sqlite_autoincrement=True,
)

flow = Table(
    "login_flow",
    metadata,
    Column("state", String(64), primary_key=True, comment="hash"),
    Column("browser", String(64), nullable=False, comment="hash of the cookie that began it"),
    Column("verifier", String(128), nullable=False, comment="of PKCE"),
    Column("nonce", String(128), nullable=False),
    Column("target", String(2048), nullable=False, comment="path to go to afterwards"),
    Column("expires", BigInteger, nullable=False),
)

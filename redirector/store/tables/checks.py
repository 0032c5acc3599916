"""The last look at each host that its admins, or the distribution, asked for."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, String, Table

from redirector.store.schema import NUMBER, metadata

checks = Table(
    "host_check",
    metadata,
    Column("host", NUMBER, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, comment="when it began"),
    Column("took_s", NUMBER, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("findings", JSON, nullable=False, comment="[url, check, level, text] each"),
)

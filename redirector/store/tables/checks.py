"""The last look at each host that its admins, or the distribution, asked for."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, String, Table

from redirector.store.schema import metadata

checks = Table(
    "host_check",
    metadata,
    Column("host", Integer, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, comment="when it began"),
    Column("took_s", Integer, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("findings", JSON, nullable=False, comment="[url, check, level, text] each"),
)

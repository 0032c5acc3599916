"""What visits found: what is remembered of each host, the visits, their evidence, and how states changed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, LargeBinary, String, Table, Text

from redirector.store.schema import NUMBER, metadata

hosts = Table(
    "health_host",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("vantage", String(64), primary_key=True),
    Column("visited", BigInteger, nullable=False),
    Column("next_visit", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("lag_s", BigInteger, nullable=True, comment="unknown where nothing tells"),
    Column("memory", LargeBinary, nullable=False, comment="packed; see redirector.health.keeping"),
)

contents = Table(
    "health_content",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("vantage", String(64), primary_key=True),
    Column("category", String(200), primary_key=True),
    Column("directories", String(32), nullable=False, comment="which list of names the bits belong to"),
    Column("served", LargeBinary, nullable=False, comment="a bit a directory: there, and not out"),
    Column("memory", LargeBinary, nullable=False, comment="packed; see redirector.health.keeping"),
)

names = Table(
    "health_directories",
    metadata,
    Column("digest", String(32), primary_key=True),
    Column("made", BigInteger, nullable=False),
    Column("names", LargeBinary, nullable=False, comment="packed, in order"),
)

visits = Table(
    "health_visit",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("vantage", String(64), primary_key=True),
    Column("event", String(16), nullable=False),
    Column("counted", Boolean, nullable=False, comment="false in a void round"),
    Column("content", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(16), nullable=False, comment="after the visit, as this vantage point sees it"),
    Column("lag_s", BigInteger, nullable=True),
    Column("delay_s", BigInteger, nullable=True, comment="age of the mirror's own time"),
    Column("duration_s", Float, nullable=True),
    Column("requests", NUMBER, nullable=False),
    Index("ix_health_visit_at", "at"),
)

evidence = Table(
    "health_evidence",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("host", String(255), nullable=False),
    Column("vantage", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("notable", Boolean, nullable=False, comment="worth keeping when room is made"),
    Column("text", Text, nullable=False, comment="one JSON object"),
    Index("ix_health_evidence_host", "host", "at"),
)

history = Table(
    "health_history",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("lacking", NUMBER, nullable=False, comment="how many directories were left out"),
)

rounds = Table(
    "health_round",
    metadata,
    Column("vantage", String(64), primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("took_s", Float, nullable=False),
    Column("visits", NUMBER, nullable=False),
    Column("failed", NUMBER, nullable=False),
    Column("requests", NUMBER, nullable=False),
    Column("void", Text, nullable=False, comment="why nothing was concluded; empty when something was"),
)

spent = Table(
    "health_spent",
    metadata,
    Column("vantage", String(64), primary_key=True),
    Column("address", String(64), primary_key=True),
    Column("day", BigInteger, nullable=False),
    Column("spent", LargeBinary, nullable=False, comment="packed; see redirector.health.keeping"),
)

pushes = Table(
    "health_push",
    metadata,
    Column("category", String(200), primary_key=True),
    Column("pushed", BigInteger, primary_key=True, autoincrement=False),
    Column("changed", NUMBER, nullable=False, comment="directories"),
    Column("delays", LargeBinary, nullable=False, comment="packed: host -> seconds until it was seen with it"),
)

masters = Table(
    "health_master",
    metadata,
    Column("category", String(200), primary_key=True),
    Column("known", LargeBinary, nullable=False, comment="packed: what earlier looks at the master found"),
)

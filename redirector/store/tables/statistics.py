"""What was counted: requests, systems, how far mirrors were behind, bytes that they sent. No address is in it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table

from redirector.store.schema import NUMBER, metadata

access = Table(
    "access",
    metadata,
    Column("day", String(10), primary_key=True, comment="2026-11-28, in UTC"),
    Column("country", String(2), primary_key=True, comment="-- where unknown, as in the next two"),
    Column("repository", String(255), primary_key=True),
    Column("arch", String(255), primary_key=True),
    Column("requests", BigInteger, nullable=False),
)

margins = Table(
    "access_margins",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("category", String(20), primary_key=True, comment="countries, archs, repositories"),
    Column("name", String(255), primary_key=True),
    Column("requests", BigInteger, nullable=False),
)

_SYSTEM = (
    ("weeknum", NUMBER),
    ("os_name", String(255)),
    ("os_version", String(255)),
    ("os_variant", String(255)),
    ("os_arch", String(255)),
    ("sys_age", NUMBER),
    ("repo_tag", String(255)),
    ("repo_arch", String(255)),
)

countme_totals = Table(
    "countme_totals",
    metadata,
    Column("hits", BigInteger, nullable=False),
    *(Column(name, kind, primary_key=True, autoincrement=False) for name, kind in _SYSTEM),
)
"""Weeks whose lines have all been seen."""

countme_waiting = Table(
    "countme_waiting",
    metadata,
    Column("server", String(255), primary_key=True),
    Column("hits", BigInteger, nullable=False),
    *(Column(name, kind, primary_key=True, autoincrement=False) for name, kind in _SYSTEM),
)
"""Weeks of which a server's lines may still come."""

servers = Table(
    "statistics_server",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("newest", BigInteger, nullable=False, comment="the minute of the newest line that was seen"),
)

logs = Table(
    "statistics_log",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("server", String(255), nullable=False),
    Column("first", String(32), nullable=False, comment="a digest of the first line, without its address"),
    Column("marks", String(2000), nullable=False, comment="digests of the first 1, 2, 4, … lines"),
    Column("end", BigInteger, nullable=False, comment="how far it was counted, in bytes, unpacked"),
    Column("tail_bytes", NUMBER, nullable=False, comment="behind it: a line without break, counted"),
    Column("options", String(2000), nullable=False, comment="how its lines were read"),
    Column("newest", BigInteger, nullable=False),
    Column("counted", LargeBinary, comment="what its lines add up to; none where that is no longer kept"),
    Index("ix_statistics_log_server_first", "server", "first"),
)

propagation = Table(
    "propagation",
    metadata,
    Column("run", BigInteger, primary_key=True, autoincrement=False, comment="when the round ended"),
    Column("repository", String(255), primary_key=True),
    *(Column(name, NUMBER, nullable=False) for name in ("same_day", "one_day", "two_day", "older", "no_info")),
)

traffic = Table(
    "traffic",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)

"""What the masters hold: one row a category, its pushes, and the generations of its list of directories."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from redirector.store.schema import NUMBER, metadata

contents = Table(
    "contents",
    metadata,
    Column("category", String(200), primary_key=True),
    Column("top", String(1000), nullable=False),
    Column("generation", NUMBER, nullable=False),
    Column("push", NUMBER, nullable=False),
    Column("checked", BigInteger, nullable=False, comment="when the master was last read, or found unchanged"),
    Column("read", BigInteger, nullable=False, comment="when it was last read in full"),
    Column("validator", LargeBinary, nullable=False, comment="what tells that the master is unchanged"),
    Column("repositories", LargeBinary, nullable=False, comment="packed; see redirector.store.directories"),
    Column("counts", LargeBinary, nullable=False, comment="packed; see redirector.store.directories"),
    Column("directories", LargeBinary, nullable=False, comment="packed; see redirector.store.directories"),
)

pushes = Table(
    "contents_push",
    metadata,
    Column("category", String(200), primary_key=True),
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("seen", BigInteger, nullable=False, comment="when a scan first saw it"),
    Column("changed", NUMBER, nullable=False, comment="how many directories it changed"),
)

generations = Table(
    "contents_generation",
    metadata,
    Column("category", String(200), primary_key=True),
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("made", BigInteger, nullable=False),
    Column("paths", LargeBinary, nullable=False, comment="packed, sorted; bit N of a bit string is its path N"),
)

"""What is to be sent to people and programs, and what was told of each mirror."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from redirector.store.schema import NUMBER, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("name", String(255), nullable=False, unique=True, comment="the same thing is put in once"),
    Column("channel", String(16), nullable=False, comment="mail, webhook, command"),
    Column("kind", String(64), nullable=False),
    Column("host", String(255), nullable=False, comment="empty where it is about none"),
    Column("target", Text, nullable=False, comment="mail address, URL, or command"),
    Column("subject", Text, nullable=False, comment="of a mail"),
    Column("body", Text, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False, comment="when it is tried next; a claim moves it"),
    Column("attempts", NUMBER, nullable=False),
    Column("ended", BigInteger, nullable=True, comment="sent, or given up; waiting without"),
    Column("sent", Boolean, nullable=False),
    Column("error", Text, nullable=False, comment="of the latest attempt"),
    Index("ix_outbox_due", "ended", "due"),
)

memos = Table(
    "notice_memo",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("memo", Text, nullable=False, comment="one JSON object"),
)

"""The address of a database, as an operator writes it and as the drivers want it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from redirector.errors import StoreError

FORMS = "sqlite:///FILE (absolute: four slashes) or postgresql://USER@HOST/NAME is needed"


@dataclass(frozen=True, slots=True)
class Database:
    """One database.

    shown   for messages: without password
    driver  for SQLAlchemy
    file    SQLite's file; None for PostgreSQL
    """

    shown: str
    driver: URL
    file: str | None


def parse_database(url: str) -> Database:
    """What *url* names. Raises StoreError, which never shows a password, for any other form."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(_scheme_of(url), "no address of a database", FORMS) from None
    shown = parsed.set(query={}).render_as_string(hide_password=True)
    match parsed.drivername:
        case "sqlite" if parsed.database and not parsed.host and not parsed.query and "\0" not in parsed.database:
            file = os.path.abspath(parsed.database)
            return Database(f"sqlite:///{file}", URL.create("sqlite+aiosqlite", database=file), file)
        case "postgresql":
            query = {"ssl" if key == "sslmode" else key: value for key, value in parsed.query.items()}
            return Database(shown, parsed.set(drivername="postgresql+asyncpg", query=query), None)
        case _:
            raise StoreError(shown, "no database that redirector knows", FORMS)


def _scheme_of(url: str) -> str:
    scheme, colon, _ = url.partition("://")
    return f"{scheme[:20]}://…" if colon else "database"

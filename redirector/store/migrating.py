"""Bringing the tables up to date, after a copy of what was there."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from functools import cache

from sqlalchemy import Connection, inspect, text

from redirector.errors import StoreError

INIT = "redirector registry init"

FOLDER = os.path.join(os.path.dirname(__file__), "migrations")


@cache
def list_revisions() -> tuple[str, ...]:
    """Every revision that this installation knows, the newest last: what its file's name begins with.

    Alembic, which knows it too, takes a quarter of a second to import, and is not needed to open what is up to date.
    """
    names = sorted(name for name in os.listdir(f"{FOLDER}/versions") if name[:1].isdigit() and name.endswith(".py"))
    return tuple(name.partition("_")[0] for name in names)


def head() -> str:
    """The newest revision that this installation knows."""
    return list_revisions()[-1]


def find_revision(connection: Connection) -> str | None:
    """The revision of the tables; None when there are none of ours yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def read_revision(connection: Connection, url: str) -> str | None:
    """The revision of the tables, None in an empty database.

    raises  StoreError for tables of a newer redirector, and for a SQLite file of another program
    """
    revision = find_revision(connection)
    if revision is None:
        if connection.dialect.name == "sqlite" and inspect(connection).get_table_names():
            raise StoreError(url, "a database of another program", "name another file")
    elif revision not in list_revisions():
        way_out = "install that version or a newer one, or go back to the copy that it made before"
        raise StoreError(url, f"its tables ({revision[:50]}) are of a newer redirector than this one", way_out)
    return revision


def refuse_older(revision: str | None, url: str) -> None:
    """Raise StoreError unless *revision* is the newest."""
    if revision is None:
        raise StoreError(url, "it has no tables yet", f"run `{INIT}` once")
    if revision != head():
        raise StoreError(
            url, f"its tables ({revision}) are of an older redirector", f"run `{INIT}` to bring them up to date"
        )


def migrate(connection: Connection, revision: str = "head") -> None:
    """Make or change all tables, up to *revision*, in the transaction that *connection* is in."""
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('redirector migration'))"))
    config = Config()
    config.set_main_option("script_location", FOLDER.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def copy_file(file: str) -> str:
    """Copy the SQLite database *file* beside it, whole or not at all; the copy's path.

    raises  sqlite3.Error, OSError
    """
    path = f"{file}.before-{head()}"
    fresh = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(fresh)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(fresh)) as target:
        source.backup(target)
    os.replace(fresh, path)
    return path

"""Bringing the tables up to date, after a copy of what was there."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from redirector.errors import StoreError

INIT = "redirector registry init"


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory(os.path.join(os.path.dirname(__file__), "migrations"))


def head() -> str:
    """The newest revision that this installation knows."""
    revision = _script().get_current_head()
    assert revision is not None
    return revision


def find_revision(connection: Connection) -> str | None:
    """The revision of the tables; None when there are none of ours yet."""
    return MigrationContext.configure(connection).get_current_revision()


def check_revision(connection: Connection, url: str) -> str | None:
    """The revision of the tables, None in an empty database.

    raises  StoreError for tables of a newer redirector, and for a SQLite file of another program
    """
    revision = find_revision(connection)
    if revision is None:
        if connection.dialect.name == "sqlite" and inspect(connection).get_table_names():
            raise StoreError(url, "a database of another program", "name another file")
    elif revision not in {script.revision for script in _script().walk_revisions()}:
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


def migrate(connection: Connection) -> None:
    """Make or change all tables, in the transaction that *connection* is in."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('redirector migration'))"))
    config = Config()
    config.set_main_option("script_location", _script().dir.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


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

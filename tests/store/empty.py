"""A SQLite file with all tables and no rows: made once a process, and written wherever one is needed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


@cache
def _empty() -> bytes:
    from sqlalchemy import create_engine

    from redirector.store import migrating

    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        engine = create_engine(f"sqlite:///{file}")
        with engine.begin() as begun:
            migrating.migrate(begun)
        engine.dispose()
        return file.read_bytes()


def write_empty(file: Path) -> str:
    """Write a database with all tables and no rows to *file*; its URL."""
    file.write_bytes(_empty())
    return f"sqlite:///{file}"

"""Reading MirrorManager 2's own database, PostgreSQL or SQLite: its tables as rows, and nothing written.

Its columns differ from version to version: one that is not there reads as None, and a table that is not there is empty.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, inspect, literal_column, select, table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from redirector.errors import StoreError
from redirector.store.failures import explain_failure
from redirector.store.urls import parse_database

Columns = Mapping[str, Sequence[str]]

CHUNK_ROWS = 10_000
"""The largest table has tens of millions of rows, of which nothing is kept but bits."""

REQUIRED = ("site", "host", "category", "host_category", "host_category_url", "directory")


class ForeignDatabase:
    """An open database of MirrorManager 2. Made by `open_foreign`."""

    def __init__(self, connection: AsyncConnection, columns: Columns) -> None:
        self._connection = connection
        self._columns = columns

    def has(self, name: str) -> bool:
        """Whether there is such a table."""
        return name in self._columns

    async def rows(self, name: str, *columns: str, order: str = "id") -> list[tuple[Any, ...]]:
        """All rows of the table *name*, by *order*; [] when there is no such table."""
        return [row async for row in self.stream(name, *columns, order=order)]

    async def stream(self, name: str, *columns: str, order: str | None = None) -> AsyncIterator[tuple[Any, ...]]:
        """The same one by one, unordered unless *order* is given."""
        known = self._columns.get(name)
        if known is None:
            return
        picked: list[ColumnElement[Any]] = [
            column(each) if each in known else literal_column("NULL").label(each) for each in columns
        ]
        query = select(*picked).select_from(table(name, *map(column, known)))
        if order is not None and order in known:
            query = query.order_by(column(order))
        found = await self._connection.stream(query.execution_options(yield_per=CHUNK_ROWS))
        async for row in found:
            yield tuple(row)


@asynccontextmanager
async def open_foreign(url: str) -> AsyncIterator[ForeignDatabase]:
    """The database of MirrorManager 2 at *url*, read in one transaction.

    raises  StoreError when it cannot be reached, or is no database of MirrorManager's
    """
    database = parse_database(url)
    if database.file is not None and not os.path.isfile(database.file):
        raise StoreError(database.shown, "there is no such file", "name the database of MirrorManager 2")
    options: dict[str, Any] = {}
    if database.file is None:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    engine = create_async_engine(database.driver, execution_options=options)
    try:
        async with engine.connect() as connection:
            columns = await connection.run_sync(_columns)
            missing = [name for name in REQUIRED if name not in columns]
            if missing:
                way_out = "name the database of MirrorManager 2"
                raise StoreError(database.shown, f"has no table {', '.join(missing)}", way_out)
            yield ForeignDatabase(connection, columns)
    except (SQLAlchemyError, OSError) as error:
        told = explain_failure(database.shown, error)
        raise (told or StoreError(database.shown, "cannot be read", "see whether its server runs")) from error
    finally:
        await engine.dispose()


def _columns(connection: Connection) -> dict[str, list[str]]:
    looked = inspect(connection)
    return {name: [str(each["name"]) for each in looked.get_columns(name)] for name in looked.get_table_names()}

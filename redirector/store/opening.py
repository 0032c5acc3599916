"""The store: one database, SQLite or PostgreSQL, opened, checked and brought up to date."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing, contextmanager
from time import monotonic, sleep
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from redirector.errors import StoreError
from redirector.store import migrating
from redirector.store.failures import explain_failure, is_busy
from redirector.store.locks import lock_file, lock_session
from redirector.store.urls import Database, parse_database

BUSY_S = 20.0
"""How long a change waits for others. The longest of ours, a month of statistics, takes some seconds."""

PIECE_S = 0.25
"""How long at a time: a thread that waits for SQLite cannot be called off, and who stops us waits for it."""

CONNECT_S = 10.0


class Store:
    """An open database. Made by `open_store`; `async with` closes it."""

    def __init__(self, database: Database, engine: AsyncEngine, busy_s: float) -> None:
        self._database = database
        self._engine = engine
        self._busy_s = busy_s
        if database.file is None:
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._writer = engine
        else:
            piece_s = min(busy_s, PIECE_S)
            self._reader = engine.execution_options(sqlite_begin="BEGIN", sqlite_query_only=1, sqlite_busy_s=busy_s)
            self._writer = engine.execution_options(
                sqlite_begin="BEGIN IMMEDIATE", sqlite_query_only=0, sqlite_busy_s=piece_s
            )

    @property
    def url(self) -> str:
        """For messages: without password."""
        return self._database.shown

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. What is under way in them does not happen."""
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one moment of the database, and cannot change it. Raises StoreError."""
        with self._explained():
            async with self._connect(self._reader) as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: all of it happens when the block ends, or nothing when it raises.

        In SQLite writers wait for each other; in PostgreSQL two of them run at once, and see what others committed.

        raises  StoreError; `sqlalchemy.exc.IntegrityError` when a constraint is broken
        """
        with self._explained():
            async with self._begun() as connection:
                yield connection

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that may write, once others have ended theirs."""
        until = monotonic() + self._busy_s
        while True:
            async with AsyncExitStack() as stack:
                connection = await stack.enter_async_context(self._connect(self._writer))
                try:
                    _ = await stack.enter_async_context(connection.begin())
                except OperationalError as error:
                    if not is_busy(error) or monotonic() >= until:
                        raise
                    continue
                yield connection
                return

    @asynccontextmanager
    async def lock(self, name: str, *, wait_s: float | None = 0) -> AsyncIterator[bool]:
        """Hold the lock *name* (lower case, digits, `-`, `.`, `_`) of this database against every other process.

        A process that is killed holds it no longer. It is no transaction: what is written meanwhile is seen at once.

        wait_s  how long to wait for it; None: until it is free
        yields  False when somebody else held it all the time
        raises  StoreError
        """
        if self._database.file is None:
            with self._explained():
                async with lock_session(self._connect_alone, name, wait_s) as held:
                    yield held
        else:
            async with _locked(self._database, name, wait_s) as held:
                yield held

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(self.url):
            yield

    @asynccontextmanager
    async def _connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        connection = engine.connect()
        try:
            _ = await connection.start()
        except OSError as error:
            raise explain_failure(self.url, error) or error from error
        try:
            yield connection
        finally:
            await connection.close()

    def _connect_alone(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._connect(self._engine.execution_options(isolation_level="AUTOCOMMIT"))


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what a driver raises into StoreError, where an operator must act."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        told = explain_failure(url, error)
        if told is None:
            raise
        raise told from error


@asynccontextmanager
async def _locked(database: Database, name: str, wait_s: float | None) -> AsyncIterator[bool]:
    assert database.file is not None
    lock = lock_file(database.file, name, wait_s)
    try:
        held = await lock.__aenter__()
    except OSError as error:
        way_out = "its folder must be there, and this user must be able to write in it"
        raise StoreError(database.shown, f"cannot be locked ({error.strerror})", way_out) from error
    try:
        yield held
    finally:
        await lock.__aexit__(None, None, None)


async def open_store(url: str, *, migrate: bool | None = None, busy_s: float = BUSY_S) -> Store:
    """The database at *url*, its tables up to date: `async with await open_store(url) as store`.

    url      `sqlite:///FILE` (made if it is not there) or `postgresql://…`
    migrate  whether tables are made and changed, SQLite's after a copy `FILE.before-REVISION`; None: SQLite's alone
    busy_s   how long a change waits for other writers
    raises   StoreError when it cannot be used, is of a newer version, or of an older one that may not be changed
    """
    database = parse_database(url)
    if database.file is not None:
        with explained(database.shown):
            await asyncio.to_thread(_make_file, database.file, busy_s)
    engine = _make_engine(database, busy_s)
    store = Store(database, engine, busy_s)
    wanted = database.file is not None if migrate is None else migrate
    try:
        await _prepare(store, database, wanted)
    except BaseException:
        await store.close()
        raise
    return store


def _make_file(file: str, busy_s: float) -> None:
    """Make the SQLite database *file* if it is not there, and let readers in beside a writer from now on.

    Opened by hand, since aiosqlite ends its thread behind our back where a file cannot be opened.
    """
    until = monotonic() + busy_s
    with closing(sqlite3.connect(file, busy_s, isolation_level=None)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:  # of two who do this at once SQLite lets neither wait
                if not is_busy(error) or monotonic() >= until:
                    raise
            sleep(PIECE_S / 10)


def _make_engine(database: Database, busy_s: float) -> AsyncEngine:
    if database.file is None:
        arguments: dict[str, Any] = {"timeout": CONNECT_S, "server_settings": {"application_name": "redirector"}}
        return create_async_engine(database.driver, connect_args=arguments, pool_pre_ping=True)
    engine = create_async_engine(database.driver, connect_args={"timeout": busy_s, "isolation_level": None})
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # The driver begins nothing by itself: it would take the right to write too late, and then fail at once.
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA query_only = {options.get('sqlite_query_only', 0)}")
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {options.get('sqlite_busy_s', BUSY_S) * 1000:.0f}")
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))


async def _prepare(store: Store, database: Database, wanted: bool) -> None:
    async with store.read() as connection:
        revision = await connection.run_sync(migrating.read_revision, database.shown)
    if revision == migrating.head():
        return
    if not wanted:
        migrating.refuse_older(revision, database.shown)
    if database.file is None:
        async with store.write() as connection:
            await connection.run_sync(migrating.migrate)
        return
    async with store.lock("migration", wait_s=None):
        async with store.read() as connection:
            revision = await connection.run_sync(migrating.read_revision, database.shown)
        if revision == migrating.head():
            return
        if revision is not None:
            await _copy(database)
        async with store.write() as connection:
            await connection.run_sync(migrating.migrate)


async def _copy(database: Database) -> None:
    assert database.file is not None
    try:
        with explained(database.shown):
            await asyncio.to_thread(migrating.copy_file, database.file)
    except OSError as error:
        way_out = "make room, and let this user write in the folder"
        raise StoreError(
            database.shown, f"cannot be copied before it is changed ({error.strerror})", way_out
        ) from error

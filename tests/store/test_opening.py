"""Opening a database: what is made, what is refused, and how that is said."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from redirector.errors import StoreError
from redirector.store import migrating, opening
from redirector.store.opening import PIECE_S, Store, open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import SiteRow
from redirector.store.urls import parse_database
from tests.patience import PATIENCE_S
from tests.store.postgresql import PostgreSQL

notes = Table("notes", MetaData(), Column("id", Integer, primary_key=True))


async def make_notes(store: Store) -> None:
    async with store.write() as connection:
        await connection.run_sync(notes.metadata.create_all)


async def read_notes(store: Store) -> list[int]:
    async with store.read() as connection:
        return list(await connection.scalars(select(notes.c.id).order_by(notes.c.id)))


async def refusal(url: str, migrate: bool | None = None) -> str:
    with pytest.raises(StoreError) as caught:
        async with await open_store(url, migrate=migrate):
            pass
    return str(caught.value)


async def test_what_is_written_is_there_for_the_next_one(store: Store, tables_url: str) -> None:
    await make_notes(store)
    async with store.write() as connection:
        await connection.execute(insert(notes), [{"id": 1}, {"id": 2}])
    async with await open_store(tables_url) as other:
        assert await read_notes(other) == [1, 2]


async def test_a_change_that_fails_half_way_changes_nothing(store: Store) -> None:
    await make_notes(store)
    with pytest.raises(RuntimeError):
        async with store.write() as connection:
            await connection.execute(insert(notes), {"id": 1})
            raise RuntimeError
    assert await read_notes(store) == []


async def test_a_broken_constraint_is_for_the_caller_to_know(store: Store) -> None:
    await make_notes(store)
    with pytest.raises(IntegrityError):
        async with store.write() as connection:
            await connection.execute(insert(notes), [{"id": 1}, {"id": 1}])


async def test_a_bug_is_no_failure_of_the_store(store: Store) -> None:
    with pytest.raises(SQLAlchemyError):
        async with store.read() as connection:
            await connection.execute(text("SELECT * FROM nowhere"))


async def test_a_reader_cannot_write(store: Store) -> None:
    await make_notes(store)
    with pytest.raises((StoreError, SQLAlchemyError)):
        async with store.read() as connection:
            await connection.execute(insert(notes), {"id": 1})
    assert await read_notes(store) == []


async def test_a_reader_sees_one_moment(store: Store) -> None:
    await make_notes(store)
    async with store.read() as connection:
        before = list(await connection.scalars(select(notes.c.id)))
        async with store.write() as other:
            await other.execute(insert(notes), {"id": 1})
        assert list(await connection.scalars(select(notes.c.id))) == before == []
    assert await read_notes(store) == [1]


async def test_writers_at_once_all_get_their_turn(store: Store) -> None:
    await make_notes(store)

    async def add(number: int) -> None:
        async with store.write() as connection:
            await connection.execute(insert(notes), {"id": number})

    await asyncio.gather(*map(add, range(30)))
    assert await read_notes(store) == list(range(30))


async def test_two_who_open_an_empty_database_at_once_make_it_once(store_url: str) -> None:
    stores = await asyncio.gather(*(open_store(store_url, migrate=True) for _ in range(4)))
    for store in stores:
        await store.close()
    async with await open_store(store_url) as store, store.read() as connection:
        assert list(await connection.scalars(text("SELECT version_num FROM alembic_version"))) == [migrating.head()]


def test_a_new_file_is_made_by_as_many_as_come_at_once(tmp_path: Path) -> None:
    """SQLite lets nobody wait who lets readers in beside writers: of four at once one failed in every sixth round."""
    for number in range(40):
        file, begin = str(tmp_path / f"{number}.db"), threading.Barrier(4)

        def make(file: str = file, begin: threading.Barrier = begin) -> None:
            begin.wait()
            opening._make_file(file, 20.0)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(make) for _ in range(4)]:
                done.result()


# Locks


async def test_a_lock_is_held_once_until_it_is_given_back(store: Store, tables_url: str) -> None:
    async with await open_store(tables_url) as other:
        async with store.lock("crawl") as first, other.lock("crawl") as second, other.lock("scan") as another:
            assert (first, second, another) == (True, False, True)
        async with other.lock("crawl") as again:
            assert again


async def test_who_waits_for_a_lock_gets_it_when_it_is_free(store: Store) -> None:
    order: list[str] = []

    async def wait() -> None:
        async with store.lock("crawl", wait_s=PATIENCE_S) as held:
            order.append(f"second {held}")

    async with store.lock("crawl"):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        order.append("first")
    await waiting
    assert order == ["first", "second True"]


HOLDER = """
import asyncio, sys
from redirector.store.opening import open_store

async def hold():
    async with await open_store(sys.argv[1]) as store, store.lock("crawl") as held:
        print(held, flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_a_killed_process_holds_no_lock(store: Store, tables_url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tables_url], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"True\n"
        async with store.lock("crawl") as held:
            assert not held
        holder.kill()
    async with store.lock("crawl", wait_s=PATIENCE_S) as held:
        assert held


# SQLite


async def test_sqlite_waits_for_readers_and_keeps_references(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path}/store.db") as store, store.read() as connection:
        pragmas = [await connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys")]
        assert pragmas == ["wal", 1]


async def test_a_relative_file_counts_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with await open_store("sqlite:///store.db") as store:
        assert store.url == f"sqlite:///{tmp_path}/store.db"
    assert (tmp_path / "store.db").exists()


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])


async def test_an_older_database_is_copied_and_then_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    async with await open_store(f"sqlite:///{path}"):
        pass
    assert not list(tmp_path.glob("*.before-*"))  # there was nothing to keep
    monkeypatch.setattr(migrating, "head", lambda: "9999")
    monkeypatch.setattr(migrating, "migrate", lambda connection: connection.execute(text("DROP TABLE contents")))
    with pytest.raises(StoreError, match="are of an older redirector"):
        await open_store(f"sqlite:///{path}", migrate=False)
    async with await open_store(f"sqlite:///{path}"):
        pass
    kept = {name: tables_of(tmp_path / name) for name in ("store.db", "store.db.before-9999")}
    assert kept["store.db"] == kept["store.db.before-9999"] - {"contents"} != kept["store.db.before-9999"]


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


async def test_nothing_is_changed_where_no_copy_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    async with await open_store(f"sqlite:///{path}"):
        pass
    monkeypatch.setattr(migrating, "head", lambda: "9999")
    (tmp_path / "store.db.before-9999").mkdir()
    assert "cannot be copied before it is changed" in await refusal(f"sqlite:///{path}")
    assert "contents" in tables_of(path)


async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(f"sqlite:///{path}"):
        pass
    set_revision(path, "7777")
    assert "its tables (7777) are of a newer redirector" in await refusal(f"sqlite:///{path}")
    assert not list(tmp_path.glob("*.before-*"))


async def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE bookmarks (id INTEGER)")
    assert "a database of another program: name another file" in await refusal(f"sqlite:///{path}")
    (tmp_path / "store.txt").write_text("no database at all, " * 100)
    assert "no SQLite database" in await refusal(f"sqlite:///{tmp_path}/store.txt")


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "its folder must be there" in await refusal(f"sqlite:///{tmp_path}/nowhere/store.db")


async def test_a_locked_database_is_said_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(f"sqlite:///{path}", busy_s=0.1) as store:
        await make_notes(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked by another process"):
                async with store.write() as connection:
                    await connection.execute(insert(notes), {"id": 1})
            assert await read_notes(store) == []  # readers do not wait


async def test_a_full_disk_is_said_and_changes_nothing(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path}/store.db") as store:
        await make_notes(store)
        with pytest.raises(StoreError, match=r"no space left .*: make room"):
            async with store.write() as connection:
                await connection.execute(text("PRAGMA max_page_count = 1"))
                await connection.execute(insert(notes), [{"id": number} for number in range(100_000)])
        assert await read_notes(store) == []


async def test_a_lock_file_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path}/store.db") as store:
        (tmp_path / "store.db.lock-crawl").mkdir()
        with pytest.raises(StoreError, match="cannot be locked"):
            async with store.lock("crawl"):
                pass


# PostgreSQL


async def test_postgresql_is_made_by_one_command_alone(postgresql: PostgreSQL) -> None:
    url = await postgresql.make_database()
    assert "it has no tables yet: run `redirector registry init` once" in await refusal(url)
    async with await open_store(url, migrate=True):
        pass
    async with await open_store(url):
        pass
    name = url.rpartition("/")[0] and url.partition("@/")[2].partition("?")[0]
    await postgresql.run("UPDATE alembic_version SET version_num = '7777'", name)
    assert "of a newer redirector" in await refusal(url)
    assert "of a newer redirector" in await refusal(url, migrate=True)


async def test_a_server_that_is_away_is_said(postgresql: PostgreSQL, tmp_path: Path) -> None:
    assert "not reached" in await refusal(f"postgresql://redirector:secret@/test?host={tmp_path}")
    assert "not reached" in await refusal("postgresql://redirector:secret@127.0.0.1:9/test")
    assert "there is no such database" in await refusal(postgresql.url("nowhere"))


async def test_a_server_that_goes_away_is_said_and_come_back_to(postgresql: PostgreSQL) -> None:
    async with await open_store(await postgresql.make_database(), migrate=True) as store:
        with pytest.raises(StoreError, match=r"going down|not reached"):
            async with store.write() as connection:
                pid = await connection.scalar(text("SELECT pg_backend_pid()"))
                await postgresql.run(f"SELECT pg_terminate_backend({pid}, 5000)")
                await connection.execute(text("SELECT 1"))
        async with store.read() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("number", [1 << 31, 1 << 62])
async def test_a_number_larger_than_any_is_found_nowhere(store: Store, number: int) -> None:
    async with store.read() as connection:
        assert await queries.find(connection, SiteRow, id=number) is None
        assert await queries.list_events(connection, before=number, host=number) == []


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/name",
        "postgresql:secret",
        "sqlite://",
        "sqlite:///file?key=secret",
        "secret",
        "",
        "postgresql://user:secret@host:port/name",
        "postgresql://user:secret@[::1/name",
    ],
)
async def test_any_other_address_is_refused_without_a_word_of_secrets(url: str) -> None:
    text = await refusal(url)
    assert "sqlite:///FILE (absolute: four slashes) or postgresql://USER@HOST/NAME is needed" in text
    assert "secret" not in text


async def test_a_password_is_never_shown(postgresql: PostgreSQL, tmp_path: Path) -> None:
    url = f"postgresql://redirector:hunter2@/test?host={tmp_path}"
    assert "hunter2" not in await refusal(url)
    assert "hunter2" not in repr(parse_database(url))


async def test_a_change_waits_for_others_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    async with await open_store(f"sqlite:///{path}") as store:
        await make_notes(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            async def write() -> None:
                async with store.write() as connection:
                    await connection.execute(insert(notes), {"id": 1})

            patient = asyncio.create_task(write())
            assert await asyncio.wait({patient}, timeout=3 * PIECE_S) == (set(), {patient})
            other.execute("COMMIT")
            await patient
        assert await read_notes(store) == [1]

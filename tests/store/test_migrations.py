"""Migrations and models say the same, in both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, create_engine, inspect

import redirector.store.tables  # noqa: F401  fills the metadata
from redirector.store import migrating
from redirector.store.opening import Store, open_store
from redirector.store.schema import metadata


def differences(connection: Connection) -> list[object]:
    opts = {"compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=opts)
    return list(compare_metadata(context, metadata))


async def test_models_and_migrated_tables_agree(store: Store) -> None:
    async with store.read() as connection:
        assert await connection.run_sync(differences) == []
        names = set(await connection.run_sync(lambda each: inspect(each).get_table_names()))
    assert names == {*metadata.tables, "alembic_version"}


def constraint_names(connection: Connection) -> dict[str, object]:
    looked = inspect(connection)
    named = {name: table for name, table in metadata.tables.items() if not _is_counter(connection, table)}
    return {name: looked.get_pk_constraint(name)["name"] for name in named}


def _is_counter(connection: Connection, table: Table) -> bool:
    """SQLite takes no name for a key whose numbers are never given twice."""
    return connection.dialect.name == "sqlite" and bool(table.dialect_options["sqlite"]["autoincrement"])


async def test_primary_keys_have_the_names_of_the_models(store: Store) -> None:
    async with store.read() as connection:
        found = await connection.run_sync(constraint_names)
    assert found == {name: f"pk_{name}" for name in found}
    assert "contents" in found


def test_there_is_one_line_of_migrations_and_files_are_named_by_it() -> None:
    script = ScriptDirectory(migrating.FOLDER)
    assert len(script.get_heads()) == 1 and len(script.get_bases()) == 1
    assert [each.revision for each in script.walk_revisions()] == list(reversed(migrating.list_revisions()))


@pytest.mark.parametrize("revision", migrating.list_revisions()[:-1])
async def test_every_older_database_is_brought_up_to_date_after_a_copy(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrating.migrate(connection, revision)
    engine.dispose()
    async with await open_store(f"sqlite:///{path}") as store, store.read() as opened:
        assert await opened.run_sync(differences) == []
    assert [each.name for each in tmp_path.glob("*.before-*")] == [f"store.db.before-{migrating.head()}"]


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_table_has_a_primary_key(name: str) -> None:
    assert list(metadata.tables[name].primary_key)

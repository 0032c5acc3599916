"""Registries, empty: `registry` on SQLite, `any_registry` on SQLite and PostgreSQL in turn."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redirector.store.opening import Store, open_store
from tests.registry.rig import Registry


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables: copying it is quicker than making them."""
    import asyncio

    path = tmp_path_factory.mktemp("empty") / "store.db"

    async def make() -> None:
        async with await open_store(f"sqlite:///{path}"):
            pass

    asyncio.run(make())
    return path


@pytest.fixture
async def registry(empty_database: Path, tmp_path: Path) -> AsyncIterator[Registry]:
    """An empty registry."""
    path = tmp_path / "redirector.db"
    shutil.copy(empty_database, path)
    async with await open_store(f"sqlite:///{path}") as opened:
        yield Registry(opened)


@pytest.fixture
def any_registry(store: Store) -> Registry:
    """An empty registry on either database."""
    return Registry(store)

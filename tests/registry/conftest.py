"""Registries, empty: `registry` on SQLite, `any_registry` on SQLite and PostgreSQL in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from redirector.store.opening import Store, open_store
from tests.registry.rig import Registry


@pytest.fixture
async def registry(sqlite_url: str) -> AsyncIterator[Registry]:
    """An empty registry."""
    async with await open_store(sqlite_url) as opened:
        yield Registry(opened)


@pytest.fixture
def any_registry(store: Store) -> Registry:
    """An empty registry on either database."""
    return Registry(store)

"""Fixtures for tests with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import Server, serving, write_snapshot


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_snapshot(tmp_path / "snapshot.pb")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module, which leave it as it was."""
    folder = tmp_path_factory.mktemp("server")
    source = write_snapshot(folder / "snapshot.pb")
    with serving(source, "--access-log", str(folder / "access.log")) as running:
        yield running

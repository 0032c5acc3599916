"""Databases for tests: a PostgreSQL server of our own, without privileges, and empty databases of both kinds.

The fixtures are known in every folder: `store_url` and `store` run a test once on SQLite and once on PostgreSQL,
`postgresql` is the server, for tests that need no more than that one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redirector.store.opening import Store

START_S = 30
USER = "redirector"


@dataclass(slots=True)
class PostgreSQL:
    """A server that listens on a unix socket in *folder* alone."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    async def make_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    async def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement by hand, beside the store."""
        import asyncpg  # type: ignore[import-untyped]

        connection = await asyncpg.connect(user=USER, host=str(self.folder), database=database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _program(name: str) -> list[str]:
    """How to start one of the newest server's programs: as somebody else than root, for whom it refuses to run."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("no PostgreSQL: run .ci/install install store")
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=INT"]
    return [*(() if os.geteuid() else nobody), str(found[-1])]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for the whole run."""
    folder = Path(tempfile.mkdtemp(prefix="redirector-postgresql-"))
    if not os.geteuid():
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    cluster = f"{folder}/cluster"
    initdb = ["--pgdata", cluster, "--username", USER, "--auth=trust", "--no-sync", "--encoding=UTF8"]
    subprocess.run([*_program("initdb"), *initdb], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    settings = ("listen_addresses=", "fsync=off", "full_page_writes=off", f"unix_socket_directories={folder}")
    options = itertools.chain.from_iterable(("-c", setting) for setting in settings)
    with open(folder / "log", "wb") as log:
        command = [*_program("postgres"), "-D", cluster, *options]
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(server, folder)
        yield PostgreSQL(folder)
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
        server.wait(START_S)
        shutil.rmtree(folder)


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    ready = [*_program("pg_isready"), "--quiet", "--host", str(folder)]
    until = time.monotonic() + START_S
    while subprocess.run(ready).returncode:
        assert server.poll() is None and time.monotonic() < until, (folder / "log").read_text()
        time.sleep(0.02)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of either kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return asyncio.run(server.make_database())


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store with all its tables and no rows, of either kind in turn."""
    from redirector.store.opening import open_store

    async with await open_store(store_url, migrate=True) as opened:
        yield opened

"""Databases for tests: a PostgreSQL server of our own, without privileges, and empty databases of both kinds.

The fixtures are known in every folder: `store_url`, `tables_url` and `store` run a test once on SQLite and once on
PostgreSQL, `postgresql` is the server, for tests that need no more than that one. Tables are made once in a run, and
copied from then on.
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store.empty import write_empty

if TYPE_CHECKING:
    from redirector.store.opening import Store

START_S = 240
"""A machine that much else is done on stands still for minutes."""

USER = "redirector"


@dataclass(slots=True)
class PostgreSQL:
    """A server that listens on a unix socket in *folder* alone."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _template: str | None = None

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    async def make_database(self) -> str:
        """The URL of a new, empty database."""
        return self.url(await self._make("template1"))

    async def make_tables(self) -> str:
        """The URL of a new database with all tables and no rows."""
        if self._template is None:
            self._template = await self._make("template1")
            await make_tables(self.url(self._template))
        return self.url(await self._make(self._template))

    async def _make(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement by hand, beside the store."""
        import asyncpg  # type: ignore[import-untyped]

        connection = await asyncpg.connect(user=USER, host=str(self.folder), database=database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def program(name: str) -> list[str]:
    """How to start one of the newest server's programs: as somebody else than root, for whom it refuses to run."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("no PostgreSQL: run .ci/install install store")
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=INT"]
    return [*(() if os.geteuid() else nobody), str(found[-1])]


@dataclass(slots=True)
class Cluster:
    """The server's files in *folder*, and the server, which may be killed and started again."""

    folder: Path
    server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """An empty cluster."""
        if not os.geteuid():
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        initdb = ["--pgdata", self._files, "--username", USER, "--auth=trust", "--no-sync", "--encoding=UTF8"]
        subprocess.run([*program("initdb"), *initdb], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Until it takes connections. One that was killed is waited for: the last of it may still be ending."""
        settings = ("listen_addresses=", "fsync=off", "full_page_writes=off", f"unix_socket_directories={self.folder}")
        options = itertools.chain.from_iterable(("-c", setting) for setting in settings)
        command = [*program("postgres"), "-D", self._files, *options]
        until = time.monotonic() + START_S
        with self._log.open("ab") as log:
            while not self.is_ready():
                assert time.monotonic() < until, self._log.read_text()[-2000:]
                if self.server is None or self.server.poll() is not None:
                    self.server = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
                time.sleep(0.02)

    def is_ready(self) -> bool:
        """It takes connections."""
        ready = [*program("pg_isready"), "--quiet", "--host", str(self.folder)]
        return self.server is not None and self.server.poll() is None and not subprocess.run(ready).returncode

    def end(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """At once: nothing is to be kept that is not."""
        if self.server is not None:
            self.server.send_signal(number)
            self.server.wait(START_S)
            self.server = None

    @property
    def _files(self) -> str:
        return f"{self.folder}/cluster"

    @property
    def _log(self) -> Path:
        return self.folder / "log"


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A server that runs, in a folder that is taken away at the end."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="redirector-postgresql-")))
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(cluster.folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for the whole run."""
    with own_cluster() as cluster:
        yield PostgreSQL(cluster.folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of either kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return asyncio.run(server.make_database())


async def make_tables(url: str) -> None:
    """Make all tables of a new database."""
    from redirector.store.opening import open_store

    async with await open_store(url, migrate=True):
        pass


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file `store.db` with all tables and no rows."""
    return write_empty(tmp_path / "store.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def tables_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with all tables and no rows, of either kind in turn."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return asyncio.run(server.make_tables())


@pytest.fixture
async def store(tables_url: str) -> AsyncIterator[Store]:
    """An open store with all its tables and no rows, of either kind in turn."""
    from redirector.store.opening import open_store

    async with await open_store(tables_url) as opened:
        yield opened

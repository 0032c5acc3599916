"""PostgreSQL's store: a dump is put back, and a store of the version before is migrated while clients ask."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from redirector.store.migrating import FOLDER, head, list_revisions
from redirector.store.opening import open_store
from tests.server.load import Crowd
from tests.server.running import serving
from tests.store.postgresql import PostgreSQL, program

SITE = ("registry", "site", "add", "Example Site", "--url", "https://example.org/", "--contacts", "ops@example.org")
FURNISH = (
    ("registry", "category", "add", "Example Linux", "--top", "pub/linux"),
    ("registry", "repository", "add", "fedora-40", "x86_64", "--directory", "pub/linux/40/x86_64/os"),
    SITE,
    ("registry", "site", "approve", "Example Site"),
    ("registry", "host", "add", "mirror.example.org", "--site", "Example Site", "--country", "DE",
     "--bandwidth-mbit", "1000"),
    ("registry", "carried", "add", "mirror.example.org", "Example Linux", "--always-current"),
    ("registry", "url", "add", "mirror.example.org", "Example Linux", "https://mirror.example.org/linux/"),
)  # fmt: skip

Redirector = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def redirector(tmp_path: Path) -> Redirector:
    """Runs a command in an empty folder."""

    def run(*words: str, database: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "redirector", *words, "--database", database], cwd=tmp_path, text=True,
            capture_output=True, timeout=300, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


async def test_a_dump_of_postgresql_is_put_back(postgresql: PostgreSQL, redirector: Redirector, tmp_path: Path) -> None:
    old, new = [await postgresql.make_database() for _ in range(2)]
    redirector("registry", "init", database=old)
    for words in FURNISH:
        redirector(*words, database=old)
    before = redirector("registry", "publish", "--snapshot", "old.proto", "--exports", "old", database=old)
    copy = f"{postgresql.folder}/copy.dump"
    for call in (
        ["pg_dump", "--format", "custom", "--file", copy, old],
        ["pg_restore", "--no-owner", "--dbname", new, copy],
    ):
        command = [*program(call[0]), *call[1:]]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=120, cwd=postgresql.folder)
    assert "nothing is pending" in redirector("registry", "init", "--check", database=new).stdout
    after = redirector("registry", "publish", "--snapshot", "new.proto", "--exports", "new", database=new)
    assert after.stdout.replace("new", "old") == before.stdout
    assert (tmp_path / "old.proto").read_bytes() == (tmp_path / "new.proto").read_bytes()
    for listing in (("site", "list"), ("host", "list"), ("events",)):
        assert (
            redirector("registry", *listing, "--json", database=new).stdout
            == redirector("registry", *listing, "--json", database=old).stdout
        )
    # And it goes on: numbers that were given are not given again.
    redirector("registry", "site", "add", "Next Site", *SITE[4:], database=new)


async def test_a_migration_while_clients_ask_loses_no_request(
    postgresql: PostgreSQL, redirector: Redirector, tmp_path: Path
) -> None:
    database = await postgresql.make_database()
    redirector("registry", "init", database=database)
    for words in FURNISH:
        redirector(*words, database=database)
    redirector("registry", "publish", "--snapshot", "served.proto", database=database)
    await go_back(database)
    with serving(tmp_path / "served.proto") as server:
        crowd = Crowd(server.address, 4, 2, pause_s=0.02)
        told = redirector("registry", "publish", "--snapshot", "served.proto", database=database, code=1)
        assert "registry init" in told.stderr
        assert "of an older redirector" in redirector("registry", "init", "--check", database=database, code=1).stdout
        # Two at once, as two pods would: one migrates, the other waits.
        both = [asyncio.to_thread(redirector, "registry", "init", database=database) for _ in range(2)]
        await asyncio.gather(*both)
        redirector("registry", "host", "set", "mirror.example.org", "--bandwidth-mbit", "2000", database=database)
        redirector("registry", "publish", "--snapshot", "served.proto", database=database)
        assert (await asyncio.to_thread(server.reload)).status == 200
        await crowd.reach(20)
        tally = await crowd.stop()
    assert not tally.failures, tally.failures
    assert tally.answers[200] > 50 and set(tally.answers) <= {200, 404}, tally.answers


async def go_back(database: str) -> None:
    """Make the tables those of the version before."""

    def downgrade(connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", FOLDER)
        config.attributes["connection"] = connection
        command.downgrade(config, list_revisions()[-2])

    assert list_revisions()[-1] == head()
    async with await open_store(database) as store, store.write() as connection:
        work: Any = downgrade
        await connection.run_sync(work)

"""Exclusive locks by name that end with the process that holds them, however it ends."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

POLL_S = 0.2
"""How soon somebody who waits gets a lock that became free."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@asynccontextmanager
async def lock_file(file: str, name: str, wait_s: float | None) -> AsyncIterator[bool]:
    """Hold the lock *name* of the SQLite database *file*: a file beside it, which stays. Raises OSError.

    wait_s  how long to wait for it; None: until it is free
    yields  False when somebody else held it all the time
    """
    assert _NAME.fullmatch(name), name
    descriptor = os.open(f"{file}.lock-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield await _wait(lambda: _flock(descriptor), wait_s)
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _wait(attempt: Callable[[], bool], wait_s: float | None) -> bool:
    until = None if wait_s is None else monotonic() + wait_s
    while not attempt():
        if until is not None and monotonic() >= until:
            return False
        await asyncio.sleep(POLL_S)
    return True


@asynccontextmanager
async def lock_session(
    connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]], name: str, wait_s: float | None
) -> AsyncIterator[bool]:
    """The same in PostgreSQL, by an advisory lock of a session of its own, which ends with its connection."""
    assert _NAME.fullmatch(name), name
    key = int.from_bytes(hashlib.sha256(b"redirector " + name.encode()).digest()[:8], signed=True)
    attempt = text("SELECT pg_try_advisory_lock(:key)").bindparams(bindparam("key", key))
    until = None if wait_s is None else monotonic() + wait_s
    async with connect() as connection:
        while not (held := bool(await connection.scalar(attempt))) and (until is None or monotonic() < until):
            await asyncio.sleep(POLL_S)
        try:
            yield held
        finally:
            if held:
                await connection.execute(text("SELECT pg_advisory_unlock(:key)").bindparams(bindparam("key", key)))

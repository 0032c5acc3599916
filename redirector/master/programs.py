"""Programs of others, each in a session of its own: whatever happens, nothing is left of what it started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress

_CHUNK_BYTES = 256 << 10


async def start(
    *command: str | bytes,
    env: Mapping[str, str],
    cwd: str | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    limit_bytes: int = _CHUNK_BYTES,
) -> asyncio.subprocess.Process:
    """A program that runs. Raises OSError, and ValueError for a command that no program can have."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            limit=limit_bytes,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Were it cancelled itself, it would end the program, but wait for whatever that has started.
        with suppress(OSError, ValueError):
            process = await starting
            end(process)
            await process.wait()
        raise


def end(process: asyncio.subprocess.Process) -> None:
    """End *process* and what it started, at once."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def read_begin(stream: asyncio.StreamReader, limit_bytes: int) -> bytes:
    """The first bytes of *stream*; the rest is read and thrown away."""
    begin = b""
    while chunk := await stream.read(_CHUNK_BYTES):
        begin += chunk[: limit_bytes - len(begin)]
    return begin

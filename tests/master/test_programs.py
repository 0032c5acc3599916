"""Programs of others, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from redirector.master import programs


def is_there(pid: int) -> bool:
    """Whether it runs; who has ended and waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_who_is_cancelled_while_a_program_starts_leaves_nothing_of_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, really = asyncio.Event(), asyncio.create_subprocess_exec

    async def slowly(*command: str, **options: object) -> asyncio.subprocess.Process:
        process = await really(*command, **options)  # type: ignore[arg-type]
        await held.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    said = tmp_path / "pid"
    command = f"sleep 600 & echo $! > {said}.new; mv {said}.new {said}; wait"
    task = asyncio.ensure_future(programs.start("sh", "-c", command, env=os.environ))
    while not said.exists():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0)
    held.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        while is_there(int(said.read_text())):
            await asyncio.sleep(0.01)


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await programs.start("/nowhere/program", env={})

"""rsync's own daemon on loopback, and programs that stand in for rsync and misbehave."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from redirector.health.evidence import Ask, Probe
from redirector.health.names import Route, source_for
from redirector.health.pace import Pace
from redirector.health.rsync import Rsync
from redirector.health.safety import Safety
from tests.health.hostile import LOOPBACK, NOW, names
from tests.kit.rig import wait_for
from tests.patience import PATIENCE_S, free_port


@asynccontextmanager
async def rsyncd(folder: Path, module: Path, *options: str) -> AsyncIterator[int]:
    """A daemon that serves *module* as `mod`, given as its port."""
    port = free_port()
    owner = ("uid = root", "gid = root") if os.getuid() == 0 else ()
    lines = ("use chroot = no", "motd file = motd", *owner, *options, "[mod]", f"path = {module}", "read only = yes")
    config = folder / "rsyncd.conf"
    config.write_text("\n".join(lines))
    daemon = await asyncio.create_subprocess_exec(
        "rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1", f"--port={port}",
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await wait_for(port)
        yield port
    finally:
        daemon.terminate()
        await daemon.wait()


def rsync(
    *,
    program: str = "rsync",
    safety: Safety = LOOPBACK,
    known: Sequence[str] = ("127.0.0.1",),
    pace: Pace | None = None,
    seconds: float = PATIENCE_S,
    lines: int = 100_000,
    memory_bytes: int = 512 << 20,
    route: Route = source_for,
) -> Rsync:
    """A prober that waits for *seconds*."""
    return Rsync(
        pace=pace or Pace(now=lambda: NOW, monotonic=time.monotonic, heeds_busy=False),
        safety=safety,
        resolve=names({"mirror.example": known}),
        vantage="here",
        now=lambda: NOW,
        monotonic=time.monotonic,
        program=program,
        wall_clock_s=seconds,
        named_files_s=seconds,
        lines=lines,
        memory_bytes=memory_bytes,
        route=route,
    )


def question(port: int, ask: Ask, path: str = "", paths: tuple[str, ...] = (), module: str = "mod/") -> Probe:
    base = f"rsync://mirror.example:{port}/{module}"
    return Probe("m", "", ask, base, path, paths, ports=frozenset({port}))


def stand_in(folder: Path, script: str) -> str:
    """A program that does *script* (sh) instead of rsync."""
    program = folder / "rsync-stand-in"
    program.write_text("#!/bin/sh\n" + script + "\n")
    program.chmod(0o755)
    return str(program)

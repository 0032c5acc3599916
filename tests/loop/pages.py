"""Runs a page of the docs as its reader would: every block of commands, one after another, in one shell."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
PATIENCE_S = 500

PORTS = (8011, 8080, 8090, 9180)
"""Numbers in the pages that are replaced: several tests may run on one machine."""


def commands_of(page: str) -> str:
    """All that a page tells its reader to type."""
    return "".join(BLOCK.findall((ROOT / "docs" / page).read_text()))


def with_free_ports(text: str) -> tuple[str, dict[int, int]]:
    """*text* with ports that nobody has, and which stands for which."""
    with contextlib.ExitStack() as stack:
        sockets = {port: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for port in PORTS}
        ports = {port: each.getsockname()[1] for port, each in sockets.items()}
    for port, free in ports.items():
        text = re.sub(rf"\b{port}\b", str(free), text)
    return text, ports


def bin_folder(folder: Path) -> Path:
    """A folder with `redirector` and `python3` of the environment that the tests run in."""
    found = folder / "bin"
    found.mkdir()
    (found / "redirector").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m redirector "$@"\n')
    (found / "redirector").chmod(0o755)
    (found / "python3").symlink_to(sys.executable)
    return found


def run_page(text: str, folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """What the commands print, until the first that fails, which fails the test. What they started is ended."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    path = f"{bin_folder(folder)}:{environment['PATH']}"
    script = f"set -euo pipefail\n{text}"
    with (folder / "said").open("w") as said, (folder / "out").open("w") as printed:
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=home, env={**environment, "PATH": path}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=printed, stderr=said,
        )  # fmt: skip
    try:
        process.wait(PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    out = (folder / "out").read_text()
    assert process.returncode == 0, f"{out[-2000:]}\n{(folder / 'said').read_text()[-2000:]}"
    return out

"""A master, served by rsync's own daemon on loopback, and a mirror that is kept by the files of a kit."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redirector.kit.wishes import parse_wishes, render_file
from redirector.kit.write import render_kit
from tests.patience import PATIENCE_S, free_port

SHIM = """#!/bin/sh
# Stands before the real program: says that it was called, and at the call that a test chose ends the script and all
# that it started, as a power cut does: before the program, or while it runs.
n=$(($(wc -l <"$CALLS") + 1))
echo "$(basename "$0") $*" >>"$CALLS"
if [ "$n" = "$CUT_BEFORE" ]; then kill -9 0; fi
if [ "$n" = "$CUT_WITHIN" ]; then
    (sleep "$CUT_AFTER_S"; kill -9 0) &
    PATH=$REAL_PATH "$(basename "$0")" "$@"
    sleep 5
fi
if [ "$n" = "$FAIL_AT" ]; then exit "$FAIL_WITH"; fi
if [ "$n" = "$CHANGE_AT" ]; then sh "$CHANGE"; fi
PATH=$REAL_PATH
exec "$(basename "$0")" "$@"
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the script said, and which programs it called."""

    code: int
    said: str
    calls: tuple[str, ...]

    @property
    def requests(self) -> int:
        """Connections to the source."""
        return sum(call.startswith("rsync ") and "rsync://" in call for call in self.calls)


@dataclass(eq=False)
class Rig:
    """*master* is served as the module `m` on *port*; the kit's tree is *root*."""

    folder: Path
    port: int
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def master(self) -> Path:
        return self.folder / "master"

    @property
    def root(self) -> Path:
        return self.folder / "served" / "tree"

    @property
    def kit(self) -> Path:
        return self.folder / "kit"

    @property
    def source(self) -> str:
        return f"rsync://127.0.0.1:{self.port}/m/"

    def write_kit(self, **keys: str) -> None:
        """Writes the kit's files for this master; *keys* of `mirror.yml` beside the rig's own."""
        self.keys |= keys
        answers = {
            "name": "mirror.example.org",
            "source": self.source,
            "root": str(self.root),
            "state": str(self.folder / "state"),
            "logs": str(self.folder / "logs"),
            "grace_s": "0",
            "retry_s": "0",
            "retries": "2",
            **self.keys,
        }
        write_kit(self.kit, answers)

    async def sync(self, *arguments: str, env: Mapping[str, str] = {}) -> Ran:
        """Runs the script to its end, or until it is cut."""
        calls = self.folder / f"calls-{time.monotonic_ns()}"
        calls.touch()
        bin_folder = self.folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        for name in ("rsync", "xargs"):
            (bin_folder / name).write_text(SHIM)
            (bin_folder / name).chmod(0o755)
        path = os.environ["PATH"]
        unset = dict.fromkeys(("CUT_BEFORE", "CUT_WITHIN", "FAIL_AT", "CHANGE_AT"), "")
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", str(self.kit / "sync"), *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
            env={"PATH": f"{bin_folder}:{path}", "REAL_PATH": path, "CALLS": str(calls), **unset, **env},
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, said.decode(), tuple(calls.read_text().splitlines()))

    def names(self) -> set[str]:
        """Files in the tree."""
        return names_below(self.root)


def write_kit(kit: Path, answers: Mapping[str, str]) -> None:
    """The kit's files for *answers*, as `mirror init` writes them."""
    kit.mkdir(exist_ok=True)
    (kit / "mirror.yml").write_text(render_file(answers))
    for each in render_kit(parse_wishes((kit / "mirror.yml").read_bytes(), "mirror.yml"), str(kit)):
        (kit / each.name).write_text(each.text)
        (kit / each.name).chmod(each.mode)


def names_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


async def wait_for(port: int, address: str = "127.0.0.1") -> None:
    """Until somebody listens there."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            assert time.monotonic() < until, f"nobody listens on port {port}"
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


@asynccontextmanager
async def daemon(config: Path, port: int, *options: str) -> AsyncIterator[None]:
    """rsync's daemon with *config*, on loopback."""
    process = await asyncio.create_subprocess_exec(
        "rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1", f"--port={port}", *options,
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await wait_for(port)
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def make_rig(folder: Path, **keys: str) -> AsyncIterator[Rig]:
    """A rig with an empty master."""
    rig = Rig(folder, free_port(), dict(keys))
    rig.master.mkdir()
    owner = "uid = root\ngid = root\n" if os.getuid() == 0 else ""
    config = folder / "master.conf"
    config.write_text(f"use chroot = no\n{owner}[m]\npath = {rig.master}\nread only = yes\n")
    async with daemon(config, rig.port):
        rig.write_kit()
        yield rig

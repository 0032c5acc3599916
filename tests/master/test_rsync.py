"""A master behind an rsync daemon: the real one, and programs that behave badly in its place."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redirector.errors import MasterError
from redirector.master import rsync
from redirector.master.rsync import Rsync
from redirector.settings.masters import Master, Reading
from tests.master.rig import START, Rig, make_repomd
from tests.patience import PATIENCE_S, SOON_S, free_port

LINE = "-rw-r--r--             10 2026/11/28 06:00:00 a/b"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A folder behind a daemon of our own."""
    rig = Rig.make(tmp_path / "master")
    port = free_port()
    config = tmp_path / "rsyncd.conf"
    user = f"uid = {os.getuid()}\ngid = {os.getgid()}\n"
    config.write_text(
        f"use chroot = no\n{user}[linux]\npath = {rig.folder}\nmax connections = 20\nlock file = {tmp_path}/lock\n"
    )
    command = ["rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.01)
        rig.set(reading=Reading.RSYNC, where=f"rsync://127.0.0.1:{port}/linux/")
        yield rig
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE_S)


async def test_a_daemon_is_listed_and_its_indexes_are_read(rig: Rig) -> None:
    raw = make_repomd(START - 100)
    rig.write("43/os/repodata/repomd.xml", raw, time=START - 50)
    rig.write("43/os/Packages/é \\#x\n.rpm", b"12345", time=START - 200)
    rig.write("44/secret/deep/a")
    (rig.folder / "44/secret").chmod(0o750)
    contents = await rig.scan()
    (version,) = rig.directory("43/os/repodata").versions[b"repomd.xml"]
    assert version.detail.sha256 == hashlib.sha256(raw).hexdigest() and version.listed == START - 50
    (file,) = rig.directory("43/os/Packages").files
    assert (file.name, file.size_bytes, file.time) == ("é \\#x\n.rpm".encode(), 5, START - 200)
    assert {each.path for each in contents.directories if each.secret} == {b"44/secret", b"44/secret/deep"}
    await rig.scan()
    assert rig.last and rig.last.changed == 0
    second = make_repomd(START, "2")
    rig.write("43/os/repodata/repomd.xml", second)
    await rig.scan()
    assert (
        rig.directory("43/os/repodata").versions[b"repomd.xml"][0].detail.sha256 == hashlib.sha256(second).hexdigest()
    )


async def test_a_module_that_is_not_there_is_said(rig: Rig) -> None:
    rig.set(where=rig.master.where.replace("/linux/", "/other/"))
    with pytest.raises(MasterError, match=r"it refused, or is busy .*Unknown module"):
        await rig.scan()
    rig.set(where="rsync://127.0.0.1:9/linux/")
    with pytest.raises(MasterError, match=r"no connection .*refused"):
        await rig.scan()


def make_program(folder: Path, text: str) -> str:
    """A program in Python that stands where rsync does."""
    program = folder / "rsync"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{text}\n")
    program.chmod(0o755)
    return str(program)


async def read(folder: Path, text: str, wall_clock_s: float = 20.0) -> list[bytes]:
    master = Master("c", "pub/linux", Reading.RSYNC, "rsync://master.example.org/linux/")
    reader = Rsync(master, make_program(folder, text), wall_clock_s)
    return [directory.path for directory in (await reader.read(None, lambda entries: None)).directories]


async def test_the_program_gets_no_shell_no_input_and_little_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSYNC_PASSWORD", "secret")
    monkeypatch.setenv("RSYNC_PROXY", "proxy:80")
    found = tmp_path / "found"
    text = f"open({str(found)!r}, 'w').write(repr((sys.argv[1:], dict(os.environ), sys.stdin.read())))\nprint({LINE!r})"
    assert await read(tmp_path, text) == [b"", b"a"]
    arguments, environment, given = eval(found.read_text())
    assert arguments[-2:] == ["--", "rsync://master.example.org/linux/"]
    assert {"--no-motd", "--no-h", "--list-only"} < set(arguments)
    environment.pop("LC_CTYPE", None)  # Python's own
    assert environment == {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "USER": "nobody", "HOME": ""}
    assert given == ""


@pytest.mark.parametrize("status", [0, 24])
async def test_a_complete_list_is_taken(tmp_path: Path, status: int) -> None:
    assert await read(tmp_path, f"print({LINE!r}, flush=True); os._exit({status})") == [b"", b"a"]


@pytest.mark.parametrize("status", [1, 2, 4, 5, 10, 12, 22, 23, 30, 35, 99])
async def test_any_other_end_is_none(tmp_path: Path, status: int) -> None:
    text = f"print({LINE!r}, flush=True); print('why\\x1b[31m it', file=sys.stderr, flush=True); os._exit({status})"
    with pytest.raises(MasterError) as caught:
        await read(tmp_path, text)
    assert "why\\x1b[31m it" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print('-rw-r--r-- 10 2026/11/28 06:00:00 ../b')", "leads elsewhere"),
        ("print('-rw-r--r-- 10 2026/11/28 06:00:00 /etc/passwd')", "leads elsewhere"),
        ("print('-rw-r--r-- 10 2026/11/28 06:00:00 a/\\\\#056\\\\#056/b')", "leads elsewhere"),
        ("print('Welcome to our mirror')", "no line of a listing"),
        ("sys.stdout.write('x' * 10_000_000); sys.stdout.flush(); time.sleep(60)", "a line longer"),
        ("print(end='drwxr-x--- 10 2026/11/28 06:00:00 .\\n')", "the world cannot read its top"),
        (f"sys.stdout.write({LINE!r})", "the list was cut"),
    ],
)  # fmt: skip
async def test_a_hostile_list_is_none(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(MasterError, match=reason):
        await read(tmp_path, text)


async def test_who_drips_or_floods_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = tmp_path / "pids"
    pids.touch()  # on a busy machine its time may be over before it has begun
    begin = f"open({str(pids)!r}, 'a').write(str(os.getpid()) + ' '); child = os.fork()"
    drip = f"{begin}\nwhile True: print('x', end='', flush=True); time.sleep(0.01)"
    began = time.monotonic()
    with pytest.raises(MasterError, match=r"no end of the list in 2 s|a line longer"):
        await read(tmp_path, drip, wall_clock_s=2)
    monkeypatch.setattr("redirector.master.gathering.LIMIT_ENTRIES", 100_000)
    with pytest.raises(MasterError, match="more than 100,000 entries"):
        await read(tmp_path, f"while True: print({LINE!r})")
    assert time.monotonic() - began < 2 * SOON_S
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


async def test_a_program_that_eats_memory_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsync, "MEMORY_BYTES", 256 << 20)
    text = f"time.sleep(0.3)\ntry: x = bytearray(400 << 20)\nexcept MemoryError: os._exit(22)\nprint({LINE!r})"
    with pytest.raises(MasterError, match="more memory than it may have"):
        await read(tmp_path, text)


async def test_without_the_program_it_is_said() -> None:
    reader = Rsync(Master("c", "t", Reading.RSYNC, "rsync://master.example.org/linux/"), "/nowhere/rsync")
    with pytest.raises(MasterError, match="install rsync"):
        await reader.read(None, lambda entries: None)

"""The tools that check what lies in `deploy/`, and how their programs are started from it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
LIMIT_S = 180
PRIVATE = "127.0.0.5"
"""The client for whom the private mirror of `write_tree` is."""

_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def tool(name: str) -> str:
    """Where the program is. Without it a test is left out, but never under CI, which installs all of them."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed; .ci/packages names what is needed")
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str | Path, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end; both of its streams are in `stdout`."""
    done = subprocess.run(
        [tool(str(command[0])), *map(str, command[1:])],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    print(*command, done.stdout, sep="\n")
    assert not check or done.returncode == 0, done.stdout
    return done


def until(reached: Callable[[], bool], what: str) -> None:
    """Wait for what another program does and nobody tells."""
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < deadline, f"{what}: not in {LIMIT_S} s"
        time.sleep(0.02)


def replace(text: str, *changes: tuple[str, str]) -> str:
    """*text* with each (old, new) replaced; each old must be there, so that a test cannot pass by the file's change."""
    for old, new in changes:
        assert old in text, f"{old!r} is not there any more"
        text = text.replace(old, new)
    return text


_TREE = {
    "config.yml": """\
config_version: 3
allowed_outdate: 12h
mirrors_dir: mirrors.d
versions: ["9"]
arches: {"9": [x86_64]}
required_protocols: [https, http]
repos:
  - {name: baseos, path: BaseOS/$basearch/os}
""",
    **{
        f"mirrors.d/{name}.example.org.yml": f"""\
name: {name}.example.org
address: {{https: "https://{name}.example.org/pub"}}
update_frequency: 3h
sponsor: Example
sponsor_url: https://{name}.example.org
geolocation: {{country: {country}}}
"""
        for name, country in (("a", "DE"), ("b", "US"), ("c", "JP"), ("d", "BR"), ("e", "ZA"), ("f", "AU"))
    },
    "mirrors.d/private.example.org.yml": f"""\
name: private.example.org
address: {{https: "https://private.example.org/pub"}}
update_frequency: 3h
sponsor: Example
sponsor_url: https://private.example.org
private: true
subnets: [{PRIVATE}/32]
""",
}


def write_tree(folder: Path) -> Path:
    """A source of six public mirrors and a private one, in *folder*."""
    (folder / "mirrors.d").mkdir()
    for name, text in _TREE.items():
        (folder / name).write_text(text)
    return folder


@contextmanager
def daemon(pid_file: Path, *command: str | Path) -> Iterator[None]:
    """A program that goes into the background once it listens, until the block ends."""
    run(*command)
    descriptor = os.pidfd_open(int(pid_file.read_text()))
    try:
        yield
    finally:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        ended, _, _ = select.select([descriptor], [], [], LIMIT_S)
        os.close(descriptor)
        assert ended, f"{command[0]} did not end"

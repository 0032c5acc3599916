"""Build what is given away, and try it: `python -m tests.dist [FOLDER]`, by default `build/dist`.

The source distribution and the wheel are built, each is installed into a fresh environment, without any extra, and
serves the sample that it brings, with both parts in C. The source distribution must hold every file of the clone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
PINNED = os.environ | {"PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_BUILD_CONSTRAINT": str(CONSTRAINTS)}
"""So that what builds a package is pinned like what it needs; the second name is that of newer versions of pip."""

PARTS_IN_C = ("redirector.answer._fast", "redirector.server.worker._plain")

QUIET = ("--quiet", "--disable-pip-version-check")
TARGETS = {
    "/mirrorlist/9/baseos": b"/BaseOS/$basearch/os/\n",
    "/metalink?repo=baseos-9&arch=x86_64": b"</metalink>",
    "/": b"<h2>Mirrors by country</h2>",
    "/isos/x86_64/9": b"<h2>Nearest to you</h2>",
}
"""What is asked for -> what the answer holds."""

START_S = 180
"""How long the server may take in all."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Standard output; whoever fails ends everything, with what it wrote."""
    ended = subprocess.run(command, cwd=cwd, env=PINNED, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{ended.stdout}{ended.stderr}{command[0]} ended with {ended.returncode}")
    return ended.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel in *folder*; the wheel is made from the former."""
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", folder, ".")
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def tracked() -> set[str]:
    """Names of the files that git keeps; empty where this is no clone."""
    listed = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True)
    return set(filter(None, listed.stdout.split("\0")))


def find_missing(source: Path, wheel: Path) -> list[str]:
    """Files of the clone that the distributions lack: the first must hold all, the second what is run."""
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as packed:
        installed = set(packed.namelist())
    files = tracked()
    ran = {name for name in files if name.startswith("redirector/") and not name.endswith((".c", ".h"))}
    return [f"{source.name}: {name}" for name in sorted(files - held)] + [
        f"{wheel.name}: {name}" for name in sorted(ran - installed)
    ]


@contextmanager
def serving(python: Path, sample: Path) -> Iterator[str]:
    """The address of a server of the *sample*; it must end with 0 when it is told to."""
    command = (python, "-m", "redirector", "serve", "--config", sample, "--listen", "127.0.0.1:0", "--admin", "none")
    server = subprocess.Popen((*command, "--workers", "1"), cwd=sample.parent, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    late = threading.Timer(START_S, server.kill)
    late.start()
    try:
        lines = iter(server.stderr.readline, "")
        ready = next((line for line in lines if "redirector: ready on " in line), "")
        address = re.search(r"http://[0-9.]+:[0-9]+", ready)
        assert address is not None, f"it ended with {server.wait(START_S)}"
        yield address[0]
        server.send_signal(signal.SIGTERM)
        assert server.wait(START_S) == 0
    finally:
        late.cancel()
        server.kill()
        server.wait()


def try_out(package: Path, folder: Path) -> None:
    """Install *package* into a fresh environment in *folder*, and serve the sample that it brings."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", *QUIET, "--constraint", CONSTRAINTS, package, cwd=folder)
    for part in PARTS_IN_C:
        where = run(
            python, "-c", f"from importlib import import_module as get; print(get({part!r}).__file__)", cwd=folder
        )
        assert Path(where.strip()).is_relative_to(folder), f"{where.strip()} is not what was installed"
    run(python, "-m", "redirector", "sample", folder / "sample", cwd=folder)
    with serving(python, folder / "sample" / "redirector.yml") as address:
        for target, expected in TARGETS.items():
            with urlopen(address + target, timeout=10) as answer:
                assert expected in answer.read(), target


def main() -> int:
    source, wheel = build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "dist").resolve())
    if missing := find_missing(source, wheel):
        print(*missing, sep="\n", file=sys.stderr)
        return 1
    with TemporaryDirectory() as made:
        folder = Path(made)
        for package in (source, wheel):
            try_out(package, folder / package.suffix)
            print(f"{package}: installed, serves the sample, with its parts in C")
    return 0


if __name__ == "__main__":
    sys.exit(main())

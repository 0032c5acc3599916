"""What a mirror's synchronization costs where nothing changed: `python -m benchmarks.mirror_sync [ENTRIES]`; part of
`make bench`.

The kit's script runs against rsync's own daemon on loopback, which has a file list of a large distribution's size. The
daemon's log says how often it was asked.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from redirector.kit.wishes import parse_wishes, render_file
from redirector.kit.write import render_kit

ENTRIES = 5_000_000
"""Files and folders of Fedora's master, archive and all."""

LIST = "fullfiletimelist-example"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. *at_most*: seconds, and requests of the source."""

    what: str
    seconds: float
    requests: int
    at_most: tuple[float, int]


def make_source(folder: Path, entries: int) -> None:
    """A source whose list has *entries* lines."""
    folder.mkdir()
    (folder / "TIME").write_text("1794000000\n")
    with (folder / LIST).open("w") as file:
        file.write("[Version]\n2\n\n[Files]\n")
        for number in range(entries):
            file.write(f"1794000000\tf\t{number}\t9/os/Packages/{number % 36:x}/package-{number}-1.x86_64.rpm\n")
        file.write("\n[Checksums SHA1]\n\n[End]\n")


@contextmanager
def daemon(folder: Path, source: Path) -> Iterator[tuple[int, Path]]:
    """Port and log of a daemon that serves *source* as `m`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "rsyncd.log"
    owner = "uid = root\ngid = root\n" if os.getuid() == 0 else ""
    (folder / "rsyncd.conf").write_text(f"use chroot = no\n{owner}log file = {log}\n[m]\npath = {source}\n")
    command = ["rsync", "--daemon", "--no-detach", f"--config={folder}/rsyncd.conf", f"--port={port}"]
    process = subprocess.Popen([*command, "--address=127.0.0.1"], stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            sleep(0.05)
        yield port, log
    finally:
        process.terminate()
        process.wait()


def write_kit(folder: Path, port: int) -> Path:
    """The script of a kit; what it remembers says that the list was synchronized."""
    answers = {
        "name": "mirror.example.org", "source": f"rsync://127.0.0.1:{port}/m/", "root": str(folder / "tree"),
        "state": str(folder / "state"), "logs": str(folder), "file_list": LIST, "grace_s": "0", "retries": "1",
    }  # fmt: skip
    kit = folder / "kit"
    kit.mkdir()
    for each in render_kit(parse_wishes(render_file(answers).encode(), "mirror.yml"), str(kit)):
        (kit / each.name).write_text(each.text)
        (kit / each.name).chmod(each.mode)
    state = folder / "state" / "tree"
    state.mkdir(parents=True)
    (folder / "tree").mkdir()
    (folder / "tree" / "TIME").write_text("1793999999\n")
    (state / "done").touch()
    (state / "list").hardlink_to(folder / "source" / LIST)
    (state / "incoming").mkdir()
    # As the run before left it: rsync compares times and sizes, and fetches nothing.
    subprocess.run(["cp", "-p", folder / "source" / LIST, state / "incoming" / LIST], check=True)
    return kit / "sync"


def requests_in(log: Path) -> int:
    """How often the daemon was asked for something."""
    return log.read_text().count(" rsync on m") if log.exists() else 0


def measure_all(entries: int) -> Iterator[Row]:
    """Each row as soon as it is measured."""
    with TemporaryDirectory(prefix="redirector-bench-") as name:
        folder = Path(name)
        make_source(folder / "source", entries)
        with daemon(folder, folder / "source") as (port, log):
            script = write_kit(folder, port)
            seconds, said = run(script)
            if "unchanged" not in said:
                raise SystemExit(f"the list was taken for a new one: {said}")
            yield Row(f"an unchanged list of {entries:,} entries", seconds, requests_in(log), (3.0, 1))
            before = requests_in(log)
            with (folder / "state" / "tree" / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                seconds, said = run(script)
            if "under way" not in said:
                raise SystemExit(f"a second start went on: {said}")
            yield Row("a second start", seconds, requests_in(log) - before, (1.0, 0))


def run(script: Path) -> tuple[float, str]:
    """Seconds, and what it said. Raises SystemExit where it did not end with 0."""
    start = perf_counter()
    ended = subprocess.run([script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    seconds = perf_counter() - start
    if ended.returncode:
        raise SystemExit(f"{script} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return seconds, ended.stdout


def render(rows: list[Row]) -> str:
    """A table in Markdown."""
    lines = ["| synchronization of a mirror | seconds | at most | requests | at most |", "|---|---|---|---|---|"]
    for row in rows:
        most_s, most_requests = row.at_most
        verdict = " **short**" if row.seconds > most_s or row.requests > most_requests else ""
        lines.append(f"| {row.what} | {row.seconds:.2f}{verdict} | {most_s:g} | {row.requests} | {most_requests} |")
    return "\n".join([*lines, ""])


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    print(render(list(measure_all(entries))))


if __name__ == "__main__":
    main()

"""What a scan of a large file list costs: `python -m benchmarks.scan_list [ENTRIES]`; part of `make bench`.

Each scan runs in a process of its own, as an operator's does; what it found is checked before the figures are printed.
Seconds are the processor's, so that a neighbour's work is not ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

ENTRIES = 5_000_000
PER_DIRECTORY = 20
SCAN_S, SCAN_MB, UNCHANGED_S = 60, 400, 2

_CONFIG = "masters: [{category: Example, top: pub/linux, list: list}]\n"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one scan."""

    what: str
    seconds: float
    peak_mb: float
    most_seconds: float
    most_mb: float

    @property
    def is_met(self) -> bool:
        return self.seconds <= self.most_seconds and self.peak_mb <= self.most_mb


def make_list(path: Path, entries: int, push: int = 0) -> None:
    """Write a list; *push* is how many seconds a push to every fortieth directory came later."""
    random = Random(1)
    with path.open("wb") as file:
        file.write(b"[Version]\n2\n\n[Files]\n")
        folder = b""
        for number in range(entries):
            time = 1_700_000_000 + random.randrange(10**8)
            directory, rest = divmod(number, PER_DIRECTORY)
            if rest == 0:
                folder = b"linux/releases/%d/Everything/x86_64/os/Packages/%d" % (directory % 40, directory)
                file.write(b"%d\td\t4096\t%s\n" % (time, folder))
            else:
                time += push if directory % 40 == 0 else 0
                name = b"package-name-%d-1.2.3-4.fc43.x86_64.rpm" % number
                file.write(b"%d\tf\t%d\t%s/%s\n" % (time, number, folder, name))
        file.write(b"\n[End]\n")


def measure_all(entries: int, folder: Path) -> Iterator[Cost]:
    """A first scan, one without a change, one after a push."""
    directories = -(-entries // PER_DIRECTORY)
    (folder / "redirector.yml").write_text(_CONFIG)
    make_list(folder / "list", entries)
    yield _measure("first scan", folder, {"outcome": "changed", "files": entries - directories}, SCAN_S, SCAN_MB)
    yield _measure("unchanged", folder, {"outcome": "unchanged", "changed": 0}, UNCHANGED_S, SCAN_MB)
    make_list(folder / "list", entries, push=60)
    changed = {"outcome": "changed", "changed": -(-directories // 40), "push": 2}
    yield _measure("after a push", folder, changed, SCAN_S, SCAN_MB)


def _measure(what: str, folder: Path, expected: dict[str, object], most_seconds: float, most_mb: float) -> Cost:
    command = [sys.executable, "-m", "redirector", "scan", "--config", str(folder / "redirector.yml"), "--json"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    (row,) = json.loads((folder / "out").read_bytes())["masters"]
    found = {key: row[key] for key in expected}
    if process.returncode or found != expected:
        raise SystemExit(f"{what}: {found} instead of {expected}")
    return Cost(what, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, most_seconds, most_mb)


def render(costs: list[Cost], entries: int) -> str:
    """A table in Markdown."""
    lines = [f"| a list of {entries:,} entries | seconds | at most | MB | at most | |", "|---|---|---|---|---|---|"]
    for cost in costs:
        verdict = "met" if cost.is_met else "**not met**"
        numbers = f"{cost.seconds:.1f} | {cost.most_seconds:g} | {cost.peak_mb:.0f} | {cost.most_mb:g}"
        lines.append(f"| {cost.what} | {numbers} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    with TemporaryDirectory(prefix="redirector-scan-") as folder:
        print(render(list(measure_all(entries, Path(folder))), entries))


if __name__ == "__main__":
    main()

"""Latency at a fixed rate, as a crowd feels it: requests fall due whether or not earlier ones were answered.

    python -m benchmarks.open_loop --rate 20000 --seconds 10 127.0.0.1:8080 FILE

Gaps between requests are exponential. A request's time runs from when it fell due, not from when a connection was free
to send it, so a server that stalls is charged for everybody who waited (no coordinated omission). What asks is a small
program in C, `open_loop.c`, compiled when it is needed. It never sleeps: give it a core of its own. What it adds itself
is charged to the server too, and told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_SOURCE = Path(__file__).with_suffix(".c")
_PROGRAM = ROOT / "build" / "benchmarks" / "open_loop"

_GRACE_S = 60.0
"""For reading the traffic file, and for answers that are late."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """*unanswered* requests fell due and got no whole answer; *bad* ones got a status other than 200.

    own_us    what the load program itself took for a request, system calls included
    busy      for what share of the time it had something to do; near 1 it is the load that is slow
    had_core  for what share of the time it had a core; the rest went to others
    """

    rate: float
    answered: int
    unanswered: int
    bad: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    own_us: float
    busy: float
    had_core: float


def read_requests(path: Path) -> list[bytes]:
    """The requests of a traffic file."""
    return [head + b"\r\n\r\n" for head in path.read_bytes().split(b"\r\n\r\n")[:-1]]


def measure(
    address: str, traffic: Path, *, rate: float, seconds: float, connections: int = 64, before: Sequence[str] = ()
) -> Latencies:
    """Offer *rate* requests a second of the file *traffic* to `HOST:PORT` for *seconds*; from the start when it ends.

    before  what the program is to be run by, `taskset` say
    raises  CalledProcessError when there is no compiler, or nobody accepts connections
    """
    host, _, port = address.rpartition(":")
    command = [*before, str(_build()), host.strip("[]"), port, str(traffic), str(rate), str(seconds), str(connections)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds + _GRACE_S, check=True)
    return Latencies(**json.loads(ran.stdout))


def _build() -> Path:
    """The program, compiled anew when its source is newer."""
    if not _PROGRAM.exists() or _PROGRAM.stat().st_mtime < _SOURCE.stat().st_mtime:
        _PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        made = _PROGRAM.with_name(f"{_PROGRAM.name}-{os.getpid()}")  # somebody else may be building it too
        flags = ["-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", made, _SOURCE, "-lm"], check=True)
        made.replace(_PROGRAM)
    return _PROGRAM


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure latency at a fixed rate.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("traffic", metavar="FILE", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    found = measure(
        options.address, options.traffic, rate=options.rate, seconds=options.seconds, connections=options.connections
    )
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()

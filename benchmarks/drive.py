"""The two ways to load a server: as fast as it answers (wrk), and at a fixed rate (`open_loop`)."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.open_loop import Latencies, measure
from benchmarks.processes import pinned

_SCRIPT = Path(__file__).with_name("wrk.lua")

_GRACE_S = 60.0
"""For reading the traffic file and closing connections."""


class BadAnswersError(Exception):
    """A number would mean nothing: answers came with a wrong status, or connections broke."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a closed loop reached; *size_bytes* is the mean size of an answer with its head."""

    rate: float
    requests: int
    size_bytes: float
    p50_ms: float
    p99_ms: float


def closed_loop(
    address: str, traffic: Path, *, seconds: float, cores: Sequence[int], connections: int = 64
) -> Throughput:
    """As many requests of the file *traffic* as the server at *address* (`HOST:PORT`) answers.

    raises  BadAnswersError if any answer was not 200, or any connection broke
    """
    command = _wrk(address, traffic, seconds, cores, connections)
    printed = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=True).stdout
    return _read_result(address, printed)


@contextmanager
def closed_loop_meanwhile(address: str, traffic: Path, cores: Sequence[int], longest_s: float) -> Iterator[None]:
    """Likewise, while something else is done."""
    command = _wrk(address, traffic, longest_s, cores, connections=64)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            printed, _ = process.communicate(timeout=_GRACE_S)
        _read_result(address, printed)


def _wrk(address: str, traffic: Path, seconds: float, cores: Sequence[int], connections: int) -> list[str]:
    threads = min(len(cores), connections)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    return pinned(cores, [*command, "-s", str(_SCRIPT), f"http://{address}/", "--", str(traffic)])


def _read_result(address: str, printed: str) -> Throughput:
    said = json.loads(printed.splitlines()[-1])
    if said["bad_status"] or said["broken"] or said["timeouts"] or not said["requests"]:
        raise BadAnswersError(f"{address}: {said}")
    return Throughput(
        rate=round(said["requests"] / said["seconds"], 1),
        requests=said["requests"],
        size_bytes=round(said["bytes"] / said["requests"], 1),
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
    )


def open_loop(
    address: str, traffic: Path, *, rate: float, seconds: float, cores: Sequence[int], connections: int = 64
) -> Latencies:
    """Latencies at *rate* requests a second, in a process of its own on one of *cores*."""
    found = measure(
        address, traffic, rate=rate, seconds=seconds, connections=connections, before=pinned(cores[-1:], [])
    )
    if found.bad:
        raise BadAnswersError(f"{address}: {found.bad} answers were not 200")
    return found

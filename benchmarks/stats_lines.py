"""How many log lines one core counts a second: `python -m benchmarks.stats_lines [LINES]`; part of `make bench`.

Made-up lines of a busy day at Fedora's mix: one in seven says `countme`, three in a hundred were refused. What is
counted is checked before the figures are printed; seconds are the processor's, so that a neighbour's work is not ours.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import process_time

from redirector.stats.lines import Reading
from redirector.stats.logs import open_log

LINES = 1_000_000
DAY_LINES = 30_000_000
"""A day of Fedora's."""

DAY_S = 300
"""How long that may take, on one core."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement. *at_least*: million lines a second."""

    what: str
    form: str
    at_least: float


CASES = (
    Case("mirrormanager: requests", "mirrormanager", 0.7),
    Case("combined: requests and countme in one pass", "combined", 0.15),
    Case("json: requests and countme in one pass", "json", 0.15),
)

_REPOSITORIES = [f"{name}-{number}" for name in ("fedora", "updates-released-f", "epel") for number in range(38, 44)]
_ARCHES = ["x86_64"] * 8 + ["aarch64", "ppc64le"]
_AGENTS = [
    f"libdnf (Fedora Linux {number}; {kind}; Linux.x86_64)" for number in range(38, 44) for kind in ("kde", "server")
]
_AGENTS += ["libdnf (AlmaLinux 9.4; generic; Linux.x86_64)", "dnf/4.14", "curl/8.5", "-"]
_COUNTRIES = "DE US FR CN JP BR IN GB RU CZ".split()


@dataclass(frozen=True, slots=True)
class Made:
    """What lines were made: how many of them are to be counted, by what they say."""

    requests: int
    systems: int


def make_log(path: Path, form: str, lines: int) -> Made:
    """Write a day of *lines* lines."""
    random = Random(1)
    requests = systems = 0
    with path.open("w") as file:
        for number in range(lines):
            second = number * 86_400 // lines
            clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            address = (
                f"{random.randrange(1, 224)}.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"
            )
            repo, arch = random.choice(_REPOSITORIES), random.choice(_ARCHES)
            country, agent, size = random.choice(_COUNTRIES), random.choice(_AGENTS), random.randrange(5000, 30_000)
            target = f"/metalink?repo={repo}&arch={arch}"
            said = random.random() < 1 / 7
            target += f"&countme={random.randrange(1, 5)}" if said else ""
            status = 200 if form == "mirrormanager" or random.random() < 0.97 else 404
            requests += status == 200
            systems += status == 200 and said and form != "mirrormanager"
            match form:
                case "mirrormanager":
                    file.write(f"IP: {address}; DATE: 2026-11-28; COUNTRY: {country}; REPO: {repo}; ARCH: {arch}\n")
                case "combined":
                    request = f"GET {target} HTTP/2.0"
                    file.write(f'{address} - - [28/Nov/2026:{clock} +0000] "{request}" {status} {size} "-" "{agent}"\n')
                case _:
                    file.write(_json_line(f"2026-11-28T{clock}Z", address, target, status, size, country, agent))
    return Made(requests, systems)


def _json_line(time: str, client: str, target: str, status: int, size: int, country: str, agent: str) -> str:
    value = {
        "time": time,
        "client": client,
        "method": "GET",
        "target": target,
        "status": status,
        "bytes": size,
        "duration_s": 0.000021,
        "answer": "metalink",
        "tier": "country",
        "host": "mirror.example.org",
        "country": country,
        "relaxed": [],
        "referer": None,
        "agent": agent,
    }
    return json.dumps(value) + "\n"


def measure(form: str, folder: Path, lines: int) -> float:
    """Million lines a second that one core counts."""
    path = folder / f"{form}.log"
    made = make_log(path, form, lines)
    start = process_time()
    with open_log(str(path)) as log:
        counts = log.read(0, Reading()).counts
    seconds = process_time() - start
    found = Made(counts.access.total(), counts.countme.total())
    if found != made or counts.unread:
        raise RuntimeError(f"{form}: {found} counted, {made} made, {counts.unread} unread")
    path.unlink()
    return lines / seconds / 1e6


def measure_all(lines: int, tell: Callable[[str], None]) -> Iterator[tuple[Case, float]]:
    """Each case as soon as it is measured."""
    with TemporaryDirectory(prefix="redirector-bench-") as folder:
        for case in CASES:
            tell(case.what)
            yield case, measure(case.form, Path(folder), lines)


def render(measured: list[tuple[Case, float]]) -> str:
    """A table in Markdown."""
    rows = ["| log lines | million/s, one core | at least | 30 million |", "|---|---|---|---|"]
    for case, rate in measured:
        day_s = DAY_LINES / rate / 1e6
        verdict = "" if rate >= case.at_least and day_s < DAY_S else " **short**"
        rows.append(f"| {case.what} | {rate:.2f}{verdict} | {case.at_least:g} | {day_s:.0f} s |")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return "\n".join([*rows, "", f"Memory at most: {peak_mb:.0f} MB.", ""])


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    print(render(list(measure_all(lines, lambda text: print(text, file=sys.stderr)))))


if __name__ == "__main__":
    main()

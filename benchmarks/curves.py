"""How the numbers of the table change with the size of the inputs, with workers and with connections."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.drive import open_loop
from benchmarks.processes import Cores, run_redirector
from benchmarks.scale import Scale
from benchmarks.setting import METALINK, MIRRORLIST, Inputs, Setting, judge, make_inputs, sample
from benchmarks.table import resident_mb

Point = dict[str, float]
"""One column a name; the first is the x axis."""

_DIRECTORIES = (1_000, 10_000, 50_000, 200_000, 500_000)
_HOSTS = (50, 200, 700, 2_000, 5_000)
_AS_LINES = (0, 100_000, 1_000_000, 3_000_000)
_CONNECTIONS = (1, 8, 64, 512, 4_096, 10_000)

_SPARE_DESCRIPTORS = 200
"""For what a load driver has open beside its connections."""


def draw_curves(setting: Setting) -> Iterator[tuple[str, list[Point]]]:
    """Each curve by the name of its x axis, as soon as it is measured."""
    scale = setting.scale
    by_directories = [
        replace(scale, directories=count, repositories=min(scale.repositories, count // 3)) for count in _DIRECTORIES
    ]
    yield "directories", [_point(setting, "directories", size, size.directories) for size in by_directories]
    by_hosts = [replace(scale, hosts=count, urls=count * 9 // 2, netblocks=count * 3) for count in _HOSTS]
    yield "hosts", [_point(setting, "hosts", size, size.hosts) for size in by_hosts]
    by_lines = [replace(scale, as_lines=count) for count in _AS_LINES]
    yield "AS lines", [_point(setting, "AS lines", size, size.as_lines) for size in by_lines]
    inputs = make_inputs(setting, "curves", scale)
    yield "connections", list(_by_connections(setting, inputs))
    yield "workers", list(_by_workers(setting, inputs))


def _point(setting: Setting, axis: str, scale: Scale, position: int) -> Point:
    inputs = make_inputs(setting, "curves", scale)
    with run_redirector(inputs.options(setting), setting.cores.server) as server:
        judge(setting, inputs, server)
        mirrorlist = sample(setting, server, inputs.traffic[MIRRORLIST])
        metalink = sample(setting, server, inputs.traffic[METALINK])
        latencies = open_loop(
            server.address,
            inputs.traffic[MIRRORLIST],
            rate=mirrorlist.rate / 2,
            seconds=setting.seconds,
            cores=setting.cores.load,
        )
        return {
            axis: position,
            "mirrorlists/s": mirrorlist.rate,
            "metalinks/s": metalink.rate,
            "p99 ms": latencies.p99_ms,
            "resident MB": resident_mb(server),
            "start s": round(server.started_s, 2),
        }


def _by_connections(setting: Setting, inputs: Inputs) -> Iterator[Point]:
    """As many as this machine lets one process open, at most."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_DESCRIPTORS
    with run_redirector(inputs.options(setting), setting.cores.server) as server:
        for connections in _CONNECTIONS:
            if connections <= allowed:
                taken = sample(setting, server, inputs.traffic[MIRRORLIST], connections)
                yield {"connections": connections, "mirrorlists/s": taken.rate, "p99 ms": taken.throughput.p99_ms}


def _by_workers(setting: Setting, inputs: Inputs) -> Iterator[Point]:
    """Answers a second that the CPU time of one answer allows; the load, which shares the cores, is counted out."""
    every = setting.cores.server + setting.cores.load
    for workers in range(1, len(every) + 1):
        spread = replace(setting, cores=Cores(every[:workers], every))
        options = [*inputs.options(setting), "--workers", str(workers)]
        with run_redirector(options, spread.cores.server) as server:
            rates = [
                workers / sample(spread, server, inputs.traffic[kind]).cpu_us * 1e6 for kind in (MIRRORLIST, METALINK)
            ]
        yield {"workers": workers, "mirrorlists/s": round(rates[0]), "metalinks/s": round(rates[1])}

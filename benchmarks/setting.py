"""What every measurement needs: made-up inputs in a temporary folder, cores, time to spend, and one way to sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from benchmarks.drive import Throughput, closed_loop
from benchmarks.make_snapshot import AS_TABLE, CONTINENTS, SNAPSHOT, write_snapshot
from benchmarks.open_loop import read_requests
from benchmarks.processes import Cores, Server, busy_seconds, family
from benchmarks.scale import SCALES, Scale
from benchmarks.traffic import CLIENTS, load_crowd, mirrormanager_targets, write_traffic
from benchmarks.verify import SnapshotJudge, verify
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file

MIRRORLIST = "mirrorlist"
METALINK = "metalink"
CLOSE = "close"
"""Kinds of traffic; the last asks for mirrorlists, one a connection."""

_VERIFIED = 1_000
"""Answers of each kind that are judged before anything is timed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how long to measure.

    folder   for inputs; somebody else empties it
    seconds  of one sample
    rounds   how often servers take turns; ratios are medians over them
    soak     answers of each kind that a worker has given before its private memory is read
    """

    folder: Path
    geoip: Path
    cores: Cores
    seconds: float
    rounds: int
    scale: Scale = SCALES["fedora"]
    clients: int = CLIENTS
    soak: int = 1_000_000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a server reads, and the traffic files of what it is asked, by kind."""

    snapshot: Path
    as_table: Path
    continents: Path
    traffic: Mapping[str, Path]

    def options(self, setting: Setting) -> list[str]:
        """Flags of `redirector serve` for one worker; an empty AS table is left out, since it would be refused."""
        asn = ["--asn", str(self.as_table)] if self.as_table.stat().st_size else []
        return [
            *("--source", str(self.snapshot), "--continents", str(self.continents)),
            *("--geoip", str(setting.geoip), *asn, "--workers", "1"),
        ]


@dataclass(frozen=True, slots=True)
class Sample:
    """One closed loop.

    rate      answers a second
    cpu_us    CPU time of the whole server for one answer, in microseconds
    strangers share of the server's cores that went to processes of nobody here: above a few percent, measure again
    """

    rate: float
    cpu_us: float
    strangers: float
    throughput: Throughput


def make_inputs(setting: Setting, name: str, scale: Scale, kinds: tuple[str, ...] = (MIRRORLIST, METALINK)) -> Inputs:
    """A snapshot of *scale* in a folder *name* of its own, with traffic of each kind."""
    folder = setting.folder / name
    write_snapshot(folder, scale, setting.seed)
    return make_traffic(setting, folder, kinds)


def make_traffic(setting: Setting, made: Path, kinds: tuple[str, ...] = (MIRRORLIST, METALINK)) -> Inputs:
    """Traffic of each kind for what `make_snapshot` wrote into the folder *made*."""
    catalog = load_snapshot_file(str(made / SNAPSHOT))
    clients = load_crowd(catalog, made / AS_TABLE).draw(Random(setting.seed), setting.clients)
    traffic = {}
    for kind in kinds:
        traffic[kind] = setting.folder / f"{made.name}-{kind}"
        answer = METALINK if kind == METALINK else MIRRORLIST
        write_traffic(traffic[kind], mirrormanager_targets(catalog, answer), clients, close=kind == CLOSE)
    return Inputs(made / SNAPSHOT, made / AS_TABLE, made / CONTINENTS, traffic)


def judge(setting: Setting, inputs: Inputs, server: Server) -> dict[str, float]:
    """Mean body size by kind, after a thousand answers of each were read; raises BadAnswersError on a wrong one."""
    judge_answer = SnapshotJudge(load_snapshot_file(str(inputs.snapshot)), setting.geoip)
    return {
        kind: verify(server.address, read_requests(traffic)[:_VERIFIED], judge_answer)
        for kind, traffic in inputs.traffic.items()
    }


def sample(setting: Setting, server: Server, traffic: Path, connections: int = 64) -> Sample:
    """One closed loop on *server*."""
    watch = Watch(setting, server)
    throughput = closed_loop(
        server.address, traffic, seconds=setting.seconds, cores=setting.cores.load, connections=connections
    )
    cpu_s, strangers = watch.read()
    return Sample(throughput.rate, round(cpu_s / throughput.requests * 1e6, 2), strangers, throughput)


class Watch:
    """Looks at the clock, at a server and at its cores, from now on."""

    def __init__(self, setting: Setting, server: Server) -> None:
        self._cores = setting.cores.server
        self._server = server
        self._begun = self._now()

    def _now(self) -> tuple[float, float, float]:
        cpu_s = sum(process.cpu_s for process in family(self._server.pid))
        return perf_counter(), cpu_s, busy_seconds(self._cores)

    def read(self) -> tuple[float, float]:
        """CPU time of the server since then, and what share of its cores strangers had."""
        elapsed_s, cpu_s, busy_s = (now - then for now, then in zip(self._now(), self._begun, strict=True))
        return cpu_s, round(max(0.0, busy_s - cpu_s) / (elapsed_s * len(self._cores)), 3)


def take_turns(setting: Setting, loads: Mapping[str, tuple[Server, Path]]) -> dict[str, list[Sample]]:
    """Samples of each server under its traffic, taken in turns: what disturbs the machine disturbs all of them.

    One more sample of each comes before and does not count, lest a server that has just started meets one that runs.
    """
    taken: dict[str, list[Sample]] = {name: [] for name in loads}
    for server, traffic in loads.values():
        sample(setting, server, traffic)
    for _ in range(setting.rounds):
        for name, (server, traffic) in loads.items():
            taken[name].append(sample(setting, server, traffic))
    return taken


def ratio(samples: list[Sample], yardstick: list[Sample]) -> float:
    """How many answers for one of the yardstick's: the median over the rounds."""
    return round(median(ours.rate / theirs.rate for ours, theirs in zip(samples, yardstick, strict=True)), 3)


def cpu_ratio(samples: list[Sample], yardstick: list[Sample]) -> float:
    """Likewise, by CPU time instead of by the clock: it hardly changes when strangers use the machine."""
    return round(median(theirs.cpu_us / ours.cpu_us for ours, theirs in zip(samples, yardstick, strict=True)), 3)


def median_rate(samples: list[Sample]) -> float:
    return round(median(taken.rate for taken in samples), 1)

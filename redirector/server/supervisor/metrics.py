"""Metrics in Prometheus's text form: what the workers counted, added up by name, and what the supervisor knows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from redirector import __version__
from redirector.answer.answer import Kind, Tier
from redirector.model import Severity
from redirector.server.between.counters import (
    BOUNDS_S,
    BUCKETS,
    COUNTRY,
    FIRST_HOST,
    FIRST_TIER,
    GAUGES,
    LOST,
    NANOSECONDS,
    OPEN,
    OTHER,
    RELAXED,
    REQUESTS,
    UNKNOWN,
    WISHES,
    CounterMemory,
    Series,
)
from redirector.server.between.messages import LoadReport

MAX_LEFT_HOSTS = 300
"""How many hosts that are in no snapshot any more keep their counters; with 115 hosts, all series are some 1,000."""

RELOAD_BOUNDS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""A tree takes half a second, the largest MirrorManager snapshot about ten."""


class Totals:
    """Sums over all workers that ever were; they only grow."""

    def __init__(self) -> None:
        self._ended: Counter[Series] = Counter()

    def fold(self, memory: CounterMemory, hosts: Collection[str]) -> None:
        """Keep what the workers of an age that has ended counted; *hosts* are those of the present snapshot."""
        for series, value in memory.sum().items():
            if value and series[0] not in GAUGES:
                self._ended[series] += value
        kept = {*hosts, OTHER}
        left: Counter[str] = Counter()
        for series, value in self._ended.items():
            if series[0] == FIRST_HOST and series[1] not in kept:
                left[series[1]] += value
        summed = {name for name, _ in left.most_common()[MAX_LEFT_HOSTS:]}
        for series in [each for each in self._ended if each[0] == FIRST_HOST and each[1] in summed]:
            self._ended[(FIRST_HOST, OTHER, series[2])] += self._ended.pop(series)

    def sum(self, memories: Iterable[CounterMemory]) -> Counter[Series]:
        """All that was counted, in *memories* of living ages and before."""
        total = self._ended.copy()
        for memory in memories:
            total.update(memory.sum())
        return total


class Durations:
    """How often something took how long."""

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    @property
    def count(self) -> int:
        return sum(self._counts)

    def add(self, duration_s: float) -> None:
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._sum_s += duration_s

    def add_to(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        _add_histogram(family, labels, self._bounds_s, self._counts, self._sum_s)


@dataclass(frozen=True, slots=True)
class State:
    """What the supervisor knows when it is asked.

    counts    as summed by `Totals`
    report    of the snapshot that serves; None before the first one
    fallback  copies of earlier inputs are served
    workers   how many accept connections
    restarts  of workers that died
    reloads   outcome -> how long they took
    reloading a reload is under way
    lost      lines of the access log that the supervisor could not write
    """

    counts: Counter[Series]
    report: LoadReport | None
    fallback: bool
    workers: int
    restarts: int
    reloads: Mapping[str, Durations]
    reloading: bool
    lost: int


def render_metrics(state: State) -> bytes:
    """All metrics, as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(state))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        yield from _collect_requests(self._state)
        if self._state.report is not None:
            yield from _collect_snapshot(self._state.report)
        yield from _collect_server(self._state)

    def describe(self) -> Iterable[Metric]:
        return ()


def _collect_requests(state: State) -> Iterator[Metric]:
    """What the workers counted. A status is shown once it occurred, a country too; all else is always there."""
    counts = state.counts
    requests = _counter("requests", "Requests answered, by what was asked for and by status.", ["answer", "status"])
    durations = HistogramMetricFamily(
        "redirector_request_duration_seconds",
        "From the last byte of a request read to its answer written.",
        labels=["answer"],
    )
    for kind in Kind:
        buckets = [counts[(BUCKETS, kind.value, str(position))] for position in range(len(BOUNDS_S) + 1)]
        _add_histogram(durations, [kind.value], BOUNDS_S, buckets, counts[(NANOSECONDS, kind.value)] / 1e9)
    tiers = _counter("first_tier", "Lists given, by the tier of their first host.", ["tier"])
    for tier in Tier:
        tiers.add_metric([tier.value], counts[(FIRST_TIER, tier.value)])
    relaxed = _counter("relaxed", "Wishes of clients that could not be met.", ["wish"])
    for wish in WISHES:
        relaxed.add_metric([wish], counts[(RELAXED, wish)])
    hosts = _counter("first_host", "How often each host was given first.", ["host"])
    countries = _counter("client_country", "Lists given, by the country of the client.", ["country"])
    present = set(state.report.hosts) if state.report is not None else set()
    firsts: Counter[str] = Counter()
    for series, value in sorted(counts.items()):
        match series:
            case (name, asked, status) if name == REQUESTS and (value or status == "200"):
                requests.add_metric([asked, status], value)
            case (name, host, _) if name == FIRST_HOST:
                firsts[host] += value
            case (name, country) if name == COUNTRY and (value or country == UNKNOWN):
                countries.add_metric([country], value)
    for host, value in sorted(firsts.items()):
        if value or host in present:
            hosts.add_metric([host], value)
    yield from (requests, durations, tiers, relaxed, hosts, countries)


def _collect_snapshot(report: LoadReport) -> Iterator[Metric]:
    extent = report.extent
    yield _gauge("snapshot_built_timestamp_seconds", "When the data being served was made.", extent.built)
    expected = GaugeMetricFamily(
        "redirector_expected_first_share",
        "Share of all clients that should be given each host first, by nearness.",
        labels=["host"],
    )
    for host, share in report.expected.items():
        expected.add_metric([host], share)
    yield expected
    yield _gauge("snapshot_loaded_timestamp_seconds", "When the data being served was loaded.", report.loaded)
    hosts = GaugeMetricFamily("redirector_snapshot_hosts", "Hosts in the snapshot.", labels=["visibility"])
    for visibility in ("public", "private"):
        hosts.add_metric([visibility], extent.counts[f"{visibility}_hosts"])
    yield hosts
    standings = GaugeMetricFamily(
        "redirector_snapshot_host_states",
        "Hosts by state: up, down, off (by an operator), withheld (by their own entry).",
        labels=["state"],
    )
    for standing, count in report.standings.items():
        standings.add_metric([standing], count)
    yield standings
    for name, text in (
        ("directories", "Directories in the snapshot."),
        ("repositories", "Repositories in the snapshot."),
        ("netblocks", "Netblocks of hosts in the snapshot."),
        ("asns", "Rows of the table of AS numbers."),
    ):
        yield _gauge(f"snapshot_{name}", text, extent.counts[name])
    broken = "Input files that are broken, in place of which what was read of them before is used."
    yield _gauge("snapshot_broken_files", broken, extent.counts.get("broken", 0))
    problems = GaugeMetricFamily("redirector_snapshot_problems", "Problems found while loading.", labels=["severity"])
    for severity in Severity:
        problems.add_metric([severity.value], sum(problem.severity is severity for problem in report.problems))
    yield problems
    if report.health is not None:
        text = "When the mirrors were checked whose health is gone by; 0: there is no file to go by."
        yield _gauge("health_checked_timestamp_seconds", text, report.health_checked or 0)
    databases = GaugeMetricFamily(
        "redirector_geoip_built_timestamp_seconds", "When each MMDB was made.", labels=["database"]
    )
    for database, built in sorted(report.databases.items()):
        databases.add_metric([database], built)
    yield databases


def _collect_server(state: State) -> Iterator[Metric]:
    yield _gauge("snapshot_fallback", "1: copies of earlier input files are served.", int(state.fallback))
    reloads = HistogramMetricFamily(
        "redirector_reload_duration_seconds", "From the wish to reload to the outcome.", labels=["outcome"]
    )
    counted = _counter("reloads", "Reloads.", ["outcome"])
    for outcome, durations in state.reloads.items():
        durations.add_to(reloads, [outcome])
        counted.add_metric([outcome], durations.count)
    yield from (counted, reloads)
    yield _gauge("reload_running", "1: a reload is under way.", int(state.reloading))
    yield _gauge("workers", "Workers that accept connections.", state.workers)
    yield _gauge("open_connections", "Connections that are open.", state.counts[(OPEN,)])
    restarts = _counter("worker_restarts", "Workers that died and were started again.", [])
    restarts.add_metric([], state.restarts)
    lost = _counter("access_log_lost", "Lines of the access log that could not be written.", [])
    lost.add_metric([], state.counts[(LOST,)] + state.lost)
    build = GaugeMetricFamily("redirector_build_info", "The version that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    yield from (restarts, lost, build)


def _counter(name: str, text: str, labels: list[str]) -> CounterMetricFamily:
    return CounterMetricFamily(f"redirector_{name}", text, labels=labels)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"redirector_{name}", text, value=value)


def _add_histogram(
    family: HistogramMetricFamily, labels: list[str], bounds: Iterable[float], counts: Iterable[int], total: float
) -> None:
    names = [*(str(bound) for bound in bounds), "+Inf"]
    family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total)

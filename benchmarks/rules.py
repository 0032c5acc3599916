"""What each rule of choosing costs: answers a second, a place that nobody asked from before, and the balance at load.

python -m benchmarks.rules [--quick]

A City database of the whole world has 29,000 places. *Few places*: all clients come from some hundred of them, so
that what a worker keeps is met again. *Flood*: they come from all of them, in turn, and the worker may keep little:
nearly each request is the first one of its place.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from time import process_time, time

import numpy as np

from benchmarks.make_snapshot import SNAPSHOT, write_snapshot
from benchmarks.make_tree import write_tree
from benchmarks.processes import ROOT, run_redirector, split_cores
from benchmarks.scale import SCALES
from benchmarks.setting import Sample, Setting, cpu_ratio, median_rate, take_turns
from benchmarks.traffic import mirrormanager_targets, tree_targets, write_traffic
from benchmarks.world import write_world_database
from redirector.answer.answer import Form, Request
from redirector.answer.compare.compare import usual_list
from redirector.answer.serve import Responder
from redirector.locate.proxies import Client
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from redirector.snapshot.snapshot import Snapshot
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree

RULES = ("tiers", "distance", "nearness")

_TREE = ROOT / "tests" / "real" / "almalinux.tar.xz"
_COUNTRIES = ROOT / "data" / "geoip" / "country.mmdb"

FEW, FLOOD = "few places", "flood"

_FEW = 400
_POOL_MB = {FEW: "64", FLOOD: "1"}

NEW_PLACE_US = 100.0
"""What a place that nobody asked from before may cost."""

BALANCE_S = {530: 1.0, 5_000: 5.0}
"""What loading may take, with so many hosts, for shares and factors."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one rule answered of one kind of traffic.

    rate      answers a second
    cpu_us    CPU time of the server for one
    against   answers for one by distance, by CPU time
    """

    rate: float
    cpu_us: float
    against: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one rule, in microseconds of CPU time, in one process: the least of some rounds, memory being cold.

    new_place  the line-up of a place that nobody asked from before
    read       one client's order from a line-up
    """

    new_place: float
    read: float


def lanes(setting: Setting, source: Path, targets: Sequence[str], geoip: Path) -> dict[str, dict[str, Lane]]:
    """By kind of traffic and rule; servers of all rules take turns."""
    found: dict[str, dict[str, Lane]] = {}
    snapshot = load_snapshot(Config(source=str(source), geoip=str(geoip)), time(), lint=False)
    responder = Responder(snapshot)
    answered = [
        target
        for target in targets
        if responder.answer(Request(target.encode(), Client(None), time(), chance=0)).status == 200
    ]
    for kind, places in ((FEW, _FEW), (FLOOD, None)):
        traffic = setting.folder / f"{source.name}-{kind}".replace(" ", "-")
        asked = answered if places else answered[:1]
        write_traffic(traffic, asked, clients_of(snapshot, places, setting))
        with ExitStack() as stack:
            servers = {}
            for rule in RULES:
                options = ["--source", str(source), "--geoip", str(geoip), "--workers", "1", "--choice", rule]
                options += ["--lineup-pool", _POOL_MB[kind]]
                servers[rule] = stack.enter_context(run_redirector(options, setting.cores.server)), traffic
            taken = take_turns(setting, servers)
        found[kind] = {rule: _lane(samples, taken["distance"]) for rule, samples in taken.items()}
    return found


def _lane(samples: list[Sample], by_distance: list[Sample]) -> Lane:
    cpu_us = sorted(sample.cpu_us for sample in samples)[len(samples) // 2]
    return Lane(median_rate(samples), cpu_us, cpu_ratio(samples, by_distance))


def clients_of(snapshot: Snapshot, places: int | None, setting: Setting) -> Iterator[str]:
    """Different addresses, from so many *places*, or from all there are in turn."""
    audiences = snapshot.audiences
    starts = np.frombuffer(audiences.table.v4_starts, np.uint32).astype(np.int64)
    numbers = np.frombuffer(audiences.table.v4_values, np.uint32)
    sizes = np.diff(np.append(starts, 1 << 32))
    usable = np.flatnonzero((numbers > 0) & (sizes >= 256) & (starts >= 1 << 24) & (starts < 224 << 24))
    _, first = np.unique(numbers[usable], return_index=True)
    rows = usable[first]
    Random(setting.seed).shuffle(order := rows.tolist())
    rows = np.array(order[:places])
    for n in range(setting.clients):
        row, round_number = rows[n % len(rows)], n // len(rows)
        yield str(IPv4Address(int(starts[row]) + round_number % int(sizes[row])))


def costs(source: Path, geoip: Path, rounds: int, places: int = 2_500) -> dict[str, Costs]:
    """By rule, over the repository that is asked for most."""
    found = {}
    for rule in RULES:
        snapshot = load_snapshot(Config(source=str(source), geoip=str(geoip), choice=rule), time(), lint=False)
        taken = [_cost(snapshot, Random(n), places) for n in range(rounds)]
        found[rule] = Costs(*(round(min(each), 2) for each in zip(*taken, strict=True)))
    return found


def _cost(snapshot: Snapshot, chance: Random, places: int) -> tuple[float, float]:
    """Microseconds of CPU time for the line-up of a place, and for an order read from it."""
    host_set, count = usual_list(snapshot), len(snapshot.audiences.combinations)
    asked = chance.sample(range(1, count), min(count - 1, places))
    orders = Responder(snapshot).orders
    orders.line_up(host_set, Form.MIRRORLIST, 0, 0)
    start = process_time()
    lineups = [orders.line_up(host_set, Form.MIRRORLIST, audience, 0) for audience in asked]
    met = process_time() - start
    chance.shuffle(lineups)
    seeds = [chance.getrandbits(64) for _ in lineups]
    start = process_time()
    for lineup, seed in zip(lineups, seeds, strict=True):
        lineup.read(seed)
    return met / len(asked) * 1e6, (process_time() - start) / len(asked) * 1e6


def balance_s(folder: Path, geoip: Path, hosts: int) -> tuple[float, float]:
    """Seconds of CPU time that loading a made-up tree takes by nearness beyond what it does by distance; and in all."""
    source = folder / f"tree-{hosts}"
    write_tree(source, hosts, seed=1)
    spent = {}
    for rule in ("distance", "nearness", "distance", "nearness"):  # the first two read the gazetteer, too
        start = process_time()
        load_snapshot(Config(source=str(source), geoip=str(geoip), choice=rule), time(), lint=False)
        spent[rule] = process_time() - start
    return round(spent["nearness"] - spent["distance"], 2), round(spent["nearness"], 2)


def render(
    found: dict[str, dict[str, dict[str, Lane]]], one: dict[str, Costs], balances: dict[int, tuple[float, float]]
) -> str:
    """Tables, in Markdown."""
    lines = [
        "| source | traffic | " + " | ".join(f"{rule}, answers a second · µs" for rule in RULES) + " | nearness for "
        "one by distance |",
        "|---|---|" + "---|" * (len(RULES) + 1),
    ]
    for source, kinds in found.items():
        for kind, lane in kinds.items():
            cells = " | ".join(f"{lane[rule].rate:,.0f} · {lane[rule].cpu_us:.1f}" for rule in RULES)
            lines.append(f"| {source} | {kind} | {cells} | {lane['nearness'].against:.2f} × |")
    lines += ["", "| one process, µs | " + " | ".join(RULES) + " | at most |", "|---|" + "---|" * (len(RULES) + 1)]
    new, read = (" | ".join(f"{getattr(one[rule], name):,.2f}" for rule in RULES) for name in ("new_place", "read"))
    lines += [f"| a new place | {new} | {NEW_PLACE_US:.0f} |", f"| an order read | {read} | |"]
    lines += ["", "| hosts | s at load for nearness | s to load in all | at most |", "|---|---|---|---|"]
    lines += [
        f"| {n:,} | {more:.2f} | {whole:.2f} | {BALANCE_S.get(n, 5):.0f} |" for n, (more, whole) in balances.items()
    ]
    return "\n".join(lines) + "\n"


def measure(setting: Setting, snapshot_scale: str, sizes: Sequence[int]) -> tuple[str, dict[str, object]]:
    """Everything; a text for people, and what JSON says."""
    geoip = setting.folder / "world.mmdb"
    write_world_database(geoip, _COUNTRIES)
    with tarfile.open(_TREE) as archive:
        archive.extractall(setting.folder, filter="data")
    tree, made = setting.folder / "almalinux", setting.folder / "made"
    write_snapshot(made, SCALES[snapshot_scale], setting.seed)
    snapshot = made / SNAPSHOT
    catalog = load_tree(str(tree), now=0)
    sources = {
        "tree": (tree, tree_targets(catalog)),
        "snapshot": (snapshot, mirrormanager_targets(load_snapshot_file(str(snapshot)), "mirrorlist")),
    }
    found = {name: lanes(setting, source, targets, geoip) for name, (source, targets) in sources.items()}
    one = costs(tree, geoip, rounds=max(3, setting.rounds * 2))
    balances = {hosts: balance_s(setting.folder, geoip, hosts) for hosts in sizes}
    told = {
        "lanes": {s: {k: {r: asdict(lane) for r, lane in by.items()} for k, by in t.items()} for s, t in found.items()},
        "costs": {rule: asdict(cost) for rule, cost in one.items()},
        "balance_s": {str(hosts): seconds for hosts, seconds in balances.items()},
    }
    return render(found, one, balances), told


def main() -> None:
    parser = argparse.ArgumentParser(description="What each rule of choosing costs.")
    parser.add_argument("--quick", action="store_true", help="short samples, a small snapshot")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for the report")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="redirector-rules-") as folder:
        setting = Setting(
            folder=Path(folder),
            geoip=_COUNTRIES,
            cores=split_cores(),
            seconds=2 if options.quick else 5,
            rounds=2 if options.quick else 5,
            clients=300_000,
        )
        text, told = measure(setting, "small" if options.quick else "fedora", (530, 5_000))
    (options.out / "rules.json").write_text(json.dumps(told, indent=1) + "\n")
    (options.out / "rules.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

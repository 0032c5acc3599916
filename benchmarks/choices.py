"""How far clients are from their first mirror, and what the busiest carries, by each rule of choosing; and a map of it.

python -m benchmarks.choices [--source TREE] [--geoip CITIES.mmdb] [--picture OUT.png]
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import ROOT
from benchmarks.world import write_world_database
from redirector.answer.compare.compare import find_firsts, measure_way, usual_list
from redirector.answer.compare.sample import draw_sample
from redirector.locate.places import read_cities
from redirector.settings.serving import Config
from redirector.snapshot.load import KnownTables, load_snapshot
from redirector.snapshot.snapshot import Snapshot

matplotlib.use("agg")

_TREE = ROOT / "tests" / "real" / "almalinux.tar.xz"
_COUNTRIES = ROOT / "data" / "geoip" / "country.mmdb"

CLIENTS = 100_000
RULES = ("distance", "tiers", "nearness")
BY_ADDRESSES, BY_PEOPLE = "by address space", "by people in cities"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Kilometres to the first mirror, for half and for nine of ten clients; share of them that the busiest gets."""

    km_median: float
    km_p90: float
    busiest: float


TARGETS = {BY_ADDRESSES: Outcome(90, 515, 0.015), BY_PEOPLE: Outcome(290, 1_040, 0.041)}
"""What nearness should not exceed."""


def people_by_country() -> dict[str, float]:
    """How many people the cities of each country have."""
    cities = read_cities()
    codes, number = np.unique(cities.country, return_inverse=True)
    return dict(zip(codes.tolist(), np.bincount(number, cities.people).tolist(), strict=True))


def judge(snapshot: Snapshot, clients: Mapping[str, float]) -> tuple[Outcome, NDArray[np.float64]]:
    """What *clients* of each country get; and the share that each host gets first."""
    sample = draw_sample(snapshot, CLIENTS, clients)
    firsts = find_firsts(snapshot, [usual_list(snapshot)], sample)
    km = measure_way(snapshot, firsts, sample)
    shares = np.bincount(firsts[firsts >= 0], minlength=len(snapshot.hosts)) / len(firsts)
    known = km[~np.isnan(km)]
    return Outcome(float(np.median(known)), float(np.quantile(known, 0.9)), float(shares.max())), shares


def measure(
    source: Path, geoip: Path
) -> tuple[dict[str, dict[str, Outcome]], dict[str, NDArray[np.float64]], Snapshot]:
    """Outcomes by rule and by distribution; shares of hosts by rule; and the last snapshot."""
    known, people = KnownTables(), people_by_country()
    outcomes: dict[str, dict[str, Outcome]] = {}
    shares = {}
    snapshots = [
        load_snapshot(Config(source=str(source), geoip=str(geoip), choice=rule), time.time(), known=known, lint=False)
        for rule in RULES
    ]
    for rule, snapshot in zip(RULES, snapshots, strict=True):
        by_addresses, shares[rule] = judge(snapshot, {})
        by_people, _ = judge(snapshot, people)
        outcomes[rule] = {BY_ADDRESSES: by_addresses, BY_PEOPLE: by_people}
    return outcomes, shares, snapshots[-1]


def render(outcomes: Mapping[str, Mapping[str, Outcome]]) -> str:
    """A table, in Markdown."""
    lines = [
        "| rule | km to the first mirror, half · nine of ten | the busiest is first for "
        "| by people in cities | the busiest |",
        "|---|---|---|---|---|",
    ]
    for rule, found in {**outcomes, "nearness, at most": TARGETS}.items():
        a, b = found[BY_ADDRESSES], found[BY_PEOPLE]
        lines.append(
            f"| {rule} | {a.km_median:,.0f} · {a.km_p90:,.0f} | {a.busiest:.2%} "
            f"| {b.km_median:,.0f} · {b.km_p90:,.0f} | {b.busiest:.2%} |"
        )
    return "\n".join(lines) + "\n"


def draw_map(snapshot: Snapshot, shares: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """The world before and after: an area for the share that each mirror carries."""
    from matplotlib import pyplot

    cities = read_cities()
    figure, axes = pyplot.subplots(2, 1, figsize=(11, 10.6), layout="constrained")
    place = np.degrees(
        np.stack(
            [
                np.arctan2(snapshot.vectors[:, 1], snapshot.vectors[:, 0]),
                np.arcsin(np.clip(snapshot.vectors[:, 2], -1, 1)),
            ]
        )
    )
    for axis, rule, told in zip(
        axes, ("distance", "nearness"), ("before: by distance", "after: by nearness"), strict=True
    ):
        share = shares[rule]
        axis.scatter(cities.longitude, cities.latitude, s=0.5, c="#c9c9c9", linewidths=0)
        order = np.argsort(-share)
        axis.scatter(
            place[0, order],
            place[1, order],
            s=share[order] * 24_000,
            c=share[order] * 100,
            cmap="viridis_r",
            vmin=0,
            vmax=2.2,
            alpha=0.6,
            edgecolors="white",
            linewidths=0.4,
        )
        axis.set_xlim(-170, 180)
        axis.set_ylim(-57, 75)
        axis.set_aspect(1.25)
        axis.set_axis_off()
        axis.set_title(f"{told}; the busiest mirror is first for {share.max():.1%} of all clients", loc="left")
    colours = figure.colorbar(axes[1].collections[-1], ax=axes, shrink=0.35, pad=0.01)
    colours.set_label("% of all clients that get the mirror first")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rules of choosing beside each other.")
    parser.add_argument("--source", type=Path, help="a tree; default: the one of the tests")
    parser.add_argument("--geoip", type=Path, help="a City database; default: one that is made")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for the report")
    parser.add_argument("--picture", type=Path, help="where the map goes; default: beside the report")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="redirector-choices-") as folder:
        source, geoip = options.source, options.geoip
        if source is None:
            with tarfile.open(_TREE) as archive:
                archive.extractall(folder, filter="data")
            source = Path(folder, "almalinux")
        if geoip is None:
            geoip = Path(folder, "world.mmdb")
            write_world_database(geoip, _COUNTRIES)
        outcomes, shares, snapshot = measure(source, geoip)
    draw_map(snapshot, shares, options.picture or options.out / "choices.png")
    told = {rule: {by: asdict(outcome) for by, outcome in found.items()} for rule, found in outcomes.items()}
    (options.out / "choices.json").write_text(json.dumps(told, indent=1) + "\n")
    print(render(outcomes))


if __name__ == "__main__":
    main()

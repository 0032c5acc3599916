"""Measure, and write the report: `python -m benchmarks`, or `make bench`. README.md here explains each number."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

from benchmarks.curves import draw_curves
from benchmarks.micro import measure_functions
from benchmarks.processes import ROOT, Server, find_nginx, split_cores
from benchmarks.report import Report, describe_machine
from benchmarks.scale import SCALES
from benchmarks.setting import Setting, make_inputs, make_traffic
from benchmarks.table import KINDS, TARGETS, Row, fill_table, measure_answers

_GEOIP = ROOT / "data" / "geoip" / "country.mmdb"

_CURVE_SECONDS = 4.0
"""A sample of a curve: some twenty points are enough work without taking turns."""


def main() -> None:
    options = _parse_options()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    report = Report(describe_machine())
    with tempfile.TemporaryDirectory(prefix="redirector-bench-") as folder:
        setting = Setting(
            folder=Path(folder),
            geoip=options.geoip.resolve(),
            cores=split_cores(),
            seconds=options.seconds or (3 if options.quick else 6),
            rounds=options.rounds or (1 if options.quick else 3),
            scale=SCALES[options.scale],
        )
        if options.url:
            inputs = make_traffic(setting, options.inputs.resolve(), KINDS)
            server = Server(urlsplit(options.url).netloc, options.pid)
            _take_rows(report, measure_answers(setting, inputs, server), options.out)
        else:
            _take_rows(report, fill_table(setting, options.before), options.out)
            if not options.quick:
                report.functions = measure_functions(setting, make_inputs(setting, "base", setting.scale))
                for name, points in draw_curves(replace(setting, seconds=options.seconds or _CURVE_SECONDS)):
                    report.curves[name] = points
                    report.save(options.out)
                    print(f"by {name}: {points}", file=sys.stderr, flush=True)
    print(report.render())


def _take_rows(report: Report, rows: Iterable[tuple[str, Row]], out: Path) -> None:
    """Save the report after each row: a run that is broken off has not been for nothing."""
    for name, row in rows:
        report.table[name] = row
        report.save(out)
        print(f"{TARGETS[name].what}: {row.measured:g} {TARGETS[name].unit}", file=sys.stderr, flush=True)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write a report.")
    parser.add_argument("--quick", action="store_true", help="the table alone, with short samples")
    parser.add_argument("--scale", choices=SCALES, default="fedora", help="size of the made-up snapshot")
    parser.add_argument("--seconds", type=float, help="length of one sample")
    parser.add_argument("--rounds", type=int, help="how often servers take turns")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for the report")
    parser.add_argument("--geoip", type=Path, default=_GEOIP, help="country database")
    parser.add_argument("--before", type=Path, help="another checkout, built in place, to compare with")
    parser.add_argument("--url", help="base URL of another server to measure instead")
    parser.add_argument("--inputs", type=Path, help="with --url: what `make_snapshot` wrote, and that server reads")
    parser.add_argument("--pid", type=int, default=0, help="with --url: its first process, to count CPU time")
    options = parser.parse_args()
    if options.url and not options.inputs:
        parser.error("--url needs --inputs")
    missing = [program for program, found in (("wrk", which("wrk")), ("nginx", find_nginx())) if not found]
    if missing:
        parser.error(f"not installed: {', '.join(missing)} (`make bench` installs them)")
    return options


if __name__ == "__main__":
    main()

"""Measure, and write the report: `python -m benchmarks`, or `make bench`. README.md here explains each number."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
from pathlib import Path
from shutil import which

from benchmarks.processes import ROOT, find_nginx, split_cores
from benchmarks.report import Report, describe_machine
from benchmarks.scale import SCALES
from benchmarks.session import Session
from benchmarks.table import TARGETS, fill_table

_GEOIP = ROOT / "data" / "geoip" / "country.mmdb"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure redirector, and write a report.")
    parser.add_argument("--quick", action="store_true", help="the table alone, with short samples: some three minutes")
    parser.add_argument("--scale", choices=SCALES, default="fedora")
    parser.add_argument("--seconds", type=float, help="length of one sample")
    parser.add_argument("--rounds", type=int, help="how often servers take turns")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out", help="folder for the report")
    parser.add_argument("--geoip", type=Path, default=_GEOIP, help="country database")
    options = parser.parse_args()
    missing = [program for program, found in (("wrk", which("wrk")), ("nginx", find_nginx())) if not found]
    if missing:
        parser.error(f"not installed: {', '.join(missing)} (`make bench` installs them)")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    report = Report(describe_machine())
    with tempfile.TemporaryDirectory(prefix="redirector-bench-") as folder:
        session = Session(
            folder=Path(folder),
            geoip=options.geoip.resolve(),
            cores=split_cores(),
            seconds=options.seconds or (3 if options.quick else 6),
            rounds=options.rounds or (1 if options.quick else 3),
            scale=SCALES[options.scale],
        )
        for name, row in fill_table(session):
            report.table[name] = row
            report.save(options.out)
            print(f"{TARGETS[name].what}: {row.measured:g} {TARGETS[name].unit}", file=sys.stderr, flush=True)
    print(report.render())


if __name__ == "__main__":
    main()

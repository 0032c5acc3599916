#!/usr/bin/env python3
"""Let one server serve a new file for a while, look at its metrics, and give the file to the others if they are good.

    rollout.py --first http://ADMIN/ --watch SECONDS NEW PLACE

NEW is the file that the first server has been given and will load; PLACE is what the others fetch. It waits until the
first server has loaded something since this was started or since NEW was written, watches, and renames a copy of NEW
into PLACE. It ends with 0 (given to the others, or they have it already), 1 (the metrics got worse, or the first server
did not load it: PLACE stays as it is) or 2 (usage). Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.request import urlopen

TIMEOUT_S = 10
STEP_S = 5.0
LINE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.M)

FEW = 100
"""Shares of fewer answers than this say nothing."""

ERRORS_SHARE = 0.01
RELAXED_SHARE = 0.1
"""What may be worse than before the new file: answers of 5xx, lists whose wishes could not be met."""

Values = Mapping[str, float]


def read_metrics(text: str) -> dict[str, float]:
    """What counts here: requests, errors, relaxed lists, refused reloads, when the snapshot was loaded."""
    values = dict.fromkeys(("requests", "errors", "relaxed", "refused", "loaded"), 0.0)
    for line in LINE.finditer(text):
        labels, value = line["labels"] or "", float(line["value"])
        match line["name"]:
            case "redirector_requests_total":
                values["requests"] += value
                values["errors"] += value if 'status="5' in labels else 0
            case "redirector_relaxed_total":
                values["relaxed"] += value
            case "redirector_reloads_total":
                values["refused"] += value if 'outcome="refused"' in labels else 0
            case "redirector_snapshot_loaded_timestamp_seconds":
                values["loaded"] = value
            case _:
                pass
    return values


def find_fault(start: Values, loaded: Values, end: Values) -> str | None:
    """What got worse from *loaded* to *end*, beside what was from the beginning of the server until *start*."""
    if end["refused"] > start["refused"]:
        return "a reload was refused"
    count = end["requests"] - loaded["requests"]
    if count < FEW:
        return None
    for name, allowed in (("errors", ERRORS_SHARE), ("relaxed", RELAXED_SHARE)):
        before = start[name] / start["requests"] if start["requests"] else 0.0
        share = (end[name] - loaded[name]) / count
        if share > before + allowed:
            return f"{name}: {share:.1%} of {count:,.0f} answers, {before:.1%} before"
    return None


def roll_out(
    new: Path, place: Path, ask: Callable[[], str], watch_s: float, wait_s: float, sleep: Callable[[float], None]
) -> str | None:
    """Why *place* stays as it is; None: it has what *new* has."""
    raw = new.read_bytes()
    if place.exists() and place.read_bytes() == raw:
        return None
    start = loaded = read_metrics(ask())
    waited = 0.0
    while loaded["loaded"] < new.stat().st_mtime:
        if waited >= wait_s:
            return f"the first server has not loaded it within {wait_s:.0f} s"
        if loaded["refused"] > start["refused"]:
            return "the first server refused it"
        sleep(STEP_S)
        waited += STEP_S
        loaded = read_metrics(ask())
    sleep(watch_s)
    if fault := find_fault(start, loaded, read_metrics(ask())):
        return fault
    if new.read_bytes() != raw:
        return "a newer file came meanwhile"
    fresh = place.with_name(f".{place.name}.fresh")
    fresh.write_bytes(raw)
    shutil.copystat(new, fresh)
    os.replace(fresh, place)
    return None


def main(arguments: list[str] | None = None) -> int:
    """Once; from a timer after each publication."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", required=True, metavar="URL", help="the first server's admin listener")
    parser.add_argument("--watch", type=float, default=60.0, metavar="SECONDS", help="how long it is watched")
    parser.add_argument("--wait", type=float, default=900.0, metavar="SECONDS", help="how long it may take to load")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser.add_argument("place", type=Path, metavar="PLACE")
    options = parser.parse_args(arguments)

    def ask() -> str:
        with urlopen(f"{options.first.rstrip('/')}/metrics", timeout=TIMEOUT_S) as answer:
            text: str = answer.read().decode()
            return text

    try:
        fault = roll_out(options.new, options.place, ask, options.watch, options.wait, time.sleep)
    except OSError as error:
        fault = str(error)
    if fault:
        print(f"{options.place}: stays as it is: {fault}", file=sys.stderr)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())

"""`redirector check`: load what `serve` would load, and print each problem."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict

from redirector.cli.options import LOADING, add_options, read_config
from redirector.cli.output import Exit, as_json, print_result
from redirector.errors import SnapshotError
from redirector.model import Problem, Severity
from redirector.one_line import one_line
from redirector.settings.serving import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that decide what is loaded, and how it is said."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings too")
    parser.add_argument(
        "--shares",
        action="store_true",
        help="also what each host carries beside its bandwidth, how far its clients are, who is served worst, where "
        "one more mirror would help most",
    )
    add_options(parser, Config, LOADING)


def run(arguments: argparse.Namespace) -> int:
    """Print the problems and the counts."""
    config = read_config(arguments)
    from redirector.answer.compare.shares import find_shares, tell_shares
    from redirector.snapshot.load import load_snapshot
    from redirector.sources.clients import load_clients

    problems: Sequence[Problem]
    shares = None
    try:
        snapshot = load_snapshot(config, time.time())
        if arguments.shares:
            shares = find_shares(snapshot, load_clients(config.clients).weights if config.clients else {})
        served, problems, counts = True, snapshot.problems, asdict(snapshot.counts)
    except SnapshotError as error:
        served, problems, counts = False, error.problems, {}
    for severity in Severity:
        counts[f"{severity.value}s"] = sum(problem.severity is severity for problem in problems)
    outcome = Exit.DONE if served and not (arguments.strict and problems) else Exit.FAILED
    if arguments.json:
        rows = [asdict(problem) | {"severity": problem.severity.value} for problem in problems]
        told: dict[str, object] = {"served": served, "problems": rows, "counts": counts}
        if shares is not None:
            told["shares"] = shares.as_json()
        return print_result(as_json(told), outcome)
    lines = [*map(one_line, tell_shares(shares).split("\n"))] if shares is not None else []
    lines += [one_line(str(problem)) for problem in problems]
    lines.append(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items()))
    return print_result("\n".join(lines) + "\n", outcome)

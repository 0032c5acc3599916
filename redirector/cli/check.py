"""`redirector check`: load what `serve` would load, and print each problem."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict

from redirector.cli.options import LOADING, add_options, read_config
from redirector.cli.output import Exit, as_json, one_line, print_result
from redirector.errors import SnapshotError
from redirector.model import Problem, Severity
from redirector.settings.serving import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that decide what is loaded, and how it is said."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--strict", action="store_true", help="exit 1 for warnings too")
    add_options(parser, Config, LOADING)


def run(arguments: argparse.Namespace) -> int:
    """Print the problems and the counts."""
    config = read_config(arguments)
    from redirector.snapshot.load import load_snapshot

    problems: Sequence[Problem]
    try:
        snapshot = load_snapshot(config, time.time())
        served, problems, counts = True, snapshot.problems, asdict(snapshot.counts)
    except SnapshotError as error:
        served, problems, counts = False, error.problems, {}
    for severity in Severity:
        counts[f"{severity.value}s"] = sum(problem.severity is severity for problem in problems)
    outcome = Exit.DONE if served and not (arguments.strict and problems) else Exit.FAILED
    if arguments.json:
        rows = [asdict(problem) | {"severity": problem.severity.value} for problem in problems]
        return print_result(as_json({"served": served, "problems": rows, "counts": counts}), outcome)
    lines = [one_line(str(problem)) for problem in problems]
    lines.append(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items()))
    return print_result("\n".join(lines) + "\n", outcome)

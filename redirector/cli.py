"""The command line: a verb per task. Standard output carries results, standard error everything else.

What a verb needs is imported when it runs, so that `--help` and a wrong flag are answered at once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import IntEnum

from redirector import __version__
from redirector.config import Config, default_text, options
from redirector.config_file import load_config
from redirector.errors import ConfigError, QueryError, SnapshotError
from redirector.model import Problem, Severity


class Exit(IntEnum):
    """What the exit code tells."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* (without the program's name; None: the process's own) and return its exit code."""
    try:
        arguments = make_parser().parse_args(argv)
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except SystemExit as end:  # argparse has said all there is to say
        return _print_result("", int(end.code or Exit.DONE))
    except ConfigError as error:
        _say(str(error))
        return Exit.WRONG_USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """The parser, its options made from the fields of `Config`."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("options of every command")
    for key, option in options():
        text = f"{option.help} (default: {default_text(key)})".replace("%", "%%")
        action = "append" if option.repeat else "store"
        group.add_argument(option.flag, dest=key, metavar=option.metavar, action=action, help=text)

    parser = argparse.ArgumentParser(
        "redirector",
        usage="%(prog)s COMMAND [OPTIONS]",
        description="Mirrorlists and metalinks for package managers.",
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"redirector {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add_verb(
        name: str, run: Callable[[argparse.Namespace], int], text: str, usage: str = ""
    ) -> argparse.ArgumentParser:
        usage = f"redirector {name} {usage}[OPTIONS]"
        verb = verbs.add_parser(name, usage=usage, help=text, description=text, parents=[common], allow_abbrev=False)
        verb.set_defaults(run=run)
        return verb

    add_verb("serve", _serve, "load, check, and answer until SIGTERM")
    check = add_verb("check", _check, "load what serve would load, and print each problem")
    check.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    check.add_argument("--strict", action="store_true", help="exit 1 for warnings too")
    explain = add_verb(
        "explain", _explain, "print how the answer to a target comes about, step by step", "TARGET --client ADDRESS "
    )
    explain.add_argument(
        "target", metavar="TARGET", help="such as '/metalink?repo=baseos-9&arch=x86_64', or a whole URL"
    )
    explain.add_argument("--client", metavar="ADDRESS", required=True, help="the address that asks")
    explain.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_verb("place", _place, "look mirrors without a place up (DNS, then --geoip) and write the tree's places file")
    return parser


def _read_config(arguments: argparse.Namespace) -> Config:
    return load_config({key: getattr(arguments, key) for key, _ in options() if key in arguments})


def _serve(arguments: argparse.Namespace) -> int:
    config = _read_config(arguments)
    from redirector.server.supervisor import serve

    return serve(config, lambda: _read_config(arguments))


def _check(arguments: argparse.Namespace) -> int:
    config = _read_config(arguments)
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
        return _print_result(_as_json({"served": served, "problems": rows, "counts": counts}), outcome)
    lines = [_one_line(str(problem)) for problem in problems]
    lines.append(", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items()))
    return _print_result("\n".join(lines) + "\n", outcome)


def _explain(arguments: argparse.Namespace) -> int:
    config = _read_config(arguments)
    from redirector.answer.explain import explain
    from redirector.answer.serve import Responder
    from redirector.snapshot.load import load_snapshot

    now = time.time()
    try:
        explanation = explain(Responder(load_snapshot(config, now)), arguments.target, arguments.client, now)
    except SnapshotError as error:
        _say(str(error))
        return Exit.FAILED
    except QueryError as error:
        _say(error.text)
        return Exit.FAILED if error.status == 404 else Exit.WRONG_USAGE
    text = explanation.as_json() if arguments.json else explanation.as_text()
    return _print_result("\n".join(map(_one_line, text.split("\n"))) + "\n", Exit.DONE)


def _place(arguments: argparse.Namespace) -> int:
    config = _read_config(arguments)
    from redirector.place import place_mirrors, render_entry

    try:
        placement = place_mirrors(config, time.time())
    except SnapshotError as error:
        _say(str(error))
        return Exit.FAILED
    for name, reason in placement.missing.items():
        _say(f"{name}: {reason}")
    lines = [f"{name}: {render_entry(located)}" for name, located in placement.placed.items()]
    lines.append(f"{placement.path}: {len(placement.placed)} placed, {len(placement.missing)} not found")
    return _print_result("\n".join(lines) + "\n", Exit.DONE)


def _as_json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _print_result(text: str, outcome: int) -> int:
    """Write *text* and what stands before it to standard output; *outcome*, or 1 if it could not be written.

    A reader who left early, as `head` does, changes nothing about the outcome.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"standard output: {error.strerror}")
            return Exit.FAILED
    return outcome


def _say(text: str) -> None:
    for line in text.split("\n"):
        print(f"redirector: {_one_line(line)}", file=sys.stderr)


def _one_line(text: str) -> str:
    """*text* with what would break the line, or command the terminal, written as an escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)

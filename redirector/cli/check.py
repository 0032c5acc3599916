"""`redirector check`: load what `serve` would load, and print each problem."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from redirector.cli.options import LOADING, add_options, read_config
from redirector.cli.output import Exit, as_json, print_lines, print_result, say
from redirector.counted import counted
from redirector.errors import ConfigError, SnapshotError
from redirector.model import Host, Problem, Severity
from redirector.settings.file import COMMAND_LINE
from redirector.settings.serving import Config

if TYPE_CHECKING:
    from redirector.snapshot.load import KnownTables

STRICT = ("warnings", "errors")

SHOWN = 5
"""How many warnings of one kind stand on lines of their own; the others are counted."""

LOOKED_UP = 200
"""Networks of hosts that a second reader of the database of countries looks up."""

_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*|\S*[.:/]\S*[^.:/\s]\S*|\b[A-Z].*")
"""What tells two problems of one kind from each other: values, numbers, URLs, and all from a name on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that decide what is loaded, and how it is said."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--strict",
        nargs="?",
        const=STRICT[0],
        choices=STRICT,
        help="exit 1 for warnings too; --strict=errors: for errors alone",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="each warning on a line of its own, however many are alike; with --shares all countries and cities",
    )
    parser.add_argument(
        "--against", metavar="SOURCE", help="print only what is new in comparison with this source, such as a branch"
    )
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
    from redirector.cli.loading import load_as_served
    from redirector.snapshot.check import NAMED
    from redirector.snapshot.load import KnownTables
    from redirector.sources.clients import load_clients

    now, known = time.time(), KnownTables()
    named = sys.maxsize if arguments.all or arguments.against else NAMED
    problems: Sequence[Problem]
    shares = None
    try:
        snapshot = load_as_served(config, now, known, named)
        if arguments.shares:
            shares = find_shares(snapshot, load_clients(config.clients).weights if config.clients else {})
        served, counts = True, asdict(snapshot.counts)
        problems = (*snapshot.problems, *_doubts(config.geoip, snapshot.hosts, known))
    except SnapshotError as error:
        served, problems, counts = False, error.problems, {}
    gone = None
    if arguments.against:
        try:
            before = load_as_served(replace(config, source=arguments.against), now, known, named).problems
        except SnapshotError as error:
            _refuse_unreadable(arguments.against, error)
            say(f"{arguments.against} itself cannot be served: what is wrong there too is left out")
            before = tuple(error.problems)
        problems, gone = find_new(problems, config.source, before, arguments.against)
    for severity in Severity:
        counts[f"{severity.value}s"] = sum(problem.severity is severity for problem in problems)
    counting = {None: 0, "errors": counts["errors"], "warnings": len(problems)}[arguments.strict]
    outcome = Exit.DONE if served and not counting else Exit.FAILED
    ordered = sorted(problems, key=lambda problem: (not problem.fatal, problem.severity is not Severity.ERROR))
    if arguments.json:
        rows = [asdict(problem) | {"severity": problem.severity.value} for problem in ordered]
        told: dict[str, object] = {"served": served, "problems": rows, "counts": counts}
        if gone is not None:
            told["gone"] = gone
        if shares is not None:
            told["shares"] = shares.as_json()
        return print_result(as_json(told), outcome)
    lines = [*tell_shares(shares, arguments.all).split("\n")] if shares is not None else []
    lines += lines_of(ordered, arguments.all)
    if gone is not None:
        verb = "is" if gone == 1 else "are"
        lines.append(f"{counted(len(problems), 'new problems')}, {gone:,} that {arguments.against} has {verb} gone")
    lines.append(", ".join(counted(number, name.replace("_", " ")) for name, number in counts.items()))
    return print_lines(lines, outcome)


def _refuse_unreadable(path: str, error: SnapshotError) -> None:
    """Raise ConfigError where *path*, which cannot be served, is no source at all: compared with nothing each problem
    would be new, and whoever mistyped would not hear of it. A tree with a broken file is one."""
    from redirector.sources.mirrors_d.load import CONFIG_FILE

    try:
        with open(os.path.join(path, CONFIG_FILE), "rb"):
            return
    except OSError:
        text = f"no source to compare with: {error.problems[0].text}"
        raise ConfigError(COMMAND_LINE, "--against", path, text) from None


def _doubts(path: str | None, hosts: Sequence[Host], known: KnownTables) -> Iterator[Problem]:
    """Where a second reader of the database says something else: of an address in every fourth /8, and of networks of
    hosts, as far as they are few."""
    from redirector.locate.geoip import load_geoip
    from redirector.locate.second_reader import find_doubts

    if path is None:
        return
    networks = [network for host in hosts for network in host.netblocks[:1]][:LOOKED_UP]
    addresses = [bytes((first, 1, 1, 1)) for first in range(1, 224, 4)]
    addresses += [network.network_address.packed for network in networks]
    database = known.load(load_geoip, path)
    for doubt in find_doubts(path, {address: database.find(address).country for address in addresses}):
        yield Problem(Severity.ERROR, path, "file", doubt)


def lines_of(problems: Sequence[Problem], each: bool) -> Iterator[str]:
    """A line for each problem: `PATH: KEY: error: text`; of many warnings of one kind, where it first occurs, the first
    few and how many more there are.

    each  all of them
    """
    kinds: dict[tuple[str, ...], list[Problem]] = {}
    for problem in problems:
        if problem.severity is Severity.ERROR or each:
            yield line_of(problem)
        else:
            kinds.setdefault(kind_of(problem), []).append(problem)
    for alike in kinds.values():
        shown = alike if len(alike) <= SHOWN + 1 else alike[:SHOWN]
        yield from map(line_of, shown)
        if len(alike) > len(shown):
            more = counted(len(alike) - len(shown), "more warnings")
            yield f"  and {more} of this kind: {alike[0].key.partition(' ')[0]}; --all shows each"


def line_of(problem: Problem) -> str:
    """*problem* on a line, with its severity."""
    return f"{problem.path}: {problem.key}: {problem.severity.value}: {problem.text}"


def kind_of(problem: Problem) -> tuple[str, ...]:
    """What problems of one kind have in common: the key without what it is about, and the words without names."""
    return (problem.key.partition(" ")[0], _PARTICULAR.sub("…", problem.text))


def find_new(
    problems: Sequence[Problem], source: str, before: Sequence[Problem], other: str
) -> tuple[list[Problem], int]:
    """Those of *problems*, of *source*, that *before*, of *other*, does not have; and how many only that has."""
    known = Counter(_plain(problem, other) for problem in before)
    new = []
    for problem in problems:
        plain = _plain(problem, source)
        if known[plain]:
            known[plain] -= 1
        else:
            new.append(problem)
    return new, known.total()


def _plain(problem: Problem, source: str) -> tuple[str, str, str]:
    """*problem* without where its source lies; one that became an error is new."""
    folder = source.rstrip("/")
    inside = re.compile(rf"(?<![\w./-]){re.escape(folder)}(?=/)")  # `base` is a word of many texts, too
    path, text = (
        "SOURCE" if part.rstrip("/") == folder else inside.sub("SOURCE", part) for part in (problem.path, problem.text)
    )
    return problem.severity.value + path, problem.key, text

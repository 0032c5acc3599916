"""`redirector diff`: what a change does to clients, before it is served."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from redirector.cli.options import LOADING, add_options, flags_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError, SnapshotError
from redirector.one_line import one_line
from redirector.settings.file import COMMAND_LINE, load_config
from redirector.settings.option import Given, number, whole
from redirector.settings.serving import Config

if TYPE_CHECKING:
    from redirector.snapshot.snapshot import Snapshot

_NEW = {"health": "FILE", "choice": "NAME", "share_limit": "X"}
"""Keys that the second side may have for itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sources, what only the second side has, and how it is said."""
    parser.add_argument("old", metavar="OLD", help="the source that is served")
    parser.add_argument("new", metavar="NEW", nargs="?", help="the source that would be; none: the same")
    for key, metavar in _NEW.items():
        flag = f"--{key.replace('_', '-')}"
        parser.add_argument(f"--new-{flag[2:]}", metavar=metavar, help=f"{flag} of the second side alone")
    parser.add_argument("--sample", metavar="N", default="100000", help="how many clients are asked about (100000)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    form.add_argument("--markdown", action="store_true", help="for a comment in a review")
    parser.add_argument("--max-moved", metavar="SHARE", help="exit 1 if more clients than this share, 0 to 1, move")
    add_options(parser, Config, LOADING - {"source"})


def run(arguments: argparse.Namespace) -> int:
    """Print the difference."""
    count = whole(1, 10_000_000)(Given(COMMAND_LINE, "--sample", arguments.sample))
    most = None
    if arguments.max_moved is not None:
        most = number(0, 1)(Given(COMMAND_LINE, "--max-moved", arguments.max_moved))
    if "source" in arguments:
        raise ConfigError(COMMAND_LINE, "--source", arguments.source, "diff names its sources: diff OLD [NEW]")
    flags = flags_of(arguments)
    given = {key: value for key in _NEW if (value := getattr(arguments, f"new_{key}")) is not None}
    if arguments.new is None and not given:
        raise ConfigError(COMMAND_LINE, "NEW", None, "a second source is needed, or one of the --new- options")
    old = load_config({**flags, "source": arguments.old})
    new = load_config({**flags, "source": arguments.new or arguments.old, **given})
    from redirector.answer.compare.compare import compare
    from redirector.answer.compare.telling import as_markdown, as_text
    from redirector.snapshot.load import KnownTables, load_snapshot
    from redirector.sources.clients import load_clients

    now = time.time()
    try:
        clients = load_clients(old.clients).weights if old.clients else {}
        known = KnownTables()
        before = load_snapshot(old, now, known=known, lint=False)
        after = load_snapshot(new, now, known=known, lint=False)
        if "health" in flags:
            _refuse_unbelieved(before, old.health)
        if "health" in flags or "health" in given:
            _refuse_unbelieved(after, new.health)
        difference = compare(before, after, count, clients)
    except SnapshotError as error:
        say(str(error))
        return Exit.FAILED
    outcome = Exit.DONE
    if most is not None and difference.moved > most:
        say(f"{difference.moved:.2%} of clients get another mirror first, and --max-moved allows {most:.2%}")
        outcome = Exit.FAILED
    if arguments.json:
        return print_result(as_json(difference.as_json()), outcome)
    text = as_markdown(difference) if arguments.markdown else as_text(difference)
    return print_result("\n".join(map(one_line, text.split("\n"))), outcome)


def _refuse_unbelieved(snapshot: Snapshot, path: str | None) -> None:
    """Raise SnapshotError when the health file *path*, which was asked for by a flag, is in nothing of *snapshot*: what
    it would do to clients nobody could say."""
    if snapshot.health_checked is None:
        raise SnapshotError([problem for problem in snapshot.problems if problem.path == path])

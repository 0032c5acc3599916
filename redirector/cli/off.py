"""`redirector off`: have a running server give a host to nobody."""

from __future__ import annotations

import argparse
import re

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_outcome
from redirector.errors import ConfigError

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The host, for how long and why, and where the server listens."""
    parser.add_argument("host", metavar="NAME", help="the host's name")
    parser.add_argument(
        "--for", dest="duration", metavar="TIME", help="such as 30m, 2h or 3d; else until `redirector on NAME`"
    )
    parser.add_argument("--why", metavar="TEXT", help="for people who see the host")
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, wait until it is done, and print what changed."""
    seconds = None if arguments.duration is None else _seconds(arguments.duration)
    query = {"host": arguments.host, "for": seconds, "why": arguments.why}
    return asking.run(arguments, "/-/off", show_outcome, "POST", query)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text.strip())
    if found is None or int(found[1]) == 0:
        raise ConfigError("command line", "--for", text, "a time is needed, such as 30m, 2h or 3d")
    return int(found[1]) * _UNITS_S[found[2]]

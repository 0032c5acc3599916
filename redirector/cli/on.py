"""`redirector on`: have a running server give a host to clients again."""

from __future__ import annotations

import argparse

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The host, and where the server listens."""
    parser.add_argument("host", metavar="NAME", help="the host's name")
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, wait until it is done, and print what changed."""
    return asking.run(arguments, "/-/on", show_outcome, "POST", {"host": arguments.host})

"""`redirector reload`: have a running server read its inputs again."""

from __future__ import annotations

import argparse

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be overridden, and where the server listens."""
    parser.add_argument(
        "--allow",
        dest="allowed",
        metavar="WHAT",
        help="take what would be refused: `shrink` (less than half is left), `older`, or both",
    )
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, wait until it is done, and print what changed."""
    return asking.run(arguments, "/-/reload", show_outcome, "POST", {"allow": arguments.allowed})

"""`redirector show`: all that a running server knows of one host."""

from __future__ import annotations

import argparse

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_host


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The host, and where the server listens."""
    parser.add_argument("host", metavar="NAME", help="the host's name")
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and print."""
    return asking.run(arguments, "/hosts", show_host, query={"host": arguments.host})

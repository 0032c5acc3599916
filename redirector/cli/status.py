"""`redirector status`: how a running server is."""

from __future__ import annotations

import argparse

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the server listens."""
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and print."""
    return asking.run(arguments, "/status", show_status)

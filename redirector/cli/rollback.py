"""`redirector rollback`: have a running server go back to the inputs before the last."""

from __future__ import annotations

import argparse

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the server listens."""
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, wait until it is done, and print what changed."""
    return asking.run(arguments, "/-/rollback", show_outcome, "POST")

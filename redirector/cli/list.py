"""`redirector list`: the hosts of a running server, and how each stands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from redirector.cli.operating import asking
from redirector.cli.operating.showing import show_hosts
from redirector.model import Standing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the server listens, and which hosts are wanted."""
    states = ", ".join(each.value for each in Standing)
    parser.add_argument(
        "--only",
        metavar="STATE",
        help=f"hosts of one state: {states}; public, private, local; problems; or what the checker says, such as stale",
    )
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and print."""

    def show(told: Mapping[str, Any]) -> str:
        return show_hosts(told["hosts"])

    return asking.run(arguments, "/hosts", show, query={"only": arguments.only})

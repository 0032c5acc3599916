"""`redirector mirror`: what people who run a mirror need."""

from __future__ import annotations

import argparse

from redirector.cli.mirroring import check, init, report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser a command below `mirror`."""
    commands = parser.add_subparsers(prog=parser.prog, metavar="COMMAND", required=True, title="commands")
    for module in (init, check, report):
        module.add_command(commands)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    code: int = arguments.action(arguments)
    return code

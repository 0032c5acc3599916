"""`redirector registry`: what the forms do, by the same rules; and import, publication, accounts."""

from __future__ import annotations

import argparse

from redirector.cli.registering import (
    accounts,
    catalogue,
    events,
    exporting,
    hosts,
    house,
    importing,
    publishing,
    serving,
    sites,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser a command below `registry`."""
    commands = parser.add_subparsers(prog=parser.prog, metavar="COMMAND", required=True, title="commands")
    for module in (house, accounts, sites, hosts, catalogue, events, importing, publishing, exporting, serving):
        module.add_commands(commands)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    code: int = arguments.action(arguments)
    return code

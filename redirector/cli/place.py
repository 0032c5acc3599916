"""`redirector place`: find out where mirrors are that do not say so."""

from __future__ import annotations

import argparse
import time

from redirector.cli.options import add_options, read_config
from redirector.cli.output import Exit, print_result, say
from redirector.errors import SnapshotError
from redirector.settings.serving import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The tree and the database."""
    add_options(parser, Config, ("source", "config", "geoip"))


def run(arguments: argparse.Namespace) -> int:
    """Look up, write the file, and print what was found."""
    config = read_config(arguments)
    from redirector.cli.placing import place_mirrors, render_entry

    try:
        placement = place_mirrors(config, time.time())
    except SnapshotError as error:
        say(str(error))
        return Exit.FAILED
    for name, reason in placement.missing.items():
        say(f"{name}: {reason}")
    lines = [f"{name}: {render_entry(located)}" for name, located in placement.placed.items()]
    lines.append(f"{placement.path}: {len(placement.placed)} placed, {len(placement.missing)} not found")
    return print_result("\n".join(lines) + "\n", Exit.DONE)

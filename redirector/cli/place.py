"""`redirector place`: find out where mirrors are that do not say so."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from redirector.cli.options import add_options, read_config
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import SnapshotError
from redirector.settings.serving import Config

if TYPE_CHECKING:
    from redirector.cli.placing import Placement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The tree and the database."""
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
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
    if arguments.json:
        return print_result(as_json(_as_object(placement)), Exit.DONE)
    lines = [f"{name}: {render_entry(located)}" for name, located in placement.placed.items()]
    lines.append(f"{placement.path}: {len(placement.placed)} placed, {len(placement.missing)} not found")
    return print_result("\n".join(lines) + "\n", Exit.DONE)


def _as_object(placement: Placement) -> dict[str, Any]:
    placed = {
        name: {
            "country": located.country,
            "latitude": located.place.latitude if located.place else None,
            "longitude": located.place.longitude if located.place else None,
        }
        for name, located in placement.placed.items()
    }
    return {"path": placement.path, "placed": placed, "missing": dict(placement.missing)}

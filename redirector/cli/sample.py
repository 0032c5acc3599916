"""`redirector sample`: a made-up distribution to begin with, copied into a folder."""

from __future__ import annotations

import argparse
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import redirector
from redirector.cli.output import Exit, as_json, print_result, say

INSTALLED = os.path.join("share", "redirector", "sample")
"""Where it is below the folder of an environment, see `setup.py`."""

CONFIG = "redirector.yml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("folder", metavar="DIR", help="a folder that is not there yet, or is empty")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Copy the sample, and say how it is served."""
    folder = Path(arguments.folder)
    sample = next((each for each in _places() if (each / CONFIG).is_file()), None)
    if sample is None:
        say("the sample was not installed with this package; it is in the folder data of its source")
        return Exit.FAILED
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            say(f"{folder} is there already, and not empty")
            return Exit.FAILED
        shutil.copytree(sample, folder, dirs_exist_ok=True)
    except OSError as error:
        say(f"{folder}: {error.strerror or error}")
        return Exit.FAILED
    config = folder / CONFIG
    if arguments.json:
        return print_result(as_json({"folder": str(folder), "config": str(config)}), Exit.DONE)
    return print_result(f"redirector check --config {config}\nredirector serve --config {config}\n", Exit.DONE)


def _places() -> Iterator[Path]:
    """Where it may lie: in a clone, in the environment, in that of the user alone."""
    yield Path(redirector.__file__).parents[1] / "data"
    for scheme in {sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")}:
        yield Path(sysconfig.get_path("data", scheme)) / INSTALLED

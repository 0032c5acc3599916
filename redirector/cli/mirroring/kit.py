"""The kit that a command goes by."""

from __future__ import annotations

import argparse
import os

from redirector.errors import ConfigError
from redirector.files import explain_failure, read_bytes
from redirector.kit.wishes import FILE_NAME, Wishes, parse_wishes

_LIMIT_BYTES = 1 << 20


def add_kit(parser: argparse.ArgumentParser) -> None:
    """`--kit DIR`"""
    parser.add_argument("--kit", metavar="DIR", default=".", help=f"the folder with {FILE_NAME} (default: this one)")


def read_kit(arguments: argparse.Namespace) -> Wishes:
    """What the kit's file says. Raises ConfigError."""
    path = os.path.join(arguments.kit, FILE_NAME)
    try:
        raw = read_bytes(path, _LIMIT_BYTES)
    except (OSError, ValueError) as error:
        text = f"{explain_failure(error)}; redirector mirror init makes one, --kit names its folder"
        raise ConfigError(path, FILE_NAME, None, text) from None
    return parse_wishes(raw, path)

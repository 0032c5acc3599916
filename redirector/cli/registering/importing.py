"""`registry import`."""

from __future__ import annotations

import argparse

from redirector.cli.registering.common import Commands


def add_commands(commands: Commands) -> None:
    """Nothing yet."""


def _none(arguments: argparse.Namespace) -> int:
    return 0

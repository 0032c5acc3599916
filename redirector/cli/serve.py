"""`redirector serve`: load, check, and answer until SIGTERM."""

from __future__ import annotations

import argparse

from redirector.cli.options import add_options, read_config
from redirector.settings.serving import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    add_options(parser, Config)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    config = read_config(arguments)
    from redirector.server.supervisor.supervisor import serve

    return serve(config, lambda: read_config(arguments))

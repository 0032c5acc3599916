"""`redirector registry serve`: the API and the pages."""

from __future__ import annotations

import argparse
from dataclasses import replace

from redirector.cli.options import add_options, flags_of
from redirector.cli.output import Exit, say
from redirector.cli.registering.common import Commands, add_command, desk_of, guarded, join_of
from redirector.registry.secrets import KeyFileError, read_key_file
from redirector.registry.signing import read_sign_key
from redirector.settings.file import load_job
from redirector.settings.mail import Telling
from redirector.settings.oidc import LoggingIn
from redirector.settings.web import Web


def add_commands(commands: Commands) -> None:
    """`serve`."""
    parser = add_command(
        commands, "serve", "forms, API and pages: a process and listener of its own", _serve, links=True
    )
    add_options(parser, Web)


def _serve(arguments: argparse.Namespace) -> int:
    desk = desk_of(arguments)
    flags = flags_of(arguments)
    settings = load_job(Web, flags)
    try:
        cipher = read_key_file(desk.key_file)
        signer = None if desk.registry.sign_key is None else read_sign_key(desk.registry.sign_key)
    except KeyFileError as error:
        say(str(error))
        return Exit.WRONG_USAGE
    house = replace(desk.house(), cipher=cipher)
    from redirector.web.serving import Wanted, serve

    telling = load_job(Telling, flags)
    wanted = Wanted(
        settings,
        house,
        desk.network.url or "",
        join_of(desk),
        telling,
        signer,
        load_job(LoggingIn, flags).oidc,
        desk.crawl.allow_address,
    )
    return guarded(serve(desk.database, wanted))

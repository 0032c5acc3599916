"""`registry export`: who may pull from whom, what changed, tiers, mirmon's list."""

from __future__ import annotations

import argparse
import time

from redirector.cli.output import Exit, print_result
from redirector.cli.registering.common import Commands, add_command, desk_of, guarded
from redirector.registry.edit.change import Change
from redirector.registry.exporting import NAMES, Wish, export
from redirector.registry.exports import FORMATS
from redirector.registry.permits import OPERATOR
from redirector.store.opening import open_store


def add_commands(commands: Commands) -> None:
    """`export`."""
    parser = add_command(commands, "export", "print what others need to know of the network", _export)
    parser.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    parser.add_argument(
        "--host", metavar="NAME", help="rsync-acl: who may pull from this host; exclusions: what it leaves out"
    )
    parser.add_argument("--tier", metavar="N", help="rsync-acl: hosts of this tier alone")
    parser.add_argument("--format", choices=FORMATS, default="plain", help="rsync-acl: how addresses are written")
    parser.add_argument("--categories", metavar="A,B", default="", help="rsync-filter: of these categories")
    parser.add_argument("--since", metavar="EPOCH", default="0", help="rsync-filter: what changed after this time")
    parser.add_argument("--stripprefix", metavar="PATH", default="", help="rsync-filter: the start that paths lack")
    parser.add_argument("--mail", dest="with_mail", action="store_true", help="mirmon: with contacts")


def _export(arguments: argparse.Namespace) -> int:
    desk = desk_of(arguments)
    wish = Wish(
        host=arguments.host,
        tier=arguments.tier,
        layout="json" if arguments.json else arguments.format,
        categories=arguments.categories,
        since=arguments.since,
        strip=arguments.stripprefix,
        mail=arguments.with_mail,
    )

    async def run() -> int:
        async with await open_store(desk.database) as store, store.read() as connection:
            text = await export(Change(connection, OPERATOR, int(time.time()), desk.house()), arguments.name, wish)
        return print_result(text, Exit.DONE)

    return guarded(run())

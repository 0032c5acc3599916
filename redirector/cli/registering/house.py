"""`registry init`: the tables and the key file."""

from __future__ import annotations

import argparse
import os

from redirector.cli.output import Exit, as_json, print_result
from redirector.cli.registering.common import Commands, Desk, add_command, desk_of, guarded
from redirector.errors import StoreError
from redirector.registry.secrets import KeyFileError, make_key_file, read_key_file
from redirector.store.opening import open_store


def add_commands(commands: Commands) -> None:
    """`init`."""
    parser = add_command(commands, "init", "create or migrate the database, make the key file", _init)
    parser.add_argument("--check", action="store_true", help="say what is pending, and do nothing")


def _init(arguments: argparse.Namespace) -> int:
    desk = desk_of(arguments)
    return guarded(_check(desk, arguments.json) if arguments.check else _make(desk, arguments.json))


async def _make(desk: Desk, json: bool) -> int:
    async with await open_store(desk.database, migrate=True) as store:
        shown = store.url
    made = make_key_file(desk.key_file)
    read_key_file(desk.key_file)
    if json:
        return print_result(as_json({"database": shown, "key_file": desk.key_file, "key_made": made}), Exit.DONE)
    key = "made: keep a copy of it apart from the database's" if made else "is there"
    return print_result(f"database {shown}: its tables are up to date\nkey file {desk.key_file}: {key}\n", Exit.DONE)


async def _check(desk: Desk, json: bool) -> int:
    """Exit 1 when something is pending."""
    pending: list[str] = []
    scheme, _, path = desk.database.partition(":///")
    if scheme == "sqlite" and not os.path.exists(path):
        pending.append(f"database {desk.database}: is not there yet: `redirector registry init` makes it")
    else:
        try:
            async with await open_store(desk.database, migrate=False):
                pass
        except StoreError as error:
            pending.append(f"database {error}")
    try:
        read_key_file(desk.key_file)
    except KeyFileError as error:
        pending.append(f"key file {error}")
    outcome = Exit.FAILED if pending else Exit.DONE
    if json:
        return print_result(as_json({"pending": pending}), outcome)
    return print_result("".join(f"{line}\n" for line in pending) or "nothing is pending\n", outcome)

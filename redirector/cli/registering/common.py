"""What every command of the registry shares: its options, its database, how it ends."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redirector.cli.options import flags_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import SnapshotError, StoreError
from redirector.health.rules import Rules
from redirector.one_line import one_line
from redirector.registry.edit.change import Change, House
from redirector.registry.permits import OPERATOR
from redirector.registry.publish.output import PublishError
from redirector.registry.refusals import RegistryError
from redirector.registry.secrets import Cipher, KeyFileError, read_key_file
from redirector.registry.signing import read_sign_key
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_job
from redirector.settings.joining import Join, Joining
from redirector.settings.mail import Telling
from redirector.settings.network import Network, database_url
from redirector.settings.option import default_text, options_of
from redirector.settings.registry import Registry, RegistryAtTop, key_file_path
from redirector.store.opening import Store, open_store

_KEYS = {"config", *(key for job in (Network, Registry) for key, _ in options_of(job))}
"""Attributes of the arguments that are settings; words of a command may be called like settings of other jobs."""

Commands = Any
"""What `add_subparsers` returns; argparse has no public name for it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command works: the settings, and the files they lead to. *mails*: somebody takes our mail."""

    network: Network
    registry: Registry
    crawl: Crawl
    config: str | None
    mails: bool = False

    @property
    def database(self) -> str:
        """The store's URL."""
        return database_url(self.network, self.config)

    @property
    def key_file(self) -> str:
        """The key file's path."""
        return key_file_path(self.registry, self.config)

    def rules(self) -> Rules:
        """By which crawls of this configuration judge."""
        return Rules(interval_s=self.crawl.interval_s).paced(self.crawl.pace)

    def house(self) -> House:
        """What the operator settled; without a key file no passwords can be kept."""
        cipher: Cipher | None
        try:
            cipher = read_key_file(self.key_file)
        except KeyFileError:
            cipher = None
        return House(cipher=cipher, allow_ftp=self.registry.allow_ftp, pages=self.network.url or "", mails=self.mails)


def join_of(desk: Desk) -> Join:
    """What whoever wants to become a mirror is told."""
    return load_job(Joining, {"config": desk.config} if desk.config else {}).join


def sign_key_of(registry: Registry) -> str:
    """The public half of the key that release notices are signed with; "" when none is named, or it cannot be read."""
    if registry.sign_key is None:
        return ""
    try:
        return read_sign_key(registry.sign_key).public
    except KeyFileError as error:
        say(f"{error}: the page that tells how to verify notices lacks it")
        return ""


def add_command(
    commands: Commands, name: str, text: str, action: Callable[[argparse.Namespace], int], *, links: bool = False
) -> argparse.ArgumentParser:
    """A command below `registry`, or below one of its nouns, with the options that all have.

    links  it prints links to pages, and so takes `--url`; elsewhere that is a field
    """
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(action=action)
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    group = parser.add_argument_group("options", argument_default=argparse.SUPPRESS)
    group.add_argument("--config", metavar="FILE", help="YAML file of keys")
    for job in (Network, Registry):
        for key, option in options_of(job):
            if key != "url" or links:
                text = f"{option.help} (default: {default_text(job, key)})".replace("%", "%%")
                group.add_argument(option.flag, dest=key, metavar=option.metavar, help=text)
    return parser


def desk_of(arguments: argparse.Namespace) -> Desk:
    """The settings. Raises ConfigError."""
    flags = {key: value for key, value in flags_of(arguments).items() if key in _KEYS}
    registry = load_job(Registry, flags, elsewhere=RegistryAtTop)
    mails = load_job(Telling, flags).mail is not None
    config = getattr(arguments, "config", None)
    return Desk(load_job(Network, flags), registry, load_job(Crawl, flags), config, mails)


def guarded(work: Awaitable[int]) -> int:
    """Run *work* and say in a line why it was refused."""

    async def run() -> int:
        return await work

    try:
        return asyncio.run(run())
    except (RegistryError, StoreError, PublishError, SnapshotError, KeyFileError) as error:
        say(str(error))
    except OSError as error:
        say(f"{error.filename or 'file'}: {error.strerror or error}")
    return Exit.FAILED


Work = Callable[[Change], Awaitable[object]]


def run_change(
    arguments: argparse.Namespace, work: Work, show: Callable[[Any], str] | None = None, *, write: bool = True
) -> int:
    """Run *work* in one transaction of the store and print what it returns: as JSON, or by *show*."""
    desk = desk_of(arguments)

    async def run() -> int:
        async with await open_store(desk.database) as store:
            result = await in_transaction(store, desk.house(), work, write=write)
        if arguments.json:
            return print_result(as_json(result), Exit.DONE)
        return print_result(show(result) if show else "", Exit.DONE)

    return guarded(run())


async def in_transaction(store: Store, house: House, work: Work, *, write: bool) -> object:
    """What *work* returns for a change by the operator."""
    async with store.write() if write else store.read() as connection:
        return await work(Change(connection, OPERATOR, int(time.time()), house, lax=True))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Lines of columns, with their names above."""
    if not rows:
        return ""
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells)
    return "".join(f"{line}\n" for line in lines)


def card(view: Mapping[str, Any]) -> str:
    """One thing, a field a line."""
    return "".join(f"{name}: {_cell(value)}\n" for name, value in view.items())


def _cell(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    return one_line(str(value)) or "-"

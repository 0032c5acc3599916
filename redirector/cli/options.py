"""The options of a job as flags of its command, and what was given for them."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence

from redirector.model import Network
from redirector.settings.file import load_config, load_key
from redirector.settings.jobs import JOBS
from redirector.settings.option import Given, default_text, options_of, parse_network
from redirector.settings.serving import Config

LOADING = frozenset(
    "source config health geoip asn continents minimum compatibility choice share_limit clients order_window_s "
    "trusted_proxies state newest_s".split()
)
"""Keys of `Config` that decide what is loaded, and so matter to every command that loads it."""


def add_options(parser: argparse.ArgumentParser, job: type, shown: Collection[str] | None = None) -> None:
    """Add the flags of *job*'s settings; those that are given become attributes of the arguments.

    shown  keys that the command uses, and its help shows; the others are accepted all the same, so that one list of
           options does for all commands. None: all
    """
    known = {action.dest for action in parser._actions}
    group = parser.add_argument_group("options", argument_default=argparse.SUPPRESS)
    for key, option in options_of(job):
        if not option.flag or key in known or option.flag in parser._option_string_actions:
            continue  # another job has it, or the command itself has an option of that name
        text = f"{option.help} (default: {default_text(job, key)})".replace("%", "%%")
        if option.switch:
            help_text = text if is_shown_by(shown, key) else argparse.SUPPRESS
            group.add_argument(option.flag, dest=key, action="store_const", const=option.switch, help=help_text)
            continue
        group.add_argument(
            option.flag,
            dest=key,
            metavar=option.metavar,
            action="append" if option.repeat else "store",
            help=text if is_shown_by(shown, key) else argparse.SUPPRESS,
        )


def is_shown_by(shown: Collection[str] | None, key: str) -> bool:
    """Whether a command's help shows an option."""
    return shown is None or key in shown


def flags_of(arguments: argparse.Namespace) -> dict[str, str | Sequence[str]]:
    """What was given for the options of all jobs: key -> what stood behind its flag."""
    keys = {key for job in JOBS for key, _ in options_of(job)}
    return {key: getattr(arguments, key) for key in keys if key in arguments}


def read_config(arguments: argparse.Namespace) -> Config:
    """The settings of the answering half. Raises ConfigError."""
    return load_config(flags_of(arguments))


def table_of(flags: Mapping[str, str | Sequence[str]], key: str) -> str | None:
    """The path of a table of addresses, `geoip` or `asn`, for commands that can do without; None when none is given."""
    given = {name: value for name, value in flags.items() if name in (key, "config")}
    path = load_key(Config, key, given) if given else None
    return path if isinstance(path, str) else None


def add_also_asked(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--allow-address`, with *text* as its help: networks that this command may ask, though not global."""
    parser.add_argument("--allow-address", dest="also_asked", metavar="CIDR", action="append", default=[], help=text)


def read_also_asked(arguments: argparse.Namespace) -> tuple[Network, ...]:
    """What was given for it. Raises ConfigError."""
    return tuple(parse_network(Given("command line", "--allow-address", each)) for each in arguments.also_asked)

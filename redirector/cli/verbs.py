"""The commands: a name, what it does, and the module that is imported when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from redirector.errors import ConfigError


class VerbModule(Protocol):
    """What a module of this folder offers for its command."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Verb:
    """One command.

    usage  what follows its name, besides options
    extra  the extra of the package without which it cannot run; "" when the package alone is enough
    """

    name: str
    help: str
    usage: str = ""
    extra: str = ""

    def load(self) -> VerbModule:
        """The command's module. Raises ConfigError when a library that it needs is not installed."""
        try:
            return cast(VerbModule, import_module(f"redirector.cli.{self.name}"))
        except ModuleNotFoundError as error:
            if not self.extra or (error.name or "").startswith("redirector"):
                raise
            way_out = f"{error.name} is not installed; pip install 'redirector[{self.extra}]' brings what it needs"
            raise ConfigError("command line", self.name, None, way_out) from None


VERBS = (
    Verb("serve", "load, check, and answer until SIGTERM"),
    Verb("check", "load what serve would load, and print each problem"),
    Verb("explain", "print how the answer to a target comes about, step by step", "TARGET --client ADDRESS "),
    Verb("sample", "write a made-up distribution to begin with", "DIR "),
    Verb("diff", "print what a change does to clients, before it is served", "OLD [NEW] "),
    Verb("status", "how a running server is"),
    Verb("list", "the hosts of a running server: state, share, first places a minute"),
    Verb("show", "all that a running server knows of one host", "NAME "),
    Verb("reload", "have a running server read its inputs again, and say what changed"),
    Verb("rollback", "have a running server go back to the inputs before the last"),
    Verb("off", "have a running server give a host to nobody, for a while", "NAME "),
    Verb("on", "have a running server give a host to clients again", "NAME "),
    Verb("scan", "read the masters: what is there, and since which push", extra="network"),
    Verb("crawl", "visit the mirrors, judge them, and write the health file", extra="network"),
    Verb("registry", "keep the mirror network: its sites, hosts, and what is published of them", "COMMAND ", "network"),
    Verb("health", "what is known of the mirrors, or of one: states, visits, evidence", "[NAME] ", "network"),
    Verb(
        "mirror",
        "what people who run a mirror need: its files, a check from outside, reports",
        "init|check|report ",
        "network",
    ),
    Verb("pages", "write the public pages as files", "DIR ", "network"),
    Verb("place", "look mirrors without a place up (DNS, then --geoip) and write the tree's places file"),
    Verb("stats", "count what access logs say, and give it out", "add|export|trim|show ", "network"),
    Verb("manual", "the manual page, and completion for shells", "[man|bash|zsh] "),
)

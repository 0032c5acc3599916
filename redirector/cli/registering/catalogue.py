"""`registry category`, `repository`, `redirect`, `release`: what belongs to no site."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redirector.cli.registering.common import Commands, add_command, card, run_change, table
from redirector.cli.registering.fields import add_fields, body_of
from redirector.registry.edit import catalogue
from redirector.registry.edit.change import Change
from redirector.registry.refusals import Missing
from redirector.registry.rules import name_key

_KEY_HELP = {
    "name": "its name",
    "prefix": "what clients ask for, such as `example-43`",
    "arch": "the architecture, such as `x86_64`",
    "kind": "`repository`, `continent` or `country`",
    "source": "the name that stands for another",
    "product": "what it is a release of",
    "version": "its version, such as `43`",
}
"""What the words mean that name one."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind. *key*: the fields that name one, each a word on the command line; *switch*: verbs that set a field."""

    name: str
    text: str
    does: catalogue.Kind
    key: Sequence[str]
    switch: Mapping[str, tuple[str, object]] = field(default_factory=dict)

    @property
    def columns(self) -> Sequence[str]:
        """What a list shows."""
        return ("id", *self.does.noun.model_fields)

    def list(self, arguments: argparse.Namespace) -> int:
        """List all."""

        async def work(change: Change) -> object:
            return [self.does.view(row) for row in await self.does.list(change)]

        return run_change(arguments, work, lambda rows: table(rows, self.columns), write=False)

    def show(self, arguments: argparse.Namespace) -> int:
        """Show one."""

        async def work(change: Change) -> object:
            return self.does.view(await self._find(change, arguments))

        return run_change(arguments, work, card, write=False)

    def add(self, arguments: argparse.Namespace) -> int:
        """Make one."""

        async def work(change: Change) -> object:
            named = {name: getattr(arguments, f"key_{name}") for name in self.key}
            return self.does.view(await self.does.create(change, body_of(arguments, self.does.noun, **named)))

        return run_change(arguments, work, card)

    def set(self, arguments: argparse.Namespace) -> int:
        """Change one."""

        async def work(change: Change) -> object:
            row = await self._find(change, arguments)
            return self.does.view(await self.does.edit(change, row.id, None, body_of(arguments, self.does.noun)))

        return run_change(arguments, work, card)

    def turn(self, verb: str) -> Callable[[argparse.Namespace], int]:
        """Set the field that *verb* stands for."""
        name, value = self.switch[verb]

        def action(arguments: argparse.Namespace) -> int:
            async def work(change: Change) -> object:
                row = await self._find(change, arguments)
                return self.does.view(await self.does.edit(change, row.id, None, {name: value}))

            return run_change(arguments, work, card)

        return action

    def remove(self, arguments: argparse.Namespace) -> int:
        """Remove one."""

        async def work(change: Change) -> object:
            row = await self._find(change, arguments)
            await self.does.delete(change, row.id, None)
            return {"removed": row.id}

        return run_change(arguments, work, card)

    async def _find(self, change: Change, arguments: argparse.Namespace) -> Any:
        wanted = [name_key(getattr(arguments, f"key_{name}")) for name in self.key]
        for row in await self.does.list(change):
            view = self.does.view(row)
            if [name_key(str(view[name])) for name in self.key] == wanted:
                return row
        raise Missing(f"there is no {self.name} {' '.join(wanted)!r:.100}")


KINDS = (
    _Kind(
        "category", "categories: what hosts sign up for", catalogue.KINDS["categories"], ("name",),
        {"on": ("joinable", True), "off": ("joinable", False)},
    ),
    _Kind(
        "repository", "repositories: a prefix and an architecture that name a directory",
        catalogue.KINDS["repositories"], ("prefix", "arch"), {"on": ("enabled", True), "off": ("enabled", False)},
    ),
    _Kind(
        "redirect", "redirects: one name that stands for another", catalogue.KINDS["redirects"], ("kind", "source")
    ),
    _Kind(
        "release", "releases, and until when they are under embargo", catalogue.KINDS["releases"],
        ("product", "version"),
    ),
)  # fmt: skip


def add_commands(commands: Commands) -> None:
    """A command for each noun."""
    for kind in KINDS:
        parser = commands.add_parser(kind.name, help=kind.text, allow_abbrev=False)
        verbs = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
        add_command(verbs, "list", "list all", kind.list)
        _named(add_command(verbs, "show", "show one", kind.show), kind)
        add_fields(_named(add_command(verbs, "add", "make one", kind.add), kind), kind.does.noun, kind.key)
        add_fields(_named(add_command(verbs, "set", "change one", kind.set), kind), kind.does.noun)
        _named(add_command(verbs, "remove", "remove one", kind.remove), kind)
        for verb, (name, value) in kind.switch.items():
            text = f"set {name} to {str(value).lower()}"
            _named(add_command(verbs, verb, text, kind.turn(verb)), kind)


def _named(parser: argparse.ArgumentParser, kind: _Kind) -> argparse.ArgumentParser:
    for name in kind.key:
        parser.add_argument(f"key_{name}", metavar=name.upper(), help=_KEY_HELP[name])
    return parser

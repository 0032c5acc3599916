"""`registry category`, `repository`, `redirect`, `release`: what belongs to no site."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redirector.cli.registering.common import Commands, add_command, card, run_change, table
from redirector.cli.registering.fields import add_fields, body_of
from redirector.registry import nouns
from redirector.registry.edit import catalogue
from redirector.registry.edit.change import Change
from redirector.registry.refusals import Missing
from redirector.registry.rules import name_key
from redirector.registry.views import show_category, show_redirect, show_release, show_repository

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
    """A noun with its functions; *key* are the fields that name one, each a word on the command line."""

    name: str
    text: str
    noun: type[nouns.Noun]
    key: Sequence[str]
    rows: Callable[[Change], Awaitable[Sequence[Any]]]
    create: Callable[[Change, object], Awaitable[Any]]
    edit: Callable[[Change, int, int | None, object], Awaitable[Any]]
    delete: Callable[[Change, int], Awaitable[None]]
    view: Callable[[Any], dict[str, Any]]
    switch: Mapping[str, tuple[str, object]]

    @property
    def columns(self) -> Sequence[str]:
        """What a list shows."""
        return ("id", *self.noun.model_fields)

    def list(self, arguments: argparse.Namespace) -> int:
        """List all."""

        async def work(change: Change) -> object:
            return [self.view(row) for row in await self.rows(change)]

        return run_change(arguments, work, lambda rows: table(rows, self.columns), write=False)

    def show(self, arguments: argparse.Namespace) -> int:
        """Show one."""

        async def work(change: Change) -> object:
            return self.view(await self._find(change, arguments))

        return run_change(arguments, work, card, write=False)

    def add(self, arguments: argparse.Namespace) -> int:
        """Make one."""

        async def work(change: Change) -> object:
            named = {name: getattr(arguments, f"key_{name}") for name in self.key}
            return self.view(await self.create(change, body_of(arguments, self.noun, **named)))

        return run_change(arguments, work, card)

    def set(self, arguments: argparse.Namespace) -> int:
        """Change one."""

        async def work(change: Change) -> object:
            row = await self._find(change, arguments)
            return self.view(await self.edit(change, row.id, None, body_of(arguments, self.noun)))

        return run_change(arguments, work, card)

    def turn(self, verb: str) -> Callable[[argparse.Namespace], int]:
        """Set the field that *verb* stands for."""
        field, value = self.switch[verb]

        def action(arguments: argparse.Namespace) -> int:
            async def work(change: Change) -> object:
                row = await self._find(change, arguments)
                return self.view(await self.edit(change, row.id, None, {field: value}))

            return run_change(arguments, work, card)

        return action

    def remove(self, arguments: argparse.Namespace) -> int:
        """Remove one."""

        async def work(change: Change) -> object:
            row = await self._find(change, arguments)
            await self.delete(change, row.id)
            return {"removed": row.id}

        return run_change(arguments, work, card)

    async def _find(self, change: Change, arguments: argparse.Namespace) -> Any:
        wanted = [name_key(getattr(arguments, f"key_{name}")) for name in self.key]
        for row in await self.rows(change):
            view = self.view(row)
            if [name_key(str(view[name])) for name in self.key] == wanted:
                return row
        raise Missing(f"there is no {self.name} {' '.join(wanted)!r:.100}")


_ON_OFF = {"on": ("enabled", True), "off": ("enabled", False)}

KINDS = (
    _Kind(
        "category",
        "categories: what hosts sign up for",
        nouns.Category,
        ("name",),
        catalogue.list_categories,
        catalogue.create_category,
        catalogue.edit_category,
        catalogue.delete_category,
        show_category,
        {"on": ("joinable", True), "off": ("joinable", False)},
    ),
    _Kind(
        "repository",
        "repositories: a prefix and an architecture that name a directory",
        nouns.Repository,
        ("prefix", "arch"),
        catalogue.list_repositories,
        catalogue.create_repository,
        catalogue.edit_repository,
        catalogue.delete_repository,
        show_repository,
        _ON_OFF,
    ),
    _Kind(
        "redirect",
        "redirects: one name that stands for another",
        nouns.Redirect,
        ("kind", "source"),
        catalogue.list_redirects,
        catalogue.create_redirect,
        catalogue.edit_redirect,
        catalogue.delete_redirect,
        show_redirect,
        {},
    ),
    _Kind(
        "release",
        "releases, and until when they are under embargo",
        nouns.Release,
        ("product", "version"),
        catalogue.list_releases,
        catalogue.create_release,
        catalogue.edit_release,
        catalogue.delete_release,
        show_release,
        {},
    ),
)


def add_commands(commands: Commands) -> None:
    """A command for each noun."""
    for kind in KINDS:
        parser = commands.add_parser(kind.name, help=kind.text, allow_abbrev=False)
        verbs = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
        add_command(verbs, "list", "list all", kind.list)
        _named(add_command(verbs, "show", "show one", kind.show), kind)
        add_fields(_named(add_command(verbs, "add", "make one", kind.add), kind), kind.noun, kind.key)
        add_fields(_named(add_command(verbs, "set", "change one", kind.set), kind), kind.noun)
        _named(add_command(verbs, "remove", "remove one", kind.remove), kind)
        for verb, (field, value) in kind.switch.items():
            text = f"set {field} to {str(value).lower()}"
            _named(add_command(verbs, verb, text, kind.turn(verb)), kind)


def _named(parser: argparse.ArgumentParser, kind: _Kind) -> argparse.ArgumentParser:
    for name in kind.key:
        parser.add_argument(f"key_{name}", metavar=name.upper(), help=_KEY_HELP[name])
    return parser

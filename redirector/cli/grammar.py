"""What the parsers know, as values: commands, their options and arguments, for the manual and for shells."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from redirector.cli.main import make_parser, make_verb_parser
from redirector.cli.verbs import VERBS
from redirector.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Word:
    """An option or an argument.

    flags    () for an argument
    value    what stands for its value; "" when it takes none
    choices  all values that it may have; () when they are not counted
    """

    flags: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `("registry", "host", "add")`; () is the program itself. *below*: names of commands in it."""

    path: tuple[str, ...]
    help: str
    words: tuple[Word, ...]
    below: tuple[str, ...] = ()


def read_grammar() -> tuple[Command, ...]:
    """The program, then every command, each before those below it.

    Of a command whose extra is not installed it is only known what it does, and which extra that is.
    """
    found = [Command((), "", (), tuple(verb.name for verb in VERBS))]
    for verb in VERBS:
        try:
            module = verb.load()
        except ConfigError:
            found.append(Command((verb.name,), f"{verb.help} (needs redirector[{verb.extra}])", ()))
            continue
        parser = make_verb_parser(verb)
        module.add_arguments(parser)
        found += _commands_of(parser, (verb.name,), verb.help)
    return tuple(found)


def common_words() -> tuple[Word, ...]:
    """The options of the program itself."""
    return tuple(_words_of(make_parser()))


def _commands_of(parser: argparse.ArgumentParser, path: tuple[str, ...], text: str) -> Iterator[Command]:
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    below = {name: each for group in groups for name, each in group.choices.items()}
    told = {each.dest: each.help or "" for group in groups for each in group._choices_actions}
    yield Command(path, text, tuple(_words_of(parser)), tuple(below))
    for name, inner in below.items():
        yield from _commands_of(inner, (*path, name), told.get(name, inner.description or ""))


def _words_of(parser: argparse.ArgumentParser) -> Iterator[Word]:
    formatter = parser._get_formatter()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        takes = action.nargs != 0
        choices = tuple(map(str, action.choices)) if action.choices is not None else ()
        name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        value = ("|".join(choices) if choices and not isinstance(action.metavar, str) else name) if takes else ""
        text = formatter._expand_help(action) if action.help else ""
        yield Word(tuple(action.option_strings), value, text, choices)

"""The manual page and the shells' completion know every command and option, and all commands keep one style."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from redirector.cli.grammar import Command, read_grammar
from redirector.cli.main import main, make_verb_parser
from redirector.cli.manual import render_completion, render_manual
from redirector.cli.verbs import VERBS, Verb
from redirector.settings.jobs import JOBS
from redirector.settings.option import options_of
from tests.patience import PATIENCE_S

COMMANDS = read_grammar()
LEAVES = [each for each in COMMANDS if each.path and not each.below]


def name_of(command: Command) -> str:
    return " ".join(command.path)


def complete(*words: str) -> set[str]:
    """What bash offers after these words, the last of which is being typed."""
    typed = " ".join(map(shlex.quote, ("redirector", *words)))
    script = (
        f"{render_completion(COMMANDS)}\nCOMP_WORDS=({typed})\nCOMP_CWORD={len(words)}\n_redirector\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_every_command_is_known() -> None:
    assert {each.path[0] for each in COMMANDS if each.path} == {verb.name for verb in VERBS}
    assert ("registry", "host", "add") in {each.path for each in COMMANDS}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("cra",), "crawl"),
        (("registry", "ho"), "host"),
        (("registry", "host", "ad"), "add"),
        (("crawl", "--int"), "--interval"),
        (("crawl", "--config", "x.yml", "--onc"), "--once"),
        (("registry", "token", "me", "--scope", ""), "read write"),
        (("serve", "--config", "x"), ""),
        (("manual", "ba"), "bash"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_bash_offers_what_may_follow(words: tuple[str, ...], offered: str) -> None:
    assert complete(*words) == set(offered.split())


def test_zsh_gets_the_same_by_its_own_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", "zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef redirector\n")
    assert text.endswith(render_completion(COMMANDS))


def requests(text: str) -> Iterator[str]:
    yield from (line.split()[0] for line in text.splitlines() if line.startswith((".", "'")))


def test_the_manual_page_names_every_option_and_no_text_becomes_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual"]) == 0
    text = capsys.readouterr().out
    assert text == render_manual(COMMANDS)
    assert set(requests(text)) == {".TH", ".SH", ".SS", ".TP", ".B"}
    plain = text.replace("\\-", "-")
    for command in COMMANDS:
        for word in command.words:
            assert all(flag in plain for flag in word.flags if flag not in ("-h", "--help"))
    assert '.SS "redirector registry host add' in plain


# -- One style ---------------------------------------------------------------------------------------------------------

LINES = {"serve", "manual"}
"""Commands that run on, or whose result is a text for another program: no other lacks `--json`."""


@pytest.mark.parametrize("command", LEAVES, ids=name_of)
def test_every_command_says_what_it_does_and_has_json_and_options_in_one_spelling(command: Command) -> None:
    assert command.help and not command.help.endswith("."), "a line without a full stop"
    assert command.help[0].islower() or command.help.startswith("AS "), "that goes on from the command's name"
    flags = [flag for word in command.words for flag in word.flags]
    assert len(flags) == len(set(flags))
    assert all(re.fullmatch(r"-h|--[a-z0-9]+(-[a-z0-9]+)*", flag) for flag in flags), flags
    assert "--json" in flags or name_of(command) in LINES, flags
    assert [word.flags or word.value for word in command.words if not word.help] == []


def options_below(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options and arguments of a command and of all commands in it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options_below(inner)
        else:
            yield action


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_no_option_of_a_command_is_read_as_a_setting(verb: Verb) -> None:
    """What has a setting's name is that setting: its flag, and nothing where it is not given."""
    settings = {key: option for job in JOBS for key, option in options_of(job)}
    parser = make_verb_parser(verb)
    verb.load().add_arguments(parser)
    for action in options_below(parser):
        if action.dest in settings:
            assert action.option_strings == [settings[action.dest].flag], action
            assert action.default == argparse.SUPPRESS, action


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.path and each.below], ids=name_of)
def test_usage_begins_with_the_words_that_are_typed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    below = command.below[0]
    assert main(["help", *command.path, below]) == 0
    assert capsys.readouterr().out.startswith(f"usage: redirector {name_of(command)} {below} ")


@pytest.mark.parametrize("command", [each for each in COMMANDS if len(each.path) == 1], ids=name_of)
def test_a_wrong_option_is_wrong_usage_everywhere(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.path, "--no-such-option"]) == 2
    out, told = capsys.readouterr()
    assert out == "" and told

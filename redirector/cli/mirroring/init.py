"""`redirector mirror init`: the files that a mirror needs, from `mirror.yml`."""

from __future__ import annotations

import argparse
import os
import sys

from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError
from redirector.files import explain_failure, write_atomically
from redirector.kit.wishes import FILE_NAME, check_answer, parse_wishes, render_file, wishes
from redirector.kit.write import render_kit
from redirector.one_line import one_line


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`mirror init DIR`"""
    parser = commands.add_parser(
        "init",
        usage="redirector mirror init DIR [OPTIONS]",
        help="write scripts, units and configurations for a mirror",
        description=f"Write the files that a mirror needs from DIR/{FILE_NAME}, which is made first where it is not "
        "there: by questions on a terminal, else with sample values.",
        allow_abbrev=False,
    )
    parser.set_defaults(action=run)
    parser.add_argument("folder", metavar="DIR", help="where they are written; made if it is not there")
    parser.add_argument(
        "--first-from", metavar="URL", help="a near mirror from which the very first synchronization may take files"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Write the kit, and say what was written."""
    folder = os.path.abspath(arguments.folder)
    path = os.path.join(folder, FILE_NAME)
    try:
        os.makedirs(folder, exist_ok=True)
        made = not os.path.exists(path)
        if made:
            write_atomically(path, render_file(_answers(arguments)).encode(), 0o644)
        with open(path, "rb") as file:
            raw = file.read()
        wanted = parse_wishes(raw, path)
        if arguments.first_from and not made:
            say(f"{path}: --first-from is for a new file; write it there as first_from")
            return Exit.WRONG_USAGE
        written = list(render_kit(wanted, folder))
        for each in written:
            write_atomically(os.path.join(folder, each.name), each.text.encode(), each.mode)
    except OSError as error:
        say(explain_failure(error))
        return Exit.FAILED
    names = [each.name for each in written]
    if arguments.json:
        return print_result(as_json({"folder": folder, "made": made, "files": names}), Exit.DONE)
    text = "".join(f"{os.path.join(folder, name)}\n" for name in names)
    if made:
        say(f"{path} was made: look at it, and run this again after a change")
    return print_result(text, Exit.DONE)


def _answers(arguments: argparse.Namespace) -> dict[str, str]:
    """What is asked on a terminal; elsewhere what the flags say."""
    answers: dict[str, str] = {}
    if arguments.first_from:
        if trouble := check_answer("first_from", arguments.first_from):
            raise ConfigError("command line", "--first-from", arguments.first_from, trouble)
        answers["first_from"] = arguments.first_from
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return answers
    for key, wish in wishes().items():
        if wish.question and key not in answers:
            answers[key] = _ask(key, wish.question, wish.sample)
    return answers


def _ask(key: str, question: str, sample: str) -> str:
    while True:
        print(f"{question} [{sample}] ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise ConfigError("terminal", key, None, "an answer is needed")
        answer = line.strip() or sample
        answer = "" if answer in ("nothing", "none") else answer
        trouble = check_answer(key, answer)
        if trouble is None:
            return answer
        print(one_line(trouble), file=sys.stderr)

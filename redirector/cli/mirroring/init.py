"""`redirector mirror init`: the files that a mirror needs, from `mirror.yml`."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import secrets
import sys
from collections.abc import Sequence
from urllib.parse import quote

from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError, FormatError
from redirector.files import explain_failure, read_bytes, write_atomically
from redirector.kit.asking import AskError, ask_registry
from redirector.kit.choosing import choose_source
from redirector.kit.exclusions import read_exclusions, read_patterns, render_patterns
from redirector.kit.wishes import FILE_NAME, Wishes, check_answer, parse_wishes, render_file, wishes
from redirector.kit.write import render_kit, render_secrets
from redirector.one_line import one_line

REGISTERED = "registered"
"""The file that keeps what the registry said is left out."""

SECRETS = "tier2.secrets"
ACL = "tier2.acl"


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
    parser.add_argument(
        "--registered",
        action="store_true",
        help="ask the registry what this mirror is registered to leave out, and leave it out",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Write the kit, and say what was written."""
    folder = os.path.abspath(arguments.folder)
    path = os.path.join(folder, FILE_NAME)
    if re.search(r"[\"'`$%\\#\n]", folder):
        raise ConfigError("command line", "DIR", folder, "a folder without quotation marks, $, %, # and \\ is needed")
    try:
        os.makedirs(folder, exist_ok=True)
        made = not os.path.exists(path)
        if made:
            write_atomically(path, render_file(_answers(arguments)).encode(), 0o644)
        with open(path, "rb") as file:
            raw = file.read()
        if arguments.first_from and not made:
            say(f"{path}: --first-from is for a new file; write it there as first_from")
            return Exit.WRONG_USAGE
        wanted = parse_wishes(raw, path, sourceless=True)
        if not wanted.source:
            raw = _with_source(raw, _choose(wanted))
            wanted = parse_wishes(raw, path)
            write_atomically(path, raw, 0o644)
            say(f"{path}: source: {wanted.source} was chosen from the registry's list")
        written = list(render_kit(wanted, folder, _left_out(arguments, wanted, folder)))
        for each in written:
            if each.name == ACL and wanted.read_token and os.path.exists(os.path.join(folder, ACL)):
                continue  # it is what the registry said last, until acl-update asks again
            write_atomically(os.path.join(folder, each.name), each.text.encode(), each.mode)
        _write_secrets(wanted, folder)
    except OSError as error:
        say(f"{error.filename or folder}: {explain_failure(error)}")
        return Exit.FAILED
    except (AskError, FormatError) as error:
        say(str(error))
        return Exit.FAILED
    names = [each.name for each in written]
    if arguments.json:
        return print_result(as_json({"folder": folder, "made": made, "files": names}), Exit.DONE)
    text = "".join(f"{os.path.join(folder, name)}\n" for name in names)
    if made:
        say(f"{path} was made: look at it, and run this again after a change")
    return print_result(text, Exit.DONE)


def _choose(wanted: Wishes) -> str:
    """Where a private mirror that names no source pulls from. Raises AskError, FormatError."""

    async def ask() -> tuple[str, str]:
        tiers = await ask_registry(f"{wanted.report}/api/v1/export/tiers")
        return tiers, await ask_registry(f"{wanted.report}/api/v1/export/public")

    chosen = choose_source(*asyncio.run(ask()), wanted.categories, wanted.country)
    if chosen is None:
        text = "no mirror of tier 1 or 2 has all of these categories by rsync, as one tree: name one as source"
        raise AskError(f"{wanted.report}: {text}")
    return chosen


def _with_source(raw: bytes, url: str) -> bytes:
    """The file *raw* with a line for the source that was chosen."""
    line = f"source: {url}".encode()
    text, times = re.subn(rb"(?m)^source:.*$", lambda _: line, raw)
    return text if times else raw.rstrip(b"\n") + b"\n" + line + b"\n"


def _left_out(arguments: argparse.Namespace, wanted: Wishes, folder: str) -> Sequence[str]:
    """Patterns of what the registry says is left out: asked for now, or as of the last time it was."""
    path = os.path.join(folder, REGISTERED)
    if not arguments.registered:
        try:
            with open(path, encoding="utf-8") as file:
                return read_patterns(file.read())
        except FileNotFoundError:
            return ()
    if not wanted.read_token:
        raise ConfigError(os.path.join(folder, FILE_NAME), "read_token", None, "the registry tells this to a token")
    token = read_bytes(wanted.read_token, 4096).decode("ascii", "replace").strip()
    host = quote(wanted.report_host or wanted.name, safe="")
    text = asyncio.run(ask_registry(f"{wanted.report}/api/v1/export/exclusions?host={host}", token))
    found = read_exclusions(text, wanted.categories)
    for line in found.unused:
        say(f"{wanted.report}: {line!r} is not heeded: its category is not in mirror.yml, or rsync cannot say it")
    write_atomically(path, render_patterns(found.patterns, wanted.report).encode(), 0o644)
    return found.patterns


def _write_secrets(wanted: Wishes, folder: str) -> None:
    """Passwords of tier-2 mirrors, for nobody's eyes but root's and the daemon's."""
    path = os.path.join(folder, SECRETS)
    try:
        with open(path, encoding="utf-8") as file:
            old = file.read()
    except FileNotFoundError:
        old = ""
        if not wanted.tier2_users:
            return
    write_atomically(path, render_secrets(wanted.tier2_users, old, lambda: secrets.token_urlsafe(24)).encode(), 0o600)


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

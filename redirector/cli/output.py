"""What a command prints: results to standard output, everything else to standard error."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from enum import IntEnum

from redirector.one_line import one_line

FURTHER_IN = 4
"""By how many columns a line that goes on below is further in."""

NARROWEST = 20
"""Columns of a terminal below which nothing is folded any more."""


class Exit(IntEnum):
    """What the exit code tells."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    INTERRUPTED = 130


def as_json(value: object) -> str:
    """*value* as JSON for people and machines, closed by a line end."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def print_result(text: str, outcome: int) -> int:
    """Write *text* and what stands before it to standard output; *outcome*, or 1 if it could not be written.

    A reader who left early, as `head` does, changes nothing about the outcome.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            say(f"standard output: {error.strerror}")
            return Exit.FAILED
    return outcome


def print_lines(lines: Iterable[str], outcome: int) -> int:
    """`print_result` of lines for people: on a terminal, longer ones go on below, further in."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    shown = (part for line in lines for part in fold(one_line(line), width))
    return print_result("".join(f"{line}\n" for line in shown), outcome)


def fold(line: str, width: int | None) -> list[str]:
    """*line* as lines of at most *width* columns where its words allow that; None: of any."""
    if width is None or len(line) <= width:
        return [line]
    inside = " " * (len(line) - len(line.lstrip()) + FURTHER_IN)
    return textwrap.wrap(
        line, max(width, NARROWEST), subsequent_indent=inside, break_long_words=False, break_on_hyphens=False
    )


def say(text: str) -> None:
    """Write *text* to standard error, each line under the program's name."""
    for line in text.split("\n"):
        print(f"redirector: {one_line(line)}", file=sys.stderr)

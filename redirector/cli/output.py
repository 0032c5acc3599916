"""What a command prints: results to standard output, everything else to standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from enum import IntEnum

from redirector.one_line import one_line


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


def say(text: str) -> None:
    """Write *text* to standard error, each line under the program's name."""
    for line in text.split("\n"):
        print(f"redirector: {one_line(line)}", file=sys.stderr)

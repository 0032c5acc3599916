"""What a mirror does not carry: patterns of paths below its base, such as `*/isos`."""

from __future__ import annotations

import re
from collections.abc import Iterable


def compile_patterns(patterns: Iterable[str]) -> re.Pattern[str]:
    """What matches each directory that one of *patterns* names, and all below it.

    A pattern is a path without outer slashes, in which `*` stands for anything inside a segment, and `**` for anything.
    """
    return re.compile("|".join(f"(?:{_expression(pattern)})(?:/|$)" for pattern in patterns) or r"(?!)")


def _expression(pattern: str) -> str:
    pieces = re.split(r"(\*+)", pattern)
    marks = {"*": "[^/]*"}
    return "".join(marks.get(piece, ".*") if piece.startswith("*") else re.escape(piece) for piece in pieces)

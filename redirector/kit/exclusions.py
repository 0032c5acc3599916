"""What a host is registered to leave out of its categories, as patterns of rsync for its tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the registry's list says.

    patterns  of rsync, from the tree's top: `/9/**/debug/`
    unused    lines that say nothing about this tree, or cannot be said to rsync
    """

    patterns: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def read_exclusions(text: str, categories: Mapping[str, str]) -> LeftOut:
    """The lines `CATEGORY<TAB>PATTERN` of the registry.

    categories  category -> its folder below the tree

    The registry leaves out folders whose whole path below the category's top fits, with all below them, and its `*`
    stands for slashes as well: rsync's `**`, anchored, for folders alone.
    """
    folders = {name.casefold(): folder for name, folder in categories.items()}
    patterns, unused = [], []
    for line in text.splitlines():
        name, tab, pattern = line.partition("\t")
        folder = folders.get(name.casefold())
        if not tab or folder is None or not _can_be_said(pattern):
            unused.append(line)
            continue
        inside = re.sub(r"\*+", "**", pattern.strip("/"))
        patterns.append(f"/{folder}/{inside}/" if folder else f"/{inside}/")
    return LeftOut(tuple(dict.fromkeys(patterns)), tuple(unused))


def _can_be_said(pattern: str) -> bool:
    """Whether rsync and the expressions of the kit's script know it; and not all of the category."""
    return pattern.isprintable() and not re.search(r"[][\\]", pattern) and pattern.strip("/*") != ""


def read_patterns(text: str) -> tuple[str, ...]:
    """The patterns in a file that `render_patterns` made."""
    return tuple(line for line in text.splitlines() if line.startswith("/"))


def render_patterns(patterns: tuple[str, ...], registry: str) -> str:
    """A file that holds *patterns*."""
    head = f"# What this mirror is registered to leave out, as {registry} says.\n"
    return head + "".join(f"{each}\n" for each in patterns)

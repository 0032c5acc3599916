"""Which directories are repositories, and how they are called: rules that an operator writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

LIMIT_PATHS = 10_000
"""How many paths one rule may name by itself."""

_GROUP = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Named:
    """What a rule calls a repository; *groups* are those of its expression."""

    prefix: str
    arch: str
    product: str
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Names the directories with a `repodata/` whose whole path below the top matches.

    prefix   such as `{name}-{version}`: groups of *match* in braces
    product  likewise
    arch     likewise; `{arch}`, the group of that name, unless something else is written
    """

    match: re.Pattern[str]
    prefix: str
    product: str = ""
    arch: str = "{arch}"

    def name(self, path: bytes) -> Named | None:
        """How the repository at *path* is called; None where it does not match."""
        try:
            found = self.match.fullmatch(path.decode())
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        groups = {key: value or "" for key, value in found.groupdict().items()}
        prefix, arch, name = (_fill(text, groups) for text in (self.prefix, self.arch, self.product))
        return Named(prefix, arch, name, groups) if prefix and arch else None

    def unknown_groups(self) -> list[str]:
        """Names in braces that are no group of *match*."""
        wanted = (name for text in (self.prefix, self.product, self.arch) for name in _GROUP.findall(text))
        return sorted(set(wanted) - self.match.groupindex.keys())

    def list_paths(self) -> list[str] | None:
        """Every path that *match* names; None when they are too many, or it says more than alternatives."""
        try:
            paths = _Alternatives(self.match.pattern).read()
        except _Endless:
            return None
        # A dot stands for any character in an expression, and for itself in a path.
        return [path for path in paths if self.match.fullmatch(path)]


def _fill(text: str, groups: dict[str, str]) -> str:
    return _GROUP.sub(lambda found: groups.get(found[1], ""), text)


class _Endless(Exception):
    """An expression with more paths than can be listed."""


class _Alternatives:
    """Reads the part of regular expressions that names a handful of texts: letters, groups, `|`, `?`, `[abc]`."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> list[str]:
        texts = self._read_choice()
        if self._at < len(self._pattern):
            raise _Endless
        return list(dict.fromkeys(texts))

    def _read_choice(self) -> list[str]:
        texts = self._read_row()
        while self._skip("|"):
            texts += self._read_row()
        return texts

    def _read_row(self) -> list[str]:
        rows: list[list[str]] = []
        size = 1
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            items = self._read_item()
            if self._skip("?"):
                items = [*items, ""]
            size *= len(items)
            if size > LIMIT_PATHS:
                raise _Endless
            rows.append(items)
        return ["".join(parts) for parts in product(*rows)]

    def _read_item(self) -> list[str]:
        each = self._pattern[self._at]
        self._at += 1
        match each:
            case "(":
                return self._read_group()
            case "[":
                return self._read_set()
            case "\\":
                return [self._read_escape()]
            case "*" | "+" | "{" | "?":
                raise _Endless
            case "^" | "$":
                return [""]
            case _:
                return [each]

    def _read_group(self) -> list[str]:
        if self._skip("?") and not self._skip(":"):
            found = re.compile(r"P<[^>]*>").match(self._pattern, self._at)
            if not found:
                raise _Endless
            self._at = found.end()
        texts = self._read_choice()
        if not self._skip(")"):
            raise _Endless
        return texts

    def _read_set(self) -> list[str]:
        end = self._pattern.find("]", self._at + 1)
        inside = self._pattern[self._at : end]
        self._at = end + 1
        if end < 0 or inside.startswith("^") or "\\" in inside:
            raise _Endless
        texts: list[str] = []
        while inside:
            if len(inside) > 2 and inside[1] == "-":
                texts += map(chr, range(ord(inside[0]), ord(inside[2]) + 1))
                inside = inside[3:]
            else:
                texts.append(inside[0])
                inside = inside[1:]
        return texts

    def _read_escape(self) -> str:
        each = self._pattern[self._at : self._at + 1]
        self._at += 1
        if not each or each.isalnum():
            raise _Endless
        return each

    def _skip(self, text: str) -> bool:
        if self._pattern.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

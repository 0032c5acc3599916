"""What strangers may not read of: releases whose time has not come, and what is secret on the masters. Pure.

A version may be named in more places than its directories: in a category's top, a repository's prefix, a redirect, the
name of something that was counted. All that is public asks here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from redirector.registry.rules import name_key
from redirector.store.registry.rows import CategoryRow, RedirectRow, ReleaseRow, RepositoryRow


@dataclass(frozen=True, slots=True)
class Waiting:
    """A release whose time has not come.

    product  as a key; "": of no product that a category has, so that it counts everywhere
    arches   architectures that wait; none: all
    pattern  finds the version in names such as `fedora-44`, `f44-updates`
    """

    product: str
    version: str
    arches: frozenset[str]
    pattern: re.Pattern[str]

    def concerns(self, product: str) -> bool:
        """Whether it counts for something of *product*, a key; "": of nobody knows which."""
        return not self.product or not product or self.product == product


@dataclass(frozen=True, slots=True)
class Embargo:
    """What is not public yet.

    arches    architectures that there are: a path that names none of them holds them all
    secret    directories that the masters do not show
    prefixes  of repositories of which none may be told
    """

    waiting: tuple[Waiting, ...] = ()
    arches: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()

    def hides(self, path: str, product: str = "") -> bool:
        """Whether *path* is of a release that waits."""
        if not self.waiting:
            return False
        parts, product = set(path.split("/")), name_key(product)
        return any(
            each.version in parts
            and each.concerns(product)
            and (not each.arches or bool(parts & each.arches) or not parts & self.arches)
            for each in self.waiting
        )

    def names(self, text: str, product: str = "", arch: str = "") -> bool:
        """Whether *text*, a name, has the version of a release that waits with *arch*; "": with all of them."""
        product = name_key(product)
        return any(
            each.concerns(product) and (not each.arches or arch in each.arches) and bool(each.pattern.search(text))
            for each in self.waiting
        )

    def hides_repository(self, name: str) -> bool:
        """Whether what was counted for a repository may not be told."""
        return name in self.prefixes or self.names(name)

    def hides_system(self, name: str, version: str) -> bool:
        """Whether systems that call themselves *name* and *version* are of a release that waits."""
        key = name_key(name)
        return any(
            each.version == version
            and not each.arches
            and (not each.product or each.product in key or (bool(key) and key in each.product))
            for each in self.waiting
        )

    def hides_category(self, row: CategoryRow) -> bool:
        """Whether all of a category belongs to a release that waits."""
        return any(
            each.concerns(name_key(row.product))
            and not each.arches
            and (each.version in row.top.split("/") or bool(each.pattern.search(row.name)))
            for each in self.waiting
        )

    def clear(self, text: str) -> str:
        """*text*, for people, if it has no path of a release that waits; else ""."""
        return "" if any(self.hides(word.strip(",:;()")) for word in text.split() if "/" in word) else text


NOTHING_WAITS = Embargo()


def embargo_at(
    releases: Iterable[ReleaseRow],
    categories: Iterable[CategoryRow],
    repositories: Iterable[RepositoryRow],
    now: int,
    secret: frozenset[str] = frozenset(),
) -> Embargo:
    """What is not public at *now*, epoch seconds; *secret*: directories that the masters do not show."""
    categories, repositories = list(categories), list(repositories)
    products = {name_key(row.product) for row in categories}
    waiting = tuple(
        Waiting(
            product if (product := name_key(row.product)) in products else "",
            row.version_name,
            frozenset(row.arches),
            _pattern(row.version_name),
        )
        for row in releases
        if row.not_before is not None and row.not_before > now
    )
    embargo = Embargo(waiting, frozenset(row.arch for row in repositories), secret)
    shown = shown_repositories(embargo, categories, repositories)
    told = {row.prefix for row in repositories if row.id in shown}
    return replace(embargo, prefixes=frozenset(row.prefix for row in repositories) - told)


def _pattern(version: str) -> re.Pattern[str]:
    """The version as a word of a name: `10` is in `el10` and `linux-10`, and not in `10.1`, `2.10` or `110`."""
    before = r"(?<![0-9])(?<![0-9]\.)" if version[:1].isdigit() else r"(?<![0-9a-z])"
    behind = r"(?![0-9]|\.[0-9])" if version[-1:].isdigit() else r"(?![0-9a-z])"
    return re.compile(before + re.escape(version) + behind, re.IGNORECASE)


def shown_repositories(
    embargo: Embargo, categories: Iterable[CategoryRow], repositories: Iterable[RepositoryRow]
) -> frozenset[int]:
    """Numbers of the repositories that anybody may know of: those of no embargo, and of nothing secret."""
    products = {row.top: row.product for row in categories}
    found = set()
    for row in repositories:
        ways = _ways(row.directory)
        product = _product_of(ways, products)
        hidden = embargo.hides(row.directory, product) or embargo.names(row.prefix, product, row.arch)
        if not hidden and embargo.secret.isdisjoint(ways):
            found.add(row.id)
    return frozenset(found)


def shown_redirects(
    embargo: Embargo,
    categories: Iterable[CategoryRow],
    repositories: Iterable[RepositoryRow],
    redirects: Iterable[RedirectRow],
) -> list[RedirectRow]:
    """Those that neither name a release that waits nor lead to one."""
    products = {row.top: row.product for row in categories}
    of_prefix: dict[str, set[str]] = {}
    for row in repositories:
        of_prefix.setdefault(row.prefix, set()).add(_product_of(_ways(row.directory), products))

    def is_shown(row: RedirectRow) -> bool:
        if row.kind != "repository":
            return True
        if {row.source, row.target} & embargo.prefixes:
            return False
        named = of_prefix.get(row.target, {""})
        return not any(embargo.names(text, product) for text in (row.source, row.target) for product in named)

    return [row for row in redirects if is_shown(row)]


def _ways(directory: str) -> list[str]:
    """A directory and those above it, the longest first."""
    parts = directory.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts), 0, -1)]


def _product_of(ways: Iterable[str], products: Mapping[str, str]) -> str:
    """The product of the category that a directory is in; "" where it is in none."""
    return next((products[way] for way in ways if way in products), "")

"""Which directories of a master are repositories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redirector.settings.repository_rules import Rule
from redirector.store.directories import MasterDirectory, MasterRepository


def name_repositories(rules: Sequence[Rule], directories: Sequence[MasterDirectory]) -> tuple[MasterRepository, ...]:
    """The repositories among *directories*, by path: those with a readable `repodata/`, each called by the first rule
    that matches it."""
    return tuple(_name(rules, directories)) if rules else ()


def _name(rules: Sequence[Rule], directories: Sequence[MasterDirectory]) -> Iterator[MasterRepository]:
    for directory in directories:
        path, _, last = directory.path.rpartition(b"/")
        if last != b"repodata" or directory.secret:
            continue
        named = next((found for rule in rules if (found := rule.name(path))), None)
        if named:
            yield MasterRepository(named.prefix, named.arch, named.product, path, dict(named.groups))

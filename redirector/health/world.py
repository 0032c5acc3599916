"""What a round is about: whom to visit, what the masters hold, and by which numbers to judge."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from redirector.health.expected import Master
from redirector.health.keeping import Known
from redirector.health.masters import read_snapshot, read_tree
from redirector.health.rules import Rules
from redirector.health.subjects import Subject, subjects_of_snapshot, subjects_of_tree
from redirector.model import Dialect, Problem
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import load_tree, read_tree_settings


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a round reads before it visits anybody.

    masters  by category
    known    what to remember of the masters
    tree     hosts of a tree: the health file says which versions they have
    health   the health file that the source names; None: it names none
    """

    subjects: tuple[Subject, ...]
    masters: Mapping[str, Master]
    known: Mapping[str, Known]
    rules: Rules
    tree: bool
    health: str | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def read(self) -> bool:
        """The masters could be read."""
        return all(master.read for master in self.masters.values())


def load_world(source: str, known: Mapping[str, Known], now: float, rules: Rules, opted_out: Collection[str]) -> World:
    """The world of a tree or a snapshot.

    rules   not paced, and as `config.yml` changes them in what is returned
    raises  SnapshotError when the source cannot be read
    """
    if os.path.isdir(source):
        return _load_tree(source, known, now, rules, opted_out)
    catalog = load_snapshot_file(source)
    masters, kept = read_snapshot(catalog, known, now)
    subjects = subjects_of_snapshot(catalog, masters, opted_out)
    by_name = {master.category: master for master in masters}
    return World(tuple(subjects), by_name, kept, rules, tree=False, problems=catalog.problems)


def _load_tree(source: str, known: Mapping[str, Known], now: float, rules: Rules, opted_out: Collection[str]) -> World:
    settings = read_tree_settings(source)
    catalog = load_tree(source, now)
    assert catalog.dialect is Dialect.ALMALINUX
    masters, kept = read_tree(catalog, settings.primary, known, now)
    subjects = subjects_of_tree(catalog, masters, opted_out, settings.contacts)
    return World(
        subjects=tuple(subjects),
        masters={master.category: master for master in masters},
        known=kept,
        rules=replace(rules, outdate_s=settings.allowed_outdate_s or rules.outdate_s),
        tree=True,
        health=settings.health,
        problems=catalog.problems,
    )

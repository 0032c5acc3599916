"""`registry import`: a snapshot, a tree, or MirrorManager's database."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from redirector.cli.options import flags_of
from redirector.cli.output import Exit, as_json, print_result
from redirector.cli.registering.common import Commands, Desk, add_command, desk_of, guarded
from redirector.one_line import one_line
from redirector.registry.edit.change import Change
from redirector.registry.importing.apply import Imported, apply, report_lines
from redirector.registry.importing.harvest import Harvest
from redirector.registry.importing.mirrormanager import read_database
from redirector.registry.importing.snapshot import read_snapshot
from redirector.registry.importing.tree import read_tree
from redirector.registry.permits import OPERATOR
from redirector.settings.file import load_key
from redirector.settings.masters import Masters
from redirector.store.opening import Store, open_store

NAMED = 40
"""Lines that are shown; `--json` has all."""


def add_commands(commands: Commands) -> None:
    """`import`."""
    text = "take over a snapshot, a tree, or MirrorManager's database; a second time changes nothing"
    parser = add_command(commands, "import", text, _import)
    parser.add_argument("from_where", metavar="PATH|URL", help="a file, a folder, sqlite:///FILE or postgresql://...")
    parser.add_argument("--dry-run", action="store_true", help="say what would come, and write nothing")


def _import(arguments: argparse.Namespace) -> int:
    masters = load_key(Masters, "masters", flags_of(arguments))
    names = {each.top: each.category for each in masters} if isinstance(masters, tuple) else {}
    return guarded(_run(desk_of(arguments), names, arguments.from_where, arguments.dry_run, arguments.json))


async def read_harvest(source: str, names: Mapping[str, str], now: float) -> Harvest:
    """What *source* says, told apart by looking; *names*: top -> category, as `masters` has them.

    raises  SnapshotError, StoreError, OSError
    """
    if "://" in source:
        return await read_database(source)
    if os.path.isdir(source):
        return read_tree(source, now)
    with open(source, "rb") as file:
        is_sqlite = file.read(16) == b"SQLite format 3\0"
    return await read_database(f"sqlite:///{os.path.abspath(source)}") if is_sqlite else read_snapshot(source, names)


@dataclass(eq=False)
class _Undone(Exception):
    """A rehearsal is over: the transaction must not be kept."""

    report: Imported


async def _run(desk: Desk, names: Mapping[str, str], source: str, dry: bool, json: bool) -> int:
    now = time.time()
    async with await open_store(desk.database) as store:
        harvest = await read_harvest(source, names, now)
        try:
            report = await _apply(store, desk, harvest, int(now), dry)
        except _Undone as undone:
            report = undone.report
    if json:
        told = {
            "written": not dry,
            "added": dict(report.added),
            "changed": dict(report.changed),
            "kept": report.kept,
            "broken": report.broken,
            "left_out": report.left_out,
        }
        return print_result(as_json(told), Exit.DONE)
    lines = list(report_lines(report))
    more = [f"{len(lines) - NAMED} more lines; --json has all"] if len(lines) > NAMED else []
    text = "".join(f"{one_line(line)}\n" for line in (*lines[:NAMED], *more))
    return print_result(text, Exit.DONE)


async def _apply(store: Store, desk: Desk, harvest: Harvest, now: int, dry: bool) -> Imported:
    async with store.write() as connection:
        report = await apply(Change(connection, OPERATOR, now, desk.house()), harvest)
        if dry:
            raise _Undone(report)
    return report

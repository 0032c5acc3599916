"""`redirector scan`: read the masters, and keep what is there and since which push."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from redirector.cli.options import add_options, flags_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError, MasterError, SnapshotError, StoreError
from redirector.files import write_atomically
from redirector.master.details import metadata_of
from redirector.master.scanning import Outcome, Scanned, scan_all
from redirector.one_line import one_line
from redirector.settings.file import Flags, load_config, load_job, load_key
from redirector.settings.masters import Master, Masters, Reading
from redirector.settings.network import Network, database_url
from redirector.settings.scanning import Scanning
from redirector.settings.serving import Config
from redirector.sources.mirrors_d.remembered import render_details
from redirector.store.opening import Store, open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import CategoryRow

PROGRESS_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is read, and where it is kept."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_options(parser, Scanning)
    add_options(parser, Network, ("database",))
    add_options(parser, Config, ("config", "source", "state"))


def run(arguments: argparse.Namespace) -> int:
    """Scan, print what was found, and write the details."""
    flags = flags_of(arguments)
    settings = load_job(Scanning, flags)
    database = find_database(flags)
    masters = load_job(Masters, flags).masters
    try:
        if masters is None:
            masters = default_masters(load_config(flags).source)
        scanned = asyncio.run(_scan(masters, database, settings)) if masters else ()
        if settings.details and scanned:
            found = metadata_of(each.known for each in scanned if each.known)
            write_atomically(settings.details, render_details(found))
    except asyncio.CancelledError:
        return Exit.INTERRUPTED
    except (SnapshotError, StoreError, MasterError) as error:
        say(str(error))
        return Exit.FAILED
    except OSError as error:
        say(f"{settings.details}: {error.strerror}")
        return Exit.FAILED
    for each in scanned:
        for problem in (*each.problems, *([each.reason] if each.reason else ())):
            say(problem)
    outcome = Exit.FAILED if any(each.outcome is Outcome.FAILED for each in scanned) else Exit.DONE
    if not scanned:
        say("nothing to scan: what a snapshot says of its files is the master's word")
    text = as_json({"masters": [_row(each) for each in scanned]}) if arguments.json else _table(scanned)
    return print_result(text, outcome)


def find_database(flags: Flags) -> str:
    """The store's URL; without one that is named, `health.db` in the folder of copies, where `crawl` looks too."""
    network = load_job(Network, flags)
    state = load_key(Config, "state", flags)
    if network.database is None and isinstance(state, str):
        return f"sqlite:///{os.path.join(state, 'health.db')}"
    config = flags.get("config")
    return database_url(network, config if isinstance(config, str) else None)


def default_masters(source: str) -> tuple[Master, ...]:
    """What is scanned where nobody says: a tree's `primary`; of a snapshot nothing.

    raises  ConfigError, SnapshotError
    """
    if not os.path.isdir(source):
        return ()
    from redirector.sources.mirrors_d.load import read_primary_path  # with it comes the gazetteer

    primary = read_primary_path(source)
    if primary is None:
        way_out = "the tree's config.yml names no primary: name one there, or say under masters what to read"
        raise ConfigError(source, "masters", None, way_out)
    return (Master(category="", top="", reading=Reading.PATH, where=primary),)


async def _scan(masters: Sequence[Master], database: str, settings: Scanning) -> tuple[Scanned, ...]:
    progress, begun = _Progress(), int(time.time())
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # nothing is left of what it started
    async with await open_store(database) as store:
        try:
            scanned = await scan_all(masters, store, progress.show, allow_shrink=settings.allow == "shrink")
            if await _is_news(scanned, store, begun):
                await _adopt(store)
            return scanned
        finally:
            progress.end()


async def _is_news(scanned: Sequence[Scanned], store: Store, begun: int) -> bool:
    """Whether the registry may not know yet what was found: something was read, or it has no such category."""
    named = {each.master.category.casefold() for each in scanned if each.known and each.master.category}
    if any(each.known and each.known.read >= begun for each in scanned):
        return bool(named)
    async with store.read() as connection:
        return not named <= {row.name_key for row in await queries.list_rows(connection, CategoryRow)}


async def _adopt(store: Store) -> None:
    from redirector.registry.edit.change import Change  # half of the time that an unchanged master takes
    from redirector.registry.edit.scanned import adopt_scans
    from redirector.registry.permits import OPERATOR

    async with store.write() as connection:
        await adopt_scans(Change(connection, OPERATOR, int(time.time())))


@dataclass(slots=True)
class _Progress:
    """A line on the terminal that counts; nothing where nobody watches."""

    _next: float = 0.0
    _shown: bool = field(default=False)

    def show(self, master: Master, entries: int) -> None:
        if not sys.stderr.isatty() or time.monotonic() < self._next:
            return
        self._next, self._shown = time.monotonic() + PROGRESS_S, True
        print(f"\r\x1b[K{one_line(master.category or master.where)}: {entries:,} entries", end="", file=sys.stderr)
        sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _row(scanned: Scanned) -> dict[str, object]:
    """What is said of one master."""
    known = scanned.known
    row: dict[str, object] = {
        "category": scanned.master.category,
        "master": scanned.master.where,
        "outcome": scanned.outcome.value,
        "directories": 0,
        "secret": 0,
        "files": 0,
        "repositories": 0,
        "changed": scanned.changed,
        "push": None,
        "pushed": None,
        "generation": None,
        "checked": None,
        "duration_s": round(scanned.duration_s, 3),
        "problems": list(scanned.problems),
        "reason": scanned.reason,
    }
    if known:
        row |= {
            **msgspec.structs.asdict(known.counts),
            "push": known.push,
            "pushed": known.pushes[0].seen if known.pushes else None,
            "generation": known.generation,
            "checked": known.checked,
        }
    return row


_COLUMNS = ("category", "outcome", "directories", "secret", "files", "repositories", "changed", "push")


def _table(scanned: Sequence[Scanned]) -> str:
    if not scanned:
        return ""
    table: list[list[str]] = [list(_COLUMNS)]
    for each in scanned:
        row = _row(each) | {"category": each.master.category or each.master.where}
        table.append([_cell(row[name]) for name in _COLUMNS])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "".join(_line(cells, widths) for cells in table)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Texts to the left, numbers to the right."""
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(texts + numbers).rstrip() + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value))

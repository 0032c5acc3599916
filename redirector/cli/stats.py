"""`redirector stats`: count what access logs say, and give it out."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from redirector.cli.options import add_options, flags_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.counted import counted
from redirector.errors import SnapshotError, StoreError
from redirector.one_line import one_line
from redirector.settings.file import load_job
from redirector.settings.network import Network, database_url
from redirector.settings.option import Given
from redirector.settings.statistics import Countries, Statistics
from redirector.stats import exports
from redirector.stats.add import LOCK, Added, Rules, add_logs
from redirector.stats.counts import (
    DAY_S,
    FIRST_DAY,
    LAST_DAY,
    begin_of_day,
    day_of,
    first_open_week,
    parse_day,
    week_of_day,
)
from redirector.stats.overview import overview_of
from redirector.stats.show import render_overview
from redirector.store.opening import Store, open_store
from redirector.store.statistics import (
    close_weeks,
    find_last_day,
    list_countme,
    list_margins,
    list_propagation,
    list_traffic,
    trim_statistics,
)

KEPT_DAYS = 90
"""How long single rows of requests are kept; what they add up to stays for ever."""

SILENT_DAYS = 7
"""Since when a server has no newer line, so that its last weeks are taken for whole."""

NAMES = ("access", "countme", "propagation", "traffic")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An action, and what it is about."""
    actions = parser.add_subparsers(prog=parser.prog, metavar="ACTION", required=True)

    def add_action(name: str, act: Any, text: str, usage: str = "", *jobs: type) -> argparse.ArgumentParser:
        action = actions.add_parser(
            name, usage=f"redirector stats {name} {usage}[OPTIONS]", help=text, description=text, allow_abbrev=False
        )
        action.set_defaults(act=act)
        action.add_argument("--json", action="store_true", help="one JSON object instead of text")
        action.add_argument(
            "--config", metavar="FILE", default=argparse.SUPPRESS, help="YAML file of these keys (default: none)"
        )
        for job in (Network, *jobs):
            add_options(action, job, {"database", *(jobs and ("geoip", *Statistics.__slots__))})
        return action

    add = add_action("add", _add, "count the lines of access logs, each once", "LOG… ", Statistics, Countries)
    add.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        help="lines of our formats mirrormanager, combined, json or of any server's combined log; also packed by gzip "
        "or xz; - is standard input",
    )
    export = add_action("export", _export, "write what was counted as CSV", f"{'|'.join(NAMES)} ")
    export.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    for action in (export,):
        action.add_argument("--since", metavar="DAY", help="the first day, as 2026-11-28 (default: all)")
        action.add_argument("--until", metavar="DAY", help="the last day (default: all)")
    add_action(
        "trim", _trim, f"forget single rows of requests after {KEPT_DAYS} days; what they add up to stays for ever"
    )
    show = add_action("show", _show, "the day, the week, what moved, and which systems there are")
    show.add_argument("--day", metavar="DAY", help="as 2026-11-28 (default: the newest)")


def run(arguments: argparse.Namespace) -> int:
    """Open the store, and act."""
    network = load_job(Network, flags_of(arguments))
    url = database_url(network, getattr(arguments, "config", None))
    try:
        outcome: int = asyncio.run(_run(arguments, url))
        return outcome
    except (StoreError, SnapshotError) as error:
        say(str(error))
        return Exit.FAILED


async def _run(arguments: argparse.Namespace, url: str) -> int:
    days = {key: _day(arguments, key) for key in ("since", "until", "day") if key in arguments}
    async with await open_store(url) as store:
        outcome: int = await arguments.act(arguments, store, days)
        return outcome


def _day(arguments: argparse.Namespace, key: str) -> str | None:
    text = getattr(arguments, key)
    if text is None:
        return None
    day = parse_day(text)
    if day is None:
        raise Given("command line", f"--{key}", text).wrong("a day is needed, such as 2026-11-28")
    return day


async def _add(arguments: argparse.Namespace, store: Store, days: dict[str, str | None]) -> int:
    flags = flags_of(arguments)
    settings = load_job(Statistics, flags)
    geoip = load_job(Countries, flags).geoip
    rules = Rules(settings.fold, tuple(map(str, settings.ignore)), geoip)

    def tell(added: Added) -> None:
        if added.trouble:
            say(f"{added.path}: {added.trouble}")
        if sys.stderr.isatty():
            say(f"{added.path}: {counted(added.lines, 'lines')}")

    added = await add_logs(store, arguments.logs, settings.server, rules, settings.jobs, tell)
    outcome = Exit.FAILED if any(each.failed for each in added) else Exit.DONE
    if arguments.json:
        return print_result(as_json({"logs": [asdict(each) for each in added]}), outcome)
    lines = [_line(each) for each in added if not each.failed]
    if len(added) > 1:
        sums = {
            key: sum(getattr(each, key) for each in added)
            for key in ("lines", "requests", "systems", "unread", "wrong_age")
        }
        lines.append(_line(Added("all", **sums)))
    return print_result("".join(f"{line}\n" for line in lines), outcome)


_WORDS = {"lines": "new lines", "requests": "requests", "systems": "systems"}


def _line(added: Added) -> str:
    counts = (counted(getattr(added, name), words) for name, words in _WORDS.items())
    text = f"{one_line(added.path)}: {', '.join(counts)}"
    if added.replaced:
        text += ", in the place of what was counted by other rules"
    if added.unread:
        text += f"; {counted(added.unread, 'lines')} of no known format"
    if added.wrong_age:
        text += f"; {added.wrong_age:,} with a wrong countme"
    return text


async def _export(arguments: argparse.Namespace, store: Store, days: dict[str, str | None]) -> int:
    since, until = days["since"] or FIRST_DAY, days["until"] or LAST_DAY
    async with store.read() as connection:
        match arguments.name:
            case "access":
                table = exports.access_table(await list_margins(connection, since, until))
            case "countme":
                weeks = week_of_day(since), week_of_day(until)
                table = exports.countme_table(await list_countme(connection, *weeks))
            case "propagation":
                first, last = begin_of_day(since), begin_of_day(until) + DAY_S - 1
                table = exports.propagation_table(await list_propagation(connection, first, last))
            case _:
                table = exports.traffic_table(await list_traffic(connection, since, until))
    text = as_json(exports.items(table)) if arguments.json else exports.render_csv(table)
    return print_result(text, Exit.DONE)


async def _trim(arguments: argparse.Namespace, store: Store, days: dict[str, str | None]) -> int:
    today = int(time.time()) // 86_400 * 86_400
    before, silent = today - KEPT_DAYS * 86_400, today - SILENT_DAYS * 86_400
    async with store.lock(LOCK, wait_s=None), store.write() as connection:
        await close_weeks(connection, silent, first_open_week(silent))
        rows = await trim_statistics(connection, day_of(before), before)
    if arguments.json:
        return print_result(as_json({"before": day_of(before), "rows": rows}), Exit.DONE)
    return print_result(
        f"{counted(rows, 'rows')} of days before {day_of(before)} forgotten; their sums stay\n", Exit.DONE
    )


async def _show(arguments: argparse.Namespace, store: Store, days: dict[str, str | None]) -> int:
    async with store.read() as connection:
        day = days["day"] or await find_last_day(connection)
        margins: Sequence[Any] = ()
        systems: Sequence[Any] = ()
        if day is not None:
            first = date.fromisoformat(day) - timedelta(days=13)
            margins = await list_margins(connection, str(first), day)
            systems = await list_countme(connection, week_of_day(day) - 4, week_of_day(day))
    overview = overview_of(margins, systems, day)
    if arguments.json:
        return print_result(as_json(asdict(overview)), Exit.DONE)
    return print_result(render_overview(overview), Exit.DONE)

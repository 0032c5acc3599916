"""`redirector health`: what visits found out about mirrors, for people and for other programs."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from redirector.cli.crawl import common
from redirector.cli.options import add_options, flags_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError, StoreError
from redirector.health.keeping import unpack_memory
from redirector.health.recall import recall_entries, recall_listed
from redirector.health.replay import Replay, replay
from redirector.health.report import HostHealth, render_mirmon, render_status, rendered_entry
from redirector.health.rules import DAY_S, FUTURE_S, Rules
from redirector.health.show import describe, lines_of, table_of_entries, table_of_replay
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_job
from redirector.settings.network import Network, database_url
from redirector.settings.serving import Config
from redirector.store import evidence as kept
from redirector.store.opening import Store, open_store

EXPORTS = ("status", "mirmon-state")
SHOWN_EVIDENCE = 20
HISTORY_S = 90 * DAY_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked: nothing (a table), a mirror, an export, or a replay."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="NAME | export status|mirmon-state | replay",
        help="one mirror; or a file for others; or what stored evidence gives with other numbers",
    )
    parser.add_argument("--down-after", type=_count, metavar="N", help="replay: failed visits that take a mirror out")
    parser.add_argument("--up-after", type=_count, metavar="N", help="replay: good visits that bring it back")
    parser.add_argument("--outdate", type=_seconds, metavar="S", help="replay: how late a mirror may be, seconds")
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    add_options(parser, Network, {"database"})
    add_options(parser, Crawl, set())
    add_options(parser, Config, {"config", "state"})


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= 1000:
        return int(text)
    raise argparse.ArgumentTypeError("a number from 1 to 1,000 is needed")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0 < value <= 1e9:
        return value
    raise argparse.ArgumentTypeError("seconds above 0 are needed")


def run(arguments: argparse.Namespace) -> int:
    """Print what is known."""
    what: list[str] = arguments.what
    if what[:1] == ["export"]:
        if len(what) != 2 or what[1] not in EXPORTS:
            raise ConfigError("command line", "export", " ".join(what[1:]), f"one of {', '.join(EXPORTS)} is needed")
    elif len(what) > 1:
        raise ConfigError("command line", "NAME", " ".join(what), "one mirror, `export WHAT` or `replay` is needed")
    numbers = (arguments.down_after, arguments.up_after, arguments.outdate)
    if what != ["replay"] and any(number is not None for number in numbers):
        raise ConfigError("command line", "--down-after", None, "goes with `health replay`")
    flags = flags_of(arguments)
    network, crawl, config = load_job(Network, flags), load_job(Crawl, flags), flags.get("config")
    state = common(flags, "state")
    named = network.database or (f"sqlite:///{os.path.join(state, 'health.db')}" if state else None)
    url = named or database_url(network, str(config) if config else None)
    if url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        say(f"{url}: nothing is known yet: `redirector crawl` has not run with this database")
        return Exit.FAILED
    try:
        return asyncio.run(_run(url, crawl, what, arguments))
    except StoreError as error:
        say(str(error))
        return Exit.FAILED


async def _run(url: str, crawl: Crawl, what: Sequence[str], arguments: argparse.Namespace) -> int:
    rules = Rules(interval_s=crawl.interval_s).paced(crawl.pace)
    async with await open_store(url) as store:
        if what[:1] == ["export"]:
            return await _export(store, rules, what[1])
        if list(what) == ["replay"]:
            return await _replay(store, rules, arguments)
        if what:
            return await _show(store, rules, what[0], as_objects=arguments.json)
        async with store.read() as connection:
            entries = await recall_entries(connection, rules, time.time())
        if not entries:
            return _nothing()
        if arguments.json:
            told = {key: rendered_entry(entry) for key, entry in sorted(entries.items())}
            return print_result(as_json({"mirrors": told}), Exit.DONE)
        return print_result(table_of_entries(entries), Exit.DONE)


def _nothing() -> int:
    say("nothing is known yet: no round has been concluded with this database")
    return Exit.FAILED


async def _export(store: Store, rules: Rules, kind: str) -> int:
    now = time.time()
    days = 1 if kind == "status" else 14
    async with store.read() as connection:
        listed = await recall_listed(connection, rules, now, int(now - days * DAY_S))
        rounds = await kept.find_rounds(connection, 10_000, void=False, until=int(now + FUTURE_S))
    if not listed or not rounds:
        return _nothing()
    if kind == "mirmon-state":
        return print_result(render_mirmon(listed).decode(), Exit.DONE)
    today = sum(now - row.at <= DAY_S for row in rounds)
    return print_result(render_status(listed, rounds[0].at, rules.interval_s, today, now).decode(), Exit.DONE)


async def _show(store: Store, rules: Rules, name: str, *, as_objects: bool) -> int:
    """One mirror: how it stands, its counters, its next visit, and what was seen."""
    now = time.time()
    async with store.read() as connection:
        rows = [
            (row, memory)
            for row in await kept.find_hosts(connection)
            if name in (row.host, (memory := unpack_memory(row.memory)).name)
        ]
        if not rows:
            say(f"{name}: no such mirror, or never visited")
            return Exit.FAILED
        key = rows[0][0].host
        entries = await recall_entries(connection, rules, now)
        visits = await kept.find_visits(connection, int(now - HISTORY_S), key, SHOWN_EVIDENCE, int(now + FUTURE_S))
        history = await kept.find_history(connection, int(now - HISTORY_S), key)
        seen = [json.loads(text) for text in await kept.find_evidence(connection, key, SHOWN_EVIDENCE)]
    entry: HostHealth | None = entries.get(key)
    if as_objects:
        told: dict[str, Any] = {
            "host": key,
            "name": rows[0][1].name,
            "health": rendered_entry(entry) if entry else None,
            "vantages": [
                {
                    "vantage": row.vantage,
                    "state": row.state,
                    "since": row.since,
                    "reason": row.reason,
                    "visited": row.visited,
                    "next_visit": row.next_visit,
                    "visits": memory.visits,
                }
                for row, memory in rows
            ],
            "visits": [
                {"at": each.at, "vantage": each.vantage, "visit": each.event, "counted": each.counted,
                 "reason": each.reason, "state": each.state, "lag_s": each.lag_s, "requests": each.requests}
                for each in visits
            ],
            "history": [
                {"at": each.at, "state": each.state, "reason": each.reason, "lacking": each.lacking} for each in history
            ],
            "evidence": seen,
        }  # fmt: skip
        return print_result(as_json(told), Exit.DONE)
    lines = [rows[0][1].name or key, *(describe(entry) if entry else [])]
    lines += lines_of(rows, visits, history, seen)
    return print_result("\n".join(lines) + "\n", Exit.DONE)


async def _replay(store: Store, rules: Rules, arguments: argparse.Namespace) -> int:
    """What stored visits come to with the rules as they are, and with other numbers."""
    now = time.time()
    async with store.read() as connection:
        visits = await kept.find_visits(connection, int(now - HISTORY_S), until=int(now + FUTURE_S))
    if not visits:
        return _nothing()
    changes: dict[str, Any] = {
        "down_after": arguments.down_after,
        "up_after": arguments.up_after,
        "outdate_s": arguments.outdate,
    }
    other = replace(rules, **{name: value for name, value in changes.items() if value is not None})
    before, after = replay(visits, rules), replay(visits, other)
    if not arguments.json:
        return print_result(table_of_replay(before, after), Exit.DONE)
    told = [
        {"host": host, "vantage": vantage, "before": _told(before[host, vantage]), "after": _told(after[host, vantage])}
        for host, vantage in sorted(before)
    ]
    return print_result(as_json({"visits": len(visits), "mirrors": told}), Exit.DONE)


def _told(found: Replay) -> dict[str, Any]:
    changes = [{"at": each.at, "state": each.state.value, "reason": each.reason} for each in found.changes]
    return {"state": found.state.value, "out_s": found.out_s, "changes": changes}

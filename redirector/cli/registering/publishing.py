"""`registry publish`: the files that servers answer from."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from redirector.answer.compare.compare import compare
from redirector.answer.compare.difference import Difference
from redirector.answer.compare.telling import as_text
from redirector.cli.operating.asking import admin_of
from redirector.cli.options import add_also_asked, add_options, flags_of, read_also_asked, table_of
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.cli.registering.common import Commands, Desk, add_command, desk_of, guarded, join_of, sign_key_of
from redirector.cli.registering.reloading import ask_reload
from redirector.counted import counted
from redirector.errors import ConfigError, SnapshotError
from redirector.files import write_atomically
from redirector.model import Network
from redirector.one_line import one_line
from redirector.registry.edit.asns import keep_found_asns
from redirector.registry.edit.change import Change
from redirector.registry.edit.scanned import adopt_scans
from redirector.registry.edit.sites import sweep
from redirector.registry.exporting import export_files
from redirector.registry.permits import OPERATOR
from redirector.registry.publish.holdings import Holdings, read_holdings
from redirector.registry.publish.names import gateway_names, keep_addresses, look_up
from redirector.registry.publish.output import SHRINK, publish_snapshot, publish_tree
from redirector.registry.publish.plan import Plan, plan_lines, plan_object
from redirector.registry.publish.selection import Clouds, select
from redirector.registry.publish.tree import render_tree
from redirector.settings.clouds import Clouds as CloudRanges
from redirector.settings.file import load_config, load_job
from redirector.settings.serving import Config
from redirector.snapshot.load import KnownTables, load_snapshot
from redirector.sources.clients import load_clients
from redirector.sources.mirrors_d.cloud import CLOUD_LIMIT_BYTES, parse_ranges
from redirector.store.opening import Store, open_store
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow
from redirector.web.pages.files import render_files, write_files
from redirector.web.pages.render import name_geodata
from redirector.web.pages.shown import read_pasts, read_shown
from redirector.web.whereabouts import Whereabouts, look_again

NAMED = 20
"""Things left out that are named; the rest are counted."""

_ASKED = 20_000
"""Clients of a rehearsal: two seconds, and shares to a tenth of a percent."""

_CHOOSING = frozenset("geoip asn continents clients choice share_limit minimum".split())
"""Keys of the server's settings that decide who is given which host."""


def add_commands(commands: Commands) -> None:
    """`publish`."""
    parser = add_command(commands, "publish", "write what servers answer from", _publish)
    parser.add_argument("--snapshot", metavar="FILE", help="a snapshot file")
    parser.add_argument("--tree", metavar="DIR", help="a tree of YAML files")
    parser.add_argument("--exports", metavar="DIR", help="what `registry export` prints, a file each")
    parser.add_argument("--pages", dest="pages_to", metavar="DIR", help="the public pages as files")
    parser.add_argument("--dry-run", action="store_true", help="print what would change, and write nothing")
    parser.add_argument(
        "--allow", dest="allowed", metavar="shrink", default="", help="publish though half of it would be gone"
    )
    parser.add_argument(
        "--mail", dest="with_mail", action="store_true", help="with the contacts' mail addresses in the tree's files"
    )
    add_also_asked(parser, "gateways may be there")
    parser.add_argument("--reload", action="store_true", help="then ask the server at --admin to take it up")
    parser.add_argument("--admin", metavar="ADDRESS", default=argparse.SUPPRESS, help="the server's admin listener")
    add_options(parser, Config, _CHOOSING)


@dataclass(frozen=True, slots=True)
class _Wanted:
    snapshot: str | None
    tree: str | None
    exports: str | None
    pages: str | None
    dry: bool
    allowed: frozenset[str]
    mail: bool
    addresses: tuple[Network, ...]
    asn: str | None
    serving: Mapping[str, str | Sequence[str]]


def _publish(arguments: argparse.Namespace) -> int:
    allowed = frozenset(filter(None, arguments.allowed.split(",")))
    if allowed - {SHRINK}:
        raise ConfigError("command line", "--allow", arguments.allowed, f"{SHRINK} is all that can be allowed")
    if not (arguments.snapshot or arguments.tree or arguments.exports or arguments.pages_to):
        way_out = "say what to write: --snapshot FILE, --tree DIR, --exports DIR or --pages DIR"
        raise ConfigError("command line", "--snapshot", None, way_out)
    serving = {key: value for key, value in flags_of(arguments).items() if key in _CHOOSING | {"config"}}
    wanted = _Wanted(
        arguments.snapshot,
        arguments.tree,
        arguments.exports,
        arguments.pages_to,
        arguments.dry_run,
        allowed,
        arguments.with_mail,
        read_also_asked(arguments),
        table_of(serving, "asn"),
        serving,
    )
    return guarded(_run(desk_of(arguments), wanted, arguments.json, _reloader(arguments)))


@dataclass(slots=True)
class _Done:
    plans: dict[str, Plan] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    differences: dict[str, Difference] = field(default_factory=dict)


async def _run(desk: Desk, wanted: _Wanted, json: bool, reload: Callable[[], Awaitable[int]] | None) -> int:
    now = int(time.time())
    async with await open_store(desk.database) as store:
        async with store.lock("publish", wait_s=60) as held:
            if not held:
                say("another publication is under way: this one waited for a minute")
                return Exit.FAILED
            done = await _write(store, desk, wanted, now)
    outcome = print_result(as_json(_as_object(done, wanted)) if json else _as_text(done, wanted), Exit.DONE)
    if reload is not None and not wanted.dry:
        outcome = outcome or await reload()
    return outcome


async def _write(store: Store, desk: Desk, wanted: _Wanted, now: int) -> _Done:
    done = _Done()
    async with store.read() as connection:
        names = await gateway_names(connection)
    found, told = await look_up(names, allowed=wanted.addresses) if names else ({}, [])
    done.told += told
    if not wanted.dry:
        own_asns = await look_again(Whereabouts(asn=wanted.asn), store)
        async with store.write() as connection:
            await keep_addresses(connection, found, now)
            change = Change(connection, OPERATOR, now)
            done.told += await keep_own_asns(change, own_asns)
            await adopt_scans(change)
            gone = await sweep(change)
        done.told += [f"{name}: left 30 days ago, and is deleted" for name in gone]
    async with store.read() as connection:
        holdings = await read_holdings(connection, now, desk.rules())
        files = await export_files(Change(connection, OPERATOR, now, desk.house()), holdings) if wanted.exports else {}
        pages: dict[str, bytes] = {}
        if wanted.pages:
            shown = await read_shown(connection, now)
            pasts = await read_pasts(connection, shown)
            key = sign_key_of(desk.registry)
            name_geodata(table_of(wanted.serving, "geoip"))
            pages = dict(render_files(shown, pasts, join_of(desk), desk.network.url or "", sign_key=key))
    _put(desk, holdings, wanted, now, done)
    if wanted.exports and not wanted.dry:
        os.makedirs(wanted.exports, exist_ok=True)
        for name, text in files.items():
            write_atomically(os.path.join(wanted.exports, name), text.encode())
        done.told.append(f"{wanted.exports}: {', '.join(files)}")
    if wanted.pages and not wanted.dry:
        changed = write_files(wanted.pages, pages)
        done.told.append(f"{wanted.pages}: {counted(len(pages), 'files')}, {changed:,} of them changed")
    return done


async def keep_own_asns(change: Change, own_asns: Mapping[int, frozenset[int]]) -> list[str]:
    """An AS counted while a host's addresses were in it. Returns what is to be reported."""
    told = []
    for host in await queries.list_rows(change.connection, HostRow, id=set(own_asns)):
        for number in await keep_found_asns(change, host, own_asns[host.id]):
            told.append(f"host {host.name}: its addresses are not in AS {number} any more, which waits for a decision")
    return told


def _read_clouds(desk: Desk, holdings: Holdings, done: _Done) -> Clouds:
    """The ranges of the clouds that hosts serve; what cannot be read is told, and done without."""
    wanted = {row.cloud_type for row in holdings.hosts.values() if row.cloud_type is not None}
    settled = dict(load_job(CloudRanges, {"config": desk.config} if desk.config else {}).cloud_ranges)
    found = {}
    for cloud in sorted(wanted & settled.keys()):
        try:
            with open(settled[cloud], "rb") as file:
                found[cloud] = parse_ranges(cloud, file.read(CLOUD_LIMIT_BYTES))
        except (OSError, ValueError) as error:
            done.told.append(f"{settled[cloud]}: {error}: no ranges of {cloud} are known")
    return found


def _put(desk: Desk, holdings: Holdings, wanted: _Wanted, now: int, done: _Done) -> None:
    look = partial(_foresee, wanted, now, done) if wanted.dry else None
    if wanted.snapshot:
        publication = select(holdings, now, _read_clouds(desk, holdings, done))
        done.told += publication.left_out
        done.plans[wanted.snapshot] = publish_snapshot(publication, wanted.snapshot, wanted.allowed, wanted.dry, look)
    if wanted.tree:
        files, left_out = render_tree(holdings, now, wanted.mail)
        done.told += left_out
        config = holdings.facts.get("config.yml")
        done.plans[wanted.tree] = publish_tree(
            wanted.tree, files, None if config is None else config.encode(), wanted.allowed, wanted.dry, now, look
        )
        done.told += done.plans[wanted.tree].problems


def _foresee(wanted: _Wanted, now: int, done: _Done, old: str, new: str) -> None:
    """What it does to clients that *new* takes the place of *old*, in the words of `diff`."""
    try:
        config = load_config({**wanted.serving, "source": old})
        known, clients = KnownTables(), load_clients(config.clients).weights if config.clients else {}
        before = load_snapshot(config, now, known=known, lint=False)
        after = load_snapshot(replace(config, source=new), now, known=known, lint=False)
    except (ConfigError, SnapshotError) as error:
        done.told.append(f"{old}: what this does to clients cannot be said: {error}")
        return
    done.differences[old] = compare(before, after, _ASKED, clients)


def _as_object(done: _Done, wanted: _Wanted) -> dict[str, Any]:
    plans = {path: plan_object(plan) for path, plan in done.plans.items()}
    for path, difference in done.differences.items():
        plans[path] |= {"difference": difference.as_json()}
    return {"written": not wanted.dry, "published": plans, "left_out": done.told}


def _as_text(done: _Done, wanted: _Wanted) -> str:
    lines: list[str] = []
    for path, plan in done.plans.items():
        lines.append(f"{path}: {'would change' if wanted.dry else 'written'}")
        difference = done.differences.get(path)
        lines += [f"  {line}" for line in plan_lines(plan, hosts=difference is None)]
        if difference is not None:
            lines += ["", *(f"  {line}".rstrip() for line in as_text(difference).splitlines())]
    lines += done.told[:NAMED]
    if len(done.told) > NAMED:
        lines.append(f"{len(done.told) - NAMED} more are left out; --json names all")
    return "".join(f"{one_line(line)}\n" for line in lines)


def _reloader(arguments: argparse.Namespace) -> Callable[[], Awaitable[int]] | None:
    """Asks the server at `--admin`; None when nobody wants that."""
    if not arguments.reload:
        return None
    flags = {key: value for key, value in flags_of(arguments).items() if key in ("admin", "config")}
    admin = admin_of(flags)

    async def reload() -> int:
        answer = await ask_reload(admin, arguments.allowed)
        for line in answer.lines:
            say(f"reload at {admin}: {line}")
        return Exit.DONE if answer.served else Exit.FAILED

    return reload

"""`registry events` and `registry note`."""

from __future__ import annotations

import argparse
import json

from redirector.cli.registering.common import Commands, add_command, card, run_change
from redirector.cli.registering.hosts import find_host
from redirector.cli.registering.sites import find_site
from redirector.one_line import one_line
from redirector.registry.edit import notes
from redirector.registry.edit.change import Change
from redirector.registry.refusals import Missing
from redirector.registry.views import View, show_event, show_note


def add_commands(commands: Commands) -> None:
    """`events` and `note`."""
    parser = add_command(commands, "events", "what was changed, by whom, newest last", _events)
    _about(parser)
    parser.add_argument("--what", metavar="WHAT", help="a kind, such as `host` or `site.approve`")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many at most (default: 50)")
    parser = add_command(commands, "note", "list notes on a site or host, or write one", _notes)
    _about(parser)
    parser.add_argument("text", metavar="TEXT", nargs="?", help="what is noted; without it, what was noted is listed")


def _about(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--site", metavar="NAME", help="of this site alone")
    which.add_argument("--host", metavar="NAME", help="of this host alone")


async def _find(change: Change, arguments: argparse.Namespace) -> dict[str, int]:
    if arguments.site:
        return {"site": (await find_site(change, arguments.site)).id}
    return {"host": (await find_host(change, arguments.host)).id} if arguments.host else {}


def _events(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        about = await _find(change, arguments)
        found = await notes.list_events(
            change, **about, what=arguments.what, before=1 << 62, limit=max(1, arguments.limit)
        )
        return [show_event(row) for row in reversed(found)]

    return run_change(arguments, work, lambda rows: "".join(map(_line, rows)), write=False)


def _line(view: View) -> str:
    old, new = (json.dumps(view[name], ensure_ascii=False) if view[name] else "-" for name in ("old", "new"))
    return one_line(f"{view['at']} {view['actor']}: {view['what']} {view['name']}: {old} → {new}") + "\n"


def _notes(arguments: argparse.Namespace) -> int:
    async def work(change: Change) -> object:
        about = await _find(change, arguments)
        if not about:
            raise Missing("name a site or a host: --site NAME or --host NAME")
        if arguments.text is not None:
            await notes.add_note(change, arguments.text, **about)
        return [show_note(row) for row in await notes.list_notes(change, **about)]

    return run_change(arguments, work, lambda rows: "\n".join(map(card, rows)))

"""`redirector mirror report`: tell the registry what this mirror has."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

from redirector.cli.mirroring.kit import add_kit, read_kit
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError, FormatError
from redirector.files import explain_failure, read_bytes
from redirector.kit.checkin import Carried, look_at, parse_traffic, render_old_report, render_report
from redirector.kit.reporting import ReportError, send_old_report, send_report
from redirector.kit.wishes import FILE_NAME, Wishes

_TOKEN_BYTES = 4096
_TRAFFIC_BYTES = 16 << 20


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`mirror report [--old]`"""
    parser = commands.add_parser(
        "report",
        usage="redirector mirror report [OPTIONS]",
        help="tell the registry what this mirror has, after a synchronization",
        description="Tell the registry which directories this mirror has, with a token; the script of the kit does it "
        "after each synchronization.",
        allow_abbrev=False,
    )
    parser.set_defaults(action=run)
    parser.add_argument("--old", action="store_true", help="by /xmlrpc, as MirrorManager's report_mirror does")
    parser.add_argument(
        "--traffic", metavar="FILE", help="tell bytes sent instead, from what vnstat --json d says; - is standard input"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be told, without the token, and end")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    add_kit(parser)


def run(arguments: argparse.Namespace) -> int:
    """Tell, and say what the registry said."""
    wishes = read_kit(arguments)
    path = os.path.join(arguments.kit, FILE_NAME)
    if not wishes.report:
        raise ConfigError(path, "report", None, "the registry's URL is needed, with report_token and categories")
    if arguments.old and not wishes.report_site:
        raise ConfigError(path, "report_site", None, "the old check-in names the site")
    if arguments.old and arguments.traffic:
        raise ConfigError("command line", "--traffic", arguments.traffic, "the old check-in knows no traffic")
    host = wishes.report_host or wishes.name
    try:
        traffic = _traffic(arguments.traffic, wishes) if arguments.traffic else {}
        token = read_bytes(wishes.report_token, _TOKEN_BYTES).decode("ascii").strip()
        carried = {} if arguments.traffic else _carried(wishes)
    except (OSError, ValueError, FormatError) as error:
        name = getattr(error, "filename", None) or wishes.report_token
        say(str(error) if isinstance(error, FormatError) else f"{name}: {explain_failure(error)}")
        return Exit.FAILED
    finished = None if arguments.traffic else int(time.time())
    body = render_report(host, finished, carried, traffic)
    if arguments.dry_run:
        return print_result(as_json(body), Exit.DONE)
    try:
        if arguments.old:
            call = render_old_report(f"{wishes.report}/xmlrpc", wishes.report_site, host, token, carried)
            said = asyncio.run(send_old_report(wishes.report, call))
        else:
            said = asyncio.run(send_report(wishes.report, token, body))
    except ReportError as error:
        say(f"{wishes.report} did not take it: {error}")
        return Exit.FAILED
    if arguments.json:
        return print_result(as_json({"host": host, "said": said}), Exit.DONE)
    return print_result(said.rstrip("\n") + "\n", Exit.DONE)


def _carried(wishes: Wishes) -> dict[str, Carried]:
    return {name: look_at(os.path.join(wishes.root, folder)) for name, folder in wishes.categories.items()}


def _traffic(source: str, wishes: Wishes) -> dict[str, int]:
    if source == "-":
        return parse_traffic(sys.stdin.buffer.read(_TRAFFIC_BYTES), wishes.interface)
    return parse_traffic(read_bytes(source, _TRAFFIC_BYTES), wishes.interface)

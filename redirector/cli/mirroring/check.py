"""`redirector mirror check`: a mirror as its clients and its distribution see it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence

from redirector import __version__
from redirector.cli.mirroring.kit import add_kit, read_kit
from redirector.cli.options import add_also_asked, read_also_asked
from redirector.cli.output import Exit, as_json, print_result, say
from redirector.errors import ConfigError
from redirector.health.safety import Safety, parse_networks
from redirector.kit.checking import Look, open_tools, tell_findings
from redirector.kit.finding import Finding, outcome_of
from redirector.kit.local import check_local
from redirector.kit.telling import tell_changes
from redirector.kit.values import seconds_of
from redirector.kit.wishes import FILE_NAME, Wishes
from redirector.one_line import one_line

_INNER = parse_networks(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"])


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`mirror check [URL…]`"""
    parser = commands.add_parser(
        "check",
        usage="redirector mirror check [URL…] [OPTIONS]",
        help="look at a mirror from outside, or with --local on its own machine",
        description="Look at each URL on IPv4 and IPv6, and print what is well and what is not. Exit 0: all is well, "
        "1: warnings, 2: errors, which are what clients feel, or show a secret.",
        allow_abbrev=False,
    )
    parser.set_defaults(action=run)
    parser.add_argument(
        "urls", metavar="URL", nargs="*", help=f"http, https, rsync or ftp (default: urls in {FILE_NAME})"
    )
    parser.add_argument("--master", metavar="PATH|URL", help="where the mirror has its content from")
    add_also_asked(parser, "addresses that may be asked though not global")
    parser.add_argument("--local", action="store_true", help="this machine: users, rights, rsync, disk")
    parser.add_argument("--frequency", metavar="TIME", help="how often it announces to synchronize, such as 3h")
    parser.add_argument(
        "--staged", metavar="PATH", action="append", default=[], help="a folder that strangers must not see"
    )
    parser.add_argument(
        "--notify",
        action="store_true",
        help=f"where what is found is not what it was, tell notify_mail and notify_url of {FILE_NAME}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_kit(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, say what is found as it is found; 0, 1 or 2."""
    networks = read_also_asked(arguments)
    wishes = _wishes(arguments)
    urls = arguments.urls or (wishes.seen_at if wishes and not arguments.local else ())
    if wishes and wishes.private and not arguments.urls:
        # Its own admin wants to know, and its addresses are in no other's reach.
        networks += _INNER
    own = wishes if wishes and not arguments.urls and not arguments.master else None
    master, newest = _source_of(own) if own else (arguments.master, None)
    look = Look(
        master,
        newest,
        frequency_s=_frequency(arguments, wishes),
        staged=tuple(each.strip("/") for each in arguments.staged),
    )
    try:
        found = asyncio.run(_run(arguments, urls, look, Safety(networks), wishes))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    outcome = outcome_of(found)
    if arguments.notify and wishes is not None:
        for trouble in asyncio.run(tell_changes(wishes, found, time.time())):
            say(trouble)
    if arguments.json:
        listed = [{"url": f.url, "check": f.check, "level": f.level.value, "text": f.text} for f in found]
        return print_result(as_json({"outcome": outcome, "findings": listed}), outcome)
    return outcome


def _wishes(arguments: argparse.Namespace) -> Wishes | None:
    needed = arguments.local or arguments.notify or not arguments.urls
    return read_kit(arguments) if needed else None


def _source_of(wishes: Wishes) -> tuple[str | None, str | None]:
    """What the mirror is compared with, and the URL of its source's time stamp.

    On its own machine it is compared with its own tree: of the source one file is asked then, not dozens each hour. A
    source that wants a password is for the synchronization alone.
    """
    known = None if wishes.source_user else wishes.source
    if not os.path.isdir(wishes.root):
        return known, None
    if not wishes.marker:
        return known or wishes.root, None
    return wishes.root, known and known + wishes.marker


def _frequency(arguments: argparse.Namespace, wishes: Wishes | None) -> int | None:
    if arguments.frequency is None:
        return wishes.every_s if wishes else None
    try:
        return seconds_of(arguments.frequency)
    except ValueError:
        raise ConfigError("command line", "--frequency", arguments.frequency, "30min, 3h or 1d is needed") from None


async def _run(
    arguments: argparse.Namespace, urls: Sequence[str], look: Look, safety: Safety, wishes: Wishes | None
) -> list[Finding]:
    def tell(finding: Finding) -> None:
        if not arguments.json:
            print(one_line(str(finding)), flush=True)

    found = list(check_local(wishes)) if arguments.local and wishes is not None else []
    for finding in found:
        tell(finding)
    tools = open_tools(safety, f"redirector-mirror-check/{__version__}", time.time, time.monotonic)
    try:
        return found + await tell_findings(urls, look, tools, tell)
    finally:
        await tools.close()

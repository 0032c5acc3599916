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
from redirector.cli.output import Exit, as_json, print_result
from redirector.errors import ConfigError
from redirector.health.safety import Safety
from redirector.kit.checking import Look, open_tools, tell_findings
from redirector.kit.finding import Finding, outcome_of
from redirector.kit.local import check_local
from redirector.kit.wishes import FILE_NAME, Wishes, seconds_of
from redirector.one_line import one_line
from redirector.settings.option import Given, parse_network


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
    parser.add_argument(
        "--allow-address",
        metavar="CIDR",
        action="append",
        default=[],
        help="addresses that may be asked though not global",
    )
    parser.add_argument("--local", action="store_true", help="this machine: users, rights, rsync, disk")
    parser.add_argument("--frequency", metavar="TIME", help="how often it announces to synchronize, such as 3h")
    parser.add_argument(
        "--staged", metavar="PATH", action="append", default=[], help="a folder that strangers must not see"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_kit(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, say what is found as it is found; 0, 1 or 2."""
    networks = tuple(parse_network(Given("command line", "--allow-address", each)) for each in arguments.allow_address)
    wishes = _wishes(arguments)
    urls = arguments.urls or (wishes.urls if wishes and not arguments.local else ())
    if not urls and not arguments.local:
        raise ConfigError(
            "command line", "URL", None, f"a URL is needed, or --local, or a kit whose {FILE_NAME} has urls"
        )
    look = Look(
        arguments.master or (wishes.source if wishes and not arguments.urls else None),
        frequency_s=_frequency(arguments, wishes),
        staged=tuple(each.strip("/") for each in arguments.staged),
    )
    try:
        found = asyncio.run(_run(arguments, urls, look, Safety(networks), wishes))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    outcome = outcome_of(found)
    if arguments.json:
        listed = [{"url": f.url, "check": f.check, "level": f.level.value, "text": f.text} for f in found]
        return print_result(as_json({"outcome": outcome, "findings": listed}), outcome)
    return outcome


def _wishes(arguments: argparse.Namespace) -> Wishes | None:
    needed = arguments.local or not arguments.urls
    return read_kit(arguments) if needed else None


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

"""`redirector explain`: how the answer to a target comes about for a client."""

from __future__ import annotations

import argparse
import time
from ipaddress import ip_address

from redirector.cli.options import LOADING, add_options, read_config
from redirector.cli.output import Exit, print_lines, print_result, say
from redirector.errors import QueryError, SnapshotError
from redirector.near_names import find_nearest
from redirector.one_line import one_line
from redirector.settings.serving import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The target, the client, and the options that decide what is loaded."""
    parser.add_argument(
        "target", metavar="TARGET", help="such as '/metalink?repo=baseos-9&arch=x86_64', or a whole URL"
    )
    parser.add_argument("--client", metavar="ADDRESS", required=True, help="the address that asks")
    parser.add_argument(
        "--host", metavar="NAME", help="only this host: where it stands in the answer, or why it does not"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_options(parser, Config, LOADING)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    config = read_config(arguments)
    from redirector.answer.explain import explain
    from redirector.answer.serve import Responder
    from redirector.cli.loading import load_as_served
    from redirector.locate.second_reader import find_doubt

    now = time.time()
    try:
        snapshot = load_as_served(config, now)
        explanation = explain(Responder(snapshot), arguments.target, arguments.client, now)
        client = explanation.client
        if snapshot.geo_path and client.country_from in ("", snapshot.geo_path):
            doubt = find_doubt(snapshot.geo_path, ip_address(client.address).packed, client.country or None)
            if doubt is not None:
                say(doubt)
    except SnapshotError as error:
        say(str(error))
        return Exit.FAILED
    except QueryError as error:
        say(error.text)
        return Exit.FAILED if error.status == 404 else Exit.WRONG_USAGE
    if arguments.host is not None:
        known = tuple(each.host for each in explanation.hosts)
        explanation = explanation.of_host(arguments.host)
        if not explanation.hosts:
            near = find_nearest(arguments.host, known)
            say(
                f"{arguments.host} is not among the hosts of this list" + (f"; near: {', '.join(near)}" if near else "")
            )
            return Exit.FAILED
    if arguments.json:
        return print_result(explanation.as_json() + "\n", Exit.DONE)
    outcome = print_lines(explanation.way_as_text().split("\n"), Exit.DONE)
    body = "\n".join(map(one_line, explanation.answer_as_text().split("\n")))
    return print_result(f"{body}\n", outcome)

"""Asking a running server at its admin listener."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from redirector.cli.options import add_options, flags_of
from redirector.cli.output import Exit, as_json, print_lines, print_result, say
from redirector.errors import ConfigError
from redirector.settings.file import Flags, load_key
from redirector.settings.option import Address
from redirector.settings.serving import Config

ASK_TIMEOUT_S = 15.0
"""For what the server knows by heart."""

MARGIN_S = 60.0
"""How much longer than its own time-out a reload may take until it answers."""

_DEFAULT = Address("127.0.0.1", 9180)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said. *value*: its JSON; {} where it answered with a line of *text*."""

    status: int
    value: Mapping[str, Any]
    text: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the server listens, and how it is said."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_options(parser, Config, {"admin", "config"})


def run(
    arguments: argparse.Namespace,
    target: str,
    show: Callable[[Mapping[str, Any]], str],
    method: str = "GET",
    query: Mapping[str, object] | None = None,
) -> int:
    """Ask for *target* and print what *show* makes of the answer, or the answer itself with `--json`.

    query  parameters; those that are None are left out
    """
    flags = flags_of(arguments)
    address = admin_of(flags)
    limit_s = load_key(Config, "load_timeout_s", flags) or 600.0
    assert isinstance(limit_s, float)
    given = {key: value for key, value in (query or {}).items() if value is not None}
    try:
        timeout_s = ASK_TIMEOUT_S if method == "GET" else 2 * limit_s + MARGIN_S
        reply = ask(address, f"{target}?{urlencode(given)}" if given else target, method, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        say(f"{address}: {reason}: is a server running, with this admin listener (--admin)?")
        return Exit.FAILED
    if not reply.value:
        say(reply.text or f"{address} answers with {reply.status}")
        return Exit.WRONG_USAGE if reply.status == 400 else Exit.FAILED
    outcome = Exit.DONE if reply.status == 200 else Exit.FAILED
    if arguments.json:
        return print_result(as_json(reply.value), outcome)
    return print_lines(show(reply.value).splitlines(), outcome)


def admin_of(flags: Flags) -> Address:
    """Where the server's admin listener is. Raises ConfigError when it is switched off: another server's may be where
    it would be by default."""
    address = load_key(Config, "admin", flags, _DEFAULT)
    if not isinstance(address, Address):
        raise ConfigError(
            "command line", "--admin", "none", "this server has no admin listener, so nobody can be asked"
        )
    return address


def ask(address: Address, target: str, method: str, timeout_s: float) -> Reply:
    """One request. Raises OSError or HTTPException."""
    connection = (
        http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
        if address.path is None
        else _UnixConnection(address.path, timeout_s)
    )
    try:
        connection.request(method, target, headers={"Host": "localhost"})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        is_json = answer.headers.get_content_type() == "application/json"
        return Reply(answer.status, json.loads(body) if is_json else {}, body.strip())
    finally:
        connection.close()

"""The parts of aiohttp that it does not promise, and on which a connection relies: a new release shows here first."""

from __future__ import annotations

import ast
from pathlib import Path

from aiohttp.web_protocol import RequestHandler

from redirector.server.worker import connection, lane

PARTS = {
    "_buffer_paused",
    "_close",
    "_force_close",
    "_max_msg_queue_size",
    "_message_tail",
    "_messages",
    "_pause_transport_reading",
    "_process_keepalive",
    "_reading_paused",
    "_request_count",
    "_resume_transport_reading",
    "_upgraded",
    "_waiter",
}


def private_names(path: str) -> set[str]:
    """Private attributes that are used, and private methods that are defined, in the file *path*."""
    found = set()
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def test_the_private_parts_that_connections_use_are_named_here_and_are_there() -> None:
    theirs = {name for kind in RequestHandler.__mro__ for name in vars(kind)}
    used = private_names(connection.__file__) | private_names(lane.__file__)
    assert used & theirs == PARTS

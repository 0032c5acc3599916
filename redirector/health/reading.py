"""What the text of a marker, an index or a list says; malformed text says nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from redirector.health.evidence import Entry

_LINE = re.compile(rb"([-dlbcps][-rwxsStT]{9}) +([0-9]+) (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (.+)", re.DOTALL)
_ESCAPE = re.compile(rb"\\#([0-7]{3})")


def parse_rsync_line(line: bytes) -> Entry | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    kind, size, when, name = match.groups()
    path = _ESCAPE.sub(lambda m: bytes((int(m[1], 8) & 255,)), name).decode("utf-8", "surrogateescape")
    try:
        at = int(datetime.strptime(when.decode(), "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    return Entry(path, int(size), at, folder=kind[:1] == b"d")


def read_marker(path: str, body: bytes, now: float) -> tuple[str, float | None]:
    return body.decode("utf-8", "replace").partition("\n")[0], None


def read_index(path: str, body: bytes) -> tuple[float | None, int | None]:
    return None, None

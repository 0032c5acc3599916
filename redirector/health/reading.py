"""What the text of a marker or an index says of its age; malformed text says nothing."""

from __future__ import annotations

from redirector.errors import FormatError
from redirector.master.formats import parse_marker, parse_release, parse_trace
from redirector.tree.repomd import parse_repomd

_WITHOUT_TIME = frozenset({"state", "COMPOSE_ID"})


def read_marker(path: str, body: bytes, now: float) -> tuple[str, float | None]:
    """First line and time of a marker; None where it has none, or none that can be believed.

    path  tells markers that are compared as text (`state`, `COMPOSE_ID`) from those that hold a time
    """
    text = body.strip().partition(b"\n")[0].rstrip().decode("utf-8", "replace")
    if path.rpartition("/")[2] in _WITHOUT_TIME:
        return text, None
    try:
        return text, parse_marker(body, now)
    except FormatError:
        pass
    try:
        return text, float(parse_trace(body, now).time)
    except FormatError:
        return text, None


def read_index(path: str, body: bytes) -> tuple[float | None, int | None]:
    """When an index was made and until when it holds, by its own words; None where it does not say."""
    name = path.rpartition("/")[2]
    try:
        if name == "repomd.xml":
            return float(parse_repomd(body).detail.timestamp) or None, None
        if name in ("Release", "InRelease"):
            release = parse_release(body)
            return None if release.date is None else float(release.date), release.valid_until
    except FormatError:
        pass
    return None, None

"""Paths in lists that others write, as bytes."""

from __future__ import annotations

import re

PATH_LIMIT_BYTES = 4096
"""Linux's `PATH_MAX`."""


def is_safe_path(path: bytes) -> bool:
    """Whether *path* stays below where it counts from, on any system, and is written in one way only."""
    return (
        0 < len(path) <= PATH_LIMIT_BYTES
        and b"\0" not in path
        and not path.startswith(b"/")
        and _UNSAFE_SEGMENT.search(path) is None
    )


_UNSAFE_SEGMENT = re.compile(rb"(?:^|/)(?:\.{0,2})(?:/|\Z)")
"""Empty, `.` or `..`."""

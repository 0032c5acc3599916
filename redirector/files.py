"""Operators' files: read whole, with a limit, and never waited for."""

from __future__ import annotations

import os
import stat


def read_bytes(path: str, limit_bytes: int) -> bytes:
    """The whole regular file *path*.

    raises  OSError, or ValueError for a directory, a pipe or a device (never waits on one) and beyond *limit_bytes*
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        raw = file.read(limit_bytes + 1)
    if len(raw) > limit_bytes:
        raise ValueError(f"larger than {limit_bytes:,} bytes")
    return raw


def explain_failure(error: OSError | ValueError) -> str:
    """One line for people: without the errno and the path, which stands in front already."""
    return (isinstance(error, OSError) and error.strerror) or str(error)

"""Operators' files: read whole, with a limit, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO


def open_regular(path: str) -> BinaryIO:
    """The regular file *path*, open to be read.

    raises  OSError, for a directory, a pipe or a device too: nobody waits on one
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return open(descriptor, "rb")


def read_bytes(path: str, limit_bytes: int) -> bytes:
    """The whole regular file *path*. Raises OSError, or ValueError beyond *limit_bytes*."""
    with open_regular(path) as file:
        raw = file.read(limit_bytes + 1)
    if len(raw) > limit_bytes:
        raise ValueError(f"larger than {limit_bytes:,} bytes")
    return raw


def explain_failure(error: OSError | ValueError) -> str:
    """One line for people: without the errno and the path, which stands in front already."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def replace_file(path: str, raw: bytes) -> None:
    """Put *raw* at *path*, whole or not at all: written beside it, then renamed. Raises OSError."""
    fresh = f"{path}.new"
    with open(fresh, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)

"""Operators' files: read whole, with a limit, and never waited for; written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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


def write_atomically(path: str, raw: bytes, mode: int | None = None) -> None:
    """Put *raw* at *path*: whoever reads sees what was there before, or all of it.

    mode    its permissions; None: those of the file that was there, or what the umask leaves
    raises  OSError that names *path*; what was there before is still there then
    """
    folder, name = os.path.split(path)
    fresh = os.path.join(folder, f".{name}.new-{os.urandom(4).hex()}")
    if mode is None:
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(path).st_mode)
    with naming(path, fresh):
        try:
            write_flushed(fresh, (raw,), mode)
            os.replace(fresh, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(fresh)
            raise


@contextmanager
def naming(path: str, fresh: str) -> Iterator[None]:
    """What fails of *fresh*, a name that nobody gave, is said of *path*, whose place it takes; and so is what names
    no file, as a full disk does not."""
    try:
        yield
    except OSError as error:
        said = "" if error.filename is None else str(error.filename)
        if not said or said.startswith(fresh):
            error.filename, error.filename2 = path + said[len(fresh) :], None
        raise


def write_flushed(path: str, pieces: Iterable[bytes], mode: int | None = None) -> None:
    """A new file *path* of *pieces*, on the disk when this returns.

    mode    its permissions; None: what the umask leaves
    raises  OSError, also when there is such a file
    """
    rights = 0o666 if mode is None else mode
    with open(path, "xb", buffering=1 << 20, opener=lambda name, flags: os.open(name, flags, rights)) as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())

"""Which of a database's errors an operator must act upon, and what is said about them. Any other is a bug."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from redirector.errors import StoreError

_SQLITE = {
    sqlite3.SQLITE_PERM: ("not allowed", "give this user the right to write the file and its folder"),
    sqlite3.SQLITE_BUSY: ("locked by another process", "try again, or find out who writes to it for so long"),
    sqlite3.SQLITE_LOCKED: ("locked by another process", "try again, or find out who writes to it for so long"),
    sqlite3.SQLITE_NOMEM: ("no memory left", "give it more"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "give this user the right to write the file and its folder"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "look at the disk"),
    sqlite3.SQLITE_CORRUPT: ("damaged", "put a copy in its place, or move it away to begin anew"),
    sqlite3.SQLITE_FULL: ("no space left", "make room on its disk"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "its folder must be there, and this user must be able to write in it",
    ),
    sqlite3.SQLITE_PROTOCOL: ("cannot be locked", "put it on a local disk"),
    sqlite3.SQLITE_NOTADB: ("no SQLite database", "name another file"),
}

_POSTGRESQL = {
    "08": ("not reached", "see that it runs and listens there"),
    "28": ("lets nobody in under this name", "correct user and password"),
    "3D": ("there is no such database", "make it (createdb)"),
    "40": ("two changes met", "try again"),
    "42501": ("not allowed", "give this user the right to use the tables"),
    "53": ("no room left", "give the server more disk, memory or connections"),
    "55": ("locked by another process", "try again"),
    "57": ("it is going down or just starting", "try again"),
    "58": ("its disk fails", "look at the server's log"),
    "XX": ("damaged", "look at the server's log"),
}


def explain_failure(url: str, error: BaseException) -> StoreError | None:
    """What an operator should be told about *error*; None when it is a bug, or a broken constraint."""
    if isinstance(error, IntegrityError):
        return None
    if isinstance(error, PoolTimeout):
        return StoreError(url, "every connection is in use", "try again")
    if isinstance(error, OSError):  # TimeoutError, which drivers raise while they connect, is one
        return StoreError(url, f"not reached ({error.strerror or 'no answer in time'})", _POSTGRESQL["08"][1])
    if not isinstance(error, DBAPIError):
        return _of_driver(url, error)
    return _of_driver(url, error.orig, lost=error.connection_invalidated)


def is_busy(error: DBAPIError | sqlite3.Error) -> bool:
    """Whether another process writes to an SQLite database just now."""
    raised = error.orig if isinstance(error, DBAPIError) else error
    code: int = getattr(raised, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _of_driver(url: str, error: BaseException | None, lost: bool = False) -> StoreError | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        found = _SQLITE.get(code)
    else:
        state = getattr(error, "sqlstate", None) or ("08" if lost else "")
        found = _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    if found is None:
        return None
    reason, way_out = found
    return StoreError(url, f"{reason} ({_first_line(error)})", way_out)


def _first_line(error: BaseException | None) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]

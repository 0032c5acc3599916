"""Evidence and masters in few words, for tests."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from redirector.health.evidence import Ask, Evidence, Outcome, Scheme
from redirector.health.expected import Expected, Master, NamedFile, Version

NOW = 1_795_000_000
HOUR = 3600
NAME = "9.8/BaseOS/x86_64/os"
INDEX = f"{NAME}/repodata/repomd.xml"


def sum_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def version(text: str, pushed: int) -> Version:
    """The index with the content *text*, pushed at *pushed*."""
    return Version(sum_of(text), 3000, pushed, pushed)


def repository(*pushes: tuple[str, int], name: str = NAME, files: tuple[NamedFile, ...] = ()) -> Expected:
    """A repository with these pushes, newest first: content, hours ago."""
    versions = tuple(version(text, NOW - hours * HOUR) for text, hours in pushes)
    return Expected(name, f"{name}/repodata/repomd.xml", versions, files, versions[0].pushed if versions else 0)


def index(content: str = "", outcome: Outcome = Outcome.OK, *, path: str = INDEX, **changes: Any) -> Evidence:
    """What came for an index;"""
    fields: dict[str, Any] = {
        "at": NOW,
        "vantage": "main",
        "host": "mirror.example.net",
        "category": "",
        "ask": Ask.INDEX,
        "base": "https://mirror.example.net/",
        "path": path,
        "outcome": outcome,
        "scheme": Scheme.HTTPS,
        "sha256": sum_of(content) if outcome is Outcome.OK else "",
    }
    return Evidence(**fields | changes)


def file(path: str, size: int | None = 100, outcome: Outcome = Outcome.OK, **changes: Any) -> Evidence:
    """What came for a file."""
    return index("", outcome, path=path, ask=Ask.FILE, size_bytes=size, sha256="", **changes)


def marker(stamp: float | None, **changes: Any) -> Evidence:
    """A mirror's `TIME`."""
    return index("", changes.pop("outcome", Outcome.OK), path="TIME", ask=Ask.MARKER, stamp=stamp, **changes)


def master(*directories: Expected, stamp: float | None = NOW, **changes: Any) -> Master:
    fields: dict[str, Any] = {"category": "", "directories": directories, "marker": "TIME", "stamp": stamp}
    return Master(**fields | changes)

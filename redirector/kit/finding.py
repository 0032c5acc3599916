"""What a look at a mirror found: one line a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """OK; WARNING, what should be otherwise; ERROR, what clients feel, or what shows a secret."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    url    the mirror's URL, or the folder or file that was looked at on the machine itself
    check  one of CHECKS
    """

    url: str
    check: str
    level: Level
    text: str

    def __str__(self) -> str:
        return f"{self.url}: {self.check}: {self.level}: {self.text}"


CHECKS = {
    "answer": "it answers, on IPv4 and IPv6",
    "ports": "which of http, https and rsync are open to the world",
    "redirect": "files come from where they are asked for",
    "size": "a known file has its size",
    "hash": "a known file has its checksum",
    "age": "how far it is behind its source, and behind what it announces",
    "missing": "what is not there is 404, 550, or rsync's code 23",
    "type": "packages and images are application/octet-stream",
    "encoding": "files come as they are, not packed once more",
    "cache": "metadata is asked for again, packages are not",
    "keep-alive": "one connection serves several requests",
    "range": "a part of a file can be asked for",
    "certificate": "the certificate is valid, and for how long",
    "staged": "what is not released yet is hidden",
    "temporary": "unfinished files (`.~tmp~`) are hidden",
    "checksum": "rsync refuses `-c`",
    "write": "rsync takes nothing",
    "users": "who synchronizes is not who serves",
    "rights": "who serves cannot write, and cannot read what is not released",
    "xxhash": "rsync knows xxh128",
    "disk": "there is room, in bytes and in files",
    "tools": "the programs that the kit calls are there",
}


def outcome_of(findings: Iterable[Finding]) -> int:
    """0 all is well, 1 there are warnings, 2 there are errors."""
    levels = {each.level for each in findings}
    return 2 if Level.ERROR in levels else 1 if Level.WARNING in levels else 0

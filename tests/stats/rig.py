"""Made-up log lines of every format, and what they add up to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from redirector.stats.counts import Counts
from redirector.stats.lines import Reader, Reading

FEDORA = "libdnf (Fedora Linux 42; workstation; Linux.x86_64)"
TARGET = "/metalink?repo=fedora-42&arch=x86_64"


@dataclass(frozen=True, slots=True)
class Line:
    """One request. *time* is epoch seconds' text in the combined format, *iso* in ours."""

    target: str = TARGET
    agent: str = FEDORA
    status: int = 200
    method: str = "GET"
    version: str = "HTTP/1.1"
    time: str = "28/Nov/2026:06:00:07 +0000"
    iso: str = "2026-11-28T06:00:07Z"
    client: str = "198.51.100.7"
    country: str | None = "DE"
    size: str = "7200"
    referer: str = "-"

    def combined(self) -> bytes:
        text = (
            f'{self.client} - - [{self.time}] "{self.method} {self.target} {self.version}" {self.status} {self.size} '
            f'"{self.referer}" "{self.agent}"\n'
        )
        return text.encode("utf-8", "surrogateescape")

    def json(self) -> bytes:
        value = {
            "time": self.iso,
            "client": self.client,
            "method": self.method,
            "target": self.target,
            "status": self.status,
            "bytes": 7200,
            "duration_s": 0.0001,
            "answer": "metalink",
            "tier": "country",
            "host": "mirror.example.org",
            "country": self.country,
            "relaxed": [],
            "referer": None,
            "agent": self.agent or None,
        }
        return json.dumps(value).encode() + b"\n"


def mirrormanager(
    country: str = "DE",
    repo: str = "fedora-42",
    arch: str = "x86_64",
    client: str = "198.51.100.7",
    day: str = "2026-11-28",
) -> bytes:
    return f"IP: {client}; DATE: {day}; COUNTRY: {country}; REPO: {repo}; ARCH: {arch}\n".encode()


def count(*blocks: bytes, reading: Reading | None = None) -> Counts:
    """What *blocks* add up to."""
    reader = Reader(reading or Reading())
    for block in blocks:
        reader.read(block)
    return reader.counts()


def systems(counts: Counts) -> list[tuple[object, ...]]:
    """Rows of systems, each as often as it was counted, without their week."""
    return sorted(row[1:] for row in counts.countme.elements())


def requests(counts: Counts) -> Counter[tuple[str, ...]]:
    return Counter({tuple(row): hits for row, hits in counts.access.items()})

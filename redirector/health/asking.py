"""One category of a host while it is visited: which ways were tried, what was seen over them, and when to give up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from redirector.health.evidence import ANSWERED, FAILED, OUR_OWN, Evidence, Family, Outcome
from redirector.health.expected import Expected, Master
from redirector.health.judge import Finding
from redirector.health.memory import Held, Validator
from redirector.health.plan import Looks
from redirector.health.subjects import Carried

LOST = frozenset(
    {
        Outcome.NO_NAME,
        Outcome.NO_CONNECTION,
        Outcome.TIMEOUT,
        Outcome.TLS,
        Outcome.TLS_EXPIRED,
        Outcome.TLS_NAME,
        Outcome.TLS_UNTRUSTED,
        Outcome.FORBIDDEN,
        Outcome.BUSY,
        *OUR_OWN,
    }
)
"""After these nothing else is asked over that URL and family."""

BREAKS = 3
"""Connections that a mirror may close during a visit, and failures without an answer, before the rest is left for the
next one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A way to a mirror: a base URL and an address family."""

    base: str
    family: Family | None


@dataclass(eq=False)
class Asking:
    """One category while it is visited."""

    carried: Carried
    master: Master
    held: Held
    mine: NDArray[np.bool_]
    opening: list[tuple[Pair, Evidence]] = field(default_factory=list)
    content: list[Evidence] = field(default_factory=list)
    findings: dict[int, Finding] = field(default_factory=dict)
    validators: dict[int, Validator] = field(default_factory=dict)
    looks: Looks = field(default_factory=Looks)
    marker: Evidence | None = None
    listed: bool = False
    requests: int = 0


@dataclass(eq=False)
class Lost:
    """Whether the way to the mirror is lost for this visit."""

    breaks: int = 0
    failures: int = 0
    answered: bool = False
    over: bool = False

    def add(self, seen: Evidence) -> None:
        self.answered = self.answered or seen.outcome in ANSWERED
        self.failures += seen.outcome in FAILED
        if not self.answered and self.failures >= BREAKS:
            self.over = True
        if seen.outcome is Outcome.NO_CONNECTION:
            self.breaks += 1
            self.over = self.over or self.breaks >= BREAKS
        elif seen.outcome in LOST:
            self.over = True

    def __bool__(self) -> bool:
        return self.over


T = TypeVar("T")


def pairs(items: Iterable[T]) -> Iterator[list[T]]:
    """Two at a time: as many connections as an address may have."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == 2:
            yield batch
            batch = []
    if batch:
        yield batch


def paths_of(expected: Expected) -> Iterator[str]:
    """All that tells how a directory stands."""
    if expected.index:
        yield expected.index
    yield from (file.path for file in expected.files)


def port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def first_web(carried: Carried) -> str:
    return next((url for url in carried.urls if not url.startswith("rsync:")), "")

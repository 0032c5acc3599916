"""Targets that a snapshot must answer before it is served: a last look at what clients would get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from redirector.answer.answer import Answer, Kind, Request
from redirector.locate.proxies import Client
from redirector.model import Problem, Severity

_HASHES = (b'type="sha512"', b'type="sha-512"')
"""Metalink 3 and 4."""


class Answers(Protocol):
    """Whoever answers; a `Responder`."""

    def answer(self, request: Request) -> Answer: ...


def check_canaries(responder: Answers, targets: Sequence[str], now: float) -> tuple[Problem, ...]:
    """A fatal problem for each of *targets* that a client from nowhere does not get a mirror for."""
    return tuple(_find_problems(responder, targets, now))


def _find_problems(responder: Answers, targets: Sequence[str], now: float) -> Iterator[Problem]:
    for target in targets:
        found = responder.answer(Request(target.encode(), Client(None), now, 0))
        if wrong := _judge(found):
            text = f"{target!r} {wrong}: the snapshot is not served"
            yield Problem(Severity.ERROR, "redirector", "canaries", text, fatal=True)


def _judge(found: Answer) -> str:
    """What is wrong with an answer; "" when nothing is."""
    if found.status >= 400:
        return f"is answered with {found.status}"
    if found.first is None:
        return "is answered without a mirror"
    if found.kind is Kind.METALINK and found.status == 200 and not any(each in found.body for each in _HASHES):
        return "is answered without a sha512"
    return ""

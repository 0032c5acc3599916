"""What changed between two looks at a mirror, and the words in which its admins are told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from redirector.kit.finding import Finding, Level, outcome_of

WORDS = {0: "all is well", 1: "warnings", 2: "errors"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look left to be remembered.

    outcome  0, 1 or 2
    ill      URL, check and level of what was not well; without texts, since those hold times
    """

    outcome: int
    ill: frozenset[tuple[str, str, str]]


WELL = Seen(0, frozenset())
"""What is assumed before the first look: who is well is told nothing."""


def seen_in(findings: Sequence[Finding]) -> Seen:
    """What is remembered of *findings*."""
    ill = {(each.url, each.check, each.level.value) for each in findings if each.level is not Level.OK}
    return Seen(outcome_of(findings), frozenset(ill))


def parse_seen(raw: bytes) -> Seen:
    """What the look before left; `WELL` where that cannot be read."""
    try:
        told = json.loads(raw)
        ill = frozenset((str(url), str(check), str(level)) for url, check, level in told["ill"])
        return Seen(int(told["outcome"]), ill)
    except (ValueError, TypeError, KeyError):
        return WELL


def render_seen(seen: Seen) -> bytes:
    """*seen* as `parse_seen` reads it."""
    return json.dumps({"outcome": seen.outcome, "ill": sorted(seen.ill)}).encode()


def render_mail(name: str, to: str, before: Seen, findings: Sequence[Finding], date: str) -> bytes:
    """A mail that says what changed, and all that is not well.

    date  as mails write it
    """
    message = EmailMessage(policy=SMTP)
    message["To"] = to
    message["Subject"] = f"{name}: {WORDS[outcome_of(findings)]} (before: {WORDS[before.outcome]})"
    message["Date"] = date
    message["Auto-Submitted"] = "auto-generated"
    ill = [str(each) for each in findings if each.level is not Level.OK]
    gone = [f"{url}: {check}: {level}" for url, check, level in sorted(_gone(before, findings))]
    parts = ["What is found now:", *ill] if ill else ["All is well."]
    parts += ["", "What is found no more:", *gone] if gone else []
    message.set_content("\n".join([*parts, "", "Again at any time: redirector mirror check", ""]))
    return message.as_bytes()


def render_hook(name: str, before: Seen, findings: Sequence[Finding], at: int) -> dict[str, Any]:
    """The same for a program. *at*: epoch seconds."""
    ill: Iterable[Finding] = [each for each in findings if each.level is not Level.OK]
    return {
        "kind": "mirror-check",
        "mirror": name,
        "at": at,
        "outcome": outcome_of(findings),
        "before": before.outcome,
        "findings": [{"url": f.url, "check": f.check, "level": f.level.value, "text": f.text} for f in ill],
        "gone": [{"url": u, "check": c, "level": level} for u, c, level in sorted(_gone(before, findings))],
    }


def _gone(before: Seen, findings: Sequence[Finding]) -> frozenset[tuple[str, str, str]]:
    return before.ill - seen_in(findings).ill

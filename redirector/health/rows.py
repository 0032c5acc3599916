"""A visit as the store keeps it. Pure."""

from __future__ import annotations

from redirector.health.evidence import ANSWERED, FAILED, Ask, Evidence, Outcome
from redirector.health.hysteresis import Event, combine
from redirector.health.keeping import (
    evidence_text,
)
from redirector.health.visit import Result
from redirector.store import evidence as kept

EVIDENCE_A_VISIT = 40


def visit_row(result: Result, vantage: str, *, counted: bool) -> kept.VisitRow:
    overall = combine((each.category, each.held.standing) for each in result.categories)
    whole = next((each.whole for each in result.categories if each.whole.value != "none"), None)
    stamps = [each.held.stamp for each in result.categories if each.held.stamp is not None]
    delay = None if not stamps or result.event is not Event.GOOD else max(0, int(result.at - min(stamps)))
    return kept.VisitRow(
        host=result.subject.key,
        at=int(result.at),
        vantage=vantage,
        event=result.event.value,
        counted=counted,
        content=whole.value if whole else "none",
        reason=result.reason,
        state=overall.state.value,
        lag_s=None if result.lag_s is None else int(result.lag_s),
        delay_s=delay,
        duration_s=result.memory.duration_s if result.event is Event.GOOD else None,
        requests=result.requests,
    )


def evidence_rows(result: Result, vantage: str) -> list[kept.EvidenceRow]:
    """The evidence of a visit that is kept: what tells of trouble first, then the opening, then what there is."""
    told = sorted(
        enumerate(result.evidence), key=lambda pair: (not _is_notable(pair[1]), pair[1].ask is not Ask.MARKER, pair[0])
    )
    chosen = sorted(told[:EVIDENCE_A_VISIT], key=lambda pair: pair[0])
    return [
        kept.EvidenceRow(result.subject.key, vantage, each.at, _is_notable(each), evidence_text(each))
        for _, each in chosen
    ]


def _is_notable(seen: Evidence) -> bool:
    if seen.ask is Ask.CONTROL:
        return seen.outcome is Outcome.OK
    return seen.outcome in FAILED or seen.html or bool(seen.redirected) or seen.outcome not in ANSWERED

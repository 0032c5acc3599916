"""What people read on a terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redirector.health.evidence import Evidence
from redirector.health.hysteresis import State
from redirector.health.judge import explain, span, utc
from redirector.health.memory import Memory
from redirector.health.replay import Replay
from redirector.health.report import Entry
from redirector.health.round import Round
from redirector.health.visit import Result
from redirector.store.evidence import HistoryRow, HostRow, VisitRow


def table_of(made: Round) -> str:
    """A line a mirror, those in trouble first, and the counts."""
    requests = {result.subject.key: result.requests for result in made.results}
    tail = f"{len(made.results)} visited in {span(made.took_s)}, {made.requests} requests"
    return table_of_entries(made.entries, requests, tail)


def table_of_entries(entries: Mapping[str, Entry], requests: Mapping[str, int] | None = None, tail: str = "") -> str:
    """The same for what is known, whoever was visited."""
    order = list(State)[::-1]
    rows = [("mirror", "state", "late", "requests" if requests is not None else "", "")]
    for key, entry in sorted(entries.items(), key=lambda pair: (order.index(pair[1].state), pair[0])):
        late = "" if entry.lag_s is None else span(entry.lag_s) if entry.lag_s else "no"
        reason = entry.reason or (f"{len(entry.lacking)} directories left out" if entry.lacking else "")
        asked = str(requests[key]) if requests and key in requests else ""
        rows.append((entry.name or key, entry.state.value, late, asked, reason))
    counts = ", ".join(
        f"{count} {state.value}" for state in State if (count := sum(each.state is state for each in entries.values()))
    )
    return "\n".join([*_columns(rows), ": ".join(filter(None, (tail, counts)))]) + "\n"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Cells under each other; the last column is not padded."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]).rstrip()
        for row in rows
    ]


def table_of_replay(before: Mapping[tuple[str, str], Replay], after: Mapping[tuple[str, str], Replay]) -> str:
    """The mirrors of which other numbers would have made something else, and how long each would have been out."""
    rows = [("mirror", "vantage", "state", "would be", "out", "would be")]
    for key in sorted(before):
        was, would = before[key], after[key]
        if was.changes != would.changes:
            rows.append((*key, was.state.value, would.state.value, span(was.out_s), span(would.out_s)))
    changed = len(rows) - 1
    total = f"{changed} of {len(before)} mirrors would have fared otherwise"
    return "\n".join([*(_columns(rows) if changed else ()), total]) + "\n"


def lines_of(
    memories: Sequence[tuple[HostRow, Memory]],
    visits: Sequence[VisitRow],
    history: Sequence[HistoryRow],
    evidence: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Counters, next visit, states, visits and evidence of one mirror."""
    lines = []
    for row, memory in memories:
        lines.append(
            f"{row.vantage}: {row.state}, {memory.visits} visits, last {utc(row.visited)}, next {utc(row.next_visit)}"
        )
    lines += [f"{utc(each.at)} became {each.state}{f': {each.reason}' if each.reason else ''}" for each in history]
    lines += [
        f"{utc(each.at)} {each.vantage} visit {each.event}{'' if each.counted else ' (void)'}"
        f"{f': {each.reason}' if each.reason else ''}"
        for each in visits
    ]
    lines += [_line_of_text(each) for each in reversed(evidence)]
    return lines


def _line_of_text(seen: Mapping[str, Any]) -> str:
    told = " ".join(f"{name} {seen[name]}" for name in ("status", "finding", "redirected") if name in seen)
    where = f"{seen.get('base', '')}{seen.get('path', '')}"
    return f"{utc(seen.get('at', 0))} {seen.get('vantage', '')} {where} {seen.get('outcome', '')} {told}".rstrip()


def tell_visit(result: Result, entry: Entry | None) -> str:
    """One visit in full: each thing asked and what came, then what follows of it."""
    lines = [f"{result.subject.name}: {result.requests} requests, {utc(result.at)}"]
    lines += [f"  {_line_of(seen)}" for seen in result.evidence]
    lines.append(f"visit: {result.event}{f': {result.reason}' if result.reason else ''}")
    if entry is not None:
        lines += describe(entry)
    return "\n".join(lines) + "\n"


def describe(entry: Entry) -> list[str]:
    """How a mirror stands, in lines."""
    since = f" since {utc(entry.since)}" if entry.since else ""
    lines = [f"state: {entry.state}{since}{f': {entry.reason}' if entry.reason else ''}"]
    if entry.lag_s is not None:
        lines.append(f"late: {span(entry.lag_s) if entry.lag_s else 'no'}")
    lines += [f"left out: {name}" for name in entry.lacking[:20]]
    if len(entry.lacking) > 20:
        lines.append(f"left out: {len(entry.lacking) - 20} more")
    lines += [f"{url}: {'answers' if note.up else 'fails'}: {note.reason}" for url, note in sorted(entry.urls.items())]
    return lines


def _line_of(seen: Evidence) -> str:
    way = f"{seen.scheme}{f' {seen.family}' if seen.family else ''}{f' {seen.address}' if seen.address else ''}"
    details = []
    if seen.stamp is not None:
        details.append(f"time {utc(seen.stamp)}")
    if seen.size_bytes is not None:
        details.append(f"{seen.size_bytes} bytes")
    if seen.sha256:
        details.append(f"sha256 {seen.sha256[:12]}…")
    if seen.redirected:
        details.append(f"redirected to {seen.redirected}")
    told = ", ".join(details)
    return f"{utc(seen.at)} {way} {seen.duration_s:.2f} s {explain(seen)}{f' ({told})' if told else ''}"

"""What people read on a terminal. Pure."""

from __future__ import annotations

from redirector.health.evidence import Evidence
from redirector.health.hysteresis import State
from redirector.health.judge import explain, span, utc
from redirector.health.report import Entry
from redirector.health.round import Round
from redirector.health.visit import Result


def table_of(made: Round) -> str:
    """A line a mirror, those in trouble first, and the counts."""
    order = list(State)[::-1]
    rows = [("mirror", "state", "late", "requests", "")]
    results = {result.subject.key: result for result in made.results}
    for key, entry in sorted(made.entries.items(), key=lambda pair: (order.index(pair[1].state), pair[0])):
        result = results.get(key)
        late = "" if entry.lag_s is None else span(entry.lag_s) if entry.lag_s else "no"
        reason = entry.reason or (f"{len(entry.lacking)} directories left out" if entry.lacking else "")
        rows.append((entry.name or key, entry.state.value, late, str(result.requests) if result else "", reason))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]).rstrip()
        for row in rows
    ]
    counts = ", ".join(
        f"{count} {state.value}"
        for state in State
        if (count := sum(entry.state is state for entry in made.entries.values()))
    )
    tail = f"{len(made.results)} visited in {span(made.took_s)}, {made.requests} requests"
    return "\n".join([*lines, f"{tail}: {counts}" if counts else tail]) + "\n"


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

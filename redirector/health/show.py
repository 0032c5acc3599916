"""What people read on a terminal. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

from redirector.counted import counted
from redirector.health.evidence import Ask, Evidence, Family, Outcome, Scheme, printable, printable_reason
from redirector.health.expected import Master
from redirector.health.hysteresis import State
from redirector.health.judge import explain, span
from redirector.health.keeping import unpack_evidence
from redirector.health.memory import OUT, Memory, content_of
from redirector.health.replay import Replay
from redirector.health.report import HostHealth, note_of
from redirector.health.round import Round
from redirector.health.visit import Result, Visited
from redirector.model import utc
from redirector.store.evidence import HistoryRow, MemoryRow, VisitRow

SHOWN = 20
"""Directories that are named one by one."""

ENDS = {
    State.UNREACHABLE: "it is again after two visits that it answers, five minutes apart",
    State.UNKNOWN: "it is again after two visits that it answers, five minutes apart",
    State.STALE: "it is again after one look that finds what it lacks",
}
"""What brings a mirror back that is out."""


def table_of(made: Round) -> str:
    """A line a mirror, those in trouble first, and the counts."""
    requests = {result.subject.key: result.requests for result in made.results}
    tail = f"{len(made.results):,} visited in {span(made.took_s)}, {counted(made.requests, 'requests')}"
    return table_of_entries(made.entries, requests, tail)


def table_of_entries(
    entries: Mapping[str, HostHealth], requests: Mapping[str, int] | None = None, tail: str = ""
) -> str:
    """The same for what is known, whoever was visited."""
    order = list(State)[::-1]
    rows = [("mirror", "state", "late", "requests" if requests is not None else "", "")]
    for key, entry in sorted(entries.items(), key=lambda pair: (order.index(pair[1].state), pair[0])):
        late = "" if entry.lag_s is None else span(entry.lag_s) if entry.lag_s else "no"
        reason = entry.reason or entry.note
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
    """The mirrors of which other numbers would have made something else: how often, and how long each was out."""
    rows = [("mirror", "vantage", "state", "would be", "times out", "would be", "out for", "would be")]
    for key in sorted(before):
        was, would = before[key], after[key]
        if was.changes != would.changes:
            rows.append(
                (
                    *key,
                    was.state.value,
                    would.state.value,
                    str(was.times_out),
                    str(would.times_out),
                    span(was.out_s),
                    span(would.out_s),
                )
            )
    changed, mirrors = len(rows) - 1, counted(len(before), "mirrors")
    lines = [
        *(_columns(rows) if changed else ()),
        f"{changed:,} of {mirrors} would have fared otherwise",
    ]
    lines.append(f"together: {_together(before.values())}; would be: {_together(after.values())}")
    return "\n".join(lines) + "\n"


def _together(found: Collection[Replay]) -> str:
    return (
        f"{counted(sum(each.times_out for each in found), 'times')} out, for {span(sum(each.out_s for each in found))}"
    )


def lines_of(
    memories: Sequence[tuple[MemoryRow, Memory]],
    visits: Sequence[VisitRow],
    history: Sequence[HistoryRow],
    evidence: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Counters, next visit, states, visits and evidence of one mirror."""
    lines = ["", "visits"]
    for row, memory in memories:
        lines.append(
            f"  by {row.vantage}: {memory.visits}, the last {utc(row.visited)}, the next {utc(row.next_visit)};"
            f" {row.state}{f': {row.reason}' if row.reason else ''}"
        )
    lines += [""] + ["became"] * bool(history)
    lines += _columns([(f"  {utc(each.at)}", each.state, each.reason) for each in history]) if history else []
    lines += ["", "came to"] if visits else []
    lines += _columns([(f"  {utc(each.at)}", each.vantage, _told(each), each.reason) for each in visits])
    lines += ["", "saw"] if evidence else []
    return lines + lines_of_evidence([unpack_evidence(json.dumps(each)) for each in reversed(evidence)])


def _told(visit: VisitRow) -> str:
    return f"{visit.event}{'' if visit.counted else ' (void)'}, {_requests(visit.requests)}"


def _requests(count: int) -> str:
    return f"{count} request{'s' if count != 1 else ''}"


def tell_visit(result: Result, entry: HostHealth | None, masters: Mapping[str, Master]) -> str:
    """One visit in full: each thing asked and what came, then what follows of it."""
    took = span(result.at - result.evidence[0].at) if result.evidence else "0 s"
    lines = [f"{result.subject.name}: visited {utc(result.at)}, {_requests(result.requests)} in {took}", ""]
    lines += lines_of_evidence(result.evidence)
    lines += ["", f"visit: {result.event}{f': {result.reason}' if result.reason else ''}"]
    for visited in result.categories:
        lines += _lines_of_content(visited, masters)
    if entry is not None:
        lines += describe(entry)
    if result.memory.next_visit:
        lines.append(f"next visit: {utc(result.memory.next_visit)}, where a service makes rounds")
    return "\n".join(lines) + "\n"


def _lines_of_content(visited: Visited, masters: Mapping[str, Master]) -> list[str]:
    """What one category holds: how many directories are how, and each that is not well."""
    master, held = masters[visited.category], visited.held
    name = f"{visited.category}: " if visited.category else ""
    lines = []
    if held.marker_age_s is not None:
        than = " older than the master's" if master.stamp is not None else " old"
        age = f"{span(held.marker_age_s)}{than}" if held.marker_age_s else "the master's"
        lines.append(f"{name}{master.marker}: {age}")
    if counted := note_of(held.states, all_of_them=True):
        lines.append(f"{name}directories: {counted}")
    worst = sorted(held.troubles, key=lambda n: (-content_of(held.states[n]), n))
    for number in worst[:SHOWN]:
        trouble, state = held.troubles[number], held.states[number]
        what = "no answer" if trouble.failing else content_of(state).name.lower().replace("_", " ")
        reason = trouble.reason or printable_reason(master.directories[number].name)
        lines.append(f"  {what}{', left out' if state & OUT else ''}: {reason}")
    if len(worst) > SHOWN:
        lines.append(f"  and {len(worst) - SHOWN} more")
    return lines


def describe(entry: HostHealth) -> list[str]:
    """How a mirror stands, in lines."""
    since = f" since {utc(entry.since)}" if entry.since else ""
    lines = [f"state: {entry.state}{since}{f': {entry.reason}' if entry.reason else ''}"]
    lines.append(f"listed: {'yes' if entry.up else 'no'}{f'; {ends}' if (ends := ENDS.get(entry.state)) else ''}")
    if entry.lag_s is not None:
        lines.append(f"late: {span(entry.lag_s) if entry.lag_s else 'no'}")
    lines += [f"left out: {printable_reason(name)}" for name in entry.lacking[:SHOWN]]
    if len(entry.lacking) > SHOWN:
        lines.append(f"left out: {len(entry.lacking) - SHOWN} more")
    lines += [f"{url}: {'answers' if note.up else 'fails'}: {note.reason}" for url, note in sorted(entry.urls.items())]
    families = {"IPv4": entry.ipv4, "IPv6": entry.ipv6}
    lines += [f"{name}: {'answers' if there else 'no'}" for name, there in families.items() if there is not None]
    if entry.certificate_expires:
        lines.append(f"certificate: until {utc(entry.certificate_expires)}")
    return lines


def lines_of_evidence(evidence: Sequence[Evidence]) -> list[str]:
    """What was asked of each URL, and what came."""
    lines: list[str] = []
    for base, group in groupby(evidence, key=lambda seen: seen.base):
        rows = [
            (
                f"  {utc(seen.at, exactly=True)}",
                " ".join(filter(None, (_FAMILIES.get(seen.family), seen.address))),
                f"{seen.duration_s:.2f} s",
                printable(seen.path or "."),
                _came(seen),
            )
            for seen in group
        ]
        lines += [base, *_columns(rows)]
    return lines


_FAMILIES: Mapping[Family | None, str] = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}


def _came(seen: Evidence) -> str:
    if seen.outcome not in (Outcome.OK, Outcome.UNCHANGED, Outcome.MISSING):
        return explain(seen, what="failed")
    status = f"{seen.status} " if seen.status and seen.scheme is not Scheme.RSYNC else ""
    words = {Outcome.UNCHANGED: "as it was", Outcome.MISSING: "missing"}.get(seen.outcome, "there")
    if seen.ask is Ask.CONTROL:
        words = "missing, as what cannot exist should be" if words == "missing" else "there, though it cannot exist"
    details = ["a page of HTML"] if seen.html else []
    if seen.stamp is not None:
        details.append(f"of {utc(seen.stamp)}")
    elif seen.modified is not None and seen.scheme is Scheme.RSYNC:
        details.append(f"of {utc(seen.modified)}")
    if seen.size_bytes is not None and seen.outcome is Outcome.OK:
        details.append(f"{seen.size_bytes} bytes")
    if seen.sha256:
        details.append(f"sha256 {seen.sha256[:12]}…")
    if seen.redirected:
        details.append(f"redirected to {seen.redirected}")
    return f"{status}{words}" + (f": {', '.join(details)}" if details else "")

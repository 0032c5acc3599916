"""What was counted, as CSV and as values for JSON; pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from redirector.stats.counts import week_days
from redirector.store.statistics import Margin, PropagationRow, SystemRow, TrafficRow

Table = tuple[Sequence[str], Sequence[Sequence[str | int | float]]]
"""Names of columns, and rows."""


def access_table(margins: Iterable[Margin]) -> Table:
    """Requests by day and country, architecture, repository; *percent* is of the day's requests."""
    rows = [(each.day, each.category, each.name, each.requests, round(each.percent, 2)) for each in margins]
    return ("day", "category", "name", "requests", "percent"), rows


def countme_table(systems: Iterable[SystemRow]) -> Table:
    """Systems by week, in the columns that Fedora publishes."""
    names = ("week_start", "week_end", "hits", "os_name", "os_version", "os_variant", "os_arch", "sys_age")
    rows = []
    for each in systems:
        monday, sunday = week_days(each.weeknum)
        system = (each.os_name, each.os_version, each.os_variant, each.os_arch, each.sys_age)
        rows.append((str(monday), str(sunday), each.hits, *system, each.repo_tag, each.repo_arch))
    return (*names, "repo_tag", "repo_arch"), rows


def propagation_table(propagation: Iterable[PropagationRow]) -> Table:
    """Mirrors by how far behind they were, by run and repository."""
    rows = [
        (time_text(each.run), each.repository, each.same_day, each.one_day, each.two_day, each.older, each.no_info)
        for each in propagation
    ]
    return ("run", "repository", "same_day", "one_day", "two_day", "older", "no_info"), rows


def traffic_table(traffic: Iterable[TrafficRow]) -> Table:
    """Bytes by day and mirror."""
    return ("day", "host", "bytes"), [(each.day, each.host, each.bytes) for each in traffic]


def render_csv(table: Table) -> str:
    """*table* as CSV: a line of names, then the rows, each ended by LF."""
    names, rows = table
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()


def items(table: Table) -> dict[str, list[dict[str, str | int | float]]]:
    """*table* as a value for JSON: `{"items": [{name: value}]}`."""
    names, rows = table
    return {"items": [dict(zip(names, row, strict=True)) for row in rows]}


def time_text(time_s: int) -> str:
    """*time_s* as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

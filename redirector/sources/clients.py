"""Where clients come from, as the operator counted them: a CSV of countries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from redirector.errors import SnapshotError
from redirector.locate.places import countries
from redirector.model import Problem, Severity
from redirector.rows import read_rows

_LIMIT_BYTES = 1 << 20
"""There are 250 countries."""

_LEAST, _MOST = 1e-9, 1e18
"""Weights that can be added up and divided without losing them; nobody counts so many clients."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Country -> how many clients are there, in any unit, and what was wrong with the file."""

    weights: Mapping[str, float]
    problems: tuple[Problem, ...] = field(default=())


NO_CLIENTS = Clients({})


def load_clients(path: str) -> Clients:
    """The clients in the CSV file *path*: a country's code and a number a line, added up where a country is named
    twice; a header and further columns do no harm.

    A line that says something else is skipped and reported.
    raises  SnapshotError when the file cannot be read or has no usable line
    """
    rows = read_rows(path, _LIMIT_BYTES)
    found: dict[str, float] = {}
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        fields = [cell.strip() for cell in row]
        country, weight = fields[0].upper() if fields else "", _weight(fields[1]) if len(fields) > 1 else None
        if country in countries() and weight is not None:
            found[country] = found.get(country, 0.0) + weight
        elif any(fields) and not fields[0].startswith("#") and (number > 1 or weight is not None):
            text = f"{','.join(row)[:100]!r} is not CC,WEIGHT: skipped"
            problems.append(Problem(Severity.WARNING, path, f"line {number}", text))
    if not any(found.values()):
        raise SnapshotError.of(path, "has no line CC,WEIGHT with a weight above 0")
    return Clients(found, tuple(problems))


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if weight == 0 or _LEAST <= weight <= _MOST else None

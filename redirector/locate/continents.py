"""Continents of countries, from the operator's CSV or from the gazetteer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from redirector.errors import SnapshotError
from redirector.locate.places import countries
from redirector.model import Problem, Severity
from redirector.rows import read_rows

CONTINENTS = frozenset({"AF", "AN", "AS", "EU", "NA", "OC", "SA"})

_NONE = "--"
"""Codes of anonymous proxies and satellites have no continent."""

_LIMIT_BYTES = 1 << 20
"""The real file has 2 kB."""


@dataclass(frozen=True, slots=True)
class Continents:
    """Country -> continent, both by their two-letter codes, and what was wrong with the file."""

    continents: Mapping[str, str]
    problems: tuple[Problem, ...] = field(default=())


@cache
def gazetteer_continents() -> Continents:
    """The continent of every country that the gazetteer knows."""
    return Continents({code: country.continent for code, country in countries().items()})


def load_continents(path: str) -> Continents:
    """The continents in the CSV file *path*, `CC,CONTINENT` a line, a header first; `--` is none.

    A line that says something else is skipped and reported.
    raises  SnapshotError when the file cannot be read or has no usable line
    """
    rows = read_rows(path, _LIMIT_BYTES)
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        fields = [cell.strip().upper() for cell in row]
        if len(fields) == 2 and len(fields[0]) == 2 and fields[1] in CONTINENTS:
            found[fields[0]] = fields[1]
        elif number > 1 and any(fields) and fields[1:] != [_NONE]:
            problems.append(_wrong_line(path, number, row))
    if not found:
        raise SnapshotError.of(path, "has no line CC,CONTINENT")
    return Continents(found, tuple(problems))


def _wrong_line(path: str, number: int, row: list[str]) -> Problem:
    text = f"{','.join(row)[:100]!r} is not CC,CONTINENT: skipped"
    return Problem(Severity.WARNING, path, f"line {number}", text)

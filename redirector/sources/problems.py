"""What a loader notes while it reads: each problem with its file, key, value and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from redirector.model import Problem, Severity
from redirector.near_names import SLIP, find_nearest
from redirector.one_line import one_line


@dataclass(frozen=True, slots=True)
class Report:
    """Problems of one file; the reports of all files of a source share one list."""

    path: str
    problems: list[Problem] = field(default_factory=list)

    def of(self, path: str) -> Report:
        """The report of another file of the same source."""
        return Report(path, self.problems)

    def error(self, key: str, text: str, fatal: bool = False) -> None:
        """Something was left out; *fatal*: nothing can be served from this input."""
        self._add(Severity.ERROR, key, text, fatal)

    def warning(self, key: str, text: str) -> None:
        """Something was repaired, or deserves a look."""
        self._add(Severity.WARNING, key, text, fatal=False)

    def _add(self, severity: Severity, key: str, text: str, fatal: bool) -> None:
        self.problems.append(Problem(severity, one_line(self.path), one_line(key[:150]), one_line(text), fatal))


def show(value: object) -> str:
    """*value* as it stands in a message, at most 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def list_some(names: list[str]) -> str:
    """The first five of *names* and how many more there are."""
    more = len(names) - 5
    return ", ".join(name[:100] for name in names[:5]) + (f" and {more} more" if more > 0 else "")


def nearest_key(key: str, known: tuple[str, ...]) -> str | None:
    """The one of *known* that *key* is most likely a misspelling of."""
    near = find_nearest(key, known, 1, least=SLIP)
    return near[0] if near else None

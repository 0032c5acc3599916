"""What a loader notes while it reads: each problem with its file, key, value and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches

from redirector.model import Problem, Severity


@dataclass(frozen=True, slots=True)
class Report:
    """Problems of one file; the reports of all files of a source share one list."""

    path: str
    problems: list[Problem] = field(default_factory=list)

    def of(self, path: str) -> Report:
        """The report of another file of the same source."""
        return Report(path, self.problems)

    def error(self, key: str, text: str) -> None:
        """Something was left out."""
        self.problems.append(Problem(Severity.ERROR, self.path, key, text))

    def warning(self, key: str, text: str) -> None:
        """Something was repaired, or deserves a look."""
        self.problems.append(Problem(Severity.WARNING, self.path, key, text))

    def fatal(self, key: str, text: str) -> None:
        """Nothing can be served from this input."""
        self.problems.append(Problem(Severity.ERROR, self.path, key, text, fatal=True))


def show(value: object) -> str:
    """*value* as it stands in a message: one line, at most 100 characters."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def show_key(key: str) -> str:
    """*key* as it may stand in a problem, whatever it is."""
    return key if key.isprintable() and 0 < len(key) <= 100 else show(key)


def list_some(names: list[str]) -> str:
    """The first five of *names* and how many more there are."""
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")


def nearest_key(key: str, known: tuple[str, ...]) -> str | None:
    """The one of *known* that *key* is most likely a misspelling of."""
    close = get_close_matches(key.casefold()[:100], known, n=1, cutoff=0.8)
    return close[0] if close else None

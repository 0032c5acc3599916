"""Every exception class on one screen. The class says who must act; fields in, text out in `__str__`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redirector.model import Problem, Severity


@dataclass(eq=False)
class QueryError(Exception):
    """The client must act: its request cannot be answered.

    status  HTTP status, 4xx
    text    one line that says what is wrong and what would be right; never echoes more than 100 characters of a value
    """

    status: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class ConfigError(Exception):
    """The operator must act: an option or a key of the configuration file is wrong.

    value  None: it is missing
    """

    path: str
    key: str
    value: object
    way_out: str

    def __str__(self) -> str:
        said = "" if self.value is None else f"{self.value!r}: "
        return f"{self.path}: {self.key}: {said}{self.way_out}"


@dataclass(eq=False)
class ConfigErrors(ConfigError):
    """Several at once, of one key; the fields are those of the first."""

    errors: Sequence[ConfigError] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


@dataclass(eq=False)
class SnapshotError(Exception):
    """The operator must act: these inputs cannot be served. Holds every problem, not only the first."""

    problems: Sequence[Problem]

    @classmethod
    def of(cls, path: str, text: str, key: str = "file") -> SnapshotError:
        """The error of a file from which nothing can be served: why is *text*."""
        return cls([Problem(Severity.ERROR, path, key, text, fatal=True)])

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(eq=False)
class StaleBuildError(Exception):
    """Whoever installed must act: a part in C was compiled from another source than is here.

    path  the compiled file
    """

    path: str

    def __str__(self) -> str:
        return f"{self.path} was compiled from another version of its source; rebuild it: make install"


@dataclass(eq=False)
class StoreError(Exception):
    """The operator must act: the database cannot be used. What was under way in it did not happen.

    url      the database, without its password
    reason   what is wrong: locked, full, not reached, of another version
    way_out  what would be right
    """

    url: str
    reason: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}: {self.way_out}"


@dataclass(eq=False)
class FormatError(ValueError):
    """A document from elsewhere is not what its name says. Whoever asked for it decides what that means.

    text  one line; cites at most 100 characters, all printable
    """

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class MasterError(Exception):
    """The operator must act, or wait: a master cannot be read as a whole. What was known of it stays.

    master   where it is, as the operator named it, without password
    reason   what is wrong
    way_out  what would be right
    """

    master: str
    reason: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.master}: {self.reason}: {self.way_out}"

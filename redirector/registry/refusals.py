"""Why a change to the registry was refused. Whoever asked for it must act; nothing has been written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of what was sent; *field* is "" when it is about the whole.

    field  dotted where it lies deeper: `contacts.0`, `maintenance.to`
    text   one line for the person who typed it: what is wrong, and what would be right
    """

    field: str
    text: str


@dataclass(eq=False)
class RegistryError(Exception):
    """A change that was not made; *text* is one line. The class says which kind, and `status` what HTTP calls it."""

    text: str
    status = 400

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class Invalid(RegistryError):
    """Fields break rules: all problems at once."""

    text: str = "some fields are not right"
    problems: Sequence[FieldProblem] = ()
    status = 422

    def __str__(self) -> str:
        return "; ".join(f"{each.field}: {each.text}" if each.field else each.text for each in self.problems)


@dataclass(eq=False)
class Forbidden(RegistryError):
    """The account may not do that; *problems* name the fields where it is about single ones."""

    text: str = "your account may not do that"
    problems: Sequence[FieldProblem] = ()
    status = 403

    def __str__(self) -> str:
        said = "; ".join(f"{each.field}: {each.text}" for each in self.problems)
        return f"{self.text}: {said}" if said else self.text


@dataclass(eq=False)
class Missing(RegistryError):
    """There is no such thing, or not for this account."""

    text: str = "there is no such thing"
    status = 404


@dataclass(eq=False)
class Conflict(RegistryError):
    """It contradicts what is there: a name that is taken, the last admin, a site that is not waiting."""

    text: str = "it contradicts what is there"
    problems: Sequence[FieldProblem] = ()
    status = 409

    def __str__(self) -> str:
        said = "; ".join(f"{each.field}: {each.text}" if each.field else each.text for each in self.problems)
        return said or self.text


@dataclass(eq=False)
class Stale(RegistryError):
    """Somebody else changed it since it was read; *current* holds what is there now, *version* its number."""

    text: str = "somebody changed it meanwhile"
    version: int = 0
    current: Mapping[str, object] = field(default_factory=dict)
    status = 412


def refuse(field_name: str, text: str) -> NoReturn:
    """Raise `Invalid` for one field."""
    raise Invalid(problems=(FieldProblem(field_name, text),))

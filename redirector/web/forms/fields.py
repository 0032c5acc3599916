"""From a noun to the fields of a form, and from what was sent to a body. Pure.

Whatever a noun has becomes a field: its type says how it is typed, `words.FIELDS` what it is called and its rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from redirector.registry.nouns import Maintenance, Noun
from redirector.registry.refusals import FieldProblem, RegistryError, Stale
from redirector.web.words import FIELDS, GROUPS

LINES = frozenset({"contacts", "exclusions"})
"""Lists that are typed one a line; others are separated by commas."""


@dataclass(frozen=True, slots=True)
class FormField:
    """One field as a template shows it.

    kind     `text`, `password`, `checkbox`, `select`, `lines`
    group    heading of the fields from this one on; "": that of the one before
    now      what is there meanwhile, where somebody else changed it; None: nobody did
    """

    name: str
    id: str
    label: str
    rule: str
    kind: str
    value: str
    checked: bool = False
    options: tuple[str, ...] = ()
    problem: str = ""
    now: str | None = None
    required: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A form that was refused: what was typed, and why.

    problems  field -> what is wrong
    current   what is there, for one that somebody else changed meanwhile
    version   of what it stands beside: of *current*, else of what the form was made of; None: it was made of nothing
    """

    typed: Mapping[str, str]
    text: str = ""
    status: int = 422
    problems: Mapping[str, str] = field(default_factory=dict)
    current: Mapping[str, object] | None = None
    version: int | None = None


def failure_of(error: RegistryError, typed: Mapping[str, str]) -> Failure:
    """What a form shows of a refusal."""
    listed: Sequence[FieldProblem] = getattr(error, "problems", ())
    problems: dict[str, str] = {}
    for each in listed:
        name = each.field.removeprefix("maintenance.").partition(".")[0]
        problems.setdefault(name, each.text)
    if isinstance(error, Stale):
        if not (typed.keys() - {"version"}) & error.current.keys():  # a button: no field is beside what is there now
            return Failure(typed, f"{error.text}: look at what is there now, and decide again", error.status)
        return Failure(typed, error.text, error.status, {}, error.current, error.version)
    return Failure(typed, "" if problems else str(error), error.status, problems, version=read_version(typed))


def read_version(typed: Mapping[str, str]) -> int | None:
    """The version that a form was made of; None where it says none."""
    text = typed.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def names_of(noun: type[Noun]) -> list[str]:
    """Names of a noun's fields as bodies have them."""
    return [info.alias or name for name, info in noun.model_fields.items() if info.annotation is not Maintenance]


def _parts(annotation: Any) -> tuple[Any, ...]:
    """A type without what is around it: its alternatives, None left out."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(part for each in get_args(annotation) for part in _parts(each) if part is not NoneType)
    return (annotation,)


def _is_optional(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _is_optional(get_args(annotation)[0])
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def _kind(name: str, annotation: Any) -> tuple[str, tuple[str, ...]]:
    parts = _parts(annotation)
    if name == "password":
        return "password", ()
    if parts == (bool,):
        return "checkbox", ()
    if any(get_origin(part) is list for part in parts):
        return ("lines" if name in LINES else "list"), ()
    if len(parts) == 1 and get_origin(parts[0]) is Literal:
        told = tuple(str(each) for each in get_args(parts[0]))
        return "select", (("", *told) if _is_optional(annotation) else told)
    return "text", ()


def form_fields(
    form: str,
    prefix: str,
    noun: type[Noun],
    current: Mapping[str, Any],
    failed: Failure | None = None,
    *,
    only: Iterable[str] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> list[FormField]:
    """The fields of a form.

    form     makes ids unique on a page with several
    prefix   of `words.FIELDS`
    current  what is there, or usual
    choices  values of fields that are not open
    """
    wanted = names_of(noun) if only is None else list(only)
    fields = []
    for key, info in noun.model_fields.items():
        name = info.alias or key
        if name not in wanted or f"{prefix}.{name}" not in FIELDS:
            continue
        kind, options = _kind(name, info.annotation)
        if choices and name in choices:
            kind, options = "select", tuple(choices[name])
        label, rule = FIELDS[f"{prefix}.{name}"]
        there = show_value(name, current.get(name, info.get_default() if not info.is_required() else None))
        value, checked = there, there == "true"
        now = None
        if failed is not None:
            value, checked = failed.typed.get(name, ""), name in failed.typed
            if failed.current is not None:
                fresh = show_value(name, failed.current.get(name))
                now = fresh if fresh != (("true" if checked else "false") if kind == "checkbox" else value) else None
        fields.append(
            FormField(
                name=name,
                id=f"{form}-{name.replace('.', '-')}",
                label=label,
                rule=rule,
                kind="text" if kind == "list" else kind,
                value="" if kind == "password" else value,
                checked=checked,
                options=options,
                problem=failed.problems.get(name, "") if failed else "",
                now=None if kind == "password" else now,
                required=info.is_required() and kind not in ("checkbox",),
                group=GROUPS.get(f"{prefix}.{name}", ""),
            )
        )
    return fields


def show_value(name: str, value: object) -> str:
    """A value as it is typed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ("\n" if name in LINES else ", ").join(str(each) for each in value)
    return str(value)


def body_of(noun: type[Noun], typed: Mapping[str, str], *, only: Iterable[str] | None = None) -> dict[str, Any]:
    """The body that a form stands for: what was left empty is None where that is allowed, a list is split."""
    wanted = names_of(noun) if only is None else list(only)
    body: dict[str, Any] = {}
    for key, info in noun.model_fields.items():
        name = info.alias or key
        if name not in wanted:
            continue
        kind, _ = _kind(name, info.annotation)
        if kind == "checkbox":
            body[name] = name in typed
            continue
        if name not in typed:
            continue
        text = typed[name].strip()
        if kind in ("lines", "list"):
            body[name] = "all" if text == "all" else [each.strip() for each in re.split(r"[\n,]", text) if each.strip()]
        elif not text and _is_optional(info.annotation):
            body[name] = None
        else:
            body[name] = text
    return body

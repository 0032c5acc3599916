"""One request to the API as its function sees it, and the bodies it may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from redirector.registry.edit.change import Change
from redirector.registry.hints import Sighting
from redirector.registry.nouns import Noun
from redirector.registry.refusals import FieldProblem, Invalid, RegistryError
from redirector.web.pages.shown import Shelf
from redirector.web.whereabouts import Hinting

BODY_LIMIT_BYTES = 64 << 10
"""The largest sensible body, a site with twenty contacts and a hundred sites that may pull from it, has 5 kB."""

MAX_DEPTH = 8
"""Bodies are three deep."""

PAGE, MAX_PAGE = 50, 200
"""Entries of a collection in one answer, unless `limit` says otherwise, and at most."""

MAX_NUMBER = 2**63 - 1
"""No database counts further."""

_ETAG = re.compile(r'"([0-9]{1,18})"')


@dataclass(eq=False)
class ApiError(RegistryError):
    """The request itself is wrong: no JSON, no If-Match, an unreadable number."""

    text: str = "the request cannot be read"
    status: int = 400


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    change   the transaction, and who asks
    numbers  of the path, by name
    body     parsed JSON; None when there is none
    version  from `If-Match`; None when there is none
    query    parameters of the target
    name     of the path, where it has one
    shelf    what the public pages show
    hinting  makes hints for those who decide
    seen     host -> where its addresses are, for routes that ask
    """

    change: Change
    numbers: Mapping[str, int]
    body: Any = None
    version: int | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    shelf: Shelf = field(default_factory=Shelf)
    hinting: Hinting | None = None
    seen: Mapping[int, Sequence[Sighting]] = field(default_factory=dict)

    @property
    def page(self) -> tuple[int, int]:
        """(`after`, `limit`). Raises Invalid."""
        return read_number(self.query, "after", 0, 0, MAX_NUMBER), read_number(self.query, "limit", PAGE, 1, MAX_PAGE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a function of the API returns.

    value     becomes JSON; None: no body
    version   of the thing, for its `ETag`
    location  of what was made, below the collection: its number
    """

    value: Any = None
    status: int = 200
    version: int | None = None
    location: int | str | None = None


Run = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    path    below `/api/v1`, numbers in braces, and `{name}`, which may be any text
    body    what its body is; None: none
    change  the body holds only the fields that change, and `If-Match` is needed
    public  everybody may, pages of other sites too (CORS)
    paged   it answers with a page of a collection
    by_name  `after` is a name, not a number
    query   parameters that it heeds, beside those of a page; `since` and `until` are days
    tag     under which the document lists it
    shows   whose bodies its answer is like, with what is known beside them
    schema  of a body that no noun reads, and of what it is answered; None: there is none
    looks   what is looked up before its transaction: the AS of the `host`, or where the hosts of the `site` are
    """

    method: str
    path: str
    text: str
    run: Run
    body: type[Noun] | None = None
    change: bool = False
    public: bool = False
    paged: bool = False
    by_name: bool = False
    query: tuple[str, ...] = ()
    status: int = 200
    tag: str = ""
    looks: Literal["", "host", "site"] = ""
    shows: type[Noun] | None = None
    schema: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"


def read_json(raw: bytes) -> Any:
    """The JSON in *raw*. Raises ApiError for anything else, and for what is nested too deep."""
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError(f"the body is no JSON: {error}"[:200]) from None
    if _depth(value) > MAX_DEPTH:
        raise ApiError(f"the body is nested more than {MAX_DEPTH} deep")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _depth(value: object) -> int:
    """How deep lists and objects are nested; counted level by level, so that no depth harms."""
    depth, level = 0, [value]
    while (inside := [each for each in level if isinstance(each, list | dict)]) and depth <= MAX_DEPTH:
        depth += 1
        level = [inner for each in inside for inner in (each if isinstance(each, list) else each.values())]
    return depth


def read_version(header: str | None) -> int | None:
    """The version in `If-Match`; None without one, and for `*`. Raises ApiError."""
    if header is None or header.strip() == "*":
        return None
    found = _ETAG.fullmatch(header.strip().removeprefix("W/"))
    if found is None:
        raise ApiError('If-Match needs the ETag that the thing came with, such as "3"')
    return int(found[1])


def read_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A number among the parameters. Raises Invalid."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise Invalid(problems=(FieldProblem(name, f"a whole number from {least} to {most} is needed"),))
    return int(text)

"""Templates become bytes: every value is escaped, every name must be there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

from redirector.answer.show.render import make_environment
from redirector.errors import SnapshotError
from redirector.health.judge import span
from redirector.locate.credit import credit_of
from redirector.locate.mmdb import describe
from redirector.locate.places import name_of_country
from redirector.model import utc
from redirector.stats.pictures import STYLE as PICTURE_STYLE
from redirector.web import words

CONTENT_SECURITY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing runs, nothing is loaded from elsewhere, and forms go to us."""

HTML_TYPE = "text/html"

_CODE = re.compile(r"`([^`]*)`")

_MARKS = re.compile(r"([./@])(?=[^./@])")


@cache
def environment() -> Environment:
    """The templates of `redirector/web/templates`."""
    made = make_environment("redirector.web")
    made.filters |= {
        "utc": lambda seconds: utc(seconds) if seconds else "",
        "span": lambda seconds: "" if seconds is None else span(seconds) if seconds else "none",
        "lag": lambda seconds: "" if seconds is None else span(seconds) if seconds else "current",
        "mbit": show_bandwidth,
        "bytes": show_bytes,
        "country": name_of_country,
        "word": lambda state: words.STATES.get(state, state),
        "grouped": grouped,
        "parts": break_at_marks,
        "coded": mark_code,
        "kind": words.kind_of,
        "svg": Markup,  # what our own functions drew
    }
    made.globals |= {"reasons": words.REASONS, "what_to_do": words.WHAT_TO_DO, "geodata": ""}
    return made


def grouped(fields: Iterable[Any]) -> list[tuple[str, list[Any]]]:
    """Fields of a form under their headings; "" before the first."""
    found: list[tuple[str, list[Any]]] = []
    for each in fields:
        if each.group or not found:
            found.append((each.group, []))
        found[-1][1].append(each)
    return found


def break_at_marks(name: str) -> Markup:
    """A name or URL, which a narrow column breaks after its dots and slashes rather than anywhere."""
    return Markup(_MARKS.sub(r"\1<wbr>", str(escape(name))))


def mark_code(text: str) -> Markup:
    """A sentence of ours, with what stands between backticks set as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def show_bandwidth(mbit: int | None) -> str:
    """`10 Gbit/s`; "" for what is not known."""
    if not mbit:
        return ""
    for size, unit in ((1_000_000, "Tbit/s"), (1_000, "Gbit/s")):
        if mbit >= size:
            return f"{mbit / size:.3g} {unit}"
    return f"{mbit} Mbit/s"


def show_bytes(count: int) -> str:
    """`1.2 TB`, by powers of a thousand as disks are sold."""
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}" if count < 1000 * 10**power else f"{count / 10**power:,.0f} {unit}"
    return f"{count} B"


def name_geodata(path: str | None) -> None:
    """Have pages name whose table of addresses *path* is. A file that cannot be read is said elsewhere."""
    with suppress(SnapshotError):
        environment().globals["geodata"] = credit_of(*describe(path)) if path is not None else ""


def compile_all() -> None:
    """Compile every template, and write the style sheet, so that no first visitor waits for it. cost: 0.2 s"""
    for name in environment().list_templates(["html"]):
        environment().get_template(name)
    style_sheet()


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """A page."""
    return environment().get_template(template).render(**values).encode()


@cache
def style_sheet() -> bytes:
    """The one style sheet of all pages."""
    own = (files("redirector.web") / "templates" / "style.css").read_text()
    return f"{own}\n{PICTURE_STYLE}\n".encode()

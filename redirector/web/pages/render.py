"""Templates become bytes: every value is escaped, every name must be there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from redirector.health.judge import span, utc
from redirector.locate.places import countries
from redirector.stats.pictures import STYLE as PICTURE_STYLE
from redirector.web import words

CONTENT_SECURITY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing runs, nothing is loaded from elsewhere, and forms go to us."""

HTML_TYPE = "text/html"


@cache
def environment() -> Environment:
    """The templates of `redirector/web/templates`."""
    made = Environment(
        loader=PackageLoader("redirector.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "utc": lambda seconds: utc(seconds) if seconds else "",
        "span": lambda seconds: "" if seconds is None else span(seconds) if seconds else "none",
        "country": name_of_country,
        "word": lambda state: words.STATES.get(state, state),
        "kind": words.kind_of,
        "number": lambda value: f"{value:,}",
        "svg": Markup,  # what our own functions drew
    }
    made.globals |= {"reasons": words.REASONS, "what_to_do": words.WHAT_TO_DO}
    return made


def name_of_country(code: str) -> str:
    """English name of a country; the code where it is none that is known."""
    found = countries().get(code)
    return found.name if found else code


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """A page."""
    return environment().get_template(template).render(**values).encode()


@cache
def style_sheet() -> bytes:
    """The one style sheet of all pages."""
    own = (files("redirector.web") / "templates" / "style.css").read_text()
    return f"{own}\n{PICTURE_STYLE}\n".encode()

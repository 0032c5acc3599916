"""What every page has around it: where one is, and who."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from redirector.web.pages.render import CONTENT_SECURITY, HTML_TYPE, render

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The head of a page.

    here     path of the page among those that the head names
    forms    people can log in here: False in files
    account  login of who asks; "" for visitors
    csrf     what the forms of this person send along
    """

    here: str = ""
    forms: bool = True
    account: str = ""
    admin: bool = False
    csrf: str = ""


def page_bytes(frame: Frame, template: str, values: Mapping[str, Any]) -> bytes:
    """A whole page."""
    return render(template, {**asdict(frame), **values})


def stream_headers() -> dict[str, str]:
    """Headers of a page that is written while it is read."""
    return {
        **HEADERS,
        "Content-Type": f"{HTML_TYPE}; charset=utf-8",
        "Content-Security-Policy": CONTENT_SECURITY,
        "Vary": "Cookie",
        "X-Accel-Buffering": "no",
    }


def html(frame: Frame, template: str, values: Mapping[str, Any], status: int = 200) -> web.Response:
    """A whole page as an answer."""
    return html_of(frame, page_bytes(frame, template, values), status)


def html_of(frame: Frame, body: bytes, status: int = 200) -> web.Response:
    """A page that is written; what a person sees is in nobody's cache."""
    keep = "no-store" if frame.account or status != 200 else "max-age=30"
    headers = {"Content-Security-Policy": CONTENT_SECURITY, "Cache-Control": keep, "Vary": "Cookie"}
    return web.Response(status=status, body=body, content_type=HTML_TYPE, charset="utf-8", headers=headers)

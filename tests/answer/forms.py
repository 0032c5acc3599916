"""What makes an answer well-formed, whatever was asked."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from redirector.answer.answer import Answer

WISHES = {"country", "protocol", "exclude_host", "exclude_country", "ipv4", "ipv6", "netblock"}
"""All that `X-Relaxed` may name."""

_HEADER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_LINE = re.compile(r"[^\x00-\x1f\x7f]+(\tpriority:[1-9][0-9]*)?")
_URL_LINE = re.compile(r"(Server = )?(https?|ftp|rsync)://\S+(\tpriority:\d+)?")


def refuse_forged(answer: Answer, today: bool = False) -> None:
    """Assert that *answer* cannot confuse a client; *today*: with the errors of today's server."""
    for name, value in answer.headers:
        assert _HEADER.fullmatch(name), name
        assert _HEADER.fullmatch(value), value
    assert set(answer.relaxed) <= WISHES
    assert dict(answer.headers).get("X-Relaxed", "") == ", ".join(answer.relaxed)
    assert (answer.status == 302) == ("Location" in dict(answer.headers))
    if not answer.body:
        assert answer.status in (200, 302, 404)
    elif answer.content_type.startswith("application/metalink") and not today:
        ElementTree.fromstring(answer.body)
    elif answer.content_type == "application/json":
        json.loads(answer.body)
    elif answer.content_type in ("", "text/plain"):
        check_lines(answer, today)
    if answer.status >= 400 and not today and answer.body:
        assert answer.content_type == "text/plain"
        assert answer.body.count(b"\n") == 1
        assert len(answer.body) < 500


def check_lines(answer: Answer, today: bool) -> None:
    """Whole lines of text, without control characters, none empty; only today's errors do not end one."""
    text = answer.body.decode()
    lines = text.removesuffix("\n").split("\n")
    assert all(_LINE.fullmatch(line) for line in lines), text
    assert text.endswith("\n") or (today and answer.content_type == "")
    if answer.status == 200 and not today and text != "repo disabled\n":
        assert all(line.startswith("#") or _URL_LINE.fullmatch(line) for line in lines), text
        assert all(len(line.encode()) < 4095 for line in lines if not line.startswith("#"))

"""Sends a mirror's report to its registry."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from redirector import __version__
from redirector.health.evidence import printable
from redirector.kit.checkin import read_old_answer

TRIES = 3
PAUSE_S = 20.0
_ANSWER_BYTES = 1 << 20
_AGAIN = frozenset({429, 500, 502, 503, 504})


class ReportError(Exception):
    """The registry did not take it; the text says why."""


async def send_report(url: str, token: str, body: dict[str, Any], pause_s: float = PAUSE_S) -> str:
    """What the registry at *url* says. Raises ReportError."""
    raw = json.dumps(body, ensure_ascii=False).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    status, text = await _post(f"{url}/api/v1/check-in", headers, raw, pause_s)
    if not 200 <= status < 300:
        raise ReportError(f"{status}: {problem_text(text)}")
    return printable(text.decode("utf-8", "replace"), 1000)


async def send_old_report(url: str, call: bytes, pause_s: float = PAUSE_S) -> str:
    """What MirrorManager at *url*, or a registry that speaks like it, says. Raises ReportError."""
    address = url if url.endswith("/xmlrpc") else f"{url}/xmlrpc"
    status, text = await _post(address, {"Content-Type": "text/xml"}, call, pause_s)
    if status != 200:
        raise ReportError(f"{status}: {printable(text.decode('utf-8', 'replace'))}")
    taken, said = read_old_answer(text)
    if not taken:
        raise ReportError("; ".join(printable(line) for line in said.splitlines()) or "no answer")
    return said


async def _post(url: str, headers: dict[str, str], body: bytes, pause_s: float) -> tuple[int, bytes]:
    """Status and body of the answer; again after a while where the registry was away or busy."""
    agent = {"User-Agent": f"redirector-mirror/{__version__}"}
    timeout = aiohttp.ClientTimeout(total=300, sock_connect=20)
    async with aiohttp.ClientSession(timeout=timeout, headers=agent, cookie_jar=aiohttp.DummyCookieJar()) as session:
        for left in reversed(range(TRIES)):
            trouble = ""
            try:
                # A redirect would take the token elsewhere.
                async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    text = await _read_beginning(answer)
                    if answer.status not in _AGAIN or not left:
                        return answer.status, text
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                trouble = str(error) or type(error).__name__
            if trouble and not left:
                raise ReportError(f"{url}: {printable(trouble)}")
            await asyncio.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


async def _read_beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The first megabyte of *answer*, however many packets it takes."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > _ANSWER_BYTES:
            break
    return bytes(raw[:_ANSWER_BYTES])


def problem_text(raw: bytes) -> str:
    """What an error says, `application/problem+json` or not."""
    try:
        told = json.loads(raw)
        lines = [f"{each['field']}: {each['text']}" for each in told.get("errors", ())]
        return printable("; ".join(filter(None, [told.get("title") or told.get("detail"), *lines])), 1000)
    except (ValueError, TypeError, KeyError, AttributeError):
        return printable(raw.decode("utf-8", "replace"))

"""Asks a registry for what a mirror needs to know."""

from __future__ import annotations

import aiohttp

from redirector import __version__
from redirector.health.evidence import printable
from redirector.kit.reporting import problem_text

ANSWER_BYTES = 16 << 20


class AskError(Exception):
    """The registry did not say it; the text says why."""


async def ask_registry(url: str, token: str = "") -> str:
    """What stands at *url*. Raises AskError."""
    headers = {"User-Agent": f"redirector-mirror/{__version__}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    timeout = aiohttp.ClientTimeout(total=60, sock_connect=20)
    try:
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            # A redirect would take the token elsewhere.
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                raw = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    raw += chunk
                    if len(raw) > ANSWER_BYTES:
                        raise AskError(f"{url}: more than {ANSWER_BYTES} bytes")
                if answer.status != 200:
                    raise AskError(f"{url}: {answer.status}: {problem_text(bytes(raw))}")
                return raw.decode()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise AskError(f"{url}: {printable(str(error) or type(error).__name__)}") from None

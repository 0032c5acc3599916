"""Asking a server to take up what was published, by its admin listener."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from redirector.settings.option import Address

RELOAD_S = 900.0
"""A server of Fedora's size needs seconds; one that waits for a slow disk may need minutes."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What the server said: whether it serves what was published, and why not."""

    served: bool
    lines: tuple[str, ...]


async def ask_reload(address: Address, allowed: str) -> Reloaded:
    """Ask the server whose admin listener is at *address*; *allowed*: refusals that it shall overrule, `shrink`."""
    connector = aiohttp.UnixConnector(address.path) if address.path is not None else None
    host = "localhost" if address.path is not None else str(address)
    query = f"?allow={allowed}" if allowed else ""
    timeout = aiohttp.ClientTimeout(total=RELOAD_S, connect=10)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(f"http://{host}/-/reload{query}") as response,
        ):
            if response.status == 200:
                return Reloaded(True, ())
            return Reloaded(False, tuple(_problems(response.status, await response.read())))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Reloaded(False, (f"nobody answers ({type(error).__name__}): published, and not taken up yet",))


def _problems(status: int, body: bytes) -> list[str]:
    """The problems in the body of a refusal; the status where it names none."""
    try:
        told: Any = json.loads(body)
        return [f"{each['file']}: {each['key']}: {each['text']}" for each in told["problems"]][:20]
    except (ValueError, KeyError, TypeError):
        return [f"it answers {status}"]

"""Tells the admins of a mirror what a look at it found, by mail and webhook, when that is not what it was."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from email.utils import formatdate

import aiohttp

from redirector import __version__
from redirector.files import explain_failure, read_bytes, write_atomically
from redirector.health.evidence import printable
from redirector.kit.changes import WELL, Seen, parse_seen, render_hook, render_mail, render_seen, seen_in
from redirector.kit.finding import Finding
from redirector.kit.wishes import Wishes

_SEEN_BYTES = 1 << 20
_TELL_S = 60.0
_SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")


async def tell_changes(wishes: Wishes, findings: Sequence[Finding], at: float) -> list[str]:
    """What went wrong on the way. What could not be told is told after the next look.

    at  epoch seconds
    """
    path = os.path.join(wishes.state, wishes.slug, "seen.json")
    before = _read(path)
    now = seen_in(findings)
    if now == before:
        return []
    trouble = []
    if wishes.notify_mail:
        trouble += await _mail(render_mail(wishes.name, wishes.notify_mail, before, findings, formatdate(at)))
    if wishes.notify_url:
        trouble += await _post(wishes.notify_url, render_hook(wishes.name, before, findings, int(at)))
    if not trouble:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_atomically(path, render_seen(now))
        except OSError as error:
            trouble.append(f"{path}: {explain_failure(error)}")
    return trouble


def _read(path: str) -> Seen:
    try:
        return parse_seen(read_bytes(path, _SEEN_BYTES))
    except (OSError, ValueError):
        return WELL


async def _mail(raw: bytes) -> list[str]:
    """By the machine's own sendmail, which every mail server on it brings."""
    program = shutil.which("sendmail") or next((each for each in _SENDMAIL if os.path.exists(each)), None)
    if program is None:
        return ["no mail: the program sendmail is not here"]
    try:
        process = await asyncio.create_subprocess_exec(
            program, "-t", "-i", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return [f"no mail: {program}: {explain_failure(error)}"]
    try:
        async with asyncio.timeout(_TELL_S):
            _, said = await process.communicate(raw)
    except TimeoutError:
        process.kill()
        await process.wait()
        return [f"no mail: {program} did not end"]
    if process.returncode:
        return [f"no mail: {program} ended with {process.returncode}: {printable(said.decode('utf-8', 'replace'))}"]
    return []


async def _post(url: str, body: dict[str, object]) -> list[str]:
    agent = {"User-Agent": f"redirector-mirror/{__version__}"}
    timeout = aiohttp.ClientTimeout(total=_TELL_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=agent, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, json=body, allow_redirects=False) as answer,
        ):
            return [] if 200 <= answer.status < 300 else [f"the webhook answered {answer.status}"]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return [f"the webhook: {printable(str(error) or type(error).__name__)}"]

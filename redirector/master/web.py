"""Masters that are read over HTTP: file lists, and repositories by name. The operator named them, so they are believed
to be his; what they send is bounded all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import aiohttp

from redirector import __version__
from redirector.errors import MasterError
from redirector.master.formats import INDEX_LIMIT_BYTES

CONNECT_S = 10.0
SILENCE_S = 60.0
WHOLE_S = 1_800.0
"""A list of 500 MB at 3 Mbit/s."""

FILE_S = 60.0
AT_ONCE = 4
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came for one URL; *body* is None for anything but 200."""

    status: int
    etag: str
    modified: str
    body: bytes | None = None

    @property
    def validator(self) -> str:
        """What tells that the next answer is the same; "" where the server gives nothing."""
        return self.etag or self.modified

    @property
    def time(self) -> int:
        """`Last-Modified`; 0 without one that can be read."""
        try:
            return max(int(parsedate_to_datetime(self.modified).timestamp()), 0)
        except (ValueError, TypeError, IndexError, OverflowError):
            return 0


class Web:
    """Fetches from one master. Use it with `async with`."""

    def __init__(self, master: str) -> None:
        self._master = master
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Web:
        self._session = aiohttp.ClientSession(
            headers={"User-Agent": f"redirector-scan/{__version__}", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=WHOLE_S, sock_connect=CONNECT_S, sock_read=SILENCE_S),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session
        await self._session.close()

    @asynccontextmanager
    async def open(self, url: str, known: str = "") -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer for *url*, its body not read yet; *known* is the `Fetched.validator` of what is had already."""
        assert self._session
        headers = {}
        if known:
            headers["If-None-Match" if known.startswith(('"', "W/")) else "If-Modified-Since"] = known
        try:
            async with self._session.get(url, headers=headers, max_redirects=3) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._failed(url, str(error) or type(error).__name__) from error

    async def blocks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body in large blocks."""
        waiting = bytearray()
        async for chunk in response.content.iter_any():
            waiting += chunk
            if len(waiting) >= BLOCK_BYTES:
                yield bytes(waiting)
                waiting.clear()
        yield bytes(waiting)

    async def get(self, url: str, known: str = "") -> Fetched:
        """A file of at most 4 MiB. Raises MasterError beyond that, and for a server that cannot answer."""
        async with self._turns:
            try:
                async with asyncio.timeout(FILE_S), self.open(url, known) as response:
                    body = await self._body(url, response) if response.status == 200 else None
                    return _answer(response, body)
            except TimeoutError:
                raise self._failed(url, f"no whole answer in {FILE_S:.0f} s") from None

    async def _body(self, url: str, response: aiohttp.ClientResponse) -> bytes:
        """All of it; nothing is read beyond the bound, whatever the server says of its length, or does not say."""
        body = bytearray()
        if (response.content_length or 0) <= INDEX_LIMIT_BYTES:
            async for block in self.blocks(response):
                body += block
                if len(body) > INDEX_LIMIT_BYTES:
                    break
            else:
                return bytes(body)
        raise self._failed(url, "larger than 4 MiB")

    async def get_all(self, urls: Sequence[str], known: Mapping[str, str]) -> dict[str, Fetched]:
        """Each of *urls*, some at a time; *known* are validators by URL. Raises MasterError if one cannot be had."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {url: group.create_task(self.get(url, known.get(url, ""))) for url in urls}
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return {url: task.result() for url, task in tasks.items()}

    async def find(self, url: str) -> bytes | None:
        """The file at *url*; None where it cannot be had."""
        try:
            return (await self.get(url)).body
        except MasterError:
            return None

    def refuse_status(self, url: str, status: int) -> None:
        """Raise MasterError for what is neither there nor missing."""
        if status not in (200, 304, 404, 410):
            raise self._failed(url, f"status {status}")

    def _failed(self, url: str, reason: str) -> MasterError:
        return MasterError(self._master, f"{url}: {reason[:200]}", "see that the server runs and has it")


def _answer(response: aiohttp.ClientResponse, body: bytes | None) -> Fetched:
    return Fetched(response.status, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""), body)


def join_url(base: str, path: bytes) -> str:
    """The URL of *path* below *base*."""
    return base + quote(path)

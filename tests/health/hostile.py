"""Mirrors that do as they are told, on loopback: each is a function of the request that it got."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from redirector.health.evidence import Ask, Evidence, Probe
from redirector.health.http import Http
from redirector.health.names import Route, source_for
from redirector.health.pace import Pace
from redirector.health.safety import Address, Safety
from tests.patience import PATIENCE_S

LOOPBACK = Safety((ip_network("127.0.0.0/8"), ip_network("::1/128")))
NOW = 1_795_000_000.0
_TRUST = ssl.create_default_context()


@dataclass(slots=True)
class Request:
    """What a mirror was asked: the head as it came, its target and when (monotonic seconds)."""

    head: bytes
    at: float

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[bool | None]]
"""Answers one request; False: the connection is closed then."""


@dataclass(slots=True)
class Mirror:
    """One that listens."""

    address: str
    port: int
    scheme: str
    requests: list[Request] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0
    connections: int = 0

    @property
    def origin(self) -> str:
        return f"{self.address}:{self.port}" if "." in self.address else f"[{self.address}]:{self.port}"

    def probe(self, ask: Ask, path: str, host: str = "mirror.example", **more: object) -> Probe:
        base = f"{self.scheme}://{host}:{self.port}/"
        return Probe("m", "", ask, base, path, ports=frozenset({self.port}), **more)  # type: ignore[arg-type]


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(
    handler: Handler, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """A listener, given as its port, whose connections are all ended at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side, or the test, is done
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, address, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0.01)  # what was ended is closed in the loop's next turn


@asynccontextmanager
async def mirror(
    behaviour: Behaviour, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Mirror]:
    """A mirror at *address* that behaves so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        found.open_now += 1
        found.open_most = max(found.open_most, found.open_now)
        try:
            while True:
                request = Request(await reader.readuntil(b"\r\n\r\n"), time.monotonic())
                found.requests.append(request)
                closing = await behaviour(request, writer) is False
                await writer.drain()
                if closing:
                    writer.close()
                    await writer.wait_closed()
                    return
        finally:
            found.open_now -= 1

    async with listening(serve, address, tls, port) as port:
        found = Mirror(address, port, "https" if tls else "http")
        yield found


def answer(body: bytes = b"", status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """An answer as bytes; *length* is what it claims to have."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def always(reply: bytes) -> Behaviour:
    """Answers everything so; HEAD without the body."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else reply)

    return behave


def files(content: Mapping[str, bytes]) -> Behaviour:
    """A mirror that is well: it has these files."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        body = content.get(request.target)
        reply = answer(b"no", "404 Not Found") if body is None else answer(body)
        writer.write(reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else reply)

    return behave


def redirect(location: str, status: str = "302 Found") -> Behaviour:
    return always(answer(b"", status, f"Location: {location}"))


def names(known: Mapping[str, Sequence[str]]) -> Callable[[str], Awaitable[tuple[Address, ...]]]:
    """A resolver that knows these names; numbers are their own."""

    async def resolve(name: str) -> tuple[Address, ...]:
        if name in known:
            return tuple(ip_address(each) for each in known[name])
        try:
            return (ip_address(name),)
        except ValueError:
            raise OSError(-2, "Name or service not known") from None

    return resolve


def http(
    resolve: Callable[[str], Awaitable[tuple[Address, ...]]] | None = None,
    *,
    safety: Safety = LOOPBACK,
    pace: Pace | None = None,
    tls: ssl.SSLContext | None = None,
    connect_s: float = PATIENCE_S,
    request_s: float = PATIENCE_S,
    route: Route = source_for,
) -> Http:
    """A prober that waits as long as it is told."""
    return Http(
        pace=pace or Pace(now=lambda: NOW, monotonic=time.monotonic),
        safety=safety,
        resolve=resolve or names({"mirror.example": ["127.0.0.1"]}),
        tls=tls or _TRUST,
        agent="redirector-crawler/0 (+https://example.org/)",
        vantage="here",
        now=lambda: NOW,
        monotonic=time.monotonic,
        connect_s=connect_s,
        request_s=request_s,
        route=route,
    )


async def ask(prober: Http, probe: Probe) -> Evidence:
    """The one evidence of *probe*; closes the prober."""
    try:
        (evidence,) = await prober.probe(probe)
    finally:
        await prober.close()
    return evidence

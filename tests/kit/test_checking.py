"""A look at a mirror: whom it never asks, when it ends, and what it says of ports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from redirector.health.safety import Address, Safety, parse_networks
from redirector.kit.checking import Look, Tools, check_mirror, open_tools, refuse_url, tell_findings
from redirector.kit.finding import Finding, Level

LOOPBACK = Safety(parse_networks(["127.0.0.0/8"]))


@dataclass(eq=False)
class Machine:
    """Counts who connects, and says *answer* to each who does; "" keeps them waiting."""

    answer: str = ""
    port: int = 0
    visits: int = 0
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        self.open.append(writer)
        if self.answer:
            while await reader.readline() not in (b"\r\n", b""):
                pass
            writer.write(self.answer.encode())
            writer.close()


@asynccontextmanager
async def machine(answer: str = "") -> AsyncIterator[Machine]:
    made = Machine(answer)
    server = await asyncio.start_server(made.meet, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for writer in made.open:
            writer.close()


@asynccontextmanager
async def tools_for(safety: Safety, **names: str) -> AsyncIterator[Tools]:
    """*names*: what the resolver says of `NAME.example.org`."""

    async def resolve(name: str) -> tuple[Address, ...]:
        return (ip_address(names.get(name.partition(".")[0], name)),)

    tools = open_tools(safety, "test", time.time, lambda: time.monotonic() * 100, resolve=resolve)
    try:
        yield tools
    finally:
        await tools.close()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{}/", "http://mirror.example.org:{}/pub/", "https://mirror.example.org:{}/",
     "rsync://127.0.0.1:{}/m/", "ftp://mirror.example.org:{}/", "http://[::ffff:127.0.0.1]:{}/",
     "http://169.254.169.254/", "http://[fe80::1]/", "http://10.0.0.1/"],
)  # fmt: skip
async def test_nobody_inside_is_knocked_at(url: str) -> None:
    async with machine() as inside, tools_for(Safety(), mirror="127.0.0.1") as tools:
        found = [each async for each in check_mirror([url.format(inside.port)], Look(), tools)]
        assert inside.visits == 0
        assert found and "not public" in found[0].text
        assert {each.check for each in found} == {"answer"}


async def test_a_redirect_leads_to_nobody_inside() -> None:
    async with machine() as inside:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{inside.port}/x\r\nContent-Length: 0\r\n\r\n"
        one = Safety(parse_networks(["127.0.0.1/32"]))
        async with machine(moved) as mirror, tools_for(one) as tools:
            found = [each async for each in check_mirror([f"http://127.0.0.1:{mirror.port}/"], Look(), tools)]
            assert mirror.visits and not inside.visits
            assert Level.ERROR in {each.level for each in found}


async def test_a_look_ends_in_time_and_says_so() -> None:
    async with machine() as silent, tools_for(LOOPBACK) as tools:
        url = f"http://127.0.0.1:{silent.port}/"
        told: list[Finding] = []
        found = await tell_findings([url], Look(limit_s=0.2), tools, told.append)
        assert found == told and silent.visits == 1
        assert [(each.url, each.check, each.level) for each in found] == [(url, "answer", Level.ERROR)]
        assert "no end within 0.2 s" in found[0].text


async def test_who_has_heard_enough_ends_it() -> None:
    async with machine() as silent, tools_for(LOOPBACK) as tools:
        before = asyncio.all_tasks()
        urls = ["nonsense", f"http://127.0.0.1:{silent.port}/"]
        async with aclosing(check_mirror(urls, Look(), tools)) as findings:
            assert (await anext(findings)).url == "nonsense"
        assert asyncio.all_tasks() == before


async def test_ports_are_told_once_for_a_machine() -> None:
    async with machine("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as mirror, tools_for(LOOPBACK) as tools:
        urls = [f"http://127.0.0.1:{mirror.port}/{each}/" for each in ("a", "b")]
        found = [each async for each in check_mirror(urls, Look(), tools) if each.check == "ports"]
        assert [each.url for each in found] == urls[:1]
        assert all(f"{port} (" in found[0].text for port in (80, 443, 873)) and "closed" in found[0].text


@pytest.mark.parametrize(
    "url",
    ["", "mirror.example.org", "file:///etc/passwd", "gopher://a/", "http://", "http://a:x/", "http://u:p@a/",
     "http://a/?q", "http://a/#f", "http://a/ b", "http://a/\n", "http://a/../b", "http://a/%2e%2e/b", "rsync://a/",
     "http://a:22/", "http://a:6379/..", "ftp://a:25/", "http://a:99999/", "http://a/" + "x" * 1000],
)  # fmt: skip
def test_what_is_no_mirrors_url_is_refused(url: str) -> None:
    assert refuse_url(url)


def test_whether_ftp_is_asked_is_for_who_looks() -> None:
    assert refuse_url("ftp://a/") is None and refuse_url("ftp://a/", ftp=False)
    assert refuse_url("http://a:8080/pub/") is None and refuse_url("rsync://a:1024/m") is None

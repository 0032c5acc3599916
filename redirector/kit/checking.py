"""Looks at a mirror from outside, as its clients and its distribution see it, and says what it finds as it finds it.

Every connection is made by the crawler's own probes, under the same rules of whom one may talk to: who asks for a look
is a stranger, and what he names may be anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from redirector.health.evidence import Family, printable
from redirector.health.names import source_for
from redirector.health.reading import read_marker
from redirector.health.safety import Address, Refusal, is_public
from redirector.kit.exploring import explore
from redirector.kit.finding import Finding, Level
from redirector.kit.known import Known
from redirector.kit.looking.by_ftp import ByFtp
from redirector.kit.looking.by_http import ByHttp
from redirector.kit.looking.by_rsync import ByRsync
from redirector.kit.looking.looking import Looking
from redirector.kit.looking.ports import look_at_ports
from redirector.kit.looking.tools import Look, Tools, open_tools, refuse_url
from redirector.kit.looking.trees import tree_at

__all__ = ["Look", "Tools", "check_mirror", "open_tools", "refuse_url", "tell_findings"]

_RESOLVE_S = 15
_WAYS: Mapping[str, Callable[[str, str, Family, Known, Look, Tools], Looking]] = {
    "http": ByHttp,
    "https": ByHttp,
    "rsync": ByRsync,
    "ftp": ByFtp,
}


async def check_mirror(urls: Sequence[str], look: Look, tools: Tools) -> AsyncGenerator[Finding, None]:
    """Findings about *urls*, each as soon as it is known. Raises nothing for what a mirror does.

    After `look.limit_s` it ends, whatever a mirror is doing then, and says that it did. Who does not want the rest
    closes it (`contextlib.aclosing`), and nothing goes on.
    """
    found: asyncio.Queue[Finding | None] = asyncio.Queue()
    looking = asyncio.create_task(_put_findings(urls, look, tools, found))
    end = asyncio.get_running_loop().time() + look.limit_s
    url = printable(urls[0]) if urls else ""
    try:
        while True:
            try:
                async with asyncio.timeout_at(end):
                    finding = await found.get()
            except TimeoutError:
                text = f"no end within {look.limit_s:g} s: the rest was not looked at"
                yield Finding(url, "answer", Level.ERROR, text)
                return
            if finding is None:
                break
            url = finding.url
            yield finding
        await looking
    finally:
        looking.cancel()
        await asyncio.wait({looking})


async def tell_findings(
    urls: Sequence[str], look: Look, tools: Tools, told: Callable[[Finding], None]
) -> list[Finding]:
    """The same, all at the end; *told* is called with each finding as it is found."""
    found = []
    async with aclosing(check_mirror(urls, look, tools)) as findings:
        async for finding in findings:
            found.append(finding)
            told(finding)
    return found


async def _put_findings(urls: Sequence[str], look: Look, tools: Tools, found: asyncio.Queue[Finding | None]) -> None:
    try:
        async for finding in _look_at_all(urls, look, tools):
            found.put_nowait(finding)
    finally:
        found.put_nowait(None)


async def _look_at_all(urls: Sequence[str], look: Look, tools: Tools) -> AsyncIterator[Finding]:
    good = []
    for url in urls:
        if refusal := refuse_url(url, ftp=look.ftp):
            yield Finding(printable(url), "answer", Level.ERROR, refusal)
        else:
            good.append(url if url.endswith("/") else url + "/")
    master = look.known or Known()
    if good and look.known is None and look.master is not None:
        refusal = None if "://" not in look.master else refuse_url(look.master, ftp=False)
        if refusal is None:
            master = await explore(tree_at(look.master, tools), tools.now(), look.staged)
            if look.newest is not None and master.marker and not refuse_url(look.newest, ftp=False):
                master = await _with_newest(master, look.newest, tools)
        if refusal or (master.file is None and not master.marker):
            text = refusal or "nothing that is known of mirrors was found there: it is not compared with"
            yield Finding(printable(look.master), "answer", Level.WARNING, text)
    hosts = set()
    for url in good:
        host = urlsplit(url).hostname or ""
        try:
            async with asyncio.timeout(_RESOLVE_S):
                addresses = await tools.resolve(host)
        except (TimeoutError, OSError) as error:
            reason = "no answer about its name" if isinstance(error, TimeoutError) else error.strerror or str(error)
            yield Finding(url, "answer", Level.ERROR, f"{host}: {printable(reason)}")
            continue
        async for finding in _look_at(url, host, addresses, master, look, tools, ports=host not in hosts):
            yield finding
        hosts.add(host)


async def _with_newest(master: Known, url: str, tools: Tools) -> Known:
    """*master* with the time stamp that its source has now, if that says it."""
    folder, _, name = url.rpartition("/")
    body = await tree_at(folder + "/", tools).read(name, 4096)
    if body is None:
        return master
    text, time = read_marker(name, body, tools.now())
    return master if time is None else replace(master, marker_text=text, marker_time=time)


async def _look_at(
    url: str, host: str, addresses: Sequence[Address], master: Known, look: Look, tools: Tools, *, ports: bool
) -> AsyncIterator[Finding]:
    """Findings about one URL, over both families.

    ports  whether its machine's ports are looked at, too
    """
    for family in (Family.IPV4, Family.IPV6):
        own = [each for each in addresses if (each.version == 4) == (family is Family.IPV4)]
        name = "IPv4" if family is Family.IPV4 else "IPv6"
        if not own:
            if not _is_literal(host):
                yield Finding(url, "answer", Level.WARNING, f"{name}: the name has no such address")
            continue
        if not any(map(tools.safety.allows, own)):
            yield Finding(url, "answer", Level.ERROR, f"{name}: {own[0]}: {Refusal.ADDRESS.value}")
            continue
        if all(source_for(each) is None or _leads_nowhere(each) for each in own):
            yield Finding(url, "answer", Level.OK, f"{name}: not looked at, there is no way to it from here")
            continue
        way = _WAYS[urlsplit(url).scheme]
        async for finding in way(url, name, family, master, look, tools).findings():
            yield finding
        if ports and (text := await look_at_ports(own, tools)):
            yield Finding(url, "ports", Level.OK, f"{name}: {text}")


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _leads_nowhere(address: Address) -> bool:
    """Whether we would send from an address that the world cannot answer to."""
    if not isinstance(address, IPv6Address):
        return False
    source = source_for(address)
    return source is not None and is_public(address) and not is_public(source)

"""“Check my mirror”: looks at a host that its admins ask for, told while they are made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from redirector import __version__
from redirector.errors import StoreError
from redirector.health.safety import Safety
from redirector.kit.checking import Look, Tools, check_mirror, open_tools
from redirector.kit.finding import Finding as Found
from redirector.kit.finding import Level
from redirector.kit.known import Known, KnownFile
from redirector.store import checks as kept
from redirector.store.checks import Finding
from redirector.store.directories import Packed
from redirector.store.opening import Store
from redirector.web.limits import Limits

_log = logging.getLogger("redirector.web")

AT_ONCE = 4
"""Looks that are made at the same time; others wait for their turn."""

WAITING = 40
"""Looks that are waited for: more are refused."""

LIMIT_S = 180.0
AN_HOUR = 10
MOST_URLS = 24


@dataclass(frozen=True, slots=True)
class Part:
    """URLs of one category, and what is known of it."""

    urls: tuple[str, ...]
    known: Known


@dataclass(eq=False)
class Checking:
    """One look that is waited for or made."""

    host: int
    at: int
    findings: list[Finding] = field(default_factory=list)
    done: bool = False
    begun: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        """Wake whoever reads along."""
        self.told.set()
        self.told = asyncio.Event()


@dataclass(slots=True)
class Checks:
    """All looks of one process.

    safety  whom one may talk to
    tools   what connects; for tests
    """

    store: Store
    now: Callable[[], float]
    safety: Safety = field(default_factory=Safety)
    tools: Callable[[], Tools] | None = None
    agent_url: str = ""
    limits: Limits = field(default_factory=lambda: Limits(AN_HOUR / 3600, AN_HOUR))
    _running: dict[int, Checking] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def find(self, host: int) -> Checking | None:
        """The look at *host* that is under way."""
        return self._running.get(host)

    @property
    def full(self) -> bool:
        """Too many wait."""
        return len(self._running) >= AT_ONCE + WAITING

    def begin(self, host: int, actor: str, parts: Sequence[Part], frequency_s: int | None) -> Checking:
        """Look at *host*, as soon as it is its turn."""
        checking = self._running[host] = Checking(host, int(self.now()))
        task = asyncio.create_task(self._look(checking, actor, parts, frequency_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return checking

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _look(self, checking: Checking, actor: str, parts: Sequence[Part], frequency_s: int | None) -> None:
        try:
            async with self._gate:
                checking.begun = True
                checking.tell()
                tools = self.tools() if self.tools is not None else self._open_tools()
                try:
                    end = asyncio.get_running_loop().time() + LIMIT_S
                    for part in parts:
                        left = max(1.0, end - asyncio.get_running_loop().time())
                        look = Look(ftp=False, frequency_s=frequency_s, known=part.known, limit_s=left)
                        async with aclosing(check_mirror(part.urls, look, tools)) as findings:
                            async for finding in findings:
                                checking.findings.append(_kept(finding))
                                checking.tell()
                finally:
                    await tools.close()
            took_s = int(self.now()) - checking.at
            async with self.store.write() as connection:
                await kept.put_check(connection, checking.host, checking.at, took_s, actor, checking.findings)
        except StoreError as error:
            _log.warning("a look at host %s could not be kept: %s", checking.host, error)
        except Exception:
            _log.exception("a look at host %s went wrong", checking.host)
            checking.findings.append(("", "answer", Level.ERROR.value, "this look went wrong on our side: ask again"))
        finally:
            checking.done = True
            self._running.pop(checking.host, None)
            checking.tell()

    def _open_tools(self) -> Tools:
        about = f" (+{self.agent_url})" if self.agent_url else ""
        loop = asyncio.get_running_loop()
        return open_tools(self.safety, f"redirector-mirror-check/{__version__}{about}", self.now, loop.time)


def _kept(finding: Found) -> Finding:
    return finding.url, finding.check, finding.level.value, finding.text


def known_of(scan: Packed | None) -> Known:
    """What a mirror of a category has to have, by the last scan: its newest repository, a package, what is hidden."""
    if scan is None:
        return Known()
    newest, secret, packages = None, [], {}
    for directory in scan.directories():
        path = directory.path.decode("utf-8", "surrogateescape")
        if directory.secret:
            secret.append(path)
            continue
        for file in directory.files[:1]:
            if file.name.endswith((b".rpm", b".deb")):
                name = file.name.decode("utf-8", "surrogateescape")
                packages[path] = KnownFile(f"{path}/{name}" if path else name, file.size_bytes)
        if directory.packed_versions:
            told = directory.versions.get(b"repomd.xml", ())[:1]
            if told and (newest is None or told[0].seen > newest[1].seen):
                newest = path, told[0]
    known = Known(staged=tuple(secret[:3]))
    if newest is None:
        return known
    path, version = newest
    detail = version.detail
    index = KnownFile(f"{path}/repomd.xml", detail.size_bytes or None, detail.sha256 or None)
    repository = path.rpartition("/")[0]
    package = next((file for where, file in packages.items() if where.startswith(repository)), None)
    return replace(known, index=index, index_time=float(detail.timestamp or version.seen), package=package)

"""Asks mirrors by rsync, with the program of that name, which is made to read whatever a stranger sends.

It gets no shell, no terminal, no secrets, no home, an address that was checked instead of a name, and bounds of time,
memory and output. Its own `--timeout` ends neither who sends a byte a minute nor who never stops.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from redirector.errors import FormatError
from redirector.health.evidence import UNREACHED, Ask, Evidence, Family, FolderItem, Outcome, Probe, printable
from redirector.health.expected import why_unasked
from redirector.health.names import Resolve, Route, leads_nowhere, source_for
from redirector.health.pace import NotNow, Pace
from redirector.health.safety import Address, Safety
from redirector.master import programs
from redirector.master.formats import Kind, parse_rsync_line
from redirector.master.rsync import environment
from redirector.master.rsync_exits import Exit, ended_with

WALL_CLOCK_S = 1800.0
NAMED_FILES_S = 120.0
"""Some files by name: a mirror that needs longer has no time for us."""

CONNECT_S = 10
SILENCE_S = 60
MEMORY_BYTES = 512 << 20
FETCHED_BYTES = 64 << 20
"""Of one file, where one is fetched: a list of packages, which a checksum is known of."""

LINE_BYTES = 8 << 10
"""A name of 4,096 bytes, the longest there is, and what stands before it."""

LINES = 6_000_000
"""Twice Fedora's master. Each is kept while it is judged."""

_STDERR_BYTES = 1 << 20
_CHUNK_BYTES = 256 << 10
_PORT = 873
_BEGIN = re.compile(rb"[-dlbcps][-rwxsStT]{9} ")


_FAILED = {10: Outcome.NO_CONNECTION, 30: Outcome.TIMEOUT, 35: Outcome.TIMEOUT}


@dataclass(frozen=True, slots=True)
class RsyncRun:
    """What one run said.

    status    exit status; negative: the signal that ended it; None: it did not run
    entries   in the order that they came
    errors    its standard error, cut
    ended     why we ended it ourselves: the outcome, else None
    odd       its output was not a list alone
    """

    status: int | None
    entries: tuple[FolderItem, ...] = ()
    errors: str = ""
    ended: Outcome | None = None
    finding: str = ""
    duration_s: float = 0.0
    odd: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """An `rsync://` URL taken apart; *path* begins with the module."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Source:
        """raises  ValueError: it is none, names a user, or a path that leads up or out"""
        parts = urlsplit(url)
        if parts.scheme != "rsync" or not parts.hostname:
            raise ValueError("no rsync URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it names a user")
        path = url.partition("://")[2].partition("/")[2]
        refuse_path(path)
        return cls(parts.hostname, parts.port or _PORT, path)

    def at(self, address: Address) -> str:
        """The URL with *address* for its host."""
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"rsync://{host}:{self.port}/{self.path}"


def refuse_path(path: str) -> None:
    """raises  ValueError: *path* holds `..` or what cannot be in a line"""
    if reason := why_unasked(path):
        raise ValueError(reason)


class Rsync:
    """A prober of `rsync://`.

    program  where rsync is
    now, monotonic  clocks, in seconds
    """

    def __init__(
        self,
        *,
        pace: Pace,
        safety: Safety,
        resolve: Resolve,
        vantage: str,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        program: str = "rsync",
        wall_clock_s: float = WALL_CLOCK_S,
        named_files_s: float = NAMED_FILES_S,
        memory_bytes: int = MEMORY_BYTES,
        lines: int = LINES,
        route: Route = source_for,
    ) -> None:
        self._pace = pace
        self._safety = safety
        self._resolve = resolve
        self._vantage = vantage
        self._now = now
        self._monotonic = monotonic
        self._program = program
        self._wall_clock_s = wall_clock_s
        self._named_files_s = named_files_s
        self._memory_bytes = memory_bytes
        self._lines = lines
        self._route = route

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        """What the mirror lists; for `FILES` one evidence for each name, or one that says why there is none."""
        found = self._blank(probe)
        try:
            source = Source.parse(_url_of(probe))
            for path in _named(probe):
                refuse_path(path)
        except ValueError as error:
            return (replace(found, outcome=Outcome.FORBIDDEN, finding=printable(str(error))),)
        try:
            async with asyncio.timeout(CONNECT_S):
                addresses = await self._resolve(source.host)
        except TimeoutError:
            return (replace(found, outcome=Outcome.TIMEOUT, finding="no answer about the name"),)
        except OSError as error:
            return (replace(found, outcome=Outcome.NO_NAME, finding=printable(error.strerror or str(error))),)
        address = self._choose(addresses, source.port, probe)
        if isinstance(address, Outcome):
            return (replace(found, outcome=address, finding=printable(f"{source.host}: {address}")),)
        family = Family.IPV4 if address.version == 4 else Family.IPV6
        found = replace(found, address=str(address), family=family)
        try:
            async with self._pace.rsync(str(address), listing=probe.ask is Ask.LISTING):
                listed = await self._run(probe, source, address)
        except NotNow as refusal:
            return (_not_now(found, refusal),)
        found = replace(found, at=int(self._now()), duration_s=listed.duration_s, status=listed.status)
        if _outcome(listed)[0] in UNREACHED and leads_nowhere(address, ours := self._route(address)):
            finding = f"no route to {address} from {ours}"
            return (replace(found, outcome=Outcome.NO_ROUTE, status=None, finding=finding),)
        return tuple(read_run(probe, found, listed))

    async def attempt(
        self, url: str, options: Sequence[str], *, family: Family | None, ports: frozenset[int], send: bool = False
    ) -> tuple[RsyncRun, bytes | None]:
        """One run about the one file *url*, by the same rules as probes: what came of it, and the file's bytes, if any.

        options  beside those that every run has
        send     an empty file is offered to the other side, which should refuse it; else the file is fetched
        """
        try:
            source = Source.parse(url)
            async with asyncio.timeout(CONNECT_S):
                addresses = await self._resolve(source.host)
        except ValueError as error:
            return RsyncRun(None, ended=Outcome.FORBIDDEN, finding=printable(str(error))), None
        except (TimeoutError, OSError) as error:
            return RsyncRun(None, ended=Outcome.NO_NAME, finding=printable(str(error))), None
        probe = Probe("", "", Ask.FILE, url, family=family, ports=ports)
        address = self._choose(addresses, source.port, probe)
        if isinstance(address, Outcome):
            return RsyncRun(None, ended=address, finding=f"{source.host}: {address}"), None
        arguments = [self._program, "--no-motd", "--no-h", "--quiet", f"--contimeout={CONNECT_S}"]
        arguments += [f"--timeout={SILENCE_S}", f"--max-size={FETCHED_BYTES}", *options, "--"]
        with tempfile.TemporaryDirectory(prefix="redirector-") as folder:
            file = Path(folder) / "file"
            if send:
                file.touch()
            operands = [str(file), source.at(address)] if send else [source.at(address), str(file)]
            try:
                async with self._pace.rsync(str(address), listing=False):
                    listed = await self._listed([*arguments, *operands], folder, self._named_files_s)
            except NotNow as refusal:
                return RsyncRun(None, ended=Outcome.BUSY, finding=refusal.reason), None
            body = None
            if not send and listed.status == 0 and file.is_file() and not file.is_symlink():
                body = file.read_bytes()
            return listed, body

    async def close(self) -> None:
        """Nothing is kept open; a run that is under way ends with the task that awaits it."""

    def _choose(self, addresses: Sequence[Address], port: int, probe: Probe) -> Address | Outcome:
        wanted = [a for a in addresses if probe.family is None or (a.version == 4) == (probe.family is Family.IPV4)]
        if not wanted:
            return Outcome.NO_NAME
        allowed = [a for a in wanted if self._safety.refusal(a, port, probe.ports) is None]
        if not allowed:
            return Outcome.FORBIDDEN
        return next((a for a in allowed if self._route(a) is not None), Outcome.NO_ROUTE)

    def _blank(self, probe: Probe) -> Evidence:
        return Evidence(
            at=int(self._now()),
            vantage=self._vantage,
            host=probe.host,
            category=probe.category,
            ask=probe.ask,
            base=probe.base,
            path=next(iter(_named(probe)), probe.path),
            outcome=Outcome.OURS,
            scheme=probe.scheme,
            family=probe.family,
        )

    async def _run(self, probe: Probe, source: Source, address: Address) -> RsyncRun:
        arguments = [self._program, "--no-motd", "--no-h", "--list-only", f"--contimeout={CONNECT_S}"]
        arguments.append(f"--timeout={SILENCE_S}")
        limit_s = self._wall_clock_s if probe.ask is Ask.LISTING else self._named_files_s
        with tempfile.TemporaryDirectory(prefix="redirector-") as folder:
            target = []
            if named := _named(probe):
                names = Path(folder) / "names"
                names.write_bytes(b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in named))
                arguments += ["--from0", f"--files-from={names}"]
                target = [folder]  # asked for by it then, though nothing is written
            elif probe.ask is Ask.LISTING:
                arguments.append("--recursive")
            return await self._listed([*arguments, "--", source.at(address), *target], folder, limit_s)

    async def _listed(self, arguments: Sequence[str], folder: str, limit_s: float) -> RsyncRun:
        """Runs rsync; whatever happens, no process of it is left."""
        began = self._monotonic()
        try:
            process = await programs.start(*map(os.fsencode, arguments), env=environment(), cwd=folder)
        except OSError as error:
            return RsyncRun(None, finding=f"{arguments[0]}: {error.strerror}")
        assert process.stdout is not None and process.stderr is not None
        try:
            try:
                resource.prlimit(process.pid, resource.RLIMIT_AS, (self._memory_bytes, self._memory_bytes))
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2 * FETCHED_BYTES, 2 * FETCHED_BYTES))
            except ProcessLookupError:
                pass  # it has ended already
            except PermissionError:
                programs.end(process)
                await process.wait()
                return RsyncRun(None, finding="its memory cannot be bounded here")
            errors = asyncio.ensure_future(programs.read_begin(process.stderr, _STDERR_BYTES))
            reader = _Reader(self._lines)
            ended = None
            try:
                async with asyncio.timeout(limit_s):
                    ended = await reader.read(process.stdout)
                    if ended is None:
                        await process.wait()
            except TimeoutError:
                ended = Outcome.TIMEOUT
                reader.finding = f"no end within {limit_s:g} s"
            if ended is not None:
                programs.end(process)
            status = await process.wait()
            text = (await errors).decode("utf-8", "backslashreplace")
        except BaseException:
            programs.end(process)
            await process.wait()
            raise
        return RsyncRun(
            status, tuple(reader.entries), text, ended, reader.finding, self._monotonic() - began, reader.odd
        )


class _Reader:
    """Lines of a list, as they come: too many, too long or impossible ones end it.

    odd  something else than a list was said as well, and may have been said instead of an entry
    """

    def __init__(self, lines: int) -> None:
        self.entries: list[FolderItem] = []
        self.finding = ""
        self.odd = False
        self._left = lines

    async def read(self, stream: asyncio.StreamReader) -> Outcome | None:
        """None at the end; why the rest is not wanted."""
        rest = b""
        while chunk := await stream.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if (outcome := self._take(line)) is not None:
                    return outcome
            if len(rest) > LINE_BYTES:
                self.finding = "a line without end"
                return Outcome.HOSTILE
            await asyncio.sleep(0)  # a flood must not keep others waiting
        return self._take(rest) if rest else None

    def _take(self, line: bytes) -> Outcome | None:
        self._left -= 1
        if self._left < 0:
            self.finding = "more lines than a master has"
            return Outcome.HOSTILE
        if len(line) > LINE_BYTES:
            self.finding = "a line too long"
            return Outcome.HOSTILE
        try:
            entry = parse_rsync_line(line)
        except FormatError as error:
            self.finding = str(error)
            if _BEGIN.match(line):
                return Outcome.HOSTILE
            self.odd = True
            return None
        path = entry.path.decode("utf-8", "surrogateescape")
        self.entries.append(FolderItem(path, entry.size_bytes, entry.time, folder=entry.kind is Kind.DIRECTORY))
        return None


def read_run(probe: Probe, found: Evidence, listed: RsyncRun) -> Iterator[Evidence]:
    """What *listed* says, filled into *found*: one evidence, or one for each name that was asked for by name."""
    outcome, finding = _outcome(listed)
    found = replace(found, outcome=outcome, finding=printable(finding or _first_line(listed.errors)))
    if outcome is not Outcome.OK:
        yield found
        return
    partial = ended_with(listed.status or 0).exit is Exit.PARTIAL or listed.odd
    if probe.ask in (Ask.LISTING, Ask.FOLDER):
        entries = tuple(entry for entry in listed.entries if entry.path != ".")
        if partial and not listed.entries:
            yield replace(found, outcome=Outcome.MISSING)
        else:
            yield replace(found, entries=entries, complete=not partial)
        return
    by_path = {entry.path: entry for entry in listed.entries}
    complaints = listed.errors.splitlines() if partial else []
    for path in _named(probe):
        entry = by_path.get(path)
        if entry is not None:
            size = None if entry.folder else entry.size_bytes
            yield replace(found, path=path, size_bytes=size, modified=entry.modified, finding="")
        else:
            about = next((line for line in complaints if f'/{path}"' in line or f'"{path}"' in line), "")
            yield replace(found, path=path, outcome=_why_missing(about), finding=printable(about))


def _outcome(listed: RsyncRun) -> tuple[Outcome, str]:
    """OK where the list can be used, as far as it goes."""
    if listed.ended is not None:
        return listed.ended, listed.finding
    if listed.status is None:
        return Outcome.OURS, listed.finding
    if listed.status < 0:
        killed = listed.status == -signal.SIGKILL
        return (Outcome.OURS if killed else Outcome.HOSTILE), f"rsync ended by signal {-listed.status}"
    match ended_with(listed.status).exit:
        case Exit.COMPLETE | Exit.PARTIAL:
            return Outcome.OK, listed.finding
        case Exit.REFUSED:
            return (Outcome.BUSY if "max connections" in listed.errors else Outcome.DENIED), ""
        case Exit.FAILED:
            return _FAILED.get(listed.status, Outcome.UNREADABLE), ""
        case Exit.CUT:
            return Outcome.CUT, ""
        case Exit.HOSTILE:
            return Outcome.HOSTILE, ""
        case Exit.OURS:
            return Outcome.OURS, ""


def _why_missing(complaint: str) -> Outcome:
    """What rsync's words about one name mean; without any it just is not there."""
    if "Permission denied" in complaint:
        return Outcome.DENIED
    return Outcome.MISSING if not complaint or "No such file" in complaint else Outcome.UNREADABLE


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _not_now(found: Evidence, refusal: NotNow) -> Evidence:
    outcome = Outcome.BUSY if refusal.busy else Outcome.UNASKED
    return replace(found, outcome=outcome, retry_after=int(refusal.until), finding=refusal.reason)


def _named(probe: Probe) -> tuple[str, ...]:
    """The names that a run is about; () for a whole directory. What else is asked of files, rsync says of names."""
    match probe.ask:
        case Ask.FILES:
            return probe.paths
        case Ask.FOLDER | Ask.LISTING:
            return ()
        case Ask.MARKER | Ask.INDEX | Ask.FILE | Ask.CONTROL:
            return (probe.path,)


def _url_of(probe: Probe) -> str:
    base = probe.base if probe.base.endswith("/") else probe.base + "/"
    return f"{base}{probe.path}/" if probe.path and not _named(probe) else base

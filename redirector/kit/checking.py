"""Looks at a mirror from outside, as its clients and its distribution see it, and says what it finds as it finds it.

Every connection is made by the crawler's own probes, under the same rules of whom one may talk to: who asks for a look
is a stranger, and what he names may be anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, unquote, urljoin, urlsplit

from redirector.health.evidence import Ask, Family, Outcome, Probe, printable
from redirector.health.http import Answer, Http, Question
from redirector.health.names import Names, Resolve, source_for
from redirector.health.pace import Pace
from redirector.health.plan import control_name
from redirector.health.reading import read_index, read_marker
from redirector.health.rsync import Rsync, RsyncRun
from redirector.health.safety import Safety, is_public
from redirector.kit.exploring import Folder, Item, Place, explore
from redirector.kit.finding import Finding, Level
from redirector.kit.ftp import Ftp, FtpError
from redirector.kit.known import Known, KnownFile

SCHEMES = ("http", "https", "rsync", "ftp")
_PORTS = {"http": 80, "https": 443, "rsync": 873, "ftp": 21}
_LISTING_BYTES = 4 << 20
_INDEX_BYTES = 4 << 20
_FILE_BYTES = 64 << 20
_DAY_S = 86400
_REDIRECTED = (301, 302, 303, 307, 308)
_TLS = {Outcome.TLS, Outcome.TLS_EXPIRED, Outcome.TLS_NAME, Outcome.TLS_UNTRUSTED}
_OURS = {Outcome.NO_ROUTE, Outcome.OURS, Outcome.UNASKED}


@dataclass(frozen=True, slots=True)
class Look:
    """What a look goes by.

    master       where the mirror has its content from: a folder, or a URL of http, https or rsync; None: not known
    outdate_s    older than this is an error
    frequency_s  how often it announces to synchronize; older than twice that, and an hour, is a warning; None: silent
    staged       folders that strangers must not see, beside those that the master shows to be hidden
    ftp          whether ftp may be asked
    """

    master: str | None = None
    outdate_s: int = 43_200
    frequency_s: int | None = None
    staged: tuple[str, ...] = ()
    ftp: bool = True


@dataclass(frozen=True, slots=True)
class Tools:
    """What connects.

    now  epoch seconds
    """

    http: Http
    rsync: Rsync
    safety: Safety
    resolve: Resolve
    pace: Pace
    now: Callable[[], float]

    async def close(self) -> None:
        await self.http.close()


def open_tools(
    safety: Safety,
    agent: str,
    now: Callable[[], float],
    monotonic: Callable[[], float],
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    rsync: str = "rsync",
) -> Tools:
    """Probes as a look has them: those of the crawler, in a pace of their own.

    agent    the whole `User-Agent`
    resolve  names into addresses, the system's where there is none
    tls      whom to trust, the system's authorities where there is none
    """
    pace = Pace(now=now, monotonic=monotonic, heeds_busy=False)
    resolve = resolve or Names(monotonic=monotonic).resolve
    http = Http(
        pace=pace, safety=safety, resolve=resolve, tls=tls or ssl.create_default_context(), agent=agent,
        vantage="check", now=now, monotonic=monotonic,
    )  # fmt: skip
    prober = Rsync(
        pace=pace, safety=safety, resolve=resolve, vantage="check", now=now, monotonic=monotonic, program=rsync
    )
    return Tools(http, prober, safety, resolve, pace, now)


def refuse_url(url: str, *, ftp: bool = True) -> str | None:
    """Why *url* is not looked at, or None: who asks may have typed anything."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "no URL"
    if parts.scheme not in SCHEMES or not parts.hostname:
        return "an http, https or rsync URL is needed"
    if parts.scheme == "ftp" and not ftp:
        return "ftp is not looked at"
    if parts.username is not None or parts.password is not None:
        return "a URL without user and password is needed"
    if parts.query or parts.fragment:
        return "a URL without ? and # is needed"
    if any(not each.isprintable() or each == " " for each in url) or len(url) > 1000:
        return "a URL without blanks is needed"
    if ".." in unquote(parts.path).split("/"):
        return "a URL without .. is needed"
    if parts.scheme == "rsync" and len(parts.path) < 2:
        return "a URL with a module is needed"
    if port is not None and port < 1024 and port not in (80, 443, 873) and port != _PORTS[parts.scheme]:
        return "port must be 80, 443, 873, or from 1024 up"
    return None


async def check_mirror(urls: Sequence[str], look: Look, tools: Tools) -> AsyncIterator[Finding]:
    """Findings about *urls*, each as soon as it is known. Raises nothing for what a mirror does."""
    good = []
    for url in urls:
        if refusal := refuse_url(url, ftp=look.ftp):
            yield Finding(printable(url), "answer", Level.ERROR, refusal)
        else:
            good.append(url if url.endswith("/") else url + "/")
    master = Known()
    if good and look.master is not None:
        refusal = None if "://" not in look.master else refuse_url(look.master, ftp=False)
        if refusal is None:
            place = place_of(look.master, tools)
            master = await explore(place, tools.now(), look.staged)
        if refusal or (master.file is None and not master.marker):
            text = refusal or "nothing that is known of mirrors was found there: it is not compared with"
            yield Finding(printable(look.master), "answer", Level.WARNING, text)
    for url in good:
        async for finding in _check_url(url, master, look, tools):
            yield finding


def place_of(where: str, tools: Tools, family: Family | None = None) -> Place:
    """The folder or URL *where*, to be explored."""
    if "://" not in where:
        return Folder(where)
    url = where if where.endswith("/") else where + "/"
    return RsyncPlace(url, tools, family) if url.startswith("rsync:") else WebPlace(url, tools, family)


class WebPlace:
    """A tree by http, by its pages of links."""

    def __init__(self, url: str, tools: Tools, family: Family | None = None) -> None:
        self._url = url
        self._tools = tools
        self._family = family

    async def list(self, path: str) -> Sequence[Item]:
        probe = Probe("", "", Ask.FOLDER, self._url, path, family=self._family, ports=ports_of(self._url))
        [seen] = await self._tools.http.probe(probe)
        return [Item(each.path, each.folder) for each in seen.entries]

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        question = Question(self._url + _quoted(path), limit_bytes, self._family, ports=ports_of(self._url))
        answer = await self._tools.http.fetch(question)
        return answer.body if answer.outcome is Outcome.OK and answer.complete and answer.status == 200 else None


class RsyncPlace:
    """A tree by rsync."""

    def __init__(self, url: str, tools: Tools, family: Family | None = None) -> None:
        self._url = url
        self._tools = tools
        self._family = family

    async def list(self, path: str) -> Sequence[Item]:
        probe = Probe("", "", Ask.FOLDER, self._url, path, family=self._family, ports=ports_of(self._url))
        [seen] = await self._tools.rsync.probe(probe)
        return [Item(each.path, each.folder) for each in seen.entries if "/" not in each.path]

    async def read(self, path: str, limit_bytes: int) -> bytes | None:
        _, body = await self._tools.rsync.attempt(
            self._url + path, ("--times",), family=self._family, ports=ports_of(self._url)
        )
        return body if body is not None and len(body) <= limit_bytes else None


def ports_of(url: str) -> frozenset[int]:
    """The port that *url* names, which may be asked beside the common ones."""
    port = urlsplit(url).port
    return frozenset() if port is None else frozenset({port})


def _quoted(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"), safe="/~!$&'()*+,;=:@")


# --- one URL ------------------------------------------------------------------------------------------------------


async def _check_url(url: str, master: Known, look: Look, tools: Tools) -> AsyncIterator[Finding]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        async with asyncio.timeout(15):
            addresses = await tools.resolve(host)
    except (TimeoutError, OSError) as error:
        reason = "no answer about its name" if isinstance(error, TimeoutError) else error.strerror or str(error)
        yield Finding(url, "answer", Level.ERROR, f"{host}: {printable(reason)}")
        return
    literal = _is_literal(host)
    for family in (Family.IPV4, Family.IPV6):
        own = [each for each in addresses if (each.version == 4) == (family is Family.IPV4)]
        name = "IPv4" if family is Family.IPV4 else "IPv6"
        if not own:
            if not literal:
                yield Finding(url, "answer", Level.WARNING, f"{name}: the name has no such address")
            continue
        if all(source_for(each) is None for each in own) or (
            family is Family.IPV6 and all(_leads_nowhere(each) for each in own)
        ):
            yield Finding(url, "answer", Level.OK, f"{name}: not looked at, there is no way to it from here")
            continue
        at = _Looking(url, name, family, master, look, tools)
        check = {"rsync": at.by_rsync, "ftp": at.by_ftp}.get(parts.scheme, at.by_http)
        async for finding in check():
            yield finding


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _leads_nowhere(address: object) -> bool:
    """Whether we would send from an address that the world cannot answer to."""
    assert not isinstance(address, str)
    source = source_for(address)  # type: ignore[arg-type]
    return source is not None and is_public(address) and not is_public(source)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Looking:
    """A look at one URL over one family."""

    url: str
    name: str
    family: Family
    master: Known
    look: Look
    tools: Tools
    lost: bool = False

    def say(self, check: str, level: Level, text: str) -> Finding:
        return Finding(self.url, check, level, f"{self.name}: {printable(text)}")

    def ok(self, check: str, text: str) -> Finding:
        return self.say(check, Level.OK, text)

    def warning(self, check: str, text: str) -> Finding:
        return self.say(check, Level.WARNING, text)

    def error(self, check: str, text: str) -> Finding:
        return self.say(check, Level.ERROR, text)

    # --- what is compared, whatever it came by --------------------------------------------------------------------

    def judge_file(self, file: KnownFile, size: int | None, body: bytes | None) -> list[Finding]:
        """Size and checksum of a file that never changes under its name."""
        found = []
        if file.size_bytes is not None and size is not None:
            right = size == file.size_bytes
            text = f"{file.path} has {size:,} bytes" + ("" if right else f" instead of {file.size_bytes:,}")
            found.append(self.ok("size", text) if right else self.error("size", text))
        if file.sha256 is not None and body is not None:
            right = hashlib.sha256(body).hexdigest() == file.sha256
            text = f"{file.path} {'is' if right else 'is not'} what its checksum says"
            found.append(self.ok("hash", text) if right else self.error("hash", text))
        return found

    def judge_index(self, body: bytes) -> list[Finding]:
        """The mirror's index: the source's, or how much older."""
        index = self.master.index
        assert index is not None
        if hashlib.sha256(body).hexdigest() == index.sha256:
            return [
                self.ok("size", f"{index.path} has {len(body):,} bytes"),
                self.ok("hash", f"{index.path} is the source's"),
                *(
                    []
                    if self.master.marker_time is not None
                    else [self.ok("age", "current: it has the source's newest index")]
                ),
            ]
        if body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return [self.error("hash", f"{index.path} is a page for people")]
        own, theirs = read_index(index.path, body)[0], self.master.index_time
        if own is None:
            return [self.error("hash", f"{index.path} is not the source's, and cannot be read")]
        if theirs is None or own == theirs:
            return [self.error("hash", f"{index.path} is not the source's, though as old")]
        if own > theirs:
            return [self.warning("hash", f"{index.path} is newer than the source's: the source changed just now")]
        late = self.tools.now() - theirs
        text = f"{index.path} is an older one: it lacks what the source has for {_span(late)}"
        found = [self.error("age", text) if late > self.look.outdate_s else self.judge_lag("age", late, text)]
        return found

    def judge_lag(self, check: str, late: float, text: str) -> Finding:
        often = self.look.frequency_s
        if late > self.look.outdate_s:
            return self.error(check, text)
        if often is not None and late > 2 * often + 3600:
            return self.warning(check, f"{text}; it announces to synchronize every {_span(often)}")
        return self.ok(check, text)

    def judge_marker(self, path: str, body: bytes) -> list[Finding]:
        """How far the mirror's time stamp is behind the source's, or behind now."""
        text, time = read_marker(path, body, self.tools.now())
        if self.master.marker_time is None and self.master.marker_text:
            same = text == self.master.marker_text
            return [
                self.ok("age", f"{path} is the source's")
                if same
                else self.warning("age", f"{path} is not the source's: {text}")
            ]
        if time is None:
            return [self.error("age", f"{path} holds no time: {text or 'empty'}")]
        reference = self.master.marker_time
        late = max(0.0, (self.tools.now() if reference is None else reference) - time)
        behind = "" if reference is None else " behind the source"
        return [self.judge_lag("age", late, f"{path} is {_span(late)}{behind or ' old'}")]

    # --- http, https ----------------------------------------------------------------------------------------------

    async def fetch(
        self, path: str, limit: int | None, *, span: tuple[int, int] | None = None, follow: bool = True
    ) -> Answer:
        question = Question(
            self.url + _quoted(path), limit, self.family, ports=ports_of(self.url), span=span, follow=follow
        )
        return await self.tools.http.fetch(question)

    async def by_http(self) -> AsyncIterator[Finding]:
        if self.master.file is None and not self.master.marker:
            self.master = await explore(WebPlace(self.url, self.tools, self.family), self.tools.now(), self.look.staged)
        known = self.master
        path = known.file.path if known.file else known.marker
        first = await self.fetch(path, _INDEX_BYTES if known.index else None if path else _LISTING_BYTES)
        async for finding in self.open_http(path, first):
            yield finding
        if self.lost:
            return
        for file in self.judge_known(path, first):
            yield file
        if known.index and known.named and first.outcome is Outcome.OK:
            named = await self.fetch(known.named.path, _FILE_BYTES)
            for finding in self.judge_named(known.named, named, first):
                yield finding
        if known.marker:
            marker = await self.fetch(known.marker, 4096)
            if marker.outcome is Outcome.OK:
                for finding in self.judge_marker(known.marker, marker.body):
                    yield finding
            else:
                yield self.error("age", f"{known.marker}: {_reason(marker)}")
        async for finding in self.missing_by_http():
            yield finding
        async for finding in self.manners_by_http(path, first):
            yield finding
        async for finding in self.hidden_by_http(path):
            yield finding

    async def open_http(self, path: str, first: Answer) -> AsyncIterator[Finding]:
        """Whether it answers at all, from where, and with which certificate."""
        if first.outcome in _TLS:
            self.lost = True
            yield self.error("certificate", first.finding)
            return
        if first.outcome in _OURS:
            self.lost = True
            yield self.ok("answer", f"not looked at: {first.finding}")
            return
        if first.status is None:
            self.lost = True
            yield self.error("answer", _reason(first))
            plain = await self.fetch(path, None, follow=False)
            if plain.status in _REDIRECTED:
                yield self.warning("redirect", f"{path or 'the folder'} is redirected to {plain.location}")
            return
        if first.outcome is Outcome.MISSING and path:
            yield self.error("answer", f"{path} is missing ({first.status})")
        elif first.outcome not in (Outcome.OK, Outcome.UNCHANGED):
            # What clients are refused, or cannot use, is no answer to them.
            self.lost = first.outcome is not Outcome.UNREADABLE
            yield self.error("redirect" if first.outcome is Outcome.REDIRECT else "answer", _reason(first))
        else:
            yield self.ok("answer", f"answers from {first.address}")
        if first.redirected or first.outcome is Outcome.OK:
            plain = await self.fetch(path, None, follow=False)
            if plain.status in _REDIRECTED:
                text = f"{path or 'the folder'} is redirected to {plain.location}"
                downgraded = self.url.startswith("https:") and plain.location.startswith("http:")
                yield self.error("redirect", text) if downgraded else self.warning("redirect", text)
        if first.certificate_expires is not None:
            left = first.certificate_expires - self.tools.now()
            made = first.certificate_made or 0
            short = first.certificate_expires - made < 45 * _DAY_S
            text = f"valid for {_span(left)}"
            yield (
                self.warning("certificate", text)
                if left < (1 if short else 14) * _DAY_S
                else self.ok("certificate", text)
            )

    def judge_known(self, path: str, first: Answer) -> list[Finding]:
        known = self.master
        if first.outcome is not Outcome.OK or not path:
            return []
        if known.index and path == known.index.path:
            return self.judge_index(first.body)
        if known.file and path == known.file.path and known.file.size_bytes is not None:
            return self.judge_file(known.file, first.size_bytes, None)
        return []

    def judge_named(self, named: KnownFile, answer: Answer, first: Answer) -> list[Finding]:
        """The file that the source's index names: on a mirror that has another index it need not be there."""
        current = self.master.index is not None and hashlib.sha256(first.body).hexdigest() == self.master.index.sha256
        if answer.outcome is Outcome.OK and answer.complete:
            found = self.judge_file(named, answer.size_bytes, answer.body)
            if answer.content_encoding and answer.content_encoding != "identity":
                text = f"{named.path} is sent as Content-Encoding {answer.content_encoding}: clients would unpack it"
                found.append(self.warning("encoding", text))
            return found
        if not current and answer.outcome is Outcome.MISSING:
            return []
        return [self.error("size", f"{named.path}, which the index names: {_reason(answer)}")]

    async def missing_by_http(self) -> AsyncIterator[Finding]:
        name = control_name(self.url, int(self.tools.now() // _DAY_S))
        answer = await self.fetch(name, _LISTING_BYTES, follow=False)
        text = f"what is not there is answered by {answer.status}"
        match answer.status:
            case 404:
                yield self.ok("missing", text)
            case 410:
                yield self.warning("missing", f"{text}: 404 is what clients know best")
            case None:
                yield self.error("missing", f"what is not there: {_reason(answer)}")
            case status if 200 <= status < 300:
                yield self.error("missing", f"{text}: clients take the page for the file (soft 404)")
            case 301 | 302 | 303 | 307 | 308:
                # A redirect to a page is followed by clients, whatever the page is called.
                target = urljoin(self.url + name, answer.location)
                end = await self.tools.http.fetch(
                    Question(target, _LISTING_BYTES, self.family, ports=ports_of(self.url), follow=False)
                )
                soft = end.status is not None and 200 <= end.status < 300
                text = f"{text}, a redirect to {answer.location}"
                yield self.error("missing", f"{text} (soft 404)") if soft else self.warning("missing", text)
            case 401 | 403:
                yield self.warning("missing", f"{text}, as if it were forbidden")
            case status if status >= 500:
                yield self.error("missing", f"{text}: clients take the mirror for broken")
            case _:
                yield self.warning("missing", text)

    async def manners_by_http(self, path: str, first: Answer) -> AsyncIterator[Finding]:
        """Types, caching, connections, parts."""
        known = self.master
        for file in (known.package, known.image):
            if file is None:
                continue
            answer = await self.fetch(file.path, None)
            if answer.outcome is not Outcome.OK:
                continue
            kind = answer.content_type.partition(";")[0].strip().lower()
            if kind == "application/octet-stream":
                yield self.ok("type", f"{file.path} is {kind}")
            else:
                yield self.warning("type", f"{file.path} is {kind or 'without a type'}, not application/octet-stream")
            if file is known.package and _must_ask_again(answer.cache_control):
                yield self.warning("cache", f"{file.path} never changes, and is sent with {answer.cache_control}")
        if known.index and first.outcome is Outcome.OK:
            if _must_ask_again(first.cache_control):
                yield self.ok("cache", f"{path} is sent with {first.cache_control}")
            else:
                text = f"Cache-Control: {first.cache_control}" if first.cache_control else "no Cache-Control"
                yield self.warning("cache", f"{path} is sent with {text}: proxies hand out old metadata")
        if path and first.outcome is Outcome.OK:
            again = [await self.fetch(path, None) for _ in range(2)]
            if any(each.reused for each in again):
                yield self.ok("keep-alive", "a connection serves several requests")
            else:
                yield self.warning("keep-alive", "each request needs a connection of its own")
            part = await self.fetch(path, _FILE_BYTES, span=(1, 8))
            if part.status == 206 and part.content_range.startswith("bytes 1-") and len(part.body) <= 8:
                yield self.ok("range", "a part of a file can be asked for")
            else:
                yield self.warning(
                    "range", f"a part of {path} is answered by {part.status or _reason(part)}, not by 206"
                )

    async def hidden_by_http(self, path: str) -> AsyncIterator[Finding]:
        shown = []
        for folder in self.master.staged:
            if await self.shows(folder + "/"):
                shown.append(folder)
        if shown:
            yield self.error("staged", f"what is not released yet is shown: {', '.join(shown)}")
        elif self.master.staged:
            yield self.ok("staged", f"{', '.join(self.master.staged)}: hidden")
        shown = []
        folders = dict.fromkeys(
            ("", path.rpartition("/")[0], (self.master.package or KnownFile("")).path.rpartition("/")[0])
        )
        for folder in folders:
            place = f"{folder}/.~tmp~/".lstrip("/")
            if await self.shows(place):
                shown.append(place)
        yield (
            self.error("temporary", f"unfinished files are shown: {', '.join(shown)}")
            if shown
            else self.ok("temporary", "unfinished files are hidden")
        )

    async def shows(self, path: str) -> bool:
        """Whether something comes for *path* that does not come for what is not there."""
        answer = await self.fetch(path, _LISTING_BYTES, follow=False)
        if answer.status != 200:
            return False
        control = await self.fetch(control_name(self.url, int(self.tools.now() // _DAY_S)), _LISTING_BYTES)
        return control.status != 200 or control.body != answer.body

    # --- rsync ----------------------------------------------------------------------------------------------------

    async def by_rsync(self) -> AsyncIterator[Finding]:
        place = RsyncPlace(self.url, self.tools, self.family)
        if self.master.file is None and not self.master.marker:
            self.master = await explore(place, self.tools.now(), self.look.staged)
        known = self.master
        path = known.index.path if known.index else known.marker or (known.file.path if known.file else "")
        listed, body = await self.attempt(path, "--times") if path else (RsyncRun(0), None)
        if not path:
            [seen] = await self.tools.rsync.probe(self.probe(Ask.FOLDER))
            if seen.outcome is not Outcome.OK:
                yield self.answer_by_rsync(seen.outcome, seen.finding)
                return
            yield self.ok("answer", "answers")
        elif body is None:
            outcome, text = self.outcome_by_rsync(listed)
            if outcome is Outcome.MISSING:
                yield self.error("answer", f"{path} is missing")
            else:
                yield self.answer_by_rsync(outcome, text)
                return
        else:
            yield self.ok("answer", "answers")
            for finding in self.judge_index(body) if known.index else []:
                yield finding
        current = (
            body is not None and known.index is not None and hashlib.sha256(body).hexdigest() == known.index.sha256
        )
        if known.named and (current or known.index is None):
            listed, named = await self.attempt(known.named.path, "--times")
            if named is not None:
                for finding in self.judge_file(known.named, len(named), named):
                    yield finding
            else:
                yield self.error("size", f"{known.named.path}: {self.outcome_by_rsync(listed)[1]}")
        if known.marker:
            listed, marker = await self.attempt(known.marker, "--times")
            if marker is not None:
                for finding in self.judge_marker(known.marker, marker):
                    yield finding
            else:
                yield self.error("age", f"{known.marker}: {self.outcome_by_rsync(listed)[1]}")
        async for finding in self.manners_by_rsync(path):
            yield finding

    async def manners_by_rsync(self, path: str) -> AsyncIterator[Finding]:
        name = control_name(self.url, int(self.tools.now() // _DAY_S))
        listed, _ = await self.attempt(name, "--times")
        if listed.status == 23:
            yield self.ok("missing", "what is not there is answered by rsync's code 23")
        else:
            yield self.warning("missing", f"what is not there is answered by rsync's code {listed.status}")
        shown = [each for each in self.master.staged if await self.lists(each)]
        if shown:
            yield self.error("staged", f"what is not released yet is shown: {', '.join(shown)}")
        elif self.master.staged:
            yield self.ok("staged", f"{', '.join(self.master.staged)}: hidden")
        folders = dict.fromkeys(("", path.rpartition("/")[0]))
        unfinished = [f"{each}/.~tmp~".lstrip("/") for each in folders]
        shown = [each for each in unfinished if await self.lists(each)]
        if shown:
            yield self.error("temporary", f"unfinished files are shown: {', '.join(shown)}")
        else:
            yield self.ok("temporary", "unfinished files are hidden")
        if path:
            listed, _ = await self.attempt(path, "--checksum", "--dry-run")
            if listed.status == 0:
                yield self.warning("checksum", "-c is not refused: one question can read the whole tree")
            elif "checksum" in listed.errors or "refuse" in listed.errors:
                yield self.ok("checksum", "-c is refused")
            else:
                yield self.warning(
                    "checksum", f"-c is answered by rsync's code {listed.status}: {_first(listed.errors)}"
                )
        listed, _ = await self.tools.rsync.attempt(
            self.url + ".redirector-check", ("--dry-run",), family=self.family, ports=ports_of(self.url), send=True
        )
        if listed.status == 0:
            yield self.error("write", "takes files from anybody")
        else:
            yield self.ok("write", "takes nothing")

    async def attempt(self, path: str, *options: str) -> tuple[RsyncRun, bytes | None]:
        return await self.tools.rsync.attempt(self.url + path, options, family=self.family, ports=ports_of(self.url))

    async def lists(self, path: str) -> bool:
        [seen] = await self.tools.rsync.probe(self.probe(Ask.FOLDER, path))
        return seen.outcome is Outcome.OK

    def probe(self, ask: Ask, path: str = "") -> Probe:
        return Probe("", "", ask, self.url, path, family=self.family, ports=ports_of(self.url))

    def outcome_by_rsync(self, listed: RsyncRun) -> tuple[Outcome, str]:
        if listed.ended is not None:
            return listed.ended, listed.finding or str(listed.ended)
        text = f"rsync's code {listed.status}: {_first(listed.errors)}"
        if listed.status == 23 and "No such file" in listed.errors:
            return Outcome.MISSING, "missing"
        if listed.status == 5:
            return (Outcome.BUSY if "max connections" in listed.errors else Outcome.DENIED), text
        return Outcome.NO_CONNECTION, text

    def answer_by_rsync(self, outcome: Outcome, text: str) -> Finding:
        if outcome in _OURS:
            return self.ok("answer", f"not looked at: {text}")
        return self.warning("answer", f"busy: {text}") if outcome is Outcome.BUSY else self.error("answer", text)

    # --- ftp ------------------------------------------------------------------------------------------------------

    async def by_ftp(self) -> AsyncIterator[Finding]:
        parts = urlsplit(self.url)
        port = parts.port or _PORTS["ftp"]
        safety = self.tools.safety
        addresses = [
            each
            for each in await self.tools.resolve(parts.hostname or "")
            if (each.version == 4) == (self.family is Family.IPV4)
        ]
        allowed = [each for each in addresses if safety.refusal(each, port, {port}) is None]
        if not allowed:
            yield self.error("answer", f"{addresses[0]}: address is not public")
            return
        try:
            async with Ftp(allowed[0], port, lambda other: other >= 1024) as ftp:
                yield self.ok("answer", f"answers from {allowed[0]}")
                async for finding in self.look_by_ftp(ftp, unquote(parts.path)):
                    yield finding
        except FtpError as error:
            yield self.error("answer", str(error))

    async def look_by_ftp(self, ftp: Ftp, base: str) -> AsyncIterator[Finding]:
        known = self.master
        current = False
        if known.index:
            code, text, body = await ftp.fetch(base + known.index.path, _INDEX_BYTES)
            if body is None:
                yield self.error("answer", f"{known.index.path}: {code} {text}")
            else:
                current = hashlib.sha256(body).hexdigest() == known.index.sha256
                for finding in self.judge_index(body):
                    yield finding
        if known.named and (current or known.index is None):
            code, text, body = await ftp.fetch(base + known.named.path, _FILE_BYTES)
            if body is None:
                yield self.error("size", f"{known.named.path}: {code} {text}")
            else:
                for finding in self.judge_file(known.named, len(body), body):
                    yield finding
        if known.marker:
            code, text, body = await ftp.fetch(base + known.marker, 4096)
            if body is None:
                yield self.error("age", f"{known.marker}: {code} {text}")
            else:
                for finding in self.judge_marker(known.marker, body):
                    yield finding
        name = control_name(self.url, int(self.tools.now() // _DAY_S))
        code, text, body = await ftp.fetch(base + name, 4096)
        if code == 550:
            yield self.ok("missing", "what is not there is answered by 550")
        elif body is not None:
            yield self.error("missing", "what is not there is answered by a file (soft 404)")
        else:
            yield self.warning("missing", f"what is not there is answered by {code} {text}, not by 550")
        if known.staged:
            shown = [each for each in known.staged if (await ftp.say(f"CWD {base}{each}"))[0] == 250]
            yield (
                self.error("staged", f"what is not released yet is shown: {', '.join(shown)}")
                if shown
                else self.ok("staged", f"{', '.join(known.staged)}: hidden")
            )
        folders = dict.fromkeys(("", (known.index or KnownFile("")).path.rpartition("/")[0]))
        unfinished = [f"{each}/.~tmp~".lstrip("/") for each in folders]
        shown = [each for each in unfinished if (await ftp.say(f"CWD {base}{each}"))[0] == 250]
        yield (
            self.error("temporary", f"unfinished files are shown: {', '.join(shown)}")
            if shown
            else self.ok("temporary", "unfinished files are hidden")
        )


def _must_ask_again(cache_control: str) -> bool:
    words = {each.strip().lower() for each in cache_control.split(",")}
    return bool(words & {"no-cache", "no-store", "max-age=0"})


def _reason(answer: Answer) -> str:
    finding = answer.finding or (str(answer.status) if answer.status else "")
    text = finding or str(answer.outcome)
    return f"{text}; it came from {answer.redirected}" if answer.redirected else text


def _first(text: str) -> str:
    return printable(next((line for line in text.splitlines() if line.strip()), ""))


def _span(seconds: float) -> str:
    """A time that people can read: `40 min`, `3 h`, `12 days`."""
    if seconds < 5400:
        return f"{max(0, seconds) / 60:.0f} min"
    if seconds < 2 * _DAY_S:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / _DAY_S:.0f} days"

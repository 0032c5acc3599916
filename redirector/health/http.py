"""Asks mirrors by HTTP and HTTPS, and says what came. Decides nothing.

Every connection is made to a number that was judged beforehand, and is judged again by the socket that makes it: what
the resolver says, what a redirect says and what a URL writes as a number all end there. One connection serves the
requests of a visit; each request, each redirect and each second try is a turn at its address.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from yarl import URL

from redirector.health.evidence import (
    INDEX_LIMIT_BYTES,
    MARKER_LIMIT_BYTES,
    UNREACHED,
    Ask,
    Evidence,
    Family,
    FolderItem,
    Outcome,
    Probe,
    printable,
)
from redirector.health.exchange import (
    CONNECT_S,
    REDIRECTED,
    REQUEST_S,
    Connection,
    Fetched,
    Question,
    epoch_of,
    looks_html,
)
from redirector.health.links import parse_links
from redirector.health.names import Resolve, Route, leads_nowhere, source_for
from redirector.health.pace import NotNow, Pace
from redirector.health.reading import read_index, read_marker
from redirector.health.safety import Address, Refusal, Safety

REDIRECTS = 3
_TRIES = 3
"""Addresses of one name that are tried while none can be connected to."""

_HEAD_REFUSED = frozenset({405, 501})
_PORTS = {"http": 80, "https": 443}


class Http:
    """A prober of `http://` and `https://`.

    now, monotonic  clocks, in seconds
    tls             the context that judges certificates
    """

    def __init__(
        self,
        *,
        pace: Pace,
        safety: Safety,
        resolve: Resolve,
        tls: ssl.SSLContext,
        agent: str,
        vantage: str,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        connect_s: float = CONNECT_S,
        request_s: float = REQUEST_S,
        route: Route = source_for,
    ) -> None:
        self._pace = pace
        self._safety = safety
        self._resolve = resolve
        self._tls = tls
        self._agent = agent
        self._vantage = vantage
        self._now = now
        self._monotonic = monotonic
        self._connect_s = connect_s
        self._request_s = request_s
        self._route = route

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        """What the mirror shows; raises nothing for what it does."""
        answer = await self.fetch(_question_of(probe))
        return (self._evidence(probe, answer),)

    async def close(self) -> None:
        """Closes the connections that are kept."""
        await self._pace.close()

    async def fetch(self, question: Question) -> Fetched:
        """The answer to *question*, at the end of at most three redirects."""
        url, redirected = question.url, ""
        spent_s = 0.0
        hops = 0
        while True:
            try:
                target = _Target.parse(url)
            except ValueError as error:
                return Fetched(Outcome.UNREADABLE, f"no URL: {error}", redirected=redirected)
            answer = await self._ask(target, question, self._request_s - spent_s)
            spent_s += answer.duration_s
            answer = replace(answer, redirected=redirected, duration_s=spent_s)
            if answer.outcome is not Outcome.OK or answer.status not in REDIRECTED or not question.follow:
                return answer
            hops += 1
            try:
                url, redirected = _next(target, answer.location, question.url, redirected)
            except ValueError as error:
                return replace(answer, outcome=Outcome.REDIRECT, finding=str(error))
            if hops > REDIRECTS:
                return replace(answer, outcome=Outcome.REDIRECT, finding=f"redirect {hops} in a row, to {url}")

    async def _ask(self, target: _Target, question: Question, left_s: float) -> Fetched:
        """One request without following redirects: a name's addresses are tried while none can be connected to."""
        try:
            async with asyncio.timeout(min(self._connect_s, left_s)):
                found = await self._resolve(target.host)
        except TimeoutError:
            return Fetched(Outcome.TIMEOUT, f"no answer about the name {target.host}", duration_s=self._connect_s)
        except OSError as error:
            return Fetched(Outcome.NO_NAME, f"{target.host}: {error.strerror or error}")
        addresses = [each for each in found if question.family in (None, _family_of(each))]
        if not addresses:
            wanted = "no address" if question.family is None else f"no address of {question.family}"
            return Fetched(Outcome.NO_NAME, f"{target.host}: {wanted}")
        refusals = {each: self._safety.refusal(each, target.port, question.ports) for each in addresses}
        open_ones = [each for each in addresses if refusals[each] is None][:_TRIES]
        if not open_ones:
            refused = addresses[0]
            return Fetched(Outcome.FORBIDDEN, _forbidden(target, refused, refusals[refused]))
        answer = Fetched(Outcome.NO_CONNECTION)
        spent_s = 0.0
        for address in open_ones:
            source = self._route(address)
            if source is None:
                answer = Fetched(Outcome.NO_ROUTE, f"no route to {address} from here")
                continue
            answer = await self._ask_at(address, target, question, left_s - spent_s)
            spent_s += answer.duration_s
            if answer.outcome in UNREACHED and leads_nowhere(address, source):
                answer = replace(answer, outcome=Outcome.NO_ROUTE, finding=f"no route to {address} from {source}")
            if answer.outcome not in (Outcome.NO_CONNECTION, Outcome.NO_ROUTE) or spent_s >= left_s:
                break
        return replace(answer, duration_s=spent_s)

    async def _ask_at(self, address: Address, target: _Target, question: Question, left_s: float) -> Fetched:
        """One request to one address. One that a kept connection did not survive is made once more on a new one."""
        method = "HEAD" if question.limit_bytes is None else "GET"
        answer, old = await self._turn(address, target, question, method, left_s)
        if old and answer.outcome is Outcome.NO_CONNECTION:
            answer, _ = await self._turn(address, target, question, method, left_s)
        if method == "HEAD" and answer.status in _HEAD_REFUSED:
            answer, _ = await self._turn(address, target, question, "GET", left_s)
        return answer

    async def _turn(
        self, address: Address, target: _Target, question: Question, method: str, left_s: float
    ) -> tuple[Fetched, bool]:
        """The answer, and whether it was asked for on a connection that had been kept."""
        try:
            async with self._pace.request(str(address), target.purpose) as lease:
                kept = await lease.take(target.purpose)
                old = isinstance(kept, Connection)
                connection = kept if isinstance(kept, Connection) else self._connection(address, target, question)
                began = self._monotonic()
                try:
                    answer = await connection.exchange(method, target.url, question, left_s)
                except BaseException:
                    await connection.close()
                    raise
                if answer.complete:
                    lease.kept = (target.purpose, connection)
                else:
                    await connection.close()
        except NotNow as refusal:
            outcome = Outcome.BUSY if refusal.busy else Outcome.UNASKED
            return Fetched(outcome, str(refusal), retry_after=int(refusal.until)), False
        duration_s = self._monotonic() - began
        answer = replace(answer, address=address, duration_s=duration_s)
        if answer.outcome is Outcome.BUSY and answer.retry_after is not None:
            self._pace.busy(str(address), answer.retry_after)
        return answer, old

    def _connection(self, address: Address, target: _Target, question: Question) -> Connection:
        def check(address: Address, port: int) -> Refusal | None:
            return self._safety.refusal(address, port, question.ports)

        return Connection(address, target.port, check, self._tls, self._agent, self._connect_s, self._now)

    def _evidence(self, probe: Probe, answer: Fetched) -> Evidence:
        found = Evidence(
            at=int(self._now()),
            vantage=self._vantage,
            host=probe.host,
            category=probe.category,
            ask=probe.ask,
            base=probe.base,
            path=probe.path,
            outcome=answer.outcome,
            scheme=probe.scheme,
            family=probe.family if answer.address is None else _family_of(answer.address),
            address="" if answer.address is None else str(answer.address),
            status=answer.status,
            size_bytes=answer.size_bytes,
            modified=epoch_of(answer.last_modified),
            html=answer.outcome is Outcome.OK and probe.ask is not Ask.FOLDER and _is_html(probe.path, answer),
            duration_s=answer.duration_s,
            retry_after=answer.retry_after,
            etag=printable(answer.etag),
            last_modified=printable(answer.last_modified),
            redirected=printable(answer.redirected),
            certificate_made=answer.certificate_made,
            certificate_expires=answer.certificate_expires,
            finding=printable(answer.finding),
        )
        if answer.outcome is not Outcome.OK or not answer.complete:
            return found
        match probe.ask:
            case Ask.MARKER:
                digest = hashlib.sha256(answer.body).hexdigest()
                text, stamp = read_marker(probe.path, answer.body, self._now())
                return replace(found, sha256=digest, text=printable(text), stamp=None if found.html else stamp)
            case Ask.INDEX:
                digest = hashlib.sha256(answer.body).hexdigest()
                stamp, valid_until = (None, None) if found.html else read_index(probe.path, answer.body)
                return replace(found, sha256=digest, stamp=stamp, valid_until=valid_until)
            case Ask.FOLDER:
                return replace(found, entries=tuple(_entries(answer.body)))
            case Ask.FILE | Ask.CONTROL | Ask.FILES | Ask.LISTING:
                return found


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart. *purpose* is what one connection can be kept for."""

    url: URL
    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> _Target:
        """raises  ValueError"""
        url = URL(text, encoded=True)
        if url.scheme not in _PORTS or not url.raw_host:
            raise ValueError(printable(text))
        if url.raw_user is not None or url.raw_password is not None:
            raise ValueError("it names a user")
        return cls(url, url.scheme, url.raw_host, url.port or _PORTS[url.scheme])

    @property
    def purpose(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def _question_of(probe: Probe) -> Question:
    path = quote(probe.path.encode("utf-8", "surrogateescape"), safe="/~!$&'()*+,;=:@")
    limits = {Ask.MARKER: MARKER_LIMIT_BYTES, Ask.INDEX: INDEX_LIMIT_BYTES, Ask.FOLDER: INDEX_LIMIT_BYTES}
    if probe.ask is Ask.FOLDER and path:
        path += "/"
    base = probe.base if probe.base.endswith("/") else probe.base + "/"
    return Question(base + path, limits.get(probe.ask), probe.family, probe.etag, probe.modified, probe.ports)


def _next(target: _Target, location: str, first: str, redirected: str) -> tuple[str, str]:
    """Where a redirect leads, and the other machine that it named, if any did.

    raises  ValueError: it leads where no mirror would send anybody
    """
    if not location:
        raise ValueError("a redirect that leads nowhere")
    try:
        url = target.url.join(URL(location))
        host = url.raw_host
    except ValueError:
        raise ValueError(f"a redirect to {location}") from None
    if url.scheme not in _PORTS or not host:
        raise ValueError(f"a redirect to {location}")
    if target.scheme == "https" and url.scheme == "http":
        raise ValueError(f"a redirect from https to http, to {url}")
    if _file_name(url) != _file_name(URL(first, encoded=True)):
        raise ValueError(f"a redirect to another file, to {url}")
    if host != target.host:
        redirected = host if url.is_default_port() else f"{host}:{url.port}"
    return str(url.with_fragment(None).with_user(None)), redirected


def _file_name(url: URL) -> str:
    """Without a query, which is how stores of objects sign what they hand out."""
    return unquote(url.raw_path.rpartition("/")[2])


def _is_html(path: str, answer: Fetched) -> bool:
    """Whether a page for people came for *path*, which is none."""
    if path.endswith((".html", ".htm")):
        return False
    return answer.content_type.lower().startswith(("text/html", "application/xhtml")) or looks_html(answer.body)


def _entries(body: bytes) -> Iterable[FolderItem]:
    for name in parse_links(body.decode("utf-8", "surrogateescape")):
        yield FolderItem(name.rstrip("/"), folder=name.endswith("/"))


def _family_of(address: Address) -> Family:
    return Family.IPV4 if address.version == 4 else Family.IPV6


def _forbidden(target: _Target, address: Address, refusal: Refusal | None) -> str:
    return f"{target.host} is {address}, port {target.port}: {refusal.value if refusal else ''}"

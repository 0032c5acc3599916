"""Asks mirrors by HTTP and HTTPS, and says what came. Decides nothing.

Every connection is made to a number that was judged beforehand, and is judged again by the socket that makes it: what
the resolver says, what a redirect says and what a URL writes as a number all end there. One connection serves the
requests of a visit; each request, each redirect and each second try is a turn at its address.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import quote, unquote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

from redirector.health.evidence import (
    INDEX_LIMIT_BYTES,
    MARKER_LIMIT_BYTES,
    Ask,
    Entry,
    Evidence,
    Family,
    Outcome,
    Probe,
    printable,
)
from redirector.health.links import parse_links
from redirector.health.names import Resolve, Route, source_for
from redirector.health.pace import NotNow, Pace
from redirector.health.reading import read_index, read_marker
from redirector.health.safety import Address, Refusal, Safety, is_public

REDIRECTS = 3
CONNECT_S = 10.0
REQUEST_S = 30.0
_TRIES = 3
"""Addresses of one name that are tried while none can be connected to."""

_CHUNK_BYTES = 64 << 10
_RETRY_AFTER_LIMIT_S = 86400
_HEAD_REFUSED = frozenset({405, 501})
_UNREACHED = frozenset({Outcome.NO_CONNECTION, Outcome.TIMEOUT})
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}

_TLS_EXPIRED = frozenset({9, 10})
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, CERT_HAS_EXPIRED."""

_TLS_NAME = frozenset({62, 63, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH, EMAIL_MISMATCH, IP_ADDRESS_MISMATCH."""

_ENDLESS = ("Got more than", "Too many headers")
"""How aiohttp names a head beyond its bounds: lines of 8,190 bytes, 128 of them. It has no class for that alone."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to fetch.

    limit_bytes  of its body, as sent and as unpacked; None: the body is not wanted (HEAD)
    span         first and last byte that are wanted; None: all
    follow       False: a redirect is the answer
    """

    url: str
    limit_bytes: int | None
    family: Family | None = None
    etag: str = ""
    modified: str = ""
    ports: frozenset[int] = frozenset()
    span: tuple[int, int] | None = None
    follow: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. Times are epoch seconds, absent is None or "".

    outcome       without regard to what the body says
    body          whole, or b"" where there is none
    size_bytes    of the body, or as announced
    complete      the body was read to its end
    reused        it came on a connection that had been kept
    """

    outcome: Outcome
    finding: str = ""
    status: int | None = None
    address: Address | None = None
    body: bytes = b""
    size_bytes: int | None = None
    complete: bool = False
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    location: str = ""
    retry_after: int | None = None
    redirected: str = ""
    duration_s: float = 0.0
    certificate_made: int | None = None
    certificate_expires: int | None = None
    cache_control: str = ""
    content_encoding: str = ""
    content_range: str = ""
    reused: bool = False


class _Forbidden(OSError):
    """A socket was asked for that must not be."""


class _TooLong(Exception):
    """A body went on behind its bound; holds what came until then."""

    def __init__(self, begin: bytes, what: str) -> None:
        super().__init__(what)
        self.begin = begin


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

    async def fetch(self, question: Question) -> Answer:
        """The answer to *question*, at the end of at most three redirects."""
        url, redirected = question.url, ""
        spent_s = 0.0
        hops = 0
        while True:
            try:
                target = _Target.parse(url)
            except ValueError as error:
                return Answer(Outcome.UNREADABLE, f"no URL: {error}", redirected=redirected)
            answer = await self._ask(target, question, self._request_s - spent_s)
            spent_s += answer.duration_s
            answer = replace(answer, redirected=redirected, duration_s=spent_s)
            if answer.outcome is not Outcome.OK or answer.status not in _REDIRECTED or not question.follow:
                return answer
            hops += 1
            try:
                url, redirected = _next(target, answer.location, question.url, redirected)
            except ValueError as error:
                return replace(answer, outcome=Outcome.REDIRECT, finding=str(error))
            if hops > REDIRECTS:
                return replace(answer, outcome=Outcome.REDIRECT, finding=f"redirect {hops} in a row, to {url}")

    async def _ask(self, target: _Target, question: Question, left_s: float) -> Answer:
        """One request without following redirects: a name's addresses are tried while none can be connected to."""
        try:
            async with asyncio.timeout(min(self._connect_s, left_s)):
                found = await self._resolve(target.host)
        except TimeoutError:
            return Answer(Outcome.TIMEOUT, f"no answer about the name {target.host}", duration_s=self._connect_s)
        except OSError as error:
            return Answer(Outcome.NO_NAME, f"{target.host}: {error.strerror or error}")
        addresses = [each for each in found if question.family in (None, _family_of(each))]
        if not addresses:
            wanted = "no address" if question.family is None else f"no address of {question.family}"
            return Answer(Outcome.NO_NAME, f"{target.host}: {wanted}")
        refusals = {each: self._safety.refusal(each, target.port, question.ports) for each in addresses}
        open_ones = [each for each in addresses if refusals[each] is None][:_TRIES]
        if not open_ones:
            refused = addresses[0]
            return Answer(Outcome.FORBIDDEN, _forbidden(target, refused, refusals[refused]))
        answer = Answer(Outcome.NO_CONNECTION)
        spent_s = 0.0
        for address in open_ones:
            source = self._route(address)
            if source is None:
                answer = Answer(Outcome.NO_ROUTE, f"no route to {address} from here")
                continue
            answer = await self._ask_at(address, target, question, left_s - spent_s)
            spent_s += answer.duration_s
            if answer.outcome in _UNREACHED and address.version == 6 and is_public(address) and not is_public(source):
                # A local network that leads nowhere, or through a translator: whose failure this is cannot be known.
                answer = replace(answer, outcome=Outcome.NO_ROUTE, finding=f"no route to {address} from {source}")
            if answer.outcome not in (Outcome.NO_CONNECTION, Outcome.NO_ROUTE) or spent_s >= left_s:
                break
        return replace(answer, duration_s=spent_s)

    async def _ask_at(self, address: Address, target: _Target, question: Question, left_s: float) -> Answer:
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
    ) -> tuple[Answer, bool]:
        """The answer, and whether it was asked for on a connection that had been kept."""
        try:
            async with self._pace.request(str(address), target.purpose) as lease:
                kept = await lease.take(target.purpose)
                old = isinstance(kept, _Connection)
                connection = kept if isinstance(kept, _Connection) else self._connection(address, target, question)
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
            return Answer(outcome, str(refusal), retry_after=int(refusal.until)), False
        duration_s = self._monotonic() - began
        answer = replace(answer, address=address, duration_s=duration_s)
        if answer.outcome is Outcome.BUSY and answer.retry_after is not None:
            self._pace.busy(str(address), answer.retry_after)
        return answer, old

    def _connection(self, address: Address, target: _Target, question: Question) -> _Connection:
        def check(address: Address, port: int) -> Refusal | None:
            return self._safety.refusal(address, port, question.ports)

        return _Connection(address, target.port, check, self._tls, self._agent, self._connect_s, self._now)

    def _evidence(self, probe: Probe, answer: Answer) -> Evidence:
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
            modified=_epoch(answer.last_modified),
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


class _Pinned(AbstractResolver):
    """Says one address for every name: the one that was judged."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        own = socket.AF_INET if self._address.version == 4 else socket.AF_INET6
        return [
            ResolveResult(
                hostname=host, host=str(self._address), port=port, family=own, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        return None


class _Response(aiohttp.ClientResponse):
    """Looks at the certificate before the connection may be gone: a short answer gives it back at once."""

    certificate: dict[str, object] | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if connection.transport is not None:
            self.certificate = connection.transport.get_extra_info("peercert")
        return await super().start(connection)


class _Connection:
    """One connection to one address and port, opened when first used."""

    def __init__(
        self,
        address: Address,
        port: int,
        check: Callable[[Address, int], Refusal | None],
        tls: ssl.SSLContext,
        agent: str,
        connect_s: float,
        now: Callable[[], float],
    ) -> None:
        self._address = address
        self._port = port
        self._check = check
        self._now = now
        self._tries = 0
        self._opened = False
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(self._opens)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=1,
                ssl=tls,
                resolver=_Pinned(address),
                use_dns_cache=False,
                happy_eyeballs_delay=None,
                socket_factory=self._socket,
                timeout_ceil_threshold=REQUEST_S * 2,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s, ceil_threshold=REQUEST_S * 2),
            auto_decompress=False,
            trust_env=False,
            response_class=_Response,
            middlewares=(self._once,),
            trace_configs=[trace],
        )

    async def close(self) -> None:
        await self._session.close()

    async def exchange(self, method: str, url: URL, question: Question, left_s: float) -> Answer:
        """One request and its answer. Never raises for what the other side does."""
        headers = {}
        if question.etag:
            headers["If-None-Match"] = question.etag
        if question.modified:
            headers["If-Modified-Since"] = question.modified
        if question.span:
            headers["Range"] = "bytes={}-{}".format(*question.span)
        self._tries = 0
        self._opened = False
        try:
            async with (
                asyncio.timeout(left_s),
                self._session.request(method, url, headers=headers, allow_redirects=False) as response,
            ):
                return await self._read(method, response, question)
        except TimeoutError:
            return Answer(Outcome.TIMEOUT, "no answer in time")
        except aiohttp.ClientConnectorCertificateError as error:
            return _certificate_failure(error.certificate_error)
        except aiohttp.ClientConnectorSSLError as error:
            return Answer(Outcome.TLS, f"TLS: {error.os_error}")
        except aiohttp.ClientOSError as error:
            return self._connection_failure(error)
        except aiohttp.ServerDisconnectedError:
            return Answer(Outcome.NO_CONNECTION, "closed without an answer")
        except aiohttp.ClientPayloadError as error:
            return Answer(Outcome.CUT, f"cut: {error}")
        except aiohttp.ClientResponseError as error:
            return _broken(error.__cause__ or error)
        except HttpProcessingError as error:
            return _broken(error)
        except (aiohttp.ClientError, ValueError) as error:
            return Answer(Outcome.UNREADABLE, f"no HTTP: {error}")

    async def _read(self, method: str, response: aiohttp.ClientResponse, question: Question) -> Answer:
        headers = response.headers
        made, expires = _validity(response)
        outcome = _outcome(response.status, headers, self._now())
        answer = Answer(
            outcome=outcome,
            status=response.status,
            size_bytes=_size(response.status, headers),
            content_type=headers.get("Content-Type", "")[:100],
            etag=headers.get("ETag", "")[:200],
            last_modified=headers.get("Last-Modified", "")[:64],
            location=headers.get("Location", ""),
            retry_after=_retry_after(headers, self._now()) if outcome is Outcome.BUSY else None,
            certificate_made=made,
            certificate_expires=expires,
            cache_control=headers.get("Cache-Control", "")[:200],
            content_encoding=headers.get("Content-Encoding", "")[:50],
            content_range=headers.get("Content-Range", "")[:100],
            reused=not self._opened,
        )
        if answer.outcome is not Outcome.OK:
            answer = replace(answer, finding=f"{response.status} {response.reason or ''}".strip())
        if method == "HEAD":
            return replace(answer, complete=True)
        limit = question.limit_bytes
        if limit is None:
            return answer  # what HEAD should have said: the body is left where it is
        if answer.outcome is not Outcome.OK or response.status in _REDIRECTED:
            return replace(answer, complete=await _skip(response))
        if answer.size_bytes is not None and answer.size_bytes > limit:
            return replace(answer, finding=f"{answer.size_bytes} bytes, more than are read")
        try:
            body = await _body(response, question.url, limit)
        except _TooLong as error:
            if _looks_html(error.begin):
                return replace(answer, body=error.begin[:_CHUNK_BYTES], finding="an endless page")
            return replace(answer, outcome=Outcome.HOSTILE, finding=str(error))
        except zlib.error as error:
            return replace(answer, outcome=Outcome.UNREADABLE, finding=f"cannot be unpacked: {error}")
        return replace(answer, body=body, size_bytes=len(body), complete=True)

    def _connection_failure(self, error: aiohttp.ClientOSError) -> Answer:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(cause, _Forbidden):
            return Answer(Outcome.FORBIDDEN, str(cause))
        reason = os.strerror(cause.errno) if cause.errno else cause.strerror or str(cause)
        return Answer(Outcome.NO_CONNECTION, reason or "no connection")

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """The socket for what is about to be connected to, if that is allowed."""
        family, kind, protocol, _, (host, port, *_) = info
        address = ip_address(host)
        refusal = self._check(address, port)
        if address != self._address or port != self._port or refusal is not None:
            raise _Forbidden(f"{host} port {port}: {refusal.value if refusal else 'not what was asked for'}")
        return socket.socket(family, kind, protocol)

    async def _opens(self, *_: object) -> None:
        self._opened = True

    async def _once(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """aiohttp asks again by itself where a connection broke; that would be a request which nobody counted."""
        self._tries += 1
        if self._tries > 1:
            raise aiohttp.ServerDisconnectedError()
        return await handler(request)


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


def _outcome(status: int, headers: CIMultiDictProxy[str], now: float) -> Outcome:
    if status == 200 or status == 206 or status in _REDIRECTED:
        return Outcome.OK
    match status:
        case 304:
            return Outcome.UNCHANGED
        case 404 | 410:
            return Outcome.MISSING
        case 401 | 403:
            return Outcome.DENIED
        case 429:
            return Outcome.BUSY
        case 503 if _retry_after(headers, now) is not None:
            return Outcome.BUSY
        case _ if 500 <= status < 600:
            return Outcome.SERVER_ERROR
        case _:
            return Outcome.UNREADABLE


def _retry_after(headers: CIMultiDictProxy[str], now: float) -> int | None:
    """When to come again (RFC 9110, 10.2.3), within a day from now; None: it does not say."""
    text = headers.get("Retry-After", "").strip()
    when = int(now) + int(text[:9]) if text.isascii() and text.isdigit() else _epoch(text)
    return None if when is None else max(int(now), min(when, int(now) + _RETRY_AFTER_LIMIT_S))


def _epoch(text: str) -> int | None:
    """An HTTP date as epoch seconds; None where it is none."""
    if not text:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError, TypeError):
        return None


def _size(status: int, headers: CIMultiDictProxy[str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if status == 200 and text.isascii() and text.isdigit() and len(text) < 19 else None


def _validity(response: aiohttp.ClientResponse) -> tuple[int | None, int | None]:
    """Begin and end of the certificate's validity."""
    certificate = response.certificate if isinstance(response, _Response) else None
    if not certificate:
        return None, None
    made, expires = (str(certificate.get(key, "")) for key in ("notBefore", "notAfter"))
    return _certificate_time(made), _certificate_time(expires)


def _certificate_time(text: str) -> int | None:
    try:
        return int(ssl.cert_time_to_seconds(text))
    except ValueError:
        return None


def _certificate_failure(error: Exception) -> Answer:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    text = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    if code in _TLS_EXPIRED:
        outcome = Outcome.TLS_EXPIRED
    else:
        outcome = Outcome.TLS_NAME if code in _TLS_NAME else Outcome.TLS_UNTRUSTED
    return Answer(outcome, f"certificate: {text}")


def _broken(error: BaseException) -> Answer:
    message = error.message if isinstance(error, HttpProcessingError | aiohttp.ClientResponseError) else str(error)
    if any(words in message for words in _ENDLESS):
        return Answer(Outcome.HOSTILE, f"headers without end: {message}")
    return Answer(Outcome.UNREADABLE, f"no HTTP: {message}")


async def _skip(response: aiohttp.ClientResponse) -> bool:
    """Reads a body that nobody wants, if it is short: the connection can be kept then."""
    left = MARKER_LIMIT_BYTES
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            return False
    return True


async def _body(response: aiohttp.ClientResponse, url: str, limit: int) -> bytes:
    """The body as the file is, at most *limit* bytes of it, sent or unpacked.

    raises  _TooLong, zlib.error
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    chunks = _bounded(response.content.iter_chunked(_CHUNK_BYTES), limit)
    if encoding in ("", "identity") or url.endswith((".gz", ".tgz")):
        # Some servers call a file's own compression an encoding of it.
        return b"".join([chunk async for chunk in chunks])
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise zlib.error(f"encoding {encoding}")
    unpacker = zlib.decompressobj(47 if encoding != "deflate" else 15)
    unpacked = bytearray()
    async for chunk in chunks:
        unpacked += unpacker.decompress(chunk, limit + 1 - len(unpacked))
        if len(unpacked) > limit or unpacker.unconsumed_tail:
            raise _TooLong(bytes(unpacked), f"unpacks to more than {limit} bytes")
    if not unpacker.eof:
        raise zlib.error("its end is missing")
    return bytes(unpacked)


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    begin = b""
    size = 0
    async for chunk in chunks:
        begin = begin or chunk
        size += len(chunk)
        if size > limit:
            raise _TooLong(begin, f"more than {limit} bytes")
        yield chunk


def _is_html(path: str, answer: Answer) -> bool:
    """Whether a page for people came for *path*, which is none."""
    if path.endswith((".html", ".htm")):
        return False
    return answer.content_type.lower().startswith(("text/html", "application/xhtml")) or _looks_html(answer.body)


def _looks_html(begin: bytes) -> bool:
    return begin[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _entries(body: bytes) -> Iterable[Entry]:
    for name in parse_links(body.decode("utf-8", "surrogateescape")):
        yield Entry(name.rstrip("/"), folder=name.endswith("/"))


def _family_of(address: Address) -> Family:
    return Family.IPV4 if address.version == 4 else Family.IPV6


def _forbidden(target: _Target, address: Address, refusal: Refusal | None) -> str:
    return f"{target.host} is {address}, port {target.port}: {refusal.value if refusal else ''}"

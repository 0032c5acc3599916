"""One connection to one address: a request, and what came of it. Every answer is bounded in size and time, and no
socket is made to a number that was not judged.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

from redirector.health.evidence import (
    MARKER_LIMIT_BYTES,
    Family,
    Outcome,
)
from redirector.health.safety import Address, Refusal

CONNECT_S = 10.0
REQUEST_S = 30.0
_CHUNK_BYTES = 64 << 10
_RETRY_AFTER_LIMIT_S = 86400
REDIRECTED = frozenset({301, 302, 303, 307, 308})

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
class Fetched:
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


class Connection:
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

    async def exchange(self, method: str, url: URL, question: Question, left_s: float) -> Fetched:
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
            return Fetched(Outcome.TIMEOUT, "no answer in time")
        except aiohttp.ClientConnectorCertificateError as error:
            return _certificate_failure(error.certificate_error)
        except aiohttp.ClientConnectorSSLError as error:
            return Fetched(Outcome.TLS, f"TLS: {error.os_error}")
        except aiohttp.ClientOSError as error:
            return self._connection_failure(error)
        except aiohttp.ServerDisconnectedError:
            return Fetched(Outcome.NO_CONNECTION, "closed without an answer")
        except aiohttp.ClientPayloadError as error:
            return Fetched(Outcome.CUT, f"cut: {error}")
        except aiohttp.ClientResponseError as error:
            return _broken(error.__cause__ or error)
        except HttpProcessingError as error:
            return _broken(error)
        except (aiohttp.ClientError, ValueError) as error:
            return Fetched(Outcome.UNREADABLE, f"no HTTP: {error}")

    async def _read(self, method: str, response: aiohttp.ClientResponse, question: Question) -> Fetched:
        headers = response.headers
        made, expires = _validity(response)
        outcome = _outcome(response.status, headers, self._now())
        answer = Fetched(
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
        if answer.outcome is not Outcome.OK or response.status in REDIRECTED:
            return replace(answer, complete=await _skip(response))
        if answer.size_bytes is not None and answer.size_bytes > limit:
            return replace(answer, finding=f"{answer.size_bytes} bytes, more than are read")
        try:
            body = await _body(response, question.url, limit)
        except _TooLong as error:
            if looks_html(error.begin):
                return replace(answer, body=error.begin[:_CHUNK_BYTES], finding="an endless page")
            return replace(answer, outcome=Outcome.HOSTILE, finding=str(error))
        except zlib.error as error:
            return replace(answer, outcome=Outcome.UNREADABLE, finding=f"cannot be unpacked: {error}")
        return replace(answer, body=body, size_bytes=len(body), complete=True)

    def _connection_failure(self, error: aiohttp.ClientOSError) -> Fetched:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(cause, _Forbidden):
            return Fetched(Outcome.FORBIDDEN, str(cause))
        reason = os.strerror(cause.errno) if cause.errno else cause.strerror or str(cause)
        return Fetched(Outcome.NO_CONNECTION, reason or "no connection")

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


def _outcome(status: int, headers: CIMultiDictProxy[str], now: float) -> Outcome:
    if status == 200 or status == 206 or status in REDIRECTED:
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
    when = int(now) + int(text[:9]) if text.isascii() and text.isdigit() else epoch_of(text)
    return None if when is None else max(int(now), min(when, int(now) + _RETRY_AFTER_LIMIT_S))


def epoch_of(text: str) -> int | None:
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


def _certificate_failure(error: Exception) -> Fetched:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    text = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    if code in _TLS_EXPIRED:
        outcome = Outcome.TLS_EXPIRED
    else:
        outcome = Outcome.TLS_NAME if code in _TLS_NAME else Outcome.TLS_UNTRUSTED
    return Fetched(outcome, f"certificate: {text}")


def _broken(error: BaseException) -> Fetched:
    message = error.message if isinstance(error, HttpProcessingError | aiohttp.ClientResponseError) else str(error)
    if any(words in message for words in _ENDLESS):
        return Fetched(Outcome.HOSTILE, f"headers without end: {message}")
    return Fetched(Outcome.UNREADABLE, f"no HTTP: {message}")


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


def looks_html(begin: bytes) -> bool:
    return begin[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype html", b"<html"))

"""Check-ins by HTTP: `POST /api/v1/check-in` with a token, and `/xmlrpc` as MirrorManager's clients send them.

What is slow, or could be made so, runs in threads, few at once, and before any transaction that writes.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web

from redirector.registry.checkin import (
    BODY_BYTES,
    DIRECTORIES,
    METHOD,
    UNPACKED_BYTES,
    UPDATE_CLIENT,
    WRONG_HOST,
    WRONG_SITE,
    CheckIn,
    TooLarge,
    Unreadable,
    Wrong,
    good_text,
    parse_call,
    parse_new,
    parse_old,
    render_answer,
    render_fault,
    wrong_text,
)
from redirector.registry.edit import accounts
from redirector.registry.edit.change import Change
from redirector.registry.edit.check_in import (
    Receipt,
    categories_of,
    find_checked_host,
    find_named_host,
    take_check_in,
)
from redirector.registry.known import Known, Stamp, find_source
from redirector.registry.permits import VISITOR, Actor
from redirector.registry.refusals import FieldProblem, Forbidden, Missing, RegistryError
from redirector.registry.rules import name_key
from redirector.store.registry import queries
from redirector.store.registry.rows import HostRow, SiteRow, TokenRow
from redirector.web.access import API, SITE, Site, address_of
from redirector.web.api.call import Call, Reply, Route
from redirector.web.api.problems import CONTENT_TYPE, problem, problem_of
from redirector.web.limits import Limits, network_of

_log = logging.getLogger("redirector.web")

AT_ONCE = 2
"""Check-ins that are unpacked at the same time: each may take 300 MB. Passwords are compared one by one, 20 ms each."""

MAX_WAITING = 20
"""Passwords that wait to be compared: half a second's work. Whoever comes then is told to come again."""

MAX_OPEN = 100
"""Check-ins that are read and worked on: each may hold 2 MiB before anybody knows whose it is."""

READ_S = 120
"""A whole body comes in that time, by any line that can carry a mirror."""

BUSY_S = 10

OUTCOMES = ("good", "doubted", "refused", "unreadable", "too-large", "too-often")
"""What may come of a check-in. `doubted`: it lost most of what it had, and changes nothing yet."""

NETWORK_RATE, NETWORK_BURST = 1.0, 100.0
"""Check-ins a second from one network before anybody knows whose they are: who guesses passwords gets no further."""

HOST_RATE, HOST_BURST = 1 / 60, 30.0
"""Of one host: more than once a minute nothing new can be told."""

KNOWN_CATEGORIES = 50
"""Whose directories are kept at hand: a large one has some 10 MB."""

FAULT_UNREADABLE, FAULT_METHOD = 1, 2

T = TypeVar("T")


@dataclass(eq=False)
class _Ended(Exception):
    """A check-in ends here, with this answer."""

    outcome: str
    answer: web.Response


@dataclass(slots=True)
class CheckIns:
    """Takes check-ins. *counts*: outcome -> how many."""

    site: Site
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    _networks: Limits = field(default_factory=lambda: Limits(NETWORK_RATE, NETWORK_BURST))
    _hosts: Limits = field(default_factory=lambda: Limits(HOST_RATE, HOST_BURST))
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _scales: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _known: OrderedDict[int, tuple[Stamp, Known]] = field(default_factory=OrderedDict)
    _comparing: int = 0
    _open: int = 0
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _right: dict[int, bytes] = field(default_factory=dict, repr=False)

    async def answer_new(self, request: web.Request) -> web.Response:
        """`POST /api/v1/check-in`."""
        try:
            with self._one_more(request):
                receipt, unheard = await self._take_new(request)
        except _Ended as ended:
            self._count(ended.outcome)
            return ended.answer
        except RegistryError as error:
            self._count("refused")
            status, text = problem_of(error, known=not isinstance(error, _Unknown))
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            return web.Response(status=status, body=text, content_type=CONTENT_TYPE, headers=headers)
        self._count("doubted" if receipt.doubted else "good")
        parts = [
            {
                "category": part.counted.category,
                "updated": part.counted.updated,
                "added": part.counted.added,
                "deleted": part.counted.deleted,
                "unknown": part.unknown,
                "doubted": part.doubted,
            }
            for part in receipt.parts
        ]
        body = {"host": receipt.host, "believed": receipt.claims, "categories": parts, "not_carried": unheard}
        return web.Response(body=json.dumps(body, ensure_ascii=False).encode(), content_type="application/json")

    async def answer_old(self, request: web.Request) -> web.Response:
        """`POST /xmlrpc`."""
        try:
            with self._one_more(request):
                receipt = await self._take_old(request)
        except _Ended as ended:
            self._count(ended.outcome)
            return ended.answer
        self._count("doubted" if receipt.doubted else "good")
        return _xml(render_answer(good_text(tuple(part.counted for part in receipt.parts))))

    @contextmanager
    def _one_more(self, request: web.Request) -> Iterator[None]:
        """While one is read and worked on; too many at once are told to come again."""
        if self._open >= MAX_OPEN:
            raise _Ended("too-often", _busy(request, "many check-ins are under way", BUSY_S))
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def _count(self, outcome: str) -> None:
        self.counts[outcome] += 1

    # The new form

    async def _take_new(self, request: web.Request) -> tuple[Receipt, list[str]]:
        self._limit(self._networks, f"network {network_of(address_of(request))}", request)
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        async with self.site.store.read() as connection:
            visitor = Change(connection, VISITOR, int(self.site.now()), self.site.house)
            actor = await accounts.find_actor(visitor, secret.strip()) if scheme.lower() == "bearer" else None
        if actor is None:
            raise _Unknown("a token is needed, and this one is unknown, or works no more")
        if request.content_type != "application/json":
            raise _Ended("unreadable", _problem(415, "the body must be application/json"))
        body = await self._read(request, packed=True)
        told = await self._parse(parse_new, body, api=True)
        async with self.site.store.read() as connection:
            change = Change(connection, actor, int(self.site.now()), self.site.house)
            host, site = await find_checked_host(change, told.host)
        self._limit(self._hosts, f"host {host.id}", request)
        receipt = await self._write(actor, host, site, told)
        await self._note_use(secret.strip())
        heard = {name_key(part.counted.category) for part in receipt.parts}
        return receipt, sorted(name[:255] for name in told.parts if name_key(name) not in heard)

    # The old form

    async def _take_old(self, request: web.Request) -> Receipt:
        self._limit(self._networks, f"network {network_of(address_of(request))}", request)
        body = await self._read(request)
        told = await self._parse(_parse_old_call, body, api=False)
        async with self.site.store.read() as connection:
            site, tokens = await accounts.find_check_in_tokens(connection, told.site)
        token = await self._find_token(request, tokens, told.password)
        if site is None or token is None:
            raise _Ended("refused", _xml(render_answer(wrong_text(WRONG_SITE))))
        async with self.site.store.read() as connection:
            change = Change(connection, VISITOR, int(self.site.now()), self.site.house)
            host = await find_named_host(change, site, told.host, token.host)
        if host is None:
            raise _Ended("refused", _xml(render_answer(wrong_text(WRONG_HOST))))
        self._limit(self._hosts, f"host {host.id}", request)
        actor = Actor(None, f"check-in of {host.name}", only=("host", host.id))
        receipt = await self._write(actor, host, site, told)
        async with self.site.store.write() as connection:
            await accounts.note_token_use(connection, token.id, int(self.site.now()))
        return receipt

    async def _find_token(self, request: web.Request, tokens: Sequence[TokenRow], secret: str) -> TokenRow | None:
        """Tokens, and passwords that were right before, cost nothing; others wait their turn, few at once.

        So whoever guesses, from however many addresses, keeps out nobody who knows.
        """
        now = int(self.site.now())
        if (token := accounts.match_token(tokens, secret, now)) is not None:
            return token
        for token in tokens:
            if hmac.compare_digest(self._right.get(token.id, b""), self._mark(token, secret)):
                return token if token.expires is None or token.expires > now else None
        if self._comparing >= MAX_WAITING:
            raise _Ended("too-often", _busy(request, "too many passwords are being compared", BUSY_S))
        self._comparing += 1
        try:
            async with self._scales:
                token = await asyncio.to_thread(accounts.match_password, tokens, secret, now)
        finally:
            self._comparing -= 1
        if token is not None:
            self._right[token.id] = self._mark(token, secret)
        return token

    def _mark(self, token: TokenRow, secret: str) -> bytes:
        """What is remembered of a right password while the process lives: nothing that it could be read from."""
        said = f"{token.secret}\0{secret}".encode(errors="surrogatepass")
        return hmac.digest(self._key, said, "sha256")

    # What both share

    def _limit(self, limits: Limits, who: str, request: web.Request) -> None:
        wait_s = limits.take(who, self.site.now())
        if wait_s:
            raise _Ended("too-often", _busy(request, "too many check-ins", wait_s))

    async def _read(self, request: web.Request, *, packed: bool = False) -> bytes:
        """The body. *packed*: it may be compressed by gzip."""
        api = packed
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity" and not (packed and encoding == "gzip"):
            raise _Ended("unreadable", _plain(415, f"a body in {encoding[:40]} is not read", api=api))
        bound = BODY_BYTES if encoding == "identity" else UNPACKED_BYTES
        try:
            if (request.content_length or 0) > BODY_BYTES:
                raise TooLarge(f"the body is larger than {BODY_BYTES >> 20} MiB")
            async with asyncio.timeout(READ_S):
                body = await _read_bounded(request, bound)
            if encoding == "gzip" and body[:2] == b"\x1f\x8b":
                body = await asyncio.to_thread(_unzip, body)
        except TooLarge as error:
            raise _Ended("too-large", _plain(413, error.text, api=api)) from None
        except TimeoutError:
            raise _Ended("unreadable", _plain(408, "the body did not come in time", api=api)) from None
        except (zlib.error, web.HTTPException, ValueError):
            raise _Ended("unreadable", _plain(400, "the body cannot be read", api=api)) from None
        return body

    async def _parse(self, parse: Callable[[bytes], CheckIn], body: bytes, *, api: bool) -> CheckIn:
        try:
            async with self._gate:
                return await asyncio.to_thread(parse, body)
        except TooLarge as error:
            raise _Ended("too-large", _plain(413, error.text, api=api)) from None
        except Unreadable as error:
            fault = _xml(render_fault(FAULT_UNREADABLE, error.text))
            raise _Ended("unreadable", _problem(400, error.text) if api else fault) from None
        except _OtherMethod:
            raise _Ended("unreadable", _xml(render_fault(FAULT_METHOD, f"the one method is {METHOD}"))) from None
        except Wrong as error:
            if not api:
                raise _Ended("refused", _xml(render_answer(wrong_text(error.text)))) from None
            errors = (FieldProblem(error.field, error.text),)
            raise _Ended("refused", _problem(422, "some fields are not right", errors=errors)) from None

    async def _write(self, actor: Actor, host: HostRow, site: SiteRow, told: CheckIn) -> Receipt:
        known = await self._find_known(actor, host, told)
        async with self.site.store.write() as connection:
            change = Change(connection, actor, int(self.site.now()), self.site.house)
            fresh = await queries.find(connection, HostRow, id=host.id)
            if fresh is None:
                raise Missing("there is no such host")
            receipt = await take_check_in(change, fresh, site, told, known)
        for part in receipt.parts:
            if part.doubted:
                _log.warning("%s: %s lost most of what it had: doubted", host.name, part.counted.category)
        return receipt

    async def _find_known(self, actor: Actor, host: HostRow, told: CheckIn) -> dict[int, Known]:
        """The directories of the categories that it speaks of."""
        found: dict[int, Known] = {}
        async with self.site.store.read() as connection:
            change = Change(connection, actor, int(self.site.now()), self.site.house)
            sources = [
                (category.id, await find_source(connection, category, self._known.get(category.id, ((),))[0]))
                for _, category in await categories_of(change, host, told.parts)
            ]
        for number, source in sources:
            if source is not None:
                async with self._gate:
                    self._known[number] = (source.stamp, await asyncio.to_thread(source.work_out))
                if len(self._known) > KNOWN_CATEGORIES:
                    self._known.popitem(last=False)
            found[number] = self._known[number][1]
        return found

    async def _note_use(self, secret: str) -> None:
        async with self.site.store.write() as connection:
            await accounts.note_use(Change(connection, VISITOR, int(self.site.now()), self.site.house), secret)


class _Unknown(Forbidden):
    """Nobody knows who asks: 401."""

    status = 401


class _OtherMethod(Exception):
    """An XML-RPC call of something else."""


def _parse_old_call(body: bytes) -> CheckIn:
    method, values = parse_call(body)
    if method != METHOD:
        raise _OtherMethod
    if len(values) != 1:
        raise Unreadable(UPDATE_CLIENT)
    return parse_old(values[0])


async def _read_bounded(request: web.Request, bound: int) -> bytes:
    chunks: list[bytes] = []
    left = bound
    async for chunk in request.content.iter_any():
        left -= len(chunk)
        if left < 0:
            raise TooLarge(f"the body is larger than {bound >> 20} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def _unzip(body: bytes) -> bytes:
    if len(body) > BODY_BYTES:
        raise TooLarge(f"the body is larger than {BODY_BYTES >> 20} MiB")
    stream = zlib.decompressobj(31)
    out = stream.decompress(body, UNPACKED_BYTES + 1)
    if len(out) > UNPACKED_BYTES:
        raise TooLarge(f"more than {UNPACKED_BYTES >> 20} MiB when it is unpacked")
    if not stream.eof:
        raise ValueError("it is cut short")
    return out


def _xml(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="text/xml")


def _problem(
    status: int, text: str, headers: Mapping[str, str] | None = None, errors: Sequence[FieldProblem] = ()
) -> web.Response:
    body = problem(status, text, errors)
    return web.Response(status=status, body=body, content_type=CONTENT_TYPE, headers=headers)


def _busy(request: web.Request, text: str, wait_s: float) -> web.Response:
    """Come again."""
    told, headers = f"{text}; again in {wait_s:.0f} s", {"Retry-After": str(int(wait_s) + 1)}
    if request.path.startswith(API):
        return _problem(429, told, headers)
    return web.Response(status=429, text=f"{told}\n", headers=headers)


def _plain(status: int, text: str, *, api: bool) -> web.Response:
    """Too large or unreadable: the rest of the body is not waited for."""
    answer = _problem(status, text) if api else web.Response(status=status, text=f"{text}\n")
    answer.force_close()
    return answer


async def _documented(call: Call) -> Reply:
    raise AssertionError(f"{call}: the body is read elsewhere")


_BODY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "host": {"type": "string", "maxLength": 255, "description": "its name; a host's own token needs none"},
        "finished": {
            "description": "when the synchronization was over",
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 0, "description": "epoch seconds"},
            ],
        },
        "categories": {
            "type": "object",
            "description": "by the name of each category: what is there",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "directories": {
                        "type": "array",
                        "maxItems": DIRECTORIES,
                        "items": {"type": "string", "description": 'below the category\'s top; "" is the top itself'},
                    },
                    "repomd": {
                        "type": "object",
                        "description": "path of each repomd.xml -> its SHA-256",
                        "additionalProperties": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
                    },
                },
            },
        },
        "traffic": {
            "type": "object",
            "description": "day -> bytes that were sent",
            "propertyNames": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "additionalProperties": {"type": "integer", "minimum": 0},
        },
    },
    "examples": [
        {
            "host": "mirror.example.org",
            "finished": "2026-11-28T06:00:00Z",
            "categories": {
                "Example Linux": {
                    "directories": ["", "9", "9/BaseOS/x86_64/os"],
                    "repomd": {"9/BaseOS/x86_64/os/repodata/repomd.xml": "0123456789abcdef" * 4},
                }
            },
            "traffic": {"2026-11-27": 123456789},
        }
    ],
}

_RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["host", "believed", "categories", "not_carried"],
    "properties": {
        "host": {"type": "string"},
        "believed": {"type": "boolean", "description": "true for private hosts; public ones are visited soon"},
        "categories": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "category": {"type": "string"},
                    **{name: {"type": "integer"} for name in ("updated", "added", "deleted")},
                    "unknown": {"type": "integer", "description": "directories that the master does not have"},
                    "doubted": {"type": "boolean", "description": "it lost most of what it had: nothing changed yet"},
                },
            },
        },
        "not_carried": {"type": "array", "items": {"type": "string"}},
    },
}

ROUTE = Route(
    "POST",
    "/check-in",
    "What a host has, when it finished and what it sent: with a token of scope check-in, of the host or its site",
    _documented,
    tag="check-in",
    schema=(_BODY, _RECEIPT),
)
"""For the document: its body may be larger than those of the other operations, and has a reader of its own."""

CHECK_INS = web.AppKey("check_ins", CheckIns)


def add_check_ins(application: web.Application) -> None:
    """The routes; `/mirrormanager` is a prefix that clients were configured with."""
    check_ins = application[CHECK_INS] = CheckIns(application[SITE])
    application.router.add_post(f"{API}/check-in", check_ins.answer_new)
    for prefix in ("", "/mirrormanager"):
        application.router.add_post(f"{prefix}/xmlrpc", check_ins.answer_old)
        application.router.add_post(f"{prefix}/xmlrpc/", check_ins.answer_old)

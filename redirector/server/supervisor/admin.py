"""The operator's listener, in the supervisor: metrics, health, the snapshot, `explain`, reload."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from redirector import __version__
from redirector.model import Network, Problem, Severity, Standing
from redirector.near_names import find_nearest
from redirector.server.between.admission import find_foreign, is_within
from redirector.server.between.listeners import Listener, peer_of
from redirector.server.between.messages import DescribedHost
from redirector.server.supervisor.admin_connection import AdminConnection
from redirector.server.supervisor.metrics import State, render_metrics
from redirector.server.supervisor.pulse import Firsts
from redirector.server.supervisor.replacement import ALLOWANCES, Outcome
from redirector.server.supervisor.succession import Succession, Take
from redirector.settings.serving import Config
from redirector.sources.switched_off import SwitchedOff

KEEP_ALIVE_S = 75.0

MAX_OFF_S = 366 * 86_400
MAX_WHY = 200
"""Characters of what people read beside a host that is switched off."""

METRICS_INTERVAL_S = 1.0
"""How often metrics are rendered at most: it takes some 10 ms of the process that looks after all others."""

_log = logging.getLogger("redirector.server.supervisor.admin")
_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
"""What a client does wrong is its own business."""


class Operated(Protocol):
    """What operators see and move: the supervisor, which is one."""

    succession: Succession

    @property
    def config(self) -> Config:
        """What is served by now."""

    @property
    def ready(self) -> bool:
        """Workers answer, and the end has not begun."""

    def state(self) -> State:
        """What the metrics tell."""

    def reload(self, allowed: Iterable[str] = (), take: Take = Take.FRESH) -> asyncio.Future[Outcome]:
        """Ask for a reload, see `Succession.reload`."""


async def open_admin(supervisor: Operated, listener: Listener) -> web.AppRunner:
    """Answer at *listener*; `cleanup` of the result ends it."""
    admin = _Admin(supervisor)
    application = web.Application()
    application.router.add_get("/metrics", admin.metrics_only(admin.metrics))
    application.router.add_get("/healthz", admin.healthz)
    application.router.add_get("/readyz", admin.readyz)
    application.router.add_get("/snapshot", admin.allowed_only(admin.snapshot))
    application.router.add_get("/explain", admin.allowed_only(admin.explain))
    application.router.add_get("/status", admin.allowed_only(admin.status))
    application.router.add_get("/hosts", admin.allowed_only(admin.hosts))
    application.router.add_post("/-/reload", admin.allowed_only(admin.reload))
    application.router.add_post("/-/rollback", admin.allowed_only(admin.rollback))
    application.router.add_post("/-/off", admin.allowed_only(admin.switch_off))
    application.router.add_post("/-/on", admin.allowed_only(admin.switch_on))
    doors: list[asyncio.AbstractServer] = []

    async def close(_: web.Application) -> None:
        for door in doors:
            door.close()

    application.on_shutdown.append(close)
    runner = web.AppRunner(
        application, access_log=None, logger=_log, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=1.0
    )
    await runner.setup()
    server = runner.server
    assert server is not None
    opened: set[AdminConnection] = set()
    options = {"keepalive_timeout": KEEP_ALIVE_S, "access_log": None, "logger": _log}

    def connect() -> AdminConnection:
        return AdminConnection(server, opened, **options)

    loop = asyncio.get_running_loop()
    door: asyncio.AbstractServer
    if listener.socket.family == socket.AF_UNIX:
        door = await loop.create_unix_server(connect, sock=listener.socket)
    else:
        door = await loop.create_server(connect, sock=listener.socket)
    doors.append(door)
    return runner


class _Admin:
    def __init__(self, supervisor: Operated) -> None:
        self._supervisor = supervisor
        self._render: asyncio.Task[bytes] | None = None
        self._next_render = 0.0

    def allowed_only(self, handler: Handler) -> Handler:
        """*handler* for those in `admin_allow`, and a refusal for others."""
        return self._guard(handler, lambda config: config.admin_allow, "admin_allow")

    def metrics_only(self, handler: Handler) -> Handler:
        """*handler* for those in `metrics_allow` or `admin_allow`, and a refusal for others."""
        return self._guard(handler, lambda config: (*config.metrics_allow, *config.admin_allow), "metrics_allow")

    def _guard(self, handler: Handler, allowed: Callable[[Config], Collection[Network]], key: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            config = self._supervisor.config
            peer = peer_of(request.transport)
            if not is_within(peer, allowed(config)):
                return web.Response(status=403, text=f"only for addresses in {key}\n")
            if peer is not None and (foreign := find_foreign(request.headers, config.admin_hosts)):
                text = f"{foreign} names another site: ask by an address, localhost, or a name in admin_hosts\n"
                return web.Response(status=403, text=text)
            return await handler(request)

        return handle

    async def metrics(self, request: web.Request) -> web.Response:
        """The metrics as they are now, rendered once a second at most: who asks sooner waits with the others."""
        if self._render is None or self._render.done():
            self._render = asyncio.create_task(self._render_metrics())
        body = await asyncio.shield(self._render)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _render_metrics(self) -> bytes:
        await asyncio.sleep(self._next_render - time.monotonic())
        self._next_render = time.monotonic() + METRICS_INTERVAL_S
        return render_metrics(self._supervisor.state())

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(self, request: web.Request) -> web.Response:
        if self._supervisor.ready:
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not ready\n")

    async def snapshot(self, request: web.Request) -> web.Response:
        age = self._supervisor.succession.current
        if age is None or age.report is None:
            return web.Response(status=503, text="nothing is loaded yet\n")
        report = age.report
        last = self._supervisor.succession.last
        return _as_json(
            {
                "source": report.path,
                "built": report.extent.built,
                "loaded": round(report.loaded, 3),
                "age_s": round(time.time() - report.extent.built, 3),
                "load_duration_s": round(report.duration_s, 3),
                "fallback": self._supervisor.succession.fallback,
                "state": self._supervisor.succession.state.value,
                "counts": report.extent.counts,
                "databases": report.databases,
                "problems": [_problem_fields(problem) for problem in report.problems],
                "last_reload": None if last is None else _outcome_fields(last),
            }
        )

    async def status(self, request: web.Request) -> web.Response:
        """How the server is, in short."""
        succession = self._supervisor.succession
        age, last = succession.current, succession.last
        report = None if age is None else age.report
        if age is None or report is None:
            return web.Response(status=503, text="nothing is loaded yet\n")
        firsts = succession.pulse.firsts(time.monotonic())
        return _as_json(
            {
                "version": __version__,
                "ready": self._supervisor.ready,
                "workers": age.accepting,
                "source": report.path,
                "built": report.extent.built,
                "loaded": round(report.loaded, 3),
                "health_checked": report.health_checked,
                "fallback": succession.fallback,
                "rolled_back": succession.returned,
                "reload": succession.state.value,
                "counts": report.extent.counts,
                "hosts": dict(report.standings),
                "lists_per_minute": round(sum(each.per_minute for each in firsts.values()), 1),
                "problems": _count_problems(report.problems),
                "broken": list(report.broken),
                "off": [_off_fields(each) for each in succession.off],
                "last_reload": None if last is None else _outcome_fields(last),
            }
        )

    async def hosts(self, request: web.Request) -> web.Response:
        """All hosts in short, or all that is known of the one that `host=` names."""
        rows = await self._describe()
        if rows is None:
            return web.Response(status=503, text="nobody can tell that now; try again\n")
        firsts = self._supervisor.succession.pulse.firsts(time.monotonic())
        if "host" not in request.query:
            only = request.query.get("only")
            wanted = [row for row in rows if only is None or only in _states_of(row)]
            if not wanted and only not in (None, *(state for row in rows for state in _states_of(row)), *_STATES):
                return web.Response(status=400, text=f"no host is {only or '':.40}; known: {', '.join(_STATES)}\n")
            return _as_json({"hosts": [_host_fields(row, firsts.get(row.name, Firsts())) for row in wanted]})
        row = _find_host(rows, request.query["host"])
        if isinstance(row, str):
            return web.Response(status=404, text=row)
        off = next((each for each in self._supervisor.succession.off if each.name == row.name), None)
        return _as_json(
            _host_fields(row, firsts.get(row.name, Firsts()))
            | {
                "problems": [_problem_fields(problem) for problem in row.problems],
                "off": None if off is None else _off_fields(off),
                **{key: getattr(row, key) for key in _DETAILS},
            }
        )

    async def _describe(self) -> tuple[DescribedHost, ...] | None:
        age = self._supervisor.succession.current
        return None if age is None else await age.describe()

    async def rollback(self, request: web.Request) -> web.Response:
        """Go back to the inputs before the last, and answer as a reload."""
        return await self._reload(take=Take.BEFORE)

    async def switch_off(self, request: web.Request) -> web.Response:
        """Give the host that `host=` names to nobody, for `for=` seconds if that is said; `why=` is for people."""
        now = time.time()
        try:
            duration_s = float(request.query["for"]) if "for" in request.query else None
        except ValueError:
            duration_s = 0.0
        if duration_s is not None and not 1 <= duration_s <= MAX_OFF_S:
            return web.Response(status=400, text=f"for= is needed in seconds, from 1 to {MAX_OFF_S:,}\n")
        why = " ".join(request.query.get("why", "").split())
        if len(why) > MAX_WHY or not why.isprintable():
            return web.Response(status=400, text=f"why= is one line of at most {MAX_WHY} characters\n")
        rows = await self._describe()
        if rows is None:
            return web.Response(status=503, text="nobody can tell the hosts now; try again\n")
        row = _find_host(rows, request.query.get("host", ""))
        if isinstance(row, str):
            return web.Response(status=404, text=row)
        succession = self._supervisor.succession
        off = SwitchedOff(row.name, now, None if duration_s is None else now + duration_s, why)
        return await self._switch((*(each for each in succession.off if each.name != row.name), off), row.name)

    async def switch_on(self, request: web.Request) -> web.Response:
        """Give the host that `host=` names to clients again."""
        succession, name = self._supervisor.succession, request.query.get("host", "")
        found = next((each for each in succession.off if each.name.casefold() == name.casefold()), None)
        if found is None:
            known = ", ".join(each.name for each in succession.off) or "none is"
            return web.Response(status=404, text=f"{name:.100} is not switched off; {known}\n")
        return await self._switch(tuple(each for each in succession.off if each is not found), found.name)

    async def _switch(self, off: tuple[SwitchedOff, ...], name: str) -> web.Response:
        note = self._supervisor.succession.set_off(off)
        return await self._reload(take=Take.SAME, extra={"host": name, "note": note})

    async def explain(self, request: web.Request) -> web.Response:
        target, client = request.query.get("target"), request.query.get("client")
        if not target or not client:
            return web.Response(status=400, text="target= and client= are needed\n")
        age = self._supervisor.succession.current
        explained = None if age is None else await age.explain(target, client)
        if explained is None:
            return web.Response(status=503, text="nobody can explain that now; try again\n")
        if explained.status == 200:
            return web.Response(text=explained.text, content_type="application/json")
        return web.Response(status=explained.status, text=explained.text + "\n")

    async def reload(self, request: web.Request) -> web.Response:
        allowed = [name for name in request.query.get("allow", "").split(",") if name]
        if unknown := [name for name in allowed if name not in ALLOWANCES]:
            return web.Response(status=400, text=f"allow= knows {' and '.join(ALLOWANCES)}, not {unknown[0]:.20}\n")
        return await self._reload(allowed)

    async def _reload(
        self, allowed: Iterable[str] = (), take: Take = Take.FRESH, extra: Mapping[str, object] = MappingProxyType({})
    ) -> web.Response:
        asked = self._supervisor.reload(allowed, take)
        await asyncio.wait([asked])
        if asked.cancelled():
            return web.Response(status=503, text="the server is shutting down\n")
        outcome = asked.result()
        return _as_json({**_outcome_fields(outcome), **extra}, 200 if outcome.served else 422)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _outcome_fields(outcome: Outcome) -> dict[str, object]:
    return {
        "outcome": outcome.name,
        "began": round(outcome.began, 3),
        "duration_s": round(outcome.duration_s, 3),
        "changes": None if outcome.changes is None else asdict(outcome.changes),
        "problems": [_problem_fields(problem) for problem in outcome.problems],
        "problems_gone": outcome.gone,
        "problems_same": outcome.same,
        "broken": list(outcome.broken),
    }


_DETAILS = (
    *("key", "city", "latitude", "longitude", "bandwidth_mbit", "sponsor", "own_asn", "asns", "netblocks", "urls"),
    *("directories", "checked", "lag_s", "ipv4", "ipv6", "file"),
)
"""What is told of a host when it is asked for by name."""


def _host_fields(row: DescribedHost, firsts: Firsts) -> dict[str, object]:
    return {
        "host": row.name,
        "state": row.standing.value,
        "visibility": row.visibility,
        "country": row.country,
        "condition": row.condition,
        "since": row.since,
        "reason": row.reason,
        "first_per_minute": round(firsts.per_minute, 2),
        "tiers": {tier: round(share, 4) for tier, share in firsts.by_tier.items()},
        "problems": len(row.problems),
    }


_STATES = (*(each.value for each in Standing), "public", "private", "local", "problems", "ok", "stale", "unreachable")
"""What `only=` may name, beside whatever else a checker says of some host."""


def _states_of(row: DescribedHost) -> tuple[str, ...]:
    """What *row* may be asked for by."""
    problems = ("problems",) if row.problems else ()
    return (row.standing.value, row.visibility, *filter(None, (row.condition,)), *problems)


def _find_host(rows: Sequence[DescribedHost], name: str) -> DescribedHost | str:
    """The host of that name, or one that nobody else can be meant by; else a line that says so."""
    for row in rows:
        if name and name.casefold() in (row.name.casefold(), row.key.casefold()):
            return row
    names = tuple(row.name for row in rows)
    begun = [each for each in names if name and each.casefold().startswith(name.casefold())]
    near = begun[:5] or (find_nearest(name, names) if name else ())
    return f"no host is called {name[:100]!r}" + (f"; near: {', '.join(near)}" if near else "") + "\n"


def _off_fields(off: SwitchedOff) -> dict[str, object]:
    return {"host": off.name, "since": round(off.since), "until": off.until and round(off.until), "why": off.why}


def _count_problems(problems: Iterable[Problem]) -> dict[str, int]:
    counted = Counter(problem.severity.value for problem in problems)
    return {severity.value: counted[severity.value] for severity in Severity}


def _problem_fields(problem: Problem) -> dict[str, object]:
    return asdict(problem) | {"severity": problem.severity.value, "file": os.path.basename(problem.path.rstrip("/"))}


def _as_json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(value, indent=1) + "\n", content_type="application/json")

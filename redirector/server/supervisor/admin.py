"""The operator's listener, in the supervisor: metrics, health, the snapshot, `explain`, reload."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import asdict
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from redirector.model import Network, Problem
from redirector.server.between.listeners import Listener, peer_of
from redirector.server.supervisor.admin_connection import AdminConnection
from redirector.server.supervisor.admission import find_foreign, is_within
from redirector.server.supervisor.metrics import State, render_metrics
from redirector.server.supervisor.replacement import ALLOWANCES, Outcome
from redirector.server.supervisor.succession import Succession
from redirector.settings.serving import Config

KEEP_ALIVE_S = 75.0

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

    def reload(self, allowed: Iterable[str] = ()) -> asyncio.Future[Outcome]:
        """Ask for a reload."""


async def open_admin(supervisor: Operated, listener: Listener) -> web.AppRunner:
    """Answer at *listener*; `cleanup` of the result ends it."""
    admin = _Admin(supervisor)
    application = web.Application()
    application.router.add_get("/metrics", admin.metrics_only(admin.metrics))
    application.router.add_get("/healthz", admin.healthz)
    application.router.add_get("/readyz", admin.readyz)
    application.router.add_get("/snapshot", admin.allowed_only(admin.snapshot))
    application.router.add_get("/explain", admin.allowed_only(admin.explain))
    application.router.add_post("/-/reload", admin.allowed_only(admin.reload))
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
        asked = self._supervisor.reload(allowed)
        await asyncio.wait([asked])
        if asked.cancelled():
            return web.Response(status=503, text="the server is shutting down\n")
        outcome = asked.result()
        return _as_json(_outcome_fields(outcome), 200 if outcome.served else 422)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _outcome_fields(outcome: Outcome) -> dict[str, object]:
    return {
        "outcome": outcome.name,
        "began": round(outcome.began, 3),
        "duration_s": round(outcome.duration_s, 3),
        "problems": [_problem_fields(problem) for problem in outcome.problems],
    }


def _problem_fields(problem: Problem) -> dict[str, object]:
    return asdict(problem) | {"severity": problem.severity.value, "file": os.path.basename(problem.path.rstrip("/"))}


def _as_json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(value, indent=1) + "\n", content_type="application/json")

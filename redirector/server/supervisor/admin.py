"""The operator's listener, in the supervisor: metrics, health, the snapshot, `explain`, reload."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from redirector.model import Problem
from redirector.server.between.listeners import Listener
from redirector.server.supervisor.metrics import render_metrics
from redirector.server.supervisor.replacement import ALLOWANCES, Outcome

if TYPE_CHECKING:
    from redirector.server.supervisor.supervisor import Supervisor

KEEP_ALIVE_S = 75.0

_log = logging.getLogger("redirector.server.supervisor.admin")
_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
"""What a client does wrong is its own business."""


async def open_admin(supervisor: Supervisor, listener: Listener) -> web.AppRunner:
    """Answer at *listener*; `cleanup` of the result ends it."""
    admin = _Admin(supervisor)
    application = web.Application()
    application.router.add_get("/metrics", admin.metrics)
    application.router.add_get("/healthz", admin.healthz)
    application.router.add_get("/readyz", admin.readyz)
    application.router.add_get("/snapshot", admin.allowed_only(admin.snapshot))
    application.router.add_get("/explain", admin.allowed_only(admin.explain))
    application.router.add_post("/-/reload", admin.allowed_only(admin.reload))
    runner = web.AppRunner(
        application, access_log=None, logger=_log, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=1.0
    )
    await runner.setup()
    await web.SockSite(runner, listener.socket).start()
    return runner


class _Admin:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def allowed_only(self, handler: Handler) -> Handler:
        """*handler* for those in `admin_allow`, and a refusal for others."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if self._is_allowed(request):
                return await handler(request)
            return web.Response(status=403, text="only for addresses in admin_allow\n")

        return handle

    def _is_allowed(self, request: web.Request) -> bool:
        """A peer on a unix socket always is: the file's permissions have decided."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        if not isinstance(peer, tuple):
            return request.transport is not None
        address = ip_address(peer[0].partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._supervisor.config.admin_allow)

    async def metrics(self, request: web.Request) -> web.Response:
        body = render_metrics(self._supervisor.state())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

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

"""What the process of the registry counts, in Prometheus' text format."""

from __future__ import annotations

from aiohttp import web

from redirector.web.checkins import CHECK_INS


async def answer_metrics(request: web.Request) -> web.Response:
    """`/metrics`."""
    lines = [
        "# HELP redirector_checkins_total Check-ins, by what came of them.",
        "# TYPE redirector_checkins_total counter",
    ]
    for outcome, count in request.app[CHECK_INS].counts.items():
        lines.append(f'redirector_checkins_total{{outcome="{outcome}"}} {count}')
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")

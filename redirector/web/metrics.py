"""What the process of the registry counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from redirector.web.checkins import CHECK_INS

NOTICES: web.AppKey[Mapping[tuple[str, str], int]] = web.AppKey("notices")
"""(kind, outcome) -> attempts to deliver."""


async def answer_metrics(request: web.Request) -> web.Response:
    """`/metrics`."""
    lines = [
        "# HELP redirector_checkins_total Check-ins, by what came of them.",
        "# TYPE redirector_checkins_total counter",
    ]
    for outcome, count in request.app[CHECK_INS].counts.items():
        lines.append(f'redirector_checkins_total{{outcome="{outcome}"}} {count}')
    lines += [
        "# HELP redirector_notices_total Attempts to tell somebody something, by what came of them.",
        "# TYPE redirector_notices_total counter",
    ]
    for (kind, outcome), count in sorted(request.app.get(NOTICES, {}).items()):
        lines.append(f'redirector_notices_total{{kind="{kind}",outcome="{outcome}"}} {count}')
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")

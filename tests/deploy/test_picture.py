"""The picture of the dashboard: every panel's queries are asked, and drawn."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.deploy.rig import DEPLOY, LIMIT_S

PANELS = json.loads((DEPLOY / "grafana/redirector.json").read_text())["panels"]


class Prometheus(ThreadingHTTPServer):
    """Answers every query with one series; `asked` are the queries."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Prometheus

    def do_GET(self) -> None:
        parameters = parse_qs(urlsplit(self.path).query)
        self.server.asked += parameters["query"]
        start = float(parameters["start"][0])
        series = {
            "metric": {"host": "a.example.org"},
            "values": [[start, "0"], [start + 60, "1.5"], [start + 90, "NaN"]],
        }
        body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    with Prometheus() as opened:
        thread = threading.Thread(target=opened.serve_forever, args=(0.01,))
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def test_every_query_is_asked_and_a_picture_is_drawn(prometheus: Prometheus, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{prometheus.server_address[1]}"
    output = tmp_path / "dashboard.png"
    command = [sys.executable, str(DEPLOY / "grafana/picture.py"), "--prometheus", url, "--output", str(output)]
    subprocess.run(command, check=True, timeout=LIMIT_S)
    assert output.read_bytes().startswith(b"\x89PNG")
    assert len(prometheus.asked) == sum(len(panel["targets"]) for panel in PANELS)
    assert not [query for query in prometheus.asked if "$" in query]

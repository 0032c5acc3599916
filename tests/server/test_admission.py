"""Who may ask the operator's listener."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from redirector.server.between.admission import find_foreign, is_within
from redirector.server.supervisor.admin_connection import MAX_CONNECTIONS
from tests.patience import PATIENCE_S, SOON_S
from tests.server.running import Server, serving

NETWORKS = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "within"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("fd00::1%eth0", True),
        ("192.0.2.1", False),
        ("", False),
        ("@abstract", False),
    ],
)
def test_a_peer_is_judged_by_its_address(peer: str | None, within: bool) -> None:
    assert is_within(peer, NETWORKS) == within


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({"Host": "127.0.0.1:9180"}, None),
        ({"Host": "[::1]:9180"}, None),
        ({"Host": "localhost"}, None),
        ({"Host": "redirector.monitoring.svc:9180"}, None),
        ({"Host": "Redirector.Monitoring.Svc."}, None),
        ({"Host": "10.0.0.7"}, None),
        ({}, "Host"),
        ({"Host": ""}, "Host"),
        ({"Host": "rebound.example"}, "Host"),
        ({"Host": "localhost.rebound.example"}, "Host"),
        ({"Host": "[::1"}, "Host"),
        ({"Host": "127.0.0.1:x"}, "Host"),
        ({"Host": "127.0.0.1@rebound.example"}, "Host"),
        ({"Host": "127.0.0.1:9180", "Origin": "http://127.0.0.1:9180"}, None),
        ({"Host": "127.0.0.1:9180", "Origin": "http://127.0.0.1:8080"}, "Origin"),
        ({"Host": "127.0.0.1:9180", "Origin": "null"}, "Origin"),
        ({"Host": "127.0.0.1:9180", "Origin": ""}, "Origin"),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "none"}, None),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "same-origin"}, None),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site"),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "same-site"}, "Sec-Fetch-Site"),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "anything"}, "Sec-Fetch-Site"),
    ],
)
def test_what_a_page_from_elsewhere_causes_is_told_by_a_header(headers: dict[str, str], foreign: str | None) -> None:
    assert find_foreign(headers, ("redirector.monitoring.svc",)) == foreign


def ask(server: Server, method: str, target: str, headers: dict[str, str]) -> int:
    host, _, port = server.admin.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
    connection.request(method, target, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/-/reload"), ("GET", "/snapshot"), ("GET", "/explain?target=/&client=::1"), ("GET", "/metrics")],
)
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://attacker.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example"}],
)
def test_a_page_from_elsewhere_gets_nothing(server: Server, method: str, target: str, headers: dict[str, str]) -> None:
    assert ask(server, method, target, headers) == 403
    assert ask(server, "GET", "/healthz", headers) == 200


def test_a_name_that_is_declared_may_be_asked_by(source: Path) -> None:
    with serving(source, "--admin-host", "redirector.monitoring.svc") as server:
        assert ask(server, "POST", "/-/reload", {"Host": "redirector.monitoring.svc:9180"}) == 200


def test_metrics_have_a_list_of_their_own(source: Path) -> None:
    with serving(source, "--metrics-allow", "192.0.2.0/24", "--admin-allow", "192.0.2.0/24") as server:
        assert ask(server, "GET", "/metrics", {}) == 403
    with serving(source, "--metrics-allow", "192.0.2.0/24") as server:
        assert ask(server, "GET", "/metrics", {}) == 200, "whoever may reload may look"


def connect(server: Server) -> socket.socket:
    host, _, port = server.admin.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def test_connections_are_bounded_and_cut_when_they_do_not_ask(source: Path) -> None:
    with serving(source) as server, ExitStack() as stack:
        began = time.monotonic()
        held = [stack.enter_context(connect(server)) for _ in range(MAX_CONNECTIONS)]
        held[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: local")
        held[1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[1].recv(4096).startswith(b"HTTP/1.1 200")
        with connect(server) as one_more:
            assert is_cut(one_more)
        held[1].sendall(b"GET /metrics HTTP/1.1\r\n")
        assert all(is_cut(connection) for connection in held)
        assert 8 < time.monotonic() - began < 10 + SOON_S
        assert server.ask_admin("/healthz").status == 200


def is_cut(connection: socket.socket) -> bool:
    try:
        return connection.recv(4096) == b""
    except ConnectionResetError:
        return True


def test_metrics_are_fresh_and_rendered_at_most_once_a_second(server: Server) -> None:
    server.ask_admin("/metrics")
    server.ask()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: server.ask_admin("/metrics").body, range(24)))
    assert len(set(bodies)) <= time.monotonic() - began + 1
    assert all(b'redirector_requests_total{answer="mirrorlist",status="200"}' in body for body in bodies)

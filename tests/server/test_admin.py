"""The operator's listener."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.server.running import METALINK, TARGET, Server, serving, wait_until, write_snapshot


@pytest.fixture(scope="module", autouse=True)
def needs_promtool() -> None:
    assert shutil.which("promtool") or not os.environ.get("CI")


def test_promtool_finds_nothing_to_say(server: Server) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    server.ask()
    text = server.ask_admin("/metrics").body
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=PATIENCE_S)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_an_answer_is_counted_where_it_belongs(server: Server) -> None:
    before = server.metrics()
    for target in (TARGET, METALINK, "/nothing", "/mirrorlist?repo=none&arch=x86_64"):
        server.ask(target)
    server.ask(TARGET, "POST")
    after = server.metrics()
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert grown['redirector_requests_total{answer="mirrorlist",status="200"}'] == 1
    assert grown['redirector_requests_total{answer="metalink",status="200"}'] == 1
    assert grown['redirector_requests_total{answer="mirrorlist",status="404"}'] == 1
    assert grown['redirector_requests_total{answer="mirrorlist",status="405"}'] == 1
    assert sum(grown[name] for name in grown if name.startswith("redirector_requests_total")) == 5
    assert sum(grown[name] for name in grown if name.startswith("redirector_request_duration_seconds_count")) == 5
    assert sum(grown[name] for name in grown if name.startswith("redirector_first_host_total")) == 2
    assert sum(grown[name] for name in grown if name.startswith("redirector_first_tier_total")) == 2
    assert sum(grown[name] for name in grown if name.startswith("redirector_client_country_total")) == 2


def test_the_interface_names_every_metric(server: Server) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "interface.md").read_text()
    told = set(re.findall(r"^\| `(redirector_[a-z_]+)` \|", page, re.M))
    assert told == set(re.findall(r"^# HELP (redirector_[a-z_]+) ", server.ask_admin("/metrics").body.decode(), re.M))


def test_series_stay_bounded_whatever_clients_send(tmp_path: Path) -> None:
    source = write_snapshot(tmp_path / "snapshot.pb", hosts=115)
    with serving(source) as server:
        for number in range(300):
            server.ask(f"/mirrorlist?repo=fedora-40&arch=x86_64&country={number}", "GET", X_Number=str(number))
            server.ask(f"/{number}", ("POST", "GET", "BREW")[number % 3])
            server.ask(TARGET, Host=f"{number}.example")
        assert len(server.metrics()) < 1500
        assert server.requests() == 900


def test_counters_only_grow_when_hosts_and_workers_come_and_go(tmp_path: Path) -> None:
    source = write_snapshot(tmp_path / "snapshot.pb", hosts=4)
    with serving(source, "--workers", "2") as server:
        for _ in range(20):
            server.ask()
        before = server.metrics()
        write_snapshot(source, hosts=2)
        assert server.reload().status == 200
        os.kill(server.workers(2)[0], signal.SIGKILL)
        after = server.metrics()
        counters = [name for name in before if "_total" in name or "_count" in name or "_bucket" in name]
        assert [name for name in counters if after.get(name, 0) < before[name]] == []
        assert sum(after[name] for name in after if name.startswith("redirector_first_host_total")) == 20


def test_the_snapshot_is_described(server: Server) -> None:
    described = server.ask_admin("/snapshot").json()
    assert described["counts"]["hosts"] == 4  # type: ignore[index]
    assert {"source", "built", "loaded", "age_s", "problems", "last_reload"} <= described.keys()


def test_explain_answers_for_an_operator(server: Server) -> None:
    reply = server.ask_admin("/explain?target=/mirrorlist%3Frepo=fedora-40%26arch=x86_64&client=192.0.2.1")
    assert reply.status == 200
    assert "mirror1.example.org" in reply.body.decode()
    assert server.ask_admin("/explain?target=/mirrorlist%3Frepo=none%26arch=no&client=192.0.2.1").status == 404
    assert server.ask_admin("/explain?target=/mirrorlist&client=nobody").status == 400
    assert server.ask_admin("/explain").status == 400


def test_explain_gives_up_when_the_nursery_does_not_answer(source: Path) -> None:
    with serving(source) as server:
        os.kill(server.nursery(), signal.SIGSTOP)
        reply = server.ask_admin("/explain?target=/mirrorlist%3Frepo=fedora-40%26arch=x86_64&client=192.0.2.1")
        assert reply.status == 503
        assert server.ask().status == 200


@pytest.mark.parametrize("target", ["/snapshot", "/explain?target=/&client=::1", "/-/reload"])
def test_strangers_see_metrics_and_health_alone(source: Path, target: str) -> None:
    with serving(source, "--admin-allow", "192.0.2.0/24") as server:
        assert server.ask_admin(target, "POST" if "reload" in target else "GET").status == 403
        for public in ("/metrics", "/healthz", "/readyz"):
            assert server.ask_admin(public).status == 200


def test_what_is_not_there_or_not_allowed_is_said(server: Server) -> None:
    assert server.ask_admin("/").status == 404
    assert server.ask_admin("/-/reload").status == 405
    assert server.ask_admin("/-/reload?allow=anything", "POST").status == 400


def test_a_peer_on_a_unix_socket_may_do_everything(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "admin"
    with serving(source, "--admin", f"unix:{path}", "--admin-allow", "192.0.2.0/24") as server:
        assert server.admin == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /snapshot HTTP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 200")


def test_no_admin_listener_is_fine(source: Path) -> None:
    with serving(source, "--admin", "none") as server:
        assert server.admin == "none"
        assert server.ask().status == 200


def test_not_ready_while_nobody_answers(source: Path) -> None:
    with serving(source) as server:
        source.write_bytes(b"broken")
        os.kill(server.nursery(), signal.SIGKILL)
        os.kill(server.workers(1)[0], signal.SIGKILL)
        wait_until(lambda: [1] if server.ask_admin("/readyz").status == 503 else [], 1)
        assert server.ask_admin("/healthz").status == 200
        write_snapshot(source)
        server.wait_for("reloaded")
        assert server.ask_admin("/readyz").status == 200

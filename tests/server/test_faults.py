"""What would stop a server elsewhere: devices and dead mounts as files, no descriptors left, a nursery that hangs."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from redirector.server.between.listeners import handed_over, open_listeners
from redirector.settings.option import Address
from tests.patience import PATIENCE_S, SOON_S
from tests.server.running import TARGET, is_alive, serving, started_by, wait_until

TREE = """\
versions: ['9']
arches: {'9': [x86_64]}
repos: [{name: baseos, path: BaseOS/$basearch/os}]
primary: primary
"""
MIRROR = """\
name: a.example
address: {https: 'https://a.example/alma'}
update_frequency: 3h
sponsor: Example
sponsor_url: https://example.org
geolocation: {country: DE}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "mirrors.d").mkdir(parents=True)
    (folder / "config.yml").write_text(TREE)
    (folder / "mirrors.d/a.example.yml").write_text(MIRROR)
    return folder


def kept_files(state: Path) -> list[str]:
    """Names of all files that the copies of the last inputs hold."""
    return sorted(path.name for path in (state / "last" / "files").rglob("*") if not path.is_dir())


def test_what_was_read_is_kept_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    packages = tree / "primary/9/BaseOS/x86_64/os/Packages"
    packages.mkdir(parents=True)
    (packages / "huge.rpm").write_bytes(bytes(1 << 20))
    (tree / "mirrors.d/endless.yml").symlink_to("/dev/zero")
    os.mkfifo(tree / "mirrors.d/silent.yml")
    (tree / "notes.txt").write_text("of no use to the server")
    state = tmp_path / "state"
    state.mkdir()
    with serving(tree, "--state", str(state)) as server:
        assert server.ask("/mirrorlist/9/baseos").status == 200
        server.wait_for("copies of the inputs are in")
    assert kept_files(state) == ["a.example.yml", "config.yml"]


def test_a_load_has_a_deadline_and_the_old_data_goes_on(source: Path) -> None:
    with serving(source, "--load-timeout", "8") as server, ThreadPoolExecutor(1) as pool:
        known = started_by(server.pid)
        asked = pool.submit(server.reload)
        (loading,) = wait_until(lambda: [pid for pid in started_by(server.pid) if pid not in known], 1)
        os.kill(loading, signal.SIGSTOP)  # as a mount that does not answer would
        assert server.metrics()["redirector_reload_running"] == 1
        refused = asked.result(PATIENCE_S)
        assert refused.status == 422 and b"load_timeout_s" in refused.body
        assert server.ask().status == 200
        after = server.metrics()
        assert after['redirector_reloads_total{outcome="refused"}'] == 1
        assert after["redirector_reload_running"] == 0
        assert not is_alive(loading)
        assert server.reload().status == 200


def test_a_nursery_that_hangs_is_replaced_when_workers_are_needed(source: Path) -> None:
    with serving(source) as server:
        (worker,) = server.workers(1)
        os.kill(server.nursery(), signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: [pid for pid in server.workers(1) if pid != worker], 1)
        assert server.ask().status == 200
        assert time.monotonic() - began < SOON_S


def test_a_worker_that_cannot_be_started_is_tried_again(source: Path) -> None:
    with serving(source) as server:
        (worker,) = server.workers(1)
        nursery = server.nursery()
        limits = resource.prlimit(nursery, resource.RLIMIT_NOFILE)
        resource.prlimit(nursery, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(worker, signal.SIGKILL)
        server.wait_for("cannot be started", 2)
        resource.prlimit(nursery, resource.RLIMIT_NOFILE, limits)
        wait_until(lambda: [pid for pid in server.workers(1) if pid != worker], 1)
        assert server.ask().status == 200
        assert server.nursery() == nursery


def test_a_silent_connection_has_the_time_of_a_request_not_of_an_idle_one(source: Path) -> None:
    with (
        serving(source, "--header-timeout", "1", "--keep-alive", "60") as server,
        socket.create_connection(server.address, timeout=SOON_S) as silent,
        socket.create_connection(server.address, timeout=SOON_S) as busy,
    ):
        request = f"GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        busy.sendall(request)
        assert busy.recv(100_000).startswith(b"HTTP/1.1 200")
        assert silent.recv(100) == b""
        busy.sendall(request)
        assert busy.recv(100_000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", ["abc", "-1", "1e3", "99999999999999999999", "²"])
def test_a_number_of_sockets_that_is_none_is_said(said: str) -> None:
    with pytest.raises(OSError, match="LISTEN_FDS"):
        handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": said})


def test_descriptors_that_are_no_sockets_are_said() -> None:
    with pytest.raises(OSError, match="LISTEN_FDS"):
        handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "400"})


@pytest.mark.parametrize("address", [Address("a" * 80 + ".example", 0), Address(".", 0), Address(path="/" + "x" * 200)])
def test_an_address_that_cannot_be_listened_on_is_named(address: Address) -> None:
    with pytest.raises(OSError, match="cannot listen on"):
        open_listeners((address,), 0o600)

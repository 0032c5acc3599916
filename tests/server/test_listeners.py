"""Where the server listens, and what it says about it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from redirector.server.between.listeners import handed_over, open_listeners
from redirector.settings.option import Address
from tests.server.running import ask, serving

SYSTEMD = """
import os, sys
for given, wanted in zip(sys.argv[1:3], (30, 31)):
    os.dup2(int(given), wanted)
os.dup2(30, 3)
os.dup2(31, 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="clients:admin")
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_port_0_takes_a_free_one_and_names_it() -> None:
    (listener,) = open_listeners((Address("127.0.0.1", 0),), 0o666)
    assert listener.name == f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    listener.close()


def test_the_ipv6_wildcard_takes_both_families() -> None:
    (listener,) = open_listeners((Address("::", 0),), 0o666)
    port = listener.socket.getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port)).close()
    assert listener.name == f"http://[::]:{port}"
    listener.close()


def test_both_wildcards_may_share_a_port() -> None:
    (free,) = open_listeners((Address("0.0.0.0", 0),), 0o666)
    port = free.socket.getsockname()[1]
    free.close()
    for listener in open_listeners((Address("0.0.0.0", port), Address("::", port)), 0o666):
        listener.close()


def test_a_port_in_use_is_named_and_the_others_are_closed() -> None:
    (taken,) = open_listeners((Address("127.0.0.1", 0),), 0o666)
    address = Address("127.0.0.1", taken.socket.getsockname()[1])
    with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in use"):
        open_listeners((Address("127.0.0.1", 0), address), 0o666)
    taken.close()


def test_a_unix_socket_has_its_mode_and_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    (listener,) = open_listeners((Address(path=str(path)),), 0o660)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert listener.name == f"unix:{path}"
    listener.close()
    assert not path.exists()


def test_a_dead_unix_socket_is_replaced_and_a_living_one_or_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = open_listeners((Address(path=str(path)),), 0o666)
    with pytest.raises(OSError, match="Address already in use"):
        open_listeners((Address(path=str(path)),), 0o666)
    listener.close()
    path.write_text("precious")
    with pytest.raises(OSError, match="Address already in use"):
        open_listeners((Address(path=str(path)),), 0o666)
    assert path.read_text() == "precious"


def test_sockets_for_another_process_are_left_alone() -> None:
    assert handed_over({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == ((), None)


def test_a_busy_port_ends_with_1(source: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(source, "--listen", f"127.0.0.1:{port}", ready=False) as server:
            server.wait_for(f"error: cannot listen on 127.0.0.1:{port}: Address already in use")
            assert server.wait() == 1


def test_all_addresses_are_served_and_named(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving(source, "--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen", f"unix:{path}") as server:
        ready = server.wait_for("ready on (.*) [(]admin")[1].split(", ")
        assert [each.rpartition(":")[0] for each in ready] == ["http://127.0.0.1", "http://[::1]", "unix"]
        for url in ready[:2]:
            assert ask(url, "/nothing").status == 404
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /nothing HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 404")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert not path.exists()


def test_sockets_that_systemd_hands_over_are_served(source: Path) -> None:
    """A small program stands in for systemd: it tells the process its own number."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        names = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]
        descriptors = first.fileno(), second.fileno()
        starter = [sys.executable, "-c", SYSTEMD, *map(str, descriptors)]
        with serving(source, starter=starter, descriptors=descriptors) as server:
            assert [server.url, server.admin] == names
            assert server.ask().status == 200
            assert server.reload().status == 200


def test_errno_is_kept() -> None:
    with pytest.raises(OSError) as caught:
        open_listeners((Address("192.0.2.1", 0),), 0o666)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert os.strerror(errno.EADDRNOTAVAIL) in str(caught.value)

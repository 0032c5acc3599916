"""SIGTERM loses nothing, whoever is signalled besides the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import SOON_S
from tests.server.load import Crowd
from tests.server.running import Server, ask, is_alive, serving, started_by, wait_until


def signal_supervisor(server: Server) -> None:
    server.signal(signal.SIGTERM)


def signal_group(server: Server) -> None:
    os.killpg(server.pid, signal.SIGTERM)


@pytest.mark.parametrize("tell", [signal_supervisor, signal_group], ids=["supervisor", "group"])
async def test_no_request_under_way_is_lost(source: Path, tell: Callable[[Server], None]) -> None:
    with serving(source, "--workers", "2") as server:
        crowd = Crowd(server.address, 8, 4)
        await crowd.reach(200)
        tell(server)
        assert await asyncio.to_thread(server.wait) == 0
        tally = await crowd.stop()
    assert [failure for failure in tally.failures if "ConnectionRefusedError" not in failure] == []


def test_the_other_signals_of_a_group_change_nothing(source: Path) -> None:
    with serving(source) as server:
        nursery, workers = server.nursery(), server.workers(1)
        for pid in (nursery, *workers):
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                os.kill(pid, number)
        assert server.ask().status == 200
        assert (server.nursery(), server.workers(1)) == (nursery, workers)


def test_shutdown_delay_goes_on_answering_while_not_ready(source: Path) -> None:
    with serving(source, "--shutdown-delay", "1") as server:
        assert server.ask_admin("/readyz").status == 200
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        while server.ask_admin("/readyz").status == 200:
            pass
        assert server.ask().status == 200
        assert server.wait() == 0
        assert time.monotonic() - began >= 1


def test_a_second_signal_ends_at_once(source: Path) -> None:
    with serving(source, "--shutdown-delay", "60") as server:
        server.signal(signal.SIGTERM)
        while server.ask_admin("/readyz").status == 200:
            pass
        server.signal(signal.SIGINT)
        assert server.wait() == 1


def test_a_client_that_never_ends_its_request_holds_nobody_up_beyond_the_drain_timeout(source: Path) -> None:
    with serving(source, "--drain-timeout", "1", "--header-timeout", "60") as server:
        with socket.create_connection(server.address) as half:
            half.sendall(b"GET /mirrorlist HTTP/1.1\r\nHost")
            assert server.ask().status == 200
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            assert time.monotonic() - began < SOON_S


def test_signals_while_loading_end_the_server(source: Path) -> None:
    with serving(source, ready=False) as server:
        (nursery,) = wait_until(lambda: started_by(server.pid), 1)
        os.kill(nursery, signal.SIGSTOP)  # so that loading does not end before the signal comes
        server.signal(signal.SIGTERM)
        assert server.wait() in (0, 1)
        assert not is_alive(nursery)


def test_the_admin_listener_is_the_last_to_close(source: Path) -> None:
    with serving(source, "--drain-timeout", "2", "--header-timeout", "60") as server:
        with socket.create_connection(server.address) as half:
            half.sendall(b"GET /mirrorlist HTTP/1.1\r\nHost")
            assert server.ask().status == 200
            server.signal(signal.SIGTERM)
            with pytest.raises(OSError):
                while True:
                    socket.create_connection(server.address).close()
            assert ask(server.admin, "/healthz").status == 200
            assert ask(server.admin, "/readyz").status == 503
            assert server.wait() == 0

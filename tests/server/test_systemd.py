"""What systemd is told."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.server.running import serving


def test_ready_reloading_and_stopping_are_told_in_turn(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        with serving(source) as server:
            told = []

            def wait_for(state: str) -> None:
                while state not in told:
                    told.extend(systemd.recv(4096).decode().splitlines())

            wait_for("READY=1")
            wait_for("WATCHDOG=1")
            told.clear()
            assert server.reload().status == 200
            wait_for("RELOADING=1")
            wait_for("READY=1")
            server.signal(signal.SIGTERM)
            wait_for("STOPPING=1")
            assert server.wait() == 0

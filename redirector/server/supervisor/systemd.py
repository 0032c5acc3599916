"""Messages to systemd about the service: `READY=1` once it answers, `STOPPING=1` when it ends (sd_notify).

They go to the socket that `NOTIFY_SOCKET` names; without one, nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends states to the socket that systemd named."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._place = environment.get("NOTIFY_SOCKET", "")
        own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = own and environment.get("WATCHDOG_USEC", "0") != "0"

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=draining")

    def alive(self) -> None:
        if self.watchdog:
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._place:
            return
        place = "\0" + self._place[1:] if self._place.startswith("@") else self._place
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(state.encode(), place)

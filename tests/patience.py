"""How long tests wait, and where: a machine that has other work too is no reason to fail."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

PATIENCE_S = 120.0
"""For what must come. Nobody waits that long unless something is broken."""

SOON_S = 20.0
"""What is meant by soon, where the other way would take a minute, or for ever."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system hands out by itself, to tests beside this one too."""
    found: list[int] = []
    for port in random.sample(range(10_000, 32_000), 1000):
        if len(found) < count:
            with suppress(OSError), socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True):
                found.append(port)
    return found


def free_port() -> int:
    """One of `free_ports`."""
    return free_ports(1)[0]

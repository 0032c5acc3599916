"""Which of the ports that mirrors have are open to the world, whatever the URLs say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redirector.health.pace import NotNow
from redirector.health.safety import Address
from redirector.kit.looking.tools import Tools

_NAMES = {80: "http", 443: "https", 873: "rsync"}
_CONNECT_S = 10.0


async def look_at_ports(addresses: Sequence[Address], tools: Tools) -> str:
    """What is open and what is closed at the first of *addresses* that may be asked; "" where none may."""
    address = next((each for each in addresses if tools.safety.allows(each)), None)
    if address is None:
        return ""
    open_ones: list[str] = []
    closed: list[str] = []
    for port, name in _NAMES.items():
        if tools.safety.refusal(address, port) is not None:
            continue
        try:
            is_open = await _is_open(address, port, tools)
        except NotNow:
            return ""
        (open_ones if is_open else closed).append(f"{port} ({name})")
    return "; ".join(
        f"{', '.join(ports)} {verb}" for ports, verb in ((open_ones, "open to the world"), (closed, "closed")) if ports
    )


async def _is_open(address: Address, port: int, tools: Tools) -> bool:
    async with tools.pace.request(str(address), "port") as lease:
        await lease.take("port")
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, writer = await asyncio.open_connection(str(address), port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

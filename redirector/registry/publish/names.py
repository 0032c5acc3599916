"""Names of NAT gateways become addresses: the one look-up that publishing makes, with a time limit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network

from sqlalchemy.ext.asyncio import AsyncConnection

from redirector.model import Network
from redirector.registry import rules
from redirector.registry.publish.selection import GATEWAY_S
from redirector.store.registry import queries
from redirector.store.registry.rows import GatewayRow, NetworkRow

LOOK_UP_S = 5.0
"""A name server answers in a second, or the second one does."""

ALL_S = 30.0

AT_ONCE = 20

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Name -> addresses; OSError when it has none."""


async def resolve_by_system(name: str) -> list[str]:
    """The addresses of *name*, as this machine looks them up."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return sorted({str(each[4][0]).partition("%")[0] for each in found})


async def gateway_names(connection: AsyncConnection) -> list[str]:
    """Names that stand among the networks of hosts, sorted."""
    rows = await queries.list_rows(connection, NetworkRow)
    return sorted({row.network for row in rows if row.counts and rules.is_name(row.network)})


async def look_up(
    names: Iterable[str], resolve: Resolve = resolve_by_system, allowed: Sequence[Network] = ()
) -> tuple[dict[str, list[str]], list[str]]:
    """(name -> its addresses, what is to be reported).

    allowed  networks whose addresses gateways may have though they are not global
    """
    turns = asyncio.Semaphore(AT_ONCE)
    found: dict[str, list[str]] = {}
    told: list[str] = []

    async def look(name: str) -> None:
        try:
            async with turns, asyncio.timeout(LOOK_UP_S):
                addresses = await resolve(name)
        except (OSError, TimeoutError, UnicodeError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else (error.args or ("",))[-1]
            told.append(f"gateway {name}: cannot be resolved ({why}): its last addresses count for a day")
            return
        good = [each for each in addresses if _is_fit(each, allowed)]
        if bad := sorted(set(addresses) - set(good)):
            told.append(f"gateway {name}: {', '.join(bad[:5])} is not global: left out")
        if good:
            found[name] = good

    try:
        async with asyncio.timeout(ALL_S):
            await asyncio.gather(*map(look, names))
    except TimeoutError:
        told.append(f"gateways: not all were resolved within {ALL_S:.0f} s: their last addresses count for a day")
    return found, sorted(told)


def _is_fit(text: str, allowed: Sequence[Network]) -> bool:
    address = ip_address(text)
    return rules.is_global(ip_network(address)) or any(address in network for network in allowed)


async def keep_addresses(connection: AsyncConnection, found: dict[str, list[str]], now: int) -> None:
    """Remember what names resolved to; what was seen a day ago is forgotten."""
    for name, addresses in found.items():
        await queries.remove(connection, GatewayRow, name=name)
        for address in addresses:
            await queries.add(connection, GatewayRow, name=name, address=address, seen=now)
    for row in await queries.list_rows(connection, GatewayRow):
        if row.seen + GATEWAY_S <= now:
            await queries.remove(connection, GatewayRow, name=row.name, address=row.address)

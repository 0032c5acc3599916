"""Names into addresses: the system's resolver, bounded, and one that dies with the program.

A resolver that hangs must hang nothing else. `getaddrinfo` blocks a thread and cannot be ended, so each look-up has a
daemon thread of its own: the loop's pool would be full of hanging ones, and would be waited for at the end.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from redirector.health.safety import Address, is_public

Resolve = Callable[[str], Awaitable[tuple[Address, ...]]]
"""All addresses of a name or number, best first. raises OSError (`socket.gaierror`), TimeoutError."""

Route = Callable[[Address], Address | None]
"""Where we would send from to an address; None: we have no route."""

_LOOKUPS = 64
"""At once. A crawl visits some hundred hosts at a time, and keeps what it learnt."""

_KEEP_S = 120.0
"""A visit asks for one name some hundred times in a minute; the next visit is 15 minutes later."""

_KEEP_NAMES = 20_000


class Names:
    """A resolver that remembers for two minutes what it found, and asks once for what several want.

    monotonic  seconds that never go back
    lookup     blocking, for tests: name -> addresses
    """

    def __init__(
        self, *, monotonic: Callable[[], float], lookup: Callable[[str], tuple[Address, ...]] | None = None
    ) -> None:
        self._monotonic = monotonic
        self._lookup = lookup or _look_up
        self._known: dict[str, tuple[float, asyncio.Future[tuple[Address, ...]]]] = {}
        self._slots = asyncio.Semaphore(_LOOKUPS)
        self._running: set[asyncio.Task[None]] = set()

    async def resolve(self, name: str) -> tuple[Address, ...]:
        """All addresses of *name*, in the order in which they should be tried; numbers are their own.

        raises  OSError: there is none, or nobody knows
        """
        now = self._monotonic()
        known = self._known.get(name)
        if known is not None and known[0] > now and not known[1].cancelled():
            return await asyncio.shield(known[1])
        if len(self._known) >= _KEEP_NAMES:
            self._known = {key: value for key, value in self._known.items() if value[0] > now}
        answer: asyncio.Future[tuple[Address, ...]] = asyncio.get_running_loop().create_future()
        self._known[name] = (now + _KEEP_S, answer)
        task = asyncio.ensure_future(self._find(name, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(answer)

    async def _find(self, name: str, answer: asyncio.Future[tuple[Address, ...]]) -> None:
        async with self._slots:
            loop = asyncio.get_running_loop()
            done: asyncio.Future[None] = loop.create_future()
            found: list[tuple[Address, ...] | OSError] = []

            def work() -> None:
                try:
                    found.append(self._lookup(name))
                except UnicodeError as error:
                    found.append(socket.gaierror(socket.EAI_NONAME, f"no name: {error}"))
                except OSError as error:
                    found.append(error)
                try:
                    loop.call_soon_threadsafe(_finish, done)
                except RuntimeError:
                    return  # the loop is closed: nobody wants to know any more

            threading.Thread(target=work, name=f"lookup {name[:60]}", daemon=True).start()
            await done
        match found[0]:
            case OSError() as error:
                self._known.pop(name, None)  # a failure is not remembered
                answer.set_exception(error)
                answer.exception()  # those who asked may be gone
            case addresses:
                answer.set_result(addresses)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _look_up(name: str) -> tuple[Address, ...]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(each[4][0]) for each in found))


def source_for(address: Address) -> Address | None:
    """Where this machine would send from to *address*; None without a route. Sends nothing: a socket is only aimed."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0])
    except OSError:
        return None


def leads_nowhere(address: Address, source: Address | None) -> bool:
    """Whether it cannot be known whose failure it is that nothing came from *address*: what we would send from is of a
    local network, which leads nowhere, or through a translator."""
    return source is None or (address.version == 6 and is_public(address) and not is_public(source))

"""How gently a mirror is asked: by address, with all names on it together.

A machine often serves many names, and its admin counts what arrives, not what we meant. So connections, requests a
second and requests a day are counted where they arrive. A connection that is kept for its next use counts as one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol

from redirector.health.evidence import Scheme
from redirector.health.safety import Address

CONNECTIONS = 2
REQUESTS_PER_S = 4.0
BURST = 3.0
"""In t seconds at most 4t + 4 requests are promised. A burst one smaller keeps that true as the mirror's clock sees it,
where requests arrive up to a quarter of a second closer together than they were sent."""

REQUESTS_PER_DAY = 5000
LISTINGS_PER_DAY = 1

REMEMBERED = 10_000
"""Addresses that are kept before those of yesterday are looked for; a network has some two thousand."""

_HOUR_S = 3600
_DAY_HOURS = 24


@dataclass(eq=False)
class NotNow(Exception):
    """The address is not to be asked before *until* (epoch seconds): it said so (*busy*), or was asked enough today."""

    reason: str
    until: float
    busy: bool = False

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked of one address lately; what a program that starts anew must know of the one before it.

    hours     requests by the hour they were made in (epoch seconds // seconds of an hour); at most 25
    listings  when whole listings were taken, epoch seconds; those of the last day
    """

    hours: tuple[tuple[int, int], ...] = ()
    listings: tuple[float, ...] = ()


@dataclass(slots=True)
class Bucket:
    """Requests a second: *BURST* at once, *REQUESTS_PER_S* for ever."""

    level: float = BURST
    at: float = float("-inf")

    def take(self, now: float) -> float:
        """Seconds to wait before the request that is hereby counted.

        now  monotonic seconds; a clock that is set back fills nothing
        """
        if now > self.at:
            self.level = min(BURST, self.level + (now - self.at) * REQUESTS_PER_S)
            self.at = now
        self.level -= 1
        return max(0.0, -self.level / REQUESTS_PER_S)


@dataclass(slots=True)
class Ledger:
    """Requests and whole listings of a day at one address.

    A day is the last 24 whole hours and the one that runs, so never less than a day.

    hour_s  how long an hour lasts: less in a rehearsal
    """

    hour_s: float = _HOUR_S
    hours: dict[int, int] = field(default_factory=dict)
    listings: deque[float] = field(default_factory=deque)

    def take(self, now: float, *, listing: bool = False) -> None:
        """Counts a request, or with *listing* one for all that there is.

        raises  NotNow when the day's are spent; nothing is counted then
        """
        self.forget(now)
        if listing and len(self.listings) >= LISTINGS_PER_DAY:
            raise NotNow("its listing was taken today", self.listings[0] + _DAY_HOURS * self.hour_s)
        if sum(self.hours.values()) >= REQUESTS_PER_DAY:
            raise NotNow("asked enough today", (min(self.hours) + _DAY_HOURS + 1) * self.hour_s)
        hour = int(now // self.hour_s)
        self.hours[hour] = self.hours.get(hour, 0) + 1
        if listing:
            self.listings.append(now)

    def forget(self, now: float) -> None:
        """Drops what is older than a day; what a clock that was ahead asked is counted as asked now."""
        last = int(now // self.hour_s)
        for hour in [hour for hour in self.hours if not last - _DAY_HOURS <= hour <= last]:
            asked = self.hours.pop(hour)
            if hour > last:
                self.hours[last] = self.hours.get(last, 0) + asked
        oldest = now - _DAY_HOURS * self.hour_s
        self.listings = deque(min(each, now) for each in self.listings if each > oldest)


class Kept(Protocol):
    """A connection that is kept for its next use."""

    async def close(self) -> None:
        """Closes it; the other side sees it go before another one comes."""


@dataclass(slots=True, eq=False)
class Lease:
    """The right to one connection, for one request.

    kept  what the one before left open, by its purpose (scheme, name and port); taken out by who uses it
    """

    kept: tuple[str, Kept] | None = None

    async def take(self, purpose: str) -> Kept | None:
        """The open connection for *purpose*; one for another purpose is closed."""
        if self.kept is None:
            return None
        for_purpose, connection = self.kept
        self.kept = None
        if for_purpose == purpose:
            return connection
        await connection.close()
        return None


@dataclass(slots=True, eq=False)
class _Address:
    """One address: what is open, what was asked."""

    bucket: Bucket = field(default_factory=Bucket)
    ledger: Ledger = field(default_factory=Ledger)
    free: list[Lease] = field(default_factory=lambda: [Lease() for _ in range(CONNECTIONS)])
    waiting: deque[tuple[str, asyncio.Future[Lease]]] = field(default_factory=deque)
    rsync: asyncio.Lock = field(default_factory=asyncio.Lock)
    busy_until: float = 0.0

    @property
    def idle(self) -> bool:
        """Nothing is open, and nobody waits."""
        return len(self.free) == CONNECTIONS and not any(lease.kept for lease in self.free) and not self.rsync.locked()


class Pace:
    """Everybody who asks anything of a mirror goes through here, once for each request.

    now      epoch seconds, by which days and Retry-After are counted
    monotonic, sleep  by which seconds are
    spent    what was asked before this program started
    heeds_busy  False for `--once`, which asks each mirror once, due or not
    rehearsed   factor on the day in which addresses of this machine itself have so many requests: what is rehearsed
                here for hours is visited as often as others in weeks. For all others a day is a day
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        spent: Mapping[str, Spent] | None = None,
        heeds_busy: bool = True,
        rehearsed: float = 1.0,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._heeds_busy = heeds_busy
        self._rehearsed = rehearsed
        self._addresses: dict[str, _Address] = {}
        self._forgotten_at = REMEMBERED
        for address, before in (spent or {}).items():
            ledger = Ledger(self._hour_of(address), dict(before.hours), deque(sorted(before.listings)))
            self._addresses[address] = _Address(ledger=ledger)

    @asynccontextmanager
    async def request(self, address: str, purpose: str) -> AsyncIterator[Lease]:
        """One request to *address*: waits for one of its connections and for its second.

        purpose  scheme, name and port: a connection that is kept for it is preferred
        raises   NotNow
        """
        state = self._state(address)
        self._refuse_busy(state)
        lease = await self._connection(state, purpose)
        try:
            self._refuse_busy(state)
            await self._turn(state, listing=False)
            yield lease
        finally:
            self._give_back(state, lease)

    @asynccontextmanager
    async def rsync(self, address: str, *, listing: bool) -> AsyncIterator[None]:
        """One run of rsync at *address*: one at a time, and one of its connections.

        listing  whether it asks for everything below a directory, which is done once a day
        raises   NotNow
        """
        state = self._state(address)
        async with state.rsync:
            lease = await self._connection(state, "rsync")
            try:
                await lease.take("rsync")
                await self._turn(state, listing=listing)
                yield
            finally:
                self._give_back(state, lease)

    @asynccontextmanager
    async def turn(self, address: Address, scheme: Scheme, *, whole_listing: bool = False) -> AsyncIterator[bool]:
        """The same for who keeps no connection; False where nothing may be asked now."""
        try:
            async with AsyncExitStack() as stack:
                if scheme is Scheme.RSYNC:
                    await stack.enter_async_context(self.rsync(str(address), listing=whole_listing))
                else:
                    await stack.enter_async_context(self.request(str(address), ""))
                held = stack.pop_all()
        except NotNow:
            yield False
            return
        async with held:
            yield True

    def busy(self, address: str, until: float) -> None:
        """*address* asked to be left alone until *until* (`Retry-After`), epoch seconds."""
        state = self._state(address)
        state.busy_until = max(state.busy_until, until)

    def spent(self) -> dict[str, Spent]:
        """What was asked of whom in the last day."""
        now = self._now()
        found = {}
        for address, state in self._addresses.items():
            state.ledger.forget(now)
            if state.ledger.hours:
                found[address] = Spent(tuple(sorted(state.ledger.hours.items())), tuple(state.ledger.listings))
        return found

    def requests_today(self, address: str) -> int:
        """How many requests *address* had in the last day."""
        ledger = self._state(address).ledger
        ledger.forget(self._now())
        return sum(ledger.hours.values())

    async def close(self) -> None:
        """Closes every connection that is kept."""
        for state in self._addresses.values():
            for lease in state.free:
                if lease.kept is not None:
                    await lease.take("")

    async def close_kept(self, address: str) -> None:
        """Closes the connections that are kept to *address*: its visit is over."""
        for lease in self._state(address).free:
            if lease.kept is not None:
                await lease.take("")

    def _state(self, address: str) -> _Address:
        if address not in self._addresses and len(self._addresses) >= self._forgotten_at:
            self._forget()
        if address not in self._addresses:
            self._addresses[address] = _Address(ledger=Ledger(self._hour_of(address)))
        return self._addresses[address]

    def _hour_of(self, address: str) -> float:
        return _HOUR_S * self._rehearsed if ip_address(address).is_loopback else _HOUR_S

    def _forget(self) -> None:
        """Drops addresses that nothing was asked of for a day: a name may have others at every look."""
        now = self._now()
        for address, state in list(self._addresses.items()):
            state.ledger.forget(now)
            if not state.ledger.hours and state.idle and state.busy_until <= now:
                del self._addresses[address]
        self._forgotten_at = max(REMEMBERED, 2 * len(self._addresses))

    def _refuse_busy(self, state: _Address) -> None:
        if self._heeds_busy and state.busy_until > self._now():
            raise NotNow("busy, as it said", state.busy_until, busy=True)

    async def _turn(self, state: _Address, *, listing: bool) -> None:
        state.ledger.take(self._now(), listing=listing)
        wait_s = state.bucket.take(self._monotonic())
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _connection(self, state: _Address, purpose: str) -> Lease:
        """A connection's right, in the order of asking; the one that is open for *purpose* if it is free."""
        if state.free:
            return state.free.pop(_best(state.free, purpose))
        waiter: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        state.waiting.append((purpose, waiter))
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_back(state, waiter.result())
            raise

    def _give_back(self, state: _Address, lease: Lease) -> None:
        while state.waiting:
            _, waiter = state.waiting.popleft()
            if not waiter.done():
                waiter.set_result(lease)
                return
        state.free.append(lease)


def _best(free: list[Lease], purpose: str) -> int:
    """Index of the lease whose connection fits *purpose*, else of one without, else of the one idle longest."""
    for index, lease in enumerate(free):
        if lease.kept is not None and lease.kept[0] == purpose:
            return index
    for index, lease in enumerate(free):
        if lease.kept is None:
            return index
    return 0

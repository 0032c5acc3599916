"""One prober for all schemes, with what a crawler needs around it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

from redirector.health.evidence import Evidence, Outcome, Probe, Scheme
from redirector.health.exchange import CONNECT_S, REQUEST_S
from redirector.health.http import Http
from redirector.health.names import Names, Resolve
from redirector.health.pace import Pace
from redirector.health.rsync import Rsync
from redirector.health.safety import Safety


class Probes:
    """A prober of all schemes; what is under way when it is closed ends as not asked."""

    def __init__(self, *, http: Http, rsync: Rsync, pace: Pace, vantage: str, now: Callable[[], float]) -> None:
        self._http = http
        self._rsync = rsync
        self._pace = pace
        self._vantage = vantage
        self._now = now
        self._running: set[asyncio.Task[tuple[Evidence, ...]]] = set()
        self._closed = False

    async def probe(self, probe: Probe) -> tuple[Evidence, ...]:
        """What the mirror shows; raises nothing for what it does."""
        if self._closed:
            return (unasked(probe, self._vantage, self._now(), "stopped"),)
        prober: Http | Rsync = self._rsync if probe.scheme is Scheme.RSYNC else self._http
        task = asyncio.ensure_future(prober.probe(probe))
        self._running.add(task)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self._running.discard(task)
        return (unasked(probe, self._vantage, self._now(), "stopped"),) if task.cancelled() else task.result()

    async def leave(self, evidence: Sequence[Evidence]) -> None:
        """Closes the connections that a visit left open."""
        for address in {each.address for each in evidence if each.address}:
            await self._pace.close_kept(address)

    async def close(self) -> None:
        """Ends what is under way, and every connection."""
        self._closed = True
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._pace.close()


def open_probes(
    *,
    pace: Pace,
    safety: Safety,
    agent: str,
    vantage: str,
    now: Callable[[], float],
    monotonic: Callable[[], float],
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    rsync: str = "rsync",
    connect_s: float = CONNECT_S,
    request_s: float = REQUEST_S,
) -> Probes:
    """Probers as a crawl has them.

    agent    the whole `User-Agent`
    resolve  names into addresses, the system's where there is none
    tls      whom to trust, the system's authorities where there is none
    rsync    the program
    """
    resolve = resolve or Names(monotonic=monotonic).resolve
    return Probes(
        http=Http(
            pace=pace,
            safety=safety,
            resolve=resolve,
            tls=tls or ssl.create_default_context(),
            agent=agent,
            vantage=vantage,
            now=now,
            monotonic=monotonic,
            connect_s=connect_s,
            request_s=request_s,
        ),
        rsync=Rsync(
            pace=pace,
            safety=safety,
            resolve=resolve,
            vantage=vantage,
            now=now,
            monotonic=monotonic,
            program=rsync,
        ),
        pace=pace,
        vantage=vantage,
        now=now,
    )


def unasked(probe: Probe, vantage: str, at: float, reason: str) -> Evidence:
    """The evidence of a question that was not put."""
    return Evidence(
        at=int(at),
        vantage=vantage,
        host=probe.host,
        category=probe.category,
        ask=probe.ask,
        base=probe.base,
        path=probe.paths[0] if probe.paths else probe.path,
        outcome=Outcome.UNASKED,
        scheme=probe.scheme,
        family=probe.family,
        finding=reason,
    )

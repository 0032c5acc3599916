"""What a look goes by, and what it connects with: the crawler's own probes, under the crawler's rules."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from redirector.health.http import Http
from redirector.health.names import Names, Resolve
from redirector.health.pace import Pace
from redirector.health.rsync import Rsync
from redirector.health.safety import Safety
from redirector.kit.known import Known

SCHEMES = ("http", "https", "rsync", "ftp")
PORTS = {"http": 80, "https": 443, "rsync": 873, "ftp": 21}
DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Look:
    """What a look goes by.

    master       where the mirror has its content from: a folder, or a URL of http, https or rsync; None: not known
    newest       the URL of the source's time stamp, where *master* is only what the mirror took from it
    outdate_s    older than this is an error
    frequency_s  how often it announces to synchronize; older than twice that, and an hour, is a warning; None: silent
    staged       folders that strangers must not see, beside those that the master shows to be hidden
    ftp          whether ftp may be asked
    known        what a mirror has to have, where that is known already: no master is asked then
    limit_s      after which a look ends, done or not
    """

    master: str | None = None
    newest: str | None = None
    outdate_s: int = 43_200
    frequency_s: int | None = None
    staged: tuple[str, ...] = ()
    ftp: bool = True
    known: Known | None = None
    limit_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What connects.

    now  epoch seconds
    """

    http: Http
    rsync: Rsync
    safety: Safety
    resolve: Resolve
    pace: Pace
    now: Callable[[], float]

    async def close(self) -> None:
        await self.http.close()


def open_tools(
    safety: Safety,
    agent: str,
    now: Callable[[], float],
    monotonic: Callable[[], float],
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    rsync: str = "rsync",
) -> Tools:
    """Probes as a look has them: those of the crawler, in a pace of their own.

    agent    the whole `User-Agent`
    resolve  names into addresses, the system's where there is none
    tls      whom to trust, the system's authorities where there is none
    """
    pace = Pace(now=now, monotonic=monotonic, heeds_busy=False)
    resolve = resolve or Names(monotonic=monotonic).resolve
    http = Http(
        pace=pace, safety=safety, resolve=resolve, tls=tls or ssl.create_default_context(), agent=agent,
        vantage="check", now=now, monotonic=monotonic,
    )  # fmt: skip
    prober = Rsync(
        pace=pace, safety=safety, resolve=resolve, vantage="check", now=now, monotonic=monotonic, program=rsync
    )
    return Tools(http, prober, safety, resolve, pace, now)


def refuse_url(url: str, *, ftp: bool = True) -> str | None:
    """Why *url* is not looked at, or None: who asks may have typed anything."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "no URL"
    if parts.scheme not in SCHEMES or not parts.hostname:
        return "an http, https, rsync or ftp URL is needed"
    if parts.scheme == "ftp" and not ftp:
        return "ftp is not looked at"
    if parts.username is not None or parts.password is not None:
        return "a URL without user and password is needed"
    if parts.query or parts.fragment:
        return "a URL without ? and # is needed"
    if any(not each.isprintable() or each == " " for each in url) or len(url) > 1000:
        return "a URL without blanks is needed"
    if ".." in unquote(parts.path).split("/"):
        return "a URL without .. is needed"
    if parts.scheme == "rsync" and len(parts.path) < 2:
        return "a URL with a module is needed"
    if port is not None and port < 1024 and port not in (80, 443, 873) and port != PORTS[parts.scheme]:
        return "port must be 80, 443, 873, or from 1024 up"
    return None


def ports_of(url: str) -> frozenset[int]:
    """The port that *url* names, which may be asked beside the common ones."""
    port = urlsplit(url).port
    return frozenset() if port is None else frozenset({port})


def quoted(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"), safe="/~!$&'()*+,;=:@")

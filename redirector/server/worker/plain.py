"""The part in C that answers plain requests, and what it is made of; nothing here where there was no compiler."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from itertools import accumulate
from time import gmtime, strftime
from typing import Any, Protocol

from redirector.answer.answer import Form
from redirector.answer.choose.lineup import Lineup
from redirector.answer.choose.orders import Orders
from redirector.answer.packed import More, Packer
from redirector.answer.serve import Responder
from redirector.answer.show.metalink import metalink_header
from redirector.built import refuse_stale_build
from redirector.locate.addresses import unwrap_network
from redirector.model import HostSetId, Network
from redirector.server.between.access_log import FORMATS, AccessLog, render_mirrormanager, spell_asked
from redirector.server.between.counters import Counters
from redirector.server.worker.outbox import Outbox
from redirector.settings.serving import X_FORWARDED_FOR, Config
from redirector.snapshot.snapshot import Snapshot

_module: Any = None
try:
    from redirector.server.worker import _plain
except ImportError:
    pass
else:
    refuse_stale_build(_plain, 4)
    _module = _plain

END_OF_HEADERS = b"\r\n\r\n"
_LAST = b"\r\nConnection: close\r\n\r\n"

_MAX_COUNTRY = 4
"""Letters of a country's code, or of what stands for none, in the access log."""


_POOL_PART = 8
"""What part of the pool line-ups that are not packed may have besides those that are."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What plain requests are answered from.

    compiled  packed frames, sheets, line-ups and addresses, checked: see `redirector.answer.packed`
    packer    packs more
    ends      how lines of the access log end, one behind the other
    end_cuts  where they begin, by frame, and where the last one ends
    """

    compiled: Any
    packer: Packer
    ends: bytes
    end_cuts: array[int]


class PlainLane(Protocol):
    """The plain request in one call."""

    def answer(
        self, data: bytes, transport: object, descriptor: int, peer: bytes | None, trusts: bool, now: int = ..., /
    ) -> bool:
        """Answer *data* as `Lane.answer` would; False: it is not plain, and nothing was done. cost: 2 µs

        descriptor  of the transport's socket, to which an answer goes directly; below 0: the transport writes it
        peer        the address of the connection's other side
        trusts      that may say for whom it speaks
        """

    def accept(self, listener: int, most: int, now: int = ..., /) -> int | None:
        """Let in up to *most* who wait at *listener*, which does not block, until one is not answered.

        Whose first packet is one plain request, the last of its connection, is answered, and nobody else need meet it.

        returns  the descriptor of the one that is not, which is the caller's from now on, and from which nothing was
                 read; None: nobody else waits, or *most* are answered
        raises   OSError: nobody can come in for now
        cost     2 µs each, and what the kernel takes
        """

    def learn(self, data: bytes, is_last: bool, /) -> None:
        """From now on requests are ordinary that are like *data* but for target and client."""

    def learn_lineup(self, lineup: bytes, heads: bytes, keys: bytes, limit_bytes: int, /) -> bool:
        """Take one more line-up, see `More`; False: there is no room for it within *limit_bytes*."""

    def forget_lineups(self) -> None:
        """Forget all that `learn_lineup` was told."""

    def take_lines(self) -> bytes:
        """Lines of the access log since it was called last."""


def make_tables(config: Config, responder: Responder) -> Tables | None:
    """What plain requests are answered from; to be made before workers are forked, so that all share it.

    None where no request is plain: there was no compiler, another header names the client, each request has an order
    of its own, or lines of the log say more than MirrorManager's.
    """
    is_logged = config.access_log is None or FORMATS[config.access_log_format] is render_mirrormanager
    countries = responder.snapshot.audiences.countries
    if (
        _module is None
        or config.client_header != X_FORWARDED_FOR
        or responder.snapshot.order_window_s <= 0
        or not is_logged
        or max(map(len, countries)) > _MAX_COUNTRY
        or not Packer.can_pack(responder)
    ):
        return None
    packer = Packer(responder)
    packed = packer.pack()
    ends = [spell_asked(asked).encode() if asked else b"" for asked in packed.asked]
    cuts = array("I", accumulate(map(len, ends), initial=0))
    compiled = _module.Tables(packed.columns, packed.hosts, packed.audiences)
    # Line-ups as objects are left to what is not packed, one request in a hundred: 2,800 serve that as well as 9,000.
    responder.orders.pool.limit(responder.snapshot.pool_bytes // _POOL_PART)
    return Tables(compiled, packer, b"".join(ends), cuts)


def make_outbox(loop: asyncio.AbstractEventLoop, counters: Counters, keep: Callable[[int, bytes], None]) -> Outbox:
    """An outbox in C, or where there was no compiler its twin.

    keep  takes a descriptor that only the lane has met, and what is still to be sent there before it is closed
    """
    if _module is None:
        return Outbox(loop, counters)
    made: Outbox = _module.Outbox(lambda: loop.call_soon(made.send), keep, counters.cells)
    return made


class Spelling:
    """What stands behind the length of an answer, spelled once a second."""

    def __init__(self) -> None:
        self.second = -1
        self.end = self.last_end = b""

    def refresh(self, now: int) -> None:
        """Spell the second *now*, unless it was the last one to be spelled."""
        if now != self.second:
            date = f"\r\nDate: {formatdate(now, usegmt=True)}".encode()
            self.second, self.end, self.last_end = now, date + END_OF_HEADERS, date + _LAST


def spell(now: int) -> tuple[bytes, bytes, bytes, bytes]:
    """All that a plain answer and its line in the log say of the time: ends of headers, of the last ones, a metalink's
    header, and the day."""
    spelling = Spelling()
    spelling.refresh(now)
    return spelling.end, spelling.last_end, metalink_header(now), strftime("%Y-%m-%d", gmtime(now)).encode()


@dataclass(frozen=True, slots=True)
class Cells:
    """Where a lane counts, see `Layout`.

    requests   of answers, by form
    durations  the first cell of theirs, by form
    countries  by audience
    tiers      in their order
    hosts      of the first host, by tier; the next host's are as many cells behind as there are tiers
    """

    requests: Mapping[Form, int]
    durations: Mapping[Form, int]
    countries: array[int]
    tiers: tuple[int, ...]
    hosts: tuple[int, ...]


def make_plain_lane(
    tables: Tables,
    outbox: Outbox,
    cells: Cells,
    snapshot: Snapshot,
    heads: Mapping[Form, bytes],
    log: AccessLog | None,
    proxies: Iterable[Network],
) -> PlainLane:
    """The plain request in one call.

    heads    what stands before the length of an answer, by form
    proxies  who may say for whom it speaks
    """
    countries = snapshot.audiences.countries
    codes = [(code or "N/A").encode().ljust(_MAX_COUNTRY, b"\0") for code in countries]
    lane: PlainLane = _module.Lane(
        tables.compiled,
        outbox,
        spell,
        snapshot.order_window_s,
        snapshot.families_known,
        *((cells.requests[form], cells.durations[form], heads[form]) for form in (Form.MIRRORLIST, Form.METALINK)),
        cells.tiers,
        cells.hosts,
        cells.countries,
        b"".join(map(_pack_network, proxies)),
        b"" if log is None else tables.ends,
        tables.end_cuts,
        b"".join([codes[number] for number in snapshot.audiences.country_of]),
        log is not None and log.masked,
        (lambda lines: None) if log is None else log.keep_lines,
    )
    if log is not None:
        log.take = lane.take_lines
    return lane


def _pack_network(network: Network) -> bytes:
    """Bytes of its addresses, bits of its prefix, and its address in 16 bytes."""
    unwrapped = unwrap_network(network)
    packed = unwrapped.network_address.packed
    return bytes((len(packed), unwrapped.prefixlen)) + packed.ljust(16, b"\0")


class Learner:
    """Packs for one worker what it is asked for and the nursery has not packed; within a limit, then from the start."""

    def __init__(self, lane: PlainLane, packer: Packer, limit_bytes: int) -> None:
        self._lane = lane
        self._packer = packer
        self._limit_bytes = limit_bytes
        self._fronts: set[tuple[int, int, int]] = set()
        self._behind: set[tuple[HostSetId, Form, int, int]] = set()

    def learn(self, lineup: Lineup, host_set: HostSetId, form: Form, audience: int, family: int) -> bool:
        """Whether plain requests have *lineup* from now on. cost: 20 µs"""
        return self._keep(lambda: self._packer.pack_more(lineup, host_set, form, audience, family))

    def learn_front(self, orders: Orders, host_set: HostSetId, form: Form, audience: int, family: int) -> None:
        """Have what clients on hosts' own networks are shown: a front, and the line-up behind it. cost: 40 µs once"""
        place = self._packer.place_of(audience, host_set)
        if place is None:
            return
        behind = host_set, form, place, family
        if behind not in self._behind and self.learn(orders.line_up_once(*behind), *behind):
            self._behind.add(behind)
        shown = self._packer.shown_own(audience, host_set, form)
        if (audience, shown, family) not in self._fronts:
            front = orders.front(host_set, form, audience, family)
            if self._keep(lambda: self._packer.pack_front(front, shown, audience, family)):
                self._fronts.add((audience, shown, family))

    def _keep(self, pack: Callable[[], More | None]) -> bool:
        for _ in range(2):
            more = pack()
            if more is None:
                return False
            if self._lane.learn_lineup(*more, self._limit_bytes):
                return True
            self._lane.forget_lineups()
            self._packer.forget()
            self._fronts.clear()
            self._behind.clear()
        return False

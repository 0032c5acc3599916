"""What one call of each hot function costs, over many clients, so that memory is as cold as in a server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchmarks.open_loop import read_requests
from benchmarks.setting import METALINK, MIRRORLIST, Inputs, Setting
from redirector.answer.answer import Request
from redirector.answer.ask.query import parse_query
from redirector.answer.choose.lineup import Lineup
from redirector.answer.reading import client_seed
from redirector.answer.serve import Responder
from redirector.answer.show.frames import compose
from redirector.locate.addresses import parse_address
from redirector.locate.proxies import Client, find_forwarded, trusted_proxies_of
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot

_CALLS = 100_000
_LISTS = 20_000
_WISHES = 5_000
_NOW = 1_760_000_000
_WINDOW_S = 3_600

_REQUEST = re.compile(rb"GET (\S+) .*X-Forwarded-For: (\S+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Functions:
    """Microseconds a call, by what is called; and how often an order was in the pool when an answer needed it."""

    microseconds: dict[str, float]
    hit_rate: float


def measure_functions(setting: Setting, inputs: Inputs) -> Functions:
    """Each hot function, called in turn on the server's core."""
    os.sched_setaffinity(0, setting.cores.server)
    try:
        return _measure(inputs, setting)
    finally:
        os.sched_setaffinity(0, setting.cores.server + setting.cores.load)


def _measure(inputs: Inputs, setting: Setting) -> Functions:
    config = Config(
        source=str(inputs.snapshot),
        geoip=str(setting.geoip),
        asn=str(inputs.as_table),
        continents=str(inputs.continents),
    )
    snapshot = load_snapshot(config, _NOW)
    responder = Responder(snapshot)
    trusted = trusted_proxies_of(config.trusted_proxies)
    mirrorlists = _requests(inputs, MIRRORLIST)
    metalinks = _requests(inputs, METALINK)
    addresses = [address for _, address in mirrorlists]
    packed = [parse_address(address) or b"" for address in addresses]
    find = snapshot.audiences.table.find
    first_met = {find(address): address for address in packed}
    target = mirrorlists[0][0]

    def asked(targets: Sequence[tuple[bytes, str]], suffix: bytes = b"") -> list[tuple[Request]]:
        return [
            (Request(target + suffix, Client(address), _NOW, chance=0),)
            for (target, _), address in zip(targets, packed, strict=False)
        ]

    newcomers = [(Request(target, Client(address), _NOW, chance=0),) for address in first_met.values()]
    microseconds = {
        "client behind a trusted proxy": _time(find_forwarded, [((text,), trusted) for text in addresses]),
        "address to audience": _time(find, [(address,) for address in packed]),
        "seed of a client's order": _time(client_seed, [(address, _NOW, _WINDOW_S) for address in packed]),
        "target to query, on the general way": _time(parse_query, [(target,) for target, _ in mirrorlists]),
        "first answer to an audience": _time(responder.answer, newcomers),
    }
    misses = responder.orders.pool.misses
    microseconds["mirrorlist, request to answer"] = _time(responder.answer, asked(mirrorlists))
    microseconds["metalink, request to answer"] = _time(responder.answer, asked(metalinks))
    misses = responder.orders.pool.misses - misses
    microseconds["mirrorlist, spelled unusually"] = _time(responder.answer, asked(mirrorlists, b"&countme=1"))
    microseconds["mirrorlist, with wishes"] = _time(responder.answer, asked(mirrorlists[:_WISHES], b"&country=us,de"))
    line_up = responder.orders.line_up
    for kind, targets in (("mirrorlist", mirrorlists), ("metalink", metalinks)):
        reads, bodies = [], []
        for (target, _), address in zip(targets[:_LISTS], packed, strict=False):
            frame = responder.frames[target]
            lineup = line_up(frame.listing.host_set, frame.form, find(address), 0)
            seed = client_seed(address, _NOW, _WINDOW_S)
            reads.append((lineup, seed))
            bodies.append((frame, lineup.read(seed)[0], _NOW, lineup.comment))
        microseconds[f"{kind}, hosts drawn"] = _time(Lineup.read, reads)
        microseconds[f"{kind}, body joined"] = _time(compose, bodies)
    return Functions(microseconds, hit_rate=round(1 - misses / (len(mirrorlists) + len(metalinks)), 4))


def _requests(inputs: Inputs, kind: str) -> list[tuple[bytes, str]]:
    """Targets and clients of the first requests of a traffic file."""
    found = (_REQUEST.match(request) for request in read_requests(inputs.traffic[kind])[:_CALLS])
    return [(match[1], match[2].decode()) for match in found if match]


def _time(function: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> float:
    """Microseconds a call, once through *arguments*; what the loop itself costs, 0.05, is counted in."""
    start = perf_counter()
    for given in arguments:
        function(*given)
    return round((perf_counter() - start) / len(arguments) * 1e6, 2)

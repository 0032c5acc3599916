"""Latency at a fixed rate, as a crowd feels it: requests fall due whether or not earlier ones were answered.

    python -m benchmarks.open_loop --rate 20000 --seconds 10 127.0.0.1:8080 FILE

Gaps between requests are exponential. A request's time runs from when it fell due, not from when a connection was free
to send it, so a server that stalls is charged for everybody who waited (no coordinated omission). The program never
sleeps: give it a core of its own. What it adds itself, some 20 µs a request, is charged to the server.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import socket
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from select import EPOLLIN, epoll
from time import perf_counter

_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)\r\n", re.IGNORECASE)

_RECEIVED = memoryview(bytearray(1 << 18))
"""What came last. One buffer for all: to make one for each answer costs as much as to read it."""

_HEAD_BYTES = 1024
"""More than the head of an answer has."""

_PATIENCE_S = 10.0
"""How long answers may take to come in after the last request fell due."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """*unanswered* requests fell due and got no whole answer; *bad* ones got a status other than 200."""

    rate: float
    answered: int
    unanswered: int
    bad: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class _Connection:
    """One connection with at most one request under way; opened again when the server closes it."""

    __slots__ = ("_address", "_events", "due", "missing", "socket", "started")

    def __init__(self, address: tuple[str, int], events: epoll) -> None:
        self._address = address
        self._events = events
        self.due = 0.0
        self.open()

    def open(self) -> None:
        """Connect, with nothing under way."""
        self.socket = socket.create_connection(self._address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._events.register(self.socket, EPOLLIN)
        self.missing = 0
        self.started = False

    def send(self, request: bytes) -> None:
        try:
            self.socket.sendall(request)
        except ConnectionError:
            # Closed while it was idle, and we have not read that yet.
            self.socket.close()
            self.open()
            self.socket.sendall(request)

    def receive(self) -> int:
        """How many bytes came, from the start of `_RECEIVED`; 0 when the server has closed the connection."""
        try:
            return self.socket.recv_into(_RECEIVED)
        except ConnectionError:
            return 0


def read_requests(path: Path) -> list[bytes]:
    """The requests of a traffic file."""
    return [head + b"\r\n\r\n" for head in path.read_bytes().split(b"\r\n\r\n")[:-1]]


def measure(
    address: tuple[str, int], requests: list[bytes], rate: float, seconds: float, connections: int
) -> Latencies:
    """Offer *rate* requests a second for *seconds*; each request of the list at most once, then from the start."""
    events = epoll()
    free = deque(_Connection(address, events) for _ in range(connections))
    by_descriptor = {connection.socket.fileno(): connection for connection in free}
    chance = Random(1)
    spent: list[float] = []
    bad = sent = 0
    gc.disable()
    due = start = perf_counter()
    end = start + seconds
    while (now := perf_counter()) < end + _PATIENCE_S and (due < end or len(free) < connections):
        while due <= now and due < end and free:
            connection = free.popleft()
            connection.due = due
            connection.send(requests[sent % len(requests)])
            by_descriptor[connection.socket.fileno()] = connection
            sent += 1
            due += chance.expovariate(rate)
        for descriptor, _ in events.poll(0):
            connection = by_descriptor[descriptor]
            received = connection.receive()
            if not received:
                connection.socket.close()
                connection.open()
                by_descriptor[connection.socket.fileno()] = connection
                if connection not in free:
                    free.append(connection)
                continue
            if not connection.started:
                connection.started = True
                head = bytes(_RECEIVED[: min(received, _HEAD_BYTES)])
                bad += not head.startswith(b"HTTP/1.1 200 ")
                connection.missing = _answer_size(head)
            connection.missing -= received
            if connection.missing <= 0:
                spent.append(perf_counter() - connection.due)
                connection.started = False
                free.append(connection)
    gc.enable()
    for connection in by_descriptor.values():
        connection.socket.close()
    events.close()
    return _summarise(sorted(spent), sent, bad, seconds)


def _answer_size(first: bytes) -> int:
    """Bytes of the whole answer, going by what came *first*; the head of an answer comes in one piece."""
    found = _LENGTH.search(first)
    assert found, f"an answer without Content-Length: {first[:200]!r}"
    return first.index(b"\r\n\r\n") + 4 + int(found[1])


def _summarise(spent: list[float], sent: int, bad: int, seconds: float) -> Latencies:
    def at(share: float) -> float:
        return round(spent[min(len(spent) - 1, int(len(spent) * share))] * 1e3, 3) if spent else float("inf")

    return Latencies(
        rate=round(len(spent) / seconds, 1),
        answered=len(spent),
        unanswered=sent - len(spent),
        bad=bad,
        p50_ms=at(0.5),
        p90_ms=at(0.9),
        p99_ms=at(0.99),
        p999_ms=at(0.999),
        max_ms=at(1.0),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure latency at a fixed rate.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("traffic", metavar="FILE", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    found = measure(
        (host.strip("[]"), int(port)),
        read_requests(options.traffic),
        options.rate,
        options.seconds,
        options.connections,
    )
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()

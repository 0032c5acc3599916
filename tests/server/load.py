"""Clients in numbers: some keep their connection, some come anew each time; each failure is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from tests.patience import PATIENCE_S
from tests.server.running import METALINK, TARGET


@dataclass
class Tally:
    """What clients saw.

    answers   status -> how many
    failures  what went wrong, each once
    slowest_s the longest time from a request to its answer
    """

    answers: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    slowest_s: float = 0.0

    @property
    def count(self) -> int:
        return self.answers.total()


class Crowd:
    """Clients that ask without pause until `stop`."""

    def __init__(self, address: tuple[str, int], keeping: int, coming: int, pause_s: float = 0.002) -> None:
        self.tally = Tally()
        self._address = address
        self._pause_s = pause_s
        self._stopping = asyncio.Event()
        self._tasks = [asyncio.create_task(self._ask(number, keep=True)) for number in range(keeping)]
        self._tasks += [asyncio.create_task(self._ask(number, keep=False)) for number in range(coming)]

    async def stop(self) -> Tally:
        self._stopping.set()
        await asyncio.wait_for(asyncio.gather(*self._tasks), PATIENCE_S)
        return self.tally

    async def reach(self, count: int) -> None:
        """Until *count* more answers have come."""
        goal = self.tally.count + count
        while self.tally.count < goal:
            assert not self.tally.failures, self.tally.failures
            await asyncio.sleep(0.005)

    async def _ask(self, number: int, keep: bool) -> None:
        target = (TARGET, METALINK, "/nothing")[number % 3]
        while not self._stopping.is_set():
            try:
                await self._use_connection(target, keep)
            except (OSError, EOFError, ValueError) as error:
                self.tally.failures[f"{'keeping' if keep else 'coming'}: {error!r:.100}"] += 1

    async def _use_connection(self, target: str, keep: bool) -> None:
        reader, writer = await asyncio.open_connection(*self._address)
        self.tally.connections += 1
        loop = asyncio.get_running_loop()
        last = "" if keep else "Connection: close\r\n"
        try:
            while not self._stopping.is_set():
                began = loop.time()
                writer.write(f"GET {target} HTTP/1.1\r\nHost: test\r\n{last}\r\n".encode())
                goes_on = await self._read_answer(reader)
                self.tally.slowest_s = max(self.tally.slowest_s, loop.time() - began)
                if not keep or not goes_on:
                    return
                await asyncio.sleep(self._pause_s)
        finally:
            writer.close()

    async def _read_answer(self, reader: asyncio.StreamReader) -> bool:
        """Read one answer; False when it is the connection's last."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            body = await reader.readexactly(int(fields["content-length"]))
        status = int(lines[0].split()[1])
        if not body:
            raise ValueError("an empty answer")
        self.tally.answers[status] += 1
        return fields.get("connection") != "close"

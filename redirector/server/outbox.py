"""Answers that are made and not yet sent."""

from __future__ import annotations

import asyncio

MAX_HELD_BYTES = 524_288
"""More is sent before the turn ends: what is held for longer leaves the cache."""


class Outbox:
    """What one worker's lane answers in one turn of the loop, sent when all requests that had arrived are answered.

    Each answer that is sent may wake a client, which costs as much as sending it; those that are sent in a row find
    it awake. With a load of 64 connections this makes mirrorlists a seventh faster, and metalinks an eighth.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answers: list[tuple[asyncio.Transport, tuple[bytes, ...], bool]] = []
        self._held_bytes = 0

    def put(self, transport: asyncio.Transport, answer: tuple[bytes, ...], last: bool) -> None:
        """Hold *answer*, of which all but the last part are short; *last*: the connection is closed behind it."""
        answers = self._answers
        if not answers:
            self._loop.call_soon(self.send)
        answers.append((transport, answer, last))
        self._held_bytes += len(answer[-1])
        if self._held_bytes > MAX_HELD_BYTES:
            self.send()

    def send(self) -> None:
        """Send all that is held. Whoever writes, closes or hands over a connection by other ways calls it first."""
        answers, self._answers, self._held_bytes = self._answers, [], 0
        for transport, answer, last in answers:
            if not transport.is_closing():
                transport.writelines(answer)
                if last:
                    transport.close()

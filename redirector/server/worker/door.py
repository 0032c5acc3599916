"""A listening socket of one worker, where the lane has the first look at who comes in.

A connection costs more than an answer: accepting by way of asyncio, a transport and a protocol are four fifths of what
a client costs that asks once and leaves. So the part in C accepts, looks at what has come with the connection, and
answers and closes at once where that is one plain request and the last one. Everybody else becomes a connection like
any other, from which nothing was read: limits, timers and draining know of no other kind.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

MOST_AT_ONCE = 64
"""Who is answered at the door before those are served that are in; the kernel keeps the others."""

Accept = Callable[[int, int], int | None]
"""See `PlainLane.accept`."""


class Door:
    """Open from the start until `close`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, accept: Accept, let_in: Callable[[Door], None]
    ) -> None:
        """*let_in* is called with the door when somebody waits."""
        listener.setblocking(False)
        self._loop = loop
        self._listener = listener
        self._accept = accept
        loop.add_reader(listener, let_in, self)

    def accept(self, most: int) -> int | None:
        """Whoever waits and is not answered, after up to *most* who are: its socket; None: nobody.

        raises  OSError: nobody can be accepted for now, since descriptors or memory have run out
        """
        return self._accept(self._listener.fileno(), most)

    def close(self) -> None:
        """Look no more."""
        self._loop.remove_reader(self._listener)

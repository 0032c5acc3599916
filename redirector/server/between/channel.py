"""Messages between our own processes: one value each, with descriptors, over a socket pair that keeps boundaries.

Values are pickled: both ends run this program as this user, and nothing from outside ever reaches a channel.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from collections.abc import Sequence
from dataclasses import dataclass

MAX_INLINE_BYTES = 60_000
"""A longer value travels in a file of its own, since a packet must fit into the socket's buffer (212,992 bytes)."""

MAX_DESCRIPTORS = 250
"""The kernel takes 253 a packet (SCM_MAX_FD)."""

_IN_FILE = b"F"
_INLINE = b"I"


@dataclass(frozen=True, slots=True)
class Received:
    """One message. Whoever receives it owns *descriptors*."""

    message: object
    descriptors: tuple[int, ...]


class Channel:
    """One end of a socket pair.

    A blocking end waits in `send` and `receive`; a non-blocking one raises BlockingIOError instead.
    """

    __slots__ = ("_socket",)

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send *message* and copies of *descriptors*. Raises OSError when the other end is gone."""
        packed = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if len(packed) <= MAX_INLINE_BYTES:
            socket.send_fds(self._socket, [_INLINE + packed], descriptors)
            return
        with os.fdopen(os.memfd_create("message"), "w+b") as file:
            file.write(packed)
            file.flush()
            socket.send_fds(self._socket, [_IN_FILE], [file.fileno(), *descriptors])

    def receive(self) -> Received | None:
        """The next message; None when the other end is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket, MAX_INLINE_BYTES + 1, MAX_DESCRIPTORS + 1, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return None
        if not data:
            return None
        if data[:1] == _INLINE:
            return Received(pickle.loads(data[1:]), tuple(descriptors))
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            return Received(pickle.load(file), tuple(descriptors[1:]))

    async def receive_soon(self) -> Received | None:
        """`receive` for a non-blocking end inside an event loop."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return self.receive()
            except BlockingIOError:
                pass
            readable: asyncio.Future[None] = loop.create_future()
            loop.add_reader(self._socket, _wake, readable)
            try:
                await readable
            finally:
                loop.remove_reader(self._socket)

    def close(self) -> None:
        self._socket.close()


def make_pair(kind: socket.SocketKind = socket.SOCK_SEQPACKET) -> tuple[socket.socket, socket.socket]:
    """A connected pair: the first end, kept here, does not block; the second is for another process."""
    kept, given = socket.socketpair(socket.AF_UNIX, kind)
    kept.setblocking(False)
    return kept, given


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

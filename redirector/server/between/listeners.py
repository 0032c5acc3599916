"""The listening sockets: opened here, or handed over by systemd."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EADDRINUSE, EINVAL

from redirector.settings.option import Address

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel takes the less of this and `net.core.somaxconn`."""

DEFER_S = 1
"""How long the kernel keeps a connection to itself that has sent nothing."""

FIRST_HANDED_OVER = 3
"""The first descriptor that systemd hands over (sd_listen_fds, SD_LISTEN_FDS_START)."""

ADMIN_NAME = "admin"
"""`FileDescriptorName=` of the socket that is the admin listener's."""


NOBODY = ""
"""The address of a peer whom nobody can name: the connection was reset before it was looked at."""


def peer_of(transport: asyncio.BaseTransport | None) -> str | None:
    """The address on the other side of a connection; None for a unix socket, `NOBODY` when it cannot be told."""
    endpoint = transport and transport.get_extra_info("socket")
    if endpoint and endpoint.family == socket.AF_UNIX:
        return None
    name = transport and transport.get_extra_info("peername")
    return name[0] if isinstance(name, tuple) and name else NOBODY


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens.

    path  of the unix socket that was made here and is removed at the end
    """

    socket: socket.socket
    path: str | None = None

    @property
    def name(self) -> str:
        """What a client would be given: a URL, or `unix:PATH`."""
        if self.socket.family == socket.AF_UNIX:
            return f"unix:{self.socket.getsockname()}"
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Close this process's copy, and remove what was made."""
        self.socket.close()
        if self.path is not None:
            with suppress(OSError):
                os.unlink(self.path)


def open_listeners(addresses: Sequence[Address], mode: int) -> tuple[Listener, ...]:
    """Listen on all of *addresses*; a unix socket gets the permissions *mode*. Raises OSError, naming the address."""
    opened: list[Listener] = []
    ports_v4 = {address.port for address in addresses if address.host == "0.0.0.0"}
    for address in addresses:
        try:
            if address.path is not None:
                opened.append(_open_unix(address.path, mode))
            else:
                opened.append(_open_tcp(address, both=address.host == "::" and address.port not in ports_v4))
        except (OSError, UnicodeError) as error:  # UnicodeError: what can be no host name
            for listener in opened:
                listener.close()
            number, text = (error.errno, error.strerror) if isinstance(error, OSError) else (EINVAL, None)
            hint = "; another one is chosen by --listen, or --admin" if number == EADDRINUSE else ""
            raise OSError(number, f"cannot listen on {address}: {text or error}{hint}") from None
    return tuple(opened)


def _open_tcp(address: Address, both: bool) -> Listener:
    family, kind, protocol, _, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        opened.bind(place)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return Listener(opened)


def _open_unix(path: str, mode: int) -> Listener:
    _remove_dead_socket(path)
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.bind(path)
        os.chmod(path, mode)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return Listener(opened, path)


def defer(listener: socket.socket) -> None:
    """Have a connection appear at *listener* with its first packet, so that one look at it finds the request.

    The kernel drops the packet that only opens it, and shows it after `DEFER_S` if nothing else has come.
    """
    if listener.family != socket.AF_UNIX and not listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_S)


def show_at_once(listener: socket.socket) -> bool:
    """Have connections appear when they are open, and say whether those that are open already may not have."""
    if listener.family == socket.AF_UNIX or not listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT):
        return False
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)
    return True


def _remove_dead_socket(path: str) -> None:
    """Remove the socket that a server left behind when it was killed; one that is listened to stays."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)


def handed_over(environment: Mapping[str, str]) -> tuple[tuple[Listener, ...], Listener | None]:
    """What systemd listens on for this process: the sockets for clients, and the admin listener's.

    raises  OSError when what it says makes no sense: a number that is none, descriptors that are no sockets
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return (), None
    said = environment.get("LISTEN_FDS", "0")
    if not (said.isascii() and said.isdecimal() and len(said) < 5):
        raise OSError(
            EINVAL, f"LISTEN_FDS={said[:50]!r} is no number of sockets: whoever started this handed none over"
        )
    count = int(said)
    names = environment.get("LISTEN_FDNAMES", "").split(":") + [""] * count
    clients: list[Listener] = []
    admin = None
    for position in range(count):
        try:
            listener = Listener(socket.socket(fileno=FIRST_HANDED_OVER + position))
        except OSError as error:
            text = f"descriptor {FIRST_HANDED_OVER + position} of LISTEN_FDS={count}: {error.strerror}"
            raise OSError(error.errno, text) from None
        listener.socket.set_inheritable(False)
        if names[position] == ADMIN_NAME:
            admin = listener
        else:
            clients.append(listener)
    return tuple(clients), admin

"""A tap between a client and the service: bytes pass unchanged, and what was said can be read afterwards."""

from __future__ import annotations

import io
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import cast


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; header names in lower case."""

    method: str
    target: str
    request_headers: dict[str, str]
    status: int
    headers: dict[str, str]
    body: bytes


class Tap:
    """Listens on a free loopback port and passes each connection on.

    source   the address to connect from: what the service takes for the client
    service  (host, port) of the service
    """

    def __init__(self, service: tuple[str, int], source: str) -> None:
        self._service = service
        self._source = source
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._connections: list[tuple[bytearray, bytearray]] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def exchanges(self) -> list[Exchange]:
        """Everything that was said so far, connection by connection."""
        return [each for said, heard in list(self._connections) for each in _parse(bytes(said), bytes(heard))]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts; close alone does not
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            said, heard = bytearray(), bytearray()
            self._connections.append((said, heard))
            threading.Thread(target=self._relay, args=(client, said, heard), daemon=True).start()

    def _relay(self, client: socket.socket, said: bytearray, heard: bytearray) -> None:
        """Pass bytes both ways until both sides have ended."""
        service = socket.create_connection(self._service, source_address=(self._source, 0))
        with client, service, selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(client, selectors.EVENT_READ, (service, said))
            selector.register(service, selectors.EVENT_READ, (client, heard))
            while selector.get_map():
                for key, _ in selector.select():
                    _pass_on(selector, key)


def _pass_on(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Write down first, then send: what a client has seen is on record."""
    source, (sink, record) = cast(socket.socket, key.fileobj), key.data
    data = source.recv(65536)
    if data:
        record += data
        sink.sendall(data)
    else:
        selector.unregister(source)
        sink.shutdown(socket.SHUT_WR)


class _Record(io.BytesIO):
    """Bytes in the place of a socket; a response that ends does not close them for the next."""

    def makefile(self, mode: str) -> _Record:
        return self

    def close(self) -> None:
        pass


def _parse(said: bytes, heard: bytes) -> Iterator[Exchange]:
    record = _Record(heard)
    for head in said.split(b"\r\n\r\n")[:-1]:
        if record.tell() == len(heard):
            return  # the client did not wait for its answer
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        response = HTTPResponse(cast(socket.socket, record), method=method)
        response.begin()
        body = response.read()
        yield Exchange(
            method,
            target,
            {name.lower(): value.strip() for name, value in (field.split(":", 1) for field in fields)},
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            body,
        )


@contextmanager
def open_tap(service: tuple[str, int], source: str = "127.0.0.1") -> Iterator[Tap]:
    tap = Tap(service, source)
    try:
        yield tap
    finally:
        tap.close()

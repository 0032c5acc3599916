"""Small mirror servers on loopback ports, each with one fault, each writing down what it was asked."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import unquote, urlsplit


class Fault(Enum):
    """What is wrong with a mirror."""

    NONE = "healthy"
    MISSING = "404"
    ERRORING = "503"
    REFUSING = "refused"
    SILENT = "silent"
    CORRUPT = "corrupt, same size"
    LONGER = "corrupt, other size"
    DAMAGED = "damaged packages"


class Mirror:
    """A mirror that serves.

    url      its base, without trailing slash; `address` is the same as (host, port)
    asked    the paths that it was asked for, in order
    """

    def __init__(self, host: str, tree: Path, fault: Fault) -> None:
        self.tree = tree
        self.fault = fault
        self.asked: list[str] = []
        self._closing = threading.Event()
        self._server = _Server((host, 0), self) if fault is not Fault.REFUSING else None
        self._reserved = socket.socket()
        if self._server is None:
            self._reserved.bind((host, 0))  # bound and not listening: the kernel refuses for us
            port = self._reserved.getsockname()[1]
        else:
            port = self._server.server_port
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.address = (host, port)
        self.url = f"http://{host}:{port}"

    def reply(self, path: str) -> tuple[int, bytes]:
        """Status and body for *path*, a URL path without its leading slash."""
        self.asked.append(path)
        if self.fault is Fault.SILENT:
            self._closing.wait()
        if self.fault is Fault.ERRORING:
            return 503, b"busy\n"
        file = self.tree / path
        if self.fault is Fault.MISSING or not file.is_file():
            return 404, b"not here\n"
        content = file.read_bytes()
        if file.name == "repomd.xml" and self.fault is Fault.CORRUPT:
            content = content.replace(b"<revision>1", b"<revision>2")
        if file.name == "repomd.xml" and self.fault is Fault.LONGER:
            content += b"<!-- one comment more -->\n"
        if file.suffix == ".rpm" and self.fault is Fault.DAMAGED:
            content = content[:-1] + bytes([content[-1] ^ 1])
        return 200, content

    def close(self) -> None:
        self._closing.set()
        self._reserved.close()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], mirror: Mirror) -> None:
        super().__init__(address, _Handler)
        self.mirror = mirror

    def server_bind(self) -> None:
        """Bind, without the name look-up of `HTTPServer`."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of our errors."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        status, body = self.server.mirror.reply(unquote(urlsplit(self.path).path).lstrip("/"))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and status == 200 and int(wanted[1]) < len(body):
            whole, first = len(body), int(wanted[1])
            status, body = 206, body[first : int(wanted[2]) + 1 if wanted[2] else None]
            self.send_response(status)
            self.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{whole}")
        else:
            self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """`asked` is the log."""


class Fleet(dict[str, Mirror]):
    """Mirrors by name."""

    def used(self) -> list[str]:
        """Names of the mirrors that were asked for anything, in the order of `self`."""
        return [name for name, mirror in self.items() if mirror.asked]

    def forget(self) -> None:
        """Start counting anew."""
        for mirror in self.values():
            mirror.asked.clear()


@contextmanager
def open_fleet(plan: dict[str, tuple[Path, Fault]]) -> Iterator[Fleet]:
    """A mirror for each name of *plan*, on an address and a port of its own, closed afterwards."""
    fleet = Fleet()
    try:
        for number, (name, (tree, fault)) in enumerate(plan.items(), 1):
            fleet[name] = Mirror(f"127.0.1.{number}", tree, fault)
        yield fleet
    finally:
        for mirror in fleet.values():
            mirror.close()

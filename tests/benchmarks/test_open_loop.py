"""Latency is counted from when a request fell due."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.open_loop import measure

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
STALL_S = 0.3


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection at a time that gives *answer* to whatever arrives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):  # a request may come before the end that follows its answer
                        while connection.recv(65536):
                            answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    """A file of one request."""
    (tmp_path / "traffic").write_bytes(REQUEST)
    return tmp_path / "traffic"


def test_everybody_who_waits_for_a_stalled_server_is_counted(traffic: Path) -> None:
    stall = threading.Event()

    def think_once(connection: socket.socket) -> None:
        stall.wait(STALL_S)
        stall.set()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with serving(think_once) as address:
        found = measure(address, traffic, rate=200, seconds=0.6, connections=1)
    assert found.unanswered == found.bad == 0
    # Half of the requests fell due while the first was waiting; a closed loop would see one slow answer in sixty.
    assert found.p50_ms < STALL_S * 1e3 <= found.max_ms
    assert found.p90_ms > STALL_S / 2 * 1e3


def test_answer_in_pieces_is_one_answer(traffic: Path) -> None:
    def in_two(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + bytes(100_000))
        connection.sendall(bytes(100_000))

    with serving(in_two) as address:
        found = measure(address, traffic, rate=50, seconds=0.3, connections=1)
    assert found.answered > 0
    assert found.unanswered == found.bad == 0


def test_error_is_counted_as_bad(traffic: Path) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with serving(refuse) as address:
        found = measure(address, traffic, rate=50, seconds=0.3, connections=1)
    assert found.bad == found.answered > 0


def test_connection_that_is_closed_after_each_answer_is_opened_again(traffic: Path) -> None:
    def answer_and_close(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with serving(answer_and_close) as address:
        found = measure(address, traffic, rate=50, seconds=0.3, connections=1)
    assert found.answered > 1


def test_connection_that_is_closed_before_the_answer_leaves_its_request_unanswered(traffic: Path) -> None:
    with serving(lambda connection: connection.shutdown(socket.SHUT_RDWR)) as address:
        found = measure(address, traffic, rate=50, seconds=0.1, connections=1)
    assert found.answered == 0
    assert found.unanswered > 0

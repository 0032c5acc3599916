"""Limits and courtesy: what a connection may do, and what it gets for the rest."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S, SOON_S
from tests.server.running import METALINK, TARGET, Server, serving, write_snapshot

HOST = "Host: test\r\n"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that loses patience soon; the others have time for clients that are held up."""
    source = write_snapshot(tmp_path_factory.mktemp("hasty") / "snapshot.pb")
    with serving(source, "--header-timeout", "1", "--keep-alive", "3", "--write-timeout", "1") as running:
        yield running


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(server.address, timeout=PATIENCE_S) as connection:
        yield connection


def read_answer(connection: socket.socket, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, fields, body."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(1)
        if not more:
            raise EOFError(got)
        got += more
    lines = got.decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    length = 0 if head_only else int(fields["content-length"])
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return int(lines[0].split()[1]), fields, body


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def talk(server: Server, text: str) -> tuple[int, dict[str, str], bytes]:
    with connected(server) as connection:
        connection.sendall(text.encode("latin-1"))
        return read_answer(connection)


@pytest.mark.parametrize("target", [TARGET, METALINK, "/", "/nothing", "/mirrorlist?repo=none&arch=x86_64"])
def test_head_has_the_headers_of_get_and_no_body(server: Server, target: str) -> None:
    get, head = server.ask(target), server.ask(target, "HEAD")
    assert head.status == get.status
    assert head.body == b""
    for each in (get, head):
        each.headers.pop("date")
    assert head.headers == get.headers
    assert int(get.headers["content-length"]) == len(get.body) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(server: Server, method: str) -> None:
    reply = server.ask(TARGET, method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "text",
    [
        f"GET {TARGET} HTTP/1.1\r\n{HOST}\r\n",
        f"GET /nothing HTTP/1.1\r\n{HOST}\r\n",
        f"POST {TARGET} HTTP/1.1\r\n{HOST}\r\n",
        f"GET /{'x' * 9000} HTTP/1.1\r\n{HOST}\r\n",
        f"GET / HTTP/1.1\r\n{HOST}X: {'x' * 9000}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabc",
        f"GET / HTTP/1.1\r\n{HOST}Expect: miracles\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
    ],
    ids=["list", "404", "405", "414", "431", "413", "417", "no host", "nonsense"],
)
def test_no_answer_of_any_status_may_be_stored(server: Server, text: str) -> None:
    assert talk(server, text)[1]["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param(f"GET /{'x' * 8188} HTTP/1.1\r\n{HOST}\r\n", 404, id="the longest target"),
        pytest.param(f"GET /{'x' * 8200} HTTP/1.1\r\n{HOST}\r\n", 414, id="target too long"),
        pytest.param(f"GET / HTTP/1.1\r\n{HOST}X-Long: {'x' * 8200}\r\n\r\n", 431, id="header too long"),
        pytest.param(f"GET / HTTP/1.1\r\n{HOST}{'X: y' * 20}" + "A: b\r\n" * 300 + "\r\n", 400, id="too many headers"),
        pytest.param(f"GET / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello", 413, id="body"),
        pytest.param(f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413, id="chunked body"),
        pytest.param(f"GET {TARGET} HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n", 200, id="no body, and says so"),
        pytest.param(f"GET {TARGET} HTTP/1.1\r\n{HOST}Expect: 100-continue\r\n\r\n", 200, id="expectation met"),
        pytest.param(f"GET / HTTP/1.1\r\n{HOST}Expect: tea\r\n\r\n", 417, id="expectation not met"),
        pytest.param("GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
        pytest.param(f"GET / HTTP/1.1\r\n{HOST}bad header\r\n\r\n", 400, id="no header"),
        pytest.param(f"GET {TARGET} HTTP/1.1\r\n{HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200, id="upgrade"),
    ],
)
def test_a_request_is_answered_by_its_form(server: Server, text: str, status: int) -> None:
    assert talk(server, text)[0] == status


def test_the_log_has_no_stack_trace_for_what_clients_do(server: Server) -> None:
    for text in ("\x00\x01\r\n\r\n", f"GET / HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n"):
        assert talk(server, text)[0] == 400
    assert not [line for line in server.said if "Traceback" in line]


def test_a_body_is_not_asked_for(server: Server) -> None:
    """`100 Continue` would invite what is refused."""
    status, fields, _ = talk(server, f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert (status, fields["connection"]) == (405, "close")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    targets = [TARGET, "/one", METALINK, "/two", "/three"] * 20
    with connected(server) as connection:
        connection.sendall("".join(f"GET {target} HTTP/1.1\r\n{HOST}\r\n" for target in targets).encode())
        alone = {target: server.ask(target) for target in set(targets)}
        for target in targets:
            status, fields, _ = read_answer(connection)
            assert (status, fields["content-length"]) == (
                alone[target].status,
                alone[target].headers["content-length"],
            ), target


@pytest.mark.parametrize("target", [TARGET, METALINK, "/nothing"])
def test_a_request_in_pieces_is_the_same_request(server: Server, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\n{HOST}User-Agent: test\r\n\r\n".encode()
    whole = server.ask(target)
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(request), 7):
            connection.sendall(request[:cut])
            time.sleep(0.002)
            connection.sendall(request[cut:])
            status, _, body = read_answer(connection)
            assert (status, undated(body)) == (whole.status, undated(whole.body))


def undated(body: bytes) -> bytes:
    """*body* without the second in which it was made."""
    return re.sub(rb'pubdate="[^"]+"', b"", body)


@pytest.mark.parametrize(
    ("version", "field", "stays"),
    [
        pytest.param("1.1", "", True, id="1.1"),
        pytest.param("1.1", "Connection: close\r\n", False, id="1.1 close"),
        pytest.param("1.0", "", False, id="1.0"),
        pytest.param("1.0", "Connection: keep-alive\r\n", True, id="1.0 keep-alive"),
    ],
)
@pytest.mark.parametrize("target", [TARGET, "/nothing"])
def test_the_client_says_whether_the_connection_stays(
    server: Server, target: str, version: str, field: str, stays: bool
) -> None:
    request = f"GET {target} HTTP/{version}\r\n{HOST}{field}\r\n".encode()
    with connected(server) as connection:
        connection.sendall(request)
        read_answer(connection)
        if stays:
            connection.sendall(request)
            read_answer(connection)
        else:
            assert is_closed(connection)


def test_a_quiet_connection_is_closed_after_its_time_and_not_before(hasty: Server) -> None:
    began = time.monotonic()
    with connected(hasty) as silent, connected(hasty) as served:
        served.sendall(f"GET {TARGET} HTTP/1.1\r\n{HOST}\r\n".encode())
        read_answer(served)
        assert is_closed(silent)
        assert is_closed(served)
    assert 3 <= time.monotonic() - began < 3 + SOON_S


def test_a_connection_in_use_outlives_the_time_of_a_quiet_one(hasty: Server) -> None:
    end = time.monotonic() + 4.5
    with connected(hasty) as connection:
        while time.monotonic() < end:
            connection.sendall(f"GET {TARGET} HTTP/1.1\r\n{HOST}\r\n".encode())
            assert read_answer(connection)[0] == 200
            time.sleep(0.5)


def test_a_client_that_sends_a_byte_at_a_time_is_told_and_left(hasty: Server) -> None:
    began = time.monotonic()
    with connected(hasty) as connection:
        for byte in f"GET {TARGET} HTTP/1.1\r\n{HOST}{'X-Slow: very' * 100}".encode():
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        assert time.monotonic() - began < SOON_S
    with connected(hasty) as connection:
        connection.sendall(b"GET /")
        status, fields, _ = read_answer(connection)
        assert (status, fields["connection"]) == (408, "close")
        assert is_closed(connection)


def fill(connection: socket.socket, requests: Sequence[bytes]) -> None:
    """Send *requests* until nothing more is taken, or the connection is closed."""
    connection.settimeout(0.5)
    try:
        for request in requests:
            connection.sendall(request)
    except OSError:
        return
    finally:
        connection.settimeout(PATIENCE_S)


@pytest.mark.parametrize("target", [METALINK, "/"])
def test_a_client_that_reads_nothing_is_dropped(hasty: Server, target: str) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(hasty.address)
        fill(connection, [f"GET {target} HTTP/1.1\r\n{HOST}\r\n".encode() * 20] * 2000)
        began = time.monotonic()
        while hasty.metrics()["redirector_open_connections"] > 0:
            assert time.monotonic() - began < SOON_S
            time.sleep(0.1)


def test_a_client_that_reads_slowly_is_not_dropped(source: Path) -> None:
    request = f"GET {METALINK} HTTP/1.1\r\n{HOST}\r\n".encode()
    with serving(source, "--write-timeout", "4") as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_S)
        connection.connect(server.address)
        with connection.dup() as sender:  # it reads from the beginning: who only sends is dropped with good reason
            sending = threading.Thread(target=fill, args=(sender, [request] * 5000))
            sending.start()
            end = time.monotonic() + 7
            while time.monotonic() < end:
                assert connection.recv(4096)
                time.sleep(0.1)
            sending.join()


def test_the_headers_of_a_request_have_an_end(server: Server) -> None:
    with connected(server) as connection:
        fill(connection, [f"GET / HTTP/1.1\r\n{HOST}".encode(), *[b"X: " + b"y" * 4000 + b"\r\n"] * 60])
        try:
            assert read_answer(connection)[0] in (400, 431)
        except (ConnectionError, EOFError):
            pass
        assert is_closed(connection)


def test_connections_beyond_the_limit_wait_until_there_is_room(source: Path) -> None:
    with serving(source, "--max-connections", "5") as server:
        connections = [socket.create_connection(server.address, timeout=PATIENCE_S) for _ in range(8)]
        for connection in connections:
            connection.sendall(f"GET {TARGET} HTTP/1.1\r\n{HOST}\r\n".encode())
        for connection in connections[:5]:
            assert read_answer(connection)[0] == 200
            connection.sendall(b"GET /")  # who has begun to ask is not quiet
        assert select.select(connections[5:], [], [], 0.2)[0] == []
        for connection in connections[:5]:
            connection.close()
        for connection in connections[5:]:
            assert read_answer(connection)[0] == 200
            connection.close()


@pytest.mark.parametrize("asks", [True, False])
def test_quiet_connections_make_room_for_others(source: Path, asks: bool) -> None:
    limits = ("--max-connections", "3", "--header-timeout", "600", "--keep-alive", "600", "--workers", "1")
    with serving(source, *limits) as server, ExitStack() as opened:
        request = f"GET {TARGET} HTTP/1.1\r\n{HOST}\r\n".encode()
        for _ in range(4):
            quiet = opened.enter_context(socket.create_connection(server.address, timeout=PATIENCE_S))
            if asks:
                quiet.sendall(request)
                assert read_answer(quiet)[0] == 200
        with socket.create_connection(server.address, timeout=PATIENCE_S) as other:
            other.sendall(request)
            assert read_answer(other)[0] == 200


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("X-Real-IP", {"X_Real_IP": "192.0.2.77", "X_Forwarded_For": "198.51.100.1"}),
        ("Forwarded", {"Forwarded": 'for="192.0.2.77:80";proto=https'}),
    ],
)
def test_the_client_is_whom_the_named_header_says_and_logged_by_its_network(
    source: Path, tmp_path: Path, header: str, fields: dict[str, str]
) -> None:
    log = tmp_path / "access.log"
    options = ("--client-header", header, "--access-log", str(log), "--access-log-format", "json", "--mask-addresses")
    with serving(source, *options) as server:
        assert server.ask(TARGET, **fields).status == 200
        end = time.monotonic() + PATIENCE_S
        while (not log.exists() or not log.read_text().endswith("\n")) and time.monotonic() < end:
            time.sleep(0.05)
    assert json.loads(log.read_text())["client"] == "192.0.2.0"


def test_a_proxy_that_is_not_believed_is_named_once(source: Path) -> None:
    with serving(source, "--trusted-proxy", "192.0.2.0/24") as server:
        for _ in range(3):
            assert server.ask(TARGET, X_Forwarded_For="198.51.100.1").status == 200
        server.wait_for("127.0.0.1 says X-Forwarded-For, which is not believed")
        assert sum("which is not believed" in line for line in server.said) == 1

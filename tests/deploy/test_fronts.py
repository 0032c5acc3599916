"""HAProxy and nginx, started from the files of `deploy/`, before real servers."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from tests.clients.service import Service, open_service
from tests.deploy.rig import DEPLOY, PRIVATE, daemon, replace, run, write_tree
from tests.patience import PATIENCE_S, free_ports

NAME = "mirrors.example.org"
INSIDE, OUTSIDE = PRIVATE, "127.0.0.6"
"""Clients of the fronts: the one is in the private mirror's network, the other is not."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for `NAME` that signs itself, its key, and both in one file."""

    certificate: Path
    key: Path
    both: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "certificate.pem", folder / "key.pem", folder / "both.pem")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}")
    run("openssl", *new, *names, "-keyout", made.key, "-out", made.certificate)
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens: for clients, for its operator, and the registry's for people: nobody, if it is 9."""

    port: int
    admin_port: int
    forms_port: int = 9


@dataclass(frozen=True, slots=True)
class Front:
    """A running front."""

    http_port: int
    https_port: int

    def get(self, target: str, client: str = OUTSIDE, **headers: str) -> tuple[int, str]:
        """Status and body for a client that connects from that address, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, 30, source_address=(client, 0))
        try:
            connection.request("GET", target, headers={"Host": NAME, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def haproxy(folder: Path, certificate: Certificate, here: Server, there: Server) -> Iterator[Front]:
    """HAProxy with other ports, without the user that belongs to an installation."""
    http_port, https_port = free_ports(2)
    text = replace(
        (DEPLOY / "haproxy/haproxy.cfg").read_text(),
        ("    user haproxy\n    group haproxy\n", ""),
        ("[::]:80 v4v6", f"[::]:{http_port} v4v6"),
        ("[::]:443 v4v6", f"[::]:{https_port} v4v6"),
        ("/etc/haproxy/certs/mirrors.pem", str(certificate.both)),
        ("127.0.0.1:8080 check port 9180", f"127.0.0.1:{here.port} check port {here.admin_port}"),
        ("192.0.2.12:8080 check port 9180", f"127.0.0.1:{there.port} check port {there.admin_port}"),
        ("127.0.0.1:8090", f"127.0.0.1:{here.forms_port}"),
        ("192.0.2.12:8090", f"127.0.0.1:{there.forms_port}"),
    )
    path, pid_file = folder / "haproxy.cfg", folder / "haproxy.pid"
    path.write_text(text)
    with daemon(pid_file, "haproxy", "-D", "-p", pid_file, "-f", path):
        yield Front(http_port, https_port)


@contextmanager
def nginx(folder: Path, certificate: Certificate, here: Server, there: Server) -> Iterator[Front]:
    """nginx likewise; its temporary files go into the folder."""
    http_port, https_port = free_ports(2)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    text = replace(
        (DEPLOY / "nginx/nginx.conf").read_text(),
        ("user www-data;\nworker_processes auto;\n", "worker_processes 1;\n"),
        ("/run/nginx.pid", f"{folder}/nginx.pid"),
        ("/var/log/nginx", str(folder)),
        ("http {\n", f"http {{\n{kept}"),
        ("listen 80", f"listen {http_port}"),
        ("listen [::]:80", f"listen [::]:{http_port}"),
        ("listen 443 ssl", f"listen {https_port} ssl"),
        ("listen [::]:443 ssl", f"listen [::]:{https_port} ssl"),
        ("/etc/nginx/certs/mirrors.pem", str(certificate.certificate)),
        ("/etc/nginx/certs/mirrors.key", str(certificate.key)),
        ("127.0.0.1:8080", f"127.0.0.1:{here.port}"),
        ("192.0.2.12:8080", f"127.0.0.1:{there.port}"),
        ("127.0.0.1:8090", f"127.0.0.1:{here.forms_port}"),
        ("192.0.2.12:8090", f"127.0.0.1:{there.forms_port}"),
    )
    path = folder / "nginx.conf"
    path.write_text(text)
    run("nginx", "-t", "-c", path)
    with daemon(folder / "nginx.pid", "nginx", "-c", path):
        yield Front(http_port, https_port)


OpenFront = Callable[[Path, Certificate, Server, Server], AbstractContextManager[Front]]
FRONTS = pytest.mark.parametrize("open_front", [haproxy, nginx])


def server_of(service: Service) -> Server:
    return Server(service.address[1], int(service.admin.rpartition(":")[2]))


OPTIONS = ["--trusted-proxy", "127.0.0.1/32", "--order-window", "2592000"]
"""The front's address alone is trusted, and nobody's window ends within a test."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def services(tree: Path) -> Iterator[tuple[Service, Service]]:
    """Two servers that read the same files."""
    with open_service(tree, OPTIONS) as one, open_service(tree, OPTIONS) as two:
        yield one, two


@pytest.fixture(scope="module", params=[haproxy, nginx])
def front(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: Certificate,
    services: tuple[Service, Service],
) -> Iterator[Front]:
    """A front before both servers."""
    with request.param(tmp_path_factory.mktemp("front"), certificate, *map(server_of, services)) as opened:
        yield opened


def test_haproxy_accepts_the_file_but_for_the_certificate() -> None:
    said = run("haproxy", "-c", "-f", DEPLOY / "haproxy/haproxy.cfg", check=False).stdout
    alerts = [line for line in said.splitlines() if "[ALERT]" in line]
    assert [line for line in alerts if "parsing" in line and "unable to stat SSL certificate" not in line] == []
    assert "[WARNING]" not in said


def test_a_client_is_known_by_its_own_address(front: Front) -> None:
    assert "private.example.org" in front.get("/mirrorlist/9/baseos", INSIDE)[1]
    assert "private.example.org" not in front.get("/mirrorlist/9/baseos", OUTSIDE)[1]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_nobody_can_pose_as_somebody_else(front: Front, header: str) -> None:
    claim = f"for={INSIDE}" if header == "Forwarded" else INSIDE
    status, body = front.get("/mirrorlist/9/baseos", OUTSIDE, **{header: claim})
    assert status == 200
    assert "private.example.org" not in body


def test_https_is_spoken_with_the_certificate(front: Front, certificate: Certificate) -> None:
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    with socket.create_connection(("127.0.0.1", front.https_port), 30, (INSIDE, 0)) as plain:
        with context.wrap_socket(plain, server_hostname=NAME) as secure:
            secure.sendall(f"GET /mirrorlist/9/baseos HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: secure.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"private.example.org" in answer


def ask(service: Service, client: str) -> str:
    """What a server answers to a client on whose behalf the front asks."""
    connection = http.client.HTTPConnection(*service.address, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/mirrorlist/9/baseos", headers={"X-Forwarded-For": client})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_two_servers_give_one_client_one_order(services: tuple[Service, Service]) -> None:
    clients = [f"198.51.100.{number}" for number in range(50)]
    orders = [[ask(service, client) for client in clients] for service in services]
    assert orders[0] == orders[1]
    assert len(set(orders[0])) > 10, "clients differ, so the servers cannot agree by chance"


@FRONTS
def test_no_request_fails_while_a_server_goes(
    open_front: OpenFront, tmp_path: Path, certificate: Certificate, tree: Path, services: tuple[Service, Service]
) -> None:
    with (
        open_service(tree, OPTIONS) as going,
        open_front(tmp_path, certificate, server_of(going), server_of(services[1])) as front,
    ):
        before = front.get("/mirrorlist/9/baseos")
        going.process.terminate()
        answers = {front.get("/mirrorlist/9/baseos") for _ in range(50)}
        assert going.process.wait(30) == 0
        assert {*answers, front.get("/mirrorlist/9/baseos")} == {before}
        assert before[0] == 200


class Closing(ThreadingTCPServer):
    """A server that answers some requests of a connection and closes at the next, as if it had been idle.

    closed  how many requests met a closing connection
    """

    daemon_threads = True

    def __init__(self, answers: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers = answers
        self.closed = 0
        self.server = Server(self.server_address[1], self.server_address[1])


class _Answers(BaseRequestHandler):
    server: Closing
    request: socket.socket

    def handle(self) -> None:
        with suppress(ConnectionError):
            for _ in range(self.server.answers):
                if not self.request.recv(65536):
                    return
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
            if self.request.recv(65536):
                self.server.closed += 1


@contextmanager
def open_closing(answers: int) -> Iterator[Closing]:
    with Closing(answers) as opened:
        thread = threading.Thread(target=opened.serve_forever, args=(0.01,))
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


@FRONTS
def test_a_request_that_meets_an_idle_close_is_sent_again(
    open_front: OpenFront, tmp_path: Path, certificate: Certificate
) -> None:
    with (
        open_closing(answers=1) as closing,
        open_closing(answers=1000) as other,
        open_front(tmp_path, certificate, closing.server, other.server) as front,
    ):
        assert {front.get("/mirrorlist/9/baseos") for _ in range(40)} == {(200, "ok\n")}
    assert closing.closed > 10


REGISTRY = "registry.example.org"


class _Forms(BaseHTTPRequestHandler):
    """Stands in for the registry's server: says what reached it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say()

    def _say(self) -> None:
        told = (self.command, self.path, self.headers["Host"], *map(self.headers.get, SAID))
        body = " ".join(map(str, told)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


SAID = ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded")


@pytest.fixture(scope="module", params=[haproxy, nginx])
def forms(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[Front]:
    """A front before a registry, the first server of which is down."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forms) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        there = Server(9, 9, registry.server_address[1])
        with request.param(tmp_path_factory.mktemp("forms"), certificate, Server(9, 9), there) as opened:
            yield opened
        registry.shutdown()


def ask_forms(front: Front, certificate: Certificate, method: str, body: bytes = b"", **headers: str) -> str:
    """What a registry behind *front* is asked, by https."""
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", front.https_port, timeout=PATIENCE_S, context=context)
    try:
        connection.request(method, "/api/v1/mirrors", body, {"Host": REGISTRY, **headers})
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode()}"
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "size"), [("GET", 0), ("POST", 60_000)])
def test_the_registry_is_reached_by_its_name_and_told_who_asks(
    forms: Front, certificate: Certificate, method: str, size: int
) -> None:
    said = ask_forms(forms, certificate, method, b"x" * size, **{"X-Forwarded-For": INSIDE, "Forwarded": "for=1.2.3.4"})
    assert said.replace("::ffff:", "") == f"200 {method} /api/v1/mirrors {REGISTRY} 127.0.0.1 https None"


def test_forms_are_reached_by_https_alone(forms: Front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", forms.http_port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/login?next=/", headers={"Host": REGISTRY})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{REGISTRY}/login?next=/")
    finally:
        connection.close()

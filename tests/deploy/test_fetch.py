"""Input files are put in place whole or not at all, and the server is asked for a reload when one changed."""

from __future__ import annotations

import gzip
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rig import DEPLOY, LIMIT_S

_spec = spec_from_file_location("fetch", DEPLOY / "fetch.py")
assert _spec is not None and _spec.loader is not None
fetch_file: Any = module_from_spec(_spec)  # a program, and no part of a package
_spec.loader.exec_module(fetch_file)

Fetch = Callable[..., subprocess.CompletedProcess[str]]


class Origin(ThreadingHTTPServer):
    """Where the files come from, and the server that is asked to read them.

    asked          paths that something was posted to
    reload_status  what it is answered with
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        folder.mkdir()
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[str] = []
        self.reload_status = 200

    def put(self, name: str, content: bytes, age_s: int = 0) -> str:
        """Have a file of that age, and its URL."""
        (self.folder / name).write_bytes(content)
        changed = (self.folder / name).stat().st_mtime - age_s
        os.utime(self.folder / name, (changed, changed))
        return f"{self.url}/{name}"


class _Handler(SimpleHTTPRequestHandler):
    """Hands out the files of a folder, cuts those named `short`, and takes reloads."""

    server: Origin

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.reload_status)
        self.end_headers()
        self.wfile.write(b"country.mmdb: no MMDB\n")

    def copyfile(self, source: object, outputfile: object) -> None:
        assert isinstance(source, io.BufferedReader)
        content = source.read()
        self.wfile.write(content[:-1] if self.path.startswith("/short") else content)

    def log_message(self, format: str, *arguments: object) -> None:
        print(format % arguments)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    made = Origin(tmp_path / "origin")
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "inputs"


@pytest.fixture
def fetch(into: Path) -> Fetch:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(DEPLOY / "fetch.py"), "--into", str(into), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode == code, done.stderr
        return done

    return run


def tree(**files: str) -> bytes:
    """A `.tar.gz` of *files*, `__` in a name being a slash."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size, member.mode = len(text), 0o600
            archive.addfile(member, io.BytesIO(text.encode()))
    return target.getvalue()


def test_a_file_is_fetched_once_and_again_when_it_changed(origin: Origin, fetch: Fetch, into: Path) -> None:
    url = origin.put("country.mmdb", b"old", age_s=60)
    assert "fetched" in fetch(url).stderr
    assert fetch(url).stderr == ""
    origin.put("country.mmdb", b"new")
    assert "fetched" in fetch(url).stderr
    assert (into / "country.mmdb").read_bytes() == b"new"


def test_what_cannot_be_fetched_stays_and_the_others_go_on(origin: Origin, fetch: Fetch, into: Path) -> None:
    url = origin.put("country.mmdb", b"old", age_s=60)
    fetch(url)
    (origin.folder / "country.mmdb").unlink()
    other = origin.put("asn.mmdb", b"asn")
    assert f"{url}: HTTP Error 404" in fetch(url, other, code=1).stderr
    assert (into / "country.mmdb").read_bytes() == b"old"
    assert (into / "asn.mmdb").read_bytes() == b"asn"


def test_a_body_that_breaks_off_is_not_put_in_place(origin: Origin, fetch: Fetch, into: Path) -> None:
    url = origin.put("short.mmdb", b"0123456789")
    assert "1 bytes are missing" in fetch(url, code=1).stderr
    assert not (into / "short.mmdb").exists()


def test_an_archive_becomes_a_folder_that_is_switched_at_once(origin: Origin, fetch: Fetch, into: Path) -> None:
    url = origin.put("mirrors.tar.gz", tree(**{"config.yml": "1", "mirrors.d__gone.yml": ""}), age_s=60)
    fetch(url)
    old = (into / "mirrors").resolve()
    origin.put("mirrors.tar.gz", tree(**{"config.yml": "2"}))
    fetch(url)
    assert (into / "mirrors/config.yml").read_text() == "2"
    assert not (into / "mirrors/mirrors.d").exists()
    assert (old / "config.yml").read_text() == "1", "a load that began before still reads it"
    origin.put("mirrors.tar.gz", tree(**{"config.yml": "3"}), age_s=-60)
    fetch(url)
    assert not old.exists()


@pytest.mark.parametrize(
    "archive",
    [tree(**{"config.yml": "2"})[:-20], tree(**{"..__outside.yml": "2"}), b"<html>", tree()],
    ids=["cut", "outside", "no archive", "empty"],
)
def test_a_broken_or_evil_archive_changes_nothing(origin: Origin, fetch: Fetch, into: Path, archive: bytes) -> None:
    url = origin.put("mirrors.tar.gz", tree(**{"config.yml": "1"}), age_s=60)
    fetch(url)
    origin.put("mirrors.tar.gz", archive)
    for _ in range(3):
        fetch(url, code=1)
    assert (into / "mirrors/config.yml").read_text() == "1"
    assert not list(into.rglob("outside.yml"))
    assert len(list(into.glob(".mirrors.[0-9]*"))) <= 2, "what a failure leaves is cleared by the next one"


def test_an_archive_with_one_folder_becomes_that_folder(origin: Origin, fetch: Fetch, into: Path) -> None:
    one = tree(**{"mirrors-main__config.yml": "1", "mirrors-main__mirrors.d__a.yml": ""})
    for number, archive in enumerate((one, tree(**{"config.yml": "2", "mirrors.d__a.yml": ""}), one), 1):
        fetch(origin.put("mirrors.tar.gz", archive, age_s=180 - 60 * number))
        assert (into / "mirrors/config.yml").read_text() == ("2" if number == 2 else "1")
        assert (into / "mirrors/mirrors.d/a.yml").exists()
        assert len(list(into.glob(".mirrors.[0-9]*"))) == min(number, 2), "the one before may still be read"


def test_an_archive_with_a_link_is_refused(origin: Origin, fetch: Fetch, into: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as archive:
        link = tarfile.TarInfo("config.yml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "neither file nor folder" in fetch(origin.put("mirrors.tar.xz", target.getvalue()), code=1).stderr
    assert not (into / "mirrors").exists()


def test_everybody_may_read_what_was_unpacked(origin: Origin, fetch: Fetch, into: Path) -> None:
    fetch(origin.put("mirrors.tar.gz", tree(**{"mirrors.d__a.yml": ""})))
    assert (into / "mirrors/mirrors.d/a.yml").stat().st_mode & 0o777 == 0o644


def test_a_reload_is_asked_for_when_something_changed_and_only_then(origin: Origin, fetch: Fetch) -> None:
    url = origin.put("country.mmdb", b"old")
    reload = ("--reload", f"{origin.url}/-/reload")
    fetch(*reload, url)
    fetch(*reload, url)
    assert origin.asked == ["/-/reload"]


def test_a_refused_reload_is_a_failure_that_is_told_and_not_repeated(origin: Origin, fetch: Fetch) -> None:
    origin.reload_status = 422
    url = origin.put("country.mmdb", b"old")
    reload = ("--reload", f"{origin.url}/-/reload")
    assert "country.mmdb: no MMDB" in fetch(*reload, url, code=1).stderr
    fetch(*reload, url)
    assert origin.asked == ["/-/reload"]


def test_a_server_that_did_not_answer_is_asked_the_next_time(origin: Origin, fetch: Fetch) -> None:
    url = origin.put("country.mmdb", b"old")
    assert "asked again the next time" in fetch("--reload", "http://127.0.0.1:9/-/reload", url).stderr
    fetch("--reload", f"{origin.url}/-/reload", url)
    assert origin.asked == ["/-/reload"]


def test_it_goes_on_until_it_is_told_to_end(origin: Origin, into: Path) -> None:
    url = origin.put("country.mmdb", b"old")
    command = [sys.executable, str(DEPLOY / "fetch.py"), "--into", str(into), "--every", "3600", url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "fetched" in process.stderr.readline()
        process.terminate()
        assert process.wait(LIMIT_S) == 0


@pytest.fixture(autouse=True)
def keep_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)


def packed(*members: tarfile.TarInfo, content: bytes = b"", padding: int = 0) -> bytes:
    """An archive of *members*, each with *content*, and zeros behind its end."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue() + bytes(padding), 1)


def special(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("mirrors/odd")
    member.type, member.linkname = kind, "mirrors/a.yml"
    return member


def claimed(kind: bytes, size: int) -> bytes:
    """An archive whose first header says that *size* bytes follow it."""
    member = tarfile.TarInfo("name")
    member.type, member.size = kind, size
    return gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240), 1)


def nested(kind: bytes, text: bytes) -> bytes:
    """An archive of 3,000 headers, each for the next one."""
    member = tarfile.TarInfo("name")
    member.type, member.size = kind, len(text)
    return gzip.compress((member.tobuf(tarfile.GNU_FORMAT) + text.ljust(512, b"\0")) * 3000, 1)


def spoiled() -> bytes:
    """An archive of a file that was stored as it is, and has another byte now."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo("a.yml")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"good"))
    return gzip.compress(raw.getvalue(), 0).replace(b"good", b"evil")


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(packed(special(tarfile.LNKTYPE)), id="hard link"),
        pytest.param(packed(special(tarfile.SYMTYPE)), id="link"),
        pytest.param(packed(special(tarfile.CHRTYPE)), id="device"),
        pytest.param(packed(special(tarfile.FIFOTYPE)), id="pipe"),
        pytest.param(packed(tarfile.TarInfo("mirrors/huge"), content=bytes((1 << 20) + 1)), id="large when unpacked"),
        pytest.param(packed(*(tarfile.TarInfo(f"mirrors/{n}") for n in range(60))), id="many files"),
        pytest.param(packed(tarfile.TarInfo("a/" * 3000 + "b")), id="deep"),
        pytest.param(nested(tarfile.XHDTYPE, b"11 path=aa\n"), id="headers for headers"),
        pytest.param(nested(tarfile.GNUTYPE_LONGNAME, b"name"), id="names for names"),
        pytest.param(spoiled(), id="another checksum"),
        pytest.param(claimed(tarfile.XHDTYPE, 1 << 33), id="endless header"),
        pytest.param(claimed(tarfile.GNUTYPE_LONGNAME, 1 << 33), id="endless name"),
        pytest.param(claimed(tarfile.REGTYPE, 1 << 33), id="endless file"),
    ],
)
def test_what_an_archive_may_come_to_is_bounded(
    origin: Origin, into: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes
) -> None:
    monkeypatch.setattr(fetch_file, "MAX_UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(fetch_file, "MAX_MEMBERS", 50)
    url = origin.put("mirrors.tar.gz", archive)
    assert fetch_file.main(["--into", str(into), url]) == 1
    assert not (into / "mirrors").exists()
    assert [path.name for path in into.iterdir() if path.is_dir()] == []


def test_a_file_that_is_too_large_is_not_put_in_place(
    origin: Origin, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_file, "MAX_BYTES", 1000)
    assert fetch_file.main(["--into", str(into), origin.put("country.mmdb", bytes(1001))]) == 1
    assert list(into.iterdir()) == []
    assert fetch_file.main(["--into", str(into), origin.put("asn.mmdb", bytes(1000))]) == 0


def test_a_link_that_lies_in_the_way_is_not_followed(origin: Origin, into: Path, tmp_path: Path) -> None:
    into.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    (into / ".country.mmdb.new").symlink_to(elsewhere)
    assert fetch_file.main(["--into", str(into), origin.put("country.mmdb", b"new")]) == 0
    assert elsewhere.read_text() == "kept"


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n500\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: http://a b/\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["no HTTP", "no status", "many headers", "no chunk", "half a chunk", "a redirect to nowhere"],
)
def test_a_server_that_answers_anything_ends_nobody(
    origin: Origin, into: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def serve() -> None:
            for _ in range(2):
                connection, _ = odd.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{odd.getsockname()[1]}"
        good = origin.put("asn.mmdb", b"good")
        assert fetch_file.main(["--into", str(into), "--reload", url, f"{url}/country.mmdb", good]) == 1
        thread.join()
    assert (into / "asn.mmdb").read_bytes() == b"good" and not (into / "country.mmdb").exists()
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.endswith("what is there stays")]) == 1


def test_a_file_that_drips_does_not_hold_up_the_others(
    origin: Origin, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_file, "MAX_FETCH_S", -1)
    assert fetch_file.main(["--into", str(into), origin.put("country.mmdb", b"new")]) == 1
    assert not (into / "country.mmdb").exists()


@pytest.mark.parametrize("path", ["/", "/a/..", ""])
def test_an_address_without_a_name_puts_nothing_anywhere(origin: Origin, into: Path, path: str) -> None:
    beside = sorted(into.parent.iterdir())
    assert fetch_file.main(["--into", str(into), origin.url + path]) == 1
    assert list(into.iterdir()) == [] and sorted(into.parent.iterdir()) == sorted([*beside, into])

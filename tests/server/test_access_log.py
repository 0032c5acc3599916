"""Lines of the access log: their forms, and that none is torn, lost in silence, or waited for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.answer.answer import Answer, Kind, Tier
from redirector.model import HostId
from redirector.server.between.access_log import (
    MAX_BATCHES,
    AccessLog,
    LogEntry,
    LogReceiver,
    LogWriter,
    Moment,
    mask,
    render_combined,
    render_json,
    render_mirrormanager,
)
from redirector.server.between.channel import make_pair
from tests.server.load import Crowd
from tests.server.running import METALINK, TARGET, serving, wait_until

NOW = Moment(1_790_000_000.0)


def entry(
    target: str = TARGET, agent: str = "dnf", asked: tuple[str, str] | None = ("fedora-40", "x86_64")
) -> LogEntry:
    answer = Answer(200, Kind.MIRRORLIST, b"12345", tier=Tier.COUNTRY, first=HostId(0), country="DE", asked=asked)
    return LogEntry(b"\x0a\0\0\x01", "GET", target, "HTTP/1.1", answer, 5, 0.00012, "a.example", "", agent)


def test_mirrormanager_line() -> None:
    line = render_mirrormanager(entry(), NOW)
    assert line == "IP: 10.0.0.1; DATE: 2026-09-21; COUNTRY: DE; REPO: fedora-40; ARCH: x86_64"


def test_mirrormanager_has_no_line_for_other_questions() -> None:
    assert render_mirrormanager(entry(asked=None), NOW) == ""


@pytest.mark.parametrize("repo", ["a; ARCH: b", "a\nIP: 1.2.3.4", "ä", "a b", "\udcff", "a" * 5000])
def test_mirrormanager_fields_stay_where_they_are(repo: str) -> None:
    line = render_mirrormanager(entry(asked=(repo, "x86_64")), NOW)
    assert re.fullmatch(r"IP: \S+; DATE: \S+; COUNTRY: \S+; REPO: [!-:<-~]+; ARCH: x86_64", line)


def test_combined_line() -> None:
    expected = (
        r'10\.0\.0\.1 - - \[21/Sep/2026:\d\d:13:20 [+-]\d{4}\] "GET /mirrorlist\?repo=fedora-40&arch=x86_64 HTTP/1\.1" '
        r'200 5 "-" "dnf"'
    )
    assert re.fullmatch(expected, render_combined(entry(), NOW))


@pytest.mark.parametrize("agent", ['"', "\\", "\r\n", "\x1b[31m", "é", "\udc80"])
def test_combined_fields_are_escaped(agent: str) -> None:
    line = render_combined(entry(agent=f"x{agent}y"), NOW)
    assert line.isascii() and line.isprintable()
    assert line.count('"') == 6


def test_json_line() -> None:
    line = json.loads(render_json(entry(agent="\n\udc80"), NOW))
    assert (line["client"], line["status"], line["host"], line["tier"]) == ("10.0.0.1", 200, "a.example", "country")
    assert line["time"] == "2026-09-21T14:13:20Z"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    source, sink = make_pair(socket.SOCK_DGRAM)
    sink.setblocking(False)
    with source, sink:
        yield source, sink


def test_lines_come_through_whole_and_in_order(sockets: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    source, sink = sockets
    receiver = LogReceiver(source)
    receiver.direct(str(tmp_path / "log"))
    lost: list[int] = []
    log = AccessLog(lambda entry, moment: entry.target, sink, lost.append)
    for number in range(3000):
        log.add(entry(f"/{number:04}" + "x" * 100))
        if number % 100 == 0:
            log.flush()
            receiver.read()
    while not log.flush():
        receiver.read()
    receiver.read()
    receiver.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [f"/{number:04}" + "x" * 100 for number in range(3000)]
    assert (lost, receiver.lost_lines) == ([], 0)


def test_a_worker_that_nobody_reads_from_counts_what_it_drops(sockets: tuple[socket.socket, socket.socket]) -> None:
    lost: list[int] = []
    log = AccessLog(lambda entry, moment: "x" * 4000, sockets[1], lost.append)
    total = 20 * MAX_BATCHES
    for _ in range(total):
        log.add(entry())
    assert not log.flush()
    assert 0 < sum(lost) < total


def test_a_full_disk_loses_lines_and_says_how_many() -> None:
    writer = LogWriter("/dev/full")
    writer.put(b"one\ntwo\n")
    writer.close(5)
    assert writer.lost_lines == 2


def test_a_blocked_pipe_stalls_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = LogWriter(str(pipe))
    batch = b"x" * 99 + b"\n"
    for _ in range(500):
        writer.put(batch * 1000)
    assert writer.lost_lines > 0
    writer.close(0.1)


def test_a_file_that_cannot_be_written_is_refused_at_start(source: Path, tmp_path: Path) -> None:
    with serving(source, "--access-log", str(tmp_path / "none" / "log"), ready=False) as server:
        server.wait_for("access log .*No such file")
        assert server.wait() == 1


async def test_logrotate_loses_no_line(source: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with serving(source, "--workers", "2", "--access-log", str(log), "--access-log-format", "combined") as server:
        crowd = Crowd(server.address, 6, 2, pause_s=0.005)
        for turn in range(3):
            await crowd.reach(100)
            log.rename(tmp_path / f"access.log.{turn}")
            server.signal(signal.SIGUSR1)
            await asyncio.to_thread(wait_until, lambda: [1] if log.exists() else [], 1)
        await crowd.reach(50)
        tally = await crowd.stop()
        server.signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.wait) == 0
    lines = [line for path in tmp_path.glob("access.log*") for line in path.read_text().splitlines()]
    assert len(lines) == tally.count
    assert all(re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "GET /\S* HTTP/1\.1" \d+ \d+ "-" "-"', line) for line in lines)


@pytest.mark.parametrize(("form", "check"), [("combined", str.isascii), ("json", json.loads), ("mirrormanager", len)])
def test_standard_output_takes_the_lines(source: Path, form: str, check: Callable[[str], object]) -> None:
    with serving(source, "--access-log", "-", "--access-log-format", form) as server:
        server.ask(TARGET)
        server.ask(METALINK)
        server.signal(signal.SIGTERM)
        assert server.process.stdout is not None
        lines = server.process.stdout.read().decode().splitlines()
        assert server.wait() == 0
    assert len(lines) == 2
    assert all(check(line) for line in lines)


def test_a_blocked_reader_of_standard_output_stalls_no_answer(source: Path) -> None:
    """Nobody reads the pipe, which takes 64 kB."""
    with serving(source, "--access-log", "-", "--access-log-format", "combined") as server:
        for _ in range(40):
            assert server.ask(TARGET, User_Agent="x" * 4000).status == 200
        assert server.ask_admin("/readyz").status == 200


@pytest.mark.parametrize(("address", "masked"), [("192.0.2.77", "192.0.2.0"), ("2001:db8:1:2:3::4", "2001:db8:1::")])
def test_masked_addresses_name_the_network_alone(address: str, masked: str) -> None:
    assert mask(ip_address(address).packed) == ip_address(masked).packed
    assert mask(None) is None

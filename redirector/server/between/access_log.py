"""The access log: lines made in the workers, written by one thread of the supervisor.

A worker joins its lines to batches and sends them over a datagram socket that never blocks; a batch is whole lines, so
no line is torn between workers. Only the supervisor's thread touches the file, so a full disk or a blocked pipe
stalls neither an answer nor a reload: what cannot be kept is counted as lost.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any, TypeVar

from redirector.answer.answer import Answer

_log = logging.getLogger("redirector.server")

BATCH_BYTES = 64_000
"""How much is sent at once: little enough that the last lines, which come on top, fit into the datagram too."""

MAX_DATAGRAM_BYTES = 200_000
"""More than a batch can have: the longest line takes some 130 kB. Larger ones do not fit into the socket's buffer."""

MAX_BATCHES = 125
"""How many batches a worker keeps while the supervisor does not read: 8 MB."""

MAX_QUEUED_BYTES = 32 << 20
"""How much the supervisor keeps while the file or pipe does not take it."""

MAX_ASKED = 4096
"""Repositories whose part of MirrorManager's line is kept."""

MAX_FACTS = 256
"""How many requests a worker collects before it makes MirrorManager's lines of them: many in a row are quicker
made than one at a time."""

CLOSE_S = 2.0
"""How long the last lines may take; a blocked pipe must not keep the server from ending."""

MAX_FIELD_CHARACTERS = 4096
"""What is longer is cut: nobody's statistics need it, and a line must fit into a datagram."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One answered request.

    client      4 or 16 bytes; None when unknown
    target      as it stood in the request line
    sent_bytes  of the body
    duration_s  from the last byte read until the answer is made, or written if aiohttp does it
    """

    client: bytes | None
    method: str
    target: str
    version: str
    answer: Answer
    sent_bytes: int
    duration_s: float
    first: str | None
    referer: str
    agent: str


class Moment:
    """The present second, spelled as the formats need it."""

    def __init__(self, now: float) -> None:
        self.refresh(now)

    def refresh(self, now: float) -> None:
        """Spell *now*."""
        clock = time.localtime(now)
        self.day = time.strftime("%Y-%m-%d", time.gmtime(now))
        self.common = f"{clock.tm_mday:02d}/{_MONTHS[clock.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S %z', clock)}"
        self.iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not `%b`, which speaks the operator's language."""


Facts = tuple[bytes | None, str | None, tuple[str, str]]
"""What MirrorManager's line tells of a request: the client's address, its country, and what it asked for."""


def spell_facts(facts: Iterable[Facts], day: str, words: dict[tuple[str, str], str]) -> list[str]:
    """MirrorManager's lines, whose days are those of UTC. cost: 0.6 µs each

    words  the ends of lines spelled before, by what was asked for
    """
    places = _Places(day)
    lines = []
    for client, country, asked in facts:
        end = words.get(asked)
        if end is None:
            if len(words) >= MAX_ASKED:
                words.clear()
            end = words[asked] = spell_asked(asked)
        if client is None:
            address = "N/A"
        else:  # `address_text`, without a call for each line
            address = inet_ntop(AF_INET if len(client) == 4 else AF_INET6, client)
        lines.append(f"IP: {address}{places[country]}{end}")
    return lines


class _Places(dict[str | None, str]):
    """Country -> what stands in the middle of MirrorManager's lines of one day, `; DATE: 2026-11-28; COUNTRY: DE; `."""

    def __init__(self, day: str) -> None:
        super().__init__()
        self._day = day

    def __missing__(self, country: str | None) -> str:
        place = self[country] = f"; DATE: {self._day}; COUNTRY: {country or 'N/A'}; "
        return place


def spell_asked(asked: tuple[str, str]) -> str:
    """The end of MirrorManager's line."""
    return f"REPO: {_plain(asked[0])}; ARCH: {_plain(asked[1])}\n"


def render_mirrormanager(entry: LogEntry, moment: Moment) -> str:
    """MirrorManager's line, for answers about `repo` and `arch`; "" for others."""
    answer = entry.answer
    if not answer.asked:
        return ""
    (line,) = spell_facts([(entry.client, answer.country, answer.asked)], moment.day, {})
    return line.rstrip()


def render_combined(entry: LogEntry, moment: Moment) -> str:
    """The combined format of Apache and nginx."""
    request = f"{_quoted(entry.method)} {_quoted(entry.target)} {entry.version}"
    return (
        f'{address_text(entry.client, "-")} - - [{moment.common}] "{request}" {entry.answer.status} {entry.sent_bytes} '
        f'"{_quoted(entry.referer) or "-"}" "{_quoted(entry.agent) or "-"}"'
    )


def render_json(entry: LogEntry, moment: Moment) -> str:
    """One object."""
    answer = entry.answer
    return json.dumps(
        {
            "time": moment.iso,
            "client": address_text(entry.client, None),
            "method": entry.method,
            "target": entry.target[:MAX_FIELD_CHARACTERS],
            "status": answer.status,
            "bytes": entry.sent_bytes,
            "duration_s": round(entry.duration_s, 6),
            "answer": answer.kind.value,
            "tier": answer.tier.value,
            "host": entry.first,
            "country": answer.country,
            "relaxed": answer.relaxed,
            "referer": entry.referer[:MAX_FIELD_CHARACTERS] or None,
            "agent": entry.agent[:MAX_FIELD_CHARACTERS] or None,
        }
    )


Absent = TypeVar("Absent")
Render = Callable[[LogEntry, Moment], str]

FORMATS: dict[str, Render] = {
    "mirrormanager": render_mirrormanager,
    "combined": render_combined,
    "json": render_json,
}


def address_text(address: bytes | None, absent: Absent) -> str | Absent:
    """*address* as people write it."""
    if address is None:
        return absent
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def _plain(text: str) -> str:
    """*text* without anything that would end a field or the line: percent-encoded instead."""
    cut = text[:MAX_FIELD_CHARACTERS]
    if cut.isascii() and cut.isprintable() and " " not in cut and ";" not in cut:
        return cut
    return "".join(
        each if 0x20 < ord(each) < 0x7F and each != ";" else "".join(f"%{byte:02X}" for byte in _bytes(each))
        for each in cut
    )


def _quoted(text: str) -> str:
    """*text* for between quotation marks, escaped as Apache does."""
    cut = text[:MAX_FIELD_CHARACTERS]
    if cut.isascii() and cut.isprintable() and '"' not in cut and "\\" not in cut:
        return cut
    return "".join(
        each if 0x20 <= ord(each) < 0x7F and each not in '"\\' else "".join(f"\\x{byte:02x}" for byte in _bytes(each))
        for each in cut
    )


def _bytes(character: str) -> bytes:
    return character.encode("utf-8", "surrogateescape")


def mask(client: bytes | None) -> bytes | None:
    """The /24 or /48 that an address is in, as an address; it stands for some hundred people, or for one site."""
    return client and (client[:3] + bytes(1) if len(client) == 4 else client[:6] + bytes(10))


class AccessLog:
    """A worker's end: makes lines and sends them in batches.

    sink    datagram socket that does not block
    lost    called with the number of lines that were dropped
    moment  refreshed by the owner once a second
    is_mirrormanager  lines are MirrorManager's, and may be added by their facts
    masked  of addresses the network alone is told, see `mask`
    take    gives lines that others have made since it was called last
    """

    def __init__(self, render: Render, sink: socket.socket, lost: Callable[[int], None], masked: bool = False) -> None:
        self._render = render
        self.masked = masked
        self.is_mirrormanager = render is render_mirrormanager
        self._sink = sink
        self._lost = lost
        self.take: Callable[[], bytes] = bytes
        self._facts: list[Any] = []
        self._words: dict[tuple[str, str], str] = {}
        self._parts: list[str] = []
        self._characters = 0
        self._batches: deque[bytes] = deque()
        self.moment = Moment(time.time())

    def add(self, entry: LogEntry) -> None:
        """Keep the line of *entry* for the next batch."""
        if self.masked:
            entry = replace(entry, client=mask(entry.client))
        if not self.is_mirrormanager:
            if line := self._render(entry, self.moment):
                self._keep(line + "\n")
        elif entry.answer.asked:
            self.add_facts(entry.client, entry.answer.country, entry.answer.asked)

    def add_facts(self, client: bytes | None, country: str | None, asked: tuple[str, str]) -> None:
        """Keep what MirrorManager's line will say. cost: 0.15 µs, and 0.7 µs to spell it later"""
        if self.masked:
            client = mask(client)
        self._facts += (client, country, asked)  # three items: a tuple of them would cost as much again
        if len(self._facts) >= 3 * MAX_FACTS:
            self._spell()

    def _spell(self) -> None:
        facts = iter(self._facts)
        self._facts = []
        lines = spell_facts(zip(facts, facts, facts, strict=True), self.moment.day, self._words)
        text = "".join(lines)
        for part in [text] if len(text) <= BATCH_BYTES else lines:
            self._keep(part)

    def keep_lines(self, lines: bytes) -> None:
        """Keep whole lines for the next batch, a batch of them at most. They may overtake others."""
        self._batches.append(lines)

    def _keep(self, part: str) -> None:
        self._parts.append(part)
        self._characters += len(part)
        if self._characters > BATCH_BYTES:
            self.flush()

    def flush(self) -> bool:
        """Send what is kept as far as the socket takes it; True when nothing is left."""
        if self._facts:
            self._spell()
        if lines := self.take():
            self.keep_lines(lines)
        if self._parts:
            self._batches.append("".join(self._parts).encode("utf-8", "replace"))
            self._parts = []
            self._characters = 0
        while self._batches:
            try:
                self._sink.send(self._batches[0])
            except BlockingIOError:
                break
            except OSError:
                self._lost(_count(self._batches[0]))
            self._batches.popleft()
        while len(self._batches) > MAX_BATCHES:
            self._lost(_count(self._batches.popleft()))
        return not self._batches


def _count(batch: bytes) -> int:
    return batch.count(b"\n")


class LogWriter:
    """The supervisor's end: a thread that writes batches to *path* (`-`: standard output).

    raises  OSError when *path* cannot be opened
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open_log(path)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._put_bytes = 0
        self._done_bytes = 0
        self._refused_lines = 0
        self._unwritten_lines = 0
        self._torn = False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    @property
    def lost_lines(self) -> int:
        return self._refused_lines + self._unwritten_lines

    def put(self, batch: bytes) -> None:
        """Have *batch* written, unless too much waits already."""
        if self._put_bytes - self._done_bytes > MAX_QUEUED_BYTES:
            self._refused_lines += _count(batch)
            return
        self._put_bytes += len(batch)
        self._queue.put(batch)

    def reopen(self) -> None:
        """Go on in a file newly opened under the same path, behind all that was put so far."""
        self._queue.put(b"")

    def close(self, timeout_s: float) -> None:
        """Write what was put, for at most *timeout_s*."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            if batch:
                self._write(batch)
                self._done_bytes += len(batch)
            else:
                self._open_again()

    def _write(self, batch: bytes) -> None:
        rest = b"\n" + batch if self._torn else batch
        try:
            while rest:
                written = os.write(self._file, rest)
                self._torn = written < len(rest) and rest[written - 1 : written] != b"\n"
                rest = rest[written:]
        except OSError as error:
            self._unwritten_lines += _count(rest)
            _log.error("access log %s: %s; lines are lost", self._path, error.strerror)

    def _open_again(self) -> None:
        try:
            fresh = open_log(self._path)
        except OSError as error:
            _log.error("access log %s: cannot be opened again: %s; the old file goes on", self._path, error.strerror)
            return
        os.close(self._file)
        self._file = fresh


def open_log(path: str) -> int:
    """A descriptor that appends to *path*. A pipe is opened for reading too, which does not wait for a reader."""
    if path == "-":
        return os.dup(1)
    is_pipe = os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)
    mode = os.O_RDWR if is_pipe else os.O_WRONLY | os.O_APPEND | os.O_CREAT
    return os.open(path, mode | os.O_CLOEXEC, 0o640)


class LogReceiver:
    """Takes the batches of all workers from *source*, and has them written to where the configuration says."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._buffer = memoryview(bytearray(MAX_DATAGRAM_BYTES))  # allocated for each it would be mapped anew each time
        self._path: str | None = None
        self._writer: LogWriter | None = None
        self._lost_before = 0

    @property
    def lost_lines(self) -> int:
        return self._lost_before + (self._writer.lost_lines if self._writer is not None else 0)

    def direct(self, path: str | None) -> None:
        """Write to *path* from now on. Raises OSError, and goes on as before then."""
        if path == self._path:
            return
        writer = None if path is None else LogWriter(path)
        self.read()
        self.close()
        self._path, self._writer = path, writer

    def read(self) -> None:
        """Take all that waits; to be called when *source* is readable."""
        with suppress(BlockingIOError):
            while True:
                batch = bytes(self._buffer[: self._source.recv_into(self._buffer)])
                if self._writer is not None:
                    self._writer.put(batch)

    def reopen(self) -> None:
        """Open the file again, for logrotate."""
        self.read()
        if self._writer is not None:
            self._writer.reopen()

    def close(self) -> None:
        """Write what was taken, for as long as that may last."""
        if self._writer is not None:
            self._writer.close(CLOSE_S)
            self._lost_before += self._writer.lost_lines
            self._writer = None

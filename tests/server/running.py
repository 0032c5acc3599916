"""A server of real processes on loopback: started, asked, signalled, and looked into through `/proc`."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.patience import PATIENCE_S
from tests.sources.snapshot_file import MirrorList

TARGET = "/mirrorlist?repo=fedora-40&arch=x86_64"
METALINK = "/metalink?repo=fedora-40&arch=x86_64"

_READY = re.compile(r"ready on (.+) \(admin ([^)]+)\)")
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


def write_snapshot(path: Path, hosts: int = 4, built: int = 1_790_000_000, repositories: int = 1) -> Path:
    """A MirrorManager snapshot with *hosts* mirrors in Germany, put in place at once."""
    written = MirrorList(Time=built)
    numbers = list(range(1, hosts + 1))
    directory = written.MirrorListCache.add(directory="pub/linux/40/x86_64/os", Global=numbers)
    directory.Subpath = "linux/40/x86_64/os"
    directory.ByCountry.add(key="DE", value=numbers)
    for number in numbers:
        directory.ByHostId.add(key=number, value=[number])
        written.HCUrlCache.add(key=number, value=f"https://mirror{number}.example.org/pub")
        written.HostCountryCache.add(key=number, value="DE")
        written.HostBandwidthCache.add(key=number, value=1000)
    metadata = written.MirrorListCache.add()
    metadata.CopyFrom(directory)
    metadata.directory = "pub/linux/40/x86_64/os/repodata"
    metadata.Subpath = "linux/40/x86_64/os/repodata"
    for number in range(repositories):
        written.RepoArchToDirectoryName.add(key=f"fedora-{40 + number}+x86_64", value="pub/linux/40/x86_64/os")
    files = written.FileDetailsCache.add(directory="pub/linux/40/x86_64/os/repodata")
    file = files.FileDetailsCacheFiles.add(filename="repomd.xml")
    file.FileDetails.add(
        TimeStamp=1_789_000_000, Size=1234, SHA1="b" * 40, MD5="a" * 32, SHA256="c" * 64, SHA512="d" * 128
    )
    fresh = path.with_suffix(".new")
    fresh.write_bytes(written.SerializeToString())
    fresh.replace(path)
    return path


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        parsed: dict[str, object] = json.loads(self.body)
        return parsed


class Server:
    """A running server. `url` and `admin` are what its ready line says."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], descriptors: Sequence[int]) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=descriptors,
            start_new_session=True,
        )
        self.said: list[str] = []
        self.url = self.admin = ""
        self._heard = threading.Condition()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.said.append(line.decode().rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self.said.append("END OF LOG")
            self._heard.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """The match of *pattern* in the log, once *count* lines match."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.said if (match := re.search(pattern, line))]

        with self._heard:
            self._heard.wait_for(lambda: len(found()) >= count or self.said[-1:] == ["END OF LOG"], PATIENCE_S)
            assert len(found()) >= count, f"nobody said {pattern!r}:\n" + "\n".join(self.said)
            return found()[-1]

    def wait_until_ready(self) -> None:
        ready = self.wait_for(_READY.pattern)
        self.url, self.admin = ready[1].partition(", ")[0], ready[2]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None and parts.port is not None
        return parts.hostname, parts.port

    def ask(self, target: str = TARGET, method: str = "GET", **headers: str) -> Reply:
        return ask(self.url, target, method, **headers)

    def ask_admin(self, target: str, method: str = "GET") -> Reply:
        return ask(self.admin, target, method)

    def reload(self, query: str = "") -> Reply:
        return self.ask_admin(f"/-/reload{query}", "POST")

    def metrics(self) -> dict[str, float]:
        """Every sample, as it is written: `name{label="value"}` -> value."""
        text = self.ask_admin("/metrics").body.decode()
        samples = (_SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
        return {
            f"{sample[1]}{{{sample[2]}}}" if sample[2] else sample[1]: float(sample[3]) for sample in samples if sample
        }

    def requests(self) -> int:
        """How many requests the server says it has answered."""
        return int(sum(value for name, value in self.metrics().items() if name.startswith("redirector_requests_total")))

    def nursery(self) -> int:
        """The process id of the nursery; waits until there is one alone."""
        return wait_until(lambda: [pid for pid in children_of(self.pid) if name_of(pid) == "rd-nursery"], 1)[0]

    def workers(self, count: int) -> list[int]:
        """The process ids of *count* workers, wherever they hang in the tree; waits until there are so many."""

        def find() -> list[int]:
            below = children_of(self.pid)
            below += [grandchild for child in below for grandchild in children_of(child)]
            return [pid for pid in below if name_of(pid).startswith("rd-worker")]

        return wait_until(find, count)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        code = self.process.wait(PATIENCE_S)
        self._listener.join(PATIENCE_S)
        return code

    def close(self) -> None:
        """End all of it, whatever state it is in."""
        if "COVERAGE_PROCESS_CONFIG" in os.environ and self.process.poll() is None:
            # Whoever is killed tells nobody what it ran.
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self._listener.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextmanager
def serving(
    source: Path | None,
    *options: str,
    config: Path | None = None,
    ready: bool = True,
    starter: Sequence[str] = (),
    descriptors: Sequence[int] = (),
) -> Iterator[Server]:
    """A server of *source* with one worker on free ports, unless *options* say otherwise.

    config       a file that says all, where flags would hide it
    ready        wait until it is
    starter      a command that executes the one behind it
    descriptors  what it inherits
    """
    command = [*starter, sys.executable, "-m", "redirector", "serve"]
    given = [] if source is None else ["--source", str(source)]
    usual = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"]
    for flag, value in zip(usual[::2], usual[1::2], strict=True):
        if flag not in options and config is None:
            given += [flag, value]
    if config is not None:
        given += ["--config", str(config)]
    server = Server([*command, *given, *options], dict(os.environ), descriptors)
    try:
        if ready:
            server.wait_until_ready()
        yield server
    finally:
        server.close()


def ask(url: str, target: str, method: str = "GET", **headers: str) -> Reply:
    """One request on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def children_of(pid: int) -> list[int]:
    """Living children of *pid*."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        texts = [Path(f"/proc/{pid}/task/{thread}/children").read_text() for thread in threads]
    except OSError:
        return []
    return [child for text in texts for child in map(int, text.split()) if name_of(child)]


def started_by(pid: int) -> list[int]:
    """Children of *pid* that run a program of their own. One stopped before it does would hold *pid* up for ever."""
    return [child for child in children_of(pid) if name_of(child) not in ("", name_of(pid))]


def name_of(pid: int) -> str:
    """The name of a living process; "" when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    name, _, rest = status.partition("(")[2].rpartition(")")
    return "" if rest.split()[0] in "ZX" else name


def is_alive(pid: int) -> bool:
    return name_of(pid) != ""


def wait_until(find: Callable[[], list[int]], count: int) -> list[int]:
    """What *find* returns, once it returns *count* things: processes come and go without telling us."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = find()
        if len(found) == count:
            return found
        assert time.monotonic() < end, f"{found} instead of {count}"
        time.sleep(0.02)

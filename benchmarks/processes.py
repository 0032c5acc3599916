"""Servers under test: started on cores of their own, watched through /proc, and ended."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from compileall import compile_dir
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from time import monotonic, perf_counter, sleep

ROOT = Path(__file__).resolve().parents[1]

_READY = re.compile(r"ready on http://(\S+) \(admin http://([^\s)]+)\)")

_READY_WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the server has, and which the load. On one core both share it, and no number means much."""

    server: tuple[int, ...]
    load: tuple[int, ...]


def split_cores() -> Cores:
    """One core for the server, the others for the load."""
    available = sorted(os.sched_getaffinity(0))
    return Cores(server=(available[0],), load=tuple(available[1:]) or (available[0],))


def pinned(cores: Sequence[int], command: Sequence[str]) -> list[str]:
    """*command*, kept on *cores*."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    address   `HOST:PORT` that answers clients
    admin     `HOST:PORT` of the operator's listener; "" when it has none
    pid       its first process, from which the others descend; 0 when it is not known
    started_s seconds from start to ready
    """

    address: str
    pid: int
    admin: str = ""
    started_s: float = 0.0
    log: list[str] = field(default_factory=list)


@contextmanager
def run_redirector(options: Sequence[str], cores: Sequence[int], root: Path = ROOT) -> Iterator[Server]:
    """`redirector serve` of the checkout *root* with *options* on free ports; ended with SIGTERM."""
    command = [sys.executable, "-m", "redirector", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    compile_dir(root / "redirector", quiet=2)  # as every installation is; here it may be forbidden to write that down
    start = perf_counter()
    with subprocess.Popen(
        pinned(cores, [*command, *options]), stderr=subprocess.PIPE, text=True, cwd=root, start_new_session=True
    ) as process:
        log: list[str] = []
        ready = threading.Event()
        reader = threading.Thread(target=_read_log, args=(process, log, ready), daemon=True)
        reader.start()
        try:
            ready.wait(_READY_WITHIN_S)
            found = next((match for line in log if (match := _READY.search(line))), None)
            if found is None:
                raise RuntimeError("redirector did not get ready:\n" + "".join(log))
            yield Server(found[1], process.pid, found[2], perf_counter() - start, log)
        finally:
            process.terminate()
            process.wait(60)
            reader.join(5)


def _read_log(process: subprocess.Popen[str], log: list[str], ready: threading.Event) -> None:
    """Keep what the server says; *ready* when it says so, or has ended."""
    assert process.stderr is not None
    for line in process.stderr:
        log.append(line)
        if _READY.search(line):
            ready.set()
    ready.set()


# -- The yardstick -----------------------------------------------------------------------------------------------------

_NGINX = """\
daemon off;
master_process off;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 32768; multi_accept on; }}
http {{
  access_log off;
  default_type text/plain;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  open_file_cache max=10 inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {folder};
    location /mirrorlist/ {{ try_files /tree =404; }}
  }}
}}
"""


def find_nginx() -> str | None:
    """Path of the program, which Debian keeps out of ordinary users' paths."""
    return which("nginx") or which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def run_nginx(folder: Path, sizes: Mapping[str, int], cores: Sequence[int]) -> Iterator[Server]:
    """nginx with one worker that hands out static files: for each path of *sizes* one of so many bytes.

    The path `tree` answers everything under `/mirrorlist/`.
    """
    program = find_nginx()
    assert program, "nginx is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (folder / name).write_bytes((b"https://mirror.example.org/pub/meadow/linux\n" * (size // 44 + 1))[:size])
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    command = pinned(cores, [program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_until_open(("127.0.0.1", port))
            yield Server(f"127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_open(address: tuple[str, int], within_s: float = 10.0) -> None:
    """Return when *address* accepts connections; it has no other way to say so."""
    end = monotonic() + within_s
    while True:
        try:
            socket.create_connection(address).close()
            return
        except ConnectionRefusedError:
            if monotonic() > end:
                raise
            sleep(0.02)


# -- What the kernel knows about processes -----------------------------------------------------------------------------

_TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


def busy_seconds(cores: Sequence[int]) -> float:
    """CPU time that *cores* have spent on anything since the machine started."""
    spent = 0.0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:] in map(str, cores):
            idle, waiting = int(ticks[3]), int(ticks[4])
            spent += (sum(map(int, ticks[:8])) - idle - waiting) * _TICKS_S
    return spent


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a server. Sizes: *pss* counts a shared page in parts, *private* is what nobody shares."""

    pid: int
    name: str
    cpu_s: float
    pss_bytes: int
    private_bytes: int
    peak_bytes: int


def family(pid: int) -> list[Process]:
    """The process *pid* and everything that descends from it, parents first; nobody for 0."""
    if pid == 0:
        return []
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    pids = [pid]
    for parent in pids:
        pids += children.get(parent, [])
    found = []
    for member in pids:
        with suppress(OSError):
            found.append(_read_process(member))
    return found


def workers(pid: int) -> list[Process]:
    """Those of the family that answer: the ones that name themselves so, or else all that have no children."""
    members = family(pid)
    return [process for process in members if process.name.startswith("rd-worker")] or members[-1:]


def _read_process(pid: int) -> Process:
    folder = Path("/proc") / str(pid)
    times = (folder / "stat").read_text().rpartition(")")[2].split()
    sizes = _read_sizes(folder / "smaps_rollup")
    return Process(
        pid=pid,
        name=(folder / "comm").read_text().strip(),
        cpu_s=(int(times[11]) + int(times[12])) * _TICKS_S,
        pss_bytes=sizes["Pss"],
        private_bytes=sizes["Private_Clean"] + sizes["Private_Dirty"],
        peak_bytes=_read_sizes(folder / "status")["VmHWM"],
    )


def _read_sizes(path: Path) -> dict[str, int]:
    """The lines `NAME: N kB` of a file, in bytes."""
    return {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", path.read_text(), re.MULTILINE)}

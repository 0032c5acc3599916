"""What the kernel is told about our processes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys

SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1})
"""Signals that only the supervisor acts on, although systemd, a terminal or `tini -g` sends them to all of us."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_SUPERVISORS_OWN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def become_subreaper() -> None:
    """Become the parent of grandchildren whose parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """End when the parent does, even in the middle of a load. A child of this process is not bound by it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def raise_descriptor_limit() -> None:
    """Allow as many open files as this process may allow itself; workers inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def name_process(name: str) -> None:
    """Show *name* in `top` and `ps -o comm`; the kernel keeps 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def start_nursery(control: socket.socket) -> int:
    """Start a nursery whose standard input is *control*, and return its process id.

    It runs this program from where this process found it. The signals stay blocked until it ignores them, so that none
    can end it while it starts.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _SUPERVISORS_OWN}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # numpy's library would start threads, and a nursery forks
    environment["SSL_CERT_FILE"] = os.devnull  # nobody here needs the certificates that aiohttp reads on import
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    command = [sys.executable, "-P", "-m", "redirector.server.nursery"]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = subprocess.Popen(command, stdin=control.fileno(), env=environment)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    process.returncode = 0  # whoever takes the status of all children takes this one's
    return process.pid


UNASKED = 64
"""How many exit codes are kept of children nobody has asked about yet; those whose parent died come in dozens."""


class Children:
    """Exit codes of this process's children, and of grandchildren whose parent died."""

    def __init__(self) -> None:
        self._awaited: dict[int, asyncio.Future[int]] = {}
        self._unasked: dict[int, int] = {}

    def ending(self, pid: int) -> asyncio.Future[int]:
        """The exit code of *pid*, or the negative number of a signal, once it has ended; to be asked for soon after it
        was started."""
        ending = self._awaited[pid] = asyncio.get_running_loop().create_future()
        if pid in self._unasked:
            self._settle(pid, self._unasked.pop(pid))
        return ending

    def reap(self) -> None:
        """Take the exit codes of all that ended; to be called on SIGCHLD."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._settle(pid, os.waitstatus_to_exitcode(status))

    def _settle(self, pid: int, code: int) -> None:
        awaited = self._awaited.pop(pid, None)
        if awaited is None:
            self._unasked[pid] = code
            if len(self._unasked) > UNASKED:
                del self._unasked[next(iter(self._unasked))]
        elif not awaited.done():
            awaited.set_result(code)


def name_exit(code: int) -> str:
    """How an exit code reads in a log line."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

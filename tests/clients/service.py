"""The service itself: `redirector serve` as a process of its own, on free loopback ports."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from tests.patience import PATIENCE_S

_READY = re.compile(r"redirector: ready on (http://\S+) \(admin (http://[^)]+)\)")
_COMMAND = [sys.executable, "-m", "redirector", "serve"]


class Flavour(Enum):
    """A dialect of the source under a policy."""

    ALMALINUX = "almalinux"
    MIRRORMANAGER = "mirrormanager"
    COMPATIBLE = "compatible"


class Kind(Enum):
    """What a client asks for; the value is dnf's word for it, and the path's."""

    MIRRORLIST = "mirrorlist"
    METALINK = "metalink"


def list_url(kind: Kind, flavour: Flavour, repository: str) -> str:
    """Path and query of the list of *repository*, such as `baseos-9`, in the spelling of the dialect."""
    if kind is Kind.MIRRORLIST and flavour is Flavour.ALMALINUX:
        name, _, version = repository.partition("-")
        return f"/mirrorlist/{version}/{name}"
    return f"/{kind.value}?repo={repository}&arch=$basearch"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    address  (host, port) that clients use
    admin    URL of the operator's listener
    """

    process: subprocess.Popen[str]
    address: tuple[str, int]
    admin: str

    def reload(self) -> None:
        """Read all files again; returns when the new ones are served, raises when they are refused."""
        request = urllib.request.Request(f"{self.admin}/-/reload", method="POST")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert answer.status == 200

    def count(self, sample: str) -> float:
        """The value of one sample of the metrics, named with its labels as they print; 0 where it has not come up."""
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=PATIENCE_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == sample)


@contextmanager
def open_service(source: Path, options: Sequence[str] = ()) -> Iterator[Service]:
    """Serve *source* until the block ends; a clean end is part of every test."""
    command = [*_COMMAND, "--source", str(source), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    # Loopback addresses are clients here, not proxies.
    command += ["--workers", "1", "--trusted-proxy", "192.0.2.0/24", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address, admin = _wait_until_ready(process)
            yield Service(process, address, admin)
        finally:
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=PATIENCE_S)
            print(rest)
    assert process.returncode == 0


def _wait_until_ready(process: subprocess.Popen[str]) -> tuple[tuple[str, int], str]:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if ready := _READY.search(line):
            public = urlsplit(ready[1])
            assert public.hostname is not None and public.port is not None
            return (public.hostname, public.port), ready[2]
    raise AssertionError(f"the service ended before it was ready:\n{''.join(said)}")

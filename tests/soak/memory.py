"""How much memory a server and all its processes have, shared pages counted once."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.server.running import children_of

SAMPLE_S = 0.05

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def family_of(pid: int) -> list[int]:
    """*pid* and all its descendants."""
    return [pid, *(member for child in children_of(pid) for member in family_of(child))]


def memory_mb(pid: int) -> float:
    """The proportional set sizes of the family of *pid*."""
    total_kb = 0
    for member in family_of(pid):
        with suppress(OSError):
            found = _PSS.search(Path(f"/proc/{member}/smaps_rollup").read_text())
            total_kb += int(found[1]) if found else 0
    return total_kb / 1024


class Peak:
    """The most memory that a server had while the block ran."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.megabytes = max(self.megabytes, memory_mb(self._pid))

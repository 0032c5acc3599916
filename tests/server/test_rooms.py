"""What the supervisor must not know."""

from __future__ import annotations

import subprocess
import sys


def test_the_supervisor_loads_nothing_that_only_answers_need() -> None:
    program = "import sys, redirector.server.supervisor.supervisor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "uvloop", "maxminddb", "google.protobuf", "redirector.snapshot.snapshot"} & set(loaded) == set()

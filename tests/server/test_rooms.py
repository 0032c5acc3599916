"""What the supervisor must not know."""

from __future__ import annotations

import subprocess
import sys


def test_the_supervisor_loads_nothing_that_only_answers_need() -> None:
    program = "import sys, redirector.server.supervisor.supervisor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    for_answers = {"numpy", "uvloop", "maxminddb", "jinja2", "google.protobuf", "redirector.snapshot.snapshot"}
    assert for_answers & set(loaded) == set()

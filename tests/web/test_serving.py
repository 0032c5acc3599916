"""`registry serve` as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "redirector", "registry", *map(str, arguments)]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


def test_without_the_key_file_it_does_not_start(tmp_path: Path) -> None:
    ended = run("serve", cwd=tmp_path)
    assert ended.returncode == 2
    assert "redirector.key" in ended.stderr and "registry init" in ended.stderr


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    assert run("init", cwd=tmp_path).returncode == 0
    (tmp_path / "redirector.key").chmod(0o644)
    assert run("serve", cwd=tmp_path).returncode == 2


def test_it_answers_and_ends_when_told(tmp_path: Path) -> None:
    assert run("init", cwd=tmp_path).returncode == 0
    assert run("user", "chief", "--distribution-admin", cwd=tmp_path).returncode == 0
    token = run("token", "chief", "--scope", "write", cwd=tmp_path).stdout.strip()
    command = [sys.executable, "-m", "redirector", "registry", "serve", "--web", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = next(line for line in process.stderr if "ready on" in line)
        found = re.search(r"http://\S+", ready)
        assert found is not None
        asked = urllib.request.Request(f"{found[0]}/api/v1/sites", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.load(answer) == {"items": [], "next": None}
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("address", ["nowhere", "256.1.1.1:80", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_said(tmp_path: Path, address: str) -> None:
    run("init", cwd=tmp_path)
    ended = run("serve", "--web", address, cwd=tmp_path)
    assert ended.returncode in (1, 2) and "Traceback" not in ended.stderr

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

from redirector.cli.main import main
from tests.patience import PATIENCE_S


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands run: an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def registry(*words: str) -> int:
    return main(["registry", *words])


def test_without_the_key_file_it_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert registry("serve") == 2
    told = capsys.readouterr().err
    assert "redirector.key" in told and "registry init" in told


def test_a_key_file_that_others_can_read_is_refused(folder: Path) -> None:
    assert registry("init") == 0
    (folder / "redirector.key").chmod(0o644)
    assert registry("serve") == 2


def test_it_answers_and_ends_when_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert registry("init") == 0
    assert registry("user", "chief", "--distribution-admin") == 0
    capsys.readouterr()
    assert registry("token", "chief", "--scope", "write") == 0
    token = capsys.readouterr().out.strip()
    command = [sys.executable, "-m", "redirector", "registry", "serve", "--web", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = next(line for line in process.stderr if "ready on" in line)
        found = re.search(r"http://\S+", ready)
        assert found is not None
        asked = urllib.request.Request(f"{found[0]}/api/v1/sites", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            assert json.load(answer) == {"items": [], "next": None}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("address", ["nowhere", "256.1.1.1:80", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_said(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert registry("init") == 0
    assert registry("serve", "--web", address) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err

"""logrotate turns the access log over without losing a line."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from tests.clients.service import open_service
from tests.deploy.rig import DEPLOY, replace, run, until, write_tree
from tests.patience import PATIENCE_S

RULE = DEPLOY / "logrotate/redirector"


def test_logrotate_accepts_the_file() -> None:
    assert "error" not in run("logrotate", "--debug", RULE).stdout


def test_a_rotation_loses_no_line(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    options = ["--access-log", str(log), "--access-log-format", "combined"]
    with open_service(write_tree(tmp_path), options) as service:
        url = "http://{}:{}/mirrorlist/9/baseos".format(*service.address)

        def ask(times: int) -> None:
            for _ in range(times):
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                    answer.read()

        rule = tmp_path / "rule"
        kill = "systemctl kill --kill-whom=main -s USR1 redirector.service"
        changes = ("/var/log/redirector/access.log", str(log)), (kill, f"kill -USR1 {service.process.pid}")
        rule.write_text(replace(RULE.read_text(), *changes))
        ask(20)
        until(lambda: log.exists() and log.stat().st_size > 0, "the first lines are written")
        run("logrotate", "--force", f"--state={tmp_path}/state", rule)
        until(log.exists, "the log is opened again")
        ask(20)
    rotated = (tmp_path / "access.log.1").read_text().splitlines()
    lines = log.read_text().splitlines()
    assert len(rotated) + len(lines) == 40
    assert len(lines) >= 20

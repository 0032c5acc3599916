"""The units are accepted by systemd, are locked in, and agree with the configuration that lies beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redirector.settings.file import load_config
from tests.deploy.rig import DEPLOY, run

SYSTEMD = DEPLOY / "systemd"
SERVICES = ["redirector.service", "redirector-fetch.service"]
UNITS = [*SERVICES, "redirector.socket", "redirector-fetch.timer"]
NOT_INSTALLED = re.compile(r"[\w.-]+: Command /opt/redirector/bin/\S+ is not executable: No such file or directory")
EXPOSURE = 12
"""Tenths of the 10 that systemd gives an unprotected service; what is left is that it talks to the network."""


def read(name: str) -> dict[str, list[str]]:
    """Key -> values of a unit, in order; a key may stand more than once."""
    values: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text().replace("\\\n", "").splitlines():
        if not line.startswith(("[", "#")) and line:
            key, value = line.split("=", 1)
            values.setdefault(key, []).append(value)
    return values


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(name: str) -> None:
    said = run("systemd-analyze", "verify", "--man=no", SYSTEMD / name, check=False).stdout.splitlines()
    assert [line for line in said if not NOT_INSTALLED.fullmatch(line)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_the_sandbox_is_strict(name: str) -> None:
    run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", SYSTEMD / name)


def test_the_users_of_the_services_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "redirector.sysusers")
    made = {line.split(":")[0] for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    assert made == {read(name)["User"][0] for name in SERVICES}


def test_only_the_supervisor_is_signalled() -> None:
    unit = read("redirector.service")
    assert unit["KillMode"] == ["mixed"]
    assert unit["Type"] == ["notify"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_unit_waits_longer_than_a_drain_may_take() -> None:
    config = load_config({"config": str(DEPLOY / "redirector.yml")})
    assert int(read("redirector.service")["TimeoutStopSec"][0]) > config.shutdown_delay_s + config.drain_timeout_s


def test_the_configuration_stays_inside_the_folders_of_the_units() -> None:
    config = load_config({"config": str(DEPLOY / "redirector.yml")})
    server, fetch = (read(name) for name in SERVICES)
    assert config.state == f"/var/lib/{server['StateDirectory'][0]}"
    assert config.access_log is not None
    assert Path(config.access_log).parent == Path(f"/var/log/{server['LogsDirectory'][0]}")
    inputs = Path(f"/var/lib/{fetch['StateDirectory'][0]}")
    assert config.geoip is not None
    assert config.asn is not None
    assert {Path(each).parent for each in (config.source, config.geoip, config.asn)} == {inputs}
    assert f"--into {inputs} " in fetch["ExecStart"][0]


def test_reloads_are_asked_for_where_the_operators_listener_is() -> None:
    config = load_config({"config": str(DEPLOY / "redirector.yml")})
    assert config.admin is not None
    assert f"--reload http://{config.admin}/-/reload " in read("redirector-fetch.service")["ExecStart"][0]


def test_a_service_that_is_started_alone_gets_its_socket() -> None:
    unit = read("redirector.service")
    assert unit["Requires"] == ["redirector.socket"]
    assert "redirector.socket" in unit["After"][0].split()

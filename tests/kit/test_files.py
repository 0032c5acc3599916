"""Each file of a kit passes the tool of those who use it, as a sample and with every key filled in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from redirector.kit.wishes import parse_wishes
from redirector.kit.write import render_kit
from tests.kit.rig import write_kit
from tests.patience import PATIENCE_S

SAMPLE: dict[str, str] = {"name": "mirror.example.org", "source": "rsync://master.example.org/m/"}
ALL = {
    **SAMPLE,
    "kind": "deb",
    "path": "/pub/example/",
    "every": "10min",
    "first_from": "rsync://near.example.org/m/",
    "file_list": "fullfiletimelist-example",
    "file_list_prefix": "linux",
    "exclude": "[/debug/, '*.iso', 'source/**/x?']",
    "staged": "yes",
    "tier2": "[192.0.2.0/24, '2001:db8::/32']",
    "tier2_users": "[alice, bob]",
    "source_user": "mirror1",
    "source_password": "/etc/mirror/password",
    "read_token": "/etc/mirror/read-token",
    "notify_mail": "admins@example.org",
    "rsync_allow": "[198.51.100.7]",
    "checkers": "[203.0.113.9]",
    "interface": "eth0",
    "report": "https://mirrors.example.org",
    "report_token": "/etc/mirror/token",
    "categories": "{Example Linux: ''}",
}


ODD = {
    **SAMPLE,
    "root": "/srv/Größe 1/My Mirror",
    "path": "/",
    "logs": "/srv/l ö g",
    "state": "/srv/st ate",
    "marker": "last update",
    "staged": "yes",
    "kind": "plain",
}


@pytest.fixture(params=["sample", "all", "odd"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / ("kit" if request.param != "odd" else "k ï t")
    keys: Mapping[str, str] = ODD if request.param == "odd" else SAMPLE
    if request.param == "all":
        authority = trustme.CA()
        certificate = authority.issue_cert("mirror.example.org")
        certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
        keys = {**ALL, "certificate": str(tmp_path / "chain.pem"), "certificate_key": str(tmp_path / "key.pem")}
    write_kit(folder, keys)
    return folder


def run(*command: str | Path, **environment: str) -> str:
    """What *command* says, which must end well."""
    ended = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_scripts_have_no_finding_of_shellcheck(kit: Path) -> None:
    scripts = [path for path in kit.iterdir() if os.access(path, os.X_OK)]
    assert {path.name for path in scripts} == {"sync", "acl-update", "bitflip", "traffic-report", "check"}
    assert run("shellcheck", "--shell=sh", "--enable=avoid-nullary-conditions", *scripts) == ""
    for script in scripts:
        assert run("dash", "-n", script) == ""


def test_units_are_verified(kit: Path) -> None:
    units = [*kit.glob("*.service"), *kit.glob("*.timer")]
    assert len(units) in (5, 9)
    assert run("systemd-analyze", "verify", *units) == ""
    timers = "".join(each.read_text() for each in kit.glob("*.timer"))
    run("systemd-analyze", "timespan", *re.findall("OnUnitActiveSec=(.+)", timers))


@pytest.mark.parametrize(
    ("key", "folder", "shut"),
    [("root", "/srv/m", True), ("root", "/home/mirror/m", False), ("state", "/root/m", False)],
)
def test_a_unit_may_write_where_the_tree_lies(tmp_path: Path, key: str, folder: str, shut: bool) -> None:
    write_kit(tmp_path, {**SAMPLE, "module": "m", key: folder})
    assert ("\nProtectHome=read-only\n" in (tmp_path / "mirror-m.service").read_text()) is shut


def test_nginx_takes_its_configuration(kit: Path, tmp_path: Path) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f'http {{ include /etc/nginx/mime.types; include "{kit}/nginx.conf"; }}\n'
    )
    assert "test is successful" in run("nginx", "-t", "-c", config)


def test_apache_takes_its_configuration(kit: Path, tmp_path: Path) -> None:
    config = tmp_path / "apache.conf"
    modules = sorted(Path("/etc/apache2/mods-enabled").glob("*.load"))
    more = ["headers", "ssl", "socache_shmcb"] if "certificate: /" in (kit / "mirror.yml").read_text() else []
    config.write_text(
        f"DefaultRuntimeDir {tmp_path}\nPidFile {tmp_path}/pid\nErrorLog {tmp_path}/error\nServerName x\nListen 80\n"
        + "".join(f"Include {each}\n" for each in modules)
        + "".join(f"Include /etc/apache2/mods-available/{each}.load\n" for each in more)
        + f'TypesConfig /etc/mime.types\nInclude "{kit}/apache.conf"\n'
    )
    said = [line for line in run("apache2", "-t", "-f", config).splitlines() if "does not exist" not in line]
    assert said == ["Syntax OK"]


def test_logrotate_takes_its_configuration(kit: Path) -> None:
    assert "error" not in run("logrotate", "-d", "-s", "/dev/null", kit / "logrotate").lower().replace("no error", "")


def test_cron_lines_have_five_times_a_user_and_no_percent(kit: Path) -> None:
    lines = [line for line in (kit / "sync.cron").read_text().splitlines() if re.match(r"[0-9*]", line)]
    assert lines and all("%" not in line for line in lines)
    for line in lines:
        assert re.match(r"[0-9/*-]+ [0-9/*]+ \* \* \* (mirror|root) '?/", line)


def test_each_file_says_which_guide_asks_for_it(kit: Path) -> None:
    for path in kit.iterdir():
        if path.name != "mirror.yml":
            comments = "".join(
                line for line in path.read_text().splitlines(True) if "#" in line or path.suffix == ".md"
            )
            assert re.search(r"(Fedora|AlmaLinux|OpenVZ)'s|guide to\s+(# )?hosting", comments), path.name


def test_a_second_writing_changes_nothing(kit: Path) -> None:
    before = {path.name: path.read_bytes() for path in kit.iterdir()}
    wanted = parse_wishes((kit / "mirror.yml").read_bytes(), "mirror.yml")
    assert {each.name: each.text.encode() for each in render_kit(wanted, str(kit))}.items() <= before.items()


def test_the_tools_are_here() -> None:
    needed = ("shellcheck", "dash", "systemd-analyze", "nginx", "apache2", "logrotate", "rsync", "flock")
    assert [name for name in needed if shutil.which(name) is None] == []

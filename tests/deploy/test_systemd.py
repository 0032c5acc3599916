"""The units are accepted by systemd, are locked in, and agree with the configuration that lies beside them."""

from __future__ import annotations

import contextlib
import re
import shlex
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml

from redirector.cli.verbs import VERBS
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_config, load_job
from redirector.settings.mail import Telling
from redirector.settings.masters import Masters
from redirector.settings.network import Network
from redirector.settings.registry import Registry
from redirector.settings.web import Web
from tests.deploy.rig import DEPLOY, run

SYSTEMD = DEPLOY / "systemd"
SERVICES = ["redirector.service", "redirector-fetch.service"]
CRAWLING = ["redirector-crawl.service", "redirector-crawl-once.service", "redirector-scan.service"]
TURNS = ["redirector-publish.service", "redirector-stats.service", "redirector-backup.service"]
REGISTRY = ["redirector-registry.service", *TURNS]
TIMERS = [f"redirector-{name}.timer" for name in ("fetch", "crawl-once", "scan", "publish", "stats", "backup")]
UNITS = [*SERVICES, *CRAWLING, *REGISTRY, "redirector.socket", *TIMERS]
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


@pytest.mark.parametrize("name", [*SERVICES, *CRAWLING, *REGISTRY])
def test_the_sandbox_is_strict(name: str) -> None:
    run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", SYSTEMD / name)


def test_the_users_of_the_services_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "redirector.sysusers")
    made = {line.split(":")[0] for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    assert made == {read(name)["User"][0] for name in [*SERVICES, *CRAWLING, *REGISTRY]}


def test_every_unit_is_checked() -> None:
    assert {path.name for path in SYSTEMD.iterdir()} == {*UNITS, "redirector.sysusers"}


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


def crawl_flags() -> dict[str, str]:
    return {"config": str(DEPLOY / "crawl.yml")}


@pytest.mark.parametrize("name", CRAWLING)
def test_the_crawler_writes_inside_the_folder_of_its_unit_and_reads_what_is_fetched(name: str) -> None:
    unit, fetch = read(name), read("redirector-fetch.service")
    own = f"/var/lib/{unit['StateDirectory'][0]}"
    network = load_job(Network, crawl_flags())
    assert network.database is not None
    assert network.health is not None
    assert network.database.startswith(f"sqlite:///{own}/")
    assert network.health.startswith(f"{own}/")
    source = load_config(crawl_flags()).source
    assert source.startswith(f"/var/lib/{fetch['StateDirectory'][0]}/")
    assert "--config /etc/redirector/crawl.yml" in unit["ExecStart"][0]


@pytest.mark.parametrize("name", CRAWLING)
def test_others_read_the_health_file_and_not_the_store(name: str) -> None:
    assert read(name)["StateDirectoryMode"] == ["0755"]
    assert read(name)["UMask"] == ["0027"]


@pytest.mark.parametrize("name", ["redirector-crawl.service", "redirector-crawl-once.service"])
def test_the_crawler_may_bound_the_memory_of_what_it_starts(name: str) -> None:
    assert read(name)["SystemCallFilter"][-1] == "prlimit64"


@pytest.mark.parametrize("name", CRAWLING)
def test_the_units_start_commands_that_there_are(name: str) -> None:
    words = read(name)["ExecStart"][0].split()
    assert words[1] in {verb.name for verb in VERBS}
    assert "--once" in words or "once" not in name


def test_the_crawlers_configuration_is_read_whole() -> None:
    telling, crawl = load_job(Telling, crawl_flags()), load_job(Crawl, crawl_flags())
    assert telling.mail is not None
    assert crawl.crawl_metrics is not None
    targets = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert [str(crawl.crawl_metrics)] in [job["static_configs"][0]["targets"] for job in targets]


def registry_flags() -> dict[str, str]:
    return {"config": str(DEPLOY / "registry.yml")}


def test_all_programs_that_share_the_store_find_it_in_their_folder() -> None:
    own = f"/var/lib/{read('redirector-registry.service')['StateDirectory'][0]}"
    network = load_job(Network, registry_flags())
    assert network.database == f"sqlite:///{own}/crawl.db"
    assert load_job(Network, crawl_flags()).database == network.database
    assert load_job(Registry, registry_flags()).key_file == f"{own}/redirector.key"
    backup = " ".join(read("redirector-backup.service")["ExecStart"])
    assert f"{own}/crawl.db " in backup
    for name in REGISTRY:
        unit = read(name)
        assert unit["User"] == read("redirector-crawl.service")["User"]
        assert unit["StateDirectory"] == read("redirector-crawl.service")["StateDirectory"]


@pytest.mark.parametrize("name", TURNS)
def test_what_is_done_in_turns_has_a_timer(name: str) -> None:
    assert read(name)["Type"] == ["oneshot"]
    assert "OnUnitActiveSec" in read(name.replace(".service", ".timer"))


def test_what_is_published_can_be_read_by_the_server_and_the_copy_of_the_store_cannot() -> None:
    assert read("redirector-publish.service")["UMask"] == ["0022"]
    assert read("redirector-backup.service")["UMask"] == ["0077"]
    assert "--snapshot /var/lib/redirector-crawl/" in read("redirector-publish.service")["ExecStart"][0]


def test_the_log_is_read_by_the_group_that_it_is_for() -> None:
    server, stats = read("redirector.service"), read("redirector-stats.service")
    assert stats["SupplementaryGroups"] == server["Group"]
    config = load_config({"config": str(DEPLOY / "redirector.yml")})
    assert str(config.access_log) in stats["ExecStart"][0]


def test_the_backup_of_the_unit_is_a_whole_copy(tmp_path: Path) -> None:
    store = tmp_path / "crawl.db"
    with contextlib.closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE told (text)")
        connection.execute("INSERT INTO told VALUES ('kept')")
        connection.commit()
    words = shlex.split(read("redirector-backup.service")["ExecStart"][0])
    run(sys.executable, *words[1:3], store, tmp_path / "copy.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("SELECT text FROM told").fetchall() == [("kept",)]


def test_logs_that_are_not_there_yet_are_no_failure(tmp_path: Path) -> None:
    script = shlex.split(read("redirector-stats.service")["ExecStart"][0])[2].replace("$$", "$")
    script = script.replace("/var/log/redirector", str(tmp_path)).replace("exec /opt/redirector/bin/redirector", "echo")
    assert run("sh", "-c", script).stdout == ""
    (tmp_path / "access.log").touch()
    assert run("sh", "-c", script).stdout.split()[-1] == str(tmp_path / "access.log")


def test_the_registrys_configuration_is_read_whole() -> None:
    flags = registry_flags()
    assert load_job(Telling, flags).mail is not None
    assert str(load_job(Web, flags).web) == "127.0.0.1:8090"
    (master,) = load_job(Masters, flags).masters or ()
    assert master.category == "Example Linux"

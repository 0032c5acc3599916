"""The image: linted, built from files that exist, without root, and with a health check that tells well from ill."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from redirector.cli.verbs import VERBS
from redirector.settings.crawl import Crawl
from redirector.settings.file import load_job
from redirector.settings.serving import Config
from tests.clients.service import open_service
from tests.deploy.rig import DEPLOY, LIMIT_S, ROOT, run, write_tree

CONTAINERFILE = DEPLOY / "Containerfile"
CRAWLER = DEPLOY / "Containerfile.crawl"


def instructions(file: Path = CONTAINERFILE) -> list[tuple[str, str]]:
    """(instruction, its arguments), continued lines joined."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines()) if name]


def last(name: str, file: Path = CONTAINERFILE) -> str:
    return [rest for each, rest in instructions(file) if each == name][-1]


@pytest.mark.parametrize("file", [CONTAINERFILE, CRAWLER], ids=["server", "crawler"])
def test_hadolint_is_silent(file: Path) -> None:
    assert run("hadolint", "--no-color", file).stdout == ""


def test_the_crawlers_image_is_the_servers_with_rsync_and_without_root() -> None:
    names = [name for name, _ in instructions(CRAWLER)]
    assert names.count("FROM") == 1
    assert "rsync" in last("RUN", CRAWLER)
    assert last("USER", CRAWLER) == last("USER")
    assert "RUN" not in names[len(names) - names[::-1].index("USER") :]
    command = json.loads(last("CMD", CRAWLER))
    assert command[0] in {verb.name for verb in VERBS}
    crawl = load_job(Crawl, {"config": str(DEPLOY / "crawl.yml")})
    assert crawl.crawl_metrics is not None
    assert last("EXPOSE", CRAWLER) == str(crawl.crawl_metrics.port)


def test_what_is_copied_exists_and_is_installed_as_pinned() -> None:
    copied = [shlex.split(rest) for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    sources = {source for words in copied for source in words[:-1] if not source.startswith("--")}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"deploy/requirements.txt", "pyproject.toml", project["readme"], *project["license-files"]} <= sources
    installs = [
        each for name, rest in instructions() if name == "RUN" for each in rest.split("&&") if " install " in each
    ]
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)
    assert all("--no-build-isolation" in each for each in installs[1:]), "a build of its own fetches without hashes"


def test_each_package_is_pinned_by_hashes_at_the_version_that_is_tested() -> None:
    text = (DEPLOY / "requirements.txt").read_text()
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, re.M))
    tested = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    assert {f"{name}=={version}" for name, version in pins.items()} <= set(tested.split())
    entries = [entry for entry in re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.M) if "==" in entry.split("\n")[0]]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["network"], *extras["postgresql"]]
    assert {re.split(r"[\[<>=]", each)[0].lower() for each in wanted} <= pins.keys()


def test_compilers_stay_behind_and_the_server_is_not_root() -> None:
    bases = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    stages = [bases[rest.split()[0][2:-1]] for name, rest in instructions() if name == "FROM"]
    assert len(stages) == 2
    assert "-slim" in stages[-1]
    assert "-slim" not in stages[0]
    uid, gid = last("USER").split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    after = [name for name, _ in instructions()][[name for name, _ in instructions()].index("USER") :]
    assert "RUN" not in after


def test_it_starts_the_console_script_and_shows_its_ports() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(last("ENTRYPOINT"))[0] in scripts
    command = json.loads(last("CMD"))
    admin = Config(source="").admin
    assert admin is not None
    assert set(last("EXPOSE").split()) == {command[-1].rpartition(":")[2], str(admin.port)}


def health_check(port: int) -> int:
    """What the health check ends with, the operator's listener being on *port*."""
    argv = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    code = argv[2].replace("127.0.0.1:9180", f"127.0.0.1:{port}")
    assert code != argv[2]
    return subprocess.run([sys.executable, *argv[1:2], code], stderr=subprocess.DEVNULL, timeout=LIMIT_S).returncode


def test_the_health_check_is_well_while_the_server_is_ready(tmp_path: Path) -> None:
    with open_service(write_tree(tmp_path), []) as service:
        port = int(service.admin.rpartition(":")[2])
        assert health_check(port) == 0
    assert health_check(port) == 1

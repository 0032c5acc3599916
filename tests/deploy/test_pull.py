"""A tree that is kept in git: the script of the guide follows the repository, and says in words what changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.deploy.rig import DEPLOY, replace, run, write_tree
from tests.server.running import serving


def _git(folder: Path, *arguments: str) -> None:
    run("git", "-C", folder, "-c", "user.name=jo", "-c", "user.email=jo@example.org", *arguments)


def _script(inputs: Path, admin: str) -> str:
    """The guide's script, for the folder *inputs* and the server whose operators ask at *admin*."""
    found = re.search(r"redirector-pull <<'END'\n(.*?)^END$", (DEPLOY / "README.md").read_text(), re.M | re.S)
    assert found is not None
    return replace(
        found[1],
        ("/var/lib/redirector-inputs", str(inputs)),
        ("http://127.0.0.1:9180", admin),
        ("/opt/redirector/bin/redirector reload", f"{sys.executable} -m redirector reload --admin '{admin[7:]}'"),
    )


def _pull(script: str) -> subprocess.CompletedProcess[str]:
    return run("sh", "-c", script, check=False)


def test_a_commit_is_served_and_a_broken_one_is_told(tmp_path: Path) -> None:
    work, inputs = tmp_path / "work", tmp_path / "inputs"
    work.mkdir()
    inputs.mkdir()
    write_tree(work)
    _git(work, "init", "--quiet", "--initial-branch=main")
    _git(work, "add", ".")
    _git(work, "commit", "--quiet", "--message=first")
    _git(inputs, "clone", "--quiet", "--bare", str(work), "mirrors.git")
    early = _pull(_script(inputs, "http://127.0.0.1:1"))
    assert (early.returncode, early.stdout) == (0, "")
    with serving(inputs / "mirrors") as server:
        script = _script(inputs, server.admin)
        assert _pull(script).stdout == ""
        (work / "mirrors.d" / "f.example.org.yml").unlink()
        _git(work, "commit", "--quiet", "--all", "--message=second")
        said = _pull(script)
        assert said.returncode == 0 and "served" in said.stdout and "host went: f.example.org" in said.stdout
        assert said.stdout.count("\n") < 5
        (work / "config.yml").write_text("versions: [")
        _git(work, "commit", "--quiet", "--all", "--message=third")
        said = _pull(script)
        assert said.returncode == 1 and "refused" in said.stdout and "config.yml" in said.stdout

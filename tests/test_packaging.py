"""What is installed, and the two commands that install it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from redirector import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)


def closure(wanted: Iterable[str], extras: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names of the packages that *wanted* requirements amount to here, themselves included."""
    for text in wanted:
        requirement = Requirement(text)
        environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield canonicalize_name(requirement.name)
            yield from closure(requires(requirement.name) or (), frozenset(requirement.extras))


def test_every_package_is_pinned_to_one_version() -> None:
    pinned = {canonicalize_name(name) for name in PINNED}
    wanted = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())]
    assert set(closure(wanted)) <= pinned
    assert all(re.fullmatch(r"[0-9][0-9.]*", version) for version in PINNED.values())


def test_the_readme_says_why_each_package_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [name for name in map(canonical_name, PROJECT["dependencies"]) if f"| {name} |" not in readme]
    assert missing == []


def canonical_name(requirement: str) -> str:
    return str(canonicalize_name(Requirement(requirement).name))


@pytest.mark.parametrize(
    "command", [[str(Path(sys.executable).with_name("redirector"))], [sys.executable, "-m", "redirector"]]
)
def test_both_ways_to_start_are_the_same_program(command: list[str]) -> None:
    ended = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == (f"redirector {__version__}\n", "")


def test_make_run_shows_three_addresses_to_try() -> None:
    recipe = (ROOT / "Makefile").read_text()
    assert len(re.findall(r"^\t@echo 'curl http://127\.0\.0\.1:8080/[^ '&]+'$", recipe, re.M)) == 3


def test_the_script_for_every_change_is_executable_and_readable() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=60)

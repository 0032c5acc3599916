"""What is installed, and the two commands that install it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from redirector import Client, Request, Responder, __version__, load_config, load_snapshot
from redirector.cli.main import main
from redirector.settings.option import Address
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = DECLARED["project"]
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
    assert {canonical_name(each) for each in DECLARED["build-system"]["requires"]} <= pinned
    assert all(re.fullmatch(r"[0-9][0-9.]*", version) for version in PINNED.values())


def test_the_readme_says_why_each_package_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    extras = PROJECT["optional-dependencies"]
    installed = [*PROJECT["dependencies"], *extras["network"], *extras["postgresql"]]
    assert [name for name in map(canonical_name, installed) if f"| {name} |" not in readme] == []
    section = readme.partition("\nFor development: ")[2].lower().replace("pyyaml", "types-pyyaml")
    section = section.replace("protobuf", "types-protobuf").replace("_", "-")
    developing = [canonical_name(each) for each in (*extras["dev"], *extras["bench"])]
    assert [name for name in developing if not re.search(rf"\b{name}\b", section)] == []


def canonical_name(requirement: str) -> str:
    return str(canonicalize_name(Requirement(requirement).name))


@pytest.mark.parametrize(
    "command", [[str(Path(sys.executable).with_name("redirector"))], [sys.executable, "-m", "redirector"]]
)
def test_both_ways_to_start_are_the_same_program(command: list[str]) -> None:
    ended = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert (ended.stdout, ended.stderr) == (f"redirector {__version__}\n", "")


def test_make_run_shows_three_addresses_that_the_sample_answers() -> None:
    config = load_config({"config": str(ROOT / "data/redirector.yml")})
    assert config.listen == (Address("127.0.0.1", 8080),)
    responder = Responder(load_snapshot(config, time.time()))
    lines = re.findall(
        r"""^\t@echo "curl 'http://127.0.0.1:\$\(PORT\)(/.*)'"$""", (ROOT / "Makefile").read_text(), re.M
    )
    targets = [line.encode() for line in lines]
    assert len(targets) == 3
    for target in targets:
        request = Request(target, Client(b"\x7f\0\0\1", trusted=True), time.time(), chance=0)
        assert responder.answer(request).status in (200, 302), target


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(("PYTHON=false", "-W", "setup.py"), "Python 3.11 or newer is needed", id="an old Python"),
        pytest.param(("PORT=1x",), "take another one, make run PORT=8081", id="no port"),
    ],
)
def test_make_says_what_is_missing(given: tuple[str, ...], says: str) -> None:
    ended = subprocess.run(
        ["make", "run", *given, *(() if "-W" in given else ("-o", "install"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ended.returncode != 0 and says in ended.stderr


def test_a_sample_can_be_had_from_what_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sample"
    assert main(["sample", str(folder)]) == 0
    assert f"redirector serve --config {folder}/redirector.yml" in capsys.readouterr().out
    config = load_config({"config": str(folder / "redirector.yml")})
    assert load_snapshot(config, time.time()).counts.hosts == 26
    assert main(["sample", str(folder)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_the_sample_is_installed_whole() -> None:
    listed = {name for _, names in data_files() for name in names}
    assert listed == {str(path.relative_to(ROOT)) for path in (ROOT / "data").rglob("*") if path.is_file()}


def data_files() -> list[tuple[str, list[str]]]:
    """What `setup.py` has installed beside the package."""
    spec = importlib.util.spec_from_file_location("sample_files", ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch("setuptools.setup"), mock.patch("os.getcwd", return_value=str(ROOT)):
        spec.loader.exec_module(module)
    found: list[tuple[str, list[str]]] = module.sample_files()
    return found


def test_the_readmes_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    example = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)[0]
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("200 https://")


def test_the_forge_tries_every_python_that_is_promised() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    tried = jobs["python"]["strategy"]["matrix"]["python"]
    promised = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert tried == promised
    assert PROJECT["requires-python"] == f">={tried[0]}"
    assert jobs["debian"]["steps"][-1]["run"] == ".ci/run"


def test_a_commit_is_checked_as_ci_does_it() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == ["make check"]
    assert "make check\n" in (ROOT / ".ci/run").read_text()


def test_the_script_for_every_change_is_executable_and_readable() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=PATIENCE_S)

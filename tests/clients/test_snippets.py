"""What `docs/clients.md` tells people to copy, copied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients.conftest import Note, Services, TapNear
from tests.clients.mirrors import Fleet
from tests.clients.programs import ROOT, Dnf, Zypper, run
from tests.clients.service import Flavour
from tests.clients.sources import PUBLIC
from tests.clients.trees import BASEOS, NEW, PACKAGE, Trees, directory

PAGE = ROOT / "docs" / "clients.md"
SERVER = "https://mirrors.example.org"


def snippets(program: str) -> list[str]:
    """The blocks of code of the section whose heading starts with *program*."""
    (section,) = re.findall(rf"^## {program}\b.*?\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.S | re.M)
    return re.findall(r"^```\w+\n(.*?)^```$", section, re.S | re.M)


def test_every_section_of_the_page_is_tested() -> None:
    assert re.findall(r"^## (\w+)", PAGE.read_text(), re.M) == ["dnf", "zypper", "aria2", "curl"]


def flavours_of(snippet: str) -> list[Flavour]:
    """AlmaLinux's spelling without an architecture, and paths, belong to a tree; the rest is for everybody."""
    return [Flavour.ALMALINUX] if "/mirrorlist/" in snippet or "path=" in snippet else list(Flavour)


def each(program: str) -> pytest.MarkDecorator:
    """Each snippet for *program*, in each flavour that it is for."""
    pairs = [(snippet, flavour) for snippet in snippets(program) for flavour in flavours_of(snippet)]
    ids = [f"{snippets(program).index(snippet)}-{flavour.value}" for snippet, flavour in pairs]
    return pytest.mark.parametrize(("snippet", "flavour"), pairs, ids=ids)


@each("dnf")
def test_dnf_snippet(
    snippet: str, flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    dnf = Dnf(home)
    dnf.write_repo(snippet.replace(SERVER, tap_near(services[flavour], PUBLIC[0]).url))
    seen = dnf.run("repoquery", PACKAGE)
    note(f"dnf     snippet    {flavour.value:13} rc {seen.code}, from {fleet.used()}")
    assert seen.code == 0
    assert f"{PACKAGE}-0:{NEW}-1.noarch" in seen.text
    assert fleet.used() == [PUBLIC[0]]


@each("zypper")
def test_zypper_snippet(
    snippet: str, flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    zypper = Zypper(home)
    zypper.write_repo(snippet.replace(SERVER, tap_near(services[flavour], PUBLIC[0]).url))
    code, version = zypper.run("refresh").code, zypper.find()
    note(f"zypper  snippet    {flavour.value:13} rc {code}, {version} from {fleet.used()}")
    assert (code, version, fleet.used()) == (0, NEW, [PUBLIC[0]])


@each("aria2")
def test_aria2_snippet(
    snippet: str, flavour: Flavour, services: Services, trees: Trees, tap_near: TapNear, tmp_path: Path, note: Note
) -> None:
    done = run("sh", "-c", snippet.replace(SERVER, tap_near(services[flavour], PUBLIC[0]).url), folder=tmp_path)
    note(f"aria2   snippet    {flavour.value:13} rc {done.code}")
    assert done.code == 0
    original = trees.new / directory(BASEOS) / "repodata" / "repomd.xml"
    assert (tmp_path / "repomd.xml").read_bytes() == original.read_bytes()


@each("curl")
def test_curl_snippet(
    snippet: str,
    flavour: Flavour,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    tmp_path: Path,
    note: Note,
) -> None:
    done = run("sh", "-c", snippet.replace(SERVER, tap_near(services[flavour], PUBLIC[0]).url), folder=tmp_path)
    note(f"curl    snippet    {flavour.value:13} rc {done.code}")
    assert done.code == 0
    if "repomd.xml" in snippet:
        original = trees.new / directory(BASEOS) / "repodata" / "repomd.xml"
        assert (tmp_path / "repomd.xml").read_bytes() == original.read_bytes()
    else:
        assert f"{fleet[PUBLIC[0]].url}/{directory(BASEOS)}/" in done.text

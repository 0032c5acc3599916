"""What `docs/clients.md` tells people to copy, copied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients.conftest import OWN, Note, Services, TapNear, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.other_trees import DEBIAN, KEY
from tests.clients.programs import ROOT, Apt, Dnf, Pacman, Reading, Zypper, run
from tests.clients.service import Flavour
from tests.clients.sources import PUBLIC, tree_path
from tests.clients.tap import Tap
from tests.clients.trees import BASEOS, NEW, PACKAGE, RELEASE, Trees, directory

PAGE = ROOT / "docs" / "clients.md"
SERVER = "https://mirrors.example.org"


def snippets(program: str) -> list[str]:
    """The blocks of code of the section whose heading starts with *program*."""
    (section,) = re.findall(rf"^## {program}\b.*?\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.S | re.M)
    return re.findall(r"^```\w*\n(.*?)^```$", section, re.S | re.M)


def test_every_section_of_the_page_is_tested() -> None:
    assert re.findall(r"^## (\w+)", PAGE.read_text(), re.M) == ["dnf", "zypper", "apt", "pacman", "aria2", "curl"]


def flavours_of(snippet: str) -> list[Flavour]:
    """AlmaLinux's spelling without an architecture belongs to a tree; today's server redirects no paths of files."""
    if "/mirrorlist/" in snippet:
        return [Flavour.ALMALINUX]
    return list(OWN if f"{SERVER}/9.8/" in snippet else Flavour)


def aim(snippet: str, flavour: Flavour, tap: Tap) -> str:
    """The snippet with our address, and with paths as they are called over MirrorManager's snapshot."""
    paths = {f"{before}9.8/": f"{before}{tree_path(flavour, '')}" for before in (f"{SERVER}/", "path=")}
    for written, meant in paths.items():
        snippet = snippet.replace(written, meant)
    return snippet.replace(SERVER, tap.url)


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
    dnf.write_repo(aim(snippet, flavour, tap_near(services[flavour], PUBLIC[0])))
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
    zypper.write_repo(aim(snippet, flavour, tap_near(services[flavour], PUBLIC[0])))
    code, version = zypper.run("refresh").code, zypper.find()
    note(f"zypper  snippet    {flavour.value:13} rc {code}, {version} from {fleet.used()}")
    assert (code, version, fleet.used()) == (0, NEW, [PUBLIC[0]])


@each_flavour(*OWN)
def test_apt_snippets(
    flavour: Flavour, services: Services, fleet: Fleet, trees: Trees, tap_near: TapNear, tmp_path: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    by_network, fetch, by_file = (aim(snippet, flavour, tap) for snippet in snippets("apt"))
    key = trees.new / RELEASE / DEBIAN / KEY
    apt = Apt(tmp_path / "network", key)
    apt.write_sources(by_network)
    readings = [apt.download()]
    fetched = run("sh", "-c", fetch.replace("/etc/apt", str(tmp_path)))
    apt = Apt(tmp_path / "file", key)
    apt.write_sources(by_file.replace("/etc/apt", str(tmp_path)))
    readings.append(apt.download())
    note(f"apt     snippets   {flavour.value:13} {readings}, from {fleet.used()}")
    assert fetched.code == 0
    assert readings == [Reading(0, NEW)] * 2
    assert fleet.used() == [PUBLIC[0]]


@each_flavour(*OWN)
def test_pacman_snippets(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, tmp_path: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    fetch, section = (
        aim(snippet, flavour, tap).replace("/etc/pacman.d", str(tmp_path)) for snippet in snippets("pacman")
    )
    fetched = run("sh", "-c", fetch)
    reading = Pacman(tmp_path / "client").install(section)
    note(f"pacman  snippets   {flavour.value:13} {reading}, from {fleet.used()}")
    assert (fetched.code, reading, fleet.used()) == (0, Reading(0, NEW), [PUBLIC[0]])


@each("aria2")
def test_aria2_snippet(
    snippet: str, flavour: Flavour, services: Services, trees: Trees, tap_near: TapNear, tmp_path: Path, note: Note
) -> None:
    done = run("sh", "-c", aim(snippet, flavour, tap_near(services[flavour], PUBLIC[0])), folder=tmp_path)
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
    done = run("sh", "-c", aim(snippet, flavour, tap_near(services[flavour], PUBLIC[0])), folder=tmp_path)
    note(f"curl    snippet    {flavour.value:13} rc {done.code}")
    assert done.code == 0
    if "repomd.xml" in snippet:
        original = trees.new / directory(BASEOS) / "repodata" / "repomd.xml"
        assert (tmp_path / "repomd.xml").read_bytes() == original.read_bytes()
    else:
        assert f"{fleet[PUBLIC[0]].url}/{directory(BASEOS)}/" in done.text

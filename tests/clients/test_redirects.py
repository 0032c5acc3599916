"""Clients that know redirects and nothing of mirrors; and aria2, which reads what else stands in a redirect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import OWN, Note, Services, TapNear, each_first, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.other_trees import ARCHLINUX, DEBIAN, KEY
from tests.clients.programs import Apt, Aria2, Dnf, Outcome, Pacman, Reading, run
from tests.clients.service import Flavour
from tests.clients.sources import PUBLIC, is_served, tree_path
from tests.clients.trees import BASEOS, NEW, RELEASE, Trees, directory, package_name


def download(url: str, file: Path, *more: str) -> Outcome:
    """What curl does that is to follow redirects."""
    return run("curl", "--fail", "--silent", "--location", "--output", file, *more, url)


@each_flavour()
@pytest.mark.parametrize("name", [package_name(NEW), "repodata/repomd.xml"], ids=["package", "repomd"])
def test_curl_follows_the_redirect_to_the_best_mirror(
    flavour: Flavour,
    name: str,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    tmp_path: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    target = f"/mirrorlist?path={tree_path(flavour, f'{BASEOS}/x86_64/os/{name}')}&redirect=1"
    done = download(tap.url + target, tmp_path / "file")
    note(f"curl    redirect   {flavour.value:13} {name}: rc {done.code}, from {fleet.used()}")
    assert done.code == 0
    assert (tmp_path / "file").read_bytes() == (trees.new / directory(BASEOS) / name).read_bytes()
    assert fleet.used() == [PUBLIC[0]]
    assert [exchange.status for exchange in tap.exchanges()] == [302]


@each_flavour()
def test_curl_resumes_a_download_through_the_redirect(
    flavour: Flavour, services: Services, trees: Trees, tap_near: TapNear, tmp_path: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    name = package_name(NEW)
    whole = (trees.new / directory(BASEOS) / name).read_bytes()
    (tmp_path / "file").write_bytes(whole[:1000])
    target = f"/mirrorlist?path={tree_path(flavour, f'{BASEOS}/x86_64/os/{name}')}&redirect=1"
    done = download(tap.url + target, tmp_path / "file", "--continue-at", "-")
    note(f"curl    redirect   {flavour.value:13} resumed at byte 1000: rc {done.code}")
    assert done.code == 0
    assert (tmp_path / "file").read_bytes() == whole


@each_flavour(*OWN)
@pytest.mark.parametrize("name", [package_name(NEW), "repodata/repomd.xml"], ids=["package", "repomd"])
def test_curl_is_redirected_from_the_path_of_the_file(
    flavour: Flavour,
    name: str,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    tmp_path: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    url = f"{tap.url}/{tree_path(flavour, f'{BASEOS}/x86_64/os/{name}')}"
    done = download(url, tmp_path / "file")
    note(f"curl    path       {flavour.value:13} {name}: rc {done.code}, from {fleet.used()}")
    assert done.code == 0
    assert (tmp_path / "file").read_bytes() == (trees.new / directory(BASEOS) / name).read_bytes()
    assert fleet.used() == [PUBLIC[0]]


@each_flavour(*OWN)
@each_first(PUBLIC[0], "missing", "erroring", "refusing", "silent")
@pytest.mark.parametrize("name", [package_name(NEW), "repodata/repomd.xml"], ids=["package", "repomd"])
def test_aria2_goes_on_to_the_next_mirror_of_a_redirect(
    flavour: Flavour,
    first: str,
    name: str,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    home: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], first)
    done = Aria2(home, trees).fetch(f"{tap.url}/{tree_path(flavour, f'{BASEOS}/x86_64/os/{name}')}")
    statuses = [exchange.status for exchange in tap.exchanges()]
    note(
        f"aria2   path       {flavour.value:13} first mirror {first:10} rc {done.code:<2} {Path(name).name}, "
        f"asks us for {statuses}, mirrors: {' '.join(fleet.used())}"
    )
    assert done.code == 0
    if name.endswith(".xml"):  # its hashes are known, and so aria2 is given a metalink
        assert statuses == [200]
    else:  # aria2 tries five times where nothing is answered, each time from the beginning
        assert statuses == [302] * (5 if first in ("refusing", "silent") else 1)
    assert (home / Path(name).name).read_bytes() == (trees.new / directory(BASEOS) / name).read_bytes()
    assert is_served(fleet, first)


@each_flavour(*OWN)
def test_dnf_installs_from_a_baseurl(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Test\nbaseurl={tap.url}/{tree_path(flavour, BASEOS)}/$basearch/os/\n")
    reading = dnf.install()
    statuses = {exchange.status for exchange in tap.exchanges()}
    note(f"dnf     baseurl    {flavour.value:13} rc {reading.code}, {reading.version} installed, redirected")
    assert (reading, statuses, fleet.used()) == (Reading(0, NEW), {302}, [PUBLIC[0]])


@each_flavour(*OWN)
def test_apt_follows_redirects(
    flavour: Flavour, services: Services, fleet: Fleet, trees: Trees, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    apt = Apt(home, trees.new / RELEASE / DEBIAN / KEY)
    reading = apt.download_from(f"{tap.url}/{tree_path(flavour, DEBIAN)}")
    note(f"apt     path       {flavour.value:13} rc {reading.code}, {reading.version}, redirected")
    assert (reading, fleet.used()) == (Reading(0, NEW), [PUBLIC[0]])


@each_flavour(*OWN)
def test_pacman_follows_redirects(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    server = f"{tap.url}/{tree_path(flavour, ARCHLINUX)}/$repo/os/$arch"
    reading = Pacman(home).install(f"[core]\nServer = {server}\n")
    note(f"pacman  path       {flavour.value:13} rc {reading.code}, {reading.version} installed, redirected")
    assert (reading, fleet.used()) == (Reading(0, NEW), [PUBLIC[0]])

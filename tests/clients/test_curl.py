"""curl, which knows redirects and nothing of mirrors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Note, Services, TapNear, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.programs import run
from tests.clients.service import Flavour
from tests.clients.sources import PUBLIC, tree_path
from tests.clients.trees import BASEOS, NEW, Trees, directory, package_name


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
    done = run("curl", "--fail", "--silent", "--location", "--output", tmp_path / "file", tap.url + target)
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
    resume = ("--continue-at", "-", "--output", tmp_path / "file")
    done = run("curl", "--fail", "--silent", "--location", *resume, tap.url + target)
    note(f"curl    redirect   {flavour.value:13} resumed at byte 1000: rc {done.code}")
    assert done.code == 0
    assert (tmp_path / "file").read_bytes() == whole

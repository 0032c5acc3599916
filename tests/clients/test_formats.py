"""Clients that read neither mirrorlists nor metalinks: apt and pacman; and those that know the newer metalink."""

from __future__ import annotations

from pathlib import Path

from tests.clients.conftest import OWN, Note, Services, TapNear, each_first, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.other_trees import ARCHLINUX, DEBIAN, KEY
from tests.clients.programs import Apt, Aria2, Pacman, Reading, Zypper, run
from tests.clients.service import Flavour, Kind
from tests.clients.sources import PUBLIC, is_served, tree_path
from tests.clients.trees import NEW, RELEASE, Trees

HAPPY = Reading(0, NEW)


@each_flavour(*OWN)
@each_first(PUBLIC[0], "missing", "erroring", "refusing", "silent")
def test_apt_fetches_the_list_and_then_the_package(
    flavour: Flavour,
    first: str,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    home: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], first)
    apt = Apt(home, trees.new / RELEASE / DEBIAN / KEY)
    uri = f"mirror+{tap.url}/mirrorlist?path={tree_path(flavour, DEBIAN)}&format=apt"
    reading = apt.download_from(uri)
    requests = len(tap.exchanges())
    note(
        f"apt     mirror+http {flavour.value:13} first mirror {first:10} rc {reading.code:<2} "
        f"{reading.version or 'nothing':7} {requests} requests, mirrors: {' '.join(fleet.used())}"
    )
    assert (reading, requests) == (HAPPY, 2)
    assert is_served(fleet, first)


@each_flavour(*OWN)
@each_first(PUBLIC[0], "missing", "erroring", "refusing", "silent")
def test_apt_reads_a_list_that_was_fetched_before(
    flavour: Flavour,
    first: str,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    home: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], first)
    apt = Apt(home, trees.new / RELEASE / DEBIAN / KEY)
    url = f"{tap.url}/mirrorlist?path={tree_path(flavour, DEBIAN)}&format=apt"
    assert run("curl", "--fail", "--silent", "--output", home / "mirrors.list", url).code == 0
    reading = apt.download_from(f"mirror+file:{home}/mirrors.list")
    note(
        f"apt     mirror+file {flavour.value:13} first mirror {first:10} rc {reading.code:<2} "
        f"{reading.version or 'nothing':7} {len(tap.exchanges())} request, mirrors: {' '.join(fleet.used())}"
    )
    assert reading == HAPPY
    assert is_served(fleet, first)


@each_flavour(*OWN)
@each_first(PUBLIC[0], "missing", "erroring", "refusing")
def test_pacman_installs_with_the_list(
    flavour: Flavour, first: str, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], first)
    pacman = Pacman(home)
    url = f"{tap.url}/mirrorlist?path={tree_path(flavour, ARCHLINUX)}/$repo/os/$arch&format=pacman"
    assert run("curl", "--fail", "--silent", "--output", home / "mirrorlist", url).code == 0
    reading = pacman.install(f"[core]\nInclude = {home}/mirrorlist\n")
    note(
        f"pacman  list       {flavour.value:13} first mirror {first:10} rc {reading.code:<2} "
        f"{reading.version or 'nothing':7} {len(tap.exchanges())} request, mirrors: {' '.join(fleet.used())}"
    )
    assert reading == HAPPY
    assert is_served(fleet, first)


@each_flavour(*OWN)
@each_first(PUBLIC[0], "missing", "erroring", "refusing", "silent")
def test_aria2_reads_metalink_4(
    flavour: Flavour,
    first: str,
    services: Services,
    fleet: Fleet,
    trees: Trees,
    tap_near: TapNear,
    home: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], first)
    url = f"{tap.url}/metalink?repo=baseos-9&arch=x86_64&format=meta4"
    reading = Aria2(home, trees).read(Kind.METALINK, url)
    note(
        f"aria2   metalink4  {flavour.value:13} first mirror {first:10} rc {reading.code:<2} "
        f"{reading.version or 'nothing':7} mirrors: {' '.join(fleet.used())}"
    )
    assert reading == HAPPY
    assert is_served(fleet, first)


@each_flavour(*OWN)
def test_zypper_reads_metalink_4(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    url = f"{tap.url}/metalink?repo=baseos-9&arch=x86_64&format=meta4"
    reading = Zypper(home).read(Kind.METALINK, url)
    note(f"zypper  metalink4  {flavour.value:13} rc {reading.code:<2} {reading.version}, mirrors: {fleet.used()}")
    assert reading == HAPPY
    assert is_served(fleet, PUBLIC[0])

"""From the list to the installed file: what installing, refreshing and copying cost, and what damage does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Note, Services, TapNear, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.programs import Dnf, Reading, Zypper
from tests.clients.service import Flavour, Kind, list_url
from tests.clients.sources import PUBLIC
from tests.clients.trees import BASEOS, NEW, OLD, Trees, directory, package_name


@each_flavour()
@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
@pytest.mark.parametrize(("mirror", "version"), [(PUBLIC[0], NEW), ("stale", OLD)], ids=["fresh", "stale"])
def test_dnf_installs_with_two_requests(
    flavour: Flavour,
    kind: Kind,
    mirror: str,
    version: str,
    services: Services,
    fleet: Fleet,
    tap_near: TapNear,
    home: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], mirror)
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Test\n{kind.value}={tap.url}{list_url(kind, flavour, 'baseos-9')}\n")
    reading = dnf.install()
    requests = len(tap.exchanges())
    note(
        f"dnf     {kind.value:10} {flavour.value:13} install from a {mirror} mirror: rc {reading.code}, "
        f"{reading.version} installed, {requests} requests"
    )
    assert (reading, requests) == (Reading(0, version), 2)
    assert fleet.used() == [mirror]


@each_flavour()
def test_dnf_installs_the_right_package_although_the_first_mirror_has_a_damaged_one(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], "damaged")
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Test\nmetalink={tap.url}{list_url(Kind.METALINK, flavour, 'baseos-9')}\n")
    reading = dnf.install()
    package = f"{directory(BASEOS)}/{package_name(NEW)}"
    sources = [name for name in fleet if package in fleet[name].asked]
    note(f"dnf     metalink   {flavour.value:13} damaged package: rc {reading.code}, {reading.version}, from {sources}")
    assert reading == Reading(0, NEW)
    assert "damaged" in sources
    assert set(sources) & set(PUBLIC)


@each_flavour()
def test_zypper_installs(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    zypper = Zypper(home)
    zypper.write_repo(
        "[test]\nname=Test\nenabled=1\nautorefresh=1\ntype=rpm-md\ngpgcheck=0\n"
        f"mirrorlist={tap.url}{list_url(Kind.METALINK, flavour, 'baseos-9')}\n"
    )
    reading = zypper.install()
    note(f"zypper  metalink   {flavour.value:13} install: rc {reading.code}, {reading.version} installed")
    assert reading == Reading(0, NEW)
    assert fleet.used() == [PUBLIC[0]]


@each_flavour()
def test_a_refresh_without_news_costs_one_request_and_no_mirror_anything(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Test\nmetalink={tap.url}{list_url(Kind.METALINK, flavour, 'baseos-9')}\n")
    first = dnf.run("makecache")
    before = len(tap.exchanges())
    fleet.forget()
    second = dnf.run("--refresh", "makecache")
    requests = len(tap.exchanges()) - before
    note(f"dnf     metalink   {flavour.value:13} refresh without news: rc {second.code}, {requests} request, no mirror")
    assert (first.code, second.code, requests, fleet.used()) == (0, 0, 1, [])


@each_flavour()
def test_reposync_copies_the_repository_with_three_requests(
    flavour: Flavour, services: Services, trees: Trees, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Test\nmetalink={tap.url}{list_url(Kind.METALINK, flavour, 'baseos-9')}\n")
    done = dnf.reposync(home / "copy")
    original = trees.new / directory(BASEOS)
    copied = {name: (home / "copy" / "test" / name).read_bytes() for name in (package_name(NEW), "repodata/repomd.xml")}
    requests = len(tap.exchanges())
    note(f"dnf     reposync   {flavour.value:13} rc {done.code}, package and metadata right, {requests} requests")
    assert (done.code, requests) == (0, 3)
    assert copied == {name: (original / name).read_bytes() for name in copied}


@each_flavour()
def test_metrics_count_what_reached_us(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    service = services[flavour]
    host = PUBLIC[0] if flavour is Flavour.ALMALINUX else fleet[PUBLIC[0]].address[0]
    samples = [
        'redirector_requests_total{answer="metalink",status="200"}',
        'redirector_requests_total{answer="metalink",status="404"}',
        f'redirector_first_host_total{{host="{host}"}}',
        'redirector_first_tier_total{tier="netblock"}',
    ]
    before = [service.count(sample) for sample in samples]
    dnf = Dnf(home)
    tap = tap_near(service, PUBLIC[0])
    for repository in ("baseos-9", "nosuch-9"):
        dnf.read(Kind.METALINK, tap.url + list_url(Kind.METALINK, flavour, repository))
    counted = [int(service.count(sample) - base) for sample, base in zip(samples, before, strict=True)]
    note(f"dnf     metrics    {flavour.value:13} 200: {counted[0]}, 404: {counted[1]}, first host, tier: {counted[2:]}")
    assert counted == [1, 12, 1, 1]

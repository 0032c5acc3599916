"""`.repo` files as distributions ship them, with our address in the place of theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.conftest import Note, Services, TapNear, each_flavour
from tests.clients.mirrors import Fleet
from tests.clients.programs import Dnf, Reading, Zypper
from tests.clients.service import Flavour
from tests.clients.sources import PUBLIC
from tests.clients.trees import BASEOS, NEW, PACKAGE, directory


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a distribution sets up.

    lines      of its main repository
    variables  dnf's, beyond those that it knows itself
    target     what then reaches us
    """

    name: str
    releasever: str
    lines: str
    target: str
    variables: tuple[tuple[str, str], ...] = ()


FEDORA = Distribution(
    "Fedora",
    "40",
    "metalink={url}/metalink?repo=fedora-$releasever&arch=$basearch\ncountme=1\nmetadata_expire=7d\nrepo_gpgcheck=0\ntype=rpm\n",
    "/metalink?repo=fedora-40&arch=x86_64",
)
FEDORA_UPDATES = Distribution(
    "Fedora updates",
    "40",
    "metalink={url}/metalink?repo=updates-released-f$releasever&arch=$basearch\ncountme=1\nmetadata_expire=6h\n",
    "/metalink?repo=updates-released-f40&arch=x86_64",
)
EPEL = Distribution(
    "EPEL",
    "9",
    "metalink={url}/metalink?repo=epel-$releasever&arch=$basearch&infra=$infra&content=$contentdir\ncountme=1\n",
    "/metalink?repo=epel-9&arch=x86_64&infra=$infra&content=$contentdir",
)
CENTOS = Distribution(
    "CentOS Stream",
    "9",
    "metalink={url}/metalink?repo=centos-baseos-$stream&arch=$basearch&protocol=https,http\ncountme=1\n",
    "/metalink?repo=centos-baseos-9-stream&arch=x86_64&protocol=https,http",
    (("stream", "9-stream"),),
)
ROCKY = Distribution(
    "Rocky Linux",
    "9",
    "mirrorlist={url}/mirrorlist?arch=$basearch&repo=BaseOS-$releasever$rltype\ncountme=1\nmetadata_expire=6h\n",
    "/mirrorlist?arch=x86_64&repo=BaseOS-9",
    (("rltype", ""), ("contentdir", "pub/rocky"), ("sigcontentdir", "pub/sig")),
)
OPENEULER = Distribution(
    "openEuler",
    "24.03LTS",
    "metalink={url}/metalink?repo=$releasever/OS&arch=$basearch\nmetadata_expire=1h\n",
    "/metalink?repo=24.03LTS/OS&arch=x86_64",
)
ALMALINUX = Distribution(
    "AlmaLinux",
    "9",
    "mirrorlist={url}/mirrorlist/$releasever/baseos\ncountme=1\nmetadata_expire=86400\nenabled_metadata=1\n",
    "/mirrorlist/9/baseos",
)

SHIPPED = [
    *(
        (flavour, distribution)
        for flavour in (Flavour.MIRRORMANAGER, Flavour.COMPATIBLE)
        for distribution in (FEDORA, FEDORA_UPDATES, EPEL, CENTOS, ROCKY, OPENEULER)
    ),
    (Flavour.ALMALINUX, ALMALINUX),
]


@pytest.mark.parametrize(
    ("flavour", "distribution"), SHIPPED, ids=lambda value: value.value if isinstance(value, Flavour) else value.name
)
def test_repo_file_of_a_distribution_works_unchanged(
    flavour: Flavour,
    distribution: Distribution,
    services: Services,
    fleet: Fleet,
    tap_near: TapNear,
    home: Path,
    note: Note,
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    dnf = Dnf(home)
    for name, value in distribution.variables:
        (home / "vars" / name).write_text(f"{value}\n")
    dnf.write_repo(f"[test]\nname={distribution.name}\nenabled=1\n{distribution.lines.format(url=tap.url)}")
    seen = dnf.run("repoquery", PACKAGE, releasever=distribution.releasever)
    targets = [re.sub(r"[?&]countme=1$", "", exchange.target) for exchange in tap.exchanges()]
    note(f"dnf     {distribution.name:15} {flavour.value:13} .repo as shipped: rc {seen.code}, {targets}")
    assert seen.code == 0
    assert f"{PACKAGE}-0:{NEW}-1.noarch" in seen.text
    assert targets == [distribution.target]
    assert fleet.used() == [PUBLIC[0]]


@each_flavour()
def test_zypper_reads_a_repo_file_for_opensuse(
    flavour: Flavour, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    zypper = Zypper(home)
    repository = "baseos-$releasever" if flavour is Flavour.ALMALINUX else "opensuse-oss-$releasever"
    zypper.write_repo(
        f"[repo-oss]\nname=Main repository ($releasever)\nenabled=1\nautorefresh=1\ntype=rpm-md\nkeeppackages=0\n"
        f"mirrorlist={tap.url}/metalink?repo={repository}&arch=$basearch\n"
    )
    reading = Reading(zypper.run("refresh").code, zypper.find())
    note(f"zypper  openSUSE        {flavour.value:13} .repo with variables: rc {reading.code}, {reading.version}")
    assert reading == Reading(0, NEW)
    assert fleet.used() == [PUBLIC[0]]


@pytest.mark.parametrize(
    ("flavour", "line"),
    [
        (Flavour.ALMALINUX, "mirrorlist={url}/mirrorlist/$releasever/baseos"),
        (Flavour.ALMALINUX, "metalink={url}/metalink?repo=baseos-$releasever&arch=$basearch"),
        (Flavour.MIRRORMANAGER, "mirrorlist={url}/mirrorlist?repo=baseos-$releasever&arch=$basearch"),
        (Flavour.MIRRORMANAGER, "mirrorlist={url}/mirrorlist/$releasever/baseos?arch=$basearch"),
    ],
    ids=["almalinux-by-version", "almalinux-metalink", "mirrormanager-by-name", "mirrormanager-by-version"],
)
def test_basearch_is_the_clients(
    flavour: Flavour, line: str, services: Services, fleet: Fleet, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Main\n{line.format(url=tap.url)}\n")
    seen = dnf.run("repoquery", PACKAGE, arch="aarch64")
    asked = fleet[PUBLIC[0]].asked
    note(f"dnf     $basearch       {flavour.value:13} rc {seen.code}, asks for {asked[:1]}")
    assert seen.code == 0
    assert asked
    assert all(path.startswith(f"{directory(BASEOS, 'aarch64')}/repodata/") for path in asked)


@each_flavour()
def test_countme_is_sent_once_and_changes_nothing(
    flavour: Flavour, services: Services, tap_near: TapNear, home: Path, note: Note
) -> None:
    tap = tap_near(services[flavour], PUBLIC[0])
    dnf = Dnf(home)
    dnf.write_repo(f"[test]\nname=Main\ncountme=1\nmetalink={tap.url}/metalink?repo=baseos-9&arch=$basearch\n")
    codes = [dnf.run("--refresh", "makecache").code for _ in range(4)]  # libdnf draws one of the week's first four
    counted = [exchange for exchange in tap.exchanges() if exchange.target.endswith("&countme=1")]
    note(
        f"dnf     countme         {flavour.value:13} rc {codes}, counted {len(counted)} time of {len(tap.exchanges())}"
    )
    assert codes == [0, 0, 0, 0]
    assert len(tap.exchanges()) == 4
    assert [exchange.status for exchange in counted] == [200]

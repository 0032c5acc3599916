"""What the mirrors carry: one distribution in two pushes, with real packages and repositories.

    TREE/9.8/{BaseOS,AppStream,extras}/{x86_64,aarch64}/os/{repodata/…,greeting-VERSION-1.noarch.rpm}

The older push holds greeting 1.0, the newer one greeting 2.0. Each has repositories of its own revision and time.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_S

RELEASE = "9.8"
BASEOS, APPSTREAM, EXTRAS = "BaseOS", "AppStream", "extras"
ARCHES = ("x86_64", "aarch64")
PACKAGE = "greeting"
OLD, NEW = "1.0", "2.0"
HOUR_S = 3600

_SPEC = """\
Name: greeting
Version: {version}
Release: 1
Summary: Says hello
License: MIT
BuildArch: noarch
%description
A package to see how packages travel.
%install
mkdir -p %{{buildroot}}/usr/share/greeting
echo 'hello {version}' > %{{buildroot}}/usr/share/greeting/greeting
%files
/usr/share/greeting
"""


@dataclass(frozen=True, slots=True)
class Trees:
    """Roots of the trees.

    old, new  the master tree before and after the last push
    foreign   the tree with other metadata than any mirror has: what a master is right after one more push
    """

    old: Path
    new: Path
    foreign: Path


def directory(repository: str, arch: str = ARCHES[0]) -> str:
    """Where a repository lies in a tree."""
    return f"{RELEASE}/{repository}/{arch}/os"


def package_name(version: str) -> str:
    return f"{PACKAGE}-{version}-1.noarch.rpm"


def build_trees(folder: Path) -> Trees:
    """Build all trees below *folder*; the newer push is an hour old."""
    now = int(time.time())
    pushes = {
        "old": (OLD, now - 7 * HOUR_S),
        "new": (NEW, now - HOUR_S),
        "foreign": ("3.0", now - HOUR_S // 2),
    }
    for name, (version, pushed) in pushes.items():
        _build_tree(folder / name, _build_package(folder / "packages", version), pushed)
    return Trees(folder / "old", folder / "new", folder / "foreign")


def _build_package(folder: Path, version: str) -> Path:
    """A small package without scripts and dependencies."""
    folder.mkdir(exist_ok=True)
    spec = folder / f"{PACKAGE}-{version}.spec"
    spec.write_text(_SPEC.format(version=version))
    subprocess.run(
        ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {folder}", spec],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    return folder / "RPMS" / "noarch" / package_name(version)


def _build_tree(root: Path, package: Path, pushed: int) -> None:
    first = root / directory(BASEOS)
    first.mkdir(parents=True)
    shutil.copy(package, first)
    subprocess.run(
        ["createrepo_c", "--quiet", "--no-database", "--revision", str(pushed), "--set-timestamp-to-revision", first],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    for repository in (BASEOS, APPSTREAM, EXTRAS):
        for arch in ARCHES:
            if (root / directory(repository, arch)) != first:
                shutil.copytree(first, root / directory(repository, arch))

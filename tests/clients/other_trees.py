"""Trees that are not of rpm: a signed one for apt and one for pacman, each with the package in one version.

TREE/9.8/debian/{dists/stable,pool}            TREE/9.8/archlinux/core/os/x86_64
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.clients.trees import PACKAGE, RELEASE
from tests.patience import PATIENCE_S

DEBIAN, ARCHLINUX = "debian", "archlinux"
KEY = "archive-key.gpg"
"""Public key of the Debian tree, in the tree itself."""

_CONTROL = """\
Package: {package}
Version: {version}-1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: Says hello
"""
_SUITE = ("Suite", "stable"), ("Codename", "stable"), ("Components", "main"), ("Architectures", "amd64 arm64")
_PKGINFO = """\
pkgname = {package}
pkgver = {version}-1
pkgdesc = Says hello
arch = any
size = 10
"""
_DESC = """\
%FILENAME%
{file}

%NAME%
{package}

%VERSION%
{version}-1

%ARCH%
any

%CSIZE%
{size}
"""


def _run(*command: str | Path, folder: Path | None = None) -> bytes:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S).stdout


def build_debian(root: Path, work: Path, version: str) -> None:
    """A tree for apt below *root*, signed with a key of its own; *work* is for what nobody serves."""
    tree = root / RELEASE / DEBIAN
    suite = tree / "dists" / "stable"
    package = work / PACKAGE
    _write(package / "DEBIAN" / "control", _CONTROL.format(package=PACKAGE, version=version))
    _write(package / "usr" / "share" / PACKAGE / PACKAGE, f"hello {version}\n")
    (tree / "pool").mkdir(parents=True)
    file = tree / "pool" / f"{PACKAGE}_{version}-1_all.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", package, file)
    index = _run("apt-ftparchive", "packages", "pool", folder=tree).decode()
    for arch in ("amd64", "arm64"):
        _write(suite / "main" / f"binary-{arch}" / "Packages", index)
    settings = [switch for key, value in _SUITE for switch in ("-o", f"APT::FTPArchive::Release::{key}={value}")]
    (suite / "Release").write_bytes(_run("apt-ftparchive", *settings, "release", suite))
    gpg = ("gpg", "--batch", "--quiet", "--homedir", work / "gpg", "--passphrase", "", "--pinentry-mode", "loopback")
    (work / "gpg").mkdir(mode=0o700)
    _run(*gpg, "--quick-generate-key", "nobody@example.org", "ed25519", "sign", "never")
    _run(*gpg, "--clearsign", "--output", suite / "InRelease", suite / "Release")
    _run(*gpg, "--output", tree / KEY, "--export")
    _run("gpgconf", "--homedir", work / "gpg", "--kill", "gpg-agent")


def build_archlinux(root: Path, version: str) -> None:
    """A tree for pacman below *root*: a repository is an archive of descriptions, a package one of files."""
    folder = root / RELEASE / ARCHLINUX / "core" / "os" / "x86_64"
    folder.mkdir(parents=True)
    file = folder / f"{PACKAGE}-{version}-1-any.pkg.tar.gz"
    info = _PKGINFO.format(package=PACKAGE, version=version)
    _write_archive(file, {".PKGINFO": info, f"usr/share/{PACKAGE}/{PACKAGE}": f"hello {version}\n"})
    description = _DESC.format(package=PACKAGE, version=version, file=file.name, size=file.stat().st_size)
    _write_archive(folder / "core.db", {f"{PACKAGE}-{version}-1/desc": description})


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write_archive(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))

"""The package managers, each in a folder of its own, so that nothing of this machine is read or changed."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.clients.service import Kind
from tests.clients.trees import BASEOS, PACKAGE, Trees, directory
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]

REPOSYNC = ROOT / "build" / "dnf-plugins-core" / "usr" / "lib" / "python3" / "dist-packages"
"""Debian's dnf-plugins-core cannot be installed beside zypper; `.ci/install` unpacks it here."""

SILENCE_S = 2
"""How long clients wait for a silent mirror; their defaults are 30 s and more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a person sees: the exit code, and what the program printed on both streams."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a client made of a repository: its exit code, and the version of the package that it then offers."""

    code: int
    version: str | None


class Reader(Protocol):
    """A client that reads one repository through us."""

    def read(self, kind: Kind, url: str) -> Reading: ...


def run(*command: str | Path, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run a program to its end in a plain English environment; what it prints is shown when a test fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": f"{os.defpath}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S,
        check=False,
        text=True,
    )
    print(" ".join(map(str, command)), done.stdout, sep="\n")
    return Outcome(done.returncode, done.stdout)


def find_version(pattern: str, text: str) -> str | None:
    """The version of the package as *pattern*, with one group, finds it in *text*."""
    match = re.search(pattern, text)
    return match[1] if match else None


class Dnf:
    """dnf with configuration, cache and installation root below *home*."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("repos.d", "vars", "cache", "log", "persist", "root"):
            (home / name).mkdir(parents=True)
        (home / "dnf.conf").write_text(
            f"[main]\ngpgcheck=0\nplugins=0\ntimeout={SILENCE_S}\nreposdir={home}/repos.d\nvarsdir={home}/vars\n"
            f"cachedir={home}/cache\nsystem_cachedir={home}/cache\nlogdir={home}/log\npersistdir={home}/persist\n"
        )

    def write_repo(self, text: str) -> None:
        """Put *text* where `/etc/yum.repos.d` would be."""
        (self.home / "repos.d" / "test.repo").write_text(text)

    def read(self, kind: Kind, url: str) -> Reading:
        self.write_repo(f"[test]\nname=Test\n{kind.value}={url}\n")
        done = self.run("--refresh", "repoquery", PACKAGE)
        return Reading(done.code, find_version(rf"{PACKAGE}-0:(\S+)-1\.noarch", done.text))

    def run(self, *arguments: str, releasever: str = "9", arch: str = "x86_64") -> Outcome:
        switches = (f"--releasever={releasever}", f"--forcearch={arch}")
        return run("dnf", "-y", "-c", self.home / "dnf.conf", *switches, *arguments)

    def install(self) -> Reading:
        """Install the package into the root; its version is read from the file that it brings."""
        done = self.run(f"--installroot={self.home}/root", "install", PACKAGE)
        return Reading(done.code, read_installed(self.home / "root"))

    def reposync(self, folder: Path) -> Outcome:
        """Copy the whole repository into *folder*, with the one plugin that does it."""
        plugin = ("--setopt=plugins=1", f"--setopt=pluginpath={REPOSYNC}/dnf-plugins")
        arguments = ("reposync", "--download-metadata", "--download-path", folder)
        command = ("dnf", "-y", "-c", self.home / "dnf.conf", "--releasever=9", "--forcearch=x86_64", *plugin)
        return run(*command, *arguments, environment={"PYTHONPATH": str(REPOSYNC)})


def read_installed(root: Path) -> str | None:
    """The version of the package that is installed below *root*."""
    file = root / "usr" / "share" / PACKAGE / PACKAGE
    return file.read_text().split()[1] if file.exists() else None


_LIBREPO = f"""\
import sys, librepo
kind, url, folder = sys.argv[1:]
handle = librepo.Handle()
handle.setopt(librepo.LRO_REPOTYPE, librepo.LR_YUMREPO)
handle.setopt(librepo.LRO_METALINKURL if kind == "metalink" else librepo.LRO_MIRRORLISTURL, url)
handle.setopt(librepo.LRO_VARSUB, [("basearch", "x86_64")])
handle.setopt(librepo.LRO_DESTDIR, folder)
handle.setopt(librepo.LRO_YUMDLIST, ["primary"])
handle.setopt(librepo.LRO_CHECKSUM, True)
handle.setopt(librepo.LRO_LOWSPEEDTIME, {SILENCE_S})
try:
    handle.perform(librepo.Result())
except librepo.LibrepoException as error:
    sys.exit(str(error))
"""


class Librepo:
    """librepo as its Python binding offers it, under the system's Python."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True)

    def read(self, kind: Kind, url: str) -> Reading:
        done = run("/usr/bin/python3", "-c", _LIBREPO, kind.value, url.replace("$basearch", "x86_64"), self.home)
        if done.code:
            return Reading(done.code, None)
        (primary,) = self.home.glob("repodata/*-primary.xml.gz")
        return Reading(0, find_version(r'<version [^>]*ver="([^"]+)"', gzip.decompress(primary.read_bytes()).decode()))


class Zypper:
    """zypper with root, cache and repositories below *home*."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("root", "repos.d", "cache"):
            (home / name).mkdir(parents=True)

    def write_repo(self, text: str) -> None:
        (self.home / "repos.d" / "test.repo").write_text(text)

    def read(self, kind: Kind, url: str) -> Reading:
        """libzypp calls both kinds `mirrorlist` and tells them apart by their names."""
        self.write_repo(f"[test]\nname=Test\nenabled=1\nautorefresh=1\ntype=rpm-md\ngpgcheck=0\nmirrorlist={url}\n")
        code = self.run("refresh").code
        return Reading(code, None if code else self.find())

    def find(self) -> str | None:
        """The version that is offered; zypper asks for the list once more, though not for the repository."""
        done = self.run("--no-refresh", "--xmlout", "search", "--details", PACKAGE)
        return find_version(r'edition="([^"]+)-1"', done.text)

    def install(self) -> Reading:
        """Refresh and install the package into the root."""
        done = self.run("install", PACKAGE)
        return Reading(done.code, read_installed(self.home / "root"))

    def run(self, *arguments: str) -> Outcome:
        folders = (
            "--root",
            self.home / "root",
            "--reposd-dir",
            self.home / "repos.d",
            "--cache-dir",
            self.home / "cache",
        )
        return run("zypper", "--non-interactive", *folders, "--no-gpg-checks", "--releasever", "9", *arguments)


class Aria2:
    """aria2, which downloads the one file that a metalink describes."""

    def __init__(self, home: Path, trees: Trees) -> None:
        self.home = home
        self.trees = trees

    def read(self, kind: Kind, url: str) -> Reading:
        """The file is looked at whatever the code says: aria2 ends with 0 where a metalink names no URL."""
        assert kind is Kind.METALINK, "aria2 knows no mirrorlists"
        done = self.fetch(url.replace("$basearch", "x86_64"))
        file = self.home / "repomd.xml"
        content = file.read_bytes() if file.exists() else b""
        versions = {
            (tree / directory(BASEOS) / "repodata" / "repomd.xml").read_bytes(): version
            for version, tree in (("1.0", self.trees.old), ("2.0", self.trees.new))
        }
        return Reading(done.code, None if done.code else versions.get(content))

    def fetch(self, *arguments: str) -> Outcome:
        patience = (f"--timeout={SILENCE_S}", f"--connect-timeout={SILENCE_S}")
        return run("aria2c", "--no-conf", "-d", self.home, "--follow-metalink=mem", *patience, *arguments)


class Apt:
    """apt with sources, lists and packages below *home*; it takes only what is signed with *key*."""

    def __init__(self, home: Path, key: Path) -> None:
        self.home = home
        self.key = key
        for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "etc/sources.list.d"):
            (home / name).mkdir(parents=True)
        for name in ("state/lists/partial", "cache/archives/partial"):
            (home / name).mkdir(parents=True)
        (home / "status").touch()
        (home / "apt.conf").write_text(
            f'Dir "{home}"; Dir::Etc "{home}/etc"; Dir::Cache "{home}/cache"; Dir::Log "{home}";\n'
            f'Dir::State "{home}/state"; Dir::State::status "{home}/status";\n'
            'APT::Architecture "amd64"; APT::Architectures {"amd64";}; APT::Sandbox::User "root";\n'
            f'Acquire::Languages "none"; Acquire::Retries "0"; Acquire::http::Timeout "{SILENCE_S}";\n'
        )

    def write_sources(self, text: str) -> None:
        """Put *text* where `/etc/apt/sources.list.d` would be; where it names a key, ours is meant."""
        (self.home / "etc" / "sources.list.d" / "test.list").write_text(re.sub(r"/\S+\.gpg", str(self.key), text))

    def download_from(self, uri: str) -> Reading:
        """`download` with one signed source."""
        self.write_sources(f"deb [signed-by=/key.gpg] {uri} stable main\n")
        return self.download()

    def download(self) -> Reading:
        """Update, and download the package into *home*."""
        environment = {"APT_CONFIG": str(self.home / "apt.conf")}
        codes = [
            run("apt-get", *command, folder=self.home, environment=environment).code
            for command in (("-o", "APT::Update::Error-Mode=any", "update"), ("download", PACKAGE))
        ]
        versions = [file.name.split("_")[1].removesuffix("-1") for file in self.home.glob("*.deb")]
        return Reading(max(codes), versions[0] if versions else None)


class Pacman:
    """pacman with root, database and cache below *home*."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("root", "db", "cache", "gpg", "hooks"):
            (home / name).mkdir(parents=True)

    def install(self, repository: str) -> Reading:
        """Install the package; *repository* is the text of a section of `pacman.conf`."""
        (self.home / "pacman.conf").write_text(
            f"[options]\nRootDir={self.home}/root\nDBPath={self.home}/db\nCacheDir={self.home}/cache\n"
            f"LogFile={self.home}/log\nGPGDir={self.home}/gpg\nHookDir={self.home}/hooks\n"
            f"Architecture=x86_64\nSigLevel=Never\n{repository}"
        )
        done = run("pacman", "--config", self.home / "pacman.conf", "--noconfirm", "-Sy", PACKAGE)
        return Reading(done.code, read_installed(self.home / "root"))

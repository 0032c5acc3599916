"""The operator's files for one fleet of mirrors, in both dialects, so that each client can be led to each mirror.

Every mirror has a network of its own under 127.1.0.0/16. A client that connects from there is given that mirror first,
and the two healthy public mirrors after it. All others are private: strangers never see them.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.clients.mirrors import Fleet
from tests.clients.other_trees import ARCHLINUX, DEBIAN
from tests.clients.service import Flavour
from tests.clients.trees import APPSTREAM, ARCHES, BASEOS, EXTRAS, RELEASE, Trees, directory
from tests.sources.snapshot_file import MirrorList

PUBLIC = ("north", "south")
"""Healthy mirrors that everybody may have."""

MAJOR = RELEASE.partition(".")[0]
MODULE = "kitten"
TOPDIR = "pub/linux"
"""Where the tree lies in MirrorManager's view."""

DISTRIBUTIONS = (
    "fedora-40",
    "updates-released-f40",
    "epel-9",
    "centos-baseos-9-stream",
    "BaseOS-9",
    "24.03LTS/OS",
    "opensuse-oss-9",
)
"""Repository prefixes as distributions write them; each names BaseOS here."""


def tree_path(flavour: Flavour, path: str) -> str:
    """What clients of a flavour call *path*, which is below the release."""
    top = "" if flavour is Flavour.ALMALINUX else f"{TOPDIR}/"
    return f"{top}{RELEASE}/{path}"


def client_of(fleet: Iterable[str], name: str) -> str:
    """The address of a client that is given mirror *name* first."""
    return f"127.1.{list(fleet).index(name)}.1"


def is_served(fleet: Fleet, first: str) -> bool:
    """Whether mirror *first* alone was used or, if it is one that fails, a healthy one too."""
    used = set(fleet.used())
    return used == {first} if first in PUBLIC else bool(used & set(PUBLIC)) and used <= {first, *PUBLIC}


def _network_of(fleet: Iterable[str], name: str) -> str:
    return f"127.1.{list(fleet).index(name)}.0/24"


# ---- AlmaLinux: config.yml and a file for each mirror --------------------------------------------------------------


def write_almalinux(folder: Path, fleet: Fleet, keys: Mapping[str, object]) -> Path:
    """A tree of YAML files in *folder*; *keys* are added to its `config.yml`."""
    (folder / "mirrors.d").mkdir(parents=True)
    config = {
        "config_version": 3,
        "allowed_outdate": "12h",
        "mirrors_dir": "mirrors.d",
        "versions": [MAJOR, RELEASE],
        "optional_module_versions": {MODULE: [MAJOR]},
        "duplicated_versions": {MAJOR: RELEASE},
        "vault_versions": ["9.0"],
        "vault_mirror": "http://127.0.0.1:9/",
        "arches": {MAJOR: list(ARCHES), f"{MAJOR}-{MODULE}": list(ARCHES)},
        "required_protocols": ["http", "https"],
        "repos": [
            {"name": "baseos", "path": f"{BASEOS}/$basearch/os/"},
            {"name": "appstream", "path": f"{APPSTREAM}/$basearch/os/"},
            {"name": "extras", "path": f"{EXTRAS}/$basearch/os/"},
            {"name": "debian", "path": f"{DEBIAN}/"},
            {"name": "archlinux", "path": f"{ARCHLINUX}/"},
        ],
        **keys,
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    for name, mirror in fleet.items():
        entry = {
            "name": name,
            "address": {"http": f"{mirror.url}/"},
            "update_frequency": "3h",
            "sponsor": "Example",
            "sponsor_url": "https://example.org",
            "geolocation": {"country": "DE", "city": "Berlin", "latitude": 52.5, "longitude": 13.4},
            "subnets": [_network_of(fleet, name)],
            "private": name not in PUBLIC,
        }
        (folder / "mirrors.d" / f"{name}.yml").write_text(yaml.safe_dump(entry))
    return folder


def write_primary(folder: Path, trees: Trees) -> dict[str, object]:
    """The master's `repodata` and its history in *folder*, and the keys of `config.yml` that name them.

    BaseOS has the older push as its alternate, AppStream has none, and of extras no mirror has what the master has.
    """
    tops = {
        folder / "primary": {BASEOS: trees.new, APPSTREAM: trees.new, EXTRAS: trees.foreign},
        folder / "history" / "1": {BASEOS: trees.old},
    }
    for top, repositories in tops.items():
        for repository, tree in repositories.items():
            copy_repodata(tree, top, repository)
    return {"primary": str(folder / "primary"), "primary_history": str(folder / "history")}


def copy_repodata(tree: Path, top: Path, repository: str) -> None:
    """Put the metadata that *repository* has in *tree* below *top*, in the place of what is there."""
    for arch in ARCHES:
        place = directory(repository, arch)
        shutil.rmtree(top / place / "repodata", ignore_errors=True)
        shutil.copytree(tree / place / "repodata", top / place / "repodata")


# ---- MirrorManager: one message ------------------------------------------------------------------------------------


def write_mirrormanager(path: Path, fleet: Fleet, trees: Trees) -> Path:
    """A snapshot file of the same mirrors, its repositories named `baseos-9` and as distributions name theirs."""
    snapshot = MirrorList(Time=int(time.time()))
    snapshot.NetblockCountryCache.add(key="127.2.0.0/16", value="FR")
    snapshot.DisabledRepositoryCache.add(key=f"baseos-{int(MAJOR) - 1}", value=True)
    for number, (name, mirror) in enumerate(fleet.items(), 1):
        snapshot.HCUrlCache.add(key=number, value=mirror.url)
        snapshot.HostCountryCache.add(key=number, value="FR" if name == PUBLIC[1] else "DE")
        snapshot.HostBandwidthCache.add(key=number, value=100)
        snapshot.HostNetblockCache.add(key=_network_of(fleet, name), value=[number])
    hosts = range(1, len(fleet) + 1)
    for arch in ARCHES:
        for repository, pushes in (
            (BASEOS, [trees.new, trees.old]),
            (APPSTREAM, [trees.new]),
            (EXTRAS, [trees.foreign]),
        ):
            names = [f"{repository.lower()}-{MAJOR}", *(DISTRIBUTIONS if repository == BASEOS else ())]
            repomds = [push / directory(repository, arch) / "repodata" / "repomd.xml" for push in pushes]
            _add_repository(snapshot, names, arch, directory(repository, arch), hosts, repomds)
        repomd = trees.new / directory(BASEOS, arch) / "repodata" / "repomd.xml"
        _add_repository(snapshot, [f"baseos-{MAJOR}-{MODULE}"], arch, f"{MODULE}/{arch}", (), [repomd])
    for top in (trees.new / RELEASE / DEBIAN, trees.new / RELEASE / ARCHLINUX):
        for folder in (top, *(path for path in top.rglob("*") if path.is_dir())):
            _add_directory(snapshot, str(folder.relative_to(trees.new)), hosts)
    path.write_bytes(snapshot.SerializeToString())
    return path


def _add_repository(
    snapshot: Any, names: Iterable[str], arch: str, subpath: str, hosts: Sequence[int], repomds: Iterable[Path]
) -> None:
    """A repository under all its *names*; *repomds* are its `repomd.xml`, newest first."""
    for name in names:
        snapshot.RepoArchToDirectoryName.add(key=f"{name}+{arch}", value=f"{TOPDIR}/{subpath}")
    for part in (subpath, f"{subpath}/repodata"):
        _add_directory(snapshot, part, hosts)
    files = snapshot.FileDetailsCache.add(directory=f"{TOPDIR}/{subpath}/repodata").FileDetailsCacheFiles
    details = files.add(filename="repomd.xml").FileDetails
    for content in (repomd.read_bytes() for repomd in repomds):
        hashes = {kind.upper(): hashlib.new(kind, content).hexdigest() for kind in ("sha1", "md5", "sha256", "sha512")}
        revision = int(content.partition(b"<revision>")[2].partition(b"<")[0])
        details.add(TimeStamp=revision, Size=len(content), **hashes)


def _add_directory(snapshot: Any, subpath: str, hosts: Sequence[int]) -> None:
    """A directory that *hosts* carry, each under the URL of its own number; the first two are public and in order."""
    german, french = hosts[:1], hosts[1:2]
    carried = snapshot.MirrorListCache.add(directory=f"{TOPDIR}/{subpath}", Global=[*german, *french], Subpath=subpath)
    for country, here in {"DE": german, "FR": french}.items():
        carried.ByCountry.add(key=country, value=here)
    for host in hosts:
        carried.ByHostId.add(key=host, value=[host])

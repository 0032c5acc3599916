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

import yaml

from tests.clients.mirrors import Fleet
from tests.clients.other_trees import ARCHLINUX, DEBIAN
from tests.clients.service import Flavour
from tests.clients.trees import APPSTREAM, ARCHES, BASEOS, EXTRAS, RELEASE, Trees, directory

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


# ---- MirrorManager: one message, written field by field ------------------------------------------------------------

Value = int | str | bytes


def write_mirrormanager(path: Path, fleet: Fleet, trees: Trees) -> Path:
    """A snapshot file of the same mirrors, its repositories named `baseos-9` and as distributions name theirs."""
    numbers = {name: number for number, name in enumerate(fleet, 1)}
    public = [numbers[name] for name in PUBLIC]
    repositories = {BASEOS: [trees.new, trees.old], APPSTREAM: [trees.new], EXTRAS: [trees.foreign]}
    message = _field(1, int(time.time()))
    for name, number in numbers.items():
        country = "FR" if name == PUBLIC[1] else "DE"
        message += _field(4, _entry(number, fleet[name].url))
        message += _field(12, _entry(number, country))
        message += _field(13, _entry(number, 100))
        message += _field(15, _entry(_network_of(fleet, name), number))
    message += _field(2, _entry("127.2.0.0/16", "FR"))
    message += _field(6, _entry("baseos-8", 1))
    for repository, pushes in repositories.items():
        for arch in ARCHES:
            place = directory(repository, arch)
            names = [f"{repository.lower()}-{MAJOR}", *(DISTRIBUTIONS if repository == BASEOS else ())]
            for name in names:
                message += _field(9, _entry(f"{name}+{arch}", f"{TOPDIR}/{place}"))
            message += _field(5, _details(f"{TOPDIR}/{place}/repodata", [push / place for push in pushes]))
            for subpath in (place, f"{place}/repodata"):
                message += _field(16, _directory(subpath, public, numbers.values()))
    for arch in ARCHES:
        message += _field(9, _entry(f"baseos-{MAJOR}-{MODULE}+{arch}", f"{TOPDIR}/kitten/{arch}"))
        message += _field(5, _details(f"{TOPDIR}/kitten/{arch}/repodata", [trees.new / directory(BASEOS)]))
        for subpath in (f"kitten/{arch}", f"kitten/{arch}/repodata"):
            message += _field(16, _directory(subpath, [], []))
    for name in (DEBIAN, ARCHLINUX):
        message += _field(16, _directory(f"{RELEASE}/{name}", public, numbers.values()))
    path.write_bytes(message)
    return path


def _field(number: int, value: Value) -> bytes:
    """One field in protobuf's wire format."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    least, rest = value & 0x7F, value >> 7
    return bytes([least | 0x80]) + _varint(rest) if rest else bytes([least])


def _entry(key: Value, *values: Value) -> bytes:
    return _field(1, key) + b"".join(_field(2, value) for value in values)


def _directory(subpath: str, public: Sequence[int], hosts: Iterable[int]) -> bytes:
    """A directory that *hosts* carry, each under the URL of its own number; of the public ones the last is French."""
    message = _field(1, f"{TOPDIR}/{subpath}") + b"".join(_field(2, host) for host in public) + _field(3, subpath)
    for country, here in {"DE": public[:-1], "FR": public[-1:]}.items():
        message += _field(4, _entry(country, *here))
    return message + b"".join(_field(6, _entry(host, host)) for host in hosts)


def _details(name: str, pushes: Iterable[Path]) -> bytes:
    """What is known of `repomd.xml`, newest push first."""
    versions = b""
    for push in pushes:
        content = (push / "repodata" / "repomd.xml").read_bytes()
        revision = int(content.partition(b"<revision>")[2].partition(b"<")[0])
        detail = _field(1, revision) + _field(2, len(content))
        for number, kind in enumerate(("sha1", "md5", "sha256", "sha512"), 3):
            detail += _field(number, hashlib.new(kind, content).hexdigest())
        versions += _field(2, detail)
    return _field(1, name) + _field(2, _field(1, "repomd.xml") + versions)

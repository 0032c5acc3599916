"""Which versions have ISO images, and where the pages of their mirrors lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from redirector.model import Releases
from redirector.tree.resolve import plain_arches

MODULE_PAGES = ("kitten",)
"""Modules of a tree whose mirrors have pages of their own, below the module's name."""


@dataclass(frozen=True, slots=True)
class IsoVersion:
    """One version: the module that it is of ("": none), and an architecture and the path of its page for each link."""

    version: str
    module: str
    links: tuple[tuple[str, str], ...]


def list_isos(releases: Releases) -> Iterator[IsoVersion]:
    """All versions that mirrors carry, modules' too, each once under its full name."""
    modules = ((f"{version}-{module}", module) for module, versions in releases.modules.items() for version in versions)
    for version, module in (*((version, "") for version in releases.versions), *modules):
        if releases.duplicated.get(version, version) != version:
            continue
        folder, short = "/isos", version
        if module in MODULE_PAGES:
            folder, short = f"/{module}/isos", version.removesuffix(f"-{module}")
        arches = plain_arches(releases, version)
        yield IsoVersion(version, module, tuple((arch, f"{folder}/{quote(arch)}/{quote(short)}") for arch in arches))

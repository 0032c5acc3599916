"""Which versions have which repositories and architectures, and the directories that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redirector.model import HostSetId, Releases, TreeRepository

BASEARCH = "$basearch"


@dataclass(frozen=True, slots=True)
class Spot:
    """One directory of the tree.

    version     as it stands in the name: listed (`9`), mapped (`9.8`), of the vault, or `10-kitten`
    path        what follows the version
    full        the version that it is mapped to
    on_mirrors  False: on the vault alone
    metadata    `repodata/repomd.xml` may be in it
    """

    version: str
    path: str
    full: str
    on_mirrors: bool
    metadata: bool

    @property
    def name(self) -> str:
        """The directory as asked for."""
        return f"{self.version}/{self.path}"

    @property
    def full_name(self) -> str:
        """The directory that carries it."""
        return f"{self.full}/{self.path}"


def module_of(releases: Releases, version: str) -> str | None:
    """The module that `VERSION-MODULE` names; None for other versions."""
    for module, versions in releases.modules.items():
        if any(version == f"{each}-{module}" for each in versions):
            return module
    return None


def is_on_vault(releases: Releases, version: str) -> bool:
    """Whether a mapped *version* lives on the vault alone: it is listed there, and nowhere else."""
    return version in releases.vault and version not in releases.versions and module_of(releases, version) is None


def arches_of(releases: Releases, version: str) -> tuple[str, ...]:
    """Architectures of a mapped version: its own, else its major version's, else those of all versions.

    Vault and module versions know those of all versions: they are never refused for an architecture.
    """
    own = releases.arches.get(version) or releases.arches.get(version.partition(".")[0])
    if own and version in releases.versions:
        return own
    return tuple(dict.fromkeys(arch for arches in releases.arches.values() for arch in arches))


def lacks(releases: Releases, version: str, repository: TreeRepository) -> bool:
    """True if a listed, mapped *version* lacks *repository*; others have all (`docs/almalinux.md`, section 4)."""
    return (
        version in releases.versions
        and not repository.vault
        and bool(repository.versions)
        and version not in repository.versions
    )


def host_set_of(releases: Releases, version: str, path: str) -> HostSetId:
    """The hosts that carry *path* of a mapped version that is not on the vault."""
    own = releases.directory_sets.get(f"{version}/{path}")
    if own is not None:
        return own
    module = module_of(releases, version)
    return releases.standard_set if module is None else releases.module_sets[module]


def list_spots(releases: Releases) -> Iterator[Spot]:
    """Every directory that an index of the tree should know: repositories and ISO images, for each architecture."""
    modules = [f"{version}-{module}" for module, versions in releases.modules.items() for version in versions]
    everything = dict.fromkeys((*releases.versions, *releases.duplicated.values()))
    mapped = [full for full in everything if not is_on_vault(releases, releases.duplicated.get(full, full))]
    for version in dict.fromkeys((*releases.duplicated, *everything, *modules, *releases.vault)):
        full = releases.duplicated.get(version, version)
        on_mirrors = full in mapped or full in modules
        arches = arches_of(releases, full)
        for repository in releases.repositories.values():
            if not lacks(releases, full, repository):
                carried = on_mirrors and not repository.vault
                if BASEARCH in repository.path:
                    yield Spot(version, repository.path, full, carried, metadata=False)
                for path in dict.fromkeys(repository.path.replace(BASEARCH, arch) for arch in arches):
                    yield Spot(version, path, full, carried, metadata=True)
        for arch in arches:
            yield Spot(version, f"isos/{arch}", full, on_mirrors, metadata=False)


def vault_directories(releases: Releases | None) -> dict[str, str]:
    """Directories that the vault alone has -> their URLs, without trailing slash."""
    if releases is None or releases.vault_url is None:
        return {}
    return {spot.name: f"{releases.vault_url}/{spot.full_name}" for spot in list_spots(releases) if not spot.on_mirrors}

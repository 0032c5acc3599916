"""What a version, a repository and an architecture name in a tree (`docs/almalinux.md`, sections 2, 4 and 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from redirector.errors import QueryError
from redirector.model import HostSetId, Releases
from redirector.near_names import find_nearest
from redirector.tree.releases import BASEARCH, arches_of, host_set_of, is_on_vault, lacks, module_of

MAX_SHOWN = 40
"""Characters of a name in an error's line: eight of them fit."""


@dataclass(frozen=True, slots=True)
class ResolvedVersion:
    """A version that exists.

    full    its directory in the tree: `9` is `9.8`, `8.2` is `8.10`, `10-kitten` is itself
    module  `kitten`; None for others
    vault   it lives on the vault alone
    """

    full: str
    module: str | None = None
    vault: bool = False


@dataclass(frozen=True, slots=True)
class Resolved:
    """A directory of the tree.

    directory  its name, without outer slashes; `$basearch` is literal where no architecture was asked for
    host_set   who carries it; says nothing where there is an *url*
    module     its module
    url        the one URL it has, on the vault, without trailing slash; None for what mirrors carry
    """

    directory: str
    host_set: HostSetId
    module: str | None = None
    url: str | None = None


def resolve_version(releases: Releases, version: str) -> ResolvedVersion | None:
    """What *version* means: a listed one, one of the vault, of a module, or else the major one that it belongs to."""
    if version in releases.versions or version in releases.duplicated:
        return _mapped(releases, version)
    if version in releases.vault:
        return ResolvedVersion(version, vault=True)
    if module := module_of(releases, version):
        return ResolvedVersion(version, module)
    major, _, minor = version.partition(".")
    if minor and (major in releases.versions or major in releases.duplicated):
        return _mapped(releases, major)
    return None


def _mapped(releases: Releases, version: str) -> ResolvedVersion:
    """What a listed or a short version stands for: that may have moved to the vault, or be a module's."""
    full = releases.duplicated.get(version, version)
    return ResolvedVersion(full, module_of(releases, full), vault=is_on_vault(releases, full))


def resolve_repository(releases: Releases, version: str, repository: str, arch: str | None) -> Resolved:
    """The directory of *repository* in *version*.

    arch    None: `$basearch` stays literal, for the client to fill in
    raises  QueryError 404 with the nearest names, also for a listed version that does not have the repository
    """
    found = _version(releases, version)
    wanted = releases.repositories.get(repository)
    if wanted is None:
        raise _unknown("repository", repository, sorted(_repositories_of(releases, found)))
    if lacks(releases, found.full, wanted):
        have = ", ".join(sorted(wanted.versions)[:8])
        raise QueryError(404, f"version {found.full} has no repository {repository[:MAX_SHOWN]}: it is in {have}")
    _refuse_arch(releases, found, arch)
    path = wanted.path if arch is None else wanted.path.replace(BASEARCH, arch)
    return _resolved(releases, found, path, on_vault=found.vault or wanted.vault)


def resolve_joined(releases: Releases, repo: str, arch: str | None) -> Resolved:
    """The directory that `repo=<repository>-<version>` names; see `resolve_repository`.

    Of several ways to read it, the one with the longest repository name counts.
    """
    names = sorted((name for name in releases.repositories if repo.startswith(f"{name}-")), key=len, reverse=True)
    for name in names:
        version = repo[len(name) + 1 :]
        if resolve_version(releases, version) is not None:
            return resolve_repository(releases, version, name, arch)
    if names:
        raise _unknown_version(releases, repo[len(names[0]) + 1 :])
    known = (f"{name}-{version}" for version, name in plain_releases(releases))
    raise _unknown("repo", repo, known)


def resolve_isos(releases: Releases, version: str, arch: str) -> Resolved:
    """The directory of the ISO images of *version* for *arch*. Raises QueryError 404."""
    found = _version(releases, version)
    _refuse_arch(releases, found, arch)
    return _resolved(releases, found, f"isos/{arch}", on_vault=found.vault)


def plain_releases(releases: Releases) -> Iterator[tuple[str, str]]:
    """(version, repository) of everything that mirrors carry, versions as listed: `9`, `9.8`, `10-kitten`."""
    modules = (f"{version}-{module}" for module, versions in releases.modules.items() for version in versions)
    for version in (*releases.versions, *modules):
        full = releases.duplicated.get(version, version)
        if is_on_vault(releases, full):
            continue
        for name, repository in releases.repositories.items():
            if not repository.vault and not lacks(releases, full, repository):
                yield version, name


def plain_names(releases: Releases) -> Iterator[tuple[str, str]]:
    """(repo, arch) as `repo=<repository>-<version>&arch=` has them, of everything that mirrors carry."""
    for version, name in plain_releases(releases):
        for arch in plain_arches(releases, version):
            yield f"{name}-{version}", arch


def plain_arches(releases: Releases, version: str) -> tuple[str, ...]:
    """Architectures of a version as listed."""
    return arches_of(releases, releases.duplicated.get(version, version))


def _version(releases: Releases, version: str) -> ResolvedVersion:
    found = resolve_version(releases, version)
    if found is None:
        raise _unknown_version(releases, version)
    return found


def _resolved(releases: Releases, version: ResolvedVersion, path: str, on_vault: bool) -> Resolved:
    directory = f"{version.full}/{path}"
    if not on_vault:
        return Resolved(directory, host_set_of(releases, version.full, path), version.module)
    if releases.vault_url is None:
        raise QueryError(404, f"{directory} is on the vault, and config.yml names no vault_mirror")
    return Resolved(directory, releases.standard_set, version.module, f"{releases.vault_url}/{directory}")


def _refuse_arch(releases: Releases, version: ResolvedVersion, arch: str | None) -> None:
    known = arches_of(releases, version.full)
    if arch is not None and arch not in known:
        raise _unknown("architecture", arch, known)


def _repositories_of(releases: Releases, version: ResolvedVersion) -> Iterator[str]:
    for name, repository in releases.repositories.items():
        if not lacks(releases, version.full, repository):
            yield name


def _unknown_version(releases: Releases, version: str) -> QueryError:
    modules = (f"{each}-{module}" for module, versions in releases.modules.items() for each in versions)
    return _unknown("version", version, (*releases.versions, *modules, *releases.vault))


def _unknown(what: str, asked: str, known: Iterable[str]) -> QueryError:
    """404 with the names that are nearest to *asked*, or the first of *known* when none is near."""
    names = tuple(dict.fromkeys(name for name in known if len(name) <= MAX_SHOWN))
    near = find_nearest(asked, names)
    hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names[:8])}"
    return QueryError(404, f"unknown {what} '{asked[:MAX_SHOWN]}'; {hint}")

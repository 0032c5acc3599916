"""From a `Query` to the `Listing` it means: which directory or file of the master tree, under all its names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from redirector.answer.answer import Kind
from redirector.answer.ask.listing import MAX_NAME_BYTES, Listing, ending_of
from redirector.answer.ask.query import Query
from redirector.errors import QueryError
from redirector.model import Directory, HostSetId
from redirector.near_names import find_nearest
from redirector.snapshot.snapshot import Snapshot
from redirector.tree.resolve import (
    Resolved,
    plain_arches,
    plain_names,
    plain_releases,
    resolve_joined,
    resolve_repository,
)
from redirector.tree.resolve import resolve_isos as resolve_release_isos

DANGLING = "mirrorlist cache index out of range, you broke it!"
INCOMPLETE = "# either path=, or repo= and arch= must be specified"

_MAX_SHOWN = 60
"""Characters of a wrong name in an error's line."""

_PLAIN = re.compile(r"[A-Za-z0-9._~:+-]*")
"""Names that mean the same however they are decoded."""


def resolve(snapshot: Snapshot, query: Query) -> Listing:
    """What *query* lists.

    raises  QueryError with the status and text of `docs/mirrormanager.md`, section 3, rows 2 to 6
    """
    metalink = query.format in ("metalink", "meta4") if query.format else query.kind is Kind.METALINK
    if query.version is not None and query.repository is not None:
        return _resolve_release(snapshot, query, metalink)
    if query.path is not None and query.format == "pacman":
        return _resolve_server(snapshot, query.path)
    if query.path is not None:
        return _resolve_path(snapshot, query.path, metalink)
    if query.repo is None or query.arch is None:
        raise QueryError(snapshot.policy.incomplete_status, INCOMPLETE)
    if snapshot.releases is not None:
        resolved = resolve_joined(snapshot.releases, query.repo, query.arch or None)
        return _listing_of(
            snapshot, resolved, metalink, f"# repo = {query.repo} arch = {query.arch} ", (query.repo, query.arch)
        )
    return _resolve_repository(snapshot, query.repo, query.arch, metalink)


def resolve_isos(snapshot: Snapshot, query: Query) -> Listing:
    """`/isolist/<version>/<arch>`; see `resolve`."""
    assert query.version is not None and query.arch is not None
    if snapshot.releases is None:
        raise QueryError(404, "there are no ISO lists here: the mirrors come from a MirrorManager snapshot")
    isos = resolve_release_isos(snapshot.releases, query.version, query.arch)
    url = isos.url and f"{isos.url}/"
    return Listing(isos.host_set, isos.directory, ending_of(isos.directory, None), only_url=url)


def plain_queries(snapshot: Snapshot) -> Iterator[tuple[Query, list[bytes]]]:
    """Every repository under its names, with the spellings of the target that mean it."""
    names = [*snapshot.repositories, *_redirected(snapshot)]
    if snapshot.releases is not None:
        names = list(plain_names(snapshot.releases))
        for version, repository in plain_releases(snapshot.releases):
            query = Query(Kind.MIRRORLIST, version=version, repository=repository)
            yield query, [f"/mirrorlist/{version}/{repository}".encode()]
            for arch in plain_arches(snapshot.releases, version):
                one = Query(Kind.MIRRORLIST, version=version, repository=repository, arch=arch)
                yield one, [f"/mirrorlist/{version}/{repository}?arch={arch}".encode()]
    for repo, arch in names:
        if not (_PLAIN.fullmatch(repo) and _PLAIN.fullmatch(arch)):
            continue
        for kind in (Kind.MIRRORLIST, Kind.METALINK):
            forward, backward = f"repo={repo}&arch={arch}", f"arch={arch}&repo={repo}"
            yield (
                Query(kind, repo=repo, arch=arch),
                [f"/{kind.value}?{parameters}".encode() for parameters in (forward, backward)],
            )


def _redirected(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """(prefix, arch) of the prefixes that others answer for."""
    aliases: dict[str, list[str]] = {}
    for alias, prefix in snapshot.redirects.items():
        aliases.setdefault(prefix, []).append(alias)
    for prefix, arch in snapshot.repositories:
        for alias in aliases.get(prefix, ()):
            yield alias, arch


def _resolve_release(snapshot: Snapshot, query: Query, metalink: bool) -> Listing:
    """`/mirrorlist/<version>/<repository>?arch=`."""
    assert query.version is not None and query.repository is not None
    if snapshot.releases is None:
        repo = f"{query.repository}-{query.version}"
        if not query.arch:
            raise QueryError(400, f"arch= must be specified: this stands for repo={repo[:80]}&arch=")
        return _resolve_repository(snapshot, repo, query.arch, metalink)
    resolved = resolve_repository(snapshot.releases, query.version, query.repository, query.arch or None)
    asked = (f"{query.repository}-{query.version}", query.arch or "$basearch")
    return _listing_of(snapshot, resolved, metalink, None, asked)


def _listing_of(
    snapshot: Snapshot, resolved: Resolved, metalink: bool, comment: str | None, asked: tuple[str, str]
) -> Listing:
    name = resolved.directory
    if not metalink:
        url = resolved.url and f"{resolved.url}/"
        return Listing(resolved.host_set, name, ending_of(name, None), None, (), comment, asked, url)
    name, file = f"{name}/repodata", "repomd.xml"
    directory = snapshot.directories.get(name)
    host_set = resolved.host_set if directory is None else directory.host_set
    details = snapshot.details.get((name, file), ())
    url = resolved.url and f"{resolved.url}/repodata/{file}"
    return Listing(host_set, name, ending_of(name, file), file, details, comment, asked, url)


def _resolve_path(snapshot: Snapshot, path: str, metalink: bool) -> Listing:
    """`path=`: a directory, or a file in one."""
    name, file = path, None
    if vault := _on_vault(snapshot, path):
        return vault
    directory = snapshot.directories.get(name)
    if directory is None:
        name, _, file = path.rpartition("/")
        directory = snapshot.directories.get(name)
        if directory is None or not file or (snapshot.policy.relax and len(file.encode()) > MAX_NAME_BYTES):
            raise QueryError(404, "error: invalid path")
    return _listing(snapshot, directory, name, file, f"# path = {path} ", None)


def _on_vault(snapshot: Snapshot, path: str) -> Listing | None:
    """What only the vault has: a directory, or a file in one."""
    folder, _, file = path.rpartition("/")
    for name, below in ((path, None), (folder, file or None)):
        if name not in snapshot.directories and name in snapshot.vault:
            ending = ending_of("", below)
            url = snapshot.vault[name] + ending
            return Listing(HostSetId(0), name, ending, below, comment=f"# path = {path} ", only_url=url)
    return None


def _resolve_server(snapshot: Snapshot, path: str) -> Listing:
    """`path=` for pacman, which fills in what begins with a `$`: `archlinux/$repo/os/$arch`."""
    name, mark, variables = path.partition("/$")
    listing = _resolve_path(snapshot, name, False)
    return replace(listing, ending=listing.ending + ending_of(mark + variables, None)[2:]) if mark else listing


def _resolve_repository(snapshot: Snapshot, repo: str, arch: str, metalink: bool) -> Listing:
    """`repo=` and `arch=` of a MirrorManager snapshot."""
    asked = repo
    if "source" in repo:
        arch = "source"
    repo = snapshot.redirects.get(repo) or repo
    if repo in snapshot.disabled:
        raise QueryError(200, "repo disabled")
    comment = f"# repo = {repo} arch = {arch} "
    name = snapshot.repositories.get((repo, arch))
    if not name and snapshot.policy.relax and (major := _of_major_version(snapshot, repo, arch)):
        return replace(_resolve_repository(snapshot, major, arch, metalink), asked=(asked, arch))
    if not name:
        raise QueryError(404, _unknown_repository(snapshot, repo, arch))
    file = None
    if metalink:
        name = name if name.endswith("/repodata") else f"{name}/repodata"
        file = "repomd.xml"
    directory = snapshot.directories.get(name)
    if directory is None:
        raise QueryError(snapshot.policy.dangling_status, DANGLING)
    return _listing(snapshot, directory, name, file, comment, (asked, arch))


def _of_major_version(snapshot: Snapshot, repo: str, arch: str) -> str | None:
    """The prefix for the major version that *repo*, which is not there, belongs to: `epel-9` for `epel-9.3`."""
    stem, hyphen, version = repo.rpartition("-")
    major, dot, _ = version.partition(".")
    prefix = f"{stem}{hyphen}{major}"
    known = dot and major.isdigit() and (snapshot.redirects.get(prefix) or prefix)
    return prefix if known and (known in snapshot.disabled or (known, arch) in snapshot.repositories) else None


def _listing(
    snapshot: Snapshot, directory: Directory, name: str, file: str | None, comment: str, asked: tuple[str, str] | None
) -> Listing:
    ending = ending_of(directory.subpath_of(name), file, escape=snapshot.policy.decode)
    details = snapshot.details.get((name, file), ()) if file else ()
    return Listing(directory.host_set, name, ending, file, details, comment, asked)


def _unknown_repository(snapshot: Snapshot, repo: str, arch: str) -> str:
    """Row 5: today's server lists every repository, ours the nearest."""
    if snapshot.policy.list_repositories:
        known = sorted(f"{known_repo}+{known_arch}" for known_repo, known_arch in snapshot.repositories)
        lines = [f"# repo={key.replace('+', '&arch=')}" for key in known if key.count("+") == 1]
        return "\n".join([_invalid(repo, arch), "# following repositories are available:", *lines, ""])
    line = _invalid(repo[:_MAX_SHOWN], arch[:_MAX_SHOWN])
    arches = sorted(known_arch for known_repo, known_arch in snapshot.repositories if known_repo == repo)
    if arches:
        return f"{line}; arches of this repo: {', '.join(arches[:8])}"
    near = find_nearest(repo, tuple(dict.fromkeys(known_repo for known_repo, _ in snapshot.repositories)))
    return f"{line}; nearest: {', '.join(near)}" if near else line


def _invalid(repo: str, arch: str) -> str:
    return f"# repo = {repo} arch = {arch} error: invalid repo or arch"

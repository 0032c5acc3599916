"""How package managers are pointed at this server, with a repository that there is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from redirector.model import Releases
from redirector.snapshot.snapshot import Snapshot
from redirector.tree.releases import BASEARCH
from redirector.tree.resolve import plain_arches, plain_releases, resolve_repository

SITE = "\0"
"""Where the server's own address goes; no name holds a control character."""

_ARCH = "x86_64"
"""Shown where there is a choice: most people's."""

_IN_QUOTES = "/-._~+:@,="
"""What a path or a name holds in a snippet besides letters and digits: no shell takes it for its own."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One repository.

    repo        as `repo=` names it, `baseos-9`; "" where there are directories alone
    arch        one of its architectures
    directory   its directory in the master tree
    metalink    the hashes of its `repomd.xml` are known
    debian      a directory that holds `dists`; None where none is known
    arch_linux  a directory that holds `core/os`; likewise
    """

    repo: str
    arch: str
    directory: str
    metalink: bool
    debian: str | None
    arch_linux: str | None


@dataclass(frozen=True, slots=True)
class Snippet:
    """What people copy for one *program*: steps of a sentence and lines of text."""

    program: str
    title: str
    steps: tuple[tuple[str, str], ...]


def pick_sample(snapshot: Snapshot) -> Sample:
    """A repository that many people use, as far as one can tell: with hashes, and for the usual architecture."""
    candidates = _of_tree(snapshot.releases) if snapshot.releases else _of_repositories(snapshot)
    ranked = [
        ((f"{directory}/repodata", "repomd.xml") in snapshot.details, rank, repo, arch, directory)
        for rank, repo, arch, directory in candidates
    ]
    nothing = (False, (False, 0, (), 0), "", _ARCH, min(snapshot.directories, default=""))
    metalink, _, repo, arch, directory = max(ranked, default=nothing)
    debian, arch_linux = _find_root(snapshot, "/dists"), _find_root(snapshot, f"/core/os/{_ARCH}")
    return Sample(repo, arch, directory, metalink, debian, arch_linux)


def _find_root(snapshot: Snapshot, ending: str) -> str | None:
    """The first directory below which one is called *ending*."""
    return min((name.removesuffix(ending) for name in snapshot.directories if name.endswith(ending)), default=None)


Rank = tuple[bool, int, tuple[int, ...], int]
"""The usual architecture · early in its file, or for many architectures · versions · shortness."""


def _of_tree(releases: Releases) -> Iterator[tuple[Rank, str, str, str]]:
    """Rank, name, architecture and directory of all that mirrors carry."""
    position = {name: n for n, name in enumerate(releases.repositories)}
    for version, name in plain_releases(releases):
        for arch in plain_arches(releases, version):
            directory = resolve_repository(releases, version, name, arch).directory
            rank = (arch == _ARCH, -position[name], _numbers(version), -len(version))
            yield rank, f"{name}-{version}", arch, directory


def _of_repositories(snapshot: Snapshot) -> Iterator[tuple[Rank, str, str, str]]:
    arches = Counter(repo for repo, _ in snapshot.repositories)
    for (repo, arch), directory in snapshot.repositories.items():
        carried = snapshot.directories.get(directory)
        if carried and snapshot.host_sets[carried.host_set].public and repo not in snapshot.disabled:
            yield (arch == _ARCH, arches[repo], _numbers(repo), -len(repo)), repo, arch, directory


def _numbers(text: str) -> tuple[int, ...]:
    """The first number in *text*: a release; its parts count for nothing, since a short name is the better one."""
    return tuple(int(digits[:9]) for digits in re.findall(r"[0-9]+", text)[:1])


def absent_programs(sample: Sample) -> tuple[str, ...]:
    """Programs that find nothing here that they could read."""
    found = {"apt": sample.debian, "pacman": sample.arch_linux}
    return tuple(program for program, root in found.items() if root is None)


def snippets(sample: Sample, gpgkey: str = "") -> Iterator[Snippet]:
    """What people copy, a program at a time; `SITE` stands for the server's address.

    gpgkey  where the keys lie that packages are signed with; "": not said
    """
    repo, directory = quote(sample.repo, safe=_IN_QUOTES), quote(sample.directory, safe=_IN_QUOTES)
    kind = "metalink" if sample.metalink else "mirrorlist"
    asked = f"repo={repo}&arch={BASEARCH}" if repo else f"path={directory}"
    file = f"{SITE}/{directory}/repodata/repomd.xml"
    words = {
        "site": SITE,
        "name": sample.repo or "example",
        "kind": kind,
        "list": f"{SITE}/{kind}?{asked}",
        "table": f"{SITE}/mirrorlist?{asked.replace(BASEARCH, sample.arch)}&format=json",
        "file": file,
        "whole": f"{SITE}/metalink?repo={repo}&arch={sample.arch}" if sample.metalink else file,
        "debian": quote(sample.debian or sample.directory, safe=_IN_QUOTES),
        "arch_linux": quote(sample.arch_linux or sample.directory, safe=_IN_QUOTES),
        "gpgkey": f"\ngpgkey={gpgkey}" if gpgkey else "",
    }
    absent = absent_programs(sample)
    for program, title, steps in _TEMPLATES:
        if program in absent:
            continue
        yield Snippet(program, title, tuple((text.format(**words), code.format(**words)) for text, code in steps))


_TEMPLATES = (
    (
        "dnf",
        "dnf and yum",
        (
            (
                "`/etc/yum.repos.d/{name}.repo`; other repositories have other names behind `repo=`.",
                "[{name}]\nname={name}\n{kind}={list}\nenabled=1\ngpgcheck=1{gpgkey}",
            ),
        ),
    ),
    (
        "zypper",
        "zypper",
        (
            (
                "`/etc/zypp/repos.d/{name}.repo`.",
                "[{name}]\nname={name}\nmirrorlist={list}\ntype=rpm-md\nenabled=1\nautorefresh=1\ngpgcheck=1{gpgkey}",
            ),
        ),
    ),
    (
        "apt",
        "apt",
        (
            (
                "`/etc/apt/sources.list.d/example.list`, with your release and its components at the end.",
                "deb mirror+{site}/mirrorlist?path={debian}&format=apt stable main",
            ),
        ),
    ),
    (
        "pacman",
        "pacman",
        (
            (
                "Fetch the list now and then; what begins with a `$` is for pacman to fill in.",
                "curl --fail --output /etc/pacman.d/mirrorlist "
                "'{site}/mirrorlist?path={arch_linux}/$repo/os/$arch&format=pacman'",
            ),
            ("`/etc/pacman.conf`, for each repository.", "[core]\nInclude = /etc/pacman.d/mirrorlist"),
        ),
    ),
    ("aria2", "aria2", (("From the best mirrors at once, checked where hashes are known.", "aria2c '{whole}'"),)),
    (
        "curl",
        "curl and browsers",
        (
            (
                "Any path of the tree leads to the nearest mirror that has it.",
                "curl --fail --location --remote-name '{file}'",
            ),
            ("Which mirrors you get, and why.", "curl --fail '{table}'"),
        ),
    ),
)
"""Program, title, steps; the words in braces are those above."""

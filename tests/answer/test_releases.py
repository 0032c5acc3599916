from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import QueryError
from redirector.model import HostSetId, Releases, TreeRepository
from redirector.sources.mirrors_d.load import load_tree
from redirector.tree.resolve import (
    Resolved,
    ResolvedVersion,
    plain_names,
    plain_releases,
    resolve_isos,
    resolve_joined,
    resolve_repository,
    resolve_version,
)
from tests.rig import NOW

STANDARD, KITTEN, OLD = HostSetId(0), HostSetId(1), HostSetId(2)
ARCHES = ("x86_64", "aarch64")

SMALL = Releases(
    versions=("8", "8.10", "9", "9.8", "10"),
    duplicated={"8": "8.10", "9": "9.8"},
    vault=("8.3", "10.2-beta"),
    modules={"kitten": ("10",)},
    arches={"8": ("x86_64",), "9": ARCHES, "10": ARCHES, "10-kitten": ("x86_64",)},
    repositories={
        repository.name: repository
        for repository in (
            TreeRepository("baseos", "BaseOS/$basearch/os"),
            TreeRepository("baseos-source", "BaseOS/Source", vault=True),
            TreeRepository("powertools", "PowerTools/$basearch/os", frozenset({"8.10"}), frozenset({"x86_64"})),
            TreeRepository("old-9", "old/$basearch"),
            TreeRepository("old", "older/$basearch"),
        )
    },
    vault_url="http://vault.example.org/pub",
    standard_set=STANDARD,
    module_sets={"kitten": KITTEN},
    directory_sets={"8.10/PowerTools/x86_64/os": OLD},
)


@pytest.fixture(scope="module")
def real(real_tree: Path) -> Releases:
    releases = load_tree(str(real_tree), NOW).releases
    assert releases is not None
    return releases


@pytest.mark.parametrize(
    ("version", "full", "module", "vault"),
    [
        ("8", "8.10", None, False),
        ("8.10", "8.10", None, False),
        ("9", "9.8", None, False),
        ("10", "10.2", None, False),
        ("10.2", "10.2", None, False),
        ("8.2", "8.10", None, False),
        ("9.99", "9.8", None, False),
        ("10.7-beta", "10.2", None, False),
        ("8.3", "8.3", None, True),
        ("9.8-beta", "9.8-beta", None, True),
        ("10.2-beta", "10.2-beta", None, True),
        ("10-kitten", "10-kitten", "kitten", False),
    ],
)
def test_a_version_means_its_full_one(real: Releases, version: str, full: str, module: str | None, vault: bool) -> None:
    assert resolve_version(real, version) == ResolvedVersion(full, module, vault)


@pytest.mark.parametrize(
    "version",
    ["7", "99.345", "98.1", "1", "", ".", "9.", ".8", "9-kitten", "kitten", "10-", "10-kitte", "9 ", "09.8", "v9"],
)
def test_a_version_of_no_listed_major_one_is_unknown(real: Releases, version: str) -> None:
    assert resolve_version(real, version) is None


@pytest.mark.parametrize(
    ("version", "repository", "arch", "resolved"),
    [
        ("9", "baseos", None, Resolved("9.8/BaseOS/$basearch/os", STANDARD)),
        ("9", "baseos", "aarch64", Resolved("9.8/BaseOS/aarch64/os", STANDARD)),
        ("8.2", "powertools", "x86_64", Resolved("8.10/PowerTools/x86_64/os", OLD)),
        ("10-kitten", "baseos", "x86_64", Resolved("10-kitten/BaseOS/x86_64/os", KITTEN, "kitten")),
        ("10-kitten", "powertools", "aarch64", Resolved("10-kitten/PowerTools/aarch64/os", KITTEN, "kitten")),
        (
            "9",
            "baseos-source",
            None,
            Resolved("9.8/BaseOS/Source", STANDARD, None, "http://vault.example.org/pub/9.8/BaseOS/Source"),
        ),
        (
            "8.3",
            "powertools",
            "aarch64",
            Resolved(
                "8.3/PowerTools/aarch64/os", STANDARD, None, "http://vault.example.org/pub/8.3/PowerTools/aarch64/os"
            ),
        ),
    ],
)
def test_a_repository_of_a_version_is_one_directory(
    version: str, repository: str, arch: str | None, resolved: Resolved
) -> None:
    assert resolve_repository(SMALL, version, repository, arch) == resolved


@pytest.mark.parametrize(
    ("version", "repository", "arch", "text"),
    [
        ("7", "baseos", None, "unknown version '7'; known: 8, 8.10, 9, 9.8, 10, 10-kitten, 8.3, 10.2-beta"),
        ("9", "bseos", None, "unknown repository 'bseos'; nearest: baseos"),
        ("9", "baseos", "x86-64", "unknown architecture 'x86-64'; nearest: x86_64"),
        ("8", "baseos", "aarch64", "unknown architecture 'aarch64'; known: x86_64"),
        ("9", "powertools", None, "version 9.8 has no repository powertools: it is in 8.10"),
        ("10.7", "powertools", None, "version 10 has no repository powertools: it is in 8.10"),
    ],
)
def test_what_does_not_exist_is_404_with_what_would_be_right(
    version: str, repository: str, arch: str | None, text: str
) -> None:
    with pytest.raises(QueryError) as refused:
        resolve_repository(SMALL, version, repository, arch)
    assert (refused.value.status, refused.value.text) == (404, text)


def test_a_repository_s_architectures_never_refuse(real: Releases) -> None:
    assert real.repositories["nfv"].arches == {"x86_64"}
    assert resolve_repository(real, "9", "nfv", "aarch64").directory == "9.8/NFV/aarch64/os"


def test_vault_and_module_versions_are_never_refused_by_versions_or_arches(real: Releases) -> None:
    arches = {arch for arches in real.arches.values() for arch in arches}
    for version in (*real.vault, "10-kitten"):
        for name in real.repositories:
            for arch in arches:
                resolve_repository(real, version, name, arch)


def test_a_vault_without_a_url_is_404() -> None:
    without = replace(SMALL, vault_url=None)
    with pytest.raises(QueryError, match=r"config\.yml names no vault_mirror"):
        resolve_repository(without, "8.3", "baseos", None)


@pytest.mark.parametrize(
    ("repo", "directory"),
    [
        ("baseos-9", "9.8/BaseOS/x86_64/os"),
        ("baseos-9.8", "9.8/BaseOS/x86_64/os"),
        ("baseos-9.3", "9.8/BaseOS/x86_64/os"),
        ("baseos-10-kitten", "10-kitten/BaseOS/x86_64/os"),
        ("baseos-10.2-beta", "10.2-beta/BaseOS/x86_64/os"),
        ("baseos-source-9", "9.8/BaseOS/Source"),
        ("baseos-source-10-kitten", "10-kitten/BaseOS/Source"),
        ("old-9", "9.8/older/x86_64"),
        ("old-9-9", "9.8/old/x86_64"),
    ],
)
def test_repository_and_version_joined_mean_the_same_directory(repo: str, directory: str) -> None:
    assert resolve_joined(SMALL, repo, "x86_64").directory == directory


def test_every_joined_name_means_what_its_parts_mean(real: Releases) -> None:
    for version in (*real.versions, *real.vault, "10-kitten", "8.2"):
        for name in real.repositories:
            try:
                apart: Resolved | str = resolve_repository(real, version, name, "x86_64")
            except QueryError as error:
                apart = error.text
            try:
                joined: Resolved | str = resolve_joined(real, f"{name}-{version}", "x86_64")
            except QueryError as error:
                joined = error.text
            assert joined == apart


@pytest.mark.parametrize(
    ("repo", "text"),
    [
        ("baseos", "unknown repo 'baseos'; nearest: baseos-8, baseos-9, "),
        ("baseos-7", "unknown version '7'; known: 8,"),
        ("bseos-9", "unknown repo 'bseos-9'; nearest: baseos-9"),
        ("", "unknown repo ''; known: baseos-8"),
        ("powertools-9", "version 9.8 has no repository powertools"),
    ],
)
def test_joined_names_that_mean_nothing_are_404(repo: str, text: str) -> None:
    with pytest.raises(QueryError) as refused:
        resolve_joined(SMALL, repo, "x86_64")
    assert refused.value.status == 404
    assert refused.value.text.startswith(text)


def test_isos_of_a_version() -> None:
    assert resolve_isos(SMALL, "9", "aarch64") == Resolved("9.8/isos/aarch64", STANDARD)
    assert resolve_isos(SMALL, "8.3", "x86_64").url == "http://vault.example.org/pub/8.3/isos/x86_64"
    for version, arch in (("7", "x86_64"), ("9", "vax")):
        with pytest.raises(QueryError):
            resolve_isos(SMALL, version, arch)


def test_the_plain_names_are_those_that_mirrors_carry(real: Releases) -> None:
    assert len({name for _, name in plain_releases(real)}) == 17
    for version, name in plain_releases(real):
        assert resolve_repository(real, version, name, None).url is None
    names = list(plain_names(real))
    assert ("baseos-10-kitten", "x86_64_v2") in names and ("powertools-9", "x86_64") not in names
    for repo, arch in names:
        assert resolve_joined(real, repo, arch).url is None


TEXTS = st.text(max_size=20) | st.sampled_from(
    ["baseos", "9", "9.8", "10-kitten", "-", "baseos-", "x86_64", "a" * 5000, "😀" * 5000]
)


@given(TEXTS, TEXTS, TEXTS)
def test_any_text_means_a_directory_or_is_a_short_404(version: str, repository: str, arch: str) -> None:
    resolvers: tuple[Callable[[], Resolved], ...] = (
        lambda: resolve_repository(SMALL, version, repository, arch),
        lambda: resolve_joined(SMALL, f"{repository}-{version}", arch),
        lambda: resolve_isos(SMALL, version, arch),
    )
    for resolve in resolvers:
        try:
            resolved = resolve()
        except QueryError as error:
            assert error.status == 404
            assert len(error.text.encode()) < 500
        else:
            assert resolved.directory.partition("/")[0] in {"8.10", "9.8", "10", "10-kitten", "8.3", "10.2-beta"}


def test_trees_that_name_no_duplicates_serve_their_versions_as_listed() -> None:
    releases = Releases(("9.8",), {}, (), {}, {"9.8": ARCHES}, SMALL.repositories, None, STANDARD, {})
    assert resolve_version(releases, "9.8") == ResolvedVersion("9.8")
    assert resolve_version(releases, "9") is None

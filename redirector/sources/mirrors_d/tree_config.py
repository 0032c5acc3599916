"""`config.yml` of a tree: versions, repositories, where the rest lies (`docs/almalinux.md`, sections 2, 4 and 7)."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from redirector.model import TreeRepository
from redirector.plain_yaml import Value
from redirector.sources.base_url import read_web_url
from redirector.sources.fields import (
    known_keys,
    read_flag,
    read_mapping,
    read_number,
    read_text,
    read_texts,
)
from redirector.sources.mirrors_d.cloud import CLOUDS
from redirector.sources.mirrors_d.primary import AlternatesRule
from redirector.sources.problems import Report, list_some, show

_KEYS = (
    "config_version",
    "allowed_outdate",
    "required_protocols",
    "mirrors_dir",
    "versions",
    "optional_module_versions",
    "duplicated_versions",
    "vault_versions",
    "vault_mirror",
    "arches",
    "repos",
    "primary",
    "primary_history",
    "details",
    "primary_url",
    "alternates_second_days",
    "alternates_other_days",
    "health",
    "places",
    "cloud_ranges",
    "list_length",
    "near_km",
)
TEXT_KEYS = frozenset(
    (
        "allowed_outdate",
        "mirrors_dir",
        "versions",
        "optional_module_versions",
        "duplicated_versions",
        "vault_versions",
        "arches",
        "name",
        "path",
        "primary",
        "primary_history",
        "details",
        "health",
        "places",
        "cloud_ranges",
    )
)
"""Under these a word is a text, whatever YAML calls it."""

_REPOSITORY_KEYS = ("name", "path", "versions", "arches", "vault")

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}")
"""A version, architecture, module or repository: one segment of a path, never hidden, never `..`."""

_PATH = re.compile(r"[A-Za-z0-9._+~$@:=,-]+(/[A-Za-z0-9._+~$@:=,-]+)*")


@dataclass(frozen=True, slots=True)
class TreeConfig:
    """What the `config.yml` at *path* says; other paths are joined to its folder, URLs have no trailing slash.

    arches             version or `VERSION-MODULE` as written -> architectures
    allowed_outdate_s  how late a mirror may be; None: not said
    """

    path: str
    mirrors_dir: str
    versions: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]
    duplicated: Mapping[str, str]
    vault: tuple[str, ...]
    vault_url: str | None
    arches: Mapping[str, tuple[str, ...]]
    repositories: Mapping[str, TreeRepository]
    primary: str | None
    primary_history: str | None
    details: str | None
    primary_url: str | None
    alternates: AlternatesRule
    health: str | None
    places: str | None
    cloud_ranges: Mapping[str, str]
    list_length: int
    near_km: float
    allowed_outdate_s: float | None = None

    @property
    def module_versions(self) -> tuple[str, ...]:
        """Every `VERSION-MODULE`."""
        return tuple(f"{version}-{module}" for module, versions in self.modules.items() for version in versions)


def read_config(report: Report, document: Value) -> TreeConfig | None:
    """The tree's configuration; None, with at least one fatal problem, when it names nothing that can be served."""
    folder = os.path.dirname(report.path)
    if not isinstance(document, dict):
        report.error("file", f"{show(document)} is no mapping", fatal=True)
        return None
    record = known_keys(report, document, _KEYS)
    words = _Words(report)
    versions = words.read("versions", record.get("versions"))
    arches = words.read_lists("arches", record.get("arches"))
    modules = words.read_lists("optional_module_versions", record.get("optional_module_versions"))
    said = words.read_pairs("duplicated_versions", record.get("duplicated_versions"))
    duplicated = _follow_chains(report, said, versions)
    vault = words.read("vault_versions", record.get("vault_versions"))
    repositories = _read_repositories(report, words, record.get("repos"), duplicated)
    for key, found in (("versions", versions), ("arches", arches), ("repos", repositories)):
        if not found:
            report.error(key, "missing or without a usable entry: nothing can be served", fatal=True)
    if not (versions and arches and repositories):
        return None

    def path_of(key: str) -> str | None:
        text = read_text(report, key, record.get(key))
        return text and os.path.join(folder, text)

    config = TreeConfig(
        path=report.path,
        mirrors_dir=path_of("mirrors_dir") or os.path.join(folder, "mirrors.d"),
        versions=versions,
        modules=modules,
        duplicated=duplicated,
        vault=vault,
        vault_url=_read_best_url(report, "vault_mirror", record.get("vault_mirror")),
        arches=arches,
        repositories=repositories,
        primary=path_of("primary"),
        primary_history=path_of("primary_history"),
        details=path_of("details"),
        primary_url=_read_best_url(report, "primary_url", record.get("primary_url")),
        alternates=_read_alternates(report, record),
        health=path_of("health"),
        places=path_of("places"),
        cloud_ranges=_read_cloud_ranges(report, folder, record.get("cloud_ranges")),
        list_length=int(_number(report, record, "list_length", 1, 1000, 10)),
        near_km=_number(report, record, "near_km", 0, 20_040, 500),
        allowed_outdate_s=_read_duration(report, "allowed_outdate", record.get("allowed_outdate")),
    )
    _check_versions(report, config)
    _check_repositories(report, config)
    return config


@dataclass(frozen=True, slots=True)
class _Words:
    """Reads lists of versions, architectures and names; what cannot stand in a path is reported and left out."""

    report: Report

    def read(self, key: str, value: Value) -> tuple[str, ...]:
        return tuple(word for text in read_texts(self.report, key, value) if (word := self.read_one(key, text)))

    def read_one(self, key: str, value: Value) -> str | None:
        text = read_text(self.report, key, value)
        if text is None or _WORD.fullmatch(text):
            return text
        self.report.error(key, f"{show(text)} cannot be part of a path: left out")
        return None

    def read_lists(self, key: str, value: Value) -> dict[str, tuple[str, ...]]:
        lists = {
            word: self.read(f"{key}.{word}", items)
            for name, items in read_mapping(self.report, key, value).items()
            if (word := self.read_one(key, name))
        }
        return {word: items for word, items in lists.items() if items}

    def read_pairs(self, key: str, value: Value) -> dict[str, str]:
        return {
            word: target
            for name, text in read_mapping(self.report, key, value).items()
            if (word := self.read_one(key, name)) and (target := self.read_one(f"{key}.{word}", text))
        }


def _follow_chains(report: Report, said: Mapping[str, str], versions: Collection[str]) -> dict[str, str]:
    """Each short version and what it stands for in the end: a listed version, or one that stands for no other."""
    followed = {}
    for version, full in said.items():
        passed = [version]
        while full in said and full not in versions and said[full] != full:
            if full in passed:
                report.error(f"duplicated_versions.{version}", "stands for itself in the end: left out")
                break
            passed.append(full)
            full = said[full]
        else:
            followed[version] = full
            if len(passed) > 1:
                way = " and ".join(passed[1:])
                report.warning(f"duplicated_versions.{version}", f"stands for {full} by way of {way}: taken as {full}")
    return followed


def _read_repositories(
    report: Report, words: _Words, value: Value, duplicated: Mapping[str, str]
) -> dict[str, TreeRepository]:
    repositories: dict[str, TreeRepository] = {}
    if not isinstance(value, list):
        if value is not None:
            report.error("repos", f"{show(value)} is no list: left out")
        return repositories
    for position, item in enumerate(value, 1):
        repository = _read_repository(report, words, f"repos.{position}", item, duplicated)
        if repository is None:
            continue
        if repository.name in repositories:
            report.error(f"repos.{repository.name}", "stands there twice: the second one is left out")
            continue
        repositories[repository.name] = repository
    return repositories


def _read_repository(
    report: Report, words: _Words, key: str, value: Value, duplicated: Mapping[str, str]
) -> TreeRepository | None:
    record = known_keys(report, read_mapping(report, key, value), _REPOSITORY_KEYS, f"{key}.")
    name = words.read_one(f"{key}.name", record.get("name"))
    if name is None:
        report.error(f"{key}.name", "missing: repository left out")
        return None
    key = f"repos.{name}"
    path = re.sub("/{2,}", "/", read_text(report, f"{key}.path", record.get("path")) or "").strip("/")
    if not _PATH.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
        report.error(f"{key}.path", f"{show(record.get('path'))} is no path in the tree: repository left out")
        return None
    if path.endswith("/repodata"):
        path = path.removesuffix("/repodata")
        report.warning(f"{key}.path", f"is that of its metadata: taken as {path}")
    versions = words.read(f"{key}.versions", record.get("versions"))
    return TreeRepository(
        name=name,
        path=path,
        versions=frozenset(duplicated.get(version, version) for version in versions),
        arches=frozenset(words.read(f"{key}.arches", record.get("arches"))),
        vault=read_flag(report, f"{key}.vault", record.get("vault"), unreadable=False),
    )


def _read_best_url(report: Report, key: str, value: Value) -> str | None:
    """One URL; of several, for those who came by http and by https, that of https serves both."""
    found = [read_web_url(report, key, each) for each in (value if isinstance(value, list) else [value])]
    return max(filter(None, found), key=lambda url: url.startswith("https:"), default=None)


def _read_alternates(report: Report, record: Mapping[str, Value]) -> AlternatesRule:
    usual = AlternatesRule()
    return AlternatesRule(
        second_days=_number(report, record, "alternates_second_days", 0, 1e6, usual.second_days),
        other_days=_number(report, record, "alternates_other_days", 0, 1e6, usual.other_days),
    )


_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(s|sec|m|min|h|d)?")
_UNIT_S = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def _read_duration(report: Report, key: str, value: Value) -> float | None:
    """Seconds, of `12h`, `90m`, `2d`; a bare number is hours, as the tree's own tools read it."""
    text = read_text(report, key, value)
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or not 0 < (duration := float(found[1]) * _UNIT_S[found[2] or "h"]) <= 366 * 86400:
        report.warning(key, f"{show(text)} is no duration such as 12h: left out")
        return None
    return duration


def _number(report: Report, record: Mapping[str, Value], key: str, low: float, high: float, usual: float) -> float:
    number = read_number(report, key, record.get(key), low, high)
    return usual if number is None else number


def _read_cloud_ranges(report: Report, folder: str, value: Value) -> dict[str, str]:
    record = known_keys(report, read_mapping(report, "cloud_ranges", value), CLOUDS, "cloud_ranges.")
    paths = {cloud: read_text(report, f"cloud_ranges.{cloud}", path) for cloud, path in record.items()}
    return {cloud: os.path.join(folder, path) for cloud, path in paths.items() if path}


def _check_versions(report: Report, config: TreeConfig) -> None:
    listed = frozenset(config.versions) | frozenset(config.vault) | frozenset(config.module_versions)
    for version, full in config.duplicated.items():
        for each in (version, full):
            if each not in listed:
                report.warning(f"duplicated_versions.{version}", f"version {each} is not listed")
    for version in config.arches:
        if version not in listed:
            report.warning(f"arches.{version}", "no such version")
    for version in (*config.versions, *config.module_versions):
        if version not in config.arches and version.partition(".")[0] not in config.arches:
            report.warning(f"arches.{version}", "missing: every architecture of the other versions is taken")
    if config.vault_url is None and (config.vault or any(repo.vault for repo in config.repositories.values())):
        report.error("vault_mirror", "missing: vault versions and vault repositories have no URL")


def _check_repositories(report: Report, config: TreeConfig) -> None:
    listed = frozenset(config.versions) | frozenset(config.vault) | frozenset(config.module_versions)
    arches = frozenset(arch for arches in config.arches.values() for arch in arches)
    beyond = (*config.vault, *config.module_versions)
    partial: list[str] = []
    for name, repository in config.repositories.items():
        for version in sorted(repository.versions - listed):
            report.warning(f"repos.{name}.versions", f"no such version {show(version)}")
        for arch in sorted(repository.arches - arches):
            report.warning(f"repos.{name}.arches", f"no such architecture {show(arch)}")
        if repository.versions and not repository.versions.issuperset(beyond):
            partial.append(name)
    if partial:
        report.warning(
            "repos.versions",
            f"{len(partial)} of {len(config.repositories)} do not list every vault and module version "
            f"({list_some(partial)}): "
            "these versions are answered all the same",
        )

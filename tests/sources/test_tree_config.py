from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.plain_yaml import Value, parse_yaml
from redirector.sources.mirrors_d.tree_config import TreeConfig, read_config
from redirector.sources.problems import Report
from tests.sources.tree import CONFIG


def read(config: str) -> tuple[TreeConfig | None, list[str]]:
    report = Report("tree/config.yml")
    found = read_config(report, parse_yaml(config.encode()).value)
    assert (found is None) == any(problem.fatal for problem in report.problems)
    return found, [str(problem).removeprefix("tree/config.yml: ") for problem in report.problems]


def read_right(config: str) -> TreeConfig:
    found, problems = read(config)
    assert found is not None
    assert problems == []
    return found


def test_only_versions_arches_and_repos_are_needed() -> None:
    config = read_right(
        "versions: ['9']\narches: {'9': [x86_64]}\nrepos: [{name: baseos, path: BaseOS/$basearch/os}]\n"
    )
    assert config.versions == ("9",)
    assert config.mirrors_dir == "tree/mirrors.d"
    assert (config.list_length, config.near_km) == (10, 500)
    assert config.vault_url is None and config.primary is None


def test_versions_that_yaml_takes_for_numbers_stay_as_typed() -> None:
    config = read_right(CONFIG)
    assert config.versions == ("8", "8.10", "9", "9.8")
    assert config.duplicated == {"8": "8.10", "9": "9.8"}
    assert config.module_versions == ("10-kitten",)


def test_paths_are_relative_to_the_file_and_urls_lose_their_slash() -> None:
    more = (
        "primary: master\nprimary_history: /h\nprimary_url: https://o.example.org/pub/\nhealth: h.json\nplaces: p.yml\n"
    )
    config = read_right(CONFIG + more + "cloud_ranges: {aws: aws.json}\nlist_length: 3\nnear_km: 12.5\n")
    assert (config.primary, config.primary_history) == ("tree/master", "/h")
    assert (config.health, config.places) == ("tree/h.json", "tree/p.yml")
    assert config.cloud_ranges == {"aws": "tree/aws.json"}
    assert (config.primary_url, config.vault_url) == ("https://o.example.org/pub", "http://vault.example.org")
    assert (config.list_length, config.near_km) == (3, 12.5)


def test_a_chain_of_short_versions_is_followed_to_its_end() -> None:
    chained = CONFIG.replace("{8: 8.10, 9: 9.8}", "{latest: 9, 9: 9.8, a: b, b: a, 8: 8.10}")
    config, problems = read(chained.replace("versions: [8, 8.10, 9, 9.8]", "versions: [8, 8.10, 9.8]"))
    assert config is not None and config.duplicated == {"latest": "9.8", "9": "9.8", "8": "8.10"}
    assert "duplicated_versions.latest: stands for 9.8 by way of 9: taken as 9.8" in problems
    assert "duplicated_versions.a: stands for itself in the end: left out" in problems


def test_a_repository_that_is_named_by_its_metadata_is_its_parent() -> None:
    config, problems = read(CONFIG + "  - {name: plus, path: plus/$basearch/os/repodata/}\n")
    assert config is not None and config.repositories["plus"].path == "plus/$basearch/os"
    assert problems == ["repos.plus.path: is that of its metadata: taken as plus/$basearch/os"]


def test_a_repository_that_names_the_major_version_has_the_full_one() -> None:
    config = read_right(
        CONFIG + "  - {name: plus, path: plus/, versions: [9, 8.3, 10.2-beta, 10-kitten], arches: [x86_64]}\n"
    )
    assert config.repositories["plus"].versions == {"9.8", "8.3", "10.2-beta", "10-kitten"}
    assert config.repositories["plus"].arches == {"x86_64"}
    assert config.repositories["baseos"].path == "BaseOS/$basearch/os"
    assert config.repositories["baseos-source"].vault


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("colour: red\n", "colour: unknown key: left out"),
        ("vault_mirrors: x\n", "vault_mirrors: unknown key, and vault_mirror is there already: left out"),
        ("list_lenght: 5\n", "list_lenght: unknown key: taken as list_length"),
        ("list_length: 0\n", "list_length: '0' is no number from 1 to 1000: left out"),
        ("near_km: wide\n", "near_km: 'wide' is no number from 0 to 20040: left out"),
        ('primary: "a\\0b"\n', "primary: 'a\\x00b' holds control characters: left out"),
        ("primary: [a]\n", "primary: ['a'] is no text: left out"),
        (
            "primary_url: rsync://o.example.org\n",
            "primary_url: 'rsync://o.example.org' is neither http nor https: left out",
        ),
        ("primary_url: /pub\n", "primary_url: '/pub': not a base URL of http, https, ftp or rsync: left out"),
        ("cloud_ranges: {moon: m.json}\n", "cloud_ranges.moon: unknown key: left out"),
        ("  - {path: x}\n", "repos.4.name: missing: repository left out"),
        ("  - {name: ../x, path: x}\n", "repos.4.name: '../x' cannot be part of a path: left out"),
        ("  - {name: x, path: a/../../b}\n", "repos.x.path: 'a/../../b' is no path in the tree: repository left out"),
        ("  - {name: x, path: 'a b'}\n", "repos.x.path: 'a b' is no path in the tree: repository left out"),
        ("  - {name: baseos, path: x}\n", "repos.baseos: stands there twice: the second one is left out"),
        ("  - {name: x, path: x, arches: [vax]}\n", "repos.x.arches: no such architecture 'vax'"),
        (
            "  - {name: x, path: x, versions: [7, 8.3, 10.2-beta, 10-kitten]}\n",
            "repos.x.versions: no such version '7'",
        ),
        (
            "  - {name: x, path: x, versions: [9]}\n",
            "repos.versions: 1 of 4 do not list every vault and module version (x): "
            "these versions are answered all the same",
        ),
    ],
)
def test_what_is_wrong_is_reported_and_the_rest_is_read(more: str, problem: str) -> None:
    config, problems = read(CONFIG + more)
    assert config is not None and "baseos" in config.repositories
    assert problem in problems


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("8: [x86_64]", "7: [x86_64]", "arches.7: no such version"),
        ("8: [x86_64]", "7: [x86_64]", "arches.8: missing: every architecture of the other versions is taken"),
        ("{8: 8.10, 9: 9.8}", "{9: 9.7}", "duplicated_versions.9: version 9.7 is not listed"),
        (
            "vault_mirror: http://vault.example.org/\n",
            "",
            "vault_mirror: missing: vault versions and vault repositories have no URL",
        ),
    ],
)
def test_versions_that_contradict_each_other_are_reported(old: str, new: str, problem: str) -> None:
    assert old in CONFIG
    assert problem in read(CONFIG.replace(old, new))[1]


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ("", {"file"}),
        ("[]", {"file"}),
        ("a: b", {"versions", "arches", "repos"}),
        ("versions: ['9']\nrepos: {a: b}", {"arches", "repos"}),
        ("versions: ['..']\narches: {'9': [a]}\nrepos: [{name: a, path: b}]", {"versions"}),
    ],
)
def test_without_versions_arches_or_repos_nothing_can_be_served(config: str, keys: set[str]) -> None:
    report = Report("config.yml")
    assert read_config(report, parse_yaml(config.encode()).value) is None
    assert {problem.key for problem in report.problems if problem.fatal} == keys


KEYS = """mirrors_dir versions optional_module_versions duplicated_versions vault_versions vault_mirror arches repos
primary primary_history primary_url alternates_second_days health places cloud_ranges list_length near_km"""
WORDS = st.sampled_from(["9", "9.8", "8.3", "x86_64", "kitten", "a/b", "..", "", "http://a.example.org", "\x00"])
VALUES = st.recursive(
    st.none() | st.booleans() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(["name", "path", "vault"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS.split()), VALUES))
def test_any_values_are_a_configuration_or_a_fatal_problem(values: dict[str, Value]) -> None:
    report = Report("config.yml")
    usual = parse_yaml(CONFIG.encode()).value
    assert isinstance(usual, dict)
    config = read_config(report, usual | values)
    assert (config is None) == any(problem.fatal for problem in report.problems)
    if config:
        names = {*config.versions, *config.vault, *config.modules, *config.repositories}
        assert all(name and "/" not in name and ".." not in name for name in names)

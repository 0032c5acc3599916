"""Options: defaults, the parser of each kind of value, and what a configuration file may hold."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import ConfigError
from redirector.settings.cpus import usable_cpus
from redirector.settings.file import MAX_FILE_BYTES, load_config, load_job, load_key, read_file
from redirector.settings.jobs import JOBS, section_of
from redirector.settings.option import Address, default_text, option_table, options_of, parse_flag
from redirector.settings.registry import Registry, RegistryAtTop
from redirector.settings.serving import Config, restart_keys

ROOT = Path(__file__).resolve().parents[1]


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "redirector.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def refusal(flags: Mapping[str, str | list[str]]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(flags)
    return caught.value


def test_every_field_is_an_option_with_flag_and_help() -> None:
    assert [key for key, _ in options_of(Config)] == [each.name for each in fields(Config)]
    assert len({option.flag for _, option in options_of(Config)}) == len(fields(Config))
    for key, option in options_of(Config):
        assert option.flag.startswith("--") and (option.metavar or option.switch) and option.help, key
        value = getattr(Config(source="x"), key)
        assert (option.unit != "") == (isinstance(value, int | float) and not isinstance(value, bool)), key


def test_the_readme_holds_the_table_of_options() -> None:
    assert option_table(Config) in (ROOT / "README.md").read_text(), "replace the README's table by this one"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("source", "none: exit 2 without it"),
        ("geoip", "none"),
        ("minimum", "5 hosts"),
        ("order_window_s", "3600 seconds (0 with `mirrormanager`)"),
        ("listen", "127.0.0.1:8080"),
        ("admin_allow", "loopback"),
        ("drain_timeout_s", "30 seconds"),
    ],
)
def test_defaults_are_spelled_for_people(key: str, text: str) -> None:
    assert default_text(Config, key) == text


def test_defaults_are_those_of_the_operators_contract() -> None:
    defaults = load_config({"source": "tree"})
    assert defaults == Config(source="tree")
    assert (defaults.minimum, defaults.order_window_s, defaults.keep_alive_s) == (5, 3600, 75)
    assert (defaults.shutdown_delay_s, defaults.drain_timeout_s) == (0, 30)
    assert defaults.listen == (Address("127.0.0.1", 8080),)
    assert defaults.admin == Address("127.0.0.1", 9180)
    assert defaults.trusted_proxies == defaults.admin_allow == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert defaults.max_connections >= 4000
    assert defaults.access_log is None and defaults.access_log_format == "mirrormanager"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("geoip", "a b/c.mmdb", "a b/c.mmdb"),
        ("geoip", "none", None),
        ("access_log", "-", "-"),
        ("access_log", "none", None),
        ("state", "/var/lib/redirector", "/var/lib/redirector"),
        ("minimum", "0", 0),
        ("order_window_s", "60", 60),
        ("drain_timeout_s", "0.5", 0.5),
        ("compatibility", "mirrormanager", "mirrormanager"),
        ("compatibility", "none", None),
        ("admin", "none", None),
        ("admin", "[::1]:0", Address("::1", 0)),
        ("admin", "unix:/run/a:b", Address(path="/run/a:b")),
        ("listen", ["localhost:80", "[::]:443"], (Address("localhost", 80), Address("::", 443))),
        ("trusted_proxies", ["10.0.0.0/8", "2001:DB8::1"], (ip_network("10.0.0.0/8"), ip_network("2001:db8::1/128"))),
        ("canaries", ["/metalink?repo=a&arch=b"], ("/metalink?repo=a&arch=b",)),
    ],
)
def test_flag_values_are_parsed(key: str, text: str | list[str], value: object) -> None:
    assert getattr(load_config({"source": "tree", key: text}), key) == value


@pytest.mark.parametrize(
    ("key", "text", "way_out"),
    [
        ("geoip", "", "a path is needed"),
        ("source", "a\0b", "a path is needed"),
        ("minimum", "five", "a whole number from 0"),
        ("minimum", "-1", "a whole number from 0"),
        ("minimum", "9" * 5000, "a whole number from 0"),
        ("workers", "0", "a whole number from 1"),
        ("workers", "2.5", "a whole number from 1"),
        ("workers", "true", "a whole number from 1"),
        ("drain_timeout_s", "30s", "a number of seconds from 0"),
        ("drain_timeout_s", "nan", "a number of seconds from 0"),
        ("drain_timeout_s", "inf", "a number of seconds from 0"),
        ("header_timeout_s", "0", "a number of seconds from 0.1"),
        ("compatibility", "MirrorManager", "did you mean mirrormanager?"),
        ("access_log_format", "apache", "must be mirrormanager or combined or json"),
        ("listen", "8080", "HOST:PORT"),
        ("listen", ":8080", "HOST:PORT"),
        ("listen", "host:", "HOST:PORT"),
        ("listen", "host:65536", "HOST:PORT"),
        ("listen", "::1:8080", "[::1]:8080"),
        ("listen", "unix:", "a path is needed"),
        ("trusted_proxies", "proxies.example", "192.0.2.0/24"),
        ("trusted_proxies", "10.1.2.3/8", "10.0.0.0/8 would be right"),
        ("canaries", "metalink", "a request target"),
    ],
)
def test_wrong_flag_values_are_refused_with_a_way_out(key: str, text: str, way_out: str) -> None:
    error = refusal({"source": "tree"} | {key: text})
    assert (error.path, error.key) == ("command line", dict(options_of(Config))[key].flag)
    assert way_out in error.way_out
    assert len(str(error)) < 500


def test_a_flag_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "source: tree\nminimum: 7\nworkers: 3\nlisten: [a:1, b:2]\n")
    read = load_config({"config": path, "minimum": "9", "listen": ["c:3"]})
    assert (read.minimum, read.workers, read.keep_alive_s) == (9, 3, 75)
    assert read.listen == (Address("c", 3),)


def test_a_list_may_be_empty_where_that_means_nobody(tmp_path: Path) -> None:
    read = load_config({"config": write(tmp_path, "source: tree\ntrusted_proxies: []\nadmin_allow: []\n")})
    assert read.trusted_proxies == read.admin_allow == ()


def test_paths_in_the_file_count_from_the_file_and_flags_from_the_working_directory(tmp_path: Path) -> None:
    path = write(tmp_path, "source: tree\ngeoip: /abs.mmdb\nlisten: unix:run.sock\naccess_log: '-'\n")
    read = load_config({"config": path, "asn": "asn.mmdb"})
    assert (read.source, read.geoip, read.asn) == (str(tmp_path / "tree"), "/abs.mmdb", "asn.mmdb")
    assert read.listen == (Address(path=str(tmp_path / "run.sock")),)
    assert (read.access_log, read.config) == ("-", path)


@pytest.mark.parametrize(
    ("flags", "window_s"),
    [
        ({"compatibility": "mirrormanager"}, 0),
        ({"compatibility": "mirrormanager", "order_window_s": "60"}, 60),
        ({"compatibility": "none"}, 3600),
    ],
)
def test_compatibility_draws_afresh_unless_a_window_is_given(flags: dict[str, str], window_s: int) -> None:
    assert load_config({"source": "snapshot.pb", **flags}).order_window_s == window_s


def test_a_missing_source_names_an_example() -> None:
    assert "data/redirector.yml" in str(refusal({}))


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read_file(write(tmp_path, "# nothing yet\n")).mapping == {}


def test_words_that_yaml_takes_for_booleans_and_numbers_stay_text(tmp_path: Path) -> None:
    path = write(tmp_path, "source: tree\nlisten: 1:20\naccess_log_format: 'json'\nminimum: '6'\n")
    read = load_config({"config": path})
    assert read.listen == (Address("1", 20),)
    assert read.minimum == 6


FLAGS = [(job, key) for job in JOBS for key, option in options_of(job) if option.parse is parse_flag]


@pytest.mark.parametrize(("job", "key"), FLAGS, ids=[f"{job.__name__} {key}" for job, key in FLAGS])
@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_are_written_without_quotes(tmp_path: Path, job: type, key: str, value: bool) -> None:
    line = f"{key}: {str(value).lower()}\n"
    section = section_of(job)
    path = write(tmp_path, f"{section}:\n  {line}" if section else line)
    assert load_key(job, key, {"config": path}) is value


LETTERS = "abcdefghijklmnopqrstuvwxyz"
BOMB = "canaries: &a [x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in pairwise(LETTERS))


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        pytest.param("minimun: 7\n", "minimun", "minimum", id="unknown key"),
        pytest.param("order-window: 7\n", "order-window", "order_window_s", id="flag for key"),
        pytest.param("trusted_proxy: 10.0.0.0/8\n", "trusted_proxy", "trusted_proxies", id="singular"),
        pytest.param("config: other.yml\n", "config", "unknown key", id="flag only"),
        pytest.param("k" * 500 + ": 1\n", "k" * 100 + "…", "unknown key", id="long key"),
        pytest.param("minimum: 1\nminimum: 2\n", "minimum", "more than once", id="twice"),
        pytest.param("workers: yes\n", "workers", "True: a text or number", id="boolean"),
        pytest.param("source: no\n", "source", "False: a text or number", id="boolean for a path"),
        pytest.param("source:\n", "source", "source: a text or number", id="nothing"),
        pytest.param("listen: []\n", "listen", "a list of texts", id="empty list"),
        pytest.param("listen: [on]\n", "listen", "a list of texts", id="boolean in a list"),
        pytest.param("workers: two\n", "workers", "a whole number", id="word for a number"),
        pytest.param("minimum: [1]\n", "minimum", "a text or number", id="list for one"),
        pytest.param("listen: {a: 1}\n", "listen", "a list of texts", id="mapping for a list"),
        pytest.param("listen: [[a:1]]\n", "listen", "a list of texts", id="list in a list"),
        pytest.param("canaries: &a [/x]\nlisten: [*a]\n", "listen", "a list of texts", id="alias of a list"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(tmp_path: Path, text: str, key: str, says: str) -> None:
    path = write(tmp_path, text)
    error = refusal({"config": path})
    assert (error.path, error.key) == (path, key)
    assert says in str(error)
    assert len(str(error)) < 500 + len(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("- a\n- b\n", "one mapping", id="a list"),
        pytest.param("just text\n", "one mapping", id="a text"),
        pytest.param("a: [1\nb: 2\n", "line 2", id="open bracket"),
        pytest.param("a: b: c\n", "line 1", id="two colons"),
        pytest.param("a: 1\n---\nb: 2\n", "line 2", id="two documents"),
        pytest.param("a: *b\n", "line 1", id="undefined alias"),
        pytest.param("a: \x00\n", "not YAML", id="NUL"),
        pytest.param("source: !!python/object/apply:os.system [true]\n", "tag", id="tag"),
        pytest.param(BOMB, "values", id="bomb"),
        pytest.param("[" * 100_000, "deep", id="deep"),
        pytest.param("#" * (MAX_FILE_BYTES + 1), "larger than", id="large"),
        pytest.param(b"source: \xff\n", "not UTF-8", id="not UTF-8"),
        pytest.param("source: x\n".encode("utf-16"), "not UTF-8", id="UTF-16"),
    ],
)
def test_what_is_no_configuration_is_refused_by_name(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = write(tmp_path, text)
    error = refusal({"config": path})
    assert (error.key, error.value) == ("--config", path)
    assert says in error.way_out


@pytest.mark.parametrize("name", ["absent.yml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    error = refusal({"config": str(tmp_path / name)})
    assert error.key == "--config" and "cannot be read" in error.way_out


@given(content=st.binary(max_size=60) | st.text(alphabet="a:-[]{}&*?!|>'\"# \n\tsource", max_size=60).map(str.encode))
def test_any_bytes_are_a_configuration_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    try:
        load_config({"config": path, "source": "tree"})
    except ConfigError as error:
        assert str(error)


def test_only_keys_that_a_reload_cannot_change_are_named() -> None:
    old = Config(source="a", minimum=5)
    new = Config(source="b", minimum=6, listen=(Address("h", 1),), admin=None)
    assert restart_keys(old, old) == ()
    assert restart_keys(old, new) == ("listen", "admin")


def cgroup(root: Path, line: str, files: dict[str, str]) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("line", "files", "cpus"),
    [
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, 8, id="v2 without quota"),
        pytest.param("0::/\n", {"cpu.max": "250000 100000\n"}, 3, id="v2 rounded up"),
        pytest.param("0::/\n", {"cpu.max": "1000 100000\n"}, 1, id="v2 a fraction"),
        pytest.param("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2, id="v2 above"),
        pytest.param("0::/a\n", {"cpu.max": "9900000 100000\n"}, 8, id="v2 more than affinity"),
        pytest.param(
            "4:cpu,cpuacct:/docker/x\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            2,
            id="v1 in a container",
        ),
        pytest.param(
            "9:cpuset:/\n4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            8,
            id="v1 off",
        ),
        pytest.param("0::/\n", {"cpu.max": "odd\n"}, 8, id="unreadable"),
    ],
)
def test_workers_follow_affinity_and_the_quota_of_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: dict[str, str], cpus: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    cgroup(tmp_path, line, files)
    assert usable_cpus(str(tmp_path)) == cpus


def test_workers_follow_affinity_where_there_are_no_control_groups(tmp_path: Path) -> None:
    assert usable_cpus(str(tmp_path)) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", False),
        ("allow_ftp: true", True),
        ("registry: {allow_ftp: true}", True),
        ("allow_ftp: true\nregistry: {allow_ftp: false}", False),
        ("allow_ftp: false\nregistry: {allow_ftp: true}", True),
        ("allow_ftp: true\nregistry: {sign_key: key}", True),
    ],
    ids=["nowhere", "top", "inside", "inside says no", "inside says yes", "inside says something else"],
)
def test_keys_below_registry_count_before_those_at_the_top(tmp_path: Path, text: str, allowed: bool) -> None:
    flags = {"config": write(tmp_path, text)}
    assert load_job(Registry, flags, elsewhere=RegistryAtTop).allow_ftp is allowed


def test_the_configuration_of_a_tree_is_known_as_such(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("config_version: 3\nversions: ['9']\n")
    with pytest.raises(ConfigError, match=rf"is the config.yml of mirror files.*: --source {re.escape(str(tmp_path))}"):
        read_file(str(path))

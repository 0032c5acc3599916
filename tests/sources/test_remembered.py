"""What earlier loads found: alternates for a tree that keeps no history of pushes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model import Catalog, Directory, FileDetail, HostSetId, Severity
from redirector.settings.serving import Config
from redirector.snapshot.load import load_snapshot
from redirector.sources.mirrors_d.load import load_tree
from redirector.sources.mirrors_d.remembered import (
    FILE,
    keep_remembered,
    load_remembered,
    parse_remembered,
    render_remembered,
)
from tests.server.running import serving
from tests.sources.tree import CONFIG, DAY_S, NOW, mirror_files, repomd, write_tree

OS = "9.8/BaseOS/x86_64/os"
KEY = (f"{OS}/repodata", "repomd.xml")
ALIAS = ("9/BaseOS/x86_64/os/repodata", "repomd.xml")


def push(folder: Path, timestamp: float, config: str = CONFIG + "primary: master\n") -> str:
    """The tree in *folder* after a push of that time."""
    files: dict[str, str | bytes] = {
        **mirror_files("a.example.org"),
        f"master/{OS}/repodata/repomd.xml": repomd(int(timestamp)),
    }
    return write_tree(folder, files, config)


def serve_once(folder: Path, state: Path, now: float) -> Catalog:
    """Load as a nursery does, and keep what it keeps."""
    catalog = load_tree(str(folder), now, load_remembered(str(state)))
    keep_remembered(str(state), render_remembered(catalog.details, catalog.directories))
    return catalog


def serve_each(folder: Path, *pushed: float, later_s: float = 0.0) -> Catalog:
    """What is served after the last of these pushes, each of which was loaded."""
    catalogs = []
    for timestamp in pushed:
        push(folder / "tree", timestamp)
        catalogs.append(serve_once(folder / "tree", folder / "state", timestamp + later_s))
    return catalogs[-1]


def times(catalog: Catalog, key: tuple[str, str] = KEY) -> list[int]:
    return [detail.timestamp for detail in catalog.details[key]]


def test_earlier_pushes_become_alternates_newest_first(tmp_path: Path) -> None:
    pushes = [int(NOW + n * 3600) for n in range(3)]
    catalog = serve_each(tmp_path, *pushes, later_s=60)
    assert times(catalog) == times(catalog, ALIAS) == pushes[::-1]
    again = serve_once(tmp_path / "tree", tmp_path / "state", pushes[-1] + 120)
    assert times(again) == pushes[::-1]


def test_they_stay_as_long_as_mirrormanager_s_rule_says(tmp_path: Path) -> None:
    first, second, third = int(NOW), int(NOW + 2 * DAY_S), int(NOW + 3 * DAY_S)
    assert times(serve_each(tmp_path, first, second, third)) == [third, second, first]
    assert times(serve_once(tmp_path / "tree", tmp_path / "state", NOW + 4 * DAY_S)) == [third, second]
    assert times(serve_once(tmp_path / "tree", tmp_path / "state", NOW + 6 * DAY_S)) == [third]
    assert times(serve_once(tmp_path / "tree", tmp_path / "state", third)) == [third]


def test_the_keys_of_the_config_change_the_rule(tmp_path: Path) -> None:
    config = CONFIG + "primary: master\nalternates_second_days: 0.5\n"
    push(tmp_path / "tree", NOW, config)
    serve_once(tmp_path / "tree", tmp_path / "state", NOW)
    push(tmp_path / "tree", NOW + 60, config)
    assert len(times(serve_once(tmp_path / "tree", tmp_path / "state", NOW + 60))) == 2
    assert len(times(serve_once(tmp_path / "tree", tmp_path / "state", NOW + DAY_S))) == 1


def test_a_push_that_is_taken_back_leaves_what_came_between_as_an_alternate(tmp_path: Path) -> None:
    assert times(serve_each(tmp_path, NOW, NOW + 60, NOW, later_s=120)) == [NOW, NOW + 60]


def test_a_tree_with_a_history_needs_no_memory(tmp_path: Path) -> None:
    push(tmp_path / "tree", NOW)
    serve_once(tmp_path / "tree", tmp_path / "state", NOW)
    push(tmp_path / "tree", NOW + 60, CONFIG + "primary: master\nprimary_history: history\n")
    (tmp_path / "tree" / "history").mkdir()
    assert times(serve_once(tmp_path / "tree", tmp_path / "state", NOW + 60)) == [NOW + 60]


def test_what_the_primary_no_longer_has_is_forgotten(tmp_path: Path) -> None:
    push(tmp_path / "tree", NOW)
    serve_once(tmp_path / "tree", tmp_path / "state", NOW)
    os.remove(tmp_path / "tree" / "master" / OS / "repodata" / "repomd.xml")
    assert serve_once(tmp_path / "tree", tmp_path / "state", NOW).details == {}
    assert load_remembered(str(tmp_path / "state")) == {}


# ---- The file --------------------------------------------------------------------------------------------------------

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
DETAILS = st.builds(
    FileDetail,
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    md5=st.sampled_from(("", "a" * 32)),
    sha1=st.sampled_from(("", "b" * 40)),
    sha256=HEX,
    sha512=st.sampled_from(("", "d" * 128)),
)


@given(st.dictionaries(st.text(max_size=20), st.lists(DETAILS, min_size=1, max_size=3).map(tuple), max_size=4))
def test_what_is_kept_is_read_again(found: Mapping[str, tuple[FileDetail, ...]]) -> None:
    details = {(f"{name}/repodata", "repomd.xml"): versions for name, versions in found.items()}
    assert parse_remembered(render_remembered(details, {})) == found


def test_only_metadata_of_repositories_is_kept_and_each_once() -> None:
    detail = (FileDetail(1, 1),)
    details = {KEY: detail, ALIAS: detail, (OS, "repomd.xml"): detail, (KEY[0], "other.xml"): detail}
    directories = {KEY[0]: Directory(HostSetId(0)), ALIAS[0]: Directory(HostSetId(0), subpath=KEY[0])}
    assert parse_remembered(render_remembered(details, directories)) == {OS: detail}


BROKEN = {
    "empty": b"",
    "truncated": b'{"format":1,"directories":{"a":[',
    "something else": b"[]",
    "another format": b'{"format":2,"directories":{}}',
    "more keys": b'{"format":1,"directories":{},"x":1}',
    "no hash": b'{"format":1,"directories":{"a":[{"timestamp":1,"size_bytes":1,"sha256":"<script>"}]}}',
    "too short": b'{"format":1,"directories":{"a":[{"timestamp":1,"size_bytes":1,"sha256":"abc"}]}}',
    "negative": b'{"format":1,"directories":{"a":[{"timestamp":-1,"size_bytes":1}]}}',
    "text": b'{"format":1,"directories":{"a":[{"timestamp":"1","size_bytes":1}]}}',
    "not UTF-8": b'{"format":1,"directories":{"\xff":[]}}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_means_fewer_alternates_and_a_warning(tmp_path: Path, name: str) -> None:
    source = push(tmp_path / "tree", NOW)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE).write_bytes(BROKEN[name])
    snapshot = load_snapshot(Config(source, state=str(tmp_path / "state")), NOW)
    assert len(snapshot.details[KEY]) == 1
    (problem,) = [problem for problem in snapshot.problems if problem.path.endswith(FILE)]
    assert problem.severity is Severity.WARNING
    assert problem.text.endswith("alternates of metalinks are missing until there are new ones")
    assert "\n" not in problem.text


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not what was kept"):
        parse_remembered(raw)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_a_warning_too(tmp_path: Path, make: object) -> None:
    source = push(tmp_path / "tree", NOW)
    assert callable(make)
    make(tmp_path / FILE)
    snapshot = load_snapshot(Config(source, state=str(tmp_path)), NOW)
    assert [problem.severity for problem in snapshot.problems if problem.path.endswith(FILE)] == [Severity.WARNING]


def test_without_a_state_directory_or_before_the_first_load_nothing_is_said(tmp_path: Path) -> None:
    source = push(tmp_path / "tree", NOW)
    for state in (None, str(tmp_path / "absent"), str(tmp_path)):
        problems = load_snapshot(Config(source, state=state), NOW).problems
        assert not [problem for problem in problems if FILE in problem.path]


def test_the_file_changes_at_once_and_only_if_it_must(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    assert keep_remembered(str(state), b"one")
    before = (state / FILE).stat()
    assert not keep_remembered(str(state), b"one")
    assert (state / FILE).stat() == before
    held = (state / FILE).open("rb")
    assert keep_remembered(str(state), b"two")
    with held:
        assert held.read() == b"one"
    assert (state / FILE).read_bytes() == b"two"
    assert os.listdir(state) == [FILE]


# ---- The server ------------------------------------------------------------------------------------------------------


def test_a_server_remembers_what_it_served_over_reloads_and_restarts(tmp_path: Path) -> None:
    target = "/metalink?repo=baseos-9&arch=x86_64"
    config = CONFIG + "primary: master\nalternates_second_days: 1000000\n"
    source, state = tmp_path / "tree", str(tmp_path / "state")
    push(source, 1_700_000_000, config)
    with serving(source, "--state", state) as server:
        assert b"alternate" not in server.ask(target).body
        push(source, 1_700_000_001, config)
        assert server.reload().status == 200
        assert server.ask(target).body.count(b"<mm0:alternate>") == 1
    with serving(source, "--state", state) as server:
        assert server.ask(target).body.count(b"<mm0:alternate>") == 1
    (tmp_path / "state" / FILE).write_bytes(b"broken")
    with serving(source, "--state", state) as server:
        assert server.ask(target).status == 200
        assert b"alternate" not in server.ask(target).body
        server.wait_for(FILE)
    assert list(parse_remembered((tmp_path / "state" / FILE).read_bytes())) == [OS]

"""Copies of what was served last, and a start whose inputs cannot be served."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from redirector.server.between.messages import Extent, LoadReport
from redirector.server.supervisor.state import keep, load_kept
from redirector.settings.serving import Config
from tests.server.running import METALINK, Server, serving, write_snapshot
from tests.sources.tree import mirror_files, write_tree


def wait_for_copies(server: Server, state: Path) -> None:
    server.wait_for("copies of the inputs are in")
    assert (state / "last" / "manifest.json").exists()


def test_a_start_with_broken_inputs_serves_the_copies_and_says_so(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
        assert server.metrics()["redirector_snapshot_fallback"] == 0
    good = source.read_bytes()
    source.write_bytes(b"")
    with serving(source, "--state", str(state)) as server:
        assert server.ask(METALINK).status == 200
        assert server.ask_admin("/readyz").status == 200
        assert server.metrics()["redirector_snapshot_fallback"] == 1
        server.wait_for("error: THE INPUTS CANNOT BE SERVED")
        assert server.reload().status == 422
        assert server.metrics()["redirector_snapshot_fallback"] == 1
        source.write_bytes(good)
        assert server.reload().status == 200
        assert server.metrics()["redirector_snapshot_fallback"] == 0


def test_without_copies_nothing_is_served(source: Path, tmp_path: Path) -> None:
    source.write_bytes(b"")
    with serving(source, "--state", str(tmp_path / "state"), ready=False) as server:
        assert server.wait() == 1


def test_wrong_options_end_with_2_and_are_no_reason_for_copies(tmp_path: Path) -> None:
    source, state = tmp_path / "tree", tmp_path / "state"
    write_tree(source, mirror_files("a.example"))
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
    with serving(source, "--state", str(state), "--compatibility", "mirrormanager", ready=False) as server:
        server.wait_for("compatibility")
        assert server.wait() == 2


def test_a_start_is_measured_by_what_was_served_last(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_snapshot(source, hosts=10)
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
    write_snapshot(source, hosts=3)
    with serving(source, "--state", str(state)) as server:
        assert server.metrics()["redirector_snapshot_fallback"] == 1
        assert server.reload("?allow=shrink").status == 200
        server.wait_for("copies of the inputs are in")
    with serving(source, "--state", str(state)) as server:
        assert server.metrics()["redirector_snapshot_fallback"] == 0


def test_a_tree_is_served_from_its_copy(tmp_path: Path) -> None:
    source, state = tmp_path / "tree", tmp_path / "state"
    write_tree(source, mirror_files("a.example", "b.example"))
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
    (source / "config.yml").unlink()
    with serving(source, "--state", str(state)) as server:
        assert b"a.example" in server.ask("/mirrorlist/9/baseos").body


def test_a_state_directory_that_cannot_be_written_is_a_warning(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "file"
    state.write_text("no directory")
    with serving(source, "--state", str(state)) as server:
        server.wait_for(f"warning: copies of the inputs are not renewed in {state}: Not a directory")
        assert server.ask().status == 200


def keep_now(config: Config, loaded_ago_s: float = 0.0) -> bool:
    """Keep the inputs of *config* as if a load of them had just ended."""
    assert config.source is not None
    extent = Extent({"hosts": 1}, built=1, dated=True)
    return keep(
        config,
        LoadReport(
            config.source, extent, time.time() + 1 - loaded_ago_s, 0, (), (), {}, None, None, (config.source,), ()
        ),
    )


@pytest.fixture
def config(source: Path, tmp_path: Path) -> Config:
    return Config(source=str(source), state=str(tmp_path / "state"))


def test_what_is_kept_is_found_with_its_content_and_time(config: Config, source: Path) -> None:
    assert load_kept(config) is None
    keep_now(config)
    content, written = source.read_bytes(), source.stat().st_mtime_ns
    source.unlink()
    kept = load_kept(config)
    assert kept is not None and kept.same and kept.config.source is not None
    copy = Path(kept.config.source)
    assert (copy.read_bytes(), copy.stat().st_mtime_ns) == (content, written)
    assert kept.extent == Extent({"hosts": 1}, built=1, dated=True)


def test_what_was_kept_from_elsewhere_is_no_measure(config: Config, tmp_path: Path) -> None:
    keep_now(config)
    other = load_kept(replace(config, source=str(write_snapshot(tmp_path / "other.pb"))))
    assert other is not None and not other.same


def test_the_same_is_not_copied_twice_and_what_was_before_is_kept_too(config: Config, source: Path) -> None:
    assert config.state is not None
    assert keep_now(config)
    assert not keep_now(config)
    write_snapshot(source, hosts=5)
    assert keep_now(config)
    links = {name: os.readlink(os.path.join(config.state, name)) for name in ("last", "before")}
    assert sorted(os.listdir(config.state)) == sorted([*links, *links.values()])


def test_a_file_that_changed_since_it_was_loaded_is_not_kept(config: Config, source: Path) -> None:
    keep_now(config)
    write_snapshot(source, hosts=5)
    with pytest.raises(OSError, match="changed while it was loaded"):
        keep_now(config, loaded_ago_s=60)
    assert config.state is not None
    assert len(os.listdir(config.state)) == 2
    assert load_kept(config) is not None


def test_a_health_file_that_is_newer_than_the_load_is_kept_with_it(config: Config, source: Path) -> None:
    health = source.with_name("health.json")
    config, began = replace(config, health=str(health)), source.stat().st_ctime
    report = LoadReport(
        str(source), Extent({"hosts": 1}, 1, True), began, 0, (), (), {}, str(health), None, (str(source),), ()
    )

    def kept_health() -> Path:
        assert keep(config, report)
        kept = load_kept(config)
        assert kept is not None and kept.config.health is not None
        return Path(kept.config.health)

    assert not kept_health().exists()
    while not health.exists() or health.stat().st_ctime <= began:
        health.write_text("{}")
    assert kept_health().read_text() == "{}"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 99}'])
def test_a_damaged_manifest_is_none(config: Config, damage: str) -> None:
    keep_now(config)
    assert config.state is not None
    (Path(config.state) / "last" / "manifest.json").write_text(damage)
    assert load_kept(config) is None

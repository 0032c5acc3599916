"""Copies of what was served last, and a start whose inputs cannot be served."""

from __future__ import annotations

import os
from pathlib import Path

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


def test_another_source_is_not_measured_by_the_last_one(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_snapshot(source, hosts=10)
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
    other = write_snapshot(tmp_path / "other.pb", hosts=2)
    with serving(other, "--state", str(state)) as server:
        assert server.metrics()["redirector_snapshot_fallback"] == 0


def test_a_tree_is_kept_whole(tmp_path: Path) -> None:
    source, state = tmp_path / "tree", tmp_path / "state"
    write_tree(source, mirror_files("a.example", "b.example"))
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
    (source / "config.yml").unlink()
    with serving(source, "--state", str(state)) as server:
        assert b"a.example" in server.ask("/mirrorlist/9/baseos").body


def test_what_is_kept_already_is_not_copied_again(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(source, "--state", str(state)) as server:
        wait_for_copies(server, state)
        kept = os.readlink(state / "last")
        assert server.reload().status == 200
        write_snapshot(source, hosts=5)
        assert server.reload().status == 200
        server.wait_for("copies of the inputs are in", 2)
        assert os.readlink(state / "last") != kept
        assert sorted(path.name for path in state.iterdir()) == sorted(["last", os.readlink(state / "last")])


def test_a_state_directory_that_cannot_be_written_is_a_warning(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "file"
    state.write_text("no directory")
    with serving(source, "--state", str(state)) as server:
        server.wait_for("warning: copies of the inputs are not renewed")
        assert server.ask().status == 200

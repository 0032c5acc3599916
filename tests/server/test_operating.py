"""What operators do day by day: a host switched off and on, a broken file, a rollback, and a look at all of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redirector.cli.main import main
from redirector.sources.switched_off import SwitchedOff, keep_switched_off
from tests.patience import PATIENCE_S
from tests.server.running import Server, serving
from tests.sources.tree import CONFIG, mirror_files, mirror_text, write_tree

TARGET = "/mirrorlist/9/baseos"
STEADY = ("--order-window", "0")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return Path(write_tree(tmp_path / "tree", mirror_files("a.example", "b.example", "c.example")))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def server(tree: Path, state: Path) -> Iterator[Server]:
    with serving(tree, "--state", str(state), *STEADY) as running:
        running.wait_for("copies of the inputs are in")
        yield running


class Operator:
    """Somebody with a terminal: runs commands, and has what they print."""

    def __init__(self, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self._admin = server.admin.removeprefix("http://")
        self._capsys = capsys

    def run(self, *command: str) -> tuple[int, str, str]:
        code = main([*command, "--admin", self._admin])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *command: str, code: int = 0) -> dict[str, Any]:
        found, out, err = self.run(*command, "--json")
        assert found == code, err
        parsed: dict[str, Any] = json.loads(out)
        return parsed


@pytest.fixture
def operator(server: Server, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(server, capsys)


def hosts_in(server: Server) -> set[str]:
    return {line.split("/")[2] for line in server.ask(TARGET).body.decode().split()}


def test_a_host_is_switched_off_and_on_and_shown_so_everywhere(
    server: Server, operator: Operator, tree: Path, state: Path
) -> None:
    code, out, _ = operator.run("off", "B.example", "--for", "2h", "--why", "the disk is full")
    assert code == 0 and "1 host changed: b.example (switched off)" in out
    assert hosts_in(server) == {"a.example", "c.example"}
    assert operator.json("status")["hosts"] == {"up": 2, "down": 0, "off": 1, "withheld": 0}
    assert server.metrics()['redirector_snapshot_host_states{state="off"}'] == 1
    (row,) = operator.json("list", "--only", "off")["hosts"]
    assert (row["host"], row["visibility"]) == ("b.example", "public")
    assert "switched off by an operator since" in row["reason"] and row["reason"].endswith(": the disk is full")
    shown = operator.json("show", "b.example")
    assert (
        shown["off"]["why"] == "the disk is full" and 7100 < shown["off"]["until"] - time.time() <= 7201
    )  # whole seconds
    explained = server.ask_admin(f"/explain?target={TARGET}&client=192.0.2.1").body.decode()
    assert "given to nobody: switched off by an operator" in explained
    page = server.ask("/").body.decode()
    assert "b.example" in page and "the disk is full" in page
    (tree / "mirrors.d" / "d.example.yml").write_text(mirror_text("d.example"))
    assert operator.json("reload")["changes"]["hosts"]["came_names"] == ["d.example"]
    assert hosts_in(server) == {"a.example", "c.example", "d.example"}
    with serving(tree, "--state", str(state), *STEADY) as later:
        assert hosts_in(later) == {"a.example", "c.example", "d.example"}
    assert operator.run("on", "b.example")[0] == 0
    assert hosts_in(server) == {"a.example", "b.example", "c.example", "d.example"}
    assert json.loads((state / "off.json").read_text())["hosts"] == []


def test_a_host_comes_back_by_itself(server: Server, operator: Operator) -> None:
    assert operator.run("off", "a.example", "--for", "1s")[0] == 0
    assert "a.example" not in hosts_in(server)
    server.wait_for("switched on again, as their time is over: a.example")
    server.wait_for("reloaded in", 2)
    assert "a.example" in hosts_in(server)


def test_what_cannot_be_switched_is_said(server: Server, operator: Operator) -> None:
    refused = "redirector: no host is called 'a.exampel'; near: a.example, b.example, c.example\n"
    assert operator.run("off", "a.exampel") == (1, "", refused)
    assert operator.run("off", "A") == (1, "", "redirector: no host is called 'A'; near: a.example\n")
    assert operator.run("on", "a.example")[0] == 1
    assert operator.run("show", "nobody.example")[0] == 1
    assert operator.run("off", "a.example", "--for", "soon")[0] == 2
    assert operator.run("list", "--only", "upp")[0] == 2
    assert operator.run("reload", "--allow", "everything")[0] == 2
    assert operator.run("status", "--admin", "127.0.0.1:1")[0] == 0  # the last one counts


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--admin", "127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("redirector: 127.0.0.1:1: Connection refused: is a server running")


@pytest.mark.parametrize("command", [["status"], ["registry", "publish", "--snapshot", "x", "--reload"]], ids=" ".join)
def test_a_server_without_an_admin_listener_is_not_looked_for_elsewhere(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "redirector.yml").write_text("admin: none\n")
    assert main([*command, "--config", str(tmp_path / "redirector.yml")]) == 2
    assert "--admin: 'none': this server has no admin listener" in capsys.readouterr().err


def test_a_host_is_switched_off_where_the_inputs_are_broken(server: Server, operator: Operator, tree: Path) -> None:
    (tree / "config.yml").write_text("versions: [")
    assert operator.run("reload")[0] == 1
    assert operator.run("off", "b.example")[0] == 0
    assert hosts_in(server) == {"a.example", "c.example"}
    (tree / "config.yml").write_text(CONFIG)
    assert operator.run("reload")[0] == 0
    assert hosts_in(server) == {"a.example", "c.example"}


def test_a_switch_takes_what_was_read_and_leaves_edits_to_a_reload(
    server: Server, operator: Operator, tree: Path
) -> None:
    (tree / "mirrors.d" / "d.example.yml").write_text(mirror_text("d.example"))
    (tree / "mirrors.d" / "a.example.yml").unlink()
    told = operator.json("off", "b.example")
    assert told["changes"]["hosts"]["changed_names"] == ["b.example (switched off)"]
    assert not told["changes"]["hosts"]["came"] and not told["changes"]["hosts"]["went"]
    assert hosts_in(server) == {"a.example", "c.example"}
    assert operator.json("on", "b.example")["problems"] == []
    assert hosts_in(server) == {"a.example", "b.example", "c.example"}
    assert operator.run("reload")[0] == 0
    assert hosts_in(server) == {"b.example", "c.example", "d.example"}


def test_a_switch_needs_no_nursery_that_lives(server: Server, operator: Operator) -> None:
    assert operator.run("off", "b.example")[0] == 0
    os.kill(server.nursery(), signal.SIGKILL)
    server.wait_for("the nursery .* ended")
    server.wait_for("reloaded in", 2)
    assert hosts_in(server) == {"a.example", "c.example"}
    assert operator.run("on", "b.example")[0] == 0
    assert hosts_in(server) == {"a.example", "b.example", "c.example"}
    assert server.nursery()


def test_without_a_state_directory_it_is_said_what_is_forgotten(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tree) as server:
        operator = Operator(server, capsys)
        told = operator.json("off", "b.example")
        assert told["outcome"] == "served" and "a restart forgets it" in told["note"]
        assert operator.json("rollback", code=1)["problems"][0]["text"].startswith("needs a state directory")


def test_a_rollback_leads_back_and_holds_until_a_reload(
    server: Server, operator: Operator, tree: Path, state: Path
) -> None:
    assert "nothing is kept" in operator.json("rollback", code=1)["problems"][0]["text"]
    (tree / "mirrors.d" / "b.example.yml").unlink()
    assert operator.json("reload")["changes"]["hosts"]["went_names"] == ["b.example"]
    server.wait_for("copies of the inputs are in", 2)
    told = operator.json("rollback")
    assert told["changes"]["hosts"]["came_names"] == ["b.example"]
    assert told["problems"] == [] and told["problems_same"] > 0, "problems of copies are those of what they copy"
    assert hosts_in(server) == {"a.example", "b.example", "c.example"}
    assert operator.json("status")["rolled_back"] is True
    operator.run("off", "c.example")
    assert hosts_in(server) == {"a.example", "b.example"}
    with serving(tree, "--state", str(state), *STEADY) as later:
        assert hosts_in(later) == {"a.example", "b.example"}
        later.wait_for("a rollback holds")
    operator.run("on", "c.example")
    assert operator.json("rollback")["changes"]["hosts"]["went_names"] == ["b.example"]
    assert operator.json("rollback")["changes"]["hosts"]["came_names"] == ["b.example"]
    assert operator.json("reload")["changes"]["hosts"]["went_names"] == ["b.example"]
    status = operator.json("status")
    assert (status["rolled_back"], status["fallback"]) == (False, False)
    with serving(tree, "--state", str(state), *STEADY) as later:
        assert hosts_in(later) == {"a.example", "c.example"}


def test_a_reload_says_what_changed_and_what_is_new(server: Server, operator: Operator, tree: Path) -> None:
    told = operator.json("reload")
    assert not any(each[verb] for each in told["changes"].values() for verb in ("came", "went", "changed"))
    assert told["problems"] == [] and told["problems_gone"] == 0 and told["problems_same"] > 0
    assert "nothing changed" in operator.run("reload")[1]
    (tree / "mirrors.d" / "a.example.yml").write_text(
        mirror_text("a.example", "sponsor_url:", "subnets: [192.0.2.0/24]")
    )
    (tree / "config.yml").write_text(CONFIG + "  - {name: extras, path: extras/$basearch/os}\n")
    told = operator.json("reload")
    assert told["changes"]["hosts"]["changed_names"] == ["a.example (networks, sponsor)"]
    assert told["changes"]["repositories"]["came_names"] == ["extras"]
    assert "9.8/extras/x86_64/os" in told["changes"]["directories"]["came_names"]
    assert [problem["key"] for problem in told["problems"]] == ["sponsor_url"]
    server.wait_for(r"reloaded in .* 3 mirrors; .*1 repository came \(extras\); .*1 new problem")


def test_a_broken_mirror_file_keeps_its_last_good_version(
    server: Server, operator: Operator, tree: Path, state: Path
) -> None:
    file = tree / "mirrors.d" / "b.example.yml"
    file.write_text("name: [")
    for _ in range(2):
        told = operator.json("reload")
        assert told["broken"] == [str(file)] and told["outcome"] == "served"
        assert hosts_in(server) == {"a.example", "b.example", "c.example"}
        assert server.metrics()["redirector_snapshot_broken_files"] == 1
    server.wait_for("1 broken, with what was read of them before: b.example.yml")
    server.wait_for("copies of the inputs are in", 2)
    with serving(tree, "--state", str(state), *STEADY) as later:
        assert hosts_in(later) == {"a.example", "b.example", "c.example"}
        later.wait_for("b.example.yml: file: not YAML.*: what was read of it before is used")
    file.unlink()
    assert operator.json("reload")["broken"] == []
    assert hosts_in(server) == {"a.example", "c.example"}


def test_tables_tell_state_tiers_and_first_places(server: Server, operator: Operator) -> None:
    for _ in range(30):
        server.ask(TARGET)
    server.wait_for("ready on")
    deadline = time.monotonic() + PATIENCE_S
    while operator.json("status")["lists_per_minute"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    rows = operator.json("list")["hosts"]
    assert sum(row["first_per_minute"] for row in rows) >= 30
    assert all(row["tiers"] == {"global": 1.0} for row in rows if row["first_per_minute"])
    _, out, _ = operator.run("list")
    assert out.splitlines()[0].split() == "host state in first/min by tier problems since, why".split()
    assert out.splitlines()[-1] == "3 hosts: 3 up"
    _, out, _ = operator.run("show", "a.example")
    assert "URL" in out and "https://a.example/pub" in out and "52.5" in out
    _, out, _ = operator.run("status")
    assert "hosts     3: 3 up" in out


def test_strangers_may_not_move_anything(tree: Path) -> None:
    with serving(tree, "--admin-allow", "192.0.2.0/24") as server:
        for target in ("/-/off?host=a.example", "/-/on?host=a.example", "/-/rollback"):
            assert server.ask_admin(target, "POST").status == 403
        assert server.ask_admin("/hosts").status == server.ask_admin("/status").status == 403


def test_an_end_that_came_while_nothing_ran_is_heeded_at_the_start(tree: Path, state: Path) -> None:
    keep_switched_off(str(state), [SwitchedOff("a.example", 1.0, 2.0), SwitchedOff("b.example", 1.0)])
    with serving(tree, "--state", str(state), *STEADY) as server:
        assert hosts_in(server) == {"a.example", "c.example"}


def test_a_file_of_switched_off_hosts_that_cannot_be_read_is_an_error_and_no_more(tree: Path, state: Path) -> None:
    state.mkdir()
    (state / "off.json").write_text("[]")
    with serving(tree, "--state", str(state), *STEADY) as server:
        server.wait_for("error: which hosts are switched off cannot be read")
        assert len(hosts_in(server)) == 3


def test_debug_documents_are_for_operators_who_ask_without_a_proxy(tree: Path) -> None:
    target = "/debug/json/ip_info"
    with serving(tree) as server:
        told = server.ask(target).json()
        assert told["ip"] == "127.0.0.1"
        assert server.ask(target + "?ip=192.0.2.1").json()["ip"] == "192.0.2.1"
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "X-Forwarded-Proto"):
            assert server.ask(target, **{header.replace("-", "_"): "10.0.0.1"}).status == 403, header
        for header, said in (
            ("Host", "stranger.example"),
            ("Origin", "https://stranger.example"),
            ("Sec_Fetch_Site", "cross-site"),
        ):
            assert server.ask(target, **{header: said}).status == 403, header
            assert server.ask("/", **{header: said}).status == 200, header
    with serving(tree, "--admin-host", "mirrors.example") as server:
        assert server.ask(target, Host="mirrors.example").status == 200
    with serving(tree, "--admin-allow", "192.0.2.0/24") as server:
        assert server.ask(target).status == 403

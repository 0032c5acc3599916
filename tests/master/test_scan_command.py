"""`redirector scan` as an operator meets it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from redirector.cli.main import main
from redirector.cli.output import Exit
from redirector.store.contents import find_categories, find_contents
from redirector.store.opening import open_store
from tests.master.rig import START, make_repomd
from tests.master.test_filelist import make_list
from tests.patience import PATIENCE_S

CONFIG = """\
masters:
  - category: Example Linux
    top: pub/linux
    path: master
    repositories:
      - {match: '(?P<version>[0-9.]+)/(?P<name>[^/]+)/(?P<arch>[^/]+)/os', prefix: '{name}-{version}', product: Example}
  - {category: Archive, top: pub/archive, list: list}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration file with two masters that are there."""
    repodata = tmp_path / "master/43/Everything/x86_64/os/repodata"
    repodata.mkdir(parents=True)
    (repodata / "repomd.xml").write_bytes(make_repomd(START))
    (tmp_path / "list").write_bytes(make_list("1794000000 f 5 archive/a", "1794000000 d- 0 archive/s"))
    path = tmp_path / "redirector.yml"
    path.write_text(CONFIG)
    return path


def scan(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = main(["scan", *map(str, arguments)])
    return (code, *capsys.readouterr())


def test_a_scan_ends_with_a_table(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = scan(capsys, "--config", config)
    assert (code, err) == (Exit.DONE, "")
    head, linux, archive = out.splitlines()
    assert head.split() == "category outcome directories secret files repositories changed push".split()
    assert linux.split() == "Example Linux changed 6 0 1 1 6 1".split()
    assert archive.split() == "Archive changed 2 1 1 0 2 1".split()
    assert "unchanged" in scan(capsys, "--config", config)[1]


def test_a_scan_for_machines(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = scan(capsys, "--config", config, "--json")
    (linux, archive) = json.loads(out)["masters"]
    assert code == Exit.DONE
    assert linux["category"] == "Example Linux" and linux["outcome"] == "changed" and linux["repositories"] == 1
    assert archive["pushed"] == 1_794_000_000 and archive["secret"] == 1 and archive["reason"] == ""


def test_one_master_that_fails_takes_no_other_with_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan(capsys, "--config", config)
    (config.parent / "list").write_bytes(b"[Version]\n2\n\n[Files]\n")
    (config.parent / "master/43/new").touch()
    code, out, err = scan(capsys, "--config", config)
    assert code == Exit.FAILED
    assert err.startswith("redirector: ") and "list: cut: it has no [End]" in err and err.count("\n") == 1
    linux, archive = out.splitlines()[1:]
    assert linux.split()[-2:] == ["1", "2"]
    assert archive.split() == "Archive failed 2 1 1 0 0 1".split()  # what was known stays


async def test_what_is_found_is_in_the_store(config: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "redirector", "scan", "--config", config], stdout=subprocess.DEVNULL
    )
    assert process.returncode == Exit.DONE
    async with await open_store(f"sqlite:///{config.parent}/redirector.db") as store, store.read() as connection:
        assert await find_categories(connection) == ("Archive", "Example Linux")
        contents = await find_contents(connection, "Example Linux")
    assert contents
    (repository,) = contents.repositories
    assert (repository.prefix, repository.arch, repository.product) == ("Everything-43", "x86_64", "Example")


def test_the_database_may_be_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan(capsys, "--config", config, "--database", f"sqlite:///{config.parent}/other.db")[0] == Exit.DONE
    assert (config.parent / "other.db").exists() and not (config.parent / "redirector.db").exists()
    code, out, err = scan(capsys, "--config", config, "--database", f"sqlite:///{config.parent}/nowhere/other.db")
    assert (code, out) == (Exit.FAILED, "") and "its folder must be there" in err
    (config.parent / "state").mkdir()
    assert scan(capsys, "--config", config, "--state", config.parent / "state")[0] == Exit.DONE
    assert (config.parent / "state/health.db").exists()


def test_half_a_master_is_believed_when_that_is_meant(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abcd":
        (config.parent / "master" / name).touch()
    scan(capsys, "--config", config)
    for name in "abcd":
        (config.parent / "master" / name).unlink()
    code, _, err = scan(capsys, "--config", config)
    assert code == Exit.FAILED and "half gone: 1 files where 5 were" in err and "--allow shrink" in err
    assert scan(capsys, "--config", config, "--allow", "shrink")[0] == Exit.DONE
    assert scan(capsys, "--config", config, "--allow", "growth")[0] == Exit.WRONG_USAGE


# Without masters


def make_tree(folder: Path, config: str) -> Path:
    (folder / "mirrors.d").mkdir(parents=True)
    (folder / "config.yml").write_text(
        f"versions: ['9']\narches: {{'9': [x86_64]}}\nrepos: [{{name: os, path: BaseOS/$basearch/os}}]\n{config}"
    )
    return folder


def test_of_a_tree_its_primary_is_scanned(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = make_tree(config.parent / "tree", "primary: ../master\n")
    state = config.parent / "state"
    state.mkdir()
    code, out, _ = scan(capsys, "--source", tree, "--state", state, "--json")
    (row,) = json.loads(out)["masters"]
    assert code == Exit.DONE and row["category"] == "" and row["repositories"] == 1


def test_a_tree_without_primary_and_nothing_at_all_are_wrong_usage(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    code, _, err = scan(capsys, "--source", make_tree(config.parent / "tree", ""))
    assert code == Exit.WRONG_USAGE and "names no primary" in err
    code, _, err = scan(capsys)
    assert code == Exit.WRONG_USAGE and "--source" in err


def test_a_snapshot_needs_no_scan(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "mirrorlist.proto").write_bytes(b"")
    code, out, err = scan(capsys, "--source", config.parent / "mirrorlist.proto", "--json")
    assert (code, json.loads(out)) == (Exit.DONE, {"masters": []}) and "nothing to scan" in err


def test_a_file_says_all_that_is_wrong_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("masters:\n- {category: A, top: pub, pth: x}\n- {category: B, top: ../x, path: y}\n")
    code, out, err = scan(capsys, "--config", config)
    assert (code, out) == (Exit.WRONG_USAGE, "")
    assert len(err.splitlines()) == 3 and all(str(config) in line for line in err.splitlines())


# Details


def test_details_are_written_for_a_tree(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config.parent / "details.json"
    assert scan(capsys, "--config", config, "--details", path)[0] == Exit.DONE
    found = json.loads(path.read_bytes())["directories"]["43/Everything/x86_64/os"]
    assert [version["timestamp"] for version in found] == [START]
    code, _, err = scan(capsys, "--config", config, "--details", config.parent / "nowhere/details.json")
    assert code == Exit.FAILED and "No such file or directory" in err


# Terminals and signals


def start(config: Path, script: str, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """The command, with *script* in the place of an rsync that lists."""
    program = config.parent / "bin/rsync"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{script}\n")
    program.chmod(0o755)
    config.write_text("masters: [{category: Slow, top: pub, rsync: 'rsync://127.0.0.1/pub/'}]\n")
    command: Sequence[str | Path] = [sys.executable, "-m", "redirector", "scan", "--config", config]
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr or subprocess.PIPE, env=environment)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_who_stops_it_ends_the_program_that_lists(config: Path, told: signal.Signals) -> None:
    pid_file = config.parent / "pid"
    script = f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    process = start(config, script)
    until = time.monotonic() + PATIENCE_S
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(told)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == Exit.INTERRUPTED and b"Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_terminal_shows_how_far_it_is(config: Path) -> None:
    line = "-rw-r--r-- 10 2026/11/28 06:00:00 a/b"
    ours, theirs = pty.openpty()
    process = start(config, f"for number in range(20_000): print({line!r} + str(number))", stderr=theirs)
    out, _ = process.communicate(timeout=PATIENCE_S)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "Slow: " in shown and " entries" in shown and shown.endswith("\x1b[K")
    assert b"Slow" in out

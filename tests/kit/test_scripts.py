"""The small scripts of a kit: who may pull, and the hour of a release."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kit.rig import write_kit


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    folder = tmp_path / "kit"
    (tmp_path / "token").write_text("rdr_secret\n")
    (tmp_path / "bin").mkdir()
    write_kit(
        folder,
        {
            "root": str(tmp_path / "tree"), "staged": "yes", "tier2": "[192.0.2.7]",
            "report_token": f"{tmp_path}/token", "read_token": f"{tmp_path}/token",
            "report": "https://mirrors.example.org", "categories": "{Example: ''}",
        },
    )  # fmt: skip
    return folder


def run(kit: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{kit.parent}/bin:{os.environ['PATH']}"
    return subprocess.run(
        [str(kit / name), *arguments], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )


def stand_in_for_curl(kit: Path, answer: str) -> None:
    """A registry that answers *answer*; what curl was told lies in `told` and `arguments`."""
    (kit.parent / "answer").write_text(answer)
    script = kit.parent / "bin" / "curl"
    script.write_text(
        f'#!/bin/sh\ncat >{kit.parent}/told\necho "$*" >{kit.parent}/arguments\n'
        f'while [ "$1" != --output ]; do shift; done\ncp {kit.parent}/answer "$2"\n'
    )
    script.chmod(0o755)


def test_the_list_of_who_may_pull_has_its_line_of_who_may_not(kit: Path) -> None:
    acl = kit / "tier2.acl"
    assert acl.read_text().splitlines()[-2:] == ["hosts allow = 192.0.2.7", "hosts deny = *"]
    stand_in_for_curl(kit, "hosts allow = 198.51.100.1 2001:db8::1\nhosts deny = *\n")
    ended = run(kit, "acl-update")
    assert ended.returncode == 0, ended.stderr
    assert acl.read_text() == "hosts allow = 198.51.100.1 2001:db8::1 192.0.2.7\nhosts deny = *\n"
    assert "rdr_secret" in (kit.parent / "told").read_text()
    assert "rdr_secret" not in (kit.parent / "arguments").read_text()


@pytest.mark.parametrize(
    "answer",
    ["", "<html>", "hosts allow = 198.51.100.1\n", "hosts allow = *\nhosts deny = *\n", "hosts deny = *\n",
     "hosts allow = 1.2.3.4\nhosts allow = 1.2.3.5\nhosts deny = *\n"],
)  # fmt: skip
def test_what_is_no_list_changes_nothing(kit: Path, answer: str) -> None:
    before = (kit / "tier2.acl").read_text()
    stand_in_for_curl(kit, answer)
    assert run(kit, "acl-update").returncode == 1
    assert (kit / "tier2.acl").read_text() == before
    assert [path.name for path in kit.glob("tier2.acl*")] == ["tier2.acl"]


def test_the_hour_of_a_release_opens_a_folder_and_no_other(kit: Path) -> None:
    tree = kit.parent / "tree"
    for name in ("43", "44"):
        (tree / name / "os").mkdir(parents=True)
        (tree / name / "os" / "x.rpm").write_text("x")
        for path in (tree / name / "os" / "x.rpm", tree / name / "os", tree / name):
            path.chmod(0o640 if path.is_file() else 0o750)
    assert run(kit, "bitflip", "--now", "43").returncode == 0
    assert [(tree / "43" / each).stat().st_mode & 0o777 for each in ("", "os", "os/x.rpm")] == [0o755, 0o755, 0o644]
    assert (tree / "44").stat().st_mode & 0o777 == 0o750
    for wrong in ("../tree", "absent", "/43", "43//os"):
        assert run(kit, "bitflip", "--now", wrong).returncode != 0


def test_without_systemd_the_hour_is_kept_by_at(kit: Path) -> None:
    (kit.parent / "tree" / "it's 43").mkdir(parents=True)
    (kit.parent / "bin" / "at").write_text(f'#!/bin/sh\necho "$TZ $*" >{kit.parent}/when\ncat >{kit.parent}/job\n')
    (kit.parent / "bin" / "at").chmod(0o755)
    (kit.parent / "bin" / "setpriv").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (kit.parent / "bin" / "setpriv").chmod(0o755)
    text = (kit / "bitflip").read_text()
    (kit / "bitflip").write_text(text.replace("/run/systemd/system", str(kit.parent / "no-systemd")))
    assert run(kit, "bitflip", "2026-12-01 14:00", "it's 43").returncode == 0
    assert (kit.parent / "when").read_text() == "UTC -t 202612011400\n"
    path = f"{kit.parent}/bin:{os.environ['PATH']}"
    job = (kit.parent / "job").read_text()
    said = subprocess.run(["sh", "-c", job], capture_output=True, text=True, env={"PATH": path}).stdout.splitlines()
    assert said[-3:] == [f"{kit}/bitflip", "--now", "it's 43"] and "--reuid=mirror" in said
    assert run(kit, "bitflip", "some day", "it's 43").returncode == 2


def test_systemd_keeps_the_hour_where_it_runs(kit: Path) -> None:
    (kit.parent / "tree" / "43").mkdir(parents=True)
    (kit.parent / "bin" / "systemd-run").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (kit.parent / "bin" / "systemd-run").chmod(0o755)
    text = (kit / "bitflip").read_text()
    (kit / "bitflip").write_text(text.replace("/run/systemd/system", str(kit.parent)))
    ended = run(kit, "bitflip", "2026-12-01 14:00", "43")
    assert "--on-calendar=2026-12-01 14:00 UTC" in ended.stdout.splitlines()
    assert ended.stdout.splitlines()[-3:] == [f"{kit}/bitflip", "--now", "43"]


def test_what_stays_hidden_is_said_afterwards(kit: Path) -> None:
    inside = kit.parent / "tree" / "releases" / "43"
    inside.mkdir(parents=True)
    inside.parent.chmod(0o750)
    ended = run(kit, "bitflip", "--now", "releases/43")
    assert ended.returncode == 1 and "still hidden" in ended.stderr
    inside.parent.chmod(0o755)
    assert run(kit, "bitflip", "--now", "releases/43").returncode == 0

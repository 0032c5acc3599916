"""`mirror.yml`: all that is wrong is said at once; and `mirror init`, asked on a terminal or not."""

from __future__ import annotations

import os
import pty
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from redirector.errors import ConfigError, ConfigErrors
from redirector.kit.finding import Finding, Level, outcome_of
from redirector.kit.local import check_local, judge_rsync
from redirector.kit.names import regex_of
from redirector.kit.wishes import parse_wishes, render_file, wishes

NEEDED = "name: m.example.org\nsource: rsync://master.example.org/m/\nroot: /srv/m\n"


def test_the_sample_is_right_and_every_key_stands_in_it() -> None:
    text = render_file({})
    made = parse_wishes(text.encode(), "mirror.yml")
    assert made.name == "mirror.example.org" and made.every_s == 10800
    assert all(re.search(f"^{key}:", text, re.MULTILINE) for key in wishes())


def test_all_that_is_wrong_is_said_at_once() -> None:
    raw = b"name: a b\nroot: relative\nport: 1\nevery: 1min\nexclude: x\ntier2: [x]\nmax_delete: 101%\n"
    with pytest.raises(ConfigErrors) as caught:
        parse_wishes(raw, "mirror.yml")
    said = [each.key for each in caught.value.errors]
    assert sorted(said) == sorted(["port", "name", "source", "root", "every", "exclude", "max_delete", "tier2"])
    (unknown,) = (each.way_out for each in caught.value.errors if each.key == "port")
    assert unknown == "no such key; the nearest known one is report"


def test_what_does_not_go_together_is_said_beside_what_is_wrong_alone() -> None:
    raw = f"{NEEDED}certificate: /x/chain.pem\nevery: 1min\nread_token: /etc/token\nreport: ftp://x\nlogs: /srv/m/log\n"
    with pytest.raises(ConfigErrors) as caught:
        parse_wishes(raw.encode(), "mirror.yml")
    # Whether read_token means something is not known while `report` is not.
    assert [each.key for each in caught.value.errors] == ["every", "report", "certificate_key", "logs"]


@pytest.mark.parametrize("raw", [b"name: [", b"- name\n", b"\xff"], ids=["no YAML", "a list", "no UTF-8"])
def test_a_file_that_is_none_is_named(raw: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^mirror\.yml: file: "):
        parse_wishes(raw, "mirror.yml")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("user: root", "user"),
        ("user: nobody", "user"),
        ("tier2_port: 873", "tier2_port"),
        ("rsync_group: mirror", "rsync_group"),
        ("certificate: /x/chain.pem", "certificate_key"),
        ("state: /srv/m/state", "state"),
        ("report: https://mirrors.example.org", "report_token"),
        ("source: rsync://user@host/m/", "source"),
        ("source: 'rsync://host/m/$(x)/../y/'", "source"),
        ("exclude: ['- x']", "exclude"),
        ("file_list: ../x", "file_list"),
        ("marker: '*'", "marker"),
        ("marker: 'a\"b'", "marker"),
        ("root: //", "root"),
        ("root: '/srv/a$b'", "root"),
        ("interface: -x", "interface"),
        ("tier2: [0.0.0.0/0]", "tier2"),
        ("private: yes", "report"),
        ("source_user: alice", "source_password"),
        ("tier2_users: [alice]", "tier2_users"),
        ("tier2_users: ['a:b']", "tier2_users"),
        ("read_token: /etc/token", "read_token"),
        ("source_password: /srv/m/password", "source_password"),
        ("notify_mail: nobody", "notify_mail"),
        ("notify_url: 'https://h:99999/'", "notify_url"),
        ("urls: ['http://user@h/']", "urls"),
        ("country: Germany", "country"),
    ],
)
def test_what_cannot_be_is_refused(line: str, key: str) -> None:
    name = line.partition(":")[0]
    others = "".join(each + "\n" for each in NEEDED.splitlines() if not each.startswith(f"{name}:"))
    with pytest.raises(ConfigErrors) as caught:
        parse_wishes(f"{others}{line}\n".encode(), "mirror.yml")
    assert key in [each.key for each in caught.value.errors]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/a/b", ("a/b", "a/b/c"), ("x/a/b", "a/bc")),
        ("*.iso", ("x.iso", "a/x.iso", "a/x.iso/y"), ("x.isolated", "xiso")),
        ("debug/", ("debug/", "a/debug/x"), ("debug", "adebug/")),
        ("a/**/z?", ("a/b/c/zx", "q/a/b/zx"), ("a/b/z",)),
        ("c++", ("c++", "x/c++/y"), ("ccc",)),
    ],
)
def test_patterns_are_rsyncs(pattern: str, yes: tuple[str, ...], no: tuple[str, ...]) -> None:
    for path in yes:
        assert re.search(regex_of(pattern), path), path
    for path in no:
        assert not re.search(regex_of(pattern), path), path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redirector", "mirror", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def test_init_writes_a_sample_where_nobody_can_be_asked_and_keeps_what_is_there(tmp_path: Path) -> None:
    ended = run("init", str(tmp_path / "kit"), "--first-from", "rsync://near.example.org/m/")
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "kit" / "mirror.yml").read_text()
    assert "first_from: rsync://near.example.org/m/" in text
    assert "FIRST_FROM=rsync://near.example.org/m/" in (tmp_path / "kit" / "sync").read_text()
    (tmp_path / "kit" / "mirror.yml").write_text(text.replace("mirror.example.org", "other.example.org"))
    assert run("init", str(tmp_path / "kit")).returncode == 0
    assert "server_name other.example.org;" in (tmp_path / "kit" / "nginx.conf").read_text()
    (tmp_path / "kit" / "mirror.yml").write_text("nam: x\nroot: y\n")
    ended = run("init", str(tmp_path / "kit"))
    assert ended.returncode == 2 and "nam:" in ended.stderr and "root:" in ended.stderr and "source:" in ended.stderr


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "redirector", "mirror", "init", str(tmp_path / "kit")],
        stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    questions = sum(bool(wish.question) for wish in wishes().values())
    os.write(ours, b"not a name\nasked.example.org\n" + b"\n" * (questions - 1))
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    assert process.wait() == 0, said
    assert b"a host name is needed" in said
    assert "name: asked.example.org" in (tmp_path / "kit" / "mirror.yml").read_text()


def test_rsync_without_xxhash_is_a_warning() -> None:
    assert judge_rsync("rsync  version 3.1.3\nChecksum list:\n    md5 md4 none\n").level is Level.WARNING
    assert judge_rsync("rsync  version 3.2.7\nChecksum list:\n    xxh128 xxh3 md5\n").level is Level.OK


def test_a_machine_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "tree" / "10").mkdir(parents=True)
    (tmp_path / "tree" / "10").chmod(0o750)
    raw = f"name: m.example.org\nsource: rsync://a/m/\nroot: {tmp_path}/tree\nuser: daemon\ngroup: daemon\n"
    raw += f"state: {tmp_path}\n"
    found = list(check_local(parse_wishes(raw.encode(), "mirror.yml")))
    assert {each.check for each in found} >= {"users", "rights", "xxhash", "disk", "tools", "staged"}
    (tmp_path / "tree" / "open").mkdir()
    (tmp_path / "tree" / "open").chmod(0o777)
    found = list(check_local(parse_wishes(raw.encode(), "mirror.yml")))
    assert ("rights", Level.ERROR) in {(each.check, each.level) for each in found}


def _rights(root: Path, **keys: str) -> set[tuple[str, Level]]:
    lines = {"name": "m.example.org", "source": "rsync://a/m/", "root": str(root), "state": str(root.parent), **keys}
    raw = "".join(f"{key}: {value}\n" for key, value in lines.items())
    return {(each.text, each.level) for each in check_local(parse_wishes(raw.encode(), "m")) if each.check == "rights"}


@pytest.mark.skipif(os.getuid() != 0, reason="folders are given to others")
def test_who_serves_may_not_write_by_group_nor_own_a_folder_below(tmp_path: Path) -> None:
    root, below = tmp_path / "tree", tmp_path / "tree" / "10"
    below.mkdir(parents=True)
    root.chmod(0o755)
    user, server = pwd.getpwnam("daemon"), pwd.getpwnam("nobody")
    for folder in (root, below):
        os.chown(folder, user.pw_uid, server.pw_gid)
    good = {("readable for all, writable for who synchronizes alone", Level.OK)}
    assert _rights(root, user="daemon", group="daemon") == good
    below.chmod(0o775)
    assert _rights(root, user="daemon", group="daemon") == {("nobody, who serves, may write there", Level.ERROR)}
    below.chmod(0o755)
    os.chown(below, server.pw_uid, 0)
    assert _rights(root, user="daemon", group="daemon") == {("belongs to nobody, who serves", Level.ERROR)}
    for folder in (root, below):
        os.chown(folder, 0, 0)
    assert _rights(root, user="daemon", group="daemon") == {
        ("does not belong to daemon, who synchronizes", Level.WARNING)
    }


def test_a_folder_that_goes_while_a_machine_is_looked_at_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "tree"
    root.mkdir(mode=0o755)
    walk = os.walk
    monkeypatch.setattr("os.walk", lambda top: [*walk(top), (f"{root}/gone", [], [])])
    assert not any(level is Level.ERROR for _, level in _rights(root))


def test_the_outcome_is_the_worst() -> None:
    findings = [Finding("u", "age", level, "") for level in (Level.OK, Level.WARNING, Level.ERROR)]
    assert [outcome_of(findings[:n]) for n in range(4)] == [0, 0, 1, 2]
    assert str(findings[1]) == "u: age: warning: "


def test_check_needs_something_to_look_at(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "redirector", "mirror", "check"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert ended.returncode == 2 and "mirror.yml" in ended.stderr
    ended = run("check", "http://10.0.0.1/", "--json")
    assert ended.returncode == 2 and "not public" in ended.stdout

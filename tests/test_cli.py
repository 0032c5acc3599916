"""The commands as an operator meets them: exit codes, and what goes to which output."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from redirector.cli import check
from redirector.cli.main import main
from redirector.cli.output import Exit
from redirector.cli.verbs import VERBS
from redirector.locate.geoip import Location
from redirector.locate.second_reader import SecondReader
from redirector.model import Problem, Severity
from redirector.settings.option import options_of
from redirector.settings.serving import Config
from redirector.sources.switched_off import SwitchedOff, keep_switched_off
from tests.patience import PATIENCE_S
from tests.real import GEOIP

MIRROR = """\
name: {name}
address: {{https: 'https://{name}/alma'}}
update_frequency: 3h
sponsor: Example
sponsor_url: https://example.org
geolocation: {{country: {country}}}
"""
CITY = str(GEOIP / "GeoLite2-City-Test.mmdb")
COUNTRY = str(GEOIP / "GeoLite2-Country-Test.mmdb")
LONDON = "81.2.69.142"
FREE_PORTS = ("--listen", "127.0.0.1:0", "--admin", "none")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree that loads without a problem: two mirrors and one repository."""
    folder = tmp_path / "tree"
    (folder / "mirrors.d").mkdir(parents=True)
    (folder / "config.yml").write_text(
        "versions: ['9', '9.8']\n"
        "duplicated_versions: {'9': '9.8'}\n"
        "arches: {'9': [x86_64], '9.8': [x86_64]}\n"
        "repos: [{name: baseos, path: BaseOS/$basearch/os}]\n"
    )
    for name, country in (("a.example", "DE"), ("b.example", "GB")):
        (folder / f"mirrors.d/{name}.yml").write_text(MIRROR.format(name=name, country=country))
    return folder


def run(arguments: Sequence[str | Path], stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "redirector", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)


def test_help_lists_every_long_option_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["serve", "--help"]):
        assert main(arguments) == Exit.DONE
        out, err = capsys.readouterr()
        assert err == ""
        assert all(option.flag in out for _, option in options_of(Config))


def test_help_names_the_commands_before_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    shown = capsys.readouterr().out
    assert all(shown.index(f"  {verb.name} ") < shown.index("--source") for verb in VERBS)


@pytest.mark.parametrize(
    ("command", "used", "unused"), [("check", "--geoip", "--listen"), ("place", "--geoip", "--asn")]
)
def test_help_of_a_command_shows_only_what_it_uses(
    command: str, used: str, unused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([command, "--help"])
    shown = capsys.readouterr().out
    assert used in shown and unused not in shown


def test_an_option_that_is_not_used_is_accepted_all_the_same(tree: Path) -> None:
    assert main(["check", "--source", str(tree), "--workers", "2"]) == Exit.DONE


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param([], 2, "COMMAND", id="no command"),
        pytest.param(["mirrors"], 2, "invalid choice: 'mirrors'", id="unknown command"),
        pytest.param(["serve"], 2, "data/redirector.yml", id="no source"),
        pytest.param(["check"], 2, "data/redirector.yml", id="check without source"),
        pytest.param(["check", "--sourc", "x"], 2, "--sourc", id="no abbreviations"),
        pytest.param(["serve", "--soruce", "x"], 2, "did you mean --source?", id="misspelt option"),
        pytest.param(
            ["stats", "show", "--confg", "x"],
            2,
            "stats show: error: unrecognized arguments: --confg x; did you mean --config?",
            id="misspelt option of an action",
        ),
        pytest.param(
            ["registry", "host", "add", "--stie", "x"],
            2,
            "usage: redirector registry host add NAME [OPTIONS]\n",
            id="an action's many options stay out of the way",
        ),
        pytest.param(
            ["pages", "x", "--nothing-like-it", "--databse", "y"],
            2,
            "did you mean --database?",
            id="misspelt behind another",
        ),
        pytest.param(["serve", "--source"], 2, "--source", id="no value"),
        pytest.param(["serve", "--source", "x", "--minimum", "many"], 2, "--minimum: 'many'", id="wrong value"),
        pytest.param(["serve", "--config", "absent.yml"], 2, "absent.yml", id="no such configuration"),
        pytest.param(["explain", "/", "--source", "x"], 2, "--client", id="explain without client"),
        pytest.param(["explain", "/", "--client", "::1", "--source", "absent"], 1, "absent", id="nothing to explain"),
    ],
)
def test_what_cannot_be_done_is_said_on_standard_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == "" and says in err and "Traceback" not in err


def test_nothing_to_serve_is_said_on_standard_error() -> None:
    ended = run(["serve", "--source", "absent", *FREE_PORTS])
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "absent: " in ended.stderr and "Traceback" not in ended.stderr


COMPATIBLE = ("--compatibility", "mirrormanager")


@pytest.mark.parametrize("command", [["check"], ["explain", "/", "--client", "::1"]])
def test_compatibility_with_a_tree_is_wrong_usage(
    tree: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--source", str(tree), *COMPATIBLE]) == Exit.WRONG_USAGE
    assert "mirrormanager" in capsys.readouterr().err


def test_serving_a_tree_with_compatibility_is_wrong_usage(tree: Path) -> None:
    ended = run(["serve", "--source", tree, *COMPATIBLE])
    assert ended.returncode == Exit.WRONG_USAGE
    assert "mirrormanager" in ended.stderr and "Traceback" not in ended.stderr


def test_check_prints_a_line_a_problem_and_then_the_counts(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "mirrors.d/b.example.yml").write_text(MIRROR.format(name="b.example", country="XQ"))
    assert main(["check", "--source", str(tree), "--geoip", COUNTRY]) == Exit.DONE
    problem, *others, counts = capsys.readouterr().out.splitlines()
    assert problem.startswith(f"{tree}/mirrors.d/b.example.yml: geolocation.country: ")
    assert "'XQ'" in problem
    assert not any("a.example" in line for line in others)
    assert "2 hosts" in counts and "1 error," in counts


def test_check_says_error_or_warning_errors_first_and_many_alike_together(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        text = MIRROR.format(name=f"m{number}.example", country="UK")
        (tree / f"mirrors.d/m{number}.example.yml").write_text(text)
    (tree / "mirrors.d/z.example.yml").write_text(MIRROR.format(name="z.example", country="XQ"))
    arguments = ["check", "--source", str(tree), "--geoip", CITY]
    assert main(arguments) == Exit.DONE
    first, *alike, more, _, counts = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tree}/mirrors.d/z.example.yml: geolocation.country: error: ")
    assert [line.rpartition("/")[2] for line in alike] == [
        f"m{number}.example.yml: geolocation.country: warning: 'UK': taken as GB" for number in (0, 1, 10, 11, 12)
    ]
    assert more == "  and 15 more warnings of this kind: geolocation.country; --all shows each"
    assert "1 error, 21 warnings" in counts
    main([*arguments, "--all"])
    assert capsys.readouterr().out.count("'UK': taken as GB") == 20


def test_check_strict_errors_passes_over_warnings(tree: Path) -> None:
    arguments = ["check", "--source", str(tree), "--geoip", CITY, "--strict=errors"]
    (tree / "mirrors.d/u.example.yml").write_text(MIRROR.format(name="u.example", country="UK"))
    assert main(arguments) == Exit.DONE
    (tree / "mirrors.d/z.example.yml").write_text(MIRROR.format(name="z.example", country="XQ"))
    assert main(arguments) == Exit.FAILED


def test_the_name_of_a_source_may_be_a_word_of_a_problem() -> None:
    elsewhere = Problem(Severity.WARNING, "geo.mmdb", "geoip", "a base tells more")
    ours, theirs = (
        [Problem(Severity.WARNING, f"{source}/mirrors.d/a.yml", "name", f"see {source}/config.yml"), elsewhere]
        for source in ("branch", "base")
    )
    assert check.find_new(ours, "branch", theirs, "base") == ([], 0)
    assert check.find_new(ours, "branch", theirs[1:], "base") == (ours[:1], 0)


def test_check_against_another_source_prints_only_what_is_new(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("old", "mended"):
        (tree / f"mirrors.d/{name}.example.yml").write_text(MIRROR.format(name=f"{name}.example", country="XQ"))
    branch = tmp_path / "branch"
    shutil.copytree(tree, branch)
    arguments = ["check", "--source", str(branch), "--against", str(tree), "--geoip", CITY, "--strict=errors"]
    (branch / "mirrors.d/mended.example.yml").write_text(MIRROR.format(name="mended.example", country="DE"))
    assert main(arguments) == Exit.DONE
    assert capsys.readouterr().out.startswith(f"0 new problems, 2 that {tree} has are gone\n")
    (branch / "mirrors.d/new.example.yml").write_text(MIRROR.format(name="new.example", country="XQ"))
    assert main(arguments) == Exit.FAILED
    problem, _, counts, _ = capsys.readouterr().out.splitlines()
    assert problem.startswith(f"{branch}/mirrors.d/new.example.yml: geolocation.country: error: ")
    assert counts.startswith("2 new problems")
    main([*arguments, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (len(told["problems"]), told["gone"], told["counts"]["errors"]) == (2, 2, 1)
    (branch / "config.yml").write_text("versions: [")
    assert main(arguments) == Exit.FAILED


@pytest.mark.parametrize("other", ["absent", "empty", "mirrors.d"])
def test_check_against_what_is_no_source_is_wrong_usage(
    tree: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    (tree / "empty").touch()
    assert main(["check", "--source", str(tree), "--against", str(tree / other)]) == Exit.WRONG_USAGE
    assert f"--against: '{tree / other}': no source to compare with: " in capsys.readouterr().err


def test_check_against_a_tree_that_is_broken_compares_with_what_it_is(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tree, broken)
    (broken / "config.yml").write_text("versions: [")
    assert main(["check", "--source", str(tree), "--against", str(broken)]) == Exit.DONE
    assert "itself cannot be served" in capsys.readouterr().err


def test_check_holds_the_tables_to_a_second_reader(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def elsewhere(self: SecondReader, address: bytes) -> Location:
        return Location("AQ" if address[0] == 81 else None)

    (tree / "mirrors.d/b.example.yml").write_text(
        MIRROR.format(name="b.example", country="GB") + "subnets: [81.2.69.142/32]\n"
    )
    arguments = ["check", "--source", str(tree), "--geoip", COUNTRY]
    main(arguments)
    assert "by our own reader" not in capsys.readouterr().out
    monkeypatch.setattr(SecondReader, "find", elsewhere)
    main(arguments)
    assert "81.2.69.142 is in GB by our own reader, in AQ by maxminddb's" in capsys.readouterr().out


def test_a_country_database_alone_is_a_warning_that_says_what_it_means(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--source", str(tree), "--geoip", COUNTRY, "--strict"]) == Exit.FAILED
    assert "all clients of a country share its mirrors as its cities' people would" in capsys.readouterr().out
    by_distance = ["check", "--source", str(tree), "--geoip", COUNTRY, "--choice", "distance", "--strict=errors"]
    assert main(by_distance) == Exit.DONE, "a warning is no error"
    assert "each client counts as if it were in its country's largest city" in capsys.readouterr().out


def test_explain_shows_one_host(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["explain", "/mirrorlist/9/baseos", "--source", str(tree), "--geoip", COUNTRY, "--client", LONDON]
    assert main([*arguments, "--host", "B.example"]) == Exit.DONE
    shown = capsys.readouterr().out.partition("\nanswer ")[0]
    assert "b.example (GB" in shown and "a.example" not in shown
    assert "(the largest city of GB; nobody says more)" in shown
    assert main([*arguments, "--host", "d.example"]) == Exit.FAILED
    assert "near: " in capsys.readouterr().err


def test_explain_shows_twenty_hosts_that_are_left_out_and_counts_the_rest(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(60):
        text = MIRROR.format(name=f"m{number}.example", country="GB" if number < 30 else "FR")
        (tree / f"mirrors.d/m{number}.example.yml").write_text(text)
    main(["explain", "/mirrorlist/9/baseos", "--source", str(tree), "--geoip", COUNTRY, "--client", LONDON])
    left_out = capsys.readouterr().out.partition("left out\n")[2].partition("\n\n")[0].splitlines()
    counted = [int(line.split()[2]) for line in left_out if line.startswith("  - and ")]
    assert len(left_out) - len(counted) == 19
    assert sum(counted) + 19 + 10 == 62


def test_check_and_explain_know_what_an_operator_has_switched_off(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_switched_off(str(tmp_path / "state"), [SwitchedOff("a.example", 1.0), SwitchedOff("gone.example", 1.0)])
    options = ["--source", str(tree), "--geoip", CITY, "--state", str(tmp_path / "state")]
    main(["check", *options])
    assert "off gone.example: warning: no such host now" in capsys.readouterr().out
    main(["explain", "/mirrorlist/9/baseos", "--client", "::1", *options])
    assert "given to nobody: switched off by an operator since" in capsys.readouterr().out


def test_check_strict_counts_warnings(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "--source", str(tree), "--geoip", CITY]
    assert (main(arguments), main([*arguments, "--strict"])) == (Exit.DONE, Exit.DONE)
    with (tree / "mirrors.d/b.example.yml").open("a") as file:
        file.write("odd: 1\n")
    assert (main(arguments), main([*arguments, "--strict"])) == (Exit.DONE, Exit.FAILED)
    assert main(["check", "--source", str(tree), "--strict"]) == Exit.FAILED, "no --geoip is a warning"


def test_check_of_what_cannot_be_served_names_every_problem(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "config.yml").write_text("versions: [\n")
    assert main(["check", "--source", str(tree), "--geoip", f"{tree}/absent.mmdb"]) == Exit.FAILED
    captured = capsys.readouterr()
    assert "config.yml: " in captured.out and "absent.mmdb: " in captured.out
    assert captured.err == ""


def test_check_as_json(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--source", str(tree)]) == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["served"] is True
    assert told["counts"]["hosts"] == 2
    assert [(each["severity"], each["key"], each["fatal"]) for each in told["problems"]] == [
        ("warning", "geoip", False)
    ]
    (tree / "config.yml").unlink()
    assert main(["check", "--json", "--source", str(tree)]) == Exit.FAILED
    assert json.loads(capsys.readouterr().out)["served"] is False


def test_explain_tells_who_is_listed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["explain", "/mirrorlist/9/baseos", "--client", LONDON, "--source", str(tree), "--geoip", COUNTRY]
    assert main(arguments) == Exit.DONE
    text = capsys.readouterr().out
    assert "GB" in text and text.index("b.example") < text.index("a.example")
    assert main([*arguments, "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["hosts"][0]["host"] == "b.example"


@pytest.mark.parametrize(
    ("target", "client", "code"),
    [
        ("https://mirrors.example/mirrorlist/9/baseos", "::1", Exit.DONE),
        ("/mirrorlist/9/absent", "::1", Exit.FAILED),
        ("/metalink?repo=absent&arch=x86_64", "::1", Exit.FAILED),
        ("/mirrorlist/9/baseos", "nobody", Exit.WRONG_USAGE),
        ("/mirrorlist/9/baseos?country=xyz", "::1", Exit.WRONG_USAGE),
    ],
)
def test_explain_tells_wrong_usage_from_unknown_names(
    tree: Path, capsys: pytest.CaptureFixture[str], target: str, client: str, code: Exit
) -> None:
    assert main(["explain", target, "--client", client, "--source", str(tree)]) == code
    captured = capsys.readouterr()
    assert (captured.out == "") == (code != Exit.DONE)
    assert (captured.err == "") == (code == Exit.DONE)


def test_a_reader_who_leaves_early_changes_nothing(tree: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as closed:
        ended = run(["check", "--source", tree, "--strict"], closed)
    assert (ended.returncode, ended.stderr) == (Exit.FAILED, "")


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--source", "tree"]])
def test_a_full_disk_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tree.parent)
    with open("/dev/full", "wb") as full:
        ended = run(arguments, full)
    assert (ended.returncode, ended.stderr) == (1, "redirector: standard output: No space left on device\n")


def test_control_characters_of_files_reach_no_terminal(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "mirrors.d/\x1b[31m\nc.yml").write_text("- no mirror\n")
    main(["check", "--source", str(tree)])
    out = capsys.readouterr().out
    assert "\\x1b[31m\\nc.yml: file: " in out
    assert out.replace("\n", "").isprintable()


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "run", interrupt)
    assert main(["check", "--source", "x"]) == Exit.INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_options_may_stand_before_the_command_too(tree: Path) -> None:
    assert main(["--source", str(tree), "check", "--minimum", "3"]) == Exit.DONE

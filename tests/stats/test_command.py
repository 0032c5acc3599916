"""`redirector stats` from the command line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from redirector.cli.main import main
from redirector.cli.output import Exit
from redirector.settings.option import option_table
from redirector.settings.statistics import Statistics
from tests.stats.rig import TARGET, Line, mirrormanager

SEEN = replace(Line("/"), time="30/Nov/2026:00:10:00 +0000")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "access.log"
    path.write_bytes(
        Line(f"{TARGET}&countme=1").combined() * 2 + Line(f"{TARGET}&countme=7").combined() + SEEN.combined()
    )
    return path


def stats(*words: str) -> int:
    return main(["stats", *words])


def test_add_and_export(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stats("add", str(log)) == Exit.DONE
    assert capsys.readouterr().out == (f"{log}: 4 new lines, 3 requests, 2 systems; 1 with a wrong countme\n")
    assert stats("export", "access") == Exit.DONE
    assert capsys.readouterr().out.splitlines()[:2] == [
        "day,category,name,requests,percent",
        "2026-11-28,countries,--,3,100.0",
    ]
    assert stats("export", "countme") == Exit.DONE
    assert capsys.readouterr().out.splitlines()[1:] == [
        "2026-11-23,2026-11-29,2,Fedora Linux,42,workstation,x86_64,1,fedora-42,x86_64"
    ]
    assert stats("export", "countme", "--json", "--until", "2026-11-22") == Exit.DONE
    assert json.loads(capsys.readouterr().out) == {"items": []}
    for name in ("propagation", "traffic"):
        assert stats("export", name) == Exit.DONE
        assert len(capsys.readouterr().out.splitlines()) == 1


def test_tables_can_be_read_by_other_programs(log: Path) -> None:
    assert stats("add", str(log), "--database", "sqlite:///other.db") == Exit.DONE
    with closing(sqlite3.connect("other.db")) as database:
        found = database.execute("SELECT day, country, repository, arch, requests FROM access").fetchall()
        assert found == [("2026-11-28", "--", "fedora-42", "x86_64", 3)]
        columns = "hits, weeknum, os_name, os_version, os_variant, os_arch, sys_age, repo_tag, repo_arch"
        assert [name for _, name, *_ in database.execute("PRAGMA table_info(countme_totals)")] == columns.split(", ")
        found = database.execute("SELECT * FROM countme_totals").fetchall()
        assert found == [(2, 2968, "Fedora Linux", "42", "workstation", "x86_64", 1, "fedora-42", "x86_64")]


def test_several_logs_and_one_that_is_not_there(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = log.with_name("other.log")
    other.write_bytes(mirrormanager() + b"junk\n")
    assert stats("add", str(log), "absent.log", str(other)) == Exit.FAILED
    told = capsys.readouterr()
    assert "absent.log: No such file" in told.err
    assert told.out.splitlines()[1:] == [
        f"{other}: 2 new lines, 1 request, 0 systems; 1 line of no known format",
        "all: 6 new lines, 4 requests, 2 systems; 1 line of no known format; 1 with a wrong countme",
    ]


def test_standard_input(log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with log.open("rb") as file:
        monkeypatch.setattr("redirector.stats.logs.STANDARD_INPUT", file.fileno())
        assert stats("add", "-", "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["logs"][0]["lines"] == 4


def test_rules_from_the_file(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(mirrormanager("KP") + mirrormanager("DE") + mirrormanager(client="10.1.2.3"))
    Path("redirector.yml").write_text("stats: {fold: KP, ignore: [10.0.0.0/8], server: eu-1, jobs: 1}\n")
    assert stats("add", str(log), "--config", "redirector.yml") == Exit.DONE
    assert stats("export", "access") == Exit.DONE
    countries = [line for line in capsys.readouterr().out.splitlines() if ",countries," in line]
    assert countries == ["2026-11-28,countries,--,1,50.0", "2026-11-28,countries,DE,1,50.0"]


def test_countries_from_a_table(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(Line(client="193.99.144.80").combined())
    table = Path(__file__).parents[2] / "data" / "geoip" / "country.mmdb"
    assert stats("add", str(log), "--geoip", str(table)) == Exit.DONE
    assert stats("export", "access") == Exit.DONE
    assert "2026-11-28,countries,DE,1,100.0" in capsys.readouterr().out
    assert stats("add", str(log), "--geoip", str(log)) == Exit.FAILED
    assert "not an MMDB" in capsys.readouterr().err


def test_trim_and_show(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = log.with_name("old.log")
    old.write_bytes(mirrormanager(day="2020-01-01"))
    assert stats("show") == Exit.DONE
    assert "nothing is counted yet" in capsys.readouterr().out
    assert stats("add", str(old)) == stats("trim") == Exit.DONE
    assert "1 row of days before" in capsys.readouterr().out
    assert stats("trim", "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["rows"] == 0
    assert stats("show") == Exit.DONE
    assert "2020-01-01: 1 request" in capsys.readouterr().out
    assert stats("show", "--json", "--day", "2019-12-31") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["parts"]["countries"] == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("add",),
        ("export", "everything"),
        ("export", "access", "--since", "yesterday"),
        ("show", "--day", "0001-01-01"),
        ("export", "countme", "--until", "9999-12-31"),
        ("add", "x", "--fold", "Germany"),
        ("add", "x", "--ignore", "10.0.0.1/8"),
        ("add", "x", "--server", ""),
        ("add", "x", "--jobs", "0"),
    ],
)
def test_wrong_usage(log: Path, words: tuple[str, ...]) -> None:
    assert stats(*words) == Exit.WRONG_USAGE


def test_a_database_that_is_none(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stats("show", "--database", f"sqlite:///{log}") == Exit.FAILED
    assert str(log) in capsys.readouterr().err


def test_the_options_stand_in_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "statistics.md"
    assert option_table(Statistics) in page.read_text(), "replace the page's table by this one"

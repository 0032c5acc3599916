"""The public pages as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redirector.cli.main import main
from redirector.registry.public import public_list
from redirector.registry.publish.selection import select
from redirector.settings.joining import Join
from redirector.web.pages.files import render_files, write_files
from redirector.web.pages.shown import read_pasts, read_shown
from tests.web.conftest import Api
from tests.web.html import check_html

TREE = Path(__file__).parents[2] / "data" / "tree"
GEOIP = TREE.parent / "geoip" / "country.mmdb"


async def test_every_page_is_a_file_and_says_what_is_served(network: Api, tmp_path: Path) -> None:
    registry = network.registry
    async with registry.store.read() as connection:
        shown = await read_shown(connection, registry.now)
        pasts = await read_pasts(connection, shown)
    files = dict(render_files(shown, pasts, Join(), ""))
    pages = {name: raw.decode() for name, raw in files.items() if name.endswith(".html")}
    for text in pages.values():
        check_html(text)
        assert "/login" not in text and "csrf" not in text
    assert {"mirrors/index.html", "map/index.html", "join/index.html"} <= pages.keys()
    holdings = await registry.holdings()
    listed = public_list(holdings, select(holdings, registry.now), registry.now)
    told = {item["host"]: item["state"] for item in json.loads(files["mirrors.json"])["items"]}
    assert told == {mirror.host: mirror.state for mirror in listed.mirrors}
    assert all(f"mirrors/{host}/index.html" in pages for host in told)


def test_what_is_no_page_more_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "robots.txt").write_text("mine")
    files = {"mirrors/a/index.html": b"a", "mirrors/b/index.html": b"b", "style.css": b"c"}
    assert write_files(str(tmp_path), files) == 3
    assert write_files(str(tmp_path), files) == 0
    del files["mirrors/b/index.html"]
    write_files(str(tmp_path), files)
    assert not (tmp_path / "mirrors" / "b").exists() and (tmp_path / "mirrors" / "a" / "index.html").exists()
    assert (tmp_path / "robots.txt").read_text() == "mine"


def test_a_tree_has_pages_without_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pages", str(tmp_path / "out"), "--source", str(TREE), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mirrors"] > 5
    for name in ("mirrors", "map", "propagation", "statistics", "join"):
        check_html((tmp_path / "out" / name / "index.html").read_text())
    states = {item["state"] for item in json.loads((tmp_path / "out" / "mirrors.json").read_text())["items"]}
    assert "ok" in states


@pytest.mark.parametrize("told", ["by flag", "by file"])
def test_files_name_whose_the_geolocation_data_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "redirector.yml").write_text(f"geoip: {GEOIP}\n")
    words = ["--geoip", str(GEOIP)] if told == "by flag" else ["--config", "redirector.yml"]
    assert main(["pages", "out", "--source", str(TREE), *words]) == 0
    assert "IPFire Location database" in (tmp_path / "out" / "statistics" / "index.html").read_text()
    assert main(["pages", "out", "--source", str(TREE)]) == 0
    assert "Where addresses are" not in (tmp_path / "out" / "statistics" / "index.html").read_text()

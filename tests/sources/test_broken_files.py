"""A file that is broken at a reload: what was read of it before goes on."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from redirector.model import Catalog
from redirector.sources.inputs import Good
from redirector.sources.mirrors_d.load import load_tree
from tests.rig import rig_of
from tests.sources.tree import CONFIG, DAY_S, NOW, mirror_files, mirror_text, problems_of, repomd, write_tree

OS = "9.8/BaseOS/x86_64/os"
DETAILS = f"{OS}/repodata", "repomd.xml"
METALINK = "/metalink?repo=baseos-9&arch=x86_64"
MORE = "primary: master\nprimary_history: pushes\nplaces: places.yml\ncloud_ranges: {aws: aws.json}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = {
        **mirror_files("a"),
        "mirrors.d/b.yml": mirror_text("b", "geolocation:"),
        "mirrors.d/c.yml": mirror_text("c", "cloud_type: aws"),
        f"master/{OS}/repodata/repomd.xml": repomd(int(NOW) - 100),
        f"pushes/1/{OS}/repodata/repomd.xml": repomd(int(NOW) - DAY_S),
        "places.yml": "b: {country: FR}\n",
        "aws.json": json.dumps({"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "us-east-1"}]}),
    }
    write_tree(tmp_path, files, CONFIG + MORE)
    return tmp_path


def load_again(tree: Path, before: Catalog) -> Catalog:
    earlier = {path: Good(*content) for path, content in before.good.items()}
    return load_tree(str(tree), NOW, earlier=earlier)


@pytest.mark.parametrize("content", [b"", b"<repomd><data>", b"\x00", b"{", b"[1, 2]"])
@pytest.mark.parametrize("name", [f"master/{OS}/repodata/repomd.xml", f"pushes/1/{OS}/repodata/repomd.xml", "aws.json"])
def test_what_was_read_before_goes_on(tree: Path, name: str, content: bytes) -> None:
    before = load_tree(str(tree), NOW)
    assert len(before.details[DETAILS]) == 2 and before.broken == ()
    (tree / name).write_bytes(content)
    after = load_again(tree, before)
    for catalog in (after, load_again(tree, after)):
        assert (catalog.details, catalog.hosts) == (before.details, before.hosts)
        assert catalog.hosts[2].netblocks == (ip_network("192.0.2.0/24"),)
        assert catalog.broken == (str(tree / name),)
        (problem,) = set(problems_of(catalog)) - set(problems_of(before))
        assert problem.startswith(f"{name}: file: ") and problem.endswith(": what was read of it before is used")


@pytest.mark.parametrize("name", ["places.yml", "aws.json"])
def test_a_file_that_is_named_and_gone_goes_on_too(tree: Path, name: str) -> None:
    before = load_tree(str(tree), NOW)
    (tree / name).unlink()
    assert load_again(tree, before).hosts == before.hosts


def test_places_that_are_no_yaml_go_on(tree: Path) -> None:
    before = load_tree(str(tree), NOW)
    (tree / "places.yml").write_text("b: {country: [")
    assert load_again(tree, before).hosts[1].country == "FR"


def test_a_repository_that_left_the_tree_is_no_broken_file(tree: Path) -> None:
    before = load_tree(str(tree), NOW)
    (tree / f"master/{OS}/repodata/repomd.xml").unlink()
    after = load_again(tree, before)
    assert DETAILS not in after.details and after.broken == ()


def test_where_nothing_was_read_before_earlier_pushes_stand_in(tree: Path) -> None:
    (tree / f"master/{OS}/repodata/repomd.xml").write_bytes(b"")
    catalog = load_tree(str(tree), NOW)
    assert [detail.timestamp for detail in catalog.details[DETAILS]] == [int(NOW) - DAY_S]


def test_the_answer_says_whether_a_primary_is_named(tree: Path) -> None:
    (tree / f"pushes/1/{OS}/repodata/repomd.xml").unlink()
    (tree / f"master/{OS}/repodata/repomd.xml").write_bytes(b"")
    assert b"the primary tree has none that can be read" in rig_of(load_tree(str(tree), NOW)).get(METALINK).body
    (tree / "config.yml").write_text(CONFIG)
    assert b"config.yml names no `primary`" in rig_of(load_tree(str(tree), NOW)).get(METALINK).body

"""A file that is broken at a reload: what was read of it before goes on."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from redirector.errors import SnapshotError
from redirector.model import Catalog
from redirector.sources.health import heed_health
from redirector.sources.inputs import EarlierFiles, Good
from redirector.sources.mirrors_d.load import load_tree
from tests.rig import rig_of
from tests.sources.tree import (
    CONFIG,
    DAY_S,
    NOW,
    health_text,
    mirror_files,
    mirror_text,
    problems_of,
    repomd,
    write_tree,
)

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


@pytest.mark.parametrize("text", ["b: {country: [", "", "[1, 2]", "null", "{}", "b: {country: FR", "b:"])
def test_places_that_are_none_go_on(tree: Path, text: str) -> None:
    before = load_tree(str(tree), NOW)
    (tree / "places.yml").write_text(text)
    after = load_again(tree, before)
    assert after.hosts[1].country == "FR" and after.broken == (str(tree / "places.yml"),)


def test_a_cloud_without_a_network_is_a_broken_list(tree: Path) -> None:
    before = load_tree(str(tree), NOW)
    (tree / "aws.json").write_text('{"prefixes": []}')
    assert load_again(tree, before).hosts == before.hosts


def test_a_file_that_ends_amid_a_line_of_what_it_was_is_broken(tree: Path) -> None:
    mirror = tree / "mirrors.d/a.yml"
    mirror.write_text(mirror_text("a", "private: true", "subnets: [192.0.2.0/24]"))
    whole = mirror.read_text()
    before = load_tree(str(tree), NOW)
    mirror.write_text(whole[: whole.index("private") - len("\n")])
    after = load_again(tree, before)
    assert after.hosts == before.hosts and after.broken == (str(mirror),)
    mirror.write_text(whole[: whole.index("private")])
    assert not load_again(tree, before).hosts[0].private
    mirror.write_text(whole.rstrip())
    assert load_again(tree, before).broken == ()


def test_a_configuration_that_ends_amid_a_line_of_what_it_was_is_refused(tree: Path) -> None:
    before = load_tree(str(tree), NOW)
    config = tree / "config.yml"
    config.write_text(config.read_text().replace("cloud_ranges: {aws: aws.json}\n", "near_km: 500\n"))
    whole, before = config.read_text(), load_again(tree, before)
    config.write_text(whole[:-2])
    with pytest.raises(SnapshotError, match="ends amid a line"):
        load_again(tree, before)


@pytest.mark.parametrize(
    ("added", "stays"),
    [
        ("private: true\nname: [", False),
        ("\tprivate: true", False),
        ("'Disabled': true\n---\nx: 1", False),
        ("geolocation: {private: true", False),
        ("name: [", True),
        ("priv", True),
    ],
)
def test_a_broken_mirror_goes_on_unless_it_restricts_more_than_before(tree: Path, added: str, stays: bool) -> None:
    before = load_tree(str(tree), NOW)
    with (tree / "mirrors.d/a.yml").open("a") as file:
        file.write(added)
    assert [host.name for host in load_again(tree, before).hosts] == (["a"] if stays else []) + ["b", "c"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"mirrors": []}', b'{"checked": "now", "mirrors": {}}'])
def test_health_that_cannot_be_believed_goes_on_as_it_was(tree: Path, content: bytes) -> None:
    health = tree / "health.json"
    health.write_text(health_text({"a": {"up": False}}))
    before = heed_health(load_tree(str(tree), NOW), str(health), NOW)
    assert not before.hosts[0].up
    health.write_bytes(content)
    earlier = EarlierFiles(before.good)
    after = heed_health(load_tree(str(tree), NOW), str(health), NOW, earlier)
    assert after.hosts == before.hosts and after.broken == (str(health),)
    assert heed_health(load_tree(str(tree), NOW), str(health), NOW + 2 * DAY_S, earlier).hosts[0].up
    health.unlink()
    assert heed_health(load_tree(str(tree), NOW), str(health), NOW, earlier).hosts[0].up


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

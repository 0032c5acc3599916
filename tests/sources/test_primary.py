from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model import FileDetail
from redirector.sources.inputs import Inputs
from redirector.sources.mirrors_d.primary import AlternatesRule, Metadata, read_pushes, read_tree_root
from redirector.sources.problems import Report
from redirector.tree.repomd import parse_repomd
from tests.sources.tree import DAY_S, NOW, repomd

BILLION_LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE repomd [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<repomd><data><timestamp>&c;</timestamp></data></repomd>"""
FOREIGN_ENTITY = b'<!DOCTYPE repomd [<!ENTITY x SYSTEM "file:///etc/passwd">]><repomd>&x;</repomd>'


def test_a_repomd_has_its_size_its_hashes_and_the_greatest_time_inside() -> None:
    raw = repomd(1_700_000_000, 1_700_000_300, 1_700_000_100)
    assert parse_repomd(raw).detail == FileDetail(
        1_700_000_300,
        len(raw),
        hashlib.md5(raw).hexdigest(),
        hashlib.sha1(raw).hexdigest(),
        hashlib.sha256(raw).hexdigest(),
        hashlib.sha512(raw).hexdigest(),
    )


def test_times_with_fractions_count_and_files_without_any_have_none() -> None:
    detail = parse_repomd(b"<repomd><data><timestamp>1700000000.75</timestamp></data></repomd>").detail
    assert detail.timestamp == 1_700_000_000
    assert parse_repomd(b"<repomd><revision>1</revision></repomd>").detail.timestamp == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html></html>",
        b"<repomd>",
        b"<repomd><data><timestamp>soon</timestamp></data></repomd>",
        b"<repomd><data><timestamp/></data></repomd>",
        b"<repomd><data><timestamp>inf</timestamp></data></repomd>",
        BILLION_LAUGHS,
        FOREIGN_ENTITY,
        BILLION_LAUGHS.decode().replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16"),
    ],
)
def test_what_is_no_plain_repomd_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a repomd.xml: .*") as refused:
        parse_repomd(raw)
    assert "\n" not in str(refused.value)


def details(*ages_days: float) -> list[FileDetail]:
    return [FileDetail(int(NOW - age * DAY_S), 1) for age in ages_days]


@pytest.mark.parametrize(
    ("ages_days", "kept"),
    [
        ([], []),
        ([100], [0]),
        ([0.1, 9], [0, 1]),
        ([2.9, 90], [0, 1]),
        ([3.1, 3.2], [0]),
        ([0.1, 1, 2, 3.9, 4.1], [0, 1, 2, 3]),
        ([0.1, 5, 6], [0, 1]),
    ],
)
def test_the_second_newest_stays_while_the_newest_is_young_and_the_others_while_they_are(
    ages_days: list[float], kept: list[int]
) -> None:
    versions = details(*ages_days)
    assert AlternatesRule().pick(versions, NOW) == tuple(versions[place] for place in kept)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=6).map(sorted))
def test_the_newest_always_stays_and_first_and_long_rules_keep_all(ages_days: list[float]) -> None:
    versions = details(*ages_days)
    kept = AlternatesRule().pick(versions, NOW)
    assert kept[0] == versions[0]
    assert [detail.timestamp for detail in kept] == sorted((detail.timestamp for detail in kept), reverse=True)
    assert AlternatesRule(1e6, 1e6).pick(versions, NOW) == tuple(versions)


def write(root: Path, push: str, directory: str, raw: bytes) -> None:
    path = root / push / directory / "repodata" / "repomd.xml"
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)


def metadata_of(root: Path) -> Metadata:
    report = Report("config.yml")
    primary = read_tree_root(report, "primary", str(root / "master"))
    assert primary is not None
    return Metadata(primary, read_pushes(report, "primary_history", str(root / "history")), Inputs(report))


def test_pushes_are_ordered_by_time_and_each_content_stands_once(tmp_path: Path) -> None:
    write(tmp_path, "master", "9/os", repomd(400))
    for push, time in (("a", 200), ("b", 400), ("c", 300), ("d", 200), (".partial", 100)):
        write(tmp_path, f"history/{push}", "9/os", repomd(time))
    metadata = metadata_of(tmp_path)
    assert [detail.timestamp for detail in metadata.load_versions(("9/os",))] == [400, 300, 200]
    assert metadata.inputs.report.problems == []
    assert len(metadata.inputs.mtimes) == 5


def test_the_master_comes_first_even_if_its_times_went_back(tmp_path: Path) -> None:
    write(tmp_path, "master", "9/os", repomd(100))
    write(tmp_path, "history/a", "9/os", repomd(400))
    assert [detail.timestamp for detail in metadata_of(tmp_path).load_versions(("9/os",))] == [100, 400]


def test_what_the_master_no_longer_has_is_not_found_in_its_history(tmp_path: Path) -> None:
    write(tmp_path, "master", "9/os", repomd(100))
    write(tmp_path, "history/a", "8/os", repomd(90))
    assert metadata_of(tmp_path).load_versions(("8/os",)) == []


def test_a_broken_repomd_is_reported_and_not_used(tmp_path: Path) -> None:
    write(tmp_path, "master", "9/os", repomd(100))
    write(tmp_path, "master", "8/os", b"<html/>")
    (tmp_path / "master/7/os/repodata/repomd.xml").mkdir(parents=True)
    write(tmp_path, "history/a", "9/os", b"")
    metadata = metadata_of(tmp_path)
    assert [len(metadata.load_versions((name,))) for name in ("9/os", "8/os", "7/os", "6/os")] == [1, 0, 0, 0]
    assert [Path(problem.path).relative_to(tmp_path).parts[:2] for problem in metadata.inputs.report.problems] == [
        ("history", "a"),
        ("master", "8"),
        ("master", "7"),
    ]


def test_folders_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    report = Report("config.yml")
    assert read_tree_root(report, "primary", str(tmp_path / "none")) is None
    assert read_pushes(report, "primary_history", str(tmp_path / "none")) == ()
    assert [problem.key for problem in report.problems] == ["primary", "primary_history"]

"""The index of the primary tree's files: what is there, since when, and where it cannot say."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model import FileIndex, path_key
from redirector.sources.mirrors_d import primary_files
from redirector.sources.mirrors_d.primary import MasterTree, read_tree_root
from redirector.sources.mirrors_d.primary_files import index_files
from redirector.sources.problems import Report
from tests.sources.tree import CONFIG, load, mirror_files, problems_of

OS = "9.8/BaseOS/x86_64/os"
REPOMD = (
    b'<repomd xmlns="http://linux.duke.edu/metadata/repo">'
    b'<data type="primary"><location href="repodata/1-primary.xml.gz"/><timestamp>1</timestamp></data>'
    b'<data type="other"><location href="repodata/2-other.xml.gz"/></data>'
    b'<data type="odd"><location href="/etc/passwd"/></data><data type="none"/></repomd>'
)


def write(root: Path, *names: str, written: int = 1_700_000_000) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(REPOMD if name.endswith("repomd.xml") else b"x")
        os.utime(path, (written, written))


def tree_at(root: Path, report: Report) -> MasterTree:
    tree = read_tree_root(report, "primary", str(root))
    assert tree is not None
    return tree


def index(root: Path, report: Report | None = None, spots: tuple[str, ...] = (OS,)) -> FileIndex:
    report = report or Report("config.yml")
    found = index_files(report, tree_at(root, report), {OS: spots})
    assert found is not None
    return found


def test_files_have_their_time_and_folders_say_whether_they_are_whole(tmp_path: Path) -> None:
    write(tmp_path, f"{OS}/.treeinfo", f"{OS}/Packages/a/b.rpm", f"{OS}/repodata/repomd.xml", written=1_700_000_123)
    files = index(tmp_path)
    assert files.find(f"{OS}/.treeinfo") == files.find(f"{OS}/Packages/a/b.rpm") == 1_700_000_123
    assert files.find(f"{OS}/") == files.find(f"{OS}/Packages/") == files.find(f"{OS}/Packages/a/") == 1
    for name in ("", OS, f"{OS}/Packages", f"{OS}/nothing", f"{OS}/nothing/", "9.8/", "BaseOS/x86_64/os/.treeinfo"):
        assert files.find(name) is None


def test_a_copy_of_metadata_alone_says_nothing_about_other_files(tmp_path: Path) -> None:
    write(tmp_path, f"{OS}/repodata/repomd.xml")
    files = index(tmp_path)
    assert files.find(f"{OS}/") == 0
    assert files.find(f"{OS}/repodata/") == 1
    (tmp_path / OS / "Packages").mkdir()
    assert index(tmp_path).find(f"{OS}/") == 1


def test_what_a_repomd_names_is_there_even_where_it_is_not_copied(tmp_path: Path) -> None:
    write(tmp_path, f"{OS}/repodata/repomd.xml", written=5)
    write(tmp_path, f"{OS}/repodata/1-primary.xml.gz", written=7)
    files = index(tmp_path)
    assert files.find(f"{OS}/repodata/1-primary.xml.gz") == 7
    assert files.find(f"{OS}/repodata/2-other.xml.gz") == 5
    assert files.find(f"{OS}/repodata/etc/passwd") is None


@pytest.mark.parametrize("raw", [b"", b"<repomd>", b'<!DOCTYPE r [<!ENTITY x "y">]><repomd>&x;</repomd>'])
def test_an_unreadable_repomd_names_nothing(tmp_path: Path, raw: bytes) -> None:
    write(tmp_path, f"{OS}/repodata/x")
    (tmp_path / OS / "repodata" / "repomd.xml").write_bytes(raw)
    assert index(tmp_path).find(f"{OS}/repodata/x") is not None


def test_a_repository_lies_under_the_first_of_its_names_that_is_there(tmp_path: Path) -> None:
    write(tmp_path, "9/BaseOS/x86_64/os/old.rpm")
    spots = (OS, "9/BaseOS/x86_64/os")
    assert index(tmp_path, spots=spots).find(f"{OS}/old.rpm") is not None
    write(tmp_path, f"{OS}/new.rpm")
    files = index(tmp_path, spots=spots)
    assert files.find(f"{OS}/new.rpm") is not None
    assert files.find(f"{OS}/old.rpm") is None


def test_links_count_as_what_they_lead_to_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path, f"{OS}/Packages/a.rpm", "pool/b.rpm")
    (tmp_path / OS / "pool").symlink_to(tmp_path / "pool")
    (tmp_path / OS / "Packages" / "c.rpm").symlink_to("a.rpm")
    (tmp_path / OS / "Packages" / "broken").symlink_to("nothing")
    (tmp_path / OS / "Packages" / "up").symlink_to("..")
    (tmp_path / OS / "self").symlink_to(".")
    files = index(tmp_path)
    for name in ("Packages/a.rpm", "Packages/c.rpm", "pool/b.rpm", "pool/"):
        assert files.find(f"{OS}/{name}") is not None
    for name in ("Packages/broken", "Packages/up/Packages/a.rpm", "self/Packages/a.rpm"):
        assert files.find(f"{OS}/{name}") is None


def test_hidden_folders_and_pipes_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, f"{OS}/.~tmp~/a.rpm", f"{OS}/b.rpm")
    os.mkfifo(tmp_path / OS / "pipe")
    files = index(tmp_path)
    assert files.find(f"{OS}/.~tmp~/a.rpm") is None
    assert files.find(f"{OS}/pipe") is None


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    write(tmp_path, f"{OS}/é.rpm")
    (tmp_path / OS / os.fsdecode(b"\xff.rpm")).write_bytes(b"")
    files = index(tmp_path)
    assert files.find(f"{OS}/é.rpm") is not None
    assert len(files.keys) == 3


def test_an_unreadable_folder_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f"{OS}/Packages/a.rpm")
    scan = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"Packages"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = Report("config.yml")
    assert index(tmp_path, report).find(f"{OS}/Packages/") == 0
    (problem,) = report.problems
    assert problem.text == "Permission denied: none of its files counts as missing"


def test_a_tree_that_is_too_large_is_not_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primary_files, "LIMIT_FILES", 2)
    write(tmp_path, f"{OS}/a", f"{OS}/b", f"{OS}/c")
    report = Report("config.yml")
    assert index_files(report, tree_at(tmp_path, report), {OS: (OS,)}) is None
    assert [problem.text for problem in report.problems] == [
        "holds more than 2 files: not indexed, and no file counts as missing"
    ]


def test_a_tree_with_a_primary_has_an_index_and_others_have_none(tmp_path: Path) -> None:
    assert load(tmp_path / "a", mirror_files("a.example.org")).files is None
    write(tmp_path / "b" / "master", f"{OS}/a.rpm", "9.8/isos/aarch64/x.iso", "other/y", ".junk/y")
    catalog = load(tmp_path / "b", mirror_files("a.example.org"), CONFIG + "primary: master\n")
    assert catalog.files is not None
    assert catalog.files.find(f"{OS}/a.rpm") == catalog.files.find("9.8/isos/aarch64/x.iso") == 1_700_000_000
    assert catalog.files.find("other/y") == 1_700_000_000
    assert catalog.files.find(".junk/y") is None
    assert problems_of(catalog) == []
    assert not any("a.rpm" in path for path in catalog.inputs)


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 2**33), max_size=20), st.lists(st.text(max_size=5)))
def test_an_index_knows_what_it_was_given(values: dict[str, int], others: list[str]) -> None:
    rows = sorted((path_key(path.encode()), value) for path, value in values.items())
    files = FileIndex(array("Q", (key for key, _ in rows)), array("Q", (value for _, value in rows)))
    for path in (*values, *others):
        assert files.find(path) == values.get(path)

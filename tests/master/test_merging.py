"""Which push changed what, and when: one scan after another, of lists that are written by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import MasterError
from redirector.master.details import list_details, metadata_of
from redirector.master.gathering import Gathering
from redirector.master.merging import KEPT_VERSIONS, Content, Merged, Scan, find_wanted, merge, refuse_implausible
from redirector.model import FileDetail
from redirector.store.directories import MasterDirectory, Packed, Push
from tests.master.rig import make_repomd

START = 1_795_000_000
REPOMD = b"43/os/repodata/repomd.xml"


@dataclass(slots=True)
class Story:
    """Lists of a master, one after another."""

    known: Packed | None = None
    now: int = START
    contents: dict[bytes, Content] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)

    def scan(self, *entries: str, after_s: int = 900, checksums: dict[bytes, dict[str, str]] | None = None) -> Merged:
        """Merge a list of `TIME TYPE SIZE PATH`; times count from `START`."""
        self.now += after_s
        gathering = Gathering("master")
        for entry in entries:
            time, kind, size, path = entry.split(" ", 3)
            gathering.take([(str(START + int(time)).encode(), kind.encode(), size.encode(), path.encode())])
        directories = list(gathering.finish(b""))
        self.asked = list(find_wanted(self.known, directories))
        read = {path: self.contents[path] for path in self.asked if path in self.contents}
        merged = merge(self.known, Scan("c", "top", self.now, b"", directories, read, checksums or {}))
        self.known = merged.known
        return merged

    def find(self, path: str) -> MasterDirectory:
        assert self.known
        found = self.known.unpack().find(path.encode())
        assert found
        return found

    def seen(self, path: str) -> dict[str, int]:
        """When each of the newest files of a directory was first seen, from `START` on."""
        return {file.name.decode(): file.seen - START for file in self.find(path).files}


def test_at_the_first_scan_a_push_has_the_time_of_its_files() -> None:
    story = Story()
    contents = story.scan("-500 f 1 a/new", "-900 f 1 a/old", "-100 d 0 b").known
    assert story.seen("a") == {"new": -500, "old": -900}
    assert (contents.push, contents.generation) == (1, 1)
    assert story.find("a").changed == START - 500 and story.find("b").changed == START - 100
    assert contents.pushes == (Push(1, START - 100, 3),)


def test_a_time_in_the_future_is_now_at_most() -> None:
    story = Story()
    story.scan("9999 f 1 a/f")
    assert story.seen("a") == {"f": 900} and story.find("a").changed == START + 900


def test_later_a_push_has_the_time_of_the_scan_that_saw_it_first() -> None:
    story = Story()
    story.scan("-500 f 1 a/f", "-500 f 1 b/f")
    merged = story.scan("-500 f 1 a/f", "-500 f 1 b/f", "-400 f 1 b/g")
    assert merged.changed == 1
    assert story.seen("b") == {"g": 1800, "f": -500}
    assert (story.find("b").push, story.find("b").changed) == (2, START + 1800)
    assert story.find("a").push == 1 and merged.known.pushes[0] == Push(2, START + 1800, 1)
    again = story.scan("-500 f 1 a/f", "-500 f 1 b/f", "-400 f 1 b/g")
    assert again.changed == 0 and again.known.push == 2
    assert story.seen("b") == {"g": 1800, "f": -500}


def test_a_file_of_another_size_or_time_is_of_a_new_push() -> None:
    story = Story()
    story.scan("-500 f 1 a/f", "-600 f 1 a/g")
    story.scan("-500 f 2 a/f", "-550 f 1 a/g")
    assert story.seen("a") == {"f": 1800, "g": 1800}


def test_what_was_behind_newer_files_that_are_gone_is_no_new_push() -> None:
    story = Story()
    story.scan(*(f"{-number} f 1 a/{number}" for number in (1, 2, 3, 4, 5)))
    story.scan(*(f"{-number} f 1 a/{number}" for number in (2, 3, 4, 5)))
    assert story.seen("a") == {"2": -2, "3": -3, "4": -4}
    story.scan(*(f"{-number} f 1 a/{number}" for number in (2, 3)), "-9 f 1 a/9")
    assert story.seen("a")["9"] == -9


def test_of_few_files_an_old_one_that_comes_is_new() -> None:
    story = Story()
    story.scan("-1 f 1 a/f")
    story.scan("-1 f 1 a/f", "-900 f 1 a/kept-its-time")
    assert story.seen("a") == {"f": -1, "kept-its-time": 1800}


def test_what_was_secret_is_a_push_of_the_moment_when_it_opens() -> None:
    story = Story()
    story.contents[REPOMD] = make_repomd(START - 5000)
    closed = ("-5000 d- 0 43", "-5000 f 1 43/os/x.rpm", "-5000 f 80 43/os/repodata/repomd.xml", "-1 f 1 a/f")
    story.scan(*closed)
    directory = story.find("43/os/repodata")
    assert directory.secret and not directory.files and not directory.versions and not story.asked
    merged = story.scan("-5000 d 0 43", *closed[1:])
    assert story.seen("43/os") == {"x.rpm": 1800}
    assert story.find("43/os/repodata").versions[b"repomd.xml"][0].seen == START + 1800
    assert merged.changed == 3 and not story.find("43").secret
    story.scan(*closed)
    assert story.find("43/os").secret and not story.find("43/os").files


def test_a_generation_is_a_list_of_paths() -> None:
    story = Story()
    story.scan("1 f 1 a/f")
    assert story.scan("1 f 1 a/f", "2 f 1 a/g").known.generation == 1
    assert story.scan("1 f 1 a/f", "2 f 1 b/g").known.generation == 2
    gone = story.scan("1 f 1 b/g")
    assert gone.known.generation == 3 and gone.known.push == 4 and gone.changed == 2
    assert story.scan("1 f 1 b/g").known.generation == 3


# Versions


def scan_repomd(story: Story, time: int, raw: bytes, *others: str) -> Merged:
    story.contents[REPOMD] = raw
    return story.scan(f"{time} f {len(raw)} {REPOMD.decode()}", *others)


def versions(story: Story) -> tuple[tuple[str, int, int], ...]:
    """(hash, seen from START, push) of each version of the repository's metadata."""
    found = story.find("43/os/repodata").versions[b"repomd.xml"]
    return tuple((version.detail.sha256, version.seen - START, version.push) for version in found)


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def test_each_push_of_a_repository_is_a_version() -> None:
    one, two, three = (make_repomd(START - time, str(time)) for time in (4000, 30, 20))
    story = Story()
    scan_repomd(story, -3000, one)
    assert versions(story) == ((sha256(one), -4000, 1),)
    assert story.find("43/os/repodata").changed == START - 4000
    scan_repomd(story, -30, two)
    scan_repomd(story, -20, three)
    assert versions(story) == ((sha256(three), 2700, 3), (sha256(two), 1800, 2), (sha256(one), -4000, 1))
    detail = story.find("43/os/repodata").versions[b"repomd.xml"][0].detail
    assert detail.timestamp == START - 20 and detail.md5 and detail.sha512 and detail.size_bytes == len(three)


def test_metadata_is_read_only_when_it_differs() -> None:
    story = Story()
    raw = make_repomd(START)
    scan_repomd(story, 5, raw)
    assert story.asked == [REPOMD]
    scan_repomd(story, 5, raw, "9 f 1 43/os/new.rpm")
    assert story.asked == []
    merged = scan_repomd(story, 6, raw)
    assert story.asked == [REPOMD]
    assert versions(story) == ((sha256(raw), 0, 1),)  # written anew, the same: no push of its own
    assert story.find("43/os/repodata").versions[b"repomd.xml"][0].listed == START + 6
    assert merged.known.push == 3


def test_a_push_taken_back_is_a_new_push_and_stands_once() -> None:
    one, two = make_repomd(START, "1"), make_repomd(START, "2")
    story = Story()
    for time, raw in ((1, one), (2, two), (3, one)):
        scan_repomd(story, time, raw)
    assert versions(story) == ((sha256(one), 2700, 3), (sha256(two), 1800, 2))


def test_versions_are_bounded() -> None:
    story = Story()
    for number in range(KEPT_VERSIONS + 5):
        scan_repomd(story, number, make_repomd(START, str(number)))
    assert len(versions(story)) == KEPT_VERSIONS


def test_a_broken_repomd_is_said_and_is_no_version() -> None:
    story = Story()
    merged = scan_repomd(story, 1, b"<html>", "1 f 1 a/f")
    (problem,) = merged.problems
    assert problem.startswith("43/os/repodata/repomd.xml: not a repomd.xml")
    assert story.find("43/os/repodata").versions == {}
    bomb = b'<!DOCTYPE repomd [<!ENTITY a "b">]><repomd>&a;</repomd>'
    assert "has a document type" in scan_repomd(story, 2, bomb, "1 f 1 a/f").problems[0]


def test_a_list_knows_checksums_without_reading() -> None:
    story = Story()
    story.scan(f"7 f 80 {REPOMD.decode()}", checksums={REPOMD: {"sha256": "ab" * 32, "sha1": "cd" * 20}})
    (version,) = story.find("43/os/repodata").versions[b"repomd.xml"]
    assert version.detail == FileDetail(START + 7, 80, sha1="cd" * 20, sha256="ab" * 32)
    story.scan(f"8 f 80 {REPOMD.decode()}", checksums={REPOMD: {"sha1": "cd" * 20}})
    assert len(story.find("43/os/repodata").versions[b"repomd.xml"]) == 1
    story.scan(f"8 f 80 {REPOMD.decode()}", checksums={REPOMD: {"sha1": "ef" * 20}})


def test_the_list_beats_what_was_read_of_another_push() -> None:
    story = Story()
    story.contents[REPOMD] = make_repomd(START)
    story.scan(f"7 f 80 {REPOMD.decode()}", checksums={REPOMD: {"sha256": "ab" * 32}})
    assert versions(story) == (("ab" * 32, 7, 1),)


def test_without_checksums_and_content_there_is_no_version_but_files() -> None:
    story = Story()
    story.scan(f"7 f 80 {REPOMD.decode()}")
    assert story.find("43/os/repodata").versions == {}
    assert story.seen("43/os/repodata") == {"repomd.xml": 7}


def test_images_have_the_checksums_beside_them() -> None:
    story = Story()
    digest = sha256(b"image")
    story.contents = {b"iso/Linux-CHECKSUM": f"SHA256 (a.iso) = {digest}\nSHA256 (gone.iso) = {digest}\n".encode()}
    entries = ("1 f 5 iso/a.iso", "1 f 5 iso/unlisted.iso", "2 f 200 iso/Linux-CHECKSUM")
    story.scan(*entries)
    found = story.find("iso").versions
    assert set(found) == {b"a.iso", b"Linux-CHECKSUM"}
    assert found[b"a.iso"][0].detail == FileDetail(START + 1, 5, sha256=digest)
    story.scan(*entries)
    assert set(story.find("iso").versions) == {b"a.iso", b"Linux-CHECKSUM"}
    other = sha256(b"other")
    story.contents = {b"iso/Linux-CHECKSUM": f"SHA256 (a.iso) = {other}\n".encode()}
    story.scan("1 f 5 iso/a.iso", "3 f 200 iso/Linux-CHECKSUM")
    assert [version.detail.sha256 for version in story.find("iso").versions[b"a.iso"]] == [other, digest]
    story.scan("3 f 200 iso/Linux-CHECKSUM")
    assert set(story.find("iso").versions) == {b"Linux-CHECKSUM"}


@pytest.mark.parametrize("name", [b".treeinfo", b"core.db", b"APKINDEX.tar.gz", b"summary", b"SHA256SUMS"])
def test_other_indexes_are_hashed(name: bytes) -> None:
    story = Story()
    raw = f"{sha256(b'')}  a\n".encode()
    story.contents = {b"x/" + name: raw}
    story.scan(f"5 f {len(raw)} x/{name.decode()}")
    (version,) = story.find("x").versions[name]
    assert version.detail.sha256 == sha256(raw) and version.detail.timestamp == START + 5


def test_a_release_has_its_own_time() -> None:
    story = Story()
    story.contents = {b"dists/stable/InRelease": b"Date: Sat, 14 Nov 2026 06:00:00 UTC\n"}
    story.scan("5 f 36 dists/stable/InRelease")
    assert story.find("dists/stable").versions[b"InRelease"][0].detail.timestamp == 1_794_636_000


def test_details_leave_out_what_is_secret() -> None:
    story = Story()
    raw = make_repomd(START - 7)
    story.contents = {path + b"/repodata/repomd.xml": raw for path in (b"a/os", b"s/os")}
    entries = [f"1 f {len(raw)} {path.decode()}" for path in story.contents]
    known = story.scan("1 d- 0 s", *entries).known
    assert [(path, name) for path, name, _ in list_details(known.directories())] == [(b"a/os/repodata", b"repomd.xml")]
    assert {path: found[0].sha256 for path, found in metadata_of([known]).items()} == {"a/os": sha256(raw)}


# Masters that lost much


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ([], "empty"),
        (["1 d 0 a", "1 d 0 b"], "empty"),
        (["1 f 1 a/1"], "half gone"),
        ([f"1 f 1 {folder}/1" for folder in "ab"], "half gone"),
        ([f"1 f 1 {folder}/{number}" for folder in "abcd" for number in (1, 2)], "half gone: 8 files where 16 were"),
        ([f"1 f 1 {folder}/{number}" for folder in "abc" for number in (1, 2, 3)], ""),
        ([f"1 f 1 {folder}/{number}" for folder in "abcdefghi" for number in range(9)], ""),
    ],
)
def test_a_master_that_lost_half_is_not_believed(now: Sequence[str], reason: str) -> None:
    story = Story()
    story.scan(*(f"1 f 1 {folder}/{number}" for folder in "abcd" for number in range(4)))
    assert story.known
    gathering = Gathering("master")
    gathering.take([tuple(map(str.encode, entry.split(" ", 3))) for entry in now])  # type: ignore[misc]
    directories = list(gathering.finish(b""))
    if not reason:
        refuse_implausible("master", story.known.counts, directories)
        return
    with pytest.raises(MasterError, match=reason):
        refuse_implausible("master", story.known.counts, directories)


ENTRIES = st.lists(
    st.builds("{} {} {} {}".format, st.integers(-9, 9), st.sampled_from(["f", "f", "f", "l", "f-"]), st.integers(0, 3),
              st.sampled_from(["a/f", "a/g", "a/h", "a/i", "b/f", "b/c/f", "f", "b/d/g"])),
    max_size=8,
    unique_by=lambda entry: entry.split(" ", 3)[3],
)  # fmt: skip


@given(st.lists(ENTRIES, min_size=1, max_size=5))
def test_pushes_only_grow_and_nothing_changes_without_a_difference(lists: list[list[str]]) -> None:
    story = Story()
    push = 0
    for entries in lists:
        merged = story.scan(*entries)
        assert merged.known.push in (push, push + 1)
        assert merged.known.push == push + bool(merged.changed)
        push = merged.known.push
        for directory in merged.known.directories():
            assert directory.changed <= story.now and directory.push <= push
            assert all(file.seen <= story.now for file in directory.files)
        before = merged.known
        again = story.scan(*entries)
        assert again.changed == 0 and again.known.packed == before.packed
        assert again.known.pushes == before.pushes and again.known.generation == before.generation


def test_the_list_of_packages_that_an_index_names_is_among_the_files() -> None:
    story = Story()
    body = b'<repomd><data type="primary"><location href="repodata/ab-primary.xml.gz"/><size>77</size></data></repomd>'
    story.contents[REPOMD] = body
    others = [f"5 f 9{n} 43/os/repodata/{n}-filelists.xml.gz" for n in range(4)]
    rows = [f"5 f {len(body)} {REPOMD.decode()}", "5 f 77 43/os/repodata/ab-primary.xml.gz", *others]
    story.scan(*rows)
    files = story.find("43/os/repodata").files
    assert [(file.name, file.size_bytes) for file in files if b"primary" in file.name] == [(b"ab-primary.xml.gz", 77)]
    story.scan(*rows, "9 f 1 43/os/repodata/TRANS.TBL")
    assert b"ab-primary.xml.gz" in {file.name for file in story.find("43/os/repodata").files}


@pytest.mark.parametrize(
    ("path", "body", "stamp"),
    [
        ("TIME", b"1794990000.5\n", 1_794_990_000),
        ("lastupdate", b"<html>", None),
        ("COMPOSE_ID", b"Linux-9\n", START + 5),
        ("project/trace/master", b"Sat Nov 14 06:00:00 UTC 2026\n", 1_794_636_000),
        ("sub/TIME", b"anything", START + 5),
    ],
)
def test_markers_are_read_at_the_top_and_are_nobodys_download(path: str, body: bytes, stamp: int | None) -> None:
    story = Story()
    story.contents[path.encode()] = body
    merged = story.scan(f"5 f {len(body)} {path}", "5 f 10 a.iso")
    folder, _, name = path.rpartition("/")
    found = story.find(folder).versions.get(name.encode())
    assert (found[0].detail.timestamp if found else None) == stamp
    assert bool(merged.problems) is (stamp is None)
    assert story.known
    assert not [name for _, name, _ in list_details(story.known.directories())]


def test_an_index_that_was_broken_for_a_while_is_not_forgotten() -> None:
    """What was known of it counts meanwhile, and is an earlier version once it is mended."""
    story, stamps = Story(), list[list[int]]()
    for time, body in ((1, make_repomd(START)), (2, b"<repomd>"), (3, make_repomd(START + 60, "next"))):
        story.contents[REPOMD] = body
        story.scan(f"{time} f {len(body)} {REPOMD.decode()}")
        assert story.asked == [REPOMD]
        found = story.find("43/os/repodata").versions[b"repomd.xml"]
        stamps.append([version.detail.timestamp for version in found])
    assert stamps == [[START], [START], [START + 60, START]]


def test_a_marker_that_can_no_longer_be_read_is_none() -> None:
    story = Story()
    for time, body in ((1, b"1794990000\n"), (2, b"<html>")):
        story.contents[b"TIME"] = body
        story.scan(f"{time} f {len(body)} TIME")
    assert story.find("").versions == {}

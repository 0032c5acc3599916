"""File lists: what they say, and what is no list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.errors import MasterError
from redirector.master import filelist, gathering
from redirector.master.filelist import FileListReader
from redirector.master.gathering import Gathering, ListedDirectory, ListedFile, compile_exclude, list_starts
from redirector.tree.paths import is_safe_path

HEX = {"MD5": "a" * 32, "SHA1": "b" * 40, "SHA256": "c" * 64, "SHA512": "d" * 128}


def make_list(*entries: str, version: str = "2", sums: str = "", end: str = "[End]\n") -> bytes:
    """A list of *entries* `TIME TYPE SIZE PATH`."""
    lines = "".join("\t".join(entry.split(" ", 3)) + "\n" for entry in entries)
    return f"[Version]\n{version}\n\n[Files]\n{lines}\n{sums}{end}".encode()


def read(raw: bytes, top: str = "pub/linux", block: int = 1 << 20, exclude: tuple[str, ...] = ()) -> FileListReader:
    reader = FileListReader(Gathering("list", compile_exclude(exclude, list_starts(top))))
    for at in range(0, len(raw), block):
        reader.feed(raw[at : at + block])
    reader.finish()
    return reader


def directories(raw: bytes, top: str = "pub/linux", exclude: tuple[str, ...] = ()) -> dict[bytes, ListedDirectory]:
    found = read(raw, top, exclude=exclude).gathering
    listed = list(found.finish(found.find_start(top)))
    assert [each.path for each in listed] == sorted(each.path for each in listed)
    return {each.path: each for each in listed}


def secrets(raw: bytes) -> set[bytes]:
    return {path for path, directory in directories(raw).items() if directory.secret}


SIMPLE = make_list(
    "1794000000 d 4096 releases",
    "1794000000 d 4096 releases/43",
    "1794000001 f 10 releases/43/old.rpm",
    "1794000003 f 30 releases/43/new file.rpm",
    "1794000002 f 20 releases/43/middle.rpm",
    "1793000000 f 5 releases/43/oldest.rpm",
    "1794000009 l 7 releases/43/link",
)


def test_directories_have_their_newest_files() -> None:
    found = directories(SIMPLE)
    assert set(found) == {b"", b"releases", b"releases/43"}
    directory = found[b"releases/43"]
    assert [file.name for file in directory.newest] == [b"new file.rpm", b"middle.rpm", b"old.rpm"]
    assert directory.newest[0] == ListedFile(b"new file.rpm", 1_794_000_003, 30)
    assert directory.count == 4 and directory.time == 1_794_000_000


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_may_end_anywhere(block: int) -> None:
    raw = SIMPLE.replace(b"[End]", b"[Checksums SHA1]\n" + b"a" * 40 + b"\tx/repomd.xml\n\n[End]")
    whole, parts = read(raw), read(raw, block=block)
    assert list(whole.gathering.finish(b"")) == list(parts.gathering.finish(b""))
    assert whole.checksums == parts.checksums == {b"x/repomd.xml": {"sha1": "a" * 40}}


def test_what_is_below_a_closed_directory_is_secret_at_any_depth_and_mark() -> None:
    raw = make_list(
        "1 d 0 a",
        "1 d- 0 a/closed",
        "1 d 0 a/closed/marked-as-open",
        "1 f 0 a/closed/marked-as-open/deep/deeper/file",
        "1 d* 0 b/starred",
        "1 f 0 b/starred/file",
        "1 d 0 a/closed-not",
        "1 f 0 a/closed-not/file",
    )
    expected = {b"a/closed", b"a/closed/marked-as-open", b"b/starred"}
    expected |= {b"a/closed/marked-as-open/deep", b"a/closed/marked-as-open/deep/deeper"}
    assert secrets(raw) == expected
    backwards = make_list(*(line.replace("\t", " ") for line in reversed(raw.decode().split("\n")[4:-3])))
    assert secrets(backwards) == expected


def test_a_closed_file_is_none_of_the_newest() -> None:
    found = directories(make_list("3 f- 1 a/closed", "2 f* 1 a/starred", "1 f 1 a/open", "4 f- 9 a/repomd.xml"))[b"a"]
    assert [file.name for file in found.newest] == [b"open"] and found.count == 1 and not found.kept


def test_a_change_of_name_size_time_or_mark_changes_the_directory() -> None:
    lists = ["1 f 2 a/b", "1 f 3 a/b", "2 f 2 a/b", "1 f 2 a/c", "1 l 2 a/b", "1 f 2 a/b|1 f 2 a/c"]
    digests = {directories(make_list(*each.split("|")))[b"a"].digest for each in lists}
    assert len(digests) == len(lists) - 1  # a link is told apart by the count of files
    assert directories(make_list("1 l 2 a/b"))[b"a"].count == 0


def test_order_does_not_matter() -> None:
    entries = [f"{number} f {number} a/{number % 7}/file-{number}" for number in range(200)]
    assert directories(make_list(*entries)) == directories(make_list(*reversed(entries)))


@pytest.mark.parametrize(
    ("top", "paths", "start"),
    [
        ("pub/linux", ["linux/releases/43/f", "archive/f"], b"linux"),
        ("pub/linux", ["pub/linux/releases/f", "linux/f"], b"pub/linux"),
        ("pub/linux", ["releases/43/f"], b""),
        ("linux", ["linux-old/f", "releases/f"], b""),
        ("linux", ["linux/f"], b"linux"),
    ],
)
def test_a_list_may_begin_above_the_category(top: str, paths: list[str], start: bytes) -> None:
    found = read(make_list(*(f"1 f 1 {path}" for path in paths)), top).gathering
    assert found.find_start(top) == start


def test_only_what_is_below_the_start_counts() -> None:
    found = directories(
        make_list("1 f 1 linux/a/f", "1 f 1 linux-old/b/f", "1 f 1 f", "1 d- 0 linux/s", "1 f 1 linux/s/f")
    )
    assert set(found) == {b"", b"a", b"s"} and found[b"s"].secret
    assert secrets(make_list("1 d- 0 linux", "1 f 1 linux/a/f")) == {b"", b"a"}


def test_patterns_leave_out_what_they_match_and_all_below() -> None:
    raw = make_list(
        "1 d 1 linux/43/images",
        "1 f 1 linux/43/images/x/boot.img",
        "1 f 1 linux/43/os/a.rpm",
        "9 f 1 linux/43/os/a.src.rpm",
        "1 f 1 linux/images/f",
    )
    found = directories(raw, exclude=("*/images/*", "43/os/*.src.rpm"))
    assert set(found) == {b"", b"43", b"43/os", b"43/images", b"images"}
    assert [file.name for file in found[b"43/os"].newest] == [b"a.rpm"]
    assert set(directories(raw, exclude=("*/images", "images"))) == {b"", b"43", b"43/os"}


@pytest.mark.parametrize("kind", HEX)
def test_checksums_of_every_kind_are_read(kind: str) -> None:
    sums = f"[Checksums {kind}]\n{HEX[kind].upper()}\ta/repodata/repomd.xml\n{HEX[kind]}\ta/other.rpm\n\n"
    reader = read(make_list("1 f 1 a/repodata/repomd.xml", sums=sums))
    assert reader.checksums == {b"a/repodata/repomd.xml": {kind.lower(): HEX[kind]}}


def test_all_kinds_may_be_there_and_others_are_passed_over() -> None:
    sums = "".join(f"[Checksums {kind}]\n{value}\ta/repomd.xml\n\n" for kind, value in HEX.items())
    sums += "[Checksums BLAKE3]\n00\ta/repomd.xml\n\n[Something else]\nwhatever it says\n\n"
    found = read(make_list("1 f 1 a/repomd.xml", sums=sums)).checksums[b"a/repomd.xml"]
    assert found == {kind.lower(): value for kind, value in HEX.items()}


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_versions_to_three_are_known(version: str) -> None:
    assert directories(make_list("1 f 1 a", version=version))


def test_an_end_without_a_line_end_and_empty_sections_are_fine() -> None:
    assert set(directories(make_list("1 f 1 a/b", end="[End]"))) == {b"", b"a"}
    assert set(directories(make_list(sums="[Checksums SHA1]\n\n"))) == {b""}
    assert set(directories(make_list("1794000000.25 f 1 a/b", end="\n\n[End]\n\n"))) == {b"", b"a"}


GOOD = make_list("1 f 1 a/b").decode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no [End]"),
        (GOOD.replace("[End]\n", "").encode(), "no [End]"),
        (GOOD[:-8].encode(), "no [End]"),
        (b"[End]\n", "no [Version]"),
        (b"[Version]\n2\n\n[End]\n", "no [Version] or no [Files]"),
        (b"[Files]\n1\tf\t1\ta\n\n[End]\n", "no [Version]"),
        (make_list("1 f 1 a", version="4"), "version 4"),
        (make_list("1 f 1 a", version="two"), "version two"),
        (make_list("1 f 1 a", version="2\n2"), "version"),
        (make_list("1 f 1 a", version=""), "no [Version]"),
        (GOOD.replace("[Version]\n2\n", "[Version]\n").encode(), "no [Version]"),
        (make_list("1 f 1 a/b", "1 f 1 a/b"), "'a/b' stands there twice"),
        (make_list("1 f 1 a/b", "2 f 3 a/b"), "'a/b' stands there twice"),
        (make_list(*(f"9 f 1 a/{n}" for n in range(9)), *["1 f 1 a/repomd.xml"] * 2), "repomd.xml' stands there"),
        (GOOD.encode() + b"1\tf\t1\tmore\n", "behind [End]"),
        (GOOD.replace("[End]", "[Files]\n1\tf\t1\ta\n\n[End]").encode(), "stands there twice"),
        (b"<!DOCTYPE html><html>404</html>\n", "no section"),
        (make_list("1 f 1 a/../b"), "leads elsewhere"),
        (make_list("1 f 1 ../b"), "leads elsewhere"),
        (make_list("1 f 1 a/.."), "leads elsewhere"),
        (make_list("1 d 1 a/.."), "leads elsewhere"),
        (make_list("1 f 1 /etc/passwd"), "leads elsewhere"),
        (make_list("1 f 1 /passwd"), "leads elsewhere"),
        (make_list("1 d 1 /"), "leads elsewhere"),
        (make_list("1 f 1 a//b"), "leads elsewhere"),
        (make_list("1 f 1 ./a"), "leads elsewhere"),
        (make_list("1 d 1 ."), "leads elsewhere"),
        (make_list("1 d 1 a/"), "leads elsewhere"),
        (make_list("1 f 1 a\0b"), "\\\\x00b'"),
        (make_list("1 x 1 a"), "no entry"),
        (make_list("1 f 1"), "no entry"),
        (make_list("soon f 1 a"), "no entry"),
        (make_list("-1 f 1 a"), "no entry"),
        (make_list("1 f -1 a"), "no entry"),
        (make_list("1_0 f 1 a"), "no entry"),
        (make_list("9999999999999 f 1 a"), "no entry"),
        (make_list("1 f 9999999999999999999 a"), "no entry"),
        (make_list("1 f 1 a\r"), "no entry"),
        (make_list("1 f 1 a").replace(b"1\tf", b"junk 1\tf"), "no entry"),
        (make_list("1 f 1 " + "a/" * 3000 + "f"), "no entry|a line longer"),
        (make_list("1 f 1 " + "a" * 9_000), "no entry|a line longer"),
        (make_list(sums="[Checksums SHA256]\nabc\trepomd.xml\n\n"), "no sha256"),
        (make_list(sums="[Checksums SHA256]\nxyz repomd.xml\n\n"), "no checksum"),
    ],
)
def test_anything_else_is_refused_whole(raw: bytes, reason: str) -> None:
    for block in (1 << 20, 13):
        with pytest.raises(MasterError) as caught:
            list(read(raw, block=block).gathering.finish(b""))
        assert any(each in str(caught.value) for each in reason.split("|")) and "\n" not in str(caught.value)


def test_a_line_of_ten_megabytes_is_refused_before_it_ends() -> None:
    reader = FileListReader(Gathering("list"))
    reader.feed(b"[Version]\n2\n\n[Files]\n")
    with pytest.raises(MasterError, match="a line longer"):
        for _ in range(10):
            reader.feed(b"x" * (1 << 20))
    assert len(reader._rest) < 3 << 20


def endless() -> Iterator[bytes]:
    yield b"[Version]\n2\n\n[Files]\n"
    while True:
        yield b"1\tf\t1\ta/b\n" * 10_000


def test_a_list_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LIMIT_ENTRIES", 50_000)
    reader = FileListReader(Gathering("list"))
    with pytest.raises(MasterError, match="more than 50,000 entries"):
        for block in endless():
            reader.feed(block)
    monkeypatch.setattr(filelist, "LIMIT_BYTES", 300_000)
    reader = FileListReader(Gathering("list"))
    with pytest.raises(MasterError, match="longer than"):
        for block in endless():
            reader.feed(block)


def test_too_many_directories_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LIMIT_DIRECTORIES", 100)
    with pytest.raises(MasterError, match="more than 100 directories"):
        read(make_list(*(f"1 f 1 {number}/f" for number in range(200))))


@pytest.mark.parametrize("path", [".sync_in_progress", "Archive-Update-in-Progress-ftp.example.org"])
def test_a_push_under_way_is_told(path: str) -> None:
    for start, marker in ((b"linux", f"linux/{path}"), (b"linux", path), (b"", path)):
        with pytest.raises(MasterError, match=r"a push is under way .*: scan later"):
            list(read(make_list(f"1 f 0 {marker}", "1 f 1 linux/a/f")).gathering.finish(start))
    assert list(read(make_list(f"1 f 0 linux/a/{path}", "1 f 1 linux/a/f")).gathering.finish(b"linux"))


SEGMENTS = st.lists(st.sampled_from(["a", "b", "..", ".", "", "...", "c d", "repomd.xml"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(st.integers(0, 10**11), st.sampled_from("fdl"), SEGMENTS.map("/".join)), max_size=20))
def test_a_list_is_taken_if_each_path_is_safe(entries: list[tuple[int, str, str]]) -> None:
    raw = make_list(*(f"{time} {kind} 5 {path}" for time, kind, path in entries))
    safe = all(is_safe_path(path.encode()) for _, _, path in entries)
    try:
        found = directories(raw, top="none")
    except MasterError:
        assert not safe
        return
    assert safe
    files = {path for _, kind, path in entries if kind == "f"}
    assert sum(directory.count for directory in found.values()) >= len(files)
    for path in files:
        folder, _, _ = path.rpartition("/")
        newest = found[folder.encode()].newest
        times = sorted((time for time, kind, each in entries if kind == "f" and each.rpartition("/")[0] == folder))
        assert [file.time for file in newest] == times[::-1][:3]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for each in (raw, b"[Version]\n2\n\n[Files]\n" + raw, make_list("1 f 1 a")[:-6] + raw + b"\n[End]\n"):
        try:
            read(each)
        except MasterError as error:
            assert str(error).isprintable()

"""What the masters hold, kept and found again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model import FileDetail
from redirector.store.contents import (
    KEPT_GENERATIONS_S,
    KEPT_PUSHES_S,
    find_categories,
    find_contents,
    find_paths,
    find_push,
    find_pushes,
    forget_contents,
    keep_contents,
    note_unchanged,
)
from redirector.store.directories import (
    Contents,
    MasterDirectory,
    MasterFile,
    MasterRepository,
    Packed,
    Push,
    Version,
    pack_files,
    pack_paths,
    pack_versions,
    unpack_paths,
)
from redirector.store.opening import Store

FILE = MasterFile(b"a\xff.rpm", 5_000_000_000, 1_795_000_000, 1_795_000_060)
VERSION = Version(FileDetail(1_794_999_999, 3000, sha256="ab" * 32), 1_795_000_060, 3, 1_795_000_001)


def make_directory(path: bytes) -> MasterDirectory:
    versions = {b"repomd.xml": (VERSION,)} if path.endswith(b"repodata") else {}
    return MasterDirectory(path, 1_795_000_060, 3, False, 1, 2**64 - 1, pack_files([FILE]), pack_versions(versions))


def make_contents(*paths: bytes, generation: int = 1, push: int = 3, now: int = 1_795_000_060) -> Contents:
    return Contents(
        category="Example Linux",
        top="pub/linux",
        generation=generation,
        push=push,
        checked=now,
        read=now,
        validator=b"\0etag",
        directories=tuple(map(make_directory, sorted(paths))),
        pushes=(Push(push, now, len(paths)),),
        repositories=(MasterRepository("linux-43", "x86_64", "Linux", b"43/os", {"version": "43"}),),
    )


def make_packed(*paths: bytes, generation: int = 1, push: int = 3, now: int = 1_795_000_060) -> Packed:
    return Packed.of(make_contents(*paths, generation=generation, push=push, now=now))


async def test_contents_are_found_as_they_were_kept(store: Store) -> None:
    contents = make_contents(b"", b"43", b"43/repodata", b"\xfe")
    async with store.write() as connection:
        assert await find_contents(connection, "Example Linux") is None
        await keep_contents(connection, Packed.of(contents))
    async with store.read() as connection:
        found = await find_contents(connection, "Example Linux")
        assert found == contents
        assert await find_categories(connection) == ("Example Linux",)
        assert await find_push(connection, "Example Linux") == (3, 1)
        assert await find_paths(connection, "Example Linux", 1) == (b"", b"43", b"43/repodata", b"\xfe")
        assert await find_paths(connection, "Example Linux", 2) is None
    directory = found.find(b"43/repodata")
    assert directory and directory.files == (FILE,) and directory.versions == {b"repomd.xml": (VERSION,)}
    assert found.find_bit(b"43") == 1 and found.find(b"44") is None and found.find(b"\xff") is None


async def test_a_push_and_a_generation_are_kept_once(store: Store) -> None:
    first = make_contents(b"", b"a")
    second = replace(make_contents(b"", b"a", push=4), pushes=(Push(4, 1_795_000_999, 1), *first.pushes))
    third = replace(make_contents(b"", b"b", generation=2, push=5), pushes=(Push(5, 1_795_001_999, 1), *second.pushes))
    async with store.write() as connection:
        for contents in (first, second, third, third):
            await keep_contents(connection, Packed.of(contents))
    async with store.read() as connection:
        assert [push.number for push in await find_pushes(connection, "Example Linux")] == [5, 4, 3]
        assert await find_pushes(connection, "Example Linux", 1_795_001_000) == (Push(5, 1_795_001_999, 1),)
        assert await find_paths(connection, "Example Linux", 1) == (b"", b"a")
        assert await find_paths(connection, "Example Linux", 2) == (b"", b"b")


async def test_old_pushes_and_generations_are_forgotten_but_the_newest(store: Store) -> None:
    now = 1_795_000_060
    later = now + max(KEPT_PUSHES_S, KEPT_GENERATIONS_S) + 1
    async with store.write() as connection:
        await keep_contents(connection, make_packed(b"a", generation=1, push=1, now=now))
        await keep_contents(connection, make_packed(b"b", generation=2, push=2, now=now))
        await keep_contents(connection, make_packed(b"c", generation=3, push=3, now=later))
        assert [push.number for push in await find_pushes(connection, "Example Linux")] == [3]
        kept = [await find_paths(connection, "Example Linux", number) for number in (1, 2, 3)]
    assert kept == [None, (b"b",), (b"c",)]  # the one before is what most hosts are at


async def test_unchanged_is_a_small_note(store: Store) -> None:
    contents = make_contents(b"")
    async with store.write() as connection:
        await keep_contents(connection, Packed.of(contents))
        await note_unchanged(connection, "Example Linux", 1_795_009_999, b"new")
        found = await find_contents(connection, "Example Linux")
    assert found == replace(contents, checked=1_795_009_999, validator=b"new")


async def test_a_category_can_be_forgotten(store: Store) -> None:
    async with store.write() as connection:
        await keep_contents(connection, make_packed(b""))
        await forget_contents(connection, "Example Linux")
        assert await find_categories(connection) == () == await find_pushes(connection, "Example Linux")
        assert await find_paths(connection, "Example Linux", 1) is None


@given(st.lists(st.binary(max_size=40)))
def test_paths_come_out_as_they_went_in(paths: list[bytes]) -> None:
    assert unpack_paths(pack_paths(paths)) == tuple(paths)


def test_large_lists_come_out_as_they_went_in() -> None:
    directories = tuple(make_directory(b"%d/" % number * 40 + b"repodata") for number in range(20_000))
    unpacked = Packed.of(replace(make_contents(), directories=directories)).unpack()
    assert unpacked.directories == directories
    paths = (b"x" * 3_000_000, b"", b"y")
    assert unpack_paths(pack_paths(paths)) == paths


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_packed_values_that_are_cut_are_no_values(cut: int) -> None:
    packed = pack_paths([b"%d" % number for number in range(100)])
    with pytest.raises(ValueError, match="cut"):
        unpack_paths(packed[:cut])

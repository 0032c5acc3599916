"""What is known of masters: trees with and without a copy, snapshots, and what a scan keeps."""

from __future__ import annotations

import os
from calendar import timegm
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from redirector.health.keeping import Known
from redirector.health.masters import read_contents, read_newest_package
from redirector.health.rules import Rules
from redirector.health.world import World, load_world
from redirector.model import FileDetail
from redirector.store.directories import Contents, MasterDirectory, MasterFile, Version, pack_files, pack_versions
from tests.health.mirrors import VERSION, make_master, make_world, push, repositories, write
from tests.sources.snapshot_file import MirrorList

NOW = 1_795_000_000
BASE = f"{VERSION}/BaseOS/x86_64/os"


def load(folder: Path, known: Mapping[str, Known] | None = None, now: float = NOW) -> World:
    return load_world(str(folder / "tree"), known or {}, now, Rules(), ("opted-out.example.net",))


async def test_a_tree_and_its_pushes(tmp_path: Path) -> None:
    async with make_world(tmp_path, NOW - 7200, {"a": None, "opted-out": None}) as world:
        world.write_mirror(world.mirrors["a"], lacking=["*/AppStream"])
        first = load(tmp_path)
        master = first.masters[""]
        assert [each.name for each in master.directories] == sorted(repositories())
        base = next(each for each in master.directories if each.name == BASE)
        assert [file.path for file in base.files] == [
            f"{BASE}/repodata/{NOW - 7200}-primary.xml.gz",
            f"{BASE}/Packages/p-{NOW - 7200}.rpm",
        ]
        assert (base.pushed, len(base.versions)) == (NOW - 7200, 1)
        assert (master.stamp, master.read, first.rules.outdate_s) == (NOW - 7200, True, 12 * 3600)
        push(world.primary, BASE, NOW - 60)
        second = load(tmp_path, first.known, NOW + 100).masters[""]
        base = next(each for each in second.directories if each.name == BASE)
        assert [version.pushed for version in base.versions] == [NOW + 100, NOW - 7200]
        assert base.files[1].path == f"{BASE}/Packages/p-{NOW - 60}.rpm"
        subjects = {subject.name: subject for subject in first.subjects}
        assert subjects["opted-out.example.net"].unvisited == "opted out"
        carried = frozenset(each for each in repositories() if "BaseOS" in each)
        assert subjects["a.example.net"].categories[0].only == carried
        assert subjects["a.example.net"].contacts == ("admin@a.example.net",)


async def test_images_are_expected_where_the_master_has_them(tmp_path: Path) -> None:
    async with make_world(tmp_path, NOW - 7200, {"a": None}) as world:
        write(world.primary / VERSION / "isos/x86_64/a.iso", b"iso", NOW - 500)
        images = load(tmp_path).masters[""].directories[-1]
        assert (images.name, images.index, images.pushed) == (f"{VERSION}/isos/x86_64", "", NOW - 500)
        assert [(file.path, file.size_bytes) for file in images.files] == [(f"{VERSION}/isos/x86_64/a.iso", 3)]


async def test_what_is_seen_while_a_push_is_under_way_is_none(tmp_path: Path) -> None:
    async with make_world(tmp_path, NOW - 7200, {"a": None}) as world:
        known = load(tmp_path).known
        push(world.primary, BASE, NOW - 60)
        write(world.primary / ".sync_in_progress", b"", NOW)
        during = load(tmp_path, known)
        assert during.read
        assert during.known[""].versions == known[""].versions
        (world.primary / ".sync_in_progress").unlink()
        assert load(tmp_path, during.known).known[""].versions[BASE][0].pushed == NOW


@pytest.mark.parametrize(
    ("files", "marker", "stamp"),
    [
        ({"TIME": b" 1794990000.25 \n"}, "TIME", 1_794_990_000.25),
        ({"TIME": b"<html>", "lastupdate": b"1794990000\n", "lastsync": b""}, "lastupdate", 1_794_990_000),
        ({"TIME": b"1e9"}, "TIME", None),
        ({"TIME": b"1795000301"}, "TIME", None),
        ({"COMPOSE_ID": b"Linux-9-20261128.0\n"}, "COMPOSE_ID", None),
        (
            {
                "project/trace/ftp.example.org": b"Sat Nov 28 06:00:00 UTC 2026\n",
                "project/trace/master": b"Sat Nov 28 06:10:00 UTC 2026\nRevision: 1\n",
                "project/trace/_hierarchy": b"x",
            },
            "project/trace/master",
            timegm((2026, 11, 28, 6, 10, 0)),
        ),
    ],
    ids=["TIME", "the first that can be read", "no number", "of tomorrow", "COMPOSE_ID", "traces"],
)
async def test_the_markers_that_distributions_have(
    tmp_path: Path, files: Mapping[str, bytes], marker: str, stamp: float | None
) -> None:
    now = timegm((2026, 11, 28, 7, 0, 0)) if "trace" in marker else NOW
    async with make_world(tmp_path, NOW - 7200, {"a": None}) as world:
        (world.primary / "TIME").unlink()
        for name, body in files.items():
            write(world.primary / name, body, NOW)
        master = load(tmp_path, now=now).masters[""]
        assert (master.marker, master.stamp) == (marker, stamp)
        assert (master.text, bool(master.sha256)) == (
            ("Linux-9-20261128.0", True) if marker == "COMPOSE_ID" else (None, False)
        )


async def test_a_shrunken_master_is_not_believed(tmp_path: Path) -> None:
    async with make_world(tmp_path, NOW - 7200, {"a": None}) as world:
        known = load(tmp_path).known
        for name in repositories()[:3]:
            os.unlink(world.primary / name / "repodata/repomd.xml")
        shrunken = load(tmp_path, known)
        assert not shrunken.read
        assert len(shrunken.masters[""].directories) == len(repositories())
        assert shrunken.known[""].versions == known[""].versions


def test_the_newest_package_of_a_broken_primary_is_unknown(tmp_path: Path) -> None:
    for name, body in (("a.xml.gz", b"no gzip"), ("b.xml", b"<metadata>"), ("c.zck", b"x"), ("d.xml.xz", b"\xfd7z")):
        (tmp_path / name).write_bytes(body)
        assert read_newest_package(str(tmp_path / name)) is None


def test_a_snapshot_is_visited_by_its_details(tmp_path: Path) -> None:
    snapshot = MirrorList(Time=NOW)
    for key, url in (
        (5, "http://a.example.org/linux"),
        (6, "rsync://a.example.org/linux"),
        (7, "http://b.example.org/x"),
    ):
        snapshot.HCUrlCache.add(key=key, value=url)
    for name in ("pub/linux/9/os", "pub/linux/9/os/repodata"):
        directory = snapshot.MirrorListCache.add(directory=name, Subpath=name.removeprefix("pub/linux/"), Global=[17])
        directory.ByHostId.add(key=17, value=[5, 6])
        directory.ByHostId.add(key=18, value=[7])
    details = snapshot.FileDetailsCache.add(directory="pub/linux/9/os/repodata")
    file = details.FileDetailsCacheFiles.add(filename="repomd.xml")
    for stamp in (NOW - 3600, NOW - 90_000):
        file.FileDetails.add(TimeStamp=stamp, Size=3000, SHA256=f"{stamp:064x}")
    (tmp_path / "snapshot").write_bytes(snapshot.SerializeToString())
    world = load_world(str(tmp_path / "snapshot"), {}, NOW, Rules(), ())
    master = world.masters["pub/linux"]
    assert [(each.name, each.index) for each in master.directories] == [("9/os", "9/os/repodata/repomd.xml")]
    assert [version.pushed for version in master.directories[0].versions] == [NOW - 3600, NOW - 90_000]
    assert master.prefix == "pub/linux/"
    public, private = world.subjects
    assert (public.key, public.unvisited, private.unvisited) == ("17", "", "private")
    assert public.categories[0].urls == ("http://a.example.org/linux/", "rsync://a.example.org/linux/")


def directory(
    path: bytes, *files: tuple[bytes, int], secret: bool = False, **versions: tuple[Version, ...]
) -> MasterDirectory:
    named = {name.replace("_", ".").encode(): each for name, each in versions.items()}
    listed = pack_files(MasterFile(name, 10, time, time) for name, time in files)
    return MasterDirectory(path, NOW, 1, secret, len(files), 0, listed, pack_versions(named))


def test_what_a_scan_keeps() -> None:
    newest = Version(FileDetail(NOW - 50, 3000, sha256="ab"), NOW - 10, 2, NOW - 40)
    older = Version(FileDetail(NOW - 5000, 3000, sha256="cd"), NOW - 4000, 1, NOW - 4900)
    contents = Contents(
        "Linux", "pub/linux", 1, 2, NOW, NOW, b"",
        (
            directory(b"", TIME=(Version(FileDetail(5, 2, sha256="ef"), NOW, 2, NOW),)),
            directory(b"9/os/Packages/a", (b"a-1.rpm", NOW - 60)),
            directory(b"9/os/Packages/b", (b"b-1.rpm", NOW - 50), (b"b-0.rpm", NOW - 90)),
            directory(b"9/os/repodata", (b"x-primary.xml.gz", NOW - 45), repomd_xml=(newest, older)),
            directory(b"hidden", (b"secret.iso", NOW), secret=True),
            directory(b"images", (b"one.iso", NOW - 70)),
        ),
        (),
    )  # fmt: skip
    master = read_contents(contents)
    by_name = {each.name: each for each in master.directories}
    repository = by_name["9/os"]
    assert repository.index == "9/os/repodata/repomd.xml"
    assert [(each.sha256, each.pushed) for each in repository.versions] == [("ab", NOW - 10), ("cd", NOW - 4000)]
    assert [file.path for file in repository.files] == ["9/os/repodata/x-primary.xml.gz", "9/os/Packages/b/b-1.rpm"]
    assert [file.path for file in by_name["images"].files] == ["images/one.iso"]
    assert not by_name["hidden"].judged
    assert not by_name[""].judged
    assert (master.prefix, master.marker, master.stamp) == ("pub/linux/", "TIME", 5.0)


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (("core.db", ".treeinfo"), "core.db"),
        ((".treeinfo", "CHECKSUM"), ".treeinfo"),
        (("Release", "InRelease"), "InRelease"),
        (("CHECKSUM",), ""),
    ],
)
def test_the_index_of_a_directory(names: tuple[str, ...], index: str) -> None:
    told = {name: (Version(FileDetail(NOW, 3000, sha256="ab"), NOW, 2, NOW),) for name in names}
    packed = pack_versions({name.encode(): each for name, each in told.items()})
    one = MasterDirectory(b"d", NOW, 1, False, 2, 0, pack_files([MasterFile(b"f", 10, NOW, NOW)]), packed)
    master = read_contents(Contents("Linux", "", 1, 2, NOW, NOW, b"", (directory(b""), one), ()))
    expected = next(each for each in master.directories if each.name == "d")
    assert expected.index == (f"d/{index}" if index else "")


def test_the_marker_of_a_scan_may_be_a_trace_or_bear_no_time() -> None:
    version = (Version(FileDetail(7, 3000, sha256="ab"), NOW, 2, NOW),)
    traces = MasterDirectory(b"project/trace", NOW, 1, False, 1, 0, b"", pack_versions({b"master": version}))
    master = read_contents(Contents("Linux", "", 1, 2, NOW, NOW, b"", (directory(b""), traces), ()))
    assert (master.marker, master.stamp) == ("project/trace/master", 7.0)
    top = directory(b"", COMPOSE_ID=version)
    top = replace(top, packed_versions=pack_versions({b"COMPOSE_ID": version}))
    master = read_contents(Contents("Linux", "", 1, 2, NOW, NOW, b"", (top,), ()))
    assert (master.marker, master.stamp, master.sha256) == ("COMPOSE_ID", None, "ab")


async def test_a_tree_without_a_master_expects_what_its_configuration_names(tmp_path: Path) -> None:
    async with make_world(tmp_path, NOW - 7200, {"a": None}) as world:
        world.write_config(primary=None)
        master = load(tmp_path).masters[""]
        assert [each.name for each in master.directories] == sorted(repositories())
        assert not master.checksums
        assert master.stamp is None
        make_master(world.primary, NOW)


@pytest.mark.parametrize("harm", ["cut", "empty", "no file", "gone"])
async def test_an_index_that_was_broken_for_a_while_is_not_forgotten(tmp_path: Path, harm: str) -> None:
    """Mirrors that have the push before are behind, not strangers; and meanwhile what was known counts."""
    async with make_world(tmp_path, NOW - 7200, {"a": None}) as world:
        index = world.primary / BASE / "repodata/repomd.xml"
        first = load(tmp_path)
        good = index.read_bytes()
        index.unlink()
        if harm == "no file":
            index.mkdir()
        elif harm != "gone":
            index.write_bytes(good[:50] if harm == "cut" else b"")
        broken = load(tmp_path, first.known, NOW + 60)
        expected = {each.name: each for each in broken.masters[""].directories}
        assert (BASE in expected) is (harm != "gone") and broken.read
        if harm != "gone":
            before = next(each for each in first.masters[""].directories if each.name == BASE)
            assert (expected[BASE].versions, expected[BASE].files) == (before.versions, before.files)
        again = load(tmp_path, broken.known, NOW + 120)
        if harm == "no file":
            index.rmdir()
        push(world.primary, BASE, NOW + 130)
        mended = load(tmp_path, again.known, NOW + 180).masters[""]
        base = next(each for each in mended.directories if each.name == BASE)
        assert [version.pushed for version in base.versions] == [NOW + 180, NOW - 7200]
        assert len(base.files) == 2

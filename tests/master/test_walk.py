"""A master in a folder: what is read, when it is believed, and what is left alone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from redirector.errors import MasterError
from redirector.master import walk
from redirector.master.scanning import scan_all
from redirector.settings.masters import Master
from redirector.store.opening import open_store
from tests.master.rig import START, Rig, make_repomd
from tests.patience import PATIENCE_S
from tests.store.empty import write_empty

OS = "43/Everything/x86_64/os"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig.make(tmp_path / "master")
    rig.write(f"{OS}/repodata/repomd.xml", make_repomd(START - 100), time=START - 50)
    rig.write(f"{OS}/Packages/a.rpm", b"12345", time=START - 200)
    return rig


async def test_a_folder_is_read_with_its_repositories(rig: Rig) -> None:
    contents = await rig.scan()
    assert [directory.path.decode() for directory in contents.directories] == [
        "", "43", "43/Everything", "43/Everything/x86_64", OS, f"{OS}/Packages", f"{OS}/repodata",
    ]  # fmt: skip
    (file,) = rig.directory(f"{OS}/Packages").files
    assert (file.name, file.size_bytes) == (b"a.rpm", 5)
    (version,) = rig.directory(f"{OS}/repodata").versions[b"repomd.xml"]
    assert version.detail.sha256 == hashlib.sha256(make_repomd(START - 100)).hexdigest()
    assert version.seen == START - 100


async def test_an_unchanged_folder_is_not_read_again(rig: Rig) -> None:
    await rig.scan()
    await rig.scan()
    assert rig.last is None
    rig.write(f"{OS}/Packages/b.rpm")
    contents = await rig.scan()
    assert rig.last and rig.last.changed == 1 and contents.push == 2
    await rig.scan()
    assert rig.last is None


async def test_an_index_written_in_place_is_noticed(rig: Rig) -> None:
    await rig.scan()
    (rig.folder / OS / "repodata/repomd.xml").write_bytes(make_repomd(START, "new"))
    await rig.scan()
    assert rig.last and rig.last.changed == 1


async def test_once_a_day_all_is_read(rig: Rig) -> None:
    await rig.scan()
    (rig.folder / OS / "Packages/a.rpm").write_bytes(b"in place, and larger")
    await rig.scan()
    assert rig.last is None
    await rig.scan(after_s=walk.FULL_S)
    assert rig.last and rig.last.changed == 1


async def test_other_words_of_the_operator_mean_another_look(rig: Rig) -> None:
    rig.write("43/b")
    rig.write("43/c")
    await rig.scan()
    rig.set(exclude=("*/Packages",))
    await rig.scan()
    assert rig.last and not any(b"Packages" in each.path for each in rig.last.known.directories())


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o754, 0o711])
async def test_a_closed_directory_is_secret_with_all_below(rig: Rig, mode: int) -> None:
    rig.write("44/open/deep/a.rpm")
    (rig.folder / "44").chmod(mode)
    contents = await rig.scan()
    assert {each.path.decode() for each in contents.directories if each.secret} == {"44", "44/open", "44/open/deep"}
    assert not rig.directory("44/open/deep").files


async def test_a_closed_file_is_not_looked_for(rig: Rig) -> None:
    rig.write("x/closed").chmod(0o640)
    rig.write("x/open")
    await rig.scan()
    assert [file.name for file in rig.directory("x").files] == [b"open"]


async def test_names_are_bytes(rig: Rig) -> None:
    folder = os.fsencode(rig.folder) + b"/odd\xff\n"
    os.mkdir(folder)
    Path(os.fsdecode(folder + b"/file\xfe")).write_bytes(b"")
    contents = await rig.scan()
    directory = contents.find(b"odd\xff\n")
    assert directory and [file.name for file in directory.files] == [b"file\xfe"]


async def test_links_are_not_followed_but_for_databases(rig: Rig, tmp_path: Path) -> None:
    rig.write("arch/core.db.tar.gz", b"database")
    (rig.folder / "arch/core.db").symlink_to("core.db.tar.gz")
    (rig.folder / "arch/lost.db").symlink_to("gone")
    (rig.folder / "latest").symlink_to("43")
    (rig.folder / "loop").symlink_to(".")
    (rig.folder / "outside").symlink_to(tmp_path)
    contents = await rig.scan()
    assert not {b"latest", b"loop", b"outside"} & {each.path for each in contents.directories}
    found = rig.directory("arch").versions
    assert set(found) == {b"core.db"} and found[b"core.db"][0].detail.sha256 == hashlib.sha256(b"database").hexdigest()


async def test_pipes_and_sockets_are_passed_over(rig: Rig) -> None:
    os.mkfifo(rig.folder / "repomd.xml")
    await rig.scan()
    assert not rig.directory("").versions


async def test_large_indexes_are_hashed_but_not_kept_in_memory(rig: Rig) -> None:
    raw = b"x" * (5 << 20)
    rig.write("arch/extra.db", raw)
    await rig.scan()
    (version,) = rig.directory("arch").versions[b"extra.db"]
    assert version.detail.sha256 == hashlib.sha256(raw).hexdigest() and version.detail.size_bytes == len(raw)


# What is not believed


async def refusal(rig: Rig) -> str:
    before = rig.known
    with pytest.raises(MasterError) as caught:
        await rig.scan()
    assert rig.known is before
    return str(caught.value)


@pytest.mark.parametrize("name", [".sync_in_progress", "Archive-Update-in-Progress-master.example.org"])
async def test_a_push_under_way_is_waited_for(rig: Rig, name: str) -> None:
    await rig.scan()
    mark = rig.write(name)
    rig.write("43/half")
    assert "a push is under way" in await refusal(rig)
    mark.unlink()
    contents = await rig.scan()
    assert contents.push == 2


async def test_a_tree_that_changes_while_it_is_read_is_not_believed(rig: Rig) -> None:
    await rig.scan()
    rig.write("44/a")
    rig.watch = lambda entries: (rig.folder / "44" / f"during-{entries}").touch()
    assert "changed while it was read" in await refusal(rig)


async def test_an_index_that_changes_while_it_is_read_is_not_believed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.scan()
    path = rig.write(f"{OS}/repodata/repomd.xml", make_repomd(START, "second"))
    real = os.fstat

    def change(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if status.st_ino == path.stat().st_ino:
            path.write_bytes(make_repomd(START, f"third, {os.urandom(8).hex()}"))
        return status

    monkeypatch.setattr(os, "fstat", change)
    assert "changed while it was read" in await refusal(rig)


async def test_an_emptied_or_half_gone_folder_is_not_believed(rig: Rig) -> None:
    for number in range(6):
        rig.write(f"{number}/os/repodata/repomd.xml", make_repomd(START))
    await rig.scan()
    rig.folder.rename(rig.folder.with_name("elsewhere"))
    assert "cannot be read: No such file" in await refusal(rig)
    rig.folder.mkdir()
    assert "empty" in await refusal(rig)
    rig.write("5/os/repodata/repomd.xml", make_repomd(START))
    assert "half gone" in await refusal(rig)
    assert (await rig.scan(allow_shrink=True)).push == 2
    (rig.folder / "5/os/repodata/repomd.xml").unlink()
    with pytest.raises(MasterError, match="empty"):
        await rig.scan(allow_shrink=True)


async def test_a_folder_that_was_never_there_is_said(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "master")
    rig.master = replace(rig.master, where=str(tmp_path / "nowhere"))
    assert "cannot be read: No such file" in await refusal(rig)
    rig.master = replace(rig.master, where=str(rig.write("file")))
    assert "cannot be read: Not a directory" in await refusal(rig)


async def test_what_a_clock_saw_that_was_a_year_ahead_was_there_by_now(rig: Rig) -> None:
    rig.write("9/os/repodata/repomd.xml", make_repomd(START))
    await rig.scan()
    rig.write("9/os/repodata/repomd.xml", make_repomd(START + 60, "again"))
    await rig.scan(365 * 86400)
    found = await rig.scan(-365 * 86400 + 60)
    assert rig.last is not None
    assert max(push.seen for push in found.pushes) == rig.now
    directory = rig.directory("9/os/repodata")
    versions = directory.versions[b"repomd.xml"]
    assert [version.seen for version in versions] == [rig.now, START]
    assert directory.changed == rig.now and directory.files[0].seen == rig.now
    await rig.scan()
    assert rig.last is None


async def test_a_walk_that_is_called_off_ends_in_its_thread(rig: Rig, tmp_path: Path) -> None:
    for number in range(9):
        rig.write(f"{number}/file", b"x")
    begun, go_on, shown = asyncio.Event(), threading.Event(), list[int]()
    loop = asyncio.get_running_loop()

    def show(master: Master, entries: int) -> None:
        shown.append(entries)
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(PATIENCE_S)

    async with await open_store(write_empty(tmp_path / "walk.db")) as store:
        scan = asyncio.create_task(scan_all([rig.master], store, show))
        await begun.wait()
        scan.cancel()
        assert await asyncio.wait({scan}) == ({scan}, set())
        go_on.set()
        await loop.shutdown_default_executor()
    assert scan.cancelled() and len(shown) == 1

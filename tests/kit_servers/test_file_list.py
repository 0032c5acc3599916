"""The synchronization by a file list: one request where nothing changed, and else what changed alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.health.mirrors import make_master, push, write
from tests.kit.rig import Rig, make_rig, names_below
from tests.kit_servers.test_sync import BEGIN, REPOSITORY, drop

LIST = "fullfiletimelist-example"


def list_master(master: Path, prefix: str = "", marks: dict[str, str] | None = None) -> None:
    """Writes the master's list, as its own tool does: all below *master*, time, type, size, path."""
    (master / LIST).unlink(missing_ok=True)
    lines = [b"[Version]", b"2", b"", b"[Files]"]
    for path in _walk(master):
        name = path.relative_to(master).as_posix()
        stat = path.lstat()
        kind = "l" if path.is_symlink() else "d" if path.is_dir() else "f"
        mark = (marks or {}).get(name, "")
        time = int(max(stat.st_mtime, stat.st_ctime))
        lines.append(f"{time}\t{kind}{mark}\t{stat.st_size}\t{prefix}{name}".encode("utf-8", "surrogateescape"))
    lines += [b"", b"[Checksums SHA1]", b"", b"[End]", b""]
    (master / LIST).write_bytes(b"\n".join(lines))


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with make_rig(tmp_path) as made:
        make_master(made.master, BEGIN)
        list_master(made.master)
        made.write_kit(file_list=LIST)
        yield made


async def test_an_unchanged_list_costs_one_request(rig: Rig) -> None:
    ran = await rig.sync()
    assert ran.code == 0, ran.said
    assert rig.names() == names_below(rig.master)
    ran = await rig.sync()
    assert ran.code == 0 and ran.requests == 1 and "unchanged" in ran.said
    assert all("rsync://" in call or "TIME" in call for call in ran.calls)


async def test_a_new_time_stamp_alone_is_taken_in_that_request(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    write(rig.master / "TIME", b"1794009999\n", BEGIN + 50)
    ran = await rig.sync()
    assert ran.code == 0 and ran.requests == 1
    assert (rig.root / "TIME").read_text() == "1794009999\n"


async def test_what_changed_is_taken_and_what_went_is_deleted(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    push(rig.master, REPOSITORY, BEGIN + 100)
    drop(rig.master, BEGIN)
    shutil.rmtree(rig.master / "9.8" / "AppStream" / "aarch64")
    list_master(rig.master)
    ran = await rig.sync()
    assert ran.code == 0, ran.said
    assert rig.names() == names_below(rig.master)
    assert not (rig.root / "9.8" / "AppStream" / "aarch64").exists()


async def test_what_was_lost_here_comes_back(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    (rig.root / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm").unlink()
    (rig.root / "stray").write_text("x")
    assert (await rig.sync()).requests == 1
    ran = await rig.sync("--full")
    assert ran.code == 0, ran.said
    assert rig.names() == names_below(rig.master)


async def test_links_stay_links(rig: Rig) -> None:
    os.link(rig.master / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm", rig.master / "9.8" / "same.rpm")
    (rig.master / "9").symlink_to("9.8")
    list_master(rig.master)
    assert (await rig.sync()).code == 0
    assert (rig.root / "9.8" / "same.rpm").samefile(rig.root / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm")
    assert os.readlink(rig.root / "9") == "9.8"
    os.link(rig.master / "9.8" / "same.rpm", rig.master / "9.8" / "again.rpm")
    list_master(rig.master)
    assert (await rig.sync()).code == 0
    assert (rig.root / "9.8" / "again.rpm").samefile(rig.root / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm")


@pytest.mark.parametrize("staged", ["no", "yes"])
async def test_what_is_secret_is_taken_by_those_who_may(rig: Rig, staged: str) -> None:
    write(rig.master / "10" / "deep" / "new.rpm", b"n", BEGIN)
    write(rig.master / "10" / "other.rpm", b"n", BEGIN)
    list_master(rig.master, marks={"10": "-", "10/deep": "*", "10/other.rpm": ""})
    rig.write_kit(staged=staged)
    assert (await rig.sync()).code == 0
    assert (rig.root / "10" / "deep" / "new.rpm").exists() is (staged == "yes")
    assert (rig.root / "10" / "other.rpm").exists() is (staged == "yes")


async def test_paths_may_begin_above_the_source(rig: Rig) -> None:
    list_master(rig.master, "linux/")
    with (rig.master / LIST).open("rb") as file:
        raw = file.read()
    (rig.master / LIST).write_bytes(raw.replace(b"[Files]\n", b"[Files]\n1794000000\tf\t3\talt/other.rpm\n"))
    rig.write_kit(file_list_prefix="linux")
    assert (await rig.sync()).code == 0
    assert rig.names() == names_below(rig.master)


async def test_what_is_excluded_is_neither_taken_nor_deleted(rig: Rig) -> None:
    rig.write_kit(exclude="['/9.8/AppStream/', '*.gz', aarch64]")
    write(rig.root / "9.8" / "AppStream" / "own.rpm", b"own", BEGIN)
    assert (await rig.sync()).code == 0
    names = rig.names()
    assert "9.8/AppStream/own.rpm" in names and not any("aarch64" in n or n.endswith(".gz") for n in names)
    assert [name for name in names if "AppStream" in name] == ["9.8/AppStream/own.rpm"]
    assert f"{REPOSITORY}/Packages/p-{BEGIN}.rpm" in names


async def test_a_list_without_end_is_refused(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    raw = (rig.master / LIST).read_bytes()
    (rig.master / LIST).write_bytes(raw[:200])
    ran = await rig.sync()
    assert ran.code == 1 and "has no end" in ran.said
    assert len(rig.names()) > 5


async def test_an_emptied_list_deletes_nothing(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    before = rig.names()
    (rig.master / LIST).write_text("[Version]\n2\n\n[Files]\n\n[Checksums SHA1]\n\n[End]\n")
    ran = await rig.sync()
    assert ran.code == 1 and "refused to delete" in ran.said
    assert rig.names() == before


async def test_odd_names_are_taken_and_deleted(rig: Rig) -> None:
    odd = [b"-rf", b"a b", b"\xff\xfe", b"back\\slash", b"\\#012", b"#x", b";y", b"tab\tin"]
    folder = os.fsencode(rig.master / "9.8" / "odd")
    os.mkdir(folder)
    for name in odd:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"x")
    list_master(rig.master)
    assert (await rig.sync()).code == 0
    there = os.fsencode(rig.root / "9.8" / "odd")
    assert sorted(os.listdir(there)) == sorted(odd)
    shutil.rmtree(folder)
    list_master(rig.master)
    ran = await rig.sync("--allow-deletions")
    assert ran.code == 0, ran.said
    assert not os.path.exists(there)

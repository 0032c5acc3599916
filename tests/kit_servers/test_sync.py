"""The synchronization: what it takes, in which order, what it deletes, and that a reader never misses anything."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.health.mirrors import make_master, push, write
from tests.kit.rig import Rig, make_rig, names_below

REPOSITORY = "9.8/BaseOS/x86_64/os"
BEGIN = 1_794_000_000


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with make_rig(tmp_path) as made:
        make_master(made.master, BEGIN)
        yield made


def drop(master: Path, stamp: int) -> None:
    """What the push at *stamp* brought is gone, as masters tidy up."""
    (master / REPOSITORY / "Packages" / f"p-{stamp}.rpm").unlink()
    (master / REPOSITORY / "repodata" / f"{stamp}-primary.xml.gz").unlink()


async def test_a_tree_is_taken_as_it_is_and_a_second_run_transfers_nothing(rig: Rig) -> None:
    os.link(rig.master / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm", rig.master / "9.8" / "same.rpm")
    write(rig.master / ".~tmp~" / "half.rpm", b"half", BEGIN)
    write(rig.master / "lost+found" / "x", b"x", BEGIN)
    ran = await rig.sync()
    assert ran.code == 0, ran.said
    assert rig.names() == {n for n in names_below(rig.master) if not n.startswith((".~tmp~", "lost+found"))}
    assert (rig.root / "TIME").read_text() == f"{BEGIN}\n"
    assert (rig.root / "9.8" / "same.rpm").samefile(rig.root / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm")
    before = {name: (rig.root / name).stat() for name in rig.names()}
    ran = await rig.sync()
    assert ran.code == 0, ran.said
    assert {name: (rig.root / name).stat().st_mtime_ns for name in rig.names()} == {
        name: stat.st_mtime_ns for name, stat in before.items()
    }


async def test_packages_come_before_metadata_and_deletions_last(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    push(rig.master, REPOSITORY, BEGIN + 100)
    drop(rig.master, BEGIN)
    fetched = (await rig.sync(env={"CUT_BEFORE": "5"})).calls
    assert len(fetched) == 5
    here = rig.names()
    assert f"{REPOSITORY}/Packages/p-{BEGIN + 100}.rpm" in here and f"{REPOSITORY}/Packages/p-{BEGIN}.rpm" in here
    assert f"{BEGIN}" in (rig.root / REPOSITORY / "repodata/repomd.xml").read_text()
    ran = await rig.sync()
    assert ran.code == 0, ran.said
    assert rig.names() == names_below(rig.master)
    assert f"{BEGIN + 100}" in (rig.root / REPOSITORY / "repodata/repomd.xml").read_text()


async def test_an_emptied_source_deletes_nothing(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    before = rig.names()
    shutil.rmtree(rig.master)
    rig.master.mkdir()
    ran = await rig.sync()
    assert ran.code == 1 and "refused to delete" in ran.said
    assert rig.names() == before


async def test_deletions_beyond_the_limit_wait_for_a_person(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    shutil.rmtree(rig.master / "9.8" / "AppStream")
    rig.write_kit(max_delete="10%")
    ran = await rig.sync()
    assert ran.code == 1 and "more than 10%" in ran.said
    assert f"9.8/AppStream/x86_64/os/Packages/p-{BEGIN}.rpm" in rig.names()
    ran = await rig.sync("--allow-deletions")
    assert ran.code == 0, ran.said
    assert rig.names() == names_below(rig.master)
    assert not (rig.root / "9.8" / "AppStream").exists()


async def test_names_of_any_bytes_are_taken_and_deleted(rig: Rig) -> None:
    odd = [b"-rf", b"a b", b"line\nend", b"\xff\xfe", b"back\\slash", b"\\#012", b"\\\\0101", b"$(x)", b"*"]
    folder = os.fsencode(rig.master / "9.8" / "odd")
    os.mkdir(folder)
    for name in odd:
        with open(os.path.join(folder, name), "wb"):
            pass
    assert (await rig.sync()).code == 0
    there = os.fsencode(rig.root / "9.8" / "odd")
    assert sorted(os.listdir(there)) == sorted(odd)
    for name in odd[1:]:
        os.unlink(os.path.join(folder, name))
    ran = await rig.sync("--allow-deletions")
    assert ran.code == 0, ran.said
    assert os.listdir(there) == odd[:1]


@pytest.mark.parametrize("code", [5, 10, 23, 30, 35])
async def test_what_passes_by_itself_is_tried_again(rig: Rig, code: int) -> None:
    ran = await rig.sync(env={"FAIL_AT": "2", "FAIL_WITH": str(code)})
    assert ran.code == 0 and f"rsync ended with {code}" in ran.said
    assert rig.names() == names_below(rig.master)


async def test_what_does_not_pass_is_not_tried_again(rig: Rig) -> None:
    ran = await rig.sync(env={"FAIL_AT": "2", "FAIL_WITH": "1"})
    assert ran.code == 1 and len(ran.calls) == 2


async def test_a_disk_that_is_full_of_what_earlier_runs_left_aside_is_no_end(rig: Rig) -> None:
    left = rig.root / REPOSITORY / "Packages" / ".~tmp~" / "gone.rpm"
    full = {"FAIL_AT": "3", "FAIL_WITH": "11"}  # the time stamp, metadata, then files
    ran = await rig.sync(env=full)
    assert ran.code == 1 and len(ran.calls) == 3
    write(left, b"half", BEGIN)
    ran = await rig.sync(env=full)
    assert ran.code == 0, ran.said
    assert rig.names() == names_below(rig.master)
    push(rig.master, REPOSITORY, BEGIN + 100)
    write(left, b"half", BEGIN)
    assert (await rig.sync(env=full)).code == 1
    assert left.exists()  # nothing had been left aside when that run began


async def test_room_is_made_once_until_a_run_ends_well(rig: Rig) -> None:
    full = {"FAIL_AT": "3", "FAIL_WITH": "11"}
    left = rig.root / ".~tmp~" / "gone.rpm"
    state = rig.folder / "state"
    assert (await rig.sync(env=full)).code == 1
    (cleaned,) = (each.parent / "cleaned" for each in state.rglob("unfinished"))
    cleaned.touch()
    write(left, b"half", BEGIN)
    assert (await rig.sync(env=full)).code == 1
    assert left.exists()
    assert (await rig.sync()).code == 0
    assert not left.exists() and not cleaned.exists()


async def test_a_second_start_ends_at_once_and_well(rig: Rig) -> None:
    first = asyncio.ensure_future(rig.sync(env={"CHANGE_AT": "1", "CHANGE": _script(rig, "sleep 1")}))
    await asyncio.sleep(0.4)
    second = await rig.sync()
    assert second.code == 0 and "under way" in second.said and not second.calls
    assert (await first).code == 0


def _script(rig: Rig, text: str) -> str:
    path = rig.folder / "change"
    path.write_text(text)
    return str(path)


async def test_a_push_in_the_middle_is_taken_whole(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    push(rig.master, REPOSITORY, BEGIN + 100)
    aside = rig.folder / "next"
    push(aside, REPOSITORY, BEGIN + 200)
    # The source changes between what is read of its metadata and of its packages.
    change = f"""
cp -rp {aside}/. {rig.master}/
rm -f {rig.master}/{REPOSITORY}/Packages/p-{BEGIN + 100}.rpm {rig.master}/{REPOSITORY}/repodata/{BEGIN + 100}-*
"""
    ran = await rig.sync(env={"CHANGE_AT": "3", "CHANGE": _script(rig, change)})
    assert ran.code == 0 and "once more" in ran.said
    assert rig.names() == names_below(rig.master)


async def test_machines_wait_differently_where_the_shell_has_no_random(rig: Rig) -> None:
    said = set()
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            "dash", str(rig.kit / "sync"), "--delay", "3500", stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        said.add((await process.stdout.readline()).decode().split(" ", 1)[1])
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    assert len(said) == 3 and all(re.fullmatch(r"begins in \d{1,4} s\n", each) for each in said)


async def test_the_first_files_may_come_from_a_near_mirror(rig: Rig) -> None:
    near = rig.folder / "master" / "near"
    write(near / REPOSITORY / "Packages" / f"p-{BEGIN}.rpm", b"r" * 100, BEGIN)
    write(near / REPOSITORY / "repodata" / "repomd.xml", b"old", BEGIN)
    rig.write_kit(exclude="[/near/]")
    ran = await rig.sync("--first-from", f"{rig.source}near/")
    assert ran.code == 0, ran.said
    assert "files from" in ran.said
    assert rig.names() == {name for name in names_below(rig.master) if not name.startswith("near/")}
    assert "files from" not in (await rig.sync()).said


async def test_a_disk_that_is_gone_is_not_filled_anew(rig: Rig) -> None:
    assert (await rig.sync()).code == 0
    shutil.rmtree(rig.root)
    ran = await rig.sync()
    assert ran.code == 1 and "mounted" in ran.said and not rig.root.exists()

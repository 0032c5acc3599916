"""Readers of a tree that is synchronized meanwhile, or whose synchronization is cut: none misses anything."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.health.mirrors import make_master, push
from tests.kit.rig import Rig, make_rig, names_below
from tests.kit_servers.test_file_list import LIST, list_master
from tests.kit_servers.test_sync import BEGIN, REPOSITORY, drop


class Reader(threading.Thread):
    """Reads metadata and looks for all that it names, again and again, as clients do."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self.tree = root
        self.root = root / REPOSITORY
        self.read = 0
        self.seen: set[str] = set()
        self.missing: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.003):
            self.look()

    def look(self) -> None:
        try:
            repomd = (self.root / "repodata" / "repomd.xml").read_text()
        except FileNotFoundError:
            return  # nothing is promised before the first metadata
        [place] = re.findall('href="([^"]+)"', repomd)
        try:
            packages = re.findall('href="([^"]+)"', gzip.decompress((self.root / place).read_bytes()).decode())
            for each in packages:
                (self.root / each).read_bytes()
        except FileNotFoundError as error:
            self.missing.append(str(error))
        self.read += 1
        self.seen.add(place)

    def end(self) -> None:
        self.ended.set()
        self.join()


def compared(rig: Rig) -> None:
    """The source has no list of its files: it is compared."""


def listed(rig: Rig) -> None:
    """The source has a list of its files."""
    list_master(rig.master)
    if "file_list" not in rig.keys:
        rig.write_kit(file_list=LIST)


@pytest.mark.parametrize("cut", ["CUT_BEFORE", "CUT_WITHIN"])
@pytest.mark.parametrize("ready", [compared, listed])
async def test_a_reader_misses_nothing_wherever_the_power_is_cut(
    tmp_path: Path, cut: str, ready: Callable[[Rig], None]
) -> None:
    async with make_rig(tmp_path) as rig:
        make_master(rig.master, BEGIN)
        await read_while_cut(rig, cut, ready)


async def read_while_cut(rig: Rig, cut: str, ready: Callable[[Rig], None]) -> None:
    ready(rig)
    assert (await rig.sync()).code == 0
    reader = Reader(rig.root)
    reader.start()
    try:
        for n in range(1, 12):
            push(rig.master, REPOSITORY, BEGIN + n)
            if n > 1:
                drop(rig.master, BEGIN + n - 1)
            ready(rig)
            await rig.sync(env={cut: str(n), "CUT_AFTER_S": "0.02"})
            reader.look()
        ran = await rig.sync()
        assert ran.code == 0, ran.said
    finally:
        reader.end()
    assert not reader.missing and reader.read > 20
    assert rig.names() == names_below(rig.master) | ({f"{REPOSITORY}/Packages/p-{BEGIN}.rpm"} & rig.names())
    assert not list(rig.root.rglob(".~tmp~"))


async def test_a_reader_misses_nothing_while_ten_runs_follow_pushes(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        make_master(rig.master, BEGIN)
        await read_while_running(rig)


async def read_while_running(rig: Rig) -> None:
    rig.write_kit(grace_s="1")
    assert (await rig.sync()).code == 0
    reader = Reader(rig.root)
    reader.start()
    try:
        for n in (1, 2):
            push(rig.master, REPOSITORY, BEGIN + n)
            drop(rig.master, BEGIN + n - 1)
            for _ in range(5):
                assert (await rig.sync()).code == 0
    finally:
        reader.end()
    assert not reader.missing and len(reader.seen) == 3
    assert rig.names() == names_below(rig.master)

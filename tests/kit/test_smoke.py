"""The synchronization in short: taken whole, nothing twice, and nothing lost to an emptied source."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.health.mirrors import make_master
from tests.kit.rig import make_rig, names_below


async def test_a_tree_is_taken_and_outlives_its_source(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        make_master(rig.master, 1_794_000_000)
        ran = await rig.sync()
        assert ran.code == 0, ran.said
        assert rig.names() == names_below(rig.master)
        shutil.rmtree(rig.master)
        rig.master.mkdir()
        before = rig.names()
        assert (await rig.sync()).code == 1
        assert rig.names() == before

"""`docs/moving.md`, typed in from its beginning to its end: the moves lose nothing on their way."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from tests.answer.make_golden import MANAGER
from tests.loop.pages import commands_of, run_page, with_free_ports
from tests.registry.mirrormanager import write_database
from tests.registry.snapshots import file_of
from tests.registry.test_import import ROWS
from tests.rig import catalog_of

SECOND = "redirector check --source tree\n"
"""With this the second half of the page begins."""


def halves() -> tuple[str, str]:
    """What the page tells those who come from MirrorManager to type, and those who come from AlmaLinux's service."""
    text, _ = with_free_ports(commands_of("moving.md"))
    first, second = text.split(SECOND)
    return first, SECOND + second


async def test_the_move_from_mirrormanager(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mirrorlist_cache.proto").write_bytes(file_of(catalog_of(MANAGER)))
    old = f"sqlite:///{tmp_path}/mirrormanager.db"
    await write_database(old, ROWS)
    before = (tmp_path / "mirrormanager.db").read_bytes()
    out = run_page(halves()[0], tmp_path, {**os.environ, "OLD": old})
    assert "# repo = fedora-40 arch = x86_64" in out
    assert "\n11 " in out and "mirror.example.org" in out
    assert "8.8.4.4" in out
    assert (home / "published.proto").stat().st_size > 0
    assert json.loads((home / "difference.json").read_text())
    assert (tmp_path / "mirrormanager.db").read_bytes() == before


def test_the_move_from_almalinuxs_service(real_tree: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(real_tree, home / "tree")
    before = {path: path.read_bytes() for path in (home / "tree").rglob("*") if path.is_file()}
    run_page(halves()[1], tmp_path)
    names = {path.name for path in (home / "published" / "mirrors.d").iterdir()}
    assert len(names) == 530
    assert (home / "list.txt").read_text().count("\n") == 10
    assert len(json.loads((home / "isolist.txt").read_text())) == 10
    difference = json.loads((home / "difference.json").read_text())
    assert difference
    assert {path: path.read_bytes() for path in before} == before

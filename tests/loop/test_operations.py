"""`docs/operations.md`, typed in from its beginning to its end: a store is put back, and made again when it is lost."""

from __future__ import annotations

from pathlib import Path

from tests.loop.pages import commands_of, run_page


def test_a_store_is_put_back_and_made_again_and_nobody_notices(tmp_path: Path) -> None:
    out = run_page(commands_of("operations.md"), tmp_path)
    home = tmp_path / "home"
    assert "Example Site" in out
    assert "nothing is pending" in out
    assert (home / "copy.key").read_bytes() == (home / "redirector.key").read_bytes()
    assert b"https://mirror.example.org/linux" in (home / "again.proto").read_bytes()

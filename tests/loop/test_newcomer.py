"""`docs/newcomer.md`, typed in from its beginning to its end."""

from __future__ import annotations

from pathlib import Path

from tests.loop.pages import commands_of, run_page, with_free_ports


def test_an_empty_folder_becomes_a_list_with_ones_own_mirror(tmp_path: Path) -> None:
    text, ports = with_free_ports(commands_of("newcomer.md"))
    text = text.replace("health: health.json", f"health: health.json\nlisten: 127.0.0.1:{ports[8080]}\nadmin: none")
    out = run_page(text, tmp_path)
    mirror = f"http://127.0.0.1:{ports[8011]}/linux/1/x86_64/os/"
    assert f"{mirror}\n" in out
    assert f"{mirror}repodata/repomd.xml</url>" in out
    assert 'type="sha256"' in out
    assert "1 mirror.example.org" in out

"""The public pages as files, for any web server: each is written beside and renamed, and what is no page more goes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from redirector.files import write_atomically
from redirector.registry.public import list_object
from redirector.settings.joining import Join
from redirector.web.frame import Frame, page_bytes
from redirector.web.pages import pages
from redirector.web.pages.filters import Choice
from redirector.web.pages.pages import Page
from redirector.web.pages.render import style_sheet
from redirector.web.pages.shown import Past, Shown

OURS = ("mirrors", "map", "propagation", "statistics", "join")
"""Folders that are ours: whatever else is in them goes."""


def render_files(
    shown: Shown, pasts: Mapping[str, Past], join: Join, url: str, *, forms: bool = False, sign_key: str = ""
) -> Iterator[tuple[str, bytes]]:
    """(path below the folder, content) of each file.

    pasts  host -> what is kept of it
    forms  the links to login, too: the files are served beside a registry
    sign_key  by which notices of releases are verified; "": they are not signed
    """

    def page(path: str, here: str, made: Page) -> tuple[str, bytes]:
        return f"{path}/index.html", page_bytes(Frame(here, forms), made.template, made.values)

    yield "style.css", style_sheet()
    yield "mirrors.json", json.dumps(list_object(shown.listed), ensure_ascii=False).encode()
    yield page("mirrors", "/mirrors", pages.mirrors_page(shown, Choice(), forms=False))
    for mirror in shown.listed.mirrors:
        if is_file_name(mirror.host):
            made = pages.mirror_page(shown, mirror, pasts.get(mirror.host, Past()))
            yield page(f"mirrors/{mirror.host}", "", made)
    yield page("map", "/map", pages.map_page(shown))
    yield page("propagation", "/propagation", pages.propagation_page(shown, forms=False))
    yield page("statistics", "/statistics", pages.statistics_page(shown))
    yield "join/sizes.txt", pages.sizes_text(shown)
    yield page("join", "/join", pages.join_page(shown, join, url, sign_key))


def is_file_name(host: str) -> bool:
    """Whether a host's name can be a folder's; those of imports may be anything."""
    return bool(host) and host not in (".", "..") and not any(mark in host for mark in "/\\\0")


def write_files(folder: str, files: Mapping[str, bytes]) -> int:
    """Write *files* below *folder*; how many changed. Raises OSError."""
    top = Path(folder)
    top.mkdir(parents=True, exist_ok=True)
    changed = 0
    for name, raw in files.items():
        path = top / name
        if path.is_file() and path.read_bytes() == raw:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(str(path), raw)
        changed += 1
    _remove_others(top, files)
    return changed


def _remove_others(top: Path, files: Mapping[str, bytes]) -> None:
    for name in OURS:
        for path, _, names in os.walk(top / name, topdown=False):
            for each in names:
                whole = Path(path, each)
                if str(whole.relative_to(top)) not in files:
                    whole.unlink()
            if not os.listdir(path):
                os.rmdir(path)

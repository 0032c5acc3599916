"""Copies of the input files that were served last, for a start whose inputs cannot be served.

`STATE/last` links to a folder with a `manifest.json` and, below `files`, the copies under their absolute paths, so that
what a tree says relative to itself stays true. A new folder is complete before the link moves.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from redirector.server.between.messages import Extent, Report
from redirector.server.supervisor.inputs import copy_path, find_inputs, identify, input_names, with_copies
from redirector.settings.serving import Config

LAST = "last"
MANIFEST = "manifest.json"
FILES = "files"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """What was served last.

    config  the configuration with its inputs replaced by the copies
    same    the inputs were copied from where the configuration still looks for them
    """

    config: Config
    extent: Extent
    same: bool


def find_kept(config: Config) -> Kept | None:
    """The copies in `config.state`; None when there are none that can be read."""
    if config.state is None:
        return None
    folder = os.path.realpath(os.path.join(config.state, LAST))
    manifest = _read_manifest(folder)
    if manifest is None:
        return None
    names = manifest["names"]
    return Kept(
        with_copies(config, names, os.path.join(folder, FILES)),
        Extent(**manifest["extent"]),
        names == input_names(config),
    )


def keep(config: Config, report: Report) -> bool:
    """Copy the inputs of the snapshot that *report* is about into `config.state`; False when they are there already.

    raises  OSError, also when a file changed after the load began: the copy would be of something else
    """
    assert config.state is not None
    paths = find_inputs(config, report.inputs)
    manifest = {
        "format": FORMAT,
        "names": input_names(config),
        "extent": asdict(report.extent),
        "identities": [[each.path, each.inode, each.size_bytes, each.written_ns] for each in identify(paths)],
    }
    last = os.path.join(config.state, LAST)
    if _read_manifest(last) == manifest:
        return False
    fresh = os.path.join(config.state, f"copies-{time.time_ns()}")
    try:
        for path in paths:
            _copy(path, copy_path(os.path.join(fresh, FILES), path), not_after=report.began)
        with open(os.path.join(fresh, MANIFEST), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _move_link(last, fresh)
    _remove_others(config.state, fresh)
    return True


def _read_manifest(folder: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None


def _copy(path: str, target: str, not_after: float) -> None:
    """Copy *path* with its times, for they say how old its data is."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(path, target)
    if os.stat(path).st_ctime > not_after:
        raise OSError(errno.ESTALE, f"{path} changed while it was loaded")
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _move_link(link: str, target: str) -> None:
    fresh = f"{link}.new"
    with suppress(FileNotFoundError):
        os.unlink(fresh)
    os.symlink(os.path.basename(target), fresh)
    os.replace(fresh, link)


def _remove_others(state: str, kept: str) -> None:
    for name in os.listdir(state):
        if name.startswith("copies-") and name != os.path.basename(kept):
            shutil.rmtree(os.path.join(state, name), ignore_errors=True)

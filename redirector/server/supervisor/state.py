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

from redirector.files import open_regular
from redirector.server.between.messages import Extent, Report
from redirector.server.supervisor.inputs import copy_path, identify, input_names, with_copies
from redirector.settings.serving import Config

LAST = "last"
MANIFEST = "manifest.json"
FILES = "files"
FORMAT = 1

_BLOCK_BYTES = 1 << 20


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

    What was read is copied, and nothing else: not what else lies in its folders, nor what a link leads to meanwhile.

    raises  OSError, also when a file changed after the load began: the copy would be of something else
    """
    assert config.state is not None
    named = {path for path in input_names(config).values() if path is not None and not os.path.isdir(path)}
    paths = sorted({os.path.abspath(path) for path in (*named, *report.inputs)})
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
    """Copy the regular file *path* with its times, for they say how old its data is; no more of it than it had.

    raises  OSError for anything but a regular file that has not changed since *not_after*, epoch seconds
    """
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open_regular(path) as file, open(target, "xb") as copy:
        status = os.fstat(file.fileno())
        rest = status.st_size
        while rest and (block := file.read(min(rest, _BLOCK_BYTES))):
            copy.write(block)
            rest -= len(block)
        if rest or os.fstat(file.fileno()).st_ctime > not_after:
            raise OSError(errno.ESTALE, f"{path} changed while it was loaded")
        copy.flush()
        os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(copy.fileno())


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

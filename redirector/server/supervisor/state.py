"""Copies of the input files that were served last, for a start whose inputs cannot be served.

`STATE/last` links to a folder with a `manifest.json` and, below `files`, the copies under their absolute paths, so that
what a tree says relative to itself stays true. A new folder is complete before the link moves. `STATE/before` links to
what was served before that, for `rollback`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from redirector.files import open_regular, write_atomically, write_flushed
from redirector.model import Problem
from redirector.server.between.messages import Extent, LoadReport
from redirector.server.supervisor.inputs import Identity, identify, input_names, with_copies
from redirector.settings.serving import Config
from redirector.sources.inputs import copy_path

LAST = "last"
BEFORE = "before"
ROLLED_BACK = "rolled-back.json"
"""What inputs a rollback has left: as long as they are still the same, a start serves `last` in their place."""

MANIFEST = "manifest.json"
FILES = "files"
FORMAT = 1

_COPIES = re.compile(rf"[^\s'\"]*/copies-\d+/{FILES}(?=/)")
"""What a copy's path has before the path of what it is a copy of."""

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """What was served last.

    config  the configuration with its inputs replaced by the copies, but for health, which is that of now
    same    the inputs were copied from where the configuration still looks for them
    files   the folder with the copies
    served  what says whether the inputs have changed: path, inode, size and time of each file but health
    """

    config: Config
    extent: Extent
    same: bool
    files: str
    served: Sequence[Sequence[object]]


def load_kept(config: Config, which: str = LAST) -> Kept | None:
    """The copies in `config.state`: those of `LAST`, or of `BEFORE`; None when there are none that can be read."""
    if config.state is None:
        return None
    folder = os.path.realpath(os.path.join(config.state, which))
    manifest = _read_manifest(folder)
    if manifest is None:
        return None
    names, files = manifest["names"], os.path.join(folder, FILES)
    extent = Extent(**manifest["extent"])
    copies, live = with_copies(config, names, files), config.health or manifest.get("health")
    if live is not None and os.path.exists(live):
        copies = replace(copies, health=live)
    return Kept(copies, extent, names == input_names(config), files, _without_health(manifest))


def as_named(problem: Problem, config: Config) -> Problem:
    """*problem* of a copy as one of the input that *config* names, so that it is known again when copies are served."""

    def plain(text: str) -> str:
        text = _COPIES.sub("", text)
        for key, path in input_names(config).items():
            if path is not None:
                text = text.replace(path, getattr(config, key))
        return text

    return replace(problem, path=plain(problem.path), text=plain(problem.text))


def served_now(config: Config, report: LoadReport) -> list[list[object]]:
    """`Kept.served` of the inputs that *report* is about, as they are on disk."""
    return _without_health({"identities": _identities(config, report), "health": _health_of(report)})


def swap_kept(state: str) -> None:
    """Let what was `BEFORE` be `LAST`, and the other way round. Raises OSError."""
    last, before = (os.path.realpath(os.path.join(state, which)) for which in (LAST, BEFORE))
    _move_link(os.path.join(state, LAST), before)
    _move_link(os.path.join(state, BEFORE), last)


def keep_rolled_back(state: str, left: Sequence[Sequence[object]] | None) -> None:
    """Remember the inputs that a rollback has *left*, see `served_now`; None: it is over. Raises OSError."""
    path = os.path.join(state, ROLLED_BACK)
    if left is not None:
        write_atomically(path, json.dumps(left).encode())
        return
    with suppress(FileNotFoundError):
        os.unlink(path)


def is_rolled_back(config: Config) -> bool:
    """Whether a rollback has left inputs that are still the same."""
    if config.state is None:
        return False
    try:
        with open(os.path.join(config.state, ROLLED_BACK), "rb") as file:
            left = json.load(file)
        return bool(left) and left == [_identity(each) for each in identify([each[0] for each in left])]
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _identity(found: Identity) -> list[object]:
    return [found.path, found.inode, found.size_bytes, found.written_ns]


def _identities(config: Config, report: LoadReport) -> list[list[object]]:
    return [_identity(each) for each in identify(_paths_of(config, report))]


def _paths_of(config: Config, report: LoadReport) -> list[str]:
    """What was read, and what is named, as absolute paths."""
    named = {path for path in input_names(config).values() if path is not None and not os.path.isdir(path)}
    return sorted({os.path.abspath(path) for path in (*named, *report.inputs)})


def _health_of(report: LoadReport) -> str | None:
    return None if report.health is None else os.path.abspath(report.health)


def _without_health(manifest: Mapping[str, Any]) -> list[list[object]]:
    """Of what was kept, what an operator has written: health changes by itself every few minutes."""
    return [each for each in manifest["identities"] if each[0] != manifest.get("health")]


def keep(config: Config, report: LoadReport, good: Mapping[str, tuple[bytes, float]] = MappingProxyType({})) -> bool:
    """Copy the inputs of the snapshot that *report* is about into `config.state`; False when they are there already.

    What was read is copied, and nothing else: not what else lies in its folders, nor what a link leads to meanwhile;
    and in place of a broken file what was used instead.

    good    path -> content and time, for broken files

    raises  OSError, also when a file but health changed after the load began: the copy would be of something else
    """
    assert config.state is not None
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "names": input_names(config),
        "extent": asdict(report.extent),
        "identities": _identities(config, report),
        "health": _health_of(report),
    }
    last, before = (os.path.join(config.state, which) for which in (LAST, BEFORE))
    known = _read_manifest(last)
    if known == manifest:
        return False
    instead = {os.path.abspath(path): good[path] for path in report.broken if path in good}
    fresh = os.path.join(config.state, f"copies-{time.time_ns()}")
    try:
        for path in _paths_of(config, report):
            copy = copy_path(os.path.join(fresh, FILES), path)
            if path in instead:
                _write(copy, *instead[path])
            elif path == manifest["health"]:
                # It changes by itself and is heeded without a load: a newer one is as good; without one all is served.
                with suppress(FileNotFoundError):
                    _copy(path, copy, not_after=math.inf)
            else:
                _copy(path, copy, not_after=report.began)
        write_flushed(os.path.join(fresh, MANIFEST), (json.dumps(manifest).encode(),))
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if known is not None and _without_health(known) != _without_health(manifest):
        _move_link(before, os.path.realpath(last))
    _move_link(last, fresh)
    _remove_others(config.state, {os.path.basename(os.path.realpath(each)) for each in (last, before)})
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


def _write(target: str, content: bytes, written: float) -> None:
    """The copy of a file that is broken now: what was read of it before, with its time."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "xb") as copy:
        copy.write(content)
        copy.flush()
        os.utime(copy.fileno(), (written, written))
        os.fsync(copy.fileno())


def _move_link(link: str, target: str) -> None:
    fresh = f"{link}.new"
    with suppress(FileNotFoundError):
        os.unlink(fresh)
    os.symlink(os.path.basename(target), fresh)
    os.replace(fresh, link)


def _remove_others(state: str, kept: Collection[str]) -> None:
    for name in os.listdir(state):
        if name.startswith("copies-") and name not in kept:
            shutil.rmtree(os.path.join(state, name), ignore_errors=True)

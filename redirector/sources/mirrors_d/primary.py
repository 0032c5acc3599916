"""The local copy of the master tree: what its `repomd.xml` files, and those of earlier pushes, contain."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from redirector.files import explain_failure
from redirector.model import FileDetail
from redirector.sources.inputs import Good, Inputs
from redirector.sources.problems import Report, show
from redirector.tree.repomd import REPOMD, REPOMD_LIMIT_BYTES, parse_repomd

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class AlternatesRule:
    """How long earlier pushes stay alternates (MirrorManager's rule, and its numbers).

    second_days  the second newest stays while the newest is younger than this
    other_days   the others stay while they themselves are younger than this
    """

    second_days: float = 3
    other_days: float = 4

    def pick(self, versions: list[FileDetail], now: float) -> tuple[FileDetail, ...]:
        """Of *versions*, newest first, the newest and those that are alternates at the time *now*."""
        newest, second, others = versions[:1], versions[1:2], versions[2:]
        fresh = any(now - detail.timestamp < self.second_days * DAY_S for detail in newest)
        kept = [detail for detail in others if now - detail.timestamp < self.other_days * DAY_S]
        return (*newest, *(second if fresh else ()), *kept)


@dataclass(frozen=True, slots=True)
class MasterTree:
    """One push on disk: its path, and the names in its root, which are versions."""

    path: str
    versions: frozenset[str]


def read_tree_root(report: Report, key: str, path: str) -> MasterTree | None:
    """The tree at *path*; None, and an error under *key*, if it cannot be read."""
    try:
        return MasterTree(path, frozenset(os.listdir(path)))
    except OSError as error:
        report.error(key, f"{show(path)} cannot be read ({error.strerror}): left out")
        return None


def read_pushes(report: Report, key: str, path: str) -> tuple[MasterTree, ...]:
    """The trees of earlier pushes: every folder in *path* but hidden ones, which rsync has not finished."""
    history = read_tree_root(report, key, path)
    names = sorted(history.versions) if history else []
    folders = (os.path.join(path, name) for name in names if not name.startswith("."))
    trees = (read_tree_root(report, key, folder) for folder in folders if os.path.isdir(folder))
    return tuple(tree for tree in trees if tree)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of each directory's `repomd.xml`: the newest push's, and those of earlier pushes, from four places.

    primary     None where nothing of the newest push is on this machine but what *scanned* says
    remembered  what earlier loads found: the first of its names of a directory -> versions
    scanned     what `redirector scan` found at the master, by any of the names, newest first
    """

    primary: MasterTree | None
    pushes: tuple[MasterTree, ...]
    inputs: Inputs
    remembered: Mapping[str, tuple[FileDetail, ...]] = field(default_factory=dict)
    scanned: Mapping[str, tuple[FileDetail, ...]] = field(default_factory=dict)

    def load_versions(self, spots: tuple[str, ...]) -> list[FileDetail]:
        """What lies under the first of *spots* (directories, one place by several names) that is there, newest first.

        Empty when the newest push has no such file; one that cannot be read, now and before, leaves the earlier ones.
        """
        scanned = next((self.scanned[spot] for spot in spots if spot in self.scanned), ())
        broken: list[str] = []
        newest = self._read(self.primary, spots, broken) if self.primary else next(iter(scanned), None)
        if newest is None and not broken:
            return []
        older = {detail for push in self.pushes if (detail := self._read(push, spots, []))}
        older = older.union(self.remembered.get(spots[0], ()), scanned) - {newest}
        ordered = sorted(older, key=lambda detail: (-detail.timestamp, detail.sha512))
        return ordered if newest is None else [newest, *ordered]

    def _read(self, tree: MasterTree, spots: tuple[str, ...], broken: list[str]) -> FileDetail | None:
        """What lies under the first of *spots* that is there; what is there and cannot be read is added to *broken*."""
        for spot in spots:
            if spot.partition("/")[0] not in tree.versions:
                continue
            path = os.path.join(tree.path, spot, "repodata", REPOMD)
            try:
                raw = self.inputs.read(path, REPOMD_LIMIT_BYTES)
                detail = parse_repomd(raw).detail
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError) as error:
                if earlier := self.inputs.take_earlier(path, error, parse_repomd):
                    return parse_repomd(earlier.raw).detail
                self.inputs.report.of(path).error("file", f"{explain_failure(error)}: not used")
                broken.append(path)
                continue
            self.inputs.good[path] = Good(raw, self.inputs.mtimes[path])
            return detail
        return None

"""Publications become files: written beside, checked, compared with what is there, flushed, renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from redirector.errors import SnapshotError
from redirector.files import naming, write_atomically, write_flushed
from redirector.model import Catalog, Severity
from redirector.registry.publish.encode import encode
from redirector.registry.publish.plan import Plan, compare
from redirector.registry.publish.selection import Publication
from redirector.snapshot.check import check_catalog
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from redirector.sources.mirrors_d.load import CONFIG_FILE, load_tree

SHRINK = "shrink"

_WAY = "--allow shrink takes it all the same"


@dataclass(eq=False)
class PublishError(Exception):
    """The operator must act: nothing was published. One line for each reason."""

    path: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.path}: {reason}" for reason in self.reasons)


Look = Callable[[str, str], None]
"""Called with the path of what is there, and that of what would take its place, which is gone afterwards."""


def publish_snapshot(
    publication: Publication, path: str, allowed: Collection[str], dry: bool, look: Look | None = None
) -> Plan:
    """Write the snapshot file *path*, unless *dry*.

    look    compares, where both are there
    raises  PublishError when it could not be served, or would take much away; OSError when it cannot be written
    """
    fresh = f"{path}.new-{os.getpid()}"
    try:
        with naming(path, fresh):
            write_flushed(fresh, encode(publication))
        try:
            new = load_snapshot_file(fresh)
        except SnapshotError as error:
            raise _refused(path, fresh, error) from error
        _refuse_fatal(path, new)
        old = _load_old(path)
        plan = compare(old, new)
        if look is not None and old is not None:
            look(path, fresh)
        refuse_shrinking(path, plan, allowed)
        if not dry:
            with naming(path, fresh):
                os.replace(fresh, path)
            _flush_folder(os.path.dirname(path) or ".")
        return plan
    finally:
        with suppress(FileNotFoundError):
            os.unlink(fresh)


def _flush_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: str, fresh: str, error: SnapshotError) -> PublishError:
    return PublishError(path, tuple(str(problem).replace(fresh, path, 1) for problem in error.problems))


def _refuse_fatal(path: str, catalog: Catalog) -> None:
    fatal = [problem for problem in (*catalog.problems, *check_catalog(catalog, ())) if problem.fatal]
    if fatal:
        raise PublishError(path, tuple(f"{problem.key}: {problem.text}" for problem in fatal))


def _load_old(path: str) -> Catalog | None:
    """What is there; what cannot be read any more counts as nothing."""
    try:
        return load_snapshot_file(path)
    except SnapshotError:
        return None


def refuse_shrinking(path: str, plan: Plan, allowed: Collection[str]) -> None:
    """Raise PublishError when half of the hosts or URLs would be gone, unless that is allowed."""
    if SHRINK not in allowed and plan.shrinks:
        raise PublishError(
            path,
            tuple(
                f"{plan.gone[name]:,} of {plan.before[name]:,} {name} would be gone; {_WAY}" for name in plan.shrinks
            ),
        )


# -- Trees -------------------------------------------------------------------------------------------------------------


def publish_tree(
    folder: str,
    files: Mapping[str, bytes],
    config: bytes | None,
    allowed: Collection[str],
    dry: bool,
    now: float,
    look: Look | None = None,
) -> Plan:
    """Write the mirror files of a tree; those of hosts that are no more go, and a `config.yml` that is there stays.

    config  what to write as `config.yml` where there is none
    look    compares, where both are there
    raises  PublishError, OSError as above
    """
    top = Path(folder).absolute()
    if config is None and not (top / CONFIG_FILE).exists():
        raise PublishError(folder, (f"{CONFIG_FILE}: is missing, and no tree was imported: write one first",))
    staged = top.with_name(f"{top.name}.new-{os.getpid()}")
    try:
        with naming(str(top), str(staged)):
            new = _stage(top, staged, files, config, now)
        old = _load_old_tree(folder, now)
        plan = replace(compare(old, new), problems=_errors_of(new, str(staged), str(top)))
        if look is not None and old is not None:
            look(folder, str(staged))
        refuse_shrinking(folder, plan, allowed)
        if not dry:
            _put(top, files, config)
        return plan
    finally:
        _remove(staged)


def _stage(top: Path, staged: Path, files: Mapping[str, bytes], config: bytes | None, now: float) -> Catalog:
    """The tree as it would be, loaded from a copy beside it: relative paths in `config.yml` mean the same there."""
    folder = _mirrors_folder(top, config)
    (staged / folder).mkdir(parents=True)
    for each in top.iterdir() if top.is_dir() else ():
        if each.name != CONFIG_FILE and each.name != folder.split("/")[0]:
            (staged / each.name).symlink_to(each.absolute())
    _put(staged, files, (top / CONFIG_FILE).read_bytes() if (top / CONFIG_FILE).exists() else config)
    try:
        return load_tree(str(staged), now)
    except SnapshotError as error:
        raise _refused(str(top), str(staged), error) from error


def _errors_of(catalog: Catalog, staged: str, folder: str) -> tuple[str, ...]:
    """A line each error, such as a file that `config.yml` names and that does not lie in *folder*."""
    errors = (each for each in catalog.problems if each.severity is Severity.ERROR)
    return tuple(str(each).replace(staged, folder) for each in errors)


def _load_old_tree(folder: str, now: float) -> Catalog | None:
    try:
        return load_tree(folder, now)
    except SnapshotError:
        return None


def _mirrors_folder(top: Path, config: bytes | None) -> str:
    """`mirrors_dir` of the tree's configuration, below *top*."""
    from redirector.plain_yaml import parse_yaml

    raw = (top / CONFIG_FILE).read_bytes() if (top / CONFIG_FILE).exists() else config or b""
    try:
        parsed = parse_yaml(raw).value
    except ValueError as error:
        raise PublishError(str(top), (f"{CONFIG_FILE}: {error}",)) from error
    told = parsed.get("mirrors_dir") if isinstance(parsed, dict) else None
    name = os.path.normpath(told) if isinstance(told, str) and told else "mirrors.d"
    if os.path.isabs(name) or name.startswith("..") or name == ".":
        raise PublishError(str(top), (f"{CONFIG_FILE}: mirrors_dir {name!r} is not a folder below it",))
    return name


def _put(top: Path, files: Mapping[str, bytes], config: bytes | None) -> None:
    """Write what changed, each file whole or not at all, and remove mirror files that are none any more."""
    top.mkdir(parents=True, exist_ok=True)
    if config is not None and not (top / CONFIG_FILE).exists():
        write_atomically(str(top / CONFIG_FILE), config)
    folder = top / _mirrors_folder(top, config)
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != raw:
            write_atomically(str(path), raw)
    for each in sorted(folder.iterdir()):
        if each.suffix in (".yml", ".yaml") and each.name not in files:
            each.unlink()
    _flush_folder(str(folder))


def _remove(staged: Path) -> None:
    if not staged.exists():
        return
    for folder, names, files in os.walk(staged, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in names:
            path = os.path.join(folder, name)
            os.unlink(path) if os.path.islink(path) else os.rmdir(path)
    os.rmdir(staged)

"""A small distribution: a tree with two releases, real repositories, and pushes that change them."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

RELEASES = ("1", "2")
ARCH = "x86_64"
PACKAGES = 4
PACKAGE_BYTES = 20_000
LISTS = ("primary", "filelists", "other")
ROOTS = {
    "primary": ("metadata", "http://linux.duke.edu/metadata/common"),
    "filelists": ("filelists", "http://linux.duke.edu/metadata/filelists"),
    "other": ("otherdata", "http://linux.duke.edu/metadata/other"),
}


def repository_path(release: str) -> str:
    """Where a release's repository lies below the top."""
    return f"{release}/{ARCH}/os"


def write_at_once(path: Path, raw: bytes, time: int) -> None:
    """Replace *path*, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.write_bytes(raw)
    os.utime(fresh, (time, time))
    os.replace(fresh, path)


def push(top: Path, number: int, time: int, chance: random.Random) -> None:
    """Put the push with this number in place: a new package for each release, then the indexes that name it."""
    for release in RELEASES:
        folder = top / repository_path(release)
        for n in range(PACKAGES if number == 1 else 1):
            name = f"sample-{number}.{n}-1.{ARCH}.rpm"
            write_at_once(folder / "Packages" / "s" / name, chance.randbytes(PACKAGE_BYTES), time)
        _write_indexes(folder, number, time)
    write_at_once(top / "TIME", f"{time}\n".encode(), time)


def _write_indexes(folder: Path, number: int, time: int) -> None:
    packed = {name: gzip.compress(_list_of(folder, name, number), mtime=0) for name in LISTS}
    rows = []
    for name, raw in packed.items():
        digest = hashlib.sha256(raw).hexdigest()
        href = f"repodata/{digest}-{name}.xml.gz"
        write_at_once(folder / href, raw, time)
        rows.append(
            f'<data type="{name}"><checksum type="sha256">{digest}</checksum><location href="{href}"/>'
            f"<timestamp>{time}</timestamp><size>{len(raw)}</size></data>"
        )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
        f"<revision>{number}</revision>{''.join(rows)}</repomd>\n"
    )
    write_at_once(folder / "repodata" / "repomd.xml", text.encode(), time)


def _list_of(folder: Path, name: str, number: int) -> bytes:
    """An index without packages: what dnf reads of it is that it is there, and whole."""
    root, namespace = ROOTS[name]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{namespace}" packages="0">'
        f"<!-- push {number} --></{root}>\n"
    ).encode()


def copy(source: Path, target: Path) -> None:
    """A file, and its time."""
    write_at_once(target, source.read_bytes(), int(source.stat().st_mtime))


def synchronize(
    master: Path, mirror: Path, without: Iterable[str] = (), put: Callable[[Path, Path], None] = copy
) -> None:
    """What a mirror's rsync does: files first, indexes after them, the time stamp at the end; old ones go last.

    without  directories directly below the top that this mirror does not carry
    put      brings a file over
    """
    left_out = set(without)
    wanted = {
        path.relative_to(master)
        for path in master.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.relative_to(master).parts[0] not in left_out
    }
    for path in sorted(wanted, key=lambda each: (each.name == "TIME", each.name == "repomd.xml", str(each))):
        theirs = (master / path).stat()
        own = mirror / path
        if not own.exists() or own.stat().st_mtime != theirs.st_mtime:
            put(master / path, own)
    for path in list(mirror.rglob("*")):
        if path.is_file() and path.relative_to(mirror) not in wanted:
            path.unlink()


def remove(folder: Path) -> None:
    """Take *folder* and all that is in it away, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)

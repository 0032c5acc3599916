"""The input files as such: which they are, and whether they have changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from redirector.settings.serving import Config
from redirector.sources.inputs import copy_path

KEYS = ("source", "health", "geoip", "asn", "continents", "clients")
"""Keys of the configuration that name input files."""

PAGES = "pages"

MAY_BE_MISSING = "health"
"""Of these, the one without which everything can be served."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is different about a file when its content is.

    changed_ns  when anything about it changed last, its permissions included; no part of the comparison
    """

    path: str
    inode: int
    size_bytes: int
    written_ns: int
    changed_ns: int = field(compare=False)


def list_inputs(config: Config, read: Iterable[str] = ()) -> tuple[str, ...]:
    """Absolute paths of the files that *config* names, those below a directory among them, and of those *read*.

    The pages that are served beside the server's own are among them: whoever writes them anew need not say so.
    """
    named = [path for key in (*KEYS, PAGES) if (path := getattr(config, key)) is not None and key != MAY_BE_MISSING]
    found = {os.path.abspath(each) for path in (*named, *read) for each in _files_below(path)}
    return tuple(sorted(found))


def _files_below(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(folder, name) for name in names)


def identify(paths: Iterable[str]) -> tuple[Identity, ...]:
    """The identities of those of *paths* that exist."""
    return tuple(_identify(paths))


def _identify(paths: Iterable[str]) -> Iterator[Identity]:
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        yield Identity(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def input_names(config: Config) -> dict[str, str | None]:
    """Key -> absolute path of each input that *config* names."""
    paths = {key: getattr(config, key) for key in KEYS}
    return {key: None if path is None else os.path.abspath(path) for key, path in paths.items()}


def with_copies(config: Config, names: Mapping[str, str | None], folder: str) -> Config:
    """*config* with the copies below *folder* of the inputs that *names* tells, in place of its own."""
    moved = {key: None if path is None else copy_path(folder, path) for key, path in names.items()}
    return replace(config, **moved)  # type: ignore[arg-type]  # the keys are those of `KEYS`

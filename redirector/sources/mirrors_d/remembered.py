"""What earlier loads found in the primary tree, in a small file: alternates without a history of pushes on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import msgspec

from redirector.files import read_bytes, write_atomically
from redirector.model import Directory, FileDetail
from redirector.tree.repomd import REPOMD

Remembered = Mapping[str, tuple[FileDetail, ...]]
"""Repository's directory -> versions of its `repomd.xml`, newest first."""

NOTHING: Remembered = {}

FILE = "remembered.json"

DETAILS_LIMIT_BYTES = 64 << 20
"""AlmaLinux's has 100 kB."""

_METADATA = "/repodata"

_HASHES = (("md5", 32), ("sha1", 40), ("sha256", 64), ("sha512", 128))


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file: `format` is 1."""

    format: int
    directories: dict[str, tuple[FileDetail, ...]]


def load_remembered(state: str) -> Remembered:
    """What is kept in the directory *state*; nothing where there is no such file.

    raises  OSError, or ValueError with one line of text, for a file that cannot be used
    """
    try:
        return parse_remembered(read_bytes(os.path.join(state, FILE), DETAILS_LIMIT_BYTES))
    except FileNotFoundError:
        return {}


def parse_remembered(raw: bytes) -> Remembered:
    """The content of a file that `render_remembered` made. Raises ValueError for anything else."""
    try:
        file = msgspec.json.decode(raw, type=_File)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not what was kept: {error}") from error
    details = [detail for versions in file.directories.values() for detail in versions]
    if file.format != 1 or not all(map(_is_plausible, details)):
        raise ValueError("not what was kept")
    return file.directories


def _is_plausible(detail: FileDetail) -> bool:
    return min(detail.timestamp, detail.size_bytes) >= 0 and all(
        re.fullmatch(rf"([0-9a-f]{{{length}}})?", getattr(detail, name)) for name, length in _HASHES
    )


def render_remembered(
    details: Mapping[tuple[str, str], tuple[FileDetail, ...]], directories: Mapping[str, Directory]
) -> bytes:
    """What is worth keeping of *details*: metadata of repositories, each under its own name alone."""
    found = {
        name.removesuffix(_METADATA): versions
        for (name, file), versions in sorted(details.items())
        if file == REPOMD and name.endswith(_METADATA) and not _is_alias(directories.get(name))
    }
    return render_details(found)


def render_details(versions: Remembered) -> bytes:
    """The file of *versions*."""
    return msgspec.json.encode(_File(1, dict(versions)))


def _is_alias(directory: Directory | None) -> bool:
    return directory is not None and directory.subpath is not None


def keep_remembered(state: str, raw: bytes) -> bool:
    """Put *raw* into the directory *state*, at once or not at all; False when it is there already. Raises OSError."""
    path = os.path.join(state, FILE)
    try:
        if read_bytes(path, len(raw)) == raw:
            return False
    except (OSError, ValueError):
        os.makedirs(state, exist_ok=True)
    write_atomically(path, raw)
    return True

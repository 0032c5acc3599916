"""The files of one source: each is read once, and remembered for copies, change watching and the data's age."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from redirector.files import explain_failure, read_bytes
from redirector.plain_yaml import YAML_LIMIT_BYTES, Parsed, parse_yaml
from redirector.sources.problems import Report, list_some, show

KEPT_LIMIT_BYTES = 64 << 20
"""Of a copy that is read in place of a broken file: the largest limit of any file is below."""


class Good(NamedTuple):
    """A file as it was when it could be read last, and when it had been written, epoch seconds."""

    raw: bytes
    written: float


def copy_path(folder: str, path: str) -> str:
    """Where the copy of the file with the absolute *path* lies below *folder*."""
    return os.path.join(folder, path.lstrip("/"))


@dataclass(frozen=True, slots=True)
class EarlierFiles:
    """What earlier loads read of files: those of the last one, else the copies in the folder *kept*, if any."""

    good: Mapping[str, tuple[bytes, float]] = field(default_factory=dict)
    kept: str | None = None

    def get(self, path: str) -> Good | None:
        """What was read of *path*; None when nothing was, or it cannot be read any more."""
        if path in self.good:
            return Good(*self.good[path])
        if self.kept is None:
            return None
        copy = copy_path(self.kept, os.path.abspath(path))
        try:
            return Good(read_bytes(copy, KEPT_LIMIT_BYTES), os.stat(copy).st_mtime)
        except (OSError, ValueError):
            return None


class GoodFiles(Protocol):
    """By path: what earlier loads read of files that something other than a mirror's own entry hangs on."""

    def get(self, path: str) -> Good | None: ...


NO_FILES: GoodFiles = EarlierFiles()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Reads files for a source.

    mtimes   every file that was read -> when it was last written, epoch seconds
    earlier  what is taken in place of files that are broken now
    good     what later loads may take so
    broken   the files in place of which something earlier was taken
    """

    report: Report
    mtimes: dict[str, float] = field(default_factory=dict)
    earlier: GoodFiles = NO_FILES
    good: dict[str, Good] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def read(self, path: str, limit_bytes: int) -> bytes:
        """The whole file *path*. Raises OSError or ValueError."""
        raw = read_bytes(path, limit_bytes)
        self.mtimes[path] = os.stat(path).st_mtime
        return raw

    def load(self, path: str, limit_bytes: int, otherwise: str, fatal: bool = False) -> bytes | None:
        """The whole file *path*; None and an error that says what happens *otherwise*."""
        try:
            return self.read(path, limit_bytes)
        except (OSError, ValueError) as error:
            self.report.of(path).error("file", f"{explain_failure(error)}: {otherwise}", fatal)
            return None

    def load_good(self, path: str, limit_bytes: int, otherwise: str, check: Callable[[bytes], object]) -> Good | None:
        """The whole file *path*; where *check* raises ValueError, or it cannot be read, what was read of it before.

        returns  None, and an error that says what happens *otherwise*, when it cannot be read now and was not before;
                 what does not stand the check, when nothing earlier is there: the caller reports it
        """
        found = None
        try:
            found = Good(self.read(path, limit_bytes), self.mtimes[path])
            check(found.raw)
            self.refuse_half(path, found.raw)
        except (OSError, ValueError) as error:
            if earlier := self.take_earlier(path, error, check):
                return earlier
            if found is not None:
                return found
            self.report.of(path).error("file", f"{explain_failure(error)}: {otherwise}")
            return None
        self.good[path] = found
        return found

    def refuse_half(self, path: str, raw: bytes) -> None:
        """Raise ValueError when *raw*, which is in *path* now, ends amid a line of what was read of it before.

        Half a list of YAML is a list: whoever met a file that is being written would take it for all of it.
        """
        if raw.endswith(b"\n") or (earlier := self.earlier.get(path)) is None:
            return
        if earlier.raw.startswith(raw) and earlier.raw[len(raw) :].strip():
            raise ValueError(f"ends amid a line of the {len(earlier.raw):,} bytes that it had before")

    def take_earlier(
        self, path: str, error: OSError | ValueError, check: Callable[[bytes], object], key: str = "file"
    ) -> Good | None:
        """What was read of *path* before it was broken, and an error under *key* that says so.

        returns  None when nothing was, or when that does not stand the *check*, which raises ValueError then
        """
        earlier = self.earlier.get(path)
        if earlier is None:
            return None
        try:
            check(earlier.raw)
        except ValueError:
            return None
        self.report.of(path).error(key, f"{explain_failure(error)}: what was read of it before is used")
        self.good[path] = earlier
        self.broken.append(path)
        return earlier

    def load_yaml(
        self, path: str, otherwise: str, fatal: bool = False, texts: Collection[str] = (), keep: bool = False
    ) -> Parsed | None:
        """The YAML document in *path*; None and an error that says what happens *otherwise*.

        texts  see `parse_yaml`
        keep   see `load_good`
        """
        if keep:
            found = self.load_good(path, YAML_LIMIT_BYTES, otherwise, _check_mapping)
            raw = found and found.raw
        else:
            raw = self.load(path, YAML_LIMIT_BYTES, otherwise, fatal)
        if raw is None:
            return None
        report = self.report.of(path)
        try:
            parsed = parse_yaml(raw, texts)
        except ValueError as error:
            report.error("file", f"{error}: {otherwise}", fatal)
            return None
        if parsed.repeated_keys:
            keys = list_some(list(parsed.repeated_keys))
            report.warning(parsed.repeated_keys[0], f"stands there twice ({keys}): the later one counts")
        if parsed.empty_documents:
            lines = " and ".join(map(str, parsed.empty_documents))
            report.warning("file", f"documents begin in lines {lines}: the one that is not empty is read")
        if b"\r" in raw:
            report.warning("line ends", "CRLF instead of LF: read all the same")
        return parsed


def _check_mapping(raw: bytes) -> None:
    """Raise ValueError unless *raw* is a YAML mapping with an entry."""
    value = parse_yaml(raw).value
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{show(value)} is no mapping with an entry")

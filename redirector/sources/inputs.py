"""The files of one source: each is read once, and remembered for copies, change watching and the data's age."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field

from redirector.files import explain_failure, read_bytes
from redirector.plain_yaml import YAML_LIMIT_BYTES, Parsed, parse_yaml
from redirector.sources.problems import Report, list_some


@dataclass(frozen=True, slots=True)
class Inputs:
    """Reads files for a source.

    mtimes  every file that was read -> when it was last written, epoch seconds
    """

    report: Report
    mtimes: dict[str, float] = field(default_factory=dict)

    def read(self, path: str, limit_bytes: int) -> bytes:
        """The whole file *path*. Raises OSError or ValueError."""
        raw = read_bytes(path, limit_bytes)
        self.mtimes[path] = os.stat(path).st_mtime
        return raw

    def find(self, path: str, limit_bytes: int, otherwise: str, fatal: bool = False) -> bytes | None:
        """The whole file *path*; None and an error that says what happens *otherwise*."""
        try:
            return self.read(path, limit_bytes)
        except (OSError, ValueError) as error:
            self.report.of(path).error("file", f"{explain_failure(error)}: {otherwise}", fatal)
            return None

    def find_yaml(self, path: str, otherwise: str, fatal: bool = False, texts: Collection[str] = ()) -> Parsed | None:
        """The YAML document in *path*; None and an error that says what happens *otherwise*.

        texts  see `parse_yaml`
        """
        raw = self.find(path, YAML_LIMIT_BYTES, otherwise, fatal)
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

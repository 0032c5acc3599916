"""The settings of `scan` besides the masters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from redirector.settings.option import Option, one_of, option_field, or_none, parse_path


@dataclass(frozen=True, slots=True)
class Scanning:
    """Keys below `scan`."""

    SECTION: ClassVar[str] = "scan"

    details: str | None = option_field(
        None,
        Option(
            "--details",
            "FILE",
            or_none(parse_path),
            "where the versions of each repository's metadata are written, for a tree whose config.yml names that "
            "file as its `details`",
            reason="a tree whose primary lies on this machine reads them there",
        ),
    )
    allow: str | None = option_field(
        None,
        Option(
            "--allow",
            "shrink",
            one_of("shrink"),
            "believe a master that lost half of what it had, this once",
            in_file=False,
            reason="a disk that is not mounted looks like that",
        ),
    )

"""Names of versions in the order that people expect. Pure."""

from __future__ import annotations


def version_key(text: str) -> tuple[tuple[bool, int, str], ...]:
    """By this versions are in order: 9 before 10."""
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in text.split("."))

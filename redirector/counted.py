"""Numbers with what they count."""

from __future__ import annotations


def counted(number: int, plural: str) -> str:
    """`1 host`, `2,000 hosts`, `1 repository`; what is no plural stays as it is."""
    return f"{number:,} {_one(plural) if number == 1 else plural}"


def _one(plural: str) -> str:
    if plural.endswith("ies"):
        return f"{plural[:-3]}y"
    return plural.removesuffix("es" if plural.endswith("sses") else "s")

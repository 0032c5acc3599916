"""The names nearest to one that does not exist: for wrong options, keys, repositories and versions alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz import fuzz, process

NEAR = 60.0
"""Likeness, of 100, of names that may have been meant."""

SLIP = 80.0
"""Likeness of names of which one can only be a slip of the other, so that it is taken for that."""

_LONGEST = 60
"""Characters of a wrong name that are looked at: whatever a client sends, the work is bounded."""


def find_nearest(wrong: str, known: tuple[str, ...], count: int = 5, least: float = NEAR) -> Sequence[str]:
    """Those of *known* that are most like *wrong* in any case, best first; () when none is near.

    cost  0.2 ms for 1,100 names
    """
    found = process.extract(
        wrong[:_LONGEST].lower(), _in_lower_case(known), scorer=fuzz.ratio, limit=count, score_cutoff=least
    )
    return [known[position] for _, _, position in found]


@lru_cache(maxsize=256)
def _in_lower_case(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)

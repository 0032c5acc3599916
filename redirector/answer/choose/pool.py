"""A bounded memo: what is asked for often stays, whatever else clients send."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Entries by key, in two generations that together weigh about `limit_bytes` at most.

    When the young generation weighs half of the limit it becomes the old one, and what was old is forgotten; an old
    entry that is asked for again is young again. So a flood of keys that are asked for once pushes out its like.

    misses  how often `find` had nothing
    """

    __slots__ = ("_half_bytes", "_old", "_size_of", "_young_bytes", "misses", "young")

    def __init__(self, limit_bytes: int, size_of: Callable[[T], int]) -> None:
        self._half_bytes = limit_bytes // 2
        self._size_of = size_of
        self._old: dict[Hashable, T] = {}
        self._young_bytes = 0
        self.young: dict[Hashable, T] = {}
        self.misses = 0

    def limit(self, limit_bytes: int) -> None:
        """Weigh about so much at most from now on."""
        self._half_bytes = limit_bytes // 2

    @property
    def is_half_full(self) -> bool:
        """Nearly half of the limit is used: soon others will be pushed out."""
        return self._young_bytes > self._half_bytes * 3 // 4

    def find(self, key: Hashable) -> T | None:
        """The entry under *key*; None when it is not held. cost: 0.1 µs; a hot caller may read `young` itself first"""
        entry = self.young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is None:
                self.misses += 1
                return None
            self.keep(key, entry)
        return entry

    def keep(self, key: Hashable, entry: T) -> T:
        """Hold *entry* and return it."""
        self.young[key] = entry
        self.grow(self._size_of(entry))
        return entry

    def grow(self, more_bytes: int) -> None:
        """Some young entry weighs *more_bytes* more."""
        self._young_bytes += more_bytes
        if self._young_bytes > self._half_bytes:
            self._old, self.young, self._young_bytes = self.young, {}, 0

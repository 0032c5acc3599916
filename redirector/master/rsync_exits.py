"""What an exit status of rsync means for a list that it made: the crawler judges by it, the scan tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Exit(Enum):
    """What is to be thought of the list, and of who gave it."""

    COMPLETE = auto()
    PARTIAL = auto()
    REFUSED = auto()
    FAILED = auto()
    CUT = auto()
    HOSTILE = auto()
    OURS = auto()


@dataclass(frozen=True, slots=True)
class Ended:
    """A status in our terms, and in words."""

    exit: Exit
    words: str


_ENDED = {
    0: Ended(Exit.COMPLETE, "complete"),
    1: Ended(Exit.OURS, "our own rsync does not know what it was asked"),
    2: Ended(Exit.OURS, "its protocol is another"),
    3: Ended(Exit.OURS, "our own list of names cannot be read"),
    4: Ended(Exit.HOSTILE, "it asks for what must not be"),
    5: Ended(Exit.REFUSED, "it refused, or is busy"),
    10: Ended(Exit.FAILED, "no connection"),
    11: Ended(Exit.OURS, "our own files cannot be written"),
    12: Ended(Exit.CUT, "the list was cut"),  # a list that looks whole is not
    13: Ended(Exit.OURS, "our own rsync failed (13)"),
    14: Ended(Exit.OURS, "our own rsync failed (14)"),
    22: Ended(Exit.HOSTILE, "more memory than it may have"),
    23: Ended(Exit.PARTIAL, "not all of it can be read"),
    24: Ended(Exit.COMPLETE, "files went away while it looked"),
    30: Ended(Exit.FAILED, "no answer in time"),
    35: Ended(Exit.FAILED, "no connection in time"),
}


def ended_with(status: int) -> Ended:
    """What *status* means; other numbers, and ends by a signal that was not ours, are failures."""
    return _ENDED.get(status) or Ended(Exit.FAILED, f"rsync ended with {status}")

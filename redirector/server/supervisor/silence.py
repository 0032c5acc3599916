"""How long nobody has answered, by a clock that stands still when the machine does. Pure: times are arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass

STANDSTILL_S = 5.0
"""Who looks every second and was away for longer was not running, and neither was anybody else: the machine was
suspended, moved, or starved. What the clock went on meanwhile is nobody's fault."""


@dataclass(slots=True)
class Silence:
    """What the supervisor's looks add up to.

    last      when it looked last, `time.monotonic`
    awake     since when the machine runs without standing still; -inf: always
    silent_s  how long nobody has answered, standstills left out
    """

    last: float
    awake: float = -math.inf
    silent_s: float = 0.0

    def note(self, now: float, answering: bool) -> None:
        """One look."""
        away_s = now - self.last
        if away_s > STANDSTILL_S:
            self.awake = now
        self.silent_s = 0.0 if answering else self.silent_s + min(away_s, STANDSTILL_S)
        self.last = now

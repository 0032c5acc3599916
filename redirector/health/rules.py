"""The numbers of judgement: how often, how long, how far apart. All times can be run faster, for rehearsals."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86400.0

FUTURE_S = 300
"""A time stamp may be this far ahead of our clock; beyond it is not readable."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds, counts without unit.

    interval_s        between visits
    retry_s           after the first, second, third failure in a row
    out_retry_s       while unreachable: after each visit the next of them, the last one again and again
    out_week_s        after so long unreachable, the pause doubles up to `out_longest_s`
    jitter            share by which pauses of the unreachable vary, to both sides
    down_after        failed visits in a row that make a mirror unreachable, `down_span_s` from the first to the last
    up_after          good visits that bring it back, `up_span_s` apart
    looks             looks that take a directory out, and make a mirror stale, `look_span_s` apart
    outdate_s         what lag and age of the marker may be
    unknown_s         after so long without learning anything it is unknown
    control_s         between two looks whether what cannot exist is there
    everything_s      in which every directory is looked at
    vantage_s         how long the word of a vantage point counts
    family_s          how long an answer by IPv4 or IPv6 counts, and failures in a row that say the contrary
    verified_a_visit  directories a visit of which the newest package is asked for
    """

    interval_s: float = 15 * MINUTE_S
    retry_s: tuple[float, ...] = (2 * MINUTE_S, 5 * MINUTE_S, 10 * MINUTE_S)
    out_retry_s: tuple[float, ...] = (15 * MINUTE_S, 30 * MINUTE_S, 60 * MINUTE_S)
    out_week_s: float = 7 * DAY_S
    out_longest_s: float = 240 * MINUTE_S
    jitter: float = 0.2
    down_after: int = 3
    down_span_s: float = 10 * MINUTE_S
    up_after: int = 2
    up_span_s: float = 5 * MINUTE_S
    looks: int = 2
    look_span_s: float = 10 * MINUTE_S
    outdate_s: float = 12 * HOUR_S
    unknown_s: float = DAY_S
    control_s: float = DAY_S
    everything_s: float = DAY_S
    vantage_s: float = HOUR_S
    family_s: float = DAY_S
    family_failures: int = 3
    verified_a_visit: int = 16

    def paced(self, pace: float) -> Rules:
        """Every time multiplied by *pace*; counts stay."""
        changes: dict[str, Any] = {}
        for name in (each.name for each in fields(self) if each.name.endswith("_s")):
            value = getattr(self, name)
            changes[name] = tuple(s * pace for s in value) if isinstance(value, tuple) else value * pace
        return replace(self, **changes)

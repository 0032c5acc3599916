"""What the evidence of one visit comes to: which way to go on, whether the mirror answered, how its content stands as a
whole and how late it is, and what is to be said of its URLs and families. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from redirector.health.asking import LOST, Asking, Pair
from redirector.health.evidence import (
    ANSWERED,
    FAILED,
    OUR_OWN,
    Ask,
    Evidence,
    Family,
    Outcome,
    Scheme,
    printable_reason,
)
from redirector.health.hysteresis import Content as Whole
from redirector.health.hysteresis import Event
from redirector.health.judge import Content, Marker, explain, span
from redirector.health.memory import CONTENT, FamilyNote, Trouble, UrlNote, Validator, content_of
from redirector.health.rules import Rules


def best_way(asking: Asking) -> Pair | None:
    """The way to go on: the one that answered, https before http; else one that at least speaks."""
    ways = [
        (
            seen.outcome not in (Outcome.OK, Outcome.UNCHANGED),
            seen.outcome not in ANSWERED,
            seen.html,
            pair.base[:6] != "https:",
            n,
        )
        for n, (pair, seen) in enumerate(asking.opening)
        if seen.outcome not in LOST
    ]
    return asking.opening[min(ways)[-1]][0] if ways else None


def marker_of(asking: Asking, pair: Pair | None) -> Evidence | None:
    """The marker as seen on the way that was taken; an older one on another way makes no difference."""
    if not asking.master.marker:
        return None
    found = [each for other, each in asking.opening if other == pair and each.path == asking.master.marker]
    if found and found[0].scheme is Scheme.RSYNC and found[0].modified and asking.master.stamp is not None:
        # Its content does not come; but whoever copies times with rsync has the one at which it was written.
        return replace(found[0], stamp=float(found[0].modified))
    if not found or found[0].outcome is not Outcome.UNCHANGED:
        return found[0] if found else None
    held = asking.held
    known = held.marker_validator
    return replace(
        found[0],
        outcome=Outcome.OK,
        stamp=held.stamp,
        text=held.marker if held.stamp is None else "",
        sha256=known.sha256 if known else "",
    )


def marker_text(seen: Evidence) -> str:
    return str(seen.stamp) if seen.stamp is not None else seen.text


def validator_of(seen: Evidence) -> Validator | None:
    if not (seen.etag or seen.last_modified):
        return None
    return Validator(seen.etag, seen.last_modified, seen.sha256, seen.at)


def event_of(asking: Asking) -> tuple[Event, str]:
    """Whether a category answered, and if not, why."""
    opening = [seen for _, seen in asking.opening]
    seen = opening + asking.content
    if not opening or all(each.outcome in OUR_OWN for each in opening):
        return Event.QUIET, explain(opening[0]) if opening else ""
    spoke = [each for each in opening if each.outcome not in LOST]
    if not spoke:
        failed = [each for each in opening if each.outcome in FAILED]
        if any(each.outcome is Outcome.BUSY for each in opening) or not failed:
            return Event.QUIET, explain(next(each for each in opening if each.outcome not in FAILED))
        return Event.FAILED, explain(failed[0])
    bodies = [each for each in seen if each.outcome is Outcome.OK and each.ask in (Ask.MARKER, Ask.INDEX)]
    if bodies and all(each.html for each in bodies) and not any(each.outcome is Outcome.UNCHANGED for each in seen):
        return Event.FAILED, "every answer is a page of HTML"
    content = [each for each in asking.content if each.outcome not in OUR_OWN]
    secret = {each.index for each in asking.master.directories if not each.judged}
    bad = [each for each in content if each.outcome in FAILED and each.path not in secret]
    timeout = next((each for each in bad if each.outcome is Outcome.TIMEOUT), None)
    if timeout is not None:
        return Event.FAILED, explain(timeout)
    if bad and len(bad) * 2 > len(content):
        return Event.FAILED, explain(next(each for each in seen if each.outcome in FAILED))
    if any(each.outcome is Outcome.BUSY for each in content):
        busy = next(each for each in content if each.outcome is Outcome.BUSY)
        answered = any(each.outcome in ANSWERED for each in content)
        return (Event.GOOD, "") if answered else (Event.QUIET, explain(busy))
    if not any(each.outcome in ANSWERED for each in seen):
        return Event.FAILED, explain(next(each for each in seen if each.outcome in FAILED))
    return Event.GOOD, ""


def whole_of(asking: Asking, states: bytes, marker: Marker | None, rules: Rules) -> tuple[Whole, str]:
    """A category as a whole: stale when all that was looked at is, or where only the marker tells, when that is."""
    master = asking.master
    contents = np.frombuffer(states, np.uint8) & CONTENT
    judged = contents != Content.NOT_JUDGED
    by_sum = bool((judged & master.columns.known).any())
    age_s = marker.age_s if marker is not None else None
    if age_s is not None and age_s > rules.outdate_s and not by_sum:
        return Whole.STALE, f"{master.marker}: {span(age_s)} old"
    looked = [found for found in asking.findings.values() if found.content is not Content.NO_ANSWER]
    if not looked and (age_s is None or by_sum):
        return Whole.NONE, ""
    if judged.any() and bool(np.isin(contents[judged], _BAD).all()):
        reason = max(looked, key=lambda found: (found.content is Content.STALE, found.reason)).reason if looked else ""
        count = int(judged.sum())
        return Whole.STALE, reason if count == 1 else f"all {count} directories: {reason}"
    return Whole.FRESH, ""


_BAD = np.array([content for content in Content if content.bad], np.uint8)


def lag_of(
    asking: Asking, states: bytes, troubles: Mapping[int, Trouble], marker: Marker | None, at: float
) -> float | None:
    """The longest that anything carried is late; by the marker where nothing else tells; None when nothing is known.

    What was not looked at in this visit is as late as it was, unless the mirror's marker says that nothing came since.
    """
    judged = (np.frombuffer(states, np.uint8) & CONTENT) != Content.NOT_JUDGED
    if not bool((judged & asking.master.columns.known).any()):
        if marker is not None and marker.age_s is not None:
            return marker.age_s
        return 0.0 if judged.any() else None
    still = asking.marker is not None and marker_text(asking.marker) == asking.held.marker
    since = asking.held.marker_since if still else math.inf
    lags = [
        (at if n in asking.findings or trouble.at >= since else trouble.at) - trouble.lacked
        for n, trouble in troubles.items()
        if trouble.lacked and content_of(states[n]) in (Content.BEHIND, Content.STALE)
    ]
    return max(0.0, *lags) if lags else 0.0


def note_url(before: UrlNote | None, seen: list[Evidence], at: float) -> UrlNote | None:
    """What is to be said of a base URL after what was seen of it; as before when that says nothing."""
    telling = [each for each in seen if each.outcome not in OUR_OWN and each.outcome is not Outcome.BUSY]
    if not telling:
        return before
    failed = [each for each in telling if each.outcome in FAILED]
    up = len(failed) < len(telling)
    reason = "" if up else explain(failed[0])
    if up and (elsewhere := next((each.redirected for each in telling if each.redirected), "")):
        reason = f"redirects to {elsewhere}"
    since = before.since if before and before.up is up else at
    return UrlNote(up, since, printable_reason(reason))


def note_family(note: FamilyNote, family: Family, seen: list[Evidence], answered: set[Family | None]) -> FamilyNote:
    asked = max((each.at for each in seen), default=0)
    if family in answered:
        return FamilyNote(answered=asked, asked=asked)
    telling = [each for each in seen if each.outcome in FAILED]
    if not telling:
        return note
    absent = all(each.outcome is Outcome.NO_NAME for each in telling) and bool(answered)
    failures = note.failures + 1 if answered else note.failures
    return replace(note, failures=failures, absent=absent, asked=asked)

"""Evidence about a directory or a marker becomes a finding with a reason. Nothing here knows what time it is.

What a mirror has is held against what the master pushed and when. Lag is the time since the first push that the mirror
lacks, so a repository that changes once a week is not a week late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from math import inf

from redirector.health.evidence import FAILED, Evidence, Outcome
from redirector.health.expected import Expected, Master, NamedFile, Version
from redirector.health.rules import FUTURE_S, Rules
from redirector.model import utc


class Content(IntEnum):
    """How a directory of a mirror stands; the number is what the store keeps.

    NOT_JUDGED  never looked at, or nothing to be judged by
    NO_ANSWER   as before; only a finding, never kept
    UNKNOWN     no answer for so long that what was known is worth nothing
    """

    NOT_JUDGED = 0
    CURRENT = 1
    BEHIND = 2
    AHEAD = 3
    STALE = 4
    ABSENT = 5
    UNKNOWN = 6
    NO_ANSWER = 7

    @property
    def bad(self) -> bool:
        """It is not to be served, once that is certain."""
        return self in (Content.STALE, Content.ABSENT, Content.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one directory.

    at       when it was seen, epoch seconds
    lacked   when the first push that it lacks was made; 0 when it lacks none
    sha256   of its index; "" when not known
    """

    content: Content
    at: int
    reason: str = ""
    lacked: int = 0
    sha256: str = ""
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """What is remembered of a directory and needed to judge it anew.

    ahead_since  when its unknown, newer checksum was first seen; 0: it was not
    sha256       the checksum of the last look, for answers that say "unchanged"
    valid_until  of the `Release` of the last look, likewise; 0: it does not say
    known_at     when the master itself was last looked at: what is newer than that is nobody's fault
    """

    ahead_since: int = 0
    sha256: str = ""
    valid_until: int = 0
    known_at: float = inf


NOTHING_BEFORE = Before()


def judge_index(expected: Expected, seen: Evidence, before: Before, rules: Rules, *, soft404: bool) -> Finding:
    """A directory by its index.

    soft404  the mirror says 200 to what cannot exist
    """
    at = seen.at
    if seen.outcome is Outcome.UNCHANGED:
        found = _judge_identity(expected, seen, before.sha256, before, rules)
        return _judge_validity(expected, found, before.valid_until)
    if seen.outcome is Outcome.MISSING:
        return Finding(Content.ABSENT, at, f"{expected.index}: {_status(seen)}")
    if seen.outcome is not Outcome.OK:
        return Finding(Content.NO_ANSWER, at, explain(seen, expected.index))
    if seen.html and soft404 and _number_of(expected, seen.sha256) is None:
        return Finding(Content.ABSENT, at, f"{expected.index}: a page of HTML, as for names that cannot exist")
    found = _judge_identity(expected, seen, seen.sha256, before, rules)
    return _judge_validity(expected, found, seen.valid_until or 0)


def _judge_validity(expected: Expected, found: Finding, until: int) -> Finding:
    """What apt refuses since its `Valid-Until` has passed is stale, unless the master itself has nothing newer."""
    newest = expected.versions and found.sha256 and found.sha256 == expected.versions[0].sha256
    if (
        not until
        or until >= found.at
        or newest
        or found.content not in (Content.CURRENT, Content.BEHIND, Content.AHEAD)
    ):
        return found
    reason = f"{expected.index}: valid until {utc(until)}, and no longer"
    return replace(found, content=Content.STALE, reason=reason)


def judge_listed(
    expected: Expected, index: Evidence, files: Sequence[Evidence], before: Before, rules: Rules
) -> Finding:
    """A directory with an index, by what rsync says of it: size and time of the index, and whether the files are there
    that come with the newest."""
    if index.outcome is Outcome.MISSING:
        return Finding(Content.ABSENT, index.at, f"{expected.index}: {_status(index)}")
    for each in (index, *files):
        if each.outcome is not Outcome.OK and each.outcome is not Outcome.MISSING:
            return Finding(Content.NO_ANSWER, index.at, explain(each, each.path))
    found = _judge_identity(expected, index, "", before, rules)
    if found.content is not Content.CURRENT:
        return found
    wanted = {file.path: file for file in expected.files}
    for each in sorted(files, key=lambda each: each.path):
        if (file := wanted.get(each.path)) and (lacks := _lacks(file, each)):
            return _late(expected, expected.pushed, index.at, rules, what=lacks)
    return replace(found, verified=wanted.keys() <= {each.path for each in files})


def _judge_identity(expected: Expected, seen: Evidence, sha256: str, before: Before, rules: Rules) -> Finding:
    versions, at = expected.versions, seen.at
    if not versions:
        if seen.html:
            return Finding(Content.STALE, at, f"{expected.index}: a page of HTML instead", sha256=sha256)
        return Finding(Content.CURRENT, at, sha256=sha256)
    number = _number_of(expected, sha256)
    if number is None and not seen.html and not (sha256 and any(version.sha256 for version in versions)):
        number = _number_by_size(versions, seen)
    if number == 0:
        return Finding(Content.CURRENT, at, sha256=sha256)
    if number is not None:
        return _late(expected, versions[number - 1].pushed, at, rules, sha256)
    newest = versions[0]
    stamp = seen.modified if seen.stamp is None and not sha256 else seen.stamp
    readable = stamp is not None and stamp > 0 and stamp <= at + FUTURE_S
    if seen.outcome is Outcome.UNCHANGED and before.ahead_since:
        readable = True
    if readable and ((before.ahead_since and before.sha256 == sha256) or (stamp or 0) > newest.stamp):
        since = before.ahead_since or at
        if min(at, before.known_at) - since < rules.outdate_s:
            return Finding(Content.AHEAD, at, f"{expected.index}: newer than the master's, and unknown", sha256=sha256)
        reason = f"{expected.index}: unknown to the master since {utc(since)}"
        return Finding(Content.STALE, at, reason, sha256=sha256)
    lacked = versions[-1].pushed
    what = "a page of HTML" if seen.html else "an unknown version"
    when = f" of {utc(stamp)}" if readable and stamp else ", its time is not readable"
    reason = f"{expected.index}: {what}{when}; the master's is of {utc(newest.stamp or newest.pushed)}"
    return Finding(Content.STALE, at, reason, lacked, sha256)


def _late(expected: Expected, lacked: int, at: int, rules: Rules, sha256: str = "", what: str = "") -> Finding:
    lag = max(0, at - lacked)
    content = Content.BEHIND if lag <= rules.outdate_s else Content.STALE
    name = what or expected.index or expected.name
    return Finding(content, at, f"{name}: lacks the push of {utc(lacked)}, {span(lag)} late", lacked, sha256)


def _number_of(expected: Expected, sha256: str) -> int | None:
    """Which of the pushes this is, 0 the newest."""
    if sha256:
        for number, version in enumerate(expected.versions):
            if version.sha256 == sha256:
                return number
    return None


def _number_by_size(versions: Sequence[Version], seen: Evidence) -> int | None:
    """The same where no checksum is known: by size and the time inside; of equal ones by `Last-Modified`, the nearest.

    A master's times need not be those of mirrors (a list has the later of mtime and ctime), so nearness must do.
    """
    fit = [
        number
        for number, version in enumerate(versions)
        if version.size_bytes
        and version.size_bytes == seen.size_bytes
        and (not (version.stamp and seen.stamp) or version.stamp == int(seen.stamp))
    ]
    if not fit:
        return None
    modified = seen.modified
    if modified is None:
        return fit[0]
    return min(fit, key=lambda number: (abs(versions[number].stamp - modified), number))


def judge_verification(expected: Expected, found: Finding, seen: Sequence[Evidence], *, soft404: bool) -> Finding:
    """A repository whose index is the newest, once its newest package and its `primary` were asked for."""
    if found.content is not Content.CURRENT or soft404 or not expected.files:
        return found
    wanted = {file.path: file for file in expected.files}
    for each in seen:
        if (file := wanted.get(each.path)) and (lacks := _lacks(file, each)):
            reason = f"{lacks}, though {expected.index} names it"
            return Finding(Content.ABSENT, each.at, reason, sha256=found.sha256)
    answered = {each.path for each in seen if each.outcome is Outcome.OK}
    at = max((each.at for each in seen), default=found.at)
    return Finding(Content.CURRENT, at, sha256=found.sha256, verified=answered >= wanted.keys())


def judge_files(expected: Expected, seen: Sequence[Evidence], rules: Rules, *, soft404: bool) -> Finding:
    """A directory without index, by its newest files; *seen* has one evidence for each of them, in any order."""
    at = max(each.at for each in seen)
    wanted = {file.path: file for file in expected.files}
    if soft404:
        return Finding(Content.NOT_JUDGED, at, "cannot be judged: the mirror says 200 to what cannot exist")
    for each in sorted(seen, key=lambda each: each.path):
        if each.outcome is not Outcome.MISSING and each.outcome is not Outcome.OK:
            return Finding(Content.NO_ANSWER, at, explain(each, each.path))
    missing = sorted(each.path for each in seen if each.outcome is Outcome.MISSING)
    if len(missing) == len(wanted):
        return Finding(Content.ABSENT, at, f"{missing[0]}: {_status(seen[0])}")
    for each in sorted(seen, key=lambda each: each.path):
        if (file := wanted.get(each.path)) and (lacks := _lacks(file, each)):
            return (
                _late(expected, expected.pushed, at, rules, what=lacks)
                if expected.pushed
                else Finding(Content.STALE, at, lacks)
            )
    return Finding(Content.CURRENT, at, verified=True)


def _lacks(file: NamedFile, seen: Evidence) -> str:
    if seen.outcome is Outcome.MISSING:
        return f"{file.path} is missing"
    if seen.outcome is not Outcome.OK:
        return ""
    if seen.html and not file.path.endswith((".html", ".htm")):
        return f"{file.path} is a page of HTML"
    if file.size_bytes is not None and seen.size_bytes is not None and file.size_bytes != seen.size_bytes:
        return f"{file.path} has {seen.size_bytes} bytes instead of {file.size_bytes}"
    return ""


@dataclass(frozen=True, slots=True)
class Marker:
    """A mirror's time stamp or state.

    age_s  how old it is against the master's; None where it says nothing
    stamp  the time that it bears; None: it is none, or not readable
    """

    age_s: float | None
    stamp: float | None
    reason: str = ""


def judge_marker(master: Master, seen: Evidence) -> Marker:
    """How old a mirror is by its marker; 0 where it bears the master's. Of one that bears no time: since the master has
    another one."""
    if seen.outcome is not Outcome.OK:
        return Marker(None, None, explain(seen, master.marker))
    stamp = seen.stamp
    if seen.html or (stamp is not None and stamp > seen.at + FUTURE_S):
        stamp = None
    if stamp is None:
        if not seen.html and _is_marker_of(master, seen):
            return Marker(0.0, None)
        what = "a page of HTML" if seen.html else "not readable"
        age: float | None = None
        if master.stamp is None and (master.text or master.sha256) and seen.text and not seen.html:
            what = f"{seen.text!r} is not the master's"
            age = max(0.0, float(seen.at - master.since)) if master.since else None
        return Marker(age, None, f"{master.marker}: {what}")
    age = (seen.at if master.stamp is None else master.stamp) - stamp
    return Marker(max(0.0, age), stamp)


def _is_marker_of(master: Master, seen: Evidence) -> bool:
    """Whether what bears no time is the master's."""
    if master.sha256 and seen.sha256:
        return master.sha256 == seen.sha256
    return bool(master.text) and seen.text == master.text


_WORDS = {
    Outcome.BUSY: "busy",
    Outcome.DENIED: "denied",
    Outcome.NO_NAME: "its name does not resolve",
    Outcome.NO_CONNECTION: "no connection",
    Outcome.TIMEOUT: "no answer in time",
    Outcome.TLS_EXPIRED: "its certificate has expired",
    Outcome.TLS_UNTRUSTED: "its certificate is not trusted",
    Outcome.TLS_NAME: "its certificate is for another name",
    Outcome.TLS: "TLS failed",
    Outcome.SERVER_ERROR: "server error",
    Outcome.CUT: "fewer bytes than announced",
    Outcome.REDIRECT: "redirected elsewhere",
    Outcome.FORBIDDEN: "its address is not allowed",
    Outcome.HOSTILE: "beyond all bounds",
    Outcome.UNREADABLE: "not readable",
    Outcome.NO_ROUTE: "we have no route",
    Outcome.OURS: "could not be asked",
    Outcome.UNASKED: "not asked",
}


def explain(seen: Evidence, what: str = "") -> str:
    """One line for people: what was asked, what came."""
    words = _WORDS.get(seen.outcome, _status(seen) if seen.outcome is Outcome.MISSING else "there")
    status = f" ({seen.status})" if seen.status and seen.outcome not in (Outcome.MISSING, Outcome.OK) else ""
    subject = what or seen.path or seen.base
    more = f": {beyond}" if seen.outcome in FAILED and (beyond := _beyond(words, seen)) else ""
    return f"{subject}: {words}{status}{more}"


_LABELS = ("certificate: ", "TLS: ", "cut: ", "a redirect ")
"""With these findings begin that are read alone; beside our words they would say the same again."""


def _beyond(words: str, seen: Evidence) -> str:
    """What the finding says beyond *words* and the status."""
    text = seen.finding.removeprefix(str(seen.status or "")).lstrip()
    for label in _LABELS:
        text = text.removeprefix(label)
    return "" if text in words else text


def _status(seen: Evidence) -> str:
    return f"missing ({seen.status})" if seen.status else "missing"


def span(seconds: float) -> str:
    """`3 days 4 h`, `2 h 5 min`, `40 s`."""
    whole = int(seconds)
    if whole >= 2 * 86400:
        return f"{whole // 86400} days {whole % 86400 // 3600} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"

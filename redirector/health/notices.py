"""Who is told that his mirror is in trouble, when, and in which words. Pure: what was told before is an argument.

A trouble is told once it has lasted an hour, again each week, and its end only where its beginning was told. Nobody is
told of what was found at the first judgement, of what happens during maintenance, or of what the mirror above caused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from redirector.health.evidence import FAILED, Evidence, Outcome, printable
from redirector.health.hysteresis import State
from redirector.health.judge import explain, span
from redirector.model import utc

HOUR_S = 3600
DAY_S = 86400
LASTS_S = HOUR_S
REMINDED_S = 7 * DAY_S
ONCE_IN_S = DAY_S
"""One notice of a kind about one mirror a day, so that one that comes and goes fills nobody's mailbox."""

CERTIFICATE_DAYS = (14, 7, 1)
SHORT_DAYS = (1,)
SHORT_LIVED_S = 45 * DAY_S
"""A certificate made for less is renewed in its last weeks anyway."""

LOG_LINES = 20


class Kind(StrEnum):
    UNREACHABLE = "unreachable"
    STALE = "stale"
    RECOVERED = "recovered"
    CERTIFICATE = "certificate"


_TROUBLES = {State.UNREACHABLE: Kind.UNREACHABLE, State.STALE: Kind.STALE}


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror as it was judged.

    key, name, site  as elsewhere; *name* is for people
    since        when it came into its state, epoch seconds
    maintenance  its admin knows: it is in maintenance, or he switched it off
    pulls_from   key of the mirror that it pulls from; "" when unknown
    certificate_made, certificate_expires  of the certificate that ends first
    """

    key: str
    name: str
    state: State
    since: int
    reason: str = ""
    site: str = ""
    maintenance: bool = False
    pulls_from: str = ""
    certificate_made: int | None = None
    certificate_expires: int | None = None


@dataclass(frozen=True, slots=True)
class Memo:
    """What is remembered of one mirror between two rounds. Times are epoch seconds; 0: never.

    judged       it was judged when it was last looked at; what is found next is not the first judgement
    trouble      the kind of the one that it is in; "" when it is in none
    since        when that began
    counted      from when its hour is counted: later than *since* where nobody was to be told
    told         when its latest notice was made
    quiet        nobody is told of it: it was there at the first judgement
    certificate  end of the certificate that *step* is about
    step         the smallest number of days before it that was told
    sent         kind -> when the latest of that kind was made, whichever trouble it was about
    """

    judged: bool = False
    trouble: str = ""
    since: int = 0
    counted: int = 0
    told: int = 0
    quiet: bool = False
    certificate: int = 0
    step: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice, before it has words.

    since     when the trouble began; of a certificate: when it ends
    reminder  it was told before
    """

    kind: Kind
    host: str
    name: str
    site: str
    since: int
    reason: str
    at: int
    reminder: bool = False


def decide(
    mirrors: Iterable[Mirror], memos: Mapping[str, Memo], now: int, *, void: bool = False, pace: float = 1.0
) -> tuple[dict[str, Memo], list[Notice]]:
    """What is to be told now, and the memos that changed by it.

    mirrors  as judged; who is not among them stays as remembered
    void     nothing was concluded: nothing is told, and nothing changes
    pace     factor on the hour, the day and the week, for rehearsals; certificates end when they do
    """
    if void:
        return {}, []
    judged = {mirror.key: mirror for mirror in mirrors}
    changed: dict[str, Memo] = {}
    notices: list[Notice] = []
    for key, mirror in sorted(judged.items()):
        before = memos.get(key, Memo())
        after = _set_back(before, now)
        for step in (_certificate, _trouble):
            after, notice = step(mirror, after, now, pace, upstream=judged.get(mirror.pulls_from))
            if notice is not None:
                after = replace(after, sent={**after.sent, notice.kind.value: now})
                notices.append(notice)
        after = replace(after, judged=mirror.state is not State.UNCHECKED)
        if after != before:
            changed[key] = after
    return changed, notices


def _set_back(memo: Memo, now: int) -> Memo:
    """What was told by a clock that was ahead was told by now at the latest: what follows waits for no other year."""
    if max(memo.since, memo.counted, memo.told, *memo.sent.values()) <= now:
        return memo
    return replace(
        memo,
        since=min(memo.since, now),
        counted=min(memo.counted, now),
        told=min(memo.told, now),
        sent={kind: min(at, now) for kind, at in memo.sent.items()},
    )


def _trouble(
    mirror: Mirror, memo: Memo, now: int, pace: float, *, upstream: Mirror | None
) -> tuple[Memo, Notice | None]:
    kind = _TROUBLES.get(mirror.state)
    if kind is None:
        if mirror.state is State.OK:
            return _ended(mirror, memo, now, pace)
        gone = mirror.state is State.UNCHECKED and not memo.told
        return (_forgotten(memo) if gone else memo), None
    if memo.trouble != kind:
        memo = replace(
            memo, trouble=kind.value, since=mirror.since, counted=mirror.since, told=0, quiet=not memo.judged
        )
    if mirror.maintenance or _is_above(kind, upstream):
        return replace(memo, counted=now), None
    reminder = memo.told > 0
    due = memo.told + REMINDED_S * pace if reminder else memo.counted + LASTS_S * pace
    if memo.quiet or now < due or now < _last(memo, kind) + ONCE_IN_S * pace:
        return memo, None
    return replace(memo, told=now), _notice(kind, mirror, memo.since, mirror.reason, now, reminder=reminder)


def _is_above(kind: Kind, upstream: Mirror | None) -> bool:
    """Whether the mirror that it pulls from is the cause: what is out of reach or stale passes nothing on."""
    return kind is Kind.STALE and upstream is not None and upstream.state in _TROUBLES


def _ended(mirror: Mirror, memo: Memo, now: int, pace: float) -> tuple[Memo, Notice | None]:
    """It is well. That is told where the trouble was, even on the day of another one's end."""
    over = _forgotten(memo)
    if not memo.told:
        return over, None
    if now < _last(memo, Kind.RECOVERED) + ONCE_IN_S * pace:
        return memo, None
    return over, _notice(Kind.RECOVERED, mirror, mirror.since, f"it was {memo.trouble} since {utc(memo.since)}", now)


def _forgotten(memo: Memo) -> Memo:
    return replace(memo, trouble="", since=0, counted=0, told=0, quiet=False)


def _certificate(
    mirror: Mirror, memo: Memo, now: int, pace: float, *, upstream: Mirror | None
) -> tuple[Memo, Notice | None]:
    """Steps before the end of its certificate, each told once. A new certificate begins anew."""
    ends = mirror.certificate_expires
    if ends is None:
        return memo, None
    if ends != memo.certificate:
        memo = replace(memo, certificate=ends, step=0)
    made = mirror.certificate_made
    days = SHORT_DAYS if made is not None and ends - made < SHORT_LIVED_S else CERTIFICATE_DAYS
    reached = [day for day in days if ends - now <= day * DAY_S]
    if not reached or (memo.step and memo.step <= min(reached)):
        return memo, None
    if mirror.maintenance or not memo.judged or now < _last(memo, Kind.CERTIFICATE) + ONCE_IN_S * pace:
        return memo, None
    left = f"ends in {span(ends - now)}" if ends > now else "has ended"
    reason = f"its certificate {left}, {utc(ends)}"
    return replace(memo, step=min(reached)), _notice(Kind.CERTIFICATE, mirror, ends, reason, now)


def _last(memo: Memo, kind: Kind) -> int:
    """When the latest notice of *kind* was made, far back where there was none."""
    return memo.sent.get(kind.value, -ONCE_IN_S)


def _notice(kind: Kind, mirror: Mirror, since: int, reason: str, now: int, *, reminder: bool = False) -> Notice:
    return Notice(kind, mirror.key, mirror.name, mirror.site, since, reason, now, reminder)


# -- Words -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice as a mail says it. Neither part holds a stranger's control characters."""

    subject: str
    text: str


def write_letter(
    notice: Notice, evidence: Iterable[Evidence], distribution: str = "", logs_url: str | None = None
) -> Letter:
    """The mail about *notice*.

    evidence      what was seen of the mirror lately, newest first
    distribution  whose mirror it is, for people; "" unknown
    """
    seen = list(evidence)
    name = printable(notice.name)
    subject = {
        Kind.UNREACHABLE: f"{name} cannot be reached",
        Kind.STALE: f"{name} is not up to date",
        Kind.RECOVERED: f"{name} is listed again",
        Kind.CERTIFICATE: f"{name}: its certificate {'ends soon' if notice.since > notice.at else 'has ended'}",
    }[notice.kind]
    if notice.reminder:
        subject = f"Still: {subject}"
    parts = [_opening(notice, name, distribution), _asked(notice, seen), _ending(notice)]
    if logs_url:
        parts.append(f"More, and how it stands now: {logs_url}")
    if lines := [log_line(each) for each in seen[:LOG_LINES]]:
        parts.append("\n".join(["What was seen lately, newest first:", "", *lines]))
    return Letter(f"[{printable(distribution)}] {subject}" if distribution else subject, "\n\n".join(parts) + "\n")


def _opening(notice: Notice, name: str, distribution: str) -> str:
    mirror = f"your mirror {name}" + (f" of {printable(distribution)}" if distribution else "")
    reason = printable(notice.reason)
    because = f": {reason}" if reason else ""
    match notice.kind:
        case Kind.UNREACHABLE:
            return (
                f"Hello,\n\nsince {utc(notice.since)} {mirror} cannot be reached{because}.\nIt is not listed meanwhile."
            )
        case Kind.STALE:
            return (
                f"Hello,\n\nsince {utc(notice.since)} {mirror} is not up to date{because}.\nIt is not listed meanwhile."
            )
        case Kind.RECOVERED:
            return f"Hello,\n\n{mirror} is well again and listed, since {utc(notice.since)}{because}."
        case Kind.CERTIFICATE:
            return f"Hello,\n\n{mirror} needs a new certificate{because}."


def _asked(notice: Notice, seen: list[Evidence]) -> str:
    """What was asked, and what came: of the latest that explains the trouble."""
    failed = [each for each in seen if each.outcome in FAILED or each.outcome is Outcome.MISSING]
    chosen = failed if notice.kind is Kind.UNREACHABLE else [*failed, *seen] if notice.kind is Kind.STALE else seen
    if not chosen:
        return "What was asked is no longer kept."
    one = chosen[0]
    way = f" by {one.family}" if one.family else ""
    at = f", {one.address}" if one.address else ""
    return f"Asked: {_url(one)}{way}{at}, at {utc(one.at)}\nWhat came: {printable(explain(one, what='it'), 300)}"


def _ending(notice: Notice) -> str:
    match notice.kind:
        case Kind.UNREACHABLE:
            return (
                "What to do: open what was asked, above, from a network that is not yours. See that the server runs,"
                "\nthat no firewall or limit keeps the checker out, that the name leads to the right machine, and that"
                "\nthe certificate holds.\n"
                "What ends it: two visits, at least five minutes apart, at which it answers. It is visited every 15 to"
                "\n60 minutes, after a week less often; it is listed again by itself."
            )
        case Kind.STALE:
            return (
                "What to do: run your synchronization by hand and read what it says. Mostly it is a full disk, a source"
                "\nthat does not let you in or is late itself, or a job that no longer runs.\n"
                "What ends it: a synchronization that brings what it lacks. One visit that finds it there is enough; it"
                "\nis listed again by itself."
            )
        case Kind.RECOVERED:
            return "Nothing is left to do. Thank you for mirroring."
        case Kind.CERTIFICATE:
            return (
                "What to do: renew it, and have the web server read it (reload). If that should have happened alone,"
                "\nsee why it did not.\nWhat ends it: a new certificate, which the next visit sees."
            )


def log_line(seen: Evidence) -> str:
    """One thing asked and what came, in one line."""
    way = " ".join(part for part in (seen.family or "", seen.address) if part)
    details = []
    if seen.stamp is not None:
        details.append(f"of {utc(seen.stamp)}")
    if seen.size_bytes is not None:
        details.append(f"{seen.size_bytes} bytes")
    if seen.redirected:
        details.append(f"redirected to {seen.redirected}")
    more = f", {', '.join(details)}" if details else ""
    return printable(
        f"{utc(seen.at)} {_url(seen)} {way} {seen.duration_s:.2f} s {explain(seen, what=seen.ask)}{more}", 400
    )


def _url(seen: Evidence) -> str:
    return printable(f"{seen.base}{seen.path}".encode("utf-8", "surrogateescape").decode("utf-8", "replace"), 300)


def message_of(notice: Notice, logs_url: str | None = None) -> dict[str, str | int | None]:
    """The notice for programs: what webhooks and commands get."""
    return {
        "kind": notice.kind.value,
        "host": notice.name,
        "site": notice.site,
        "since": notice.since,
        "reason": notice.reason,
        "at": notice.at,
        "logs_url": logs_url,
    }

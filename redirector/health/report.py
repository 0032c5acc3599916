"""What is told of what was found: the health file, mirror status as JSON, mirmon's state, metrics. Pure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redirector.counted import counted
from redirector.health.evidence import Family, readable
from redirector.health.expected import Master
from redirector.health.hysteresis import Overall, State
from redirector.health.judge import Content
from redirector.health.memory import CONTENT, FamilyNote, Held, Memory, UrlNote, out_of
from redirector.health.rules import DAY_S, HOUR_S, MINUTE_S, Rules
from redirector.health.subjects import Subject
from redirector.locate.places import countries

LACKING_LIMIT = 1000
STATUS_CUTOFF_S = 86400

MIRMON_FRESH_S = 28 * HOUR_S + 5 * MINUTE_S
"""A day, a poll of four hours, and five minutes; oldish is a day more."""

MIRMON_OLDISH_S = 52 * HOUR_S + 5 * MINUTE_S
MIRMON_PROBES = 25
MIRMON_DAYS = 14


@dataclass(frozen=True, slots=True)
class HostHealth:
    """What the health file says of a host.

    urls  what is to be said of base URLs; *marked* are those of which the file says that they fail
    note  how many directories are not current, for people; "" when all are
    """

    state: State
    since: int
    reason: str
    checked: int
    versions: tuple[str, ...] | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None
    lag_s: int | None = None
    lacking: tuple[str, ...] = ()
    urls: Mapping[str, UrlNote] = field(default_factory=dict)
    certificate_made: int | None = None
    certificate_expires: int | None = None
    stamp: float | None = None
    name: str = ""
    key: str = ""
    note: str = ""
    marked: frozenset[str] = frozenset()

    @property
    def up(self) -> bool:
        return not self.state.out


View = tuple[Memory, Mapping[str, Held]]
"""What one vantage point remembers of a host, and of its categories."""


def entry_of(
    subject: Subject,
    overall: Overall,
    views: Sequence[View],
    masters: Mapping[str, Master],
    rules: Rules,
    now: float,
    *,
    tree: bool,
) -> HostHealth:
    """One host as all who looked lately see it."""
    newest = max(views, key=lambda view: view[0].visited)[0]
    lacking = _lacking(subject, overall, [held for _, held in views], masters, tree=tree)
    lags = [held.lag_s for _, helds in views for held in helds.values() if held.lag_s is not None]
    stamps = [held.stamp for _, helds in views for held in helds.values() if held.stamp is not None]
    certificates = [
        (memory.certificate_expires, memory.certificate_made) for memory, _ in views if memory.certificate_expires
    ]
    expires, made = min(certificates, key=lambda validity: validity[0], default=(None, None))
    return HostHealth(
        state=overall.state,
        since=int(overall.since),
        reason=overall.reason,
        checked=int(newest.visited),
        versions=_versions(subject, masters, lacking) if tree else None,
        ipv4=_family([memory for memory, _ in views], Family.IPV4, rules, now),
        ipv6=_family([memory for memory, _ in views], Family.IPV6, rules, now),
        lag_s=int(min(lags)) if lags else None,
        lacking=_bounded(lacking),
        urls={url: note for url, note in newest.urls.items() if not note.up or note.reason},
        certificate_made=made,
        certificate_expires=expires,
        stamp=max(stamps, default=None),
        name=subject.name,
        key=subject.key,
        marked=_marked(subject, overall, newest),
        note=note_of(b"".join(held.states for held in max(views, key=lambda view: view[0].visited)[1].values())),
    )


def _marked(subject: Subject, overall: Overall, memory: Memory) -> frozenset[str]:
    """URLs that fail while another of their category answers, or of a host that is out: one bad moment of all of them
    says as little as any, and whoever is told that no URL works sends nobody there."""
    marked: set[str] = set()
    for carried in subject.categories:
        web = [url for url in carried.urls if not url.startswith("rsync:")] or carried.urls
        down = {url for url in carried.urls if url in memory.urls and not memory.urls[url].up}
        if overall.state.out or not down.issuperset(web):
            marked |= down
    return frozenset(marked)


_COUNTED = (Content.STALE, Content.ABSENT, Content.UNKNOWN, Content.BEHIND, Content.AHEAD)


def note_of(states: bytes, *, all_of_them: bool = False) -> str:
    """`2 stale, 1 behind of 64 directories`: what is not current; or *all_of_them*: `61 current, 2 stale, 1 behind`."""
    contents = [state & CONTENT for state in states if state & CONTENT]
    kinds = (Content.CURRENT, *_COUNTED) if all_of_them else _COUNTED
    told = [f"{count} {kind.name.lower()}" for kind in kinds if (count := contents.count(kind))]
    out = len(out_of(states))
    told += [f"{out} left out"] if out else []
    if all_of_them:
        return ", ".join(told)
    return f"{', '.join(told)} of {counted(len(contents), 'directories')}" if told else ""


def _lacking(
    subject: Subject,
    overall: Overall,
    views: Sequence[Mapping[str, Held]],
    masters: Mapping[str, Master],
    *,
    tree: bool,
) -> tuple[str, ...]:
    """Directories that are left out though the host is not: out for two who looked, or for the only one."""
    names: list[str] = []
    for carried in subject.categories:
        master = masters.get(carried.category)
        if master is None:
            continue
        if carried.category in overall.out:
            names.extend(_tops(master, tree=tree))
            continue
        saying = [view[carried.category] for view in views if carried.category in view]
        votes: dict[int, int] = {}
        for held in saying:
            for number in out_of(held.states):
                votes[number] = votes.get(number, 0) + 1
        needed = min(2, len(saying))
        out = [n for n, count in votes.items() if count >= needed and n < len(master.directories)]
        names.extend(readable((master.prefix + master.directories[n].name).rstrip("/")) for n in out)
    return tuple(sorted(names))


def _tops(master: Master, *, tree: bool) -> Iterable[str]:
    """What stands for the whole of a category: its top, or in a tree its versions, which share one base."""
    if not tree:
        return (master.prefix.rstrip("/"),)
    return dict.fromkeys(readable(each.name.partition("/")[0]) for each in master.directories)


def _versions(subject: Subject, masters: Mapping[str, Master], lacking: Sequence[str]) -> tuple[str, ...] | None:
    """Versions of a tree of which something is not left out; None where all would be."""
    gone = set(lacking)
    fresh: dict[str, bool] = {}
    for carried in subject.categories:
        master = masters.get(carried.category)
        for each in master.directories if master else ():
            version = each.name.partition("/")[0]
            there = each.name not in gone and version not in gone
            fresh[version] = fresh.get(version, False) or there
    found = tuple(version for version, there in fresh.items() if there)
    return found or None


def _bounded(lacking: Sequence[str]) -> tuple[str, ...]:
    """Beyond a thousand, parents stand for them."""
    names = list(lacking)
    while len(names) > LACKING_LIMIT:
        deepest = max(name.count("/") for name in names)
        if deepest == 0:
            break
        shorter = [name.rpartition("/")[0] if name.count("/") == deepest else name for name in names]
        names = sorted(set(shorter))
    return tuple(names)


def _family(memories: Sequence[Memory], family: Family, rules: Rules, now: float) -> bool | None:
    notes = [memory.families.get(family, FamilyNote()) for memory in memories]
    if any(note.answered and now - note.answered <= rules.family_s for note in notes):
        return True
    if any(note.absent or note.failures >= rules.family_failures for note in notes):
        return False
    return None


def render_health(entries: Mapping[str, HostHealth], checked: float) -> bytes:
    """The health file."""
    mirrors = {key: rendered_entry(entry) for key, entry in sorted(entries.items())}
    return (json.dumps({"checked": int(checked), "mirrors": mirrors}, ensure_ascii=False, indent=1) + "\n").encode()


def rendered_entry(entry: HostHealth) -> dict[str, Any]:
    """One mirror of the health file."""
    told: dict[str, Any] = {"up": entry.up, "state": entry.state.value, "since": entry.since}
    if entry.reason:
        told["reason"] = entry.reason
    optional = {
        "versions": list(entry.versions) if entry.versions is not None else None,
        "ipv4": entry.ipv4,
        "ipv6": entry.ipv6,
        "checked": entry.checked,
        "lag_s": entry.lag_s,
        "lacking": list(entry.lacking) or None,
        "urls": {url: _render_url(note) for url, note in sorted(entry.urls.items()) if note.up or url in entry.marked}
        or None,
        "certificate_expires": entry.certificate_expires,
    }
    return told | {name: value for name, value in optional.items() if value is not None}


def _render_url(note: UrlNote) -> dict[str, Any]:
    return {"up": note.up, "reason": note.reason} if note.reason else {"up": note.up}


# -- Mirror status, version 3 ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """One visit, as statistics see it. *good*: it answered; *delay_s*: how old its own time was."""

    at: int
    good: bool
    delay_s: int | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class StatusHost:
    """A host whose URLs are told."""

    urls: tuple[str, ...]
    country_code: str
    entry: HostHealth
    looks: tuple[Look, ...]


def score_of(delay_s: float, average_s: float, deviation_s: float, completion: float) -> float:
    """The lower, the better. `7200, 0.5, 0.25, 0.5` is 5.5; `7200, 0.5, 0.25, 0` is 550."""
    return (delay_s / HOUR_S + average_s + deviation_s) / (completion or 0.005)


def render_status(hosts: Iterable[StatusHost], checked: float, interval_s: float, rounds: int, now: float) -> bytes:
    """archlinux.org's `mirrors/status/json`, version 3, of the last 24 hours."""
    urls = [
        _status_of(url, host, now)
        for host in hosts
        for url in host.urls
        if url.startswith(("http://", "https://", "rsync://"))
    ]
    document = {
        "cutoff": STATUS_CUTOFF_S,
        "last_check": _iso(checked),
        "num_checks": rounds,
        "check_frequency": int(interval_s),
        "urls": urls,
        "version": 3,
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _status_of(url: str, host: StatusHost, now: float) -> dict[str, Any]:
    looks = [look for look in host.looks if now - STATUS_CUTOFF_S <= look.at]
    good = [look for look in looks if look.good]
    completion = len(good) / len(looks) if looks else 0.0
    delays = [look.delay_s for look in good if look.delay_s is not None]
    durations = [look.duration_s for look in good if look.duration_s is not None]
    average = statistics.fmean(durations) if durations else None
    deviation = statistics.pstdev(durations) if durations else None
    delay = statistics.fmean(delays) if delays else None
    score = None if delay is None else score_of(delay, average or 0.0, deviation or 0.0, completion)
    note = host.entry.urls.get(url)
    return {
        "url": url,
        "protocol": url.partition(":")[0],
        "last_sync": None if host.entry.stamp is None else _iso(host.entry.stamp),
        "completion_pct": completion,
        "delay": None if delay is None else int(delay),
        "duration_avg": average,
        "duration_stddev": deviation,
        "score": score,
        "active": host.entry.up and (note is None or note.up),
        "country": known.name if (known := countries().get(host.country_code)) else "",
        "country_code": host.country_code,
        "isos": True,
        "ipv4": host.entry.ipv4 is not False,
        "ipv6": host.entry.ipv6 is True,
        "details": "",
    }


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


# -- mirmon ------------------------------------------------------------------------------------------------------------


def mirmon_state(age_s: float | None) -> str:
    """`s` fresh, `b` oldish, `f` old, `z` unknown."""
    if age_s is None:
        return "z"
    if age_s <= MIRMON_FRESH_S:
        return "s"
    return "b" if age_s <= MIRMON_OLDISH_S else "f"


def render_mirmon(hosts: Iterable[StatusHost]) -> bytes:
    """mirmon's state file: `url age last_status last_ok_probe probe_history state_history last_probe`."""
    lines = []
    for host in hosts:
        looks = sorted(host.looks, key=lambda look: look.at)
        good = [look for look in looks if look.good]
        for url in host.urls:
            fields = (
                url,
                "undef" if host.entry.stamp is None else str(int(host.entry.stamp)),
                "undef" if not looks else "ok" if looks[-1].good else "failed",
                str(good[-1].at) if good else "undef",
                "".join("s" if look.good else "f" for look in looks[-MIRMON_PROBES:]) or "undef",
                _mirmon_history(looks),
                str(looks[-1].at) if looks else "undef",
            )
            lines.append(" ".join(fields))
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def _mirmon_history(looks: Sequence[Look]) -> str:
    """The last look's time, a hyphen, and one letter a day: its last state, `x` where nobody looked."""
    if not looks:
        return "undef"
    days: dict[int, str] = {}
    stamp: float | None = None
    for look in looks:
        if look.delay_s is not None:
            stamp = look.at - look.delay_s
        days[int(look.at // DAY_S)] = mirmon_state(None if stamp is None else look.at - stamp)
    last = max(days)
    first = max(min(days), last - MIRMON_DAYS + 1)
    return f"{looks[-1].at}-" + "".join(days.get(day, "x") for day in range(first, last + 1))


# -- Metrics -----------------------------------------------------------------------------------------------------------

METRIC_HOSTS = 2000
"""Hosts that are counted one by one; of a longer list the last are left out."""


def render_metrics(
    entries: Mapping[str, HostHealth],
    checked: float,
    requests: Mapping[tuple[str, str], int],
    duration_s: float | None,
    void: int = 0,
    notices: Mapping[tuple[str, str], int] | None = None,
) -> bytes:
    """What Prometheus reads."""
    lines = []
    if checked:
        lines += _metric("redirector_health_checked_timestamp_seconds", "gauge", "When mirrors were last judged.")
        lines.append(f"redirector_health_checked_timestamp_seconds {int(checked)}")
    lines += _metric("redirector_health_mirrors", "gauge", "Mirrors by state.")
    for state in State:
        count = sum(entry.state is state for entry in entries.values())
        lines.append(f'redirector_health_mirrors{{state="{state.value}"}} {count}')
    shown = sorted(entries.items())[:METRIC_HOSTS]
    lines += _metric("redirector_mirror_up", "gauge", "Whether a mirror is listed.")
    lines += [f'redirector_mirror_up{{host="{_label(key)}"}} {int(entry.up)}' for key, entry in shown]
    lines += _metric("redirector_mirror_lag_seconds", "gauge", "How long ago the first push was made that it lacks.")
    lines += [
        f'redirector_mirror_lag_seconds{{host="{_label(key)}"}} {entry.lag_s}'
        for key, entry in shown
        if entry.lag_s is not None
    ]
    lines += _metric("redirector_crawl_requests_total", "counter", "Probes by what came of them.")
    for (scheme, outcome), count in sorted(requests.items()):
        lines.append(f'redirector_crawl_requests_total{{scheme="{scheme}",outcome="{outcome}"}} {count}')
    if duration_s is not None:
        lines += _metric("redirector_crawl_duration_seconds", "gauge", "How long the last round took.")
        lines.append(f"redirector_crawl_duration_seconds {duration_s:.3f}")
    lines += _metric("redirector_crawl_void_rounds_total", "counter", "Rounds from which nothing was concluded.")
    lines.append(f"redirector_crawl_void_rounds_total {void}")
    if notices:
        lines += _metric("redirector_notices_total", "counter", "Attempts to deliver notices, by what came of them.")
    for (kind, outcome), count in sorted((notices or {}).items()):
        lines.append(f'redirector_notices_total{{kind="{_label(kind)}",outcome="{outcome}"}} {count}')
    return ("\n".join(lines) + "\n").encode()


def _metric(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
